"""Large frames worked on tile by tile, by two threads, so that what is in between stays small."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from skdefocus._grids import Area, seen_from, tiles
from skdefocus._typing import BoolArray, Float32Array

#: Side of a tile in pixels: its planes stay in the processor's cache.
SIDE = 256
#: Tiles begin at multiples of this, so that cells and thinned rows are those of the full frame.
STEP = 4
#: Threads; NumPy releases the interpreter's lock.
THREADS = 2


def by_tiles(
    function: Callable[[Area], Float32Array],
    size: tuple[int, ...],
    halo: int,
    where: BoolArray | None = None,
    side: int = SIDE,
) -> Float32Array:
    """Put a plane (H, W) together from what `function` makes of areas.

    Parameters
    ----------
    function : callable
        Makes the values of an area.
    size : tuple of int
        H and W.
    halo : int
        Pixels around a pixel that its value depends on.
    where : ndarray of shape (H, W), bool, or None
        The pixels that are needed; tiles without any are 0. None needs all.
    side : int
        Of the tiles in pixels.
    """
    out = np.zeros(size[:2], np.float32)

    def work(areas: tuple[Area, Area]) -> None:
        """Make one tile, without its halo."""
        inner, outer = areas
        if where is None or where[inner].any():
            out[inner] = function(outer)[seen_from(outer, inner)]

    parts = list(tiles(size, STEP, halo, side))
    if len(parts) == 1:
        work(parts[0])
        return out
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, parts))
    return out
