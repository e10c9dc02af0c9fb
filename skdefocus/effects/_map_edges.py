"""Slopes of estimated maps at outlines, and smooth steps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from skdefocus._typing import Float32Array

#: How far, in pixels, the slopes of estimated maps at outlines reach at most.
EDGE_RADIUS = 12

#: Rows that are worked on at once where only one pixel at a time matters.
ROWS = 128


def settled(sigma: ArrayLike, radius: int) -> Float32Array:
    """Give the pixels on a map's slopes to one side.

    Estimated maps change over some pixels where scenes change from one pixel to the next, and
    what is blurred half as much as its background looks like neither.

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
        Between these two. A window over which σ differs by less than a pixel stays as it is, and
        so do steps from one pixel to the next.
    """
    values = np.asarray(sigma, np.float32)
    if radius == 0:
        return values
    size = 2 * min(radius, max(values.shape)) + 1  # more than everything is everything
    low = ndimage.minimum_filter(values, size)
    span = ndimage.maximum_filter(values, size)
    span -= low
    out = np.empty_like(values)
    for rows in bands(len(values)):
        part, base, rise = values[rows], low[rows], span[rows]
        share = (part - base) / np.maximum(rise, np.float32(1e-6))
        # A little more goes to the subject: a rim of background is seen less than a lost outline.
        decided = base + rise * smoothstep((share - 0.45) / 0.2)
        weight = np.clip(rise - 1, 0, 1)
        out[rows] = weight * decided + (1 - weight) * part
    return out


def bands(height: int) -> Iterator[slice]:
    """Rows of an image, some at a time."""
    return (slice(start, start + ROWS) for start in range(0, height, ROWS))


def smoothstep(x: Float32Array) -> Float32Array:
    """From 0 at 0 and below to 1 at 1 and above, without corners."""
    t = np.clip(x, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
