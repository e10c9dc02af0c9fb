"""Processes killed, several writers, threads, forks: nothing is lost."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pytest
from helpers.fault_cases import (
    HANG,
    PHOTOS,
    check_map,
    check_outputs,
    end,
    expected,
    map_command,
    save,
    start,
    wait_for_outputs,
    workers,
)
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn.preprocessing import FunctionTransformer

import skdefocus as sd
from skdefocus import network
from skdefocus.cli import _batch
from skdefocus.cli._map import MapWork
from skdefocus.io import _read, read_image

# --- processes that die ------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds workers in /proc")
def test_a_killed_worker_costs_nothing(tmp_path):
    photos, out = save(tmp_path / "in", 30), tmp_path / "maps"
    process = start(map_command(photos, out, "--jobs", "2"))
    wait_for_outputs(process, out, 4)
    os.kill(workers(process)[0], signal.SIGKILL)
    code, said, complaints = end(process)
    assert (code, complaints) == (0, [])
    assert said == [f"30 mapped to {str(out)!r}"]
    check_outputs(out, photos)


def die_of_black(images):
    if not images[0].any():
        os.kill(os.getpid(), signal.SIGKILL)
    return images


def test_a_photograph_that_kills_its_worker_does_not_stop_the_rest(tmp_path):
    photos = save(tmp_path / "in", 6)
    Image.new("L", (56, 40)).save(photos[3])
    pipeline = sd.make_defocus_pipeline()
    pipeline.steps.insert(0, ("die", FunctionTransformer(die_of_black)))
    work = MapWork(tmp_path / "maps", None, pipeline, picture=False)
    with _batch.scratch_folder(work.out) as scratch:
        results = list(_batch.run(photos, _batch.Batch(work), scratch, n_jobs=2))
    assert [result.photo for result in results] == photos
    assert [result.written for result in results] == [i != 3 for i in range(6)]
    assert "its process died" in results[3].failure
    assert not any(result.fatal for result in results)
    names = os.listdir(work.out)
    assert len(names) == 10
    assert not [name for name in names if name.startswith("03")]


@pytest.mark.parametrize("options", [{}, {"overwrite": True}, {"skip_existing": True}], ids=str)
@pytest.mark.parametrize("finished", ["nothing", "half", "all"])
def test_a_worker_killed_before_its_results_came(tmp_path, monkeypatch, options, finished):
    """Those of the first photograph may be there then; the third has one of before."""
    photos, out = save(tmp_path / "in", 3), tmp_path / "maps"
    out.mkdir()
    (out / "02_sigma.png").write_bytes(b"mine")
    there = {"nothing": [], "half": ["00_sigma.tif"], "all": ["00_sigma.tif", "00_sigma.png"]}
    calls = []

    def dies(names, *args):
        calls.append(list(names))
        if len(calls) == 1:
            for name in there[finished]:
                (out / name).write_bytes(b"of the worker")
            raise BrokenExecutor
        return (_batch.work_on(name, *args[:-1]) for name in calls[-1])

    monkeypatch.setattr(_batch, "_parallel", dies)
    work = MapWork(out, None, sd.make_defocus_pipeline(), picture=False)
    batch = _batch.Batch(work, **options)
    with _batch.scratch_folder(out) as scratch:
        results = list(_batch.run(photos, batch, scratch, n_jobs=2))
    assert calls == [photos, *([photo] for photo in photos), []]
    assert [result.photo for result in results] == photos
    refused = not (batch.overwrite or batch.skip_existing)
    assert [result.written for result in results] == [True, True, not refused]
    assert ("exists" in results[2].failure) == refused
    assert not results[0].failure
    assert not results[1].failure
    if batch.overwrite:
        check_outputs(out, photos)
    else:  # what has its name stays
        assert (out / "02_sigma.png").read_bytes() == b"mine"
        for name in there[finished]:
            assert (out / name).read_bytes() == b"of the worker"
        assert len(os.listdir(out)) == (5 if refused else 6)


def map_or_die(i, marker):
    if i == 2 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return sd.defocus_map(PHOTOS[i])


def test_a_killed_worker_of_the_library_is_an_error_and_the_next_call_works(tmp_path):
    tasks = [joblib.delayed(map_or_die)(i, tmp_path / "died") for i in range(len(PHOTOS))]
    with pytest.raises(BrokenExecutor):
        joblib.Parallel(n_jobs=2)(tasks)
    again = joblib.Parallel(n_jobs=2)(tasks)
    pipeline = sd.make_defocus_pipeline(n_jobs=2)
    for found in (again, pipeline.transform(PHOTOS)):
        for i, sigma in enumerate(found):
            assert_allclose(sigma, expected(i), atol=1e-5)


@pytest.mark.parametrize(
    ("sent", "jobs", "code", "word"),
    [(signal.SIGINT, 2, 130, "interrupted"), (signal.SIGTERM, 1, 143, "terminated")],
)
def test_a_batch_that_is_told_to_end(tmp_path, sent, jobs, code, word):
    photos, out = save(tmp_path / "in", 60), tmp_path / "maps"
    command = map_command(photos, out)
    process = start([*command, "--jobs", str(jobs)])
    wait_for_outputs(process, out, 3)
    os.killpg(process.pid, sent)
    assert end(process) == (code, [], [f"skdefocus: {word}; all files written so far are complete"])
    names = os.listdir(out)
    assert 3 <= len(names) < 120
    assert all(name.endswith(("_sigma.tif", "_sigma.png")) for name in names)
    for path in out.glob("*.tif"):
        check_map(path, int(path.name[:2]))
    if sent == signal.SIGINT:  # the other leaves the same
        code, said, complaints = end(start([*command, "--skip-existing"]))
        assert (code, complaints) == (0, [])
        assert "existed already" in said[0]
        check_outputs(out, photos)


def test_only_the_main_thread_sets_what_a_signal_does(capsys):
    from skdefocus.cli import main

    before = signal.getsignal(signal.SIGTERM)
    codes = []
    thread = threading.Thread(target=lambda: codes.append(main(["info"])))
    thread.start()
    thread.join()
    codes.append(main(["info"]))
    assert codes == [0, 0]
    assert signal.getsignal(signal.SIGTERM) is before


# --- several at once ---------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--overwrite", "--skip-existing", None])
def test_two_processes_write_to_one_folder(tmp_path, option):
    photos, out = save(tmp_path / "in", 20), tmp_path / "maps"
    command = map_command(photos, out, *([option] if option else []))
    both = [end(process) for process in [start(command), start(command)]]
    check_outputs(out, photos)
    codes, said, complaints = zip(*both, strict=True)
    mapped = [int(lines[-1].split()[0]) for lines in said]
    if option:
        assert codes == (0, 0)
        assert complaints == ([], [])
        assert sum(mapped) >= 20
    else:  # each photograph is mapped by one of them, and refused by the other
        assert sum(mapped) == 20
        assert sum(map(len, complaints)) == 20
        assert all("exists" in line for lines in complaints for line in lines)


def test_threads_share_one_estimator():
    pipeline = sd.make_defocus_pipeline()
    network._runtime._session.cache_clear()  # the first use is shared as well
    network._runtime._load_facts.cache_clear()
    numbers = [i % len(PHOTOS) for i in range(24)]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda i: pipeline.transform([PHOTOS[i]])[0], numbers))
    for i, sigma in zip(numbers, found, strict=True):
        assert_allclose(sigma, expected(i), atol=1e-5)


def test_threads_read_files(tmp_path):
    photos = save(tmp_path / "in", 12)
    limit = Image.MAX_IMAGE_PIXELS
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(read_image, photos))
    for i, image in enumerate(found):
        assert_array_equal(image, PHOTOS[i % len(PHOTOS)])
    assert limit == Image.MAX_IMAGE_PIXELS


def map_into(queue, path):
    queue.put(sd.defocus_map(read_image(path)))


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork"
)
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("reading", [False, True])
def test_fork_after_use(tmp_path, reading):
    """Also while another thread reads a file, whose lock the child finds taken.

    A child of multiprocessing ends by os._exit, without freeing anything.
    """
    (path,) = save(tmp_path / "in", 1)
    assert_allclose(sd.defocus_map(read_image(path)), expected(0), atol=1e-5)
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=map_into, args=(queue, path))
    if reading:
        with _read._limit_lock:
            child.start()
    else:
        child.start()
    child.join(HANG)
    alive = child.is_alive()
    child.kill()
    assert not alive, "the child hangs"
    assert child.exitcode == 0
    assert_allclose(queue.get(), expected(0), atol=1e-5)
    assert_allclose(sd.defocus_map(PHOTOS[1]), expected(1), atol=1e-5)  # the parent goes on


CHILD = """
import os, signal, sys, time
import numpy as np
import skdefocus as sd

pipeline = sd.make_defocus_pipeline().set_params(levels__n_threads=2)
photo = np.zeros((200, 200), np.float32)
if "used" in sys.argv:
    before = pipeline.transform([photo])
    time.sleep(1)  # idle threads of ONNX Runtime sleep, and then a session cannot end without them
child = os.fork()
if child == 0:
    signal.alarm(60)  # ends a child that hangs
    if "idle" not in sys.argv:
        pipeline.transform([photo])
    sys.exit(0)
while True:
    ended, status = os.waitpid(child, os.WNOHANG)
    if ended:
        sys.exit(os.waitstatus_to_exitcode(status))
    time.sleep(0.05)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("words", [[], ["used"], ["used", "idle"]])
def test_a_forked_child_may_end_by_sys_exit(words):
    """The destructor of a session would wait for threads that are not in the child."""
    subprocess.run([sys.executable, "-c", CHILD, *words], timeout=HANG, check=True)


MANY = """
import os, sys
import numpy as np
from skdefocus import make_defocus_pipeline
from skdefocus.cli import _batch
from skdefocus.cli._map import MapWork
from pathlib import Path

def used():
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1])

os.fsync = lambda file: None  # only takes time here
work = MapWork(Path(sys.argv[1]), None, make_defocus_pipeline(), picture=False)
batch = _batch.Batch(work, overwrite=True)
photos = sys.argv[2:]
with _batch.scratch_folder(work.out) as scratch:
    for i in range(230):
        assert _batch.work_on(photos[i % len(photos)], batch, scratch).written
        if i == 30:
            first = used()
print(used() - first)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
def test_memory_does_not_grow(tmp_path):
    photos = save(tmp_path / "in", 5)
    Image.fromarray(np.tile(PHOTOS[0], (2, 3))).save(photos[4])  # sizes differ
    child = subprocess.run(
        [sys.executable, "-c", MANY, tmp_path / "maps", *photos],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    assert int(child.stdout) < 6 * 1024  # KiB in 200 photographs
