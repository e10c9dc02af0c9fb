"""Stacks as people shoot them, with known truth: lamps, misfires, drift, motion, small things.

``python -m benchmarks.accuracy.stacks`` reads photographs from ``SKDEFOCUS_DATA``, runs the
programs that are on the path and writes a section of RESULTS.md.
"""

from __future__ import annotations

import argparse
import shutil
import time
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
from scipy import ndimage

import skdefocus as sd
from benchmarks import report
from benchmarks.accuracy.fusion import OURS, by_command, stacks
from skdefocus.fusion import FocusFuser
from skdefocus.synthesis import blur, from_linear, to_linear

#: Frames and their truth, both uint8.
Scene = tuple[list[np.ndarray], np.ndarray]
#: Part of the sides that is not scored, because not every frame reaches it.
BORDER = 0.05
#: Side by which breathing changes the picture over the stack, largest shift in pixels, exposure of
#: the last frame and of a misfire, blur of what is at the other end of the stack, light of lamps.
BREATHING, SHIFT, DRIFT, MISFIRE, FAR, LAMP = 0.01, 6, 0.85, 0.03, 5.0, 12.0

#: Arguments of peers, without and with their own alignment; the latter only for frames that moved.
COMMANDS = {
    "enfuse": (
        "enfuse --exposure-weight=0 --saturation-weight=0 --contrast-weight=1 --hard-mask "
        "-o {out} {frames}",
        None,
    ),
    "focusweave": (
        "focusweave {folder} --no-align --output {out}",
        "focusweave {folder} --output {out}",
    ),
    "openfocus stackmffv3": (
        "openfocus -i {frames} -o {out} -m stackmffv3 --no-exposure-match --cpu",
        "openfocus -i {frames} -o {out} -m stackmffv3 --no-exposure-match --cpu --align ecc",
    ),
}


def as_eight_bits(image: np.ndarray) -> np.ndarray:
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)


def with_lamps(scene: Scene, rng: np.random.Generator) -> Scene:
    """Small lamps at the depth of the first frame, whose discs other frames show."""
    frames, truth = scene
    spots = np.zeros(truth.shape)
    rows, columns = (rng.integers(20, length - 20, 25) for length in truth.shape)
    for y, x in zip(rows, columns, strict=True):
        spots[y : y + 3, x : x + 3] = LAMP

    def lit(frame: np.ndarray, sigma: float) -> np.ndarray:
        light = blur(spots, sigma, shape="disc") if sigma else spots
        return as_eight_bits(from_linear(np.clip(to_linear(frame / 255) + light, 0, 1)))

    sigmas = np.linspace(0, FAR, len(frames))
    return [lit(f, s) for f, s in zip(frames, sigmas, strict=True)], lit(truth, 0)


def with_misfire(scene: Scene, rng: np.random.Generator) -> Scene:
    """A frame in the middle for which the flash did not fire."""
    frames, truth = scene
    middle = len(frames) // 2
    dark = MISFIRE * frames[middle] / 255 + rng.normal(0, 0.004, truth.shape)
    return [*frames[:middle], as_eight_bits(dark), *frames[middle:]], truth


def with_drift(scene: Scene, rng: np.random.Generator) -> Scene:
    """Exposure that falls from frame to frame."""
    gains = np.linspace(1, DRIFT, len(scene[0]))
    return [as_eight_bits(f / 255 * g) for f, g in zip(scene[0], gains, strict=True)], scene[1]


def with_motion(scene: Scene, rng: np.random.Generator) -> Scene:
    """A hand-held camera whose lens breathes."""
    frames, truth = scene
    middle, moved = np.array(truth.shape) / 2, [frames[0]]
    for k, frame in enumerate(frames[1:], 1):
        scale = 1 + BREATHING * k / (len(frames) - 1)
        offset = middle - scale * middle + rng.uniform(-SHIFT, SHIFT, 2)
        plane = frame.astype(np.float32) / 255
        plane = ndimage.affine_transform(plane, [scale] * 2, offset, mode="nearest")
        moved.append(as_eight_bits(plane))
    return moved, truth


def with_small_things(scene: Scene, rng: np.random.Generator) -> Scene:
    """Dots and bristles in front, in focus in the last frame."""
    frames, truth = scene
    mask = np.zeros(truth.shape)
    for y in range(40, truth.shape[0] - 40, 90):
        for x in range(40, truth.shape[1] - 40, 90):
            mask[y : y + 5, x : x + 5] = 1
            mask[y + 40 : y + 42, x : x + 60] = 1
    gray = rng.uniform(0, 1, truth.shape) * 0.1 + np.where(truth > 128, 0.05, 0.85)
    sigmas = np.linspace(FAR, 0, len(frames))

    def covered(frame: np.ndarray, sigma: float) -> np.ndarray:
        share, light = (blur(p, sigma) if sigma else p for p in (mask, mask * gray))
        return as_eight_bits(light + (1 - share) * frame / 255)

    return [covered(f, s) for f, s in zip(frames, sigmas, strict=True)], covered(truth, 0)


KINDS: dict[str, Callable[[Scene, np.random.Generator], Scene]] = {
    "lamps": with_lamps,
    "misfire": with_misfire,
    "drift of exposure": with_drift,
    "hand-held, breathing": with_motion,
    "small things": with_small_things,
}


def ours(frames: list[np.ndarray], moved: bool) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # frames that are left out
        return FocusFuser(align="affine" if moved else "none").transform([frames])[0]


def quality(image: np.ndarray, truth: np.ndarray) -> float:
    """PSNR in dB without the borders; nan for a result of another size."""
    if image.shape != truth.shape:
        return float("nan")
    inner = tuple(slice(round(BORDER * n), round((1 - BORDER) * n)) for n in truth.shape)
    return float(sd.metrics.psnr(np.round(image[inner] * 255) / 255, truth[inner] / 255))


def timed(fuse: Callable[[], np.ndarray], truth: np.ndarray) -> tuple[float, float]:
    """Quality of a fusion, and the seconds that it takes."""
    start = time.perf_counter()
    fused = fuse()
    seconds = time.perf_counter() - start
    return quality(fused, truth), seconds


def fused_by_all(scene: Scene, moved: bool) -> dict[str, tuple[float, float]]:
    """Quality and seconds of all programs for a stack."""
    frames, truth = scene
    found = {OURS: timed(partial(ours, frames, moved), truth)}
    for name, (plain, aligned) in COMMANDS.items():
        command = aligned if moved else plain
        if command is not None and shutil.which(command.split()[0]):
            found[name] = timed(partial(by_command, command, frames), truth)
    return found


def rows(counts: list[int], scenes: int) -> list[list[object]]:
    """Mean PSNR and seconds of all programs for all kinds of stacks, and how often ours leads."""
    found: list[list[object]] = []
    for count in counts:
        plain = stacks(scenes, count)
        for kind, change in KINDS.items():
            rng = np.random.default_rng(count)
            results = [fused_by_all(change(s, rng), change is with_motion) for s in plain]
            row: list[object] = [count, kind]
            for name in (OURS, *COMMANDS):
                both = [result[name] for result in results if name in result]
                row.append("{:.1f} ({:.1f} s)".format(*np.mean(both, axis=0)) if both else "-")
            # Not below any of the others; a result of another size is below all.
            best = [np.nanmax([q for q, _ in result.values()]) for result in results]
            row.append(sum(r[OURS][0] >= most for r, most in zip(results, best, strict=True)))
            print(row, flush=True)
            found.append(row)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, nargs="+", default=[2, 5, 20])
    parser.add_argument("--scenes", type=int, default=3, help="scenes of every kind and length")
    args = parser.parse_args()
    command = f"--frames {' '.join(map(str, args.frames))} --scenes {args.scenes}"
    titles = ["frames", "kind", OURS, *COMMANDS, f"scenes of {args.scenes} in which {OURS} leads"]
    body = f"""## Stacks as people shoot them

`python -m benchmarks.accuracy.stacks {command}`;
{report.machine()}. {args.scenes} scenes each;
mean PSNR in dB to the all-in-focus truth without a border of {BORDER:.0%}, and seconds (of other
programs with their start). Moved frames are aligned by each program; enfuse does not align, and nan
stands for a result of another size.

{report.table(titles, rows(args.frames, args.scenes))}
"""
    report.write("stacks", body)


if __name__ == "__main__":
    main()
