"""Levels of cells that cannot tell, from those of their surroundings."""

from __future__ import annotations

import numpy as np

from skdefocus._typing import Float32Array
from skdefocus.filters import guided_filter
from skdefocus.pipeline._records import LevelGrid

#: Variance of a level that no patch falls below, in squared levels: what a patch says is never
#: exact, and a few patches must not outvote all others.
FLOOR = 0.3

#: Probability of a level that is nowhere around, spread evenly over all levels.
RARE = 0.005

#: How much smaller the windows of the filling get, and what the smaller ones count against the
#: larger ones.
SHRINK, NEAR = 4, 0.9


def belief(grid: LevelGrid) -> tuple[Float32Array, Float32Array]:
    """Mean level of every cell, and its evidence: how much it narrows the level down.

    The evidence is the precision (inverse variance) of the level beyond that of a uniform
    distribution, so that a flat patch has none.
    """
    n = len(grid.sigmas)
    levels = np.arange(n, dtype=np.float32)
    mean = grid.proba @ levels
    variance = np.maximum(grid.proba @ levels**2 - mean**2, 0)
    evidence = np.maximum(1 / (variance + FLOOR) - 12 / (n**2 - 1), 0)
    return mean, evidence.astype(np.float32)


def fill(
    proba: Float32Array, weights: Float32Array, guide: Float32Array, eps: float, smallest: int
) -> Float32Array:
    """Mean level of every cell, given what it shows and what is around it.

    By Bayes' rule: the probabilities of the levels by themselves, times how common the levels are
    in the surroundings. The surroundings are guided averages of such products over windows from
    the whole image's size down to `smallest`, each mixed with those of the larger windows.

    Parameters
    ----------
    proba : ndarray of shape (rows, columns, n), float32
    weights : ndarray of shape (rows, columns), float32
        How much a cell counts in the averages.
    guide, eps
        Of the guided filter; the guide has one value (or colour) per cell.
    smallest : int
        Radius of the smallest windows in cells.

    Returns
    -------
    ndarray of shape (rows, columns), float32
    """
    n = proba.shape[-1]
    common = np.tensordot(weights, proba, 2)
    common /= common.sum()
    radius = max(weights.shape)
    while True:
        # In place, for these are the largest arrays of all.
        found = np.broadcast_to(common, proba.shape) + np.float32(RARE / n)
        found *= proba
        found /= totals(found)
        if radius <= smallest:
            return np.asarray(found @ np.arange(n, dtype=np.float32))
        radius = max(radius // SHRINK, smallest)
        near = guided_filter(found, guide, radius, eps, weights=weights, out=found)
        np.maximum(near, 0, out=near)
        near *= np.float32(NEAR) / totals(near)
        common *= np.float32(1 - NEAR)
        near += common
        common = near


def totals(proba: Float32Array) -> Float32Array:
    """Sums over the last axis, which stays; as a product, several times as fast as NumPy's sum."""
    return np.asarray((proba @ np.ones(proba.shape[-1], np.float32))[..., None])
