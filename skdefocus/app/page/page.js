const $ = (selector) => document.querySelector(selector);
const all = (selector) => document.querySelectorAll(selector);
const order = $("#order"), frame = $("#frame");
const FILES = { "_sigma.tif": "float", "_sigma.png": "16 bits", "_color.png": "in color" };
let desk = "", opened = null, view = null, working = false, again = false, asking = false, stop;

async function call(method, path, values, body, signal) {
  const answer = await fetch(`${path}?${new URLSearchParams(values)}`, { method, body, signal }).catch(() => {
    throw Error("skdefocus does not answer. Is the command still running?");
  });
  const found = await answer.json().catch(() => ({ error: `it failed (${answer.status})` }));
  if (!answer.ok) throw Error(found.error);
  return found;
}

function complain(error) {
  $("#errors").append(Object.assign(document.createElement("p"), { textContent: error.message }));
}

function tell(text, share) {
  $("#work").hidden = !text;
  $("#work span").textContent = text;
  if (share) $("progress").value = share;
  else $("progress").removeAttribute("value");
}

async function open(photos) {
  if (!photos.length) return;
  for (const part of ["#errors", "#files"]) $(part).replaceChildren();
  view = null;
  $("#shown").hidden = order.hidden = true;
  opened = await call("PUT", "desk");
  desk = `desk/${opened.id}`;
  stop?.abort(); // work on the photographs before
  order.photo.replaceChildren();
  for (const name in opened.values) order[name].value = opened.values[name];
  order.eps.value = Math.log10(opened.values.eps);
  for (const photo of photos) {
    tell(`Reading ${photo.name}`);
    try {
      if (photo.size > opened.max_bytes) throw Error(`'${photo.name}': the file is too large`);
      const added = await call("PUT", `${desk}/photo`, { name: photo.name }, photo);
      order.photo.append(Object.assign(new Option(added.name, added.photo), { title: photo.name }));
    } catch (error) { complain(error); }
  }
  tell("");
  const count = order.photo.length;
  order.hidden = !count;
  for (const option of all(".stack")) option.hidden = option.disabled = count < 2;
  order.view.value = count > 1 ? "fused" : "blur";
  if (count) await show();
}

function values() {
  const found = Object.fromEntries(new FormData(order));
  for (const name in found) if (!["view", "align"].includes(name)) found[name] = Number(found[name]);
  found.eps = Number((10 ** found.eps).toPrecision(2));
  for (const field of all("form input")) field.parentElement.querySelector("output").value = found[field.name];
  for (const part of all("[data-for]")) part.hidden = !part.dataset.for.split(" ").includes(found.view);
  return found;
}

async function poll() {
  const { stage, seconds, expected } = await call("GET", `${desk}/progress`);
  const known = seconds < expected; // otherwise it takes longer than expected
  const about = known && expected > 2 ? ` of about ${Math.ceil(expected)} s` : "";
  if (working && stage) tell(`${stage}: ${Math.ceil(seconds)} s${about}`, known && seconds / expected);
}

async function show() {
  again = working;
  if (working) return;
  working = true;
  tell("Working");
  const timer = setInterval(() => poll().catch(() => {}), 400);
  do {
    again = false;
    stop = new AbortController();
    const asked = values(), mine = desk;
    try {
      view = await call("PUT", `${desk}/view`, { order: JSON.stringify(asked) }, null, stop.signal);
      await draw(asked.view);
    } catch (error) { if (mine === desk) complain(error); }
  } while (again);
  clearInterval(timer);
  working = false;
  tell("");
}

async function draw(kind) {
  const actual = $("#actual").checked, map = view.top !== null;
  frame.classList.toggle("actual", actual);
  frame.classList.toggle("map", map);
  frame.style.setProperty("--width", `${view.width}px`);
  for (const layer of ["below", "above"]) {
    const query = new URLSearchParams({ layer, size: actual ? 0 : 1600, time: Date.now() });
    $(`#${layer}`).src = `${desk}/layer?${query}`;
  }
  await Promise.all([$("#below").decode(), $("#above").decode()]);
  if (kind !== frame.dataset.kind) {
    $("#how").value = map || kind === "confidence" ? "fade" : "split";
    $("#share").value = map ? opened.share : kind === "confidence" ? 100 : 50;
  }
  frame.dataset.kind = kind;
  $("#shown").hidden = false;
  compare();
  const [low, high] = all("#legend span"), frames = kind === "depth";
  $("#legend").hidden = !map;
  low.textContent = frames ? "frame 1" : "in focus";
  high.textContent = frames ? `frame ${view.top + 1}` : `σ = ${view.top} px`;
  $("#note").textContent = view.note;
  const name = order.photo.selectedOptions[0].title, stem = name.replace(/\.[^.]*$/, "");
  $("#files").replaceChildren(...view.files.map((ending) => Object.assign(document.createElement("a"), {
    href: `${desk}/file?${new URLSearchParams({ ending, name })}`, download: "",
    textContent: `Save ${stem}${ending}${ending in FILES ? ` (${FILES[ending]})` : ""}` })));
}

function compare() {
  const part = $("#scroll"), how = $("#how").value, share = $("#share").value / 100;
  // The line is above the slider's thumb, whatever part of the photograph is in sight.
  const split = (part.scrollLeft + share * part.clientWidth) / frame.offsetWidth;
  $("#shown").dataset.how = how;
  $("#shown").style.setProperty("--share", `${100 * (how === "split" ? split : share)}%`);
}

async function ask(event) {
  if (asking || !view) return;
  asking = true;
  const box = frame.getBoundingClientRect();
  const x = Math.floor(((event.clientX - box.left) / box.width) * view.width);
  const y = Math.floor(((event.clientY - box.top) / box.height) * view.height);
  const found = Object.entries(await call("GET", `${desk}/at`, { x, y }).catch(() => ({})));
  $("#at").value = [`x ${x}, y ${y}`, ...found.map(([name, v]) => `${name} ${v.toFixed(2)}${name === "σ" ? " px" : ""}`)].join(", ");
  asking = false;
}

$("#photos").onchange = (event) => open([...event.target.files]).catch(complain);
document.ondragover = (event) => event.preventDefault();
document.ondrop = (event) => { event.preventDefault(); open([...event.dataTransfer.files]).catch(complain); };
order.onchange = show;
order.oninput = values;
$("#actual").onchange = () => draw(frame.dataset.kind).catch(complain);
$("#how").onchange = $("#share").oninput = $("#scroll").onscroll = compare;
frame.onpointermove = frame.onpointerdown = ask;
