"""Sums over square windows of a mirrored image, in bands that stay in the cache.

A window sum is built by doubling: the sums of length 2n are the sums of length n plus themselves
shifted by n. That is about ``log2(window)`` additions of whole contiguous buffers, which NumPy
does several times faster than the one dependent addition per value of a running sum. And nothing
is ever subtracted: sums of float32 values stay accurate without float64, and the sum of a window
full of zeros is exactly zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Floats = NDArray[np.floating[Any]]
Spans = Iterator[tuple[int, int]]

#: Bytes of one band buffer; three of them are alive at a time and should share a core's cache.
BAND_BYTES = 1 << 18


def window_sums(x: Floats, length: int, step: int, a: Floats, b: Floats) -> Floats:
    """Give sums of `length` values of the flat `x` that lie `step` apart, from every start.

    `a` and `b` are scratch of the size of `x`; the result is `x` or one of them, of which the
    first ``x.size - (length - 1) * step`` values are sums.
    """
    total, n = x, 1
    for bit in f"{length:b}"[1:]:
        into = b if total is a else a
        size = x.size - (2 * n - 1) * step
        np.add(total[:size], total[n * step : n * step + size], out=into[:size])
        n *= 2
        if bit == "1":
            size -= step
            np.add(into[:size], x[n * step : n * step + size], out=into[:size])
            n += 1
        total = into
    return total


class Band:
    """Scratch for window sums along one axis of bands ``(planes, before, axis, after)``.

    Parameters
    ----------
    n : int
        Length of the axis.
    radius : int
        Windows are ``2 * radius + 1`` long. Mirrored, the axis repeats after ``2 * n``, so that
        whole repetitions are counted and only the rest is summed.
    values : int
        The largest band's number of values, borders not counted.
    """

    def __init__(self, n: int, radius: int, values: int, dtype: DTypeLike) -> None:
        self.n = n
        self.repeats, rest = divmod(2 * radius + 1, 2 * n)
        self.radius = (rest - 1) // 2
        size = -(-values // n) * (n + 2 * self.radius)
        self._scratch = tuple(np.empty(size, dtype) for _ in range(3))

    def open(self, planes: int, before: int, after: int) -> tuple[Floats, Floats]:
        """Give a band ``(planes, before, n, after)`` to fill, and the padded one around it."""
        length = self.n + 2 * self.radius
        size = planes * before * length * after
        padded = self._scratch[0][:size].reshape(planes, before, length, after)
        return padded[:, :, self.radius : self.radius + self.n], padded

    def sums(self, padded: Floats) -> Floats:
        """Window sums of the filled band, valid until the next `open`."""
        r, n = self.radius, self.n
        if r:
            padded[:, :, :r] = padded[:, :, 2 * r - 1 : r - 1 : -1]
            padded[:, :, r + n :] = padded[:, :, r + n - 1 : n - 1 : -1]
        x, a, b = (s[: padded.size] for s in self._scratch)
        sums = window_sums(x, 2 * r + 1, padded.shape[3], a, b).reshape(padded.shape)[:, :, :n]
        if self.repeats:
            # What is left of a window lies half a repetition aside for each one taken out.
            if self.repeats % 2:
                sums = sums[:, :, ::-1]
            sums += 2 * self.repeats * padded[:, :, r : r + n].sum(2, keepdims=True)
        return sums


def run(work: Callable[[Spans], None], n: int, size: int, n_threads: int) -> None:
    """Let `n_threads` workers share the spans of `size` that make up ``range(n)``."""
    spans = [(i, min(i + size, n)) for i in range(0, n, size)]
    todo = iter(spans)
    extra = min(n_threads, len(spans)) - 1
    if extra < 1:
        work(todo)
        return
    with ThreadPoolExecutor(extra) as pool:
        others = [pool.submit(work, todo) for _ in range(extra)]
        work(todo)
        for other in others:
            other.result()


def band_size(n: int, across: int, planes: int, radius: int, dtype: DTypeLike) -> int:
    """How many lines of length `n`, borders added, fill a band buffer."""
    line = planes * (n + 2 * min(radius, n)) * np.dtype(dtype).itemsize
    return max(1, min(across, BAND_BYTES // line))


def along_rows(
    shape: tuple[int, int],
    planes: int,
    radius: int,
    dtype: DTypeLike,
    fill: Callable[[Floats, int, int], None],
    done: Callable[[Floats, int, int], None],
    n_threads: int,
) -> None:
    """Sum along the rows, band by band.

    ``fill(band, y0, y1)`` writes the values into ``band``, ``(planes, y1 - y0, W)``, and
    ``done(sums, y0, y1)`` takes the sums, of the same shape.
    """
    height, width = shape
    size = band_size(width, height, planes, radius, dtype)

    def work(spans: Spans) -> None:
        band = Band(width, radius, planes * size * width, dtype)
        for y0, y1 in spans:
            inner, padded = band.open(planes, y1 - y0, 1)
            fill(inner[..., 0], y0, y1)
            done(band.sums(padded)[..., 0], y0, y1)

    run(work, height, size, n_threads)


def along_columns(
    shape: tuple[int, int],
    radius: int,
    stages: Sequence[tuple[int, np.dtype[Any], Callable[[Floats, Floats | None, int, int], None]]],
    done: Callable[[Floats, int, int], None],
    n_threads: int,
) -> None:
    """Sum along the columns, strip by strip, once per stage.

    A stage ``(planes, dtype, fill)`` has ``fill(strip, sums, x0, x1)`` write ``strip``,
    ``(planes, H, x1 - x0)``, from the sums of the stage before it; ``done(sums, x0, x1)`` takes
    the last stage's.
    """
    height, width = shape
    size = min(band_size(height, width, p, radius, d) for p, d, _ in stages)
    size = max(size, min(width, 16))

    def work(spans: Spans) -> None:
        bands = [Band(height, radius, p * height * size, d) for p, d, _ in stages]
        for x0, x1 in spans:
            sums: Floats | None = None
            for band, (planes, _, fill) in zip(bands, stages, strict=True):
                inner, padded = band.open(planes, 1, x1 - x0)
                fill(inner[:, 0], sums, x0, x1)
                sums = band.sums(padded)[:, 0]
            assert sums is not None
            done(sums, x0, x1)

    run(work, width, size, n_threads)


def box_sums(
    plane: Floats, radius: int, *, weights: Floats | None = None, n_threads: int = 1
) -> Floats:
    """Sum `plane` (H, W), times `weights` if given, over square windows; in its dtype."""
    sums = np.empty((1, *plane.shape), plane.dtype)

    def fill_rows(band: Floats, y0: int, y1: int) -> None:
        if weights is None:
            band[0] = plane[y0:y1]
        else:
            np.multiply(plane[y0:y1], weights[y0:y1], out=band[0])

    def store(s: Floats, y0: int, y1: int) -> None:
        sums[:, y0:y1] = s

    def fill_columns(strip: Floats, _: Floats | None, x0: int, x1: int) -> None:
        strip[...] = sums[:, :, x0:x1]

    def keep(s: Floats, x0: int, x1: int) -> None:
        sums[:, :, x0:x1] = s

    shape = (plane.shape[0], plane.shape[1])
    along_rows(shape, 1, radius, plane.dtype, fill_rows, store, n_threads)
    along_columns(shape, radius, [(1, plane.dtype, fill_columns)], keep, n_threads)
    total: Floats = sums[0]
    return total
