"""Processes killed over and over, and very many images: what is lost, and how memory grows.

    python -m benchmarks.reliability                       # prints the counts
    python -m benchmarks.reliability --images 10000 --rounds 10

Needs Linux, as it finds processes and their memory in /proc; no data beyond scikit-learn's.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from benchmarks.report import machine, table
from skdefocus import defocus_map, make_defocus_pipeline
from skdefocus.cli import _batch
from skdefocus.cli._map import MapWork
from skdefocus.datasets import sample_photographs
from skdefocus.io import read_image, read_map

FAULTS = {
    "worker killed (SIGKILL)": (signal.SIGKILL, True, {0}),
    "Ctrl-C (SIGINT to all)": (signal.SIGINT, False, {130}),
    "SIGTERM to all": (signal.SIGTERM, False, {143}),
    "all killed (SIGKILL)": (signal.SIGKILL, False, {-9}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=10, help="of each kind of fault")
    parser.add_argument("--photographs", type=int, default=60, help="in each round")
    args = parser.parse_args()
    print(machine("onnxruntime", "joblib"), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        photos = save(Path(folder) / "in", args.photographs)
        rows = [
            [kind, *faults(Path(folder), photos, args.rounds, *FAULTS[kind])] for kind in FAULTS
        ]
        titles = [
            "Fault", "rounds", "done at the time", "whole", "not whole", "exit code wrong",
            "tracebacks", "after resuming: whole", "missing",
        ]  # fmt: skip
        print(table(titles, rows), flush=True)
        print(many(Path(folder) / "many", photos, args.images))


def save(folder: Path, count: int) -> list[Path]:
    """Photographs of 40 × 56 pixels."""
    folder.mkdir()
    samples = sample_photographs(128)
    paths = [folder / f"{i:03}.png" for i in range(count)]
    for i, path in enumerate(paths):
        part = samples[i % len(samples)][i : i + 40, 40:96]
        Image.fromarray(np.round(255 * part).astype(np.uint8)).save(path)
    return paths


def faults(
    folder: Path, photos: list[Path], rounds: int, sent: int, one: bool, codes: set[int]
) -> list[int]:
    """Counts over rounds: a batch in two processes, a signal at any time, a second batch."""
    sigmas = {photo.stem: defocus_map(read_image(photo)) for photo in photos}
    names = {f"{photo.stem}_sigma.{suffix}" for photo in photos for suffix in ("tif", "png")}
    rng = random.Random(0)
    count = dict.fromkeys(("done", "whole", "torn", "code", "trace", "end", "missing"), 0)
    # A shell's background jobs are started with SIGINT ignored.
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from skdefocus.cli import main; sys.exit(main())"
    )
    for i in range(rounds):
        out = folder / f"{sent}-{one}-{i}"
        command = [
            sys.executable, "-c", code, "map", *map(str, photos), "--out", str(out),
            "--no-picture", "--skip-existing", "--jobs", "2",
        ]  # fmt: skip
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        wanted = rng.randrange(1, len(names) * 2 // 3)
        while len(visible(out)) < wanted and process.poll() is None:
            time.sleep(0.005)
        count["done"] += len(visible(out))
        if one:
            os.kill(rng.choice(workers(process.pid)), sent)
        else:
            os.killpg(process.pid, sent)
        error = process.communicate()[1]
        count["code"] += process.returncode not in codes
        count["trace"] += "Traceback" in error
        good = sum(whole(out / name, sigmas) for name in visible(out))
        count["whole"] += good
        count["torn"] += len(visible(out)) - good
        subprocess.run(command, capture_output=True, check=False)
        count["end"] += sum(whole(out / name, sigmas) for name in visible(out))
        count["missing"] += len(names - visible(out))
        print(f"round {i + 1} of signal {sent}: {count}", file=sys.stderr, flush=True)
    return [rounds, *count.values()]


def visible(out: Path) -> set[str]:
    return {p.name for p in out.iterdir() if not p.name.startswith(".")} if out.exists() else set()


def whole(path: Path, sigmas: dict[str, np.ndarray]) -> bool:
    """Whether a map can be read and is the one it should be."""
    expected = sigmas[re.sub("_sigma$", "", path.stem)]
    try:
        if path.suffix == ".tif":
            return np.allclose(tifffile.imread(path), expected, atol=1e-5)
        return np.allclose(read_map(path), expected, atol=6e-4)
    except Exception as error:
        print(f"{path.name}: {error}")
        return False


def workers(parent: int) -> list[int]:
    """Process ids of the workers that joblib started for a process."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            same = int(stat.read_text().rpartition(")")[2].split()[1]) == parent
            if same and b"LokyProcess" in (stat.parent / "cmdline").read_bytes():
                found.append(int(stat.parent.name))
        except OSError:  # ended meanwhile
            continue
    return found


def many(out: Path, photos: list[Path], images: int) -> str:
    """Map files in a loop; memory at ten times from the second tenth on."""
    work = MapWork(out, None, make_defocus_pipeline(), picture=False)
    batch = _batch.Batch(work, overwrite=True)
    failures, used = 0, []
    with _batch.scratch_folder(out) as scratch:
        for i in range(images):
            photo = str(photos[i % len(photos)])
            failures += not _batch.work_on(photo, batch, scratch).written
            if (i + 1) % max(1, images // 10) == 0:
                used.append(memory())
                print(f"{i + 1} images: {used[-1]:.1f} MiB", file=sys.stderr, flush=True)
    return (
        f"{images} images in a loop: {failures} failed; resident memory {used[0]:.1f} MiB after "
        f"the first tenth, {used[-1]:.1f} MiB at the end, {max(used):.1f} MiB at most"
    )


def memory() -> float:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024


if __name__ == "__main__":
    main()
