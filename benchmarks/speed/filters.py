"""Guided filters beside OpenCV's: time, accuracy and memory, as ratios in one run.

``python -m benchmarks.speed.filters`` (needs the extra ``peers``) writes a section of RESULTS.md.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks import report
from skdefocus.filters import GuidedFilter, guided_filter

RADIUS, EPS = 22, 1e-3
SIZES = {"600×900": (600, 900), "3000×4000": (3000, 4000)}
Work = Callable[[], object]


def scene(shape: tuple[int, int], channels: int) -> tuple[np.ndarray, np.ndarray]:
    """A guide with edges at all scales, and a noisy image that shares some of them."""
    rng = np.random.default_rng(0)
    y, x = np.indices(shape, np.float32)
    planes = [np.sin(x / p) * np.cos(y / (p + 3)) > 0.2 for p in (9, 31, 83)[:channels]]
    guide = np.stack(planes, axis=-1).astype(np.float32) * 0.5 + 0.25
    guide += rng.normal(0, 0.02, guide.shape).astype(np.float32)
    image = guide.mean(axis=-1) + rng.normal(0, 0.1, shape).astype(np.float32)
    return np.clip(image, 0, 1), np.clip(guide[..., 0] if channels == 1 else guide, 0, 1)


def rounds(works: dict[str, Work], repeats: int) -> dict[str, np.ndarray]:
    """Seconds of each in every round; they take turns, so that all see the same disturbances."""
    spent: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    for _ in range(repeats):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            spent[name].append(time.perf_counter() - start)
    return {name: np.array(s) for name, s in spent.items()}


def in_turns(works: dict[str, Work], repeats: int) -> dict[str, float]:
    """Median seconds of each."""
    return {name: float(np.median(s)) for name, s in rounds(works, repeats).items()}


def beside_opencv(channels: int, shape: tuple[int, int], repeats: int) -> list[list[object]]:
    import cv2

    cv2.setNumThreads(2)
    image, guide = scene(shape, channels)
    ready = GuidedFilter(guide, RADIUS, EPS)
    seconds = rounds(
        {
            "OpenCV": lambda: cv2.ximgproc.guidedFilter(guide, image, RADIUS, EPS),
            "guide's statistics kept": lambda: ready.filter(image),
            "from cold": lambda: guided_filter(image, guide, RADIUS, EPS),
            "subsampled by 4, from cold": lambda: guided_filter(
                image, guide, RADIUS, EPS, subsample=4
            ),
        },
        repeats,
    )
    return [
        [name, float(np.median(s)), float(np.median(s / seconds["OpenCV"]))]
        for name, s in seconds.items()
    ]


def accuracy() -> list[list[object]]:
    """Largest difference from float64 at eps = 1e-6, of ours and of OpenCV's in float32."""
    import cv2

    rows: list[list[object]] = []
    for channels in (1, 3):
        image, guide = scene(SIZES["600×900"], channels)
        exact = guided_filter(image.astype(np.float64), guide.astype(np.float64), RADIUS, 1e-6)
        ours = guided_filter(image, guide, RADIUS, 1e-6)
        theirs = cv2.ximgproc.guidedFilter(guide, image, RADIUS, 1e-6)
        away = slice(2 * RADIUS, -2 * RADIUS)  # its borders are mirrored otherwise
        row = [float(np.abs(x - exact)[away, away].max()) for x in (ours, theirs)]
        rows.append(["gray" if channels == 1 else "color", *row])
    return rows


def subsampled() -> list[list[object]]:
    rows: list[list[object]] = []
    for channels in (1, 3):
        image, guide = scene(SIZES["3000×4000"], channels)
        full = guided_filter(image, guide, RADIUS, EPS)
        for step in (2, 4, 8):
            seconds = rounds(
                {
                    str(k): partial(guided_filter, image, guide, RADIUS, EPS, subsample=k)
                    for k in (1, step)
                },
                5,
            )
            fast = guided_filter(image, guide, RADIUS, EPS, subsample=step)
            psnr = -10 * np.log10(float(np.mean((fast - full) ** 2)))
            kind = "gray" if channels == 1 else "color"
            rows.append([kind, step, float(np.median(seconds["1"] / seconds[str(step)])), psnr])
    return rows


def growth() -> tuple[float, list[list[object]]]:
    """The power of the number of pixels that time grows with, and seconds by radius."""
    sides = (500, 1000, 2000, 4000)
    seconds = []
    for side in sides:
        image, guide = scene((side, side), 1)
        work = partial(guided_filter, image, guide, RADIUS, EPS)
        seconds.append(in_turns({"": work}, 3)[""])
    power = float(np.polyfit(np.log(sides), np.log(seconds), 1)[0] / 2)
    image, guide = scene((1000, 1000), 1)
    by_radius = in_turns(
        {str(r): lambda r=r: guided_filter(image, guide, r, EPS) for r in (2, 8, 32, 128, 499)}, 5
    )
    return power, [[int(r), s / by_radius["2"]] for r, s in by_radius.items()]


def memory() -> list[list[object]]:
    """Peak memory beyond image and guide, in bytes per pixel, each in a process of its own."""
    rows: list[list[object]] = []
    for channels in (1, 3):
        row: list[object] = ["gray" if channels == 1 else "color"]
        for work in ("ours", "ours, subsampled by 4", "OpenCV"):
            code = f"from benchmarks.speed import filters; filters.peak({channels}, {work!r})"
            done = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True
            )
            row.append(float(done.stdout))
        rows.append(row)
    return rows


def peak(channels: int, work: str) -> None:
    shape = SIZES["3000×4000"]
    if work == "OpenCV":
        import cv2

        cv2.setNumThreads(2)
    image, guide = scene(shape, channels)
    # What made the scene is given back, and must be reached again before it counts.
    small = image[:64, :64].copy(), guide[:64, :64].copy()
    guided_filter(*small, 3, EPS)
    before = _resident()
    with open("/proc/self/clear_refs", "w", encoding="ascii") as refs:
        refs.write("5")
    if work == "OpenCV":
        cv2.ximgproc.guidedFilter(guide, image, RADIUS, EPS)
    else:
        guided_filter(image, guide, RADIUS, EPS, subsample=1 if work == "ours" else 4)
    print((_resident("VmHWM") - before) * 1024 / (shape[0] * shape[1]))


def _resident(name: str = "VmRSS") -> int:
    """Kilobytes, from Linux; elsewhere the peak so far."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith(name))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    times = []
    for channels, kind in ((1, "gray"), (3, "color")):
        for name, shape in SIZES.items():
            for row in beside_opencv(channels, shape, 31 if shape[0] < 1000 else 5):
                times.append([kind, name, *row])
    power, by_radius = growth()
    body = f"""## Guided filters

`python -m benchmarks.speed.filters`; {report.machine("opencv-contrib-python-headless")}. Radius
{RADIUS}, ε = {EPS:g}, float32, two threads each; medians of seconds and of ratios over rounds
in which all take turns. OpenCV's seconds at 600×900 depend on what ran before it, by up to 1.7.

{report.table(["guide", "size", "", "seconds", "times OpenCV's"], times)}

Largest difference from float64 at ε = 1e-6:

{report.table(["guide", "ours in float32", "OpenCV"], accuracy())}

The subsampled filter beside the full one, 3000×4000:

{report.table(["guide", "every", "times faster", "PSNR to the full one, dB"], subsampled())}

Peak memory beyond image and guide at 3000×4000, bytes per pixel:

{report.table(["guide", "ours", "ours, subsampled by 4", "OpenCV"], memory())}

Time grows with the power {power:.2f} of the number of pixels (0.25 to 16 megapixels). By radius, at
one megapixel, as ratio to radius 2:

{report.table(["radius", "time"], by_radius)}
"""
    report.write("filters", body)


if __name__ == "__main__":
    main()
