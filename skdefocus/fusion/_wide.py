"""The wide trials, compared in those blocks of pixels alone in which they may explain anything."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

from skdefocus._grids import Area, repeated
from skdefocus._typing import BoolArray, Float32Array, IndexArray
from skdefocus.fusion._windows import core

#: Side of a cell, and of a block, in pixels.
CELL, SIDE = 4, 16
#: Side of a block with the pixels that the mean over 3×3 of its own depends on, and of its cells.
SEEN, CELLS = SIDE + 2, SIDE // CELL + 2
#: Blocks that are worked on at once: their planes stay in the processor's cache.
MOST = 128
#: Squared value below which what is not of lamps is all of it.
DARK = 1e-6
#: Light above that of the blur, from which lamps count.
LAMP = np.float32(1e-4)


class Wide:
    """Ranges of what may be seen of an image that is blurred widely.

    Parameters
    ----------
    low, high : list of n ndarray of shape (rows, columns)
        Least and most that may be seen of n trials, in cells.
    light : list of n ndarray of shape (rows, columns), or None
        Their light, where some of what may be seen is of lamps.
    tolerance : float
        Parts of the light seen that are added to the squared differences: no exposure does what
        lamps do.
    """

    def __init__(
        self,
        low: list[Float32Array],
        high: list[Float32Array],
        light: list[Float32Array] | None,
        tolerance: float,
    ) -> None:
        planes = [*low, *high, *(light or ())]
        self._count, (rows, columns) = len(low), low[0].shape
        # All planes of a cell one after the other, or all would be copied for every lookup.
        padded = np.empty((rows + 1 + CELLS, columns + 1 + CELLS, len(planes)), np.float32)
        for k, plane in enumerate(planes):
            padded[..., k] = np.pad(plane, (1, CELLS), mode="edge")
        self._across = padded.shape[1]
        self._cells = padded.reshape(-1, len(planes))
        self._tolerance = np.float32(tolerance)
        self._least: Float32Array | None = None
        self._lamps: BoolArray | None = None
        if light is not None:
            pairs = list(zip(high, light, strict=True))
            shares = np.min([_not_of_lamps(*pair) for pair in pairs], axis=0)
            lamps = np.any([most**2 > within + LAMP for most, within in pairs], axis=0)
            # Of a cell and those next to it, as values are interpolated.
            self._least = ndimage.minimum_filter(shares, 3, mode="nearest")
            self._lamps = ndimage.maximum_filter(lamps, 3)

    def refine(
        self, least: Float32Array, seen: Float32Array, area: Area, where: BoolArray | None
    ) -> None:
        """Lower `least`, the squared differences in an area, to those of the wide trials.

        Parameters
        ----------
        least : ndarray of the shape of `area`
        seen : ndarray of the shape of `area` and a pixel around
            Values of the other image.
        area : tuple of two slice
            It begins at multiples of `CELL`.
        where : ndarray of the shape of `area`, or None
            The pixels that are needed.
        """
        inner = core(seen, 1)
        bound = inner * inner
        bound *= self._tolerance
        lamps = False
        if self._least is not None and self._lamps is not None:
            cells = cells_of(area)
            lamps = bool(self._lamps[cells].any())
            if lamps:
                bound *= repeated(self._least[cells], CELL, bound.shape)
        needed = least > bound
        if where is not None:
            needed &= where
        height, width = (-(-n // SIDE) for n in least.shape)
        full = np.zeros((height * SIDE, width * SIDE), bool)
        full[: least.shape[0], : least.shape[1]] = needed
        # By eight at once, as words; `any` takes ten times as long.
        words = full.view(np.uint64).reshape(height, SIDE, width, -1)
        at = np.nonzero(np.bitwise_or.reduce(words, axis=1).any(axis=2))
        if not len(at[0]):
            return
        blocks = _blocks(seen, height, width)
        best = np.full((height, width, SIDE, SIDE), np.inf, np.float32)
        for k in range(0, len(at[0]), MOST):
            y, x = (a[k : k + MOST] for a in at)
            first = area[0].start + SIDE * y, area[1].start + SIDE * x
            best[y, x] = self._of_blocks(blocks[y, x], *first, lamps)
        plane = best.swapaxes(1, 2).reshape(full.shape)
        np.minimum(least, plane[: least.shape[0], : least.shape[1]], out=least)

    def _of_blocks(
        self, seen: Float32Array, rows: IndexArray, columns: IndexArray, lamps: bool
    ) -> Float32Array:
        """Least squared differences in blocks, which begin at these rows and columns."""
        count, seen = len(rows), seen.reshape(-1)
        blocks = seen.reshape(count, SEEN, SEEN)[:, 1:-1, 1:-1]
        # In units of the sums over 3×3 pixels.
        unsure = blocks * blocks
        unsure *= np.float32(9) * self._tolerance
        step = np.arange(CELLS)
        first = rows // CELL * self._across + columns // CELL
        index = (first[:, None, None] + self._across * step[:, None] + step).reshape(count, -1)
        cells = np.moveaxis(self._cells.take(index, axis=0), 2, 0)
        least = np.full(unsure.shape, np.inf, np.float32)
        sums, weights = np.empty_like(seen), _interpolation()
        for trial in range(self._count):
            planes = cells[trial :: self._count][: 3 if lamps else 2]
            near = [(np.ascontiguousarray(plane) @ weights).reshape(-1) for plane in planes]
            away = np.maximum(seen, near[0])
            np.minimum(away, near[1], out=away)
            found = unsure
            if lamps:
                shares = _not_of_lamps(away, near[2]).reshape(count, SEEN, SEEN)
                found = unsure * shares[:, 1:-1, 1:-1]
            away -= seen
            squares = _sums_of_squares(away, sums).reshape(count, SEEN, SEEN)
            np.minimum(least, squares[:, :-2, :-2] + found, out=least)
        least *= np.float32(1 / 9)
        return least


def cells_of(area: Area) -> Area:
    """Return the cells of an area of pixels that begins at multiples of `CELL`."""
    rows, columns = (slice(part.start // CELL, -(-part.stop // CELL)) for part in area)
    return rows, columns


def _blocks(seen: Float32Array, height: int, width: int) -> Float32Array:
    """Give the `height` × `width` blocks that an area is cut into, with the pixels around."""
    full = np.zeros((height * SIDE + 2, width * SIDE + 2), np.float32)
    full[: seen.shape[0], : seen.shape[1]] = seen
    return sliding_window_view(full, (SEEN, SEEN))[::SIDE, ::SIDE]


def _sums_of_squares(values: Float32Array, out: Float32Array) -> Float32Array:
    """Sum squares over 3×3 pixels of blocks that lie one after the other, from the first on."""
    values *= values
    rows = values[: -2 * SEEN] + values[SEEN:-SEEN]
    rows += values[2 * SEEN :]
    part = np.add(rows[:-2], rows[1:-1], out=out[: len(rows) - 2])
    part += rows[2:]
    return out


def _not_of_lamps(explained: Float32Array, light: Float32Array) -> Float32Array:
    """Squared part of what is explained that is within white: what is beyond, no exposure does."""
    total = explained * explained
    total += np.float32(DARK)
    np.divide(light, total, out=total)
    np.minimum(total, 1, out=total)
    total *= total
    return total


@cache
def _interpolation() -> Float32Array:
    """Weights (CELLS², SEEN²) of a block's cells, to interpolate linearly between their centers."""
    at = (np.arange(-1, SIDE + 1) + 0.5) / CELL + 0.5
    weights = np.maximum(1 - np.abs(at[:, None] - np.arange(CELLS)), 0).T
    return np.kron(weights, weights).astype(np.float32)
