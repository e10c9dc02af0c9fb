"""Frames resampled onto the reference, by two passes along the axes."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from scipy import ndimage

from skdefocus._grids import Area
from skdefocus._typing import BoolArray, Float32Array, Float64Array, IndexArray
from skdefocus.fusion._tiles import tiled

#: Values on either side of a position that an interpolated one is made of.
LOBES = 3
#: Positions between two pixels that have a kernel of their own.
PHASES = 512
#: Error in pixels up to which neighboring columns are resampled at the same positions.
SAME = 1 / 128
#: Rows that are resampled together, from the same ones.
BLOCK = 32
#: Rotation or shear, in parts of 1, from which rows have so little in common that two passes would
#: take longer than splines in two dimensions.
STEEP = 0.004
#: Pixels around an area that splines depend on.
HALO = 16


def carried(matrix: Float64Array, places: Float64Array) -> Float64Array:
    """Give the places (n, 2) of a frame that those of the reference go to, rows and columns."""
    return np.asarray(places @ matrix[:2, :2].T + matrix[:2, 2])


def inside(matrix: Float64Array, size: tuple[int, int]) -> BoolArray:
    """Find the pixels (H, W) of the reference for which `warp` finds pixels of the frame."""
    columns = np.arange(size[1], dtype=np.int32)
    rows = np.arange(size[0])[:, None]
    first, last = np.full(rows.shape, 0.0), np.full(rows.shape, size[1] - 1.0)
    for (along_rows, along_columns, offset), length in zip(matrix[:2], size, strict=True):
        # 0 ≤ along_rows · row + along_columns · column + offset ≤ length - 1
        low, high = -along_rows * rows - offset, length - 1 - along_rows * rows - offset
        if along_columns == 0:
            first[(low > 0) | (high < 0)] = size[1]
            continue
        ends = low / along_columns, high / along_columns
        np.maximum(first, np.minimum(*ends), out=first)
        np.minimum(last, np.maximum(*ends), out=last)
    limits = (-1.0, float(size[1]))
    start = np.clip(np.ceil(first), *limits).astype(np.int32)
    stop = np.clip(np.floor(last), *limits).astype(np.int32)
    return np.asarray((columns >= start) & (columns <= stop))


def warp(
    image: Float32Array, matrix: Float64Array, lobes: int = LOBES, where: BoolArray | None = None
) -> Float32Array:
    """Resample a frame onto the reference; beyond its border its last pixels are repeated.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, C)
    matrix : ndarray of shape (3, 3)
        From (row, column, 1) of the reference to that of the frame.
    lobes : int
        Of Lanczos' kernel; 1 interpolates linearly. The result stays within the range of the image.
    where : ndarray of shape (H, W), bool, or None
        The pixels that are needed; elsewhere the result may be anything.
    """
    limits = float(image.min()), float(image.max())
    warped = Warped(image.__getitem__, image.shape, matrix, limits, lobes)
    out = np.zeros_like(image)
    for area in tiled(image.shape, where):
        out[area] = warped(area)
    return out


class Warped:
    """A frame resampled onto the reference, area by area; see :func:`warp`.

    Parameters
    ----------
    read : callable
        Gives an area of the frame, shape (h, w) or (h, w, C).
    shape : tuple of int
        Of the frame.
    matrix : ndarray of shape (3, 3)
    limits : (float, float)
        Range of the result.
    lobes : int
    """

    def __init__(
        self,
        read: Callable[[Area], Float32Array],
        shape: tuple[int, ...],
        matrix: Float64Array,
        limits: tuple[float, float],
        lobes: int = LOBES,
    ) -> None:
        self._read, self._shape, self._matrix = read, shape, matrix
        self._limits, self._lobes = limits, lobes
        self._steep = max(abs(matrix[0, 1]), abs(matrix[1, 0])) >= STEEP

    def __call__(self, area: Area) -> Float32Array:
        """Resample the part of the frame that an area of the reference needs."""
        matrix, part = self._matrix[:2, :2], self._part(area)
        first = [s.start for s in area]
        offset = matrix @ first + self._matrix[:2, 2] - [s.start for s in part]
        size = (area[0].stop - area[0].start, area[1].stop - area[1].start)
        image = self._read(part)
        if not image.any():
            return np.zeros((*size, *image.shape[2:]), np.float32)
        planes = image[None] if image.ndim == 2 else np.moveaxis(image, 2, 0).copy()
        if self._steep:
            order = 1 if self._lobes == 1 else 3
            out = np.empty((len(planes), *size), np.float32)
            for plane, target in zip(planes, out, strict=True):
                ndimage.affine_transform(plane, matrix, offset, size, target, order, mode="nearest")
        else:
            out = _in_two_passes(planes, matrix, offset, size, self._lobes)
        np.clip(out, *map(np.float32, self._limits), out=out)
        return out[0] if image.ndim == 2 else np.moveaxis(out, 0, 2)

    def _part(self, area: Area) -> Area:
        """Pixels of the frame that those of the area depend on."""
        corners = [[r, c, 1.0] for r in _ends(area[0]) for c in _ends(area[1])] @ self._matrix.T
        halo = HALO if self._steep else 2 * self._lobes
        part = []
        for low, high, size in zip(
            corners.min(axis=0), corners.max(axis=0), self._shape, strict=False
        ):
            start = min(max(math.floor(low) - halo, 0), size - 1)
            part.append(slice(start, max(min(math.ceil(high) + halo + 1, size), start + 1)))
        return part[0], part[1]


def _ends(part: slice) -> tuple[int, int]:
    return part.start, part.stop - 1


def _in_two_passes(
    planes: Float32Array,
    matrix: Float64Array,
    offset: Float64Array,
    size: tuple[int, int],
    lobes: int,
) -> Float32Array:
    """Resample the rows first, at the columns that the second pass will need there.

    Catmull and Smith, "3-D transformations of images in scanline order", SIGGRAPH 1980.
    """
    (a, b), (c, d) = matrix
    p, q = offset
    positions = d - b * c / a, c / a, q - c * p / a
    seen = _down(planes.swapaxes(1, 2), positions, size[1], lobes)
    return _down(seen.swapaxes(1, 2), (a, b, p), size[0], lobes)


def _down(
    planes: Float32Array, positions: tuple[float, float, float], length: int, lobes: int
) -> Float32Array:
    """Resample every column to a length; neighboring ones by the same matrices.

    Parameters
    ----------
    planes : ndarray of shape (C, H, W)
    positions : (float, float, float)
        Factors of the row of the result and of the column, and a term: their sum is the row of the
        plane.
    """
    along, across, offset = positions
    count, height, width = planes.shape
    out = np.empty((count, length, width), np.float32)
    band = min(max(round(2 * SAME / max(abs(across), 1e-9)), 1), width)
    for first in range(0, width, band):
        columns = slice(first, min(first + band, width))
        middle = (columns.start + columns.stop - 1) / 2
        at = along * np.arange(length) + across * middle + offset
        starts, matrix = _products(at, height, lobes)
        for k, start in enumerate(starts):
            rows = slice(k * BLOCK, (k + 1) * BLOCK)
            part = planes[:, start : start + matrix.shape[1], columns]
            np.matmul(matrix[rows], part, out=out[:, rows, columns])
    return out


def _products(at: Float64Array, size: int, lobes: int) -> tuple[IndexArray, Float32Array]:
    """Weights for values at some positions, `BLOCK` of which are of the same values.

    As products of matrices, with many zeros, they take a quarter of the time of sparse ones.

    Returns
    -------
    starts : ndarray of shape (blocks,)
        The first of the values.
    weights : ndarray of shape (positions, values)
    """
    before = np.floor(at).astype(np.intp)
    weights = _kernels(lobes)[np.rint((at - before) * PHASES).astype(np.intp)]
    edges, taps = np.arange(0, len(at), BLOCK), np.arange(1 - lobes, lobes + 1)
    low, high = np.minimum.reduceat(before, edges), np.maximum.reduceat(before, edges)
    starts, stops = np.clip([low + taps[0], high + taps[-1]], 0, size - 1)
    count = int((stops - starts).max()) + 1
    np.minimum(starts, size - count, out=starts)
    out = np.zeros((len(at), count), np.float32)
    # The number of a row's first value in `out`, had that a column for every value.
    first = np.arange(len(at)) * count - starts.repeat(BLOCK)[: len(at)]
    if low.min() + taps[0] >= 0 and high.max() + taps[-1] < size:
        out.reshape(-1)[(first + before)[:, None] + taps] = weights
        return starts, out
    for tap, weight in zip(taps, weights.T, strict=True):
        # The last value is repeated beyond the border.
        out.reshape(-1)[first + np.clip(before + tap, 0, size - 1)] += weight
    return starts, out


@cache
def _kernels(lobes: int) -> Float32Array:
    """Weights (phases, 2 · lobes) of the values around a position, for its phases from 0 to 1."""
    phases = np.arange(PHASES + 1)[:, None] / PHASES
    away = np.arange(1 - lobes, lobes + 1) - phases
    kernels = 1 - np.abs(away) if lobes == 1 else np.sinc(away) * np.sinc(away / lobes)
    return np.asarray(kernels / kernels.sum(axis=1, keepdims=True), np.float32)
