"""Time and memory of fusing stacks, beside align_image_stack and enfuse.

``python -m benchmarks.speed.stacks`` reads the stacks in ``SKDEFOCUS_DATA`` and writes a section of
RESULTS.md; ``--growth 12x5 24x20`` also fuses 5 frames of 12 megapixels and 20 of 24.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

import skdefocus as sd
from benchmarks import report
from benchmarks.accuracy.scenes import DATA
from benchmarks.speed.maps import photograph

#: A fusion in a process of its own; it prints the processor's seconds and the peak in MiB.
OURS = """
import json, resource, sys
from functools import partial
import skdefocus as sd
from skdefocus.io import read_image
frames = [partial(read_image, name) for name in sys.argv[1:]]
sd.FocusFuser(align="affine").fuse(frames)
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""


def in_a_process(frames: list[Path]) -> list[float]:
    """Seconds of the processor and of the clock, and peak memory in MiB, of a fusion."""
    command, start = [sys.executable, "-c", OURS, *map(str, frames)], time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, memory = json.loads(done.stdout.splitlines()[-1])
    return [seconds, time.perf_counter() - start, memory]


def made(megapixels: float, count: int, folder: Path) -> list[Path]:
    """Write the frames of a stack, in focus along one stripe of a photograph each."""
    sharp = photograph(megapixels)
    soft = [sd.synthesis.blur(plane / np.float32(255), 3.0) for plane in np.moveaxis(sharp, 2, 0)]
    soft = np.round(255 * np.stack(soft, axis=2)).astype(np.uint8)
    stripe = (np.arange(sharp.shape[1]) * count // sharp.shape[1])[None, :, None]
    paths = [folder / f"{k:03}.jpg" for k in range(count)]
    for k, path in enumerate(paths):
        Image.fromarray(np.where(stripe == k, sharp, soft)).save(path, quality=95)
    return paths


def grown(megapixels: float, count: int) -> list[float]:
    """Seconds and memory of a fusion of `count` frames that are made for it."""
    with TemporaryDirectory() as folder:
        # Made in another process, as the peak of its memory is that of this one where it starts.
        with ProcessPoolExecutor(1, get_context("spawn")) as other:
            frames = other.submit(made, megapixels, count, Path(folder)).result()
        return in_a_process(frames)


def by_enfuse(frames: list[Path]) -> list[float]:
    """Seconds of the processor and of the clock of align_image_stack and enfuse."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with TemporaryDirectory() as folder:
        align = ["align_image_stack", "-m", "-a", f"{folder}/aligned_", *map(str, frames)]
        subprocess.run(align, capture_output=True, check=True)
        aligned = sorted(map(str, Path(folder).glob("aligned_*.tif")))
        options = "--exposure-weight=0 --saturation-weight=0 --contrast-weight=1 --hard-mask"
        fuse = ["enfuse", *options.split(), "-o", f"{folder}/fused.tif", *aligned]
        subprocess.run(fuse, capture_output=True, check=True)
    after, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - start
    return [after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, clock]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stacks", nargs="*", default=["pcb", "steps", "pcb_depth"])
    parser.add_argument("--growth", nargs="*", default=["1x5", "1x10", "1x20"])
    args = parser.parse_args()
    peers, rows = all(map(shutil.which, ("align_image_stack", "enfuse"))), []
    for name in args.stacks:
        frames = sorted((DATA / "stacks" / name).glob("*[0-9].jpg"))
        row = [name, len(frames), *in_a_process(frames)]
        rows.append([*row, *(by_enfuse(frames) if peers else "--")])
        print(rows[-1], flush=True)
    for text in args.growth:
        megapixels, count = text.split("x")
        rows.append([f"{megapixels} MP", int(count), *grown(float(megapixels), int(count)), *"--"])
        print(rows[-1], flush=True)
    titles = ["stack", "frames", "processor, s", "clock, s", "MiB"]
    titles += ["align_image_stack and enfuse: processor, s", "clock, s"]
    body = f"""## Time and memory of fusion

`python -m benchmarks.speed.stacks`; {report.machine()}. Seconds and
peak memory of the process, with affine alignment, from the start of Python on. The last rows are
made of one photograph, in focus along a stripe in every frame, as JPEG files.

{report.table(titles, rows)}
"""
    report.write("stack-speed", body)


if __name__ == "__main__":
    main()
