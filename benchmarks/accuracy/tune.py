"""How the refiner's defaults were chosen.

``python -m benchmarks.accuracy.tune`` searches with GridSearchCV over scenes with true σ (the
half of the photographs kept for choosing) and over the first ten Lytro pairs, and prints the
candidates by the sum of their ranks. ``python -m benchmarks.accuracy`` reports on other
photographs; the last column here, the other ten Lytro pairs, is printed and not used.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.stats import rankdata
from sklearn.model_selection import GridSearchCV

import skdefocus as sd
from benchmarks.accuracy.__main__ import Case, lytro_cases, scene_cases

GRID = [
    {"radius": [6, 8, 16, 24], "eps": [1e-4, 3e-4, 1e-3]},
    {"prior": [0.03, 0.15, 0.3]},
    {"fill_radius": [32, 128]},
    {"alpha": [0.0, 2.0]},
    {"n_iter": [0, 2]},
    {"guide": ["grey"]},
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
    chosen, kept = list(lytro_cases(slice(0, 10))), list(lytro_cases(slice(10, 20)))
    scores = []
    for cases, truth, scorer in (
        (made, [c.sigma for c in made], sd.metrics.neg_sigma_mae),
        (chosen, [c.mask for c in chosen], sd.metrics.focus_auc_scorer),
        (kept, [c.mask for c in kept], sd.metrics.focus_auc_scorer),
    ):
        found = search(cases, truth, scorer, GRID)
        scores.append(found.cv_results_["mean_test_score"])
    rank = sum(rankdata(-s) for s in scores[:2])
    print("rank   σ MAE   AUC 1-10   AUC 11-20   parameters")
    for i in np.argsort(rank)[:25]:
        values = f"{-scores[0][i]:.4f}  {scores[1][i]:.4f}     {scores[2][i]:.4f}"
        print(f"{rank[i]:5.0f}  {values}      {found.cv_results_['params'][i]}")


if __name__ == "__main__":
    main()
