"""Sums over square windows of a mirrored image, in pieces that stay in a core's cache.

Sums over a window are built from those over shorter ones: the sums of n + m values are the sums of
n values plus the sums of m values, shifted by n. That takes about ``log2(window)`` additions of
large contiguous buffers, which NumPy does several times faster than the one dependent addition per
value of a running sum. Nothing is ever subtracted, so sums of float32 values stay accurate without
float64, and the sum of a window full of zeros is exactly zero.

Rows are summed in horizontal bands of the image. Between the two passes, planes are stored as
vertical strips, each of them contiguous, so that columns are summed by adding shifted strips.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum, auto
from functools import cache

import numpy as np
from numpy.typing import DTypeLike

from skdefocus._typing import FloatArray
from skdefocus.filters._workers import Scratch, WorkerPool, balanced, split_range

#: Reads or writes the rows y0 to y1 of some planes: ``function(band, y0, y1)``.
BandFunction = Callable[[FloatArray, int, int], None]

#: Bytes of one buffer to add up; three are in use at a time. Smaller ones would stay in faster
#: caches, but Python's own time per piece then shows: a quarter of this takes twice as long.
PIECE = 1 << 20

#: Number of values up to which the columns of all planes are summed together.
TOGETHER = PIECE // 8


class Step(Enum):
    """One step toward longer sums."""

    DOUBLE = auto()
    """Add the sums to themselves: sums of n values become sums of 2 n."""
    EXTEND = auto()
    """Add the unit, which is one value at first."""
    NEW_UNIT = auto()
    """Make the sums the unit."""


@cache
def plan_steps(length: int) -> tuple[Step, ...]:
    """Return the steps that build sums of `length` values with the fewest additions.

    They follow the binary digits of the length or, if that takes fewer additions, of its factors.

    Examples
    --------
    Sums of 1, 2, 3, 6, 12, 13 values:

    >>> [step.name for step in plan_steps(13)]
    ['DOUBLE', 'EXTEND', 'DOUBLE', 'DOUBLE', 'EXTEND']

    Sums of 1, 2, 3 values, then of 6, 12, 15 in units of 3. By the digits of 15 alone it would be
    six additions, to 2, 3, 6, 7, 14, 15:

    >>> [step.name for step in plan_steps(15)]
    ['DOUBLE', 'EXTEND', 'NEW_UNIT', 'DOUBLE', 'DOUBLE', 'EXTEND']
    """
    by_digits: tuple[Step, ...] = ()
    for digit in f"{length:b}"[1:]:
        by_digits += (Step.DOUBLE, Step.EXTEND) if digit == "1" else (Step.DOUBLE,)
    plans = [by_digits]
    for factor in range(3, math.isqrt(length) + 1, 2):
        if length % factor == 0:
            plans.append((*plan_steps(factor), Step.NEW_UNIT, *plan_steps(length // factor)))
    return min(plans, key=lambda plan: len(plan) - plan.count(Step.NEW_UNIT))


def window_sums(x: FloatArray, length: int, step: int, out: FloatArray, scratch: Scratch) -> None:
    """Write sums of `length` values of the flat `x`, `step` elements apart, into the flat `out`.

    `out` has ``x.size - (length - 1) * step`` elements, one for each start of a sum.
    """
    if length == 1:
        out[...] = x
    steps = plan_steps(length)
    buffers = [scratch(name, x.shape, x.dtype) for name in "abc"[: 2 + (Step.NEW_UNIT in steps)]]
    sums, unit, n, unit_length = x, x, 1, 1
    for i, operation in enumerate(steps):
        if operation is Step.NEW_UNIT:
            unit, unit_length = sums, n
            continue
        if operation is Step.DOUBLE:
            added, new_length = sums, 2 * n
            target = next(b for b in buffers if b is not sums and b is not unit)
        else:
            added, new_length = unit, n + unit_length
            target = sums
        if i == len(steps) - 1:
            target = out
        size = x.size - (new_length - 1) * step
        np.add(sums[:size], added[n * step : n * step + size], out=target[:size])
        sums, n = target, new_length


class MirroredAxis:
    """One axis of `n` values that are mirrored beyond both ends, under windows 2 · radius + 1 wide.

    Mirrored values repeat after 2 · n. A window larger than that holds `repeats` full periods, and
    `radius` is that of what remains of it.
    """

    def __init__(self, n: int, radius: int) -> None:
        self.n = n
        self.repeats, rest = divmod(2 * radius + 1, 2 * n)
        self.radius = (rest - 1) // 2
        self.length = n + 2 * self.radius

    def mirror(self, x: FloatArray) -> None:
        """Write the mirrored values before and after the `n` values on the first axis of `x`."""
        r, n = self.radius, self.n
        if r:
            x[:r] = x[2 * r - 1 : r - 1 : -1]
            x[r + n : n + 2 * r] = x[r + n - 1 : n - 1 : -1]

    def add_periods(self, sums: FloatArray, x: FloatArray) -> None:
        """Add the full periods to `sums` of mirrored `x`, both with this axis first."""
        if self.repeats:
            # Each period taken out of a window moves what remains by half a period.
            rest = sums[::-1].copy() if self.repeats % 2 else sums
            total = x[self.radius : self.radius + self.n].sum(0)
            np.add(rest, 2 * self.repeats * total, out=sums)


class WindowGrid:
    """Geometry of one image (H, W) under square windows of one radius, cut into `count` strips."""

    def __init__(self, shape: tuple[int, int], radius: int) -> None:
        self.shape = shape
        self.vertical = MirroredAxis(shape[0], radius)
        self.horizontal = MirroredAxis(shape[1], radius)
        width = max(32, PIECE // (8 * self.vertical.length))
        self.count = balanced(-(-shape[1] // width))
        self.strip_width = -(-shape[1] // self.count)
        #: Rows of mirrored strips that are those of the image.
        self.inner_rows = slice(self.vertical.radius, self.vertical.radius + shape[0])

    def strips_shape(self, planes: int, *, mirrored: bool = False) -> tuple[int, int, int, int]:
        """Return the shape of planes in strips: (count, planes, H, width), H with borders if asked.

        The last strip may extend beyond the image.
        """
        height = self.vertical.length if mirrored else self.vertical.n
        return self.count, planes, height, self.strip_width

    def _blocks(self, rows: FloatArray) -> FloatArray:
        """View (planes, rows, count · width) as (count, planes, rows, width)."""
        blocks = rows.reshape(*rows.shape[:2], self.count, self.strip_width)
        return blocks.transpose(2, 0, 1, 3)

    def sum_rows(
        self,
        planes: int,
        dtype: DTypeLike,
        source: BandFunction | FloatArray,
        target: BandFunction | FloatArray,
        pool: WorkerPool,
    ) -> None:
        """Sum along the rows.

        Parameters
        ----------
        source : callable or strips
            ``source(band, y0, y1)`` writes these rows into `band`, (planes, rows, W). That is
            contiguous: NumPy is three times as fast on it as on rows of something wider.
        target : callable or mirrored strips
            ``target(sums, y0, y1)`` receives the sums, (planes, rows, W).
        """
        length = self.count * self.strip_width + 2 * self.horizontal.radius

        def work(piece: tuple[int, int], scratch: Scratch) -> None:
            y0, y1 = piece
            padded = scratch("x", (planes, y1 - y0, length), dtype)
            band = scratch("band", (planes, y1 - y0, self.shape[1]), dtype)
            self._read(source, band, padded, y0, y1)
            self._write(self._sum_padded(padded, scratch), band, target, y0, y1)

        rows = max(1, PIECE // (planes * length * np.dtype(dtype).itemsize))
        pool.run(work, split_range(self.shape[0], rows))

    def _read(
        self,
        source: BandFunction | FloatArray,
        band: FloatArray,
        padded: FloatArray,
        y0: int,
        y1: int,
    ) -> None:
        """Copy rows of the source into `padded`, between its left and right borders."""
        left = self.horizontal.radius
        inner = padded[..., left : left + self.count * self.strip_width]
        if callable(source):
            source(band, y0, y1)
            inner[..., : self.shape[1]] = band
        else:
            self._blocks(inner)[...] = source[:, :, y0:y1]

    def _sum_padded(self, padded: FloatArray, scratch: Scratch) -> FloatArray:
        """Mirror the borders of `padded` and return the sums along its rows."""
        axis = self.horizontal
        padded[..., axis.length :] = 0
        axis.mirror(padded.transpose(2, 0, 1))
        sums = scratch("sums", padded.shape, padded.dtype)
        valid = sums.reshape(-1)[: padded.size - 2 * axis.radius]
        window_sums(padded.reshape(-1), 2 * axis.radius + 1, 1, valid, scratch)
        axis.add_periods(sums.transpose(2, 0, 1)[: self.shape[1]], padded.transpose(2, 0, 1))
        return sums

    def _write(
        self,
        sums: FloatArray,
        band: FloatArray,
        target: BandFunction | FloatArray,
        y0: int,
        y1: int,
    ) -> None:
        """Hand the sums of some rows to the target."""
        if callable(target):
            band[...] = sums[..., : self.shape[1]]
            target(band, y0, y1)
        else:
            top = self.vertical.radius
            blocks = self._blocks(sums[..., : self.count * self.strip_width])
            target[:, :, top + y0 : top + y1] = blocks

    def sum_columns(self, x: FloatArray, out: FloatArray, scratch: Scratch) -> None:
        """Sum one strip's planes, (planes, H with borders, width), into `out`, (planes, H, width).

        The borders of `x` are overwritten.
        """
        axis = self.vertical
        length = 2 * axis.radius + 1
        if x.size <= TOGETHER:  # as one tall plane; what crosses its parts is not used
            parts = scratch("columns", x.shape, x.dtype)
            flat = parts.reshape(-1)[: x.size - 2 * axis.radius * self.strip_width]
            axis.mirror(x.transpose(1, 0, 2))
            window_sums(x.reshape(-1), length, self.strip_width, flat, scratch)
            out[...] = parts[:, : axis.n]
            axis.add_periods(out.transpose(1, 0, 2), x.transpose(1, 0, 2))
            return
        for plane, sums in zip(x, out, strict=True):
            axis.mirror(plane)
            window_sums(plane.reshape(-1), length, self.strip_width, sums.reshape(-1), scratch)
            axis.add_periods(sums, plane)


def box_sums(
    plane: FloatArray, radius: int, *, weights: FloatArray | None = None, n_threads: int = 1
) -> FloatArray:
    """Sum `plane` (H, W), times `weights` if given, over square windows, in its dtype."""
    grid = WindowGrid((plane.shape[0], plane.shape[1]), radius)
    row_sums = np.empty(grid.strips_shape(1, mirrored=True), plane.dtype)
    sums = np.empty(grid.strips_shape(1), plane.dtype)

    def read(band: FloatArray, y0: int, y1: int) -> None:
        if weights is None:
            band[0] = plane[y0:y1]
        else:
            np.multiply(plane[y0:y1], weights[y0:y1], out=band[0])

    def sum_strip(s: int, scratch: Scratch) -> None:
        grid.sum_columns(row_sums[s], sums[s], scratch)

    with WorkerPool(n_threads) as pool:
        grid.sum_rows(1, plane.dtype, read, row_sums, pool)
        pool.run(sum_strip, range(grid.count))
    total: FloatArray = join_strips(sums, grid.shape[1])[0]
    return total


def join_strips(strips: FloatArray, width: int) -> FloatArray:
    """Put strips (count, planes, H, strip width) next to each other: (planes, H, W)."""
    count, planes, height, strip_width = strips.shape
    joined: FloatArray = np.moveaxis(strips, 0, 2).reshape(planes, height, count * strip_width)
    return joined[..., :width]
