"""Time and memory of fusing stacks, beside align_image_stack and enfuse.

``python -m benchmarks.speed.stacks`` reads the stacks in ``SKDEFOCUS_DATA`` and writes a section of
RESULTS.md; ``--growth 12 5 10 20`` also fuses 5, 10 and 20 frames of 12 megapixels.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import report
from benchmarks.accuracy.scenes import DATA

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
#: The same of frames that are made when they are needed: sharp along one stripe each.
MADE = """
import json, resource, sys
from functools import partial
import numpy as np
import skdefocus as sd
from benchmarks.speed.maps import photograph
sharp = photograph(float(sys.argv[1]))
count, width = int(sys.argv[2]), sharp.shape[1]
soft = np.stack([sd.synthesis.blur(plane, 3.0) for plane in np.moveaxis(sharp / 255, 2, 0)], 2)
soft = np.round(255 * soft).astype(np.uint8)
stripe = (np.arange(width) * count // width)[None, :, None]
frames = [partial(np.where, stripe == k, sharp, soft) for k in range(count)]
sd.FocusFuser(align="affine").fuse(frames)
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""


def in_a_process(code: str, *arguments: str) -> list[float]:
    """Seconds of the processor and of the clock, and peak memory in MiB, of a program."""
    command, start = [sys.executable, "-c", code, *arguments], time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, memory = json.loads(done.stdout.splitlines()[-1])
    return [seconds, time.perf_counter() - start, memory]


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
    parser.add_argument("--growth", nargs="*", default=["1", "5", "10", "20"])
    args = parser.parse_args()
    peers, rows = all(map(shutil.which, ("align_image_stack", "enfuse"))), []
    for name in args.stacks:
        frames = sorted((DATA / "stacks" / name).glob("*[0-9].jpg"))
        row = [name, len(frames), *in_a_process(OURS, *map(str, frames))]
        rows.append([*row, *(by_enfuse(frames) if peers else "--")])
        print(rows[-1], flush=True)
    megapixels, *counts = args.growth or [""]
    grown = [
        [f"{megapixels} MP", int(n), *in_a_process(MADE, megapixels, n), *"--"] for n in counts
    ]
    titles = ["stack", "frames", "processor, s", "clock, s", "MiB"]
    titles += ["align_image_stack and enfuse: processor, s", "clock, s"]
    body = f"""## Time and memory of fusion

`python -m benchmarks.speed.stacks`; {report.machine()}. Seconds and
peak memory of the process, with affine alignment, from the start of Python on. The last rows are
made of one photograph, in focus along a stripe in every frame.

{report.table(titles, rows + grown)}
"""
    report.write("stack-speed", body)


if __name__ == "__main__":
    main()
