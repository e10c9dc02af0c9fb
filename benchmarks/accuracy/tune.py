"""How the refiner's defaults were chosen.

``python -m benchmarks.accuracy.tune`` searches with GridSearchCV over scenes with true σ (the
half of the photographs kept for choosing), the first ten Lytro pairs, every second photograph of
CUHK and the eight pairs that ``benchmarks.accuracy`` does not report on, and prints the candidates
by the sum of their ranks. The last column here, the other ten Lytro pairs, is printed and not used.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.stats import rankdata
from sklearn.model_selection import GridSearchCV

import skdefocus as sd
from benchmarks.accuracy.cases import Case, lytro_cases, more_cuhk_cases, scene_cases

GRID = [
    {"radius": [6, 8, 16, 24], "eps": [1e-4, 3e-4, 1e-3]},
    {"prior": [0.003, 0.03, 0.15]},
    {"fill_radius": [32, 96, 128]},
    {"alpha": [0.0, 2.0]},
    {"n_iter": [0, 2]},
    {"guide": ["gray"]},
    {"context": [0.0, 0.15, 0.5, 1.0]},
]


def search(cases: list[Case], truth: list[np.ndarray], scorer: object, grid: list) -> GridSearchCV:
    levels = sd.BlurLevelClassifier().transform(
        sd.PatchExtractor().transform([c.image for c in cases])
    )
    every = np.arange(len(cases))
    refiner = sd.WeightedGuidedRefiner()
    # Nothing is learned, so one fold that holds everything is as good as many.
    return GridSearchCV(refiner, grid, scoring=scorer, cv=[(every, every)], refit=False).fit(
        levels, truth
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=20)
    args = parser.parse_args()
    made = [*scene_cases("choose", args.scenes, "clean")]
    made += scene_cases("choose", args.scenes // 2, "middle")
    sets = {
        "AUC 1-10": list(lytro_cases(slice(0, 10))),
        "CUHK": list(more_cuhk_cases("choose")),
        "others": list(lytro_cases(kind="stand")),
        "AUC 11-20": list(lytro_cases(slice(10, 20))),
    }
    found = search(made, [c.sigma for c in made], sd.metrics.neg_sigma_mae, GRID)
    scores = [found.cv_results_["mean_test_score"]]
    for cases in sets.values():
        by_mask = search(cases, [c.mask for c in cases], sd.metrics.focus_auc_scorer, GRID)
        scores.append(by_mask.cv_results_["mean_test_score"])
    rank = sum(rankdata(-s) for s in scores[:-1])
    print(f"rank  σ MAE  {'  '.join(sets)}  parameters")
    for i in np.argsort(rank)[:25]:
        values = "  ".join(f"{abs(s[i]):.4f}" for s in scores)
        print(f"{rank[i]:5.0f}  {values}  {found.cv_results_['params'][i]}")


if __name__ == "__main__":
    main()
