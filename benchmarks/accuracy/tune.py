"""Choose the weights of the octaves and the defaults of the refiner.

``python -m benchmarks.accuracy.tune`` measures candidates on the halves that are kept for choosing:
scenes with true σ, clean and noisy, evenly blurred photographs, indoor photographs with σ from
depth, the first ten Lytro pairs and every second photograph of CUHK. It prints one row a candidate.
``--octaves`` does the same for how the answers of the octaves are weighed, on unrefined maps.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np
from sklearn.model_selection import GridSearchCV
from tqdm import tqdm

import skdefocus as sd
from benchmarks.accuracy.cases import (
    Case,
    blurred_cases,
    indoor_cases,
    lytro_cases,
    more_cuhk_cases,
    scene_cases,
)
from benchmarks.accuracy.methods import raw
from skdefocus import metrics
from skdefocus.pipeline import _octaves

GRID = [
    {"context": [0.0, 0.1, 0.2, 0.3]},
    {"radius": [2, 4, 8, 16], "eps": [3e-4, 1e-3]},
    {"prior": [0.01, 0.1, 0.5]},
    {"fill_radius": [64, 128]},
    {"alpha": [0.0, 2.0]},
    {"n_iter": [0, 2]},
]
#: Weights of the photograph's own size and of its halvings.
WEIGHTS = [
    (1.0, 0.0, 0.0, 0.0),
    (1.0, 0.3, 0.3, 0.5),
    (1.0, 0.5, 0.5, 0.5),
    (0.8, 0.5, 0.7, 0.7),
    (1.0, 0.5, 0.7, 0.7),
    (0.7, 0.4, 0.4, 0.7),
    (1.0, 1.0, 1.0, 1.0),
]
#: σ of the evenly blurred photographs.
BLURS = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)


def known(case: Case) -> np.ndarray:
    return np.isfinite(case.sigma)


def off(case: Case, sigma_map: np.ndarray) -> float:
    """Mean absolute error in pixels where σ is known."""
    where = known(case)
    return float(np.abs(sigma_map - case.sigma)[where].mean())


def ranked(case: Case, sigma_map: np.ndarray) -> float:
    where = known(case)
    return metrics.spearman([case.sigma[where][None]], [sigma_map[where][None]])


def separated(case: Case, sigma_map: np.ndarray) -> float:
    return metrics.focus_auc(case.mask, sigma_map)


def strayed(case: Case, sigma_map: np.ndarray) -> float:
    """Relative error of the median σ on textured places; half a pixel counts as nothing."""
    true = float(case.name)
    return abs(float(np.median(sigma_map[case.mask > 0])) - true) / max(true, 0.5)


def sets(count: int) -> dict[str, tuple[list[Case], Callable[[Case, np.ndarray], float]]]:
    """The data for choosing, and what is measured on each."""
    evenly = [
        Case(f"{sigma:g}", case.image, mask=case.mask)
        for sigma in BLURS
        for case in blurred_cases("choose", sigma, camera=sigma > 1, count=4)
    ]
    indoor = list(indoor_cases("choose"))
    return {
        "scenes px": (list(scene_cases("choose", count, "clean")), off),
        "noisy px": (list(scene_cases("choose", count // 2, "middle")), off),
        "even": (evenly, strayed),
        "indoor px": (indoor, off),
        "indoor rank": (indoor, ranked),
        "Lytro AUC": (list(lytro_cases(slice(0, 10))), separated),
        "CUHK AUC": (list(more_cuhk_cases("choose")), separated),
    }


def rows_of_refiners(count: int) -> Iterator[tuple[object, list[float]]]:
    """Candidates of the refinement by GridSearchCV; the network runs once an image."""
    found = []
    for cases, measure in sets(count).values():
        levels = sd.make_defocus_pipeline()[:-1].transform([c.image for c in cases])

        def score(refiner: object, grids: object, truth: object, measure=measure) -> float:
            maps = refiner.transform(grids)  # type: ignore[attr-defined]
            return float(np.mean([measure(c, m) for c, m in zip(truth, maps, strict=True)]))

        every = np.arange(len(cases))
        # Nothing is learned, so one fold that holds everything is as good as many.
        search = GridSearchCV(
            sd.WeightedGuidedRefiner(), GRID, scoring=score, cv=[(every, every)], refit=False
        ).fit(levels, cases)
        found.append(search.cv_results_["mean_test_score"])
        candidates = search.cv_results_["params"]
    yield from zip(candidates, np.array(found).T.tolist(), strict=True)


def rows_of_octaves(count: int) -> Iterator[tuple[object, list[float]]]:
    """Candidates of the octaves' weights."""
    data = sets(count)
    for weights in tqdm(WEIGHTS, leave=False):
        _octaves.WEIGHTS = weights
        row = []
        for cases, measure in data.values():
            total = 0.0
            for case in cases:
                total += measure(case, raw(case.image))
            row.append(total / len(cases))
        yield weights, row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--octaves", action="store_true", help="weights of the octaves instead")
    args = parser.parse_args()
    print(f"| candidate | {' | '.join(sets(1))} |")
    print("|---|" + "---|" * len(sets(1)))
    for candidate, row in (rows_of_octaves if args.octaves else rows_of_refiners)(args.scenes):
        print(f"| {candidate} | {' | '.join(f'{x:.4f}' for x in row)} |", flush=True)


if __name__ == "__main__":
    main()
