"""Symmetric matrices of the windows: the planes of their lower triangles, row by row."""

from __future__ import annotations

import numpy as np

from skdefocus._typing import FloatArray
from skdefocus.filters._workers import Scratch

#: Variances below this fraction of the mean square are its rounding errors.
ROUNDING = 1e-14


def pairs(channels: int) -> list[tuple[int, int]]:
    """List the rows and columns of a lower triangle, row by row."""
    return [(i, j) for i in range(channels) for j in range(i + 1)]


def index_of(i: int, j: int) -> int:
    """Return the position of row i, column j of a lower triangle in `pairs`."""
    return i * (i + 1) // 2 + j


def variances(cov: FloatArray, channels: int) -> FloatArray:
    """Average the variances of the channels."""
    total = cov[0].copy()
    for i in range(1, channels):
        total += cov[index_of(i, i)]
    total /= channels
    return total


def subtract_mean_products(moments: FloatArray, mean: FloatArray, scratch: Scratch) -> None:
    """Turn mean products, (pairs, ...), into covariances, in place."""
    part = scratch("part", mean.shape[1:], mean.dtype)
    precise = mean.dtype.itemsize >= 8  # otherwise rounding is small relative to the regularization
    for k, (i, j) in enumerate(pairs(len(mean))):
        least = ROUNDING * moments[k] if i == j and precise else None
        moments[k] -= np.multiply(mean[i], mean[j], out=part)
        if least is not None:
            moments[k] *= moments[k] > least


def factor(cov: FloatArray, reg: FloatArray | float, channels: int, scratch: Scratch) -> None:
    """Turn symmetric matrices, plus `reg` on the diagonal, into L and 1/D of L D Lᵀ, in place.

    Parameters
    ----------
    cov : ndarray of shape (channels * (channels + 1) / 2, ...)
        The lower triangles, row by row.
    """
    part = scratch("part", cov.shape[1:], cov.dtype)
    ratio = scratch("ratio", cov.shape[1:], cov.dtype)
    for j in range(channels):
        pivot = cov[index_of(j, j)]
        pivot += reg
        # In exact arithmetic, no pivot is smaller than this.
        np.maximum(pivot, reg, out=pivot)
        np.reciprocal(pivot, out=pivot)
        for i in range(j + 1, channels):
            entry = cov[index_of(i, j)]
            np.multiply(entry, pivot, out=ratio)
            for k in range(j + 1, i + 1):
                # In rows above i, column j holds L already; that of row i is `ratio`.
                below = ratio if k == i else cov[index_of(k, j)]
                cov[index_of(i, k)] -= np.multiply(entry, below, out=part)
            entry[...] = ratio
