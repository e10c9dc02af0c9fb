"""Large frames worked on tile by tile, by two threads, so that what is in between stays small."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from skdefocus._grids import Area, tiles
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
    where: BoolArray | None = None,
    side: int | None = None,
) -> Float32Array:
    """Put a plane (H, W) together from what `function` makes of areas.

    Parameters
    ----------
    function : callable
        Makes the values of an area.
    size : tuple of int
        H and W.
    where : ndarray of shape (H, W), bool, or None
        The pixels that are needed; tiles without any are 0. None needs all.
    side : int or None
        Of the tiles in pixels.
    """
    out = np.zeros(size[:2], np.float32)

    def work(area: Area) -> None:
        """Make one tile."""
        out[area] = function(area)

    over_tiles(work, size, where, side)
    return out


def over_tiles(
    work: Callable[[Area], None],
    size: tuple[int, ...],
    where: BoolArray | None = None,
    side: int | None = None,
) -> None:
    """Call `work` for all tiles, or for those with pixels that are needed, `where`."""
    areas = [inner for inner, _ in tiles(size, STEP, 0, side or SIDE)]
    needed = [a for a in areas if where is None or where[a].any()]
    if len(needed) < 2:
        for area in needed:
            work(area)
        return
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, needed))
