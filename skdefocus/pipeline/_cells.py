"""Features and levels of cells whose σ is known, to learn a last layer from true maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from skdefocus._estimators import map_samples
from skdefocus._grids import cell_means
from skdefocus._images import check_map
from skdefocus._typing import AnyArray, BoolArray, Float32Array, Float64Array, Int64Array
from skdefocus._validation import check_sequence, column_values
from skdefocus.metrics import image_weights
from skdefocus.network import ModelFacts
from skdefocus.pipeline._dense import dense
from skdefocus.pipeline._head import Labeled
from skdefocus.pipeline._inference import Inference
from skdefocus.pipeline._records import PatchGrid

#: Largest number of cells of one image that are used; neighbors are alike.
CELLS = 500

#: Weight of a cell as a patch by itself, next to a weight of 1 in its surroundings.
ALONE = 0.25


def labeled_cells(
    grids: Sequence[PatchGrid],
    truth: Any,
    sample_weight: Any,
    facts: ModelFacts,
    inference: Inference,
    n_jobs: int | None,
) -> Labeled:
    """Collect the cells of several images.

    For a file with a patch network, which the learned layer has to serve as well, cells are seen in
    their surroundings and as patches by themselves.

    Parameters
    ----------
    grids : sequence of PatchGrid
    truth : sequence of n array_like of shape (H_i, W_i)
        True σ in pixels; NaN where it is unknown.
    sample_weight : array_like of shape (n,) or None
        Weights of the images.
    facts, inference
        The network, and how it runs.
    n_jobs : int or None

    Returns
    -------
    Labeled
    """
    truth = column_values(truth)
    if len(check_sequence(truth, "y")) != len(grids):
        raise ValueError(f"y must hold one map per image, {len(grids)}, got {len(truth)}")
    maps = [_check_truth(truth[i], f"y[{i}]", grid) for i, grid in enumerate(grids)]
    weights = image_weights(sample_weight, len(grids))
    images = zip(grids, maps, weights, strict=True)
    found = map_samples(n_jobs, _cells_of_image, images, facts, inference)
    found = [part for part in found if len(part[1])] or found[:1]
    features, labels, shares = (np.concatenate(column) for column in zip(*found, strict=True))
    return Labeled(features, labels, shares, _views(facts, inference))


def _views(facts: ModelFacts, inference: Inference) -> int:
    """Return how many rows every cell has."""
    return 2 if inference.inference == "dense" and facts.has_patch_network else 1


def _check_truth(values: Any, name: str, grid: PatchGrid) -> Float32Array:
    """Check the true σ of an image, of which some may be unknown."""
    sigma = check_map(values, name, grid.image.shape[:2])
    if np.any(sigma < 0) or np.any(np.isinf(sigma)):
        raise ValueError(f"{name} must be finite and >= 0, or NaN where σ is unknown")
    return sigma


def _cells_of_image(
    image: tuple[PatchGrid, Float32Array, float], facts: ModelFacts, inference: Inference
) -> tuple[Float32Array, Int64Array, Float64Array]:
    """Compute features, levels and weights of up to `CELLS` cells of one image."""
    grid, sigma, weight = image
    by_tiles = inference.inference == "dense"
    if by_tiles:
        grid = replace(grid, step=facts.stride)
    mean = cell_means(sigma, grid.step)
    level = np.interp(mean, facts.sigmas, np.arange(len(facts.sigmas)))
    chosen = _sample(np.isfinite(level))
    if not chosen.any():
        return np.empty((0, 0), np.float32), np.empty(0, np.int64), np.empty(0)
    views: list[tuple[Float32Array, Int64Array, float]] = []
    if by_tiles:
        run = partial(inference.run, facts, "features")
        views.append((*_gathered(grid.image, facts, run, level, chosen), 1.0))
    if len(views) < _views(facts, inference):
        alone = inference.run_patches(facts, "features", grid.patches[chosen])
        views.append((alone, _nearest(level[chosen]), ALONE if by_tiles else 1.0))
    features, labels, shares = zip(*views, strict=True)
    weights = np.repeat(weight * np.array(shares), int(chosen.sum()))
    return np.concatenate(features), np.concatenate(labels), weights


def _sample(known: BoolArray) -> BoolArray:
    """Choose up to `CELLS` of the known cells, always the same."""
    cells = np.flatnonzero(known)
    kept = np.random.default_rng(0).choice(cells, min(CELLS, len(cells)), replace=False)
    chosen = np.zeros(known.shape, bool)
    chosen.flat[kept] = True
    return chosen


def _gathered(
    image: AnyArray, facts: ModelFacts, run: Any, level: Float64Array, chosen: BoolArray
) -> tuple[Float32Array, Int64Array]:
    """Collect the chosen cells tile by tile, without memory for the others."""
    features, labels = [], []
    for area, found in dense(image, facts, run):
        features.append(found[chosen[area]])
        labels.append(_nearest(level[area][chosen[area]]))
    return np.concatenate(features), np.concatenate(labels)


def _nearest(level: Float64Array) -> Int64Array:
    """Round fractional levels."""
    return np.rint(level).astype(np.int64)
