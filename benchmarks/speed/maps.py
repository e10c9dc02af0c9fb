"""How long a map takes and how much memory, as ratios within one run.

``python -m benchmarks.speed.maps`` writes a section of RESULTS.md; ``--largest 100`` also maps a
photograph of 100 megapixels.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from tempfile import TemporaryDirectory

import joblib
import numpy as np
from sklearn.model_selection import GridSearchCV

import skdefocus as sd
from benchmarks import report
from benchmarks.speed.filters import in_turns
from skdefocus.datasets import load_sample_scenes, sample_photographs

SIZES = (0.1, 0.25, 1.0, 4.0, 12.0, 25.0)
DEFAULT = "default"
#: Candidates of the search, three folds each.
GRID = {"radius": [4, 8, 16], "eps": [1e-4, 1e-3, 1e-2], "n_iter": [0, 1, 2]}


def photograph(megapixels: float) -> np.ndarray:
    """An RGB mosaic of the photographs that come with scikit-image, uint8."""
    side = round((megapixels * 1e6) ** 0.5)
    row = np.hstack([np.round(p * 255).astype(np.uint8) for p in sample_photographs()])
    out = np.empty((side, side, 3), np.uint8)
    for i in range(0, side, row.shape[0]):
        for j in range(0, side, row.shape[1]):
            part = out[i : i + row.shape[0], j : j + row.shape[1]]
            part[...] = row[: part.shape[0], : part.shape[1], None]
    return out


def pipeline(**parameters: object) -> Callable[[np.ndarray], object]:
    pipe = sd.make_defocus_pipeline().set_params(**parameters)
    return lambda image: pipe.transform([image])


def roads() -> dict[str, Callable[[np.ndarray], object]]:
    found: dict[str, Callable[[np.ndarray], object]] = {
        DEFAULT: pipeline(),
        "step 16": pipeline(patches__step=16),
        "no octaves": pipeline(levels__octaves=0),
        "no surroundings": pipeline(refine__context=0.0),
        "EdgeReblurEstimator": lambda im: sd.EdgeReblurEstimator().transform([im]),
        "FocusMeasure": lambda im: sd.FocusMeasure().transform([im]),
    }
    if importlib.util.find_spec("blur_detector"):
        from benchmarks.accuracy.methods import blur_detector

        found["blur-detector"] = blur_detector
    if importlib.util.find_spec("cv2"):
        from benchmarks.accuracy.methods import laplacian_opencv

        found["OpenCV's Laplacian"] = laplacian_opencv
    return found


def stages(image: np.ndarray) -> list[list[object]]:
    """Seconds of each stage of the default pipeline."""
    rows, X = [], [image]
    for name, step in sd.make_defocus_pipeline().steps:
        start = time.perf_counter()
        X = step.transform(X)
        rows.append([name, time.perf_counter() - start])
    return rows


def printed(code: str) -> str:
    """What `code` prints, in a new interpreter."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def map_alone(megapixels: float) -> list[float]:
    """Seconds of a map in a process of its own, and the peak memory of that process in MiB."""
    with TemporaryDirectory() as folder:
        # From a file: making the photograph takes more memory than the map of a small one.
        np.save(f"{folder}/photo.npy", photograph(megapixels))
        code = (
            "import time, resource, numpy as np, skdefocus as sd\n"
            f"image = np.load({f'{folder}/photo.npy'!r}); sd.defocus_map(image[:64, :64])\n"
            "start = time.perf_counter(); sd.defocus_map(image)\n"
            "print(time.perf_counter() - start)\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
        )
        return [float(line) for line in printed(code).split()]


def imports() -> dict[str, float]:
    timed = "import time; s = time.perf_counter()\n{}\nprint(time.perf_counter() - s)"
    lines = {
        "NumPy and sklearn.pipeline": "import numpy, sklearn.pipeline",
        "skdefocus": "import skdefocus",
        "skdefocus and the first map": "import skdefocus, numpy; "
        "skdefocus.defocus_map(numpy.zeros((427, 640)))",
    }
    return in_turns(
        {name: partial(seconds_of, timed.format(line)) for name, line in lines.items()}, 5
    )


def seconds_of(code: str) -> float:
    """Seconds that `code` prints, in a new interpreter."""
    return float(printed(code))


def search() -> tuple[float, int]:
    """Time of a grid search over that of its refinements alone, and calls of the network.

    Both make the same maps, one for every candidate and fold, and score them.
    """
    from skdefocus import network

    scenes = load_sample_scenes(512)[:3]
    images = [np.tile(s.photograph, (2, 2)) for s in scenes]
    truth = [np.tile(s.sigma, (2, 2)) for s in scenes]
    grids = sd.BlurLevelClassifier().transform(sd.PatchExtractor().transform(images))
    options = {"cv": 3, "refit": False, "scoring": sd.metrics.neg_sigma_mae}
    calls = []
    run = network.run

    def counted(*arguments: object) -> object:
        calls.append(arguments)
        return run(*arguments)

    def whole() -> None:
        names = {f"refine__{k}": v for k, v in GRID.items()}
        with TemporaryDirectory() as cache:
            pipe = sd.make_defocus_pipeline(memory=cache)
            GridSearchCV(pipe, names, **options).fit(images, truth)

    def alone() -> None:
        GridSearchCV(sd.WeightedGuidedRefiner(), GRID, **options).fit(grids, truth)

    sd.make_defocus_pipeline().transform(images)
    ratios = []
    network.run = counted
    try:
        for _ in range(3):  # each beside the other, as the machine's speed changes
            spent = [timed(work) for work in (whole, alone)]
            ratios.append(spent[0] / spent[1])
    finally:
        network.run = run
    return float(np.median(ratios)), len(calls) // 3


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def from_tiff(megapixels: float) -> list[list[object]]:
    """Seconds and peak memory of ``skdefocus map`` on an uncompressed and a deflated RGB TIFF."""
    import tifffile

    kinds = {"uncompressed": {}, "deflated tiles": {"compression": "zlib", "tile": (256, 256)}}
    image, rows = photograph(megapixels), []
    with TemporaryDirectory() as folder:
        for kind, options in kinds.items():
            path = f"{folder}/photo.tif"
            tifffile.imwrite(path, image, photometric="rgb", **options)
            command = [sys.executable, "-m", "skdefocus", "map", path, "--out", folder, "-q"]
            code = (
                "import resource, subprocess, time; start = time.perf_counter()\n"
                f"subprocess.run({[*command, '--overwrite']!r}, check=True)\n"
                "print({})"
            )
            memory = "resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024"
            code = code.format(f"time.perf_counter() - start, {memory}")
            rows.append([kind, *map(float, printed(code).split())])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=float, default=SIZES[-1], help="megapixels")
    args = parser.parse_args()
    image = photograph(1.0)
    ways = roads()
    seconds = in_turns({name: partial(way, image) for name, way in ways.items()}, 5)
    base = seconds[DEFAULT]
    sizes = sorted({*SIZES, args.largest})
    alone = [[m, *map_alone(m)] for m in sizes]
    large = [row for row in alone if row[0] >= 1]
    power = np.polyfit(np.log([r[0] for r in large]), np.log([r[1] for r in large]), 1)[0]
    threads = in_turns(
        {str(n): partial(pipeline(levels__n_threads=n, refine__n_jobs=1), image) for n in (1, 2)}, 3
    )
    started = imports()
    plain = started["NumPy and sklearn.pipeline"]
    ratio, calls = search()
    tiff = from_tiff(args.largest)
    body = f"""## Maps: time and memory

`python -m benchmarks.speed.maps --largest {args.largest:g}`; {report.machine("onnxruntime")}.
Photograph to map at one megapixel (RGB, 8 bits), medians of runs that take turns:

{
        report.table(
            ["", "seconds", "times the default"],
            [[name, s, s / base] for name, s in seconds.items()],
        )
    }

Stages of the default, one run:

{report.table(["stage", "seconds"], stages(image))}

By size, each the first map of a process of its own, which takes longer than later ones; from 1
megapixel on time grows with the power {
        power:.2f}. Memory is the peak of the whole process, with the
photograph and the map (7 bytes per pixel):

{report.table(["megapixels", "seconds", "MiB"], alone)}

`skdefocus map` from a TIFF of {args.largest:g} megapixels (RGB, 8 bits) to all three outputs; the
peak counts the pages of the uncompressed file that are in memory, which the system can drop:

{report.table(["TIFF", "seconds", "MiB"], tiff)}

Threads of the network at one megapixel, of {joblib.cpu_count()} cores:

{report.table(["threads", "seconds"], [[n, s] for n, s in threads.items()])}

Start, as ratio to importing NumPy and scikit-learn's pipeline:

{report.table(["", "seconds", "ratio"], [[name, s, s / plain] for name, s in started.items()])}

GridSearchCV of {np.prod([len(v) for v in GRID.values()])} candidates and three folds over the
refinement, three photographs of 1024×1024, with a cache: {ratio:.2f} times the refinements alone;
the network was called {calls} times.
"""
    report.write("maps", body)


if __name__ == "__main__":
    main()
