"""The page about a batch: what it holds, that it holds nothing else, and sorting in a browser."""

import base64
import gc
import re
import tracemalloc
from html.parser import HTMLParser
from io import BytesIO, StringIO
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import numpy as np
import pytest
from helpers.browser import opened
from helpers.cli_cases import PHOTO, names, photo, run
from PIL import Image

import skdefocus as sd
from skdefocus.cli import _batch, _report
from skdefocus.io import ReadError, read_image

#: A name that would be markup, an address or a path if it were not escaped.
HOSTILE = "<script>alert('a')</script> \"&amp; 50%#?.png".replace("/", "⁄")
SHARP = sd.datasets.sample_photographs(96)[0]
OURS = [tracemalloc.Filter(True, f"*{name}*") for name in ("skdefocus", "test_report")]
KEYS = ("score", "focus", "median", "sure", "pixels")


class Page(HTMLParser):
    """Elements of a page with their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.text, self.elements, self.words = text, [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag, **wanted):
        return [
            attributes
            for found, attributes in self.elements
            if found == tag and wanted.items() <= attributes.items()
        ]

    @property
    def rows(self):
        return [attributes for attributes in self.all("tr") if "data-name" in attributes]


def shoot(folder):
    """Photographs of three degrees of blur, one with a hostile name."""
    for sigma, name in ((3.0, "b10.png"), (0.0, "b9.png"), (1.0, HOSTILE)):
        seen = sd.synthesis.blur(SHARP, sigma).clip(0, 1)
        photo(folder, name, (255 * seen).round().astype(np.uint8))
    return folder


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    """A page about three photographs, a black one, and a file that is none."""
    from skdefocus.cli import main

    folder = shoot(tmp_path_factory.mktemp("report") / "shoot")
    photo(folder, "black.png", np.zeros((40, 56), np.uint8))
    (folder / "bad & <b>.jpg").write_text("no photograph")
    (folder / "notes.txt").write_text("no photograph, and not meant to be one")
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "inner.png").mkdir()
    file = folder.parent / "report.html"
    assert main(["map", str(folder), "--html", str(file), "--quiet"]) == 1
    return file


@pytest.fixture
def page(page_file):
    return Page(page_file.read_text("utf-8"))


# --- contents ----------------------------------------------------------------------------------


def test_one_row_for_every_photograph_of_the_folder(page, page_file):
    assert [row["data-name"] for row in page.rows] == [HOSTILE, "b10.png", "b9.png", "black.png"]
    assert names(page_file.parent) == ["report.html", "shoot"]  # nothing is left behind


def test_figures_are_those_of_the_map(page, page_file):
    rows = {row["data-name"]: row for row in page.rows}
    for name in ("b9.png", "b10.png"):
        pixels = read_image(page_file.parent / "shoot" / name)
        grids = sd.make_defocus_pipeline()[:-1].transform([pixels])
        sigma = sd.defocus_map(pixels)
        confidence = grids[0].confidence.repeat(4, 0).repeat(4, 1)
        found = {key: float(rows[name][f"data-{key}"]) for key in KEYS}
        score = sd.metrics.blur_score(sigma, confidence=confidence)
        assert found["score"] == pytest.approx(score, abs=0.03)
        assert found["focus"] == pytest.approx((sigma <= 1).mean(), abs=0.03)
        assert found["median"] == pytest.approx(np.median(sigma), abs=0.1)
        assert found["sure"] == pytest.approx(grids[0].confidence.mean(), abs=1e-3)
        assert found["pixels"] == 96 * 96
    scores = [float(rows[name]["data-score"]) for name in ("b9.png", HOSTILE, "b10.png")]
    assert scores == sorted(scores)
    assert scores[0] < scores[-1] - 0.3


def test_a_score_that_nobody_knows_is_no_number():
    grid = SimpleNamespace(step=4, confidence=np.zeros((2, 3)))
    found = _report.Figures.of(grid, np.ones((7, 10), np.float32))
    assert found.score is None
    assert (found.focus, found.median, found.width, found.height) == (1, 1, 10, 7)
    grid = SimpleNamespace(step=4, confidence=np.ones((2, 3)), image=np.zeros((7, 10), np.uint8))
    row = _report.row_of("a.png", Path("r.html"), grid, np.ones((7, 10), np.float32))
    assert 'data-score="0.307692"' in row


def test_pictures_are_small_and_in_the_page(page):
    pictures = [picture["src"] for picture in page.all("img")]
    assert len(pictures) == 3 * len(page.rows)
    for address in pictures:
        head, _, data = address.partition(",")
        assert head == "data:image/jpeg;base64"
        with Image.open(BytesIO(base64.b64decode(data))) as picture:
            assert picture.format == "JPEG"
            assert max(picture.size) <= _report.SIDE


def test_thumbnails_of_large_photographs_have_at_most_400_pixels_a_side():
    grid = SimpleNamespace(step=4, confidence=np.ones((250, 375)))
    grid.image = np.zeros((1000, 1500, 3), np.uint16)
    row = _report.row_of("a.png", Path("r.html"), grid, np.ones((1000, 1500), np.float32))
    assert len(row) < 16_000
    assert 'width="1500" height="1000"' in row


@pytest.mark.parametrize(("top", "left"), [(0, 0), (300, 500), (600, 900)])
def test_the_part_at_full_size_is_the_sharpest_that_shows_something(top, left):
    image = np.arange(800 * 1200).reshape(800, 1200)
    sigma = np.full(image.shape, 5, np.float32)
    sigma[top : top + 200, left : left + 300] = 0.3
    sigma[400:, :300] = 0.1  # sharper still, by a guess
    confidence = np.full((200, 300), 0.8)
    confidence[100:, :75] = 0
    grid = SimpleNamespace(step=4, confidence=confidence, image=image)
    part = _report.sharpest_part(grid, sigma)
    assert part.shape == _report.DETAIL
    row, column = divmod(int(part[0, 0]), 1200)
    np.testing.assert_array_equal(part, image[row : row + 184, column : column + 240])
    assert top - 8 <= row <= top + 24
    assert left - 8 <= column <= left + 68


def test_small_photographs_are_shown_in_full():
    grid = SimpleNamespace(step=4, confidence=np.ones((3, 25)), image=np.zeros((10, 100, 3)))
    assert _report.sharpest_part(grid, np.ones((10, 100), np.float32)).shape == (10, 100, 3)


def test_it_makes_no_requests(page):
    for tag, attributes in page.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form", "video", "audio")
        for name in ("src", "srcset", "poster", "data", "action", "background"):
            assert attributes.get(name, "data:").startswith("data:")
        if tag == "a":
            assert attributes["href"].startswith(("./", "#"))
        assert not [name for name in attributes if name.startswith("on")]
    without_data = re.sub(r"data:image/jpeg;base64,[\w+/=]+", "", page.text)
    assert not re.findall(r"https?:|//\w|url\(|@import|fetch\(|XMLHttp", without_data)
    policies = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policies[0]["content"].startswith("default-src 'none'; img-src data:;")


def test_names_are_escaped_and_links_lead_to_the_photographs(page, page_file):
    assert len(page.all("script")) == 1
    assert page.words.count(HOSTILE) == 1
    for row, link in zip(page.rows, page.all("a"), strict=True):
        path = page_file.parent / unquote(link["href"])
        assert path.name == row["data-name"]
        assert path.is_file()


def test_a_name_is_never_taken_for_a_scheme():
    assert (
        _report._link("javascript:alert(1).png", Path("r.html"))
        == "./javascript%3Aalert%281%29.png"
    )
    assert _report._link("in/ä \udcff.png", Path("in/r.html")) == "./%C3%A4%20%FF.png"


def test_names_that_are_not_valid_text(tmp_path, capsys):
    folder = tmp_path / "in"
    try:
        photo(folder, "a\udcff.png")
    except OSError:
        pytest.skip("this file system takes only names that are valid text")
    assert run("map", folder, "--html", tmp_path / "r.html", capsys=capsys)[0] == 0
    found = Page((tmp_path / "r.html").read_text("utf-8"))
    assert found.rows[0]["data-name"] == "a\\udcff.png"


def test_failures_are_listed_with_their_reasons(page, page_file):
    bad = str(page_file.parent / "shoot" / "bad & <b>.jpg")
    with pytest.raises(ReadError) as error:
        read_image(bad)
    text = "".join(page.words)
    assert page.all("section", id="failures")
    assert f"{bad}: {str(error.value).removeprefix(f'cannot read {bad!r}: ')}\n" in text
    assert text.count("Failed") == 1


def test_without_failures_there_is_no_list(tmp_path, capsys):
    name = photo(tmp_path / "in", "a.png")
    assert run("map", name, "--html", tmp_path / "r.html", capsys=capsys)[::2] == (0, "")
    assert 'id="failures"' not in (tmp_path / "r.html").read_text("utf-8")


def test_it_can_be_used_without_seeing_it(page):
    for picture in page.all("img"):
        assert picture["alt"].startswith(("Photograph ", "Map of ", "Sharpest part of "))
    keys = [button["data-key"] for button in page.all("button") if "data-key" in button]
    assert keys == ["name", *KEYS]
    sortable = [header for header in page.all("th") if "aria-sort" in header]
    assert len(sortable) == len(keys)
    assert all(header["role"] == "columnheader" for header in sortable)
    for control in page.all("input") + page.all("textarea"):
        assert "aria-label" in control or control.get("id") == "filter"  # that is in a label
    assert page.all("html")[0]["lang"] == "en"
    assert "prefers-color-scheme: dark" in page.text


# --- the command -------------------------------------------------------------------------------


def test_maps_and_page_together(tmp_path, capsys):
    one, two = photo(tmp_path / "a"), photo(tmp_path / "b", pixels=PHOTO[::-1].copy())
    arguments = [one, two, one, "--html", tmp_path / "r.html"]
    code, out, err = run(
        "map", *arguments, "-o", tmp_path / "m", "--no-picture", "-j", 2, capsys=capsys
    )
    assert code == 1
    assert "another --out" in err
    assert f"1 mapped to '{tmp_path / 'm'}' and '{tmp_path / 'r.html'}'" in out
    assert names(tmp_path / "m") == ["photo_sigma.png", "photo_sigma.tif"]
    text = (tmp_path / "r.html").read_text("utf-8")
    assert len(Page(text).rows) == 1
    assert "another --out" in text
    # Without maps, the names of the outputs do not collide.
    code, out, err = run("map", *arguments, "--overwrite", capsys=capsys)
    assert (code, err) == (0, "")
    assert len(Page((tmp_path / "r.html").read_text("utf-8")).rows) == 2


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["a.png"], "--html"),
        (["a.png", "--html", "r.txt"], ".html"),
        (["a.png", "--html", "none/r.html"], "not a folder"),
        (["a.png", "--html", "old.html"], "--overwrite"),
        (["a.png", "--html", ""], "must not be empty"),
    ],
)
def test_wrong_usage(tmp_path, capsys, monkeypatch, arguments, word):
    monkeypatch.chdir(tmp_path)
    photo(tmp_path, "a.png")
    (tmp_path / "old.html").write_text("mine")
    code, out, err = run("map", *arguments, capsys=capsys)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert word in err
    assert (tmp_path / "old.html").read_text() == "mine"


def test_an_existing_page_is_kept_when_a_run_is_resumed(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photo(tmp_path, "a.png")
    (tmp_path / "r.html").write_text("mine")
    arguments = ["map", "a.png", "--html", "r.html", "--skip-existing"]
    assert run(*arguments, capsys=capsys) == (0, "'r.html' is there already\n", "")
    assert run(*arguments, "-o", "m", "--no-picture", capsys=capsys)[0] == 0
    assert names(tmp_path / "m") == ["a_sigma.png", "a_sigma.tif"]
    assert (tmp_path / "r.html").read_text() == "mine"
    (tmp_path / "r.html").unlink()
    (tmp_path / "m" / "a_sigma.tif").write_bytes(b"mine")
    assert run(*arguments, "-o", "m", "--no-picture", capsys=capsys)[0] == 0
    assert (tmp_path / "m" / "a_sigma.tif").read_bytes() == b"mine"
    assert len(Page((tmp_path / "r.html").read_text("utf-8")).rows) == 1


@pytest.mark.parametrize("before", [None, "mine"])
def test_an_interrupted_run_leaves_no_half_page(tmp_path, capsys, monkeypatch, before):
    def interrupted(*_):
        yield _batch.Result("a.png", failure="is damaged")
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    photo(tmp_path, "a.png")
    if before:
        (tmp_path / "r.html").write_text(before)
    monkeypatch.setattr(_batch, "run", interrupted)
    assert run("map", "a.png", "--html", "r.html", "--overwrite", capsys=capsys)[0] == 130
    assert names(tmp_path) == ["a.png", *(["r.html"] if before else [])]
    assert not before or (tmp_path / "r.html").read_text() == before


def test_rows_of_thousands_do_not_pile_up(tmp_path):
    """Rows go from file to file: only the failures are in memory until the end."""
    row = "x" * 20_000

    class Sink(StringIO):
        def write(self, text):
            return len(text)

    report = _report.Report(Sink(), tmp_path)
    sizes = []
    tracemalloc.start()
    try:
        for i in range(2000):
            _report.row_file(tmp_path, f"{i}.png").write_text(row)
            report.add(_batch.Result(f"{i}.png", written=True))
            if i in (200, 1999):
                gc.collect()
                # Not of pathlib: Python's own table of strings grows by leaps.
                held = tracemalloc.take_snapshot().filter_traces(OURS)
                sizes.append(sum(trace.size for trace in held.traces))
    finally:
        tracemalloc.stop()
    assert sizes[1] - sizes[0] < 100_000  # bytes, for 36 MB of rows
    assert names(tmp_path) == []


# --- in a browser ------------------------------------------------------------------------------


def test_sorting_filtering_and_marking_in_a_browser(page_file):
    with opened(page_file, 400, 800) as window:

        def shown():
            rows = window.locator("tbody tr:visible")
            return rows.evaluate_all("rows => rows.map(row => row.dataset.name)")

        def values(key):
            rows = window.locator("tbody tr")
            return [
                float(v or "inf") for v in rows.evaluate_all(f"r => r.map(x => x.dataset.{key})")
            ]

        for key in KEYS:
            button = window.locator(f"thead button[data-key={key}]")
            for state in ("ascending", "descending"):
                button.press("Enter") if key == "focus" else button.click()
                header = window.locator("thead th[aria-sort]:not([aria-sort=none])")
                assert header.evaluate_all("h => h.map(x => x.ariaSort)") == [state]
                found = values(key)
                known = [value for value in found if value != np.inf]
                assert known == sorted(known, reverse=state == "descending")
                assert found[: len(known)] == known  # what is unknown comes last
        window.click("thead button[data-key=name]")
        assert shown() == [HOSTILE, "b9.png", "b10.png", "black.png"]  # 9 before 10
        window.fill("#filter", "B1")
        assert shown() == ["b10.png"]
        assert window.inner_text("#count") == "1 of 4 shown"
        window.fill("#filter", "")
        window.locator("tbody input").nth(1).check()
        assert window.inner_text("#marked summary") == "1 marked"
        assert window.locator("#marked textarea").input_value() == "b9.png"
        window.locator(".switch").first.click()
        assert window.locator(".switch").first.get_attribute("aria-pressed") == "true"
        assert window.inner_text("#summary") == "4 photographs, 1 failed"
        assert window.evaluate("document.documentElement.scrollWidth") == 400
