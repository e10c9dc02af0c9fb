"""Filling: levels for cells without evidence, from their surroundings."""

from __future__ import annotations

import numpy as np

from skdefocus._grids import STRIP, block_sums, cell_means, enlarged_in, strips
from skdefocus._typing import Float32Array
from skdefocus.filters import guided_filter
from skdefocus.pipeline._records import LevelGrid, moments, totals

#: Least variance of a cell's level, in squared levels: no cell's answer is exact, and a few cells
#: must not outvote all others.
FLOOR = 0.3

#: Probability of levels that do not occur nearby, spread evenly over all levels.
RARE = 0.005

#: Factor by which the windows of the surroundings shrink, and the share of the smaller ones in the
#: mixture with the larger ones.
SHRINK, NEAR = 4, 0.9

#: Side in pixels of the cells on which the surroundings are averaged, because they are smooth.
COARSE = 32

#: Columns of cells that the surroundings are enlarged to at once.
COLUMNS = 256


def mean_and_evidence(proba: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Compute the mean level of every cell, and its evidence: how much it narrows the level down.

    The evidence is the precision (inverse variance) of the level beyond that of a uniform
    distribution, so that a cell that could have any level has none.
    """
    n = proba.shape[-1]
    mean, variance = moments(proba)
    evidence = np.maximum(1 / (variance + FLOOR) - 12 / (n**2 - 1), 0)
    return mean, evidence.astype(np.float32)


def filled(
    grid: LevelGrid, weights: Float32Array, eps: float, radius: int, context: float
) -> Float32Array:
    """Compute the mean level of every cell, given what it shows and what is around it.

    By Bayes' rule, the cell's own probabilities of the levels are multiplied by how common the
    levels are in the surroundings, to the power of `context`.

    Parameters
    ----------
    grid : LevelGrid
    weights : ndarray of shape (rows, columns), float32
        Weights of the cells as surroundings.
    eps : float
        Regularization of the guided filters that average them.
    radius : int
        Radius of their smallest windows, in pixels.
    context : float
        Power of the surroundings, from 0 (the cells by themselves) to 1.

    Returns
    -------
    ndarray of shape (rows, columns), float32
    """
    # No more than the rows of a strip, which are averaged by themselves.
    times, n = min(max(1, COARSE // grid.step), STRIP), len(grid.sigmas)
    times = 1 << (times.bit_length() - 1)
    block = grid.step * times
    sums = block_sums(weights, times)
    weighted = (grid.rows(rows) * weights[rows][..., None] for rows in strips(len(weights)))
    coarse: Float32Array = np.concatenate([block_sums(part, times) for part in weighted])
    coarse /= sums[..., None]
    # Color tells no more of what belongs together at this size, and takes longer.
    guide = cell_means(grid.image, block, gray=True)
    common = _surroundings(coarse, sums, guide, eps, max(1, radius // block))
    common = np.power(common + np.float32(RARE / n), np.float32(context))
    # With the levels first, NumPy works on long runs of cells, and is several times as fast.
    planes = np.ascontiguousarray(np.moveaxis(common, -1, 0))
    levels = np.stack([np.arange(n), np.ones(n)]).astype(np.float32)
    level = np.empty(weights.shape, np.float32)
    for rows in strips(len(level)):
        own = np.moveaxis(grid.rows(rows), -1, 0).copy()
        for columns in strips(weights.shape[1], COLUMNS):
            own[:, :, columns] *= enlarged_in(planes, times, weights.shape, (rows, columns))
        mean, total = levels @ own.reshape(n, -1)
        level[rows] = (mean / total).reshape(-1, weights.shape[1])
    return level


def _surroundings(
    proba: Float32Array, weights: Float32Array, guide: Float32Array, eps: float, smallest: int
) -> Float32Array:
    """Estimate how common the levels are around every cell (rows, columns, n).

    Guided averages of Bayes' products over windows from the whole image's size down to `smallest`,
    each mixed with those of the larger windows.
    """
    common = np.tensordot(weights, proba, 2)
    common = np.broadcast_to(common / common.sum(), proba.shape)
    radius = max(weights.shape)
    while radius > smallest:
        radius = max(radius // SHRINK, smallest)
        found = (common + np.float32(RARE / proba.shape[-1])) * proba
        found /= totals(found)[..., None]
        near = guided_filter(found, guide, radius, eps, weights=weights, out=found)
        np.maximum(near, 0, out=near)
        near *= np.float32(NEAR) / totals(near)[..., None]
        common = near + np.float32(1 - NEAR) * common
    return np.asarray(common)
