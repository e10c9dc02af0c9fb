"""Large frames worked on by bands of rows, so that what is in between stays small."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from skdefocus._typing import AnyArray, Float32Array

#: Pixels of a band, without the rows around it that its results depend on.
BAND = 6_000_000


def by_bands(
    function: Callable[..., Float32Array], halo: int, *planes: AnyArray | None
) -> Float32Array:
    """Call ``function(*planes)`` for bands of rows and put the results together.

    Parameters
    ----------
    function : callable
        Makes a plane (h, W) of the rows (h, W) of the planes.
    halo : int
        Rows above and below that a result depends on.
    *planes : ndarray of shape (H, W) or None
        The first is none of the latter, which are passed on.
    """
    first = planes[0]
    assert first is not None
    height, width = first.shape
    rows = max(1, BAND // width)
    if rows >= height:
        return function(*planes)
    out = np.empty((height, width), np.float32)
    for start in range(0, height, rows):
        stop = min(start + rows, height)
        above, below = max(0, start - halo), min(height, stop + halo)
        part = function(*(None if p is None else p[above:below] for p in planes))
        out[start:stop] = part[start - above : stop - above]
    return out
