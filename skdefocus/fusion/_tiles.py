"""Areas of large frames to work on one by one, so that what is in between stays small.

Threads do not help: NumPy's calls for areas that fit into a cache are so short that two of them
wait for the interpreter's lock most of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from skdefocus._grids import Area, tiles
from skdefocus._typing import BoolArray, Float32Array

#: Side of a tile in pixels: its planes stay in the processor's cache.
SIDE = 256
#: Areas begin at multiples of this, so that cells and thinned rows are those of the full frame.
STEP = 4
#: Rows of the areas that are packed around needed pixels, and pixels between two of them that are
#: worked on rather than left out.
BAND, GAP = 96, 32


def tiled(size: tuple[int, ...], where: BoolArray | None = None, side: int = SIDE) -> list[Area]:
    """Cut a frame of H × W pixels into tiles, and leave out those without pixels of `where`."""
    areas = [inner for inner, _ in tiles(size, STEP, 0, side)]
    return [a for a in areas if where is None or where[a].any()]


def packed(where: BoolArray, most: int) -> list[Area]:
    """Find rectangles of about `most` pixels or fewer that cover all True, and little else."""
    areas = []
    for top in range(0, where.shape[0], BAND):
        band = where[top : top + BAND]
        columns = np.flatnonzero(band.any(axis=0))
        breaks = np.flatnonzero(np.diff(columns) > GAP) + 1
        for run in np.split(columns, breaks) if len(columns) else ():
            left, right = int(run[0]) // STEP * STEP, int(run[-1]) + 1
            rows = np.flatnonzero(band[:, left:right].any(axis=1))
            across = slice(top + int(rows[0]) // STEP * STEP, top + int(rows[-1]) + 1)
            parts = -(-(right - left) * (across.stop - across.start) // most)
            width = -(-(right - left) // (parts * STEP)) * STEP
            areas += [(across, slice(x, min(x + width, right))) for x in range(left, right, width)]
    return areas


def by_tiles(
    function: Callable[[Area], Float32Array], size: tuple[int, ...], areas: Iterable[Area]
) -> Float32Array:
    """Put a plane of H × W pixels together from what `function` makes of areas; 0 elsewhere."""
    out = np.zeros(size[:2], np.float32)
    for area in areas:
        out[area] = function(area)
    return out
