"""Sums over square windows of a mirrored image, in pieces that stay in a core's cache.

A window sum is built from shorter ones: the sums of length n + m are the sums of length n plus
those of length m, shifted by n. That is about ``log2(window)`` additions of whole contiguous
buffers, which NumPy does several times faster than the one dependent addition per value of a
running sum. And nothing is ever subtracted: sums of float32 values stay accurate without float64,
and the sum of a window full of zeros is exactly zero.

Rows are summed in bands of whole rows. In between, planes lie in vertical strips, each contiguous,
so that columns are summed with additions of whole strips.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import DTypeLike

from skdefocus._typing import FloatArray
from skdefocus.filters._workers import Crew, Scratch, even, spans

Fill = Callable[[FloatArray, int, int], None]

#: Bytes of one buffer to add up; three are in use at a time. Smaller ones would stay in faster
#: caches, but Python's own time per piece then shows: a quarter of this takes twice as long.
PIECE = 1 << 20


@cache
def moves(length: int) -> str:
    """Give the additions that build sums of `length` values: by binary digits or by factors.

    ``d`` doubles the sums' length, ``u`` lengthens them by the unit, which is one value at first;
    ``n`` makes them the new unit.
    """
    plans = ["".join("du" if bit == "1" else "d" for bit in f"{length:b}"[1:])]
    for p in range(3, math.isqrt(length) + 1, 2):
        if length % p == 0:
            plans.append(moves(p) + "n" + moves(length // p))
    return min(plans, key=lambda plan: len(plan.replace("n", "")))


def window_sums(x: FloatArray, length: int, step: int, out: FloatArray, scratch: Scratch) -> None:
    """Write sums of `length` values of the flat `x` that lie `step` apart into the flat `out`.

    `out` has room for the ``x.size - (length - 1) * step`` places where a sum can start.
    """
    if length == 1:
        out[...] = x
    plan = moves(length)
    # The sums so far, their unit, and room for the next ones.
    buffers = [scratch(name, x.shape, x.dtype) for name in ("abc" if "n" in plan else "ab")]
    total, unit, n, unit_length = x, x, 1, 1
    for i, move in enumerate(plan):
        if move == "n":
            unit, unit_length = total, n
            continue
        other, longer = (total, 2 * n) if move == "d" else (unit, n + unit_length)
        if i == len(plan) - 1:
            into = out
        elif move == "u":
            into = total
        else:
            into = next(b for b in buffers if b is not total and b is not unit)
        size = x.size - (longer - 1) * step
        np.add(total[:size], other[n * step : n * step + size], out=into[:size])
        total, n = into, longer


class Axis:
    """One axis of `n` values, mirrored, under windows of ``2 * radius + 1``.

    Mirrored, values repeat after ``2 * n``; `repeats` of that fill a window larger than it, and
    `radius` is what is left.
    """

    def __init__(self, n: int, radius: int) -> None:
        self.n = n
        self.repeats, rest = divmod(2 * radius + 1, 2 * n)
        self.radius = (rest - 1) // 2
        self.length = n + 2 * self.radius

    def mirror(self, x: FloatArray) -> None:
        """Fill what lies before and behind the `n` values on the first axis of `x`."""
        r, n = self.radius, self.n
        if r:
            x[:r] = x[2 * r - 1 : r - 1 : -1]
            x[r + n : n + 2 * r] = x[r + n - 1 : n - 1 : -1]

    def complete(self, sums: FloatArray, x: FloatArray) -> None:
        """Add whole repetitions to `sums` of mirrored `x`, both with the axis first."""
        if self.repeats:
            # What is left of a window lies half a repetition aside for each one taken out.
            rest = sums[::-1].copy() if self.repeats % 2 else sums
            total = x[self.radius : self.radius + self.n].sum(0)
            np.add(rest, 2 * self.repeats * total, out=sums)


class Frame:
    """Geometry of one image, (H, W), under windows of one radius."""

    def __init__(self, shape: tuple[int, int], radius: int) -> None:
        self.shape = shape
        self.down, self.right = Axis(shape[0], radius), Axis(shape[1], radius)
        width = max(32, PIECE // (8 * self.down.length))
        self.count = even(-(-shape[1] // width))
        self.strip = -(-shape[1] // self.count)

    def strips(self, planes: int, *, mirrored: bool = False) -> tuple[int, int, int, int]:
        """Shape of planes in strips: (strips, planes, H, width), H with borders if `mirrored`."""
        height = self.down.length if mirrored else self.down.n
        return self.count, planes, height, self.strip

    def sum_rows(
        self,
        planes: int,
        dtype: DTypeLike,
        source: Fill | FloatArray,
        done: Fill | FloatArray,
        crew: Crew,
    ) -> None:
        """Sum along the rows.

        Parameters
        ----------
        source : callable or strips
            ``source(band, y0, y1)`` writes these rows into `band`, (planes, rows, W), which is
            contiguous: NumPy calculates thrice as fast with that as with rows of something wider.
        done : callable or mirrored strips
            ``done(sums, y0, y1)`` takes the sums, (planes, rows, W).
        """
        width, strips, axis = self.shape[1], self.count * self.strip, self.right
        # The last strip may be wider than what is left of the image.
        length = strips + 2 * axis.radius
        split = (self.count, self.strip)

        def work(piece: tuple[int, int], scratch: Scratch) -> None:
            y0, y1 = piece
            padded = scratch("x", (planes, y1 - y0, length), dtype)
            inner = padded[..., axis.radius : axis.radius + strips]
            band = scratch("band", (planes, y1 - y0, width), dtype)
            if callable(source):
                source(band, y0, y1)
                inner[..., :width] = band
            else:
                blocks = inner.reshape(planes, y1 - y0, *split)
                blocks[...] = source[:, :, y0:y1].transpose(1, 2, 0, 3)
            padded[..., axis.length :] = 0
            axis.mirror(padded.transpose(2, 0, 1))
            sums = scratch("sums", padded.shape, dtype)
            valid = padded.size - 2 * axis.radius
            window_sums(
                padded.reshape(-1), 2 * axis.radius + 1, 1, sums.reshape(-1)[:valid], scratch
            )
            axis.complete(sums.transpose(2, 0, 1)[:width], padded.transpose(2, 0, 1))
            if callable(done):
                band[...] = sums[..., :width]
                done(band, y0, y1)
            else:
                top = self.down.radius
                blocks = sums[..., :strips].reshape(planes, y1 - y0, *split)
                done[:, :, top + y0 : top + y1] = blocks.transpose(2, 0, 1, 3)

        rows = max(1, PIECE // (planes * length * np.dtype(dtype).itemsize))
        crew.share(work, spans(self.shape[0], rows))

    def sum_columns(self, x: FloatArray, out: FloatArray, scratch: Scratch) -> None:
        """Sum one strip's planes, (planes, H with borders, width), into `out`, (planes, H, width).

        Fills the borders of `x`.
        """
        axis = self.down
        for plane, sums in zip(x, out, strict=True):
            axis.mirror(plane)
            length, flat = 2 * axis.radius + 1, sums.reshape(-1)
            window_sums(plane.reshape(-1), length, self.strip, flat, scratch)
            axis.complete(sums, plane)


def box_sums(
    plane: FloatArray, radius: int, *, weights: FloatArray | None = None, n_threads: int = 1
) -> FloatArray:
    """Sum `plane` (H, W), times `weights` if given, over square windows; in its dtype."""
    frame = Frame((plane.shape[0], plane.shape[1]), radius)
    rows = np.empty(frame.strips(1, mirrored=True), plane.dtype)
    both = np.empty(frame.strips(1), plane.dtype)

    def fill(band: FloatArray, y0: int, y1: int) -> None:
        if weights is None:
            band[0] = plane[y0:y1]
        else:
            np.multiply(plane[y0:y1], weights[y0:y1], out=band[0])

    def work(s: int, scratch: Scratch) -> None:
        frame.sum_columns(rows[s], both[s], scratch)

    with Crew(n_threads) as crew:
        frame.sum_rows(1, plane.dtype, fill, rows, crew)
        crew.share(work, range(frame.count))
    total: FloatArray = from_strips(both, frame.shape[1])[0]
    return total


def from_strips(strips: FloatArray, width: int) -> FloatArray:
    """Lay strips (strips, planes, H, width) side by side: (planes, H, W)."""
    count, planes, height, strip = strips.shape
    side: FloatArray = np.moveaxis(strips, 0, 2).reshape(planes, height, count * strip)
    return side[..., :width]
