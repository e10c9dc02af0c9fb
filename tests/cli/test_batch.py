"""Ten thousand photographs in one command: what they cost and what is told of them."""

import gc
import tracemalloc
from pathlib import Path

from skdefocus import cli
from skdefocus.cli import _batch
from skdefocus.cli._map import MapWork

COUNT = 10_000
OURS = [tracemalloc.Filter(True, f"*{name}*") for name in ("skdefocus", "joblib", "test_many")]


def test_ten_thousand_photographs_are_taken_one_by_one(tmp_path, monkeypatch):
    """Neither names nor results pile up: all that is held is a few photographs' worth."""
    taken = 0

    def names():
        nonlocal taken
        for i in range(COUNT):
            taken += 1
            yield f"{i:05d}.png"

    monkeypatch.setattr(_batch, "work_on", lambda photo, *_: _batch.Result(photo, written=True))
    batch = _batch.Batch(MapWork(tmp_path, None, None))
    sizes, ahead = [], 0
    tracemalloc.start()
    try:
        for i, result in enumerate(_batch.run(names(), batch, tmp_path, 1)):
            assert result.photo == f"{i:05d}.png"
            ahead = max(ahead, taken - i)
            if i in (COUNT // 10, COUNT - 1):
                gc.collect()
                # Python's own table of strings grows by leaps.
                held = tracemalloc.take_snapshot().filter_traces(OURS)
                sizes.append(sum(trace.size for trace in held.traces))
    finally:
        tracemalloc.stop()
    assert taken == COUNT
    assert ahead <= 8
    assert sizes[1] - sizes[0] < 100_000  # bytes, for 9,000 photographs


def test_ten_thousand_photographs_in_the_command_line(tmp_path, monkeypatch, capsys):
    def work_on(photo, *_):
        number = int(Path(photo).stem)
        return _batch.Result(photo, number % 2 == 0, "is damaged" if number % 2500 == 1 else "")

    monkeypatch.setattr(_batch, "work_on", work_on)
    names = [f"{i:05d}.png" for i in range(COUNT)]
    assert cli.main(["map", *names, "--out", str(tmp_path), "--skip-existing", "--no-picture"]) == 1
    said = capsys.readouterr()
    bad = ["00001.png", "02501.png", "05001.png", "07501.png"]
    summary = f"4 failed: {', '.join(map(repr, bad))}"
    assert said.out.strip().splitlines()[-1].endswith(summary)
    assert f"{COUNT // 2} mapped" in said.out
    assert f"{COUNT // 2 - 4} existed already" in said.out
    assert [line.split("'")[1] for line in said.err.strip().splitlines()] == bad
