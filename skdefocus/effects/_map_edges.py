"""Steeper slopes of estimated maps at outlines, and smooth steps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from skdefocus._typing import Float32Array

#: Radius in pixels of the windows in which slopes at outlines are made steep by default.
EDGE_RADIUS = 12
#: Number of rows that are processed at once where pixels are independent of each other.
ROWS = 128


def steepen_edges(sigma: ArrayLike, radius: int) -> Float32Array:
    """Give the pixels on a map's slopes to one side.

    Estimated maps change over some pixels where scenes change from one pixel to the next, and a
    pixel that is blurred half as much as its background looks like neither side.

    Parameters
    ----------
    sigma : array_like of shape (H, W)
        σ in pixels.
    radius : int
        Radius in pixels, ≥ 0, of the windows in which the smallest and the largest σ are looked
        up. 0 changes nothing.

    Returns
    -------
    ndarray of shape (H, W), float32
        A copy with values between these two. It is the map itself in windows over which σ rises by
        less than a pixel or less than half of the smallest σ, and at steps from one pixel to the
        next.
    """
    out = np.array(sigma, np.float32)
    if radius == 0:
        return out
    size = 2 * min(radius, max(out.shape)) + 1  # a larger window sees no more
    low, high = ndimage.minimum_filter(out, size), ndimage.maximum_filter(out, size)
    for rows in row_bands(len(out)):
        part, least = out[rows], low[rows]
        rise = high[rows] - least
        share = (part - least) / np.maximum(rise, np.float32(1e-6))
        # By σ and not by level, so that most of a slope goes to the subject: a rim of background,
        # which is smooth, is seen less than a lost outline.
        decided = least + rise * smoothstep((share - 0.45) / 0.2)
        # A large blur changes by pixels on a smooth surface: only a change that is large relative
        # to the blur is an outline.
        weight = np.clip(rise / np.maximum(least / 2, 1) - 1, 0, 1)
        out[rows] = weight * decided + (1 - weight) * part
    return out


def row_bands(height: int) -> Iterator[slice]:
    """Yield the rows of an image in bands."""
    return (slice(start, start + ROWS) for start in range(0, height, ROWS))


def smoothstep(x: Float32Array) -> Float32Array:
    """Rise from 0 at 0 and below to 1 at 1 and above, without corners."""
    t = np.clip(x, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
