"""How long a map takes, as ratios within one run.

``python -m benchmarks.speed.maps`` times one photograph from pixels to refined map, by default
and by slower roads, interleaved, and writes the table to benchmarks/speed/maps.md.
"""

from __future__ import annotations

import importlib.util
import platform
import time
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np

import skdefocus as sd
from benchmarks.accuracy.methods import blur_detector
from skdefocus.datasets import sample_photographs


def photograph(megapixels: float) -> np.ndarray:
    """An RGB mosaic of the photographs that come with scikit-image, uint8."""
    side = round((megapixels * 1e6) ** 0.5)
    row = np.hstack(sample_photographs())
    grey = np.tile(row, (-(-side // row.shape[0]), -(-side // row.shape[1])))[:side, :side]
    return np.stack([np.round(grey * 255).astype(np.uint8)] * 3, axis=-1)


def one_by_one(image: np.ndarray) -> None:
    """The loop of the paper's demonstration: one patch a call."""
    grid = sd.PatchExtractor().transform([image])[0]
    classifier = sd.BlurLevelClassifier(batch_size=1, inference="patches")
    sd.WeightedGuidedRefiner().transform(classifier.transform([grid]))


def roads() -> dict[str, Callable[[np.ndarray], object]]:
    dense = sd.make_defocus_pipeline()
    patches = sd.make_defocus_pipeline().set_params(levels__inference="patches")
    found: dict[str, Callable[[np.ndarray], object]] = {
        "default (dense), step 8": lambda im: dense.transform([im]),
        "batched patches, step 8": lambda im: patches.transform([im]),
        "one patch a call, step 8": one_by_one,
    }
    if importlib.util.find_spec("blur_detector"):
        found["blur-detector"] = blur_detector
    return found


def stages(image: np.ndarray) -> dict[str, float]:
    """Seconds of each stage of the default pipeline."""
    spent, X = {}, [image]
    for name, step in sd.make_defocus_pipeline().steps:
        start = time.perf_counter()
        X = step.transform(X)
        spent[name] = time.perf_counter() - start
    return spent


def main() -> None:
    image = photograph(1.0)
    sd.defocus_map(image)  # loads the network
    times: dict[str, list[float]] = {name: [] for name in roads()}
    for repeat in range(5):
        for name, road in roads().items():
            if name.startswith("one patch") and repeat:
                continue  # it takes long, and its ratio is far from any bound
            start = time.perf_counter()
            road(image)
            times[name].append(time.perf_counter() - start)
    median = {name: float(np.median(t)) for name, t in times.items()}
    base = next(iter(median.values()))
    lines = ["| one megapixel, photograph to map | seconds | times the default |", "|---|---|---|"]
    lines += [f"| {n} | {t:.2f} | {t / base:.1f} |" for n, t in median.items()]
    spent = {k: f"{v:.3f} s" for k, v in stages(image).items()}
    growth = {}
    for megapixels in (0.25, 1, 4, 16):
        large = photograph(megapixels)
        start = time.perf_counter()
        sd.defocus_map(large)
        growth[megapixels] = time.perf_counter() - start
    slope = np.polyfit(np.log(list(growth)[1:]), np.log(list(growth.values())[1:]), 1)[0]
    text = (
        "# Speed of maps\n\n"
        f"Written by `python -m benchmarks.speed.maps`; {platform.machine()}, "
        f"{joblib.cpu_count()} cores, skdefocus {sd.__version__}, Python "
        f"{platform.python_version()}.\n\n"
        + "\n".join(lines)
        + f"\n\nStages by default: {spent}.\n"
        f"Seconds by megapixels: { {k: round(v, 2) for k, v in growth.items()} }; from 1 to 16 "
        f"megapixels time grows with the power {slope:.2f}.\n"
    )
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
