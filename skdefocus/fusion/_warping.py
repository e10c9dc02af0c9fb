"""Frames resampled onto the reference, by two passes along the axes."""

from __future__ import annotations

import math
from functools import cache, partial

import numpy as np
from scipy import ndimage
from scipy.sparse import csr_array

from skdefocus._grids import Area
from skdefocus._typing import BoolArray, Float32Array, Float64Array
from skdefocus.fusion._tiles import by_tiles

#: Values on either side of a position that an interpolated one is made of.
LOBES = 3
#: Positions between two pixels that have a kernel of their own.
PHASES = 512
#: Error in pixels up to which neighboring columns are resampled at the same positions.
SAME = 1 / 128
#: Columns that are resampled together at most: they stay in the processor's cache.
BAND = 128
#: Rotation or shear, in parts of 1, from which rows have so little in common that two passes would
#: take longer than splines in two dimensions.
STEEP = 0.004
#: Pixels around an area that splines depend on.
HALO = 16


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
    planes = image[..., None] if image.ndim == 2 else image
    out = np.empty_like(planes)
    for c in range(planes.shape[2]):
        of_area = partial(_warped_area, planes[..., c], matrix, lobes)
        out[..., c] = by_tiles(of_area, image.shape, 0, where)
    return np.clip(out, image.min(), image.max(), out=out).reshape(image.shape)


def _warped_area(plane: Float32Array, matrix: Float64Array, lobes: int, area: Area) -> Float32Array:
    """Resample the part of a plane that an area of the reference needs."""
    corners = np.array([[r, c, 1.0] for r in _ends(area[0]) for c in _ends(area[1])]) @ matrix.T
    part = []
    for low, high, size in zip(corners.min(axis=0), corners.max(axis=0), plane.shape, strict=False):
        start = min(max(math.floor(low) - HALO, 0), size - 1)
        part.append(slice(start, max(min(math.ceil(high) + HALO + 1, size), start + 1)))
    first = [s.start for s in area]
    offset = matrix[:2, :2] @ first + matrix[:2, 2] - [s.start for s in part]
    shape = (area[0].stop - area[0].start, area[1].stop - area[1].start)
    if max(abs(matrix[0, 1]), abs(matrix[1, 0])) < STEEP:
        return _in_two_passes(plane[tuple(part)], matrix[:2, :2], offset, shape, lobes)
    out = np.empty(shape, np.float32)
    order = 1 if lobes == 1 else 3
    ndimage.affine_transform(
        plane[tuple(part)], matrix[:2, :2], offset, shape, out, order, mode="nearest"
    )
    return out


def _ends(part: slice) -> tuple[int, int]:
    return part.start, part.stop - 1


def _in_two_passes(
    plane: Float32Array,
    matrix: Float64Array,
    offset: Float64Array,
    shape: tuple[int, int],
    lobes: int,
) -> Float32Array:
    """Resample the rows first, at the columns that the second pass will need there.

    Catmull and Smith, "3-D transformations of images in scanline order", SIGGRAPH 1980.
    """
    (a, b), (c, d) = matrix
    p, q = offset
    seen = _down(
        np.ascontiguousarray(plane.T), (d - b * c / a, c / a, q - c * p / a), shape[1], lobes
    )
    return _down(np.ascontiguousarray(seen.T), (a, b, p), shape[0], lobes)


def _down(
    plane: Float32Array, positions: tuple[float, float, float], length: int, lobes: int
) -> Float32Array:
    """Resample every column to a length; neighboring ones by the same matrix.

    Parameters
    ----------
    plane : ndarray of shape (H, W)
    positions : (float, float, float)
        Factors of the row of the result and of the column, and a term: their sum is the row of the
        plane.
    """
    along, across, offset = positions
    out = np.empty((length, plane.shape[1]), np.float32)
    band = min(max(round(2 * SAME / max(abs(across), 1e-9)), 1), BAND)
    starts, lobe = np.arange(0, 2 * lobes * length + 1, 2 * lobes), np.arange(1 - lobes, lobes + 1)
    for first in range(0, plane.shape[1], band):
        part = plane[:, first : first + band]
        at = along * np.arange(length) + across * (first + (part.shape[1] - 1) / 2) + offset
        before = np.floor(at)
        weights = _kernels(lobes)[np.rint((at - before) * PHASES).astype(np.intp)]
        rows = np.clip(before.astype(np.int32)[:, None] + lobe, 0, len(plane) - 1)
        matrix = csr_array((weights.ravel(), rows.ravel(), starts), (length, len(plane)))
        out[:, first : first + band] = matrix @ part
    return out


@cache
def _kernels(lobes: int) -> Float32Array:
    """Weights (phases, 2 · lobes) of the values around a position, for its phases from 0 to 1."""
    phases = np.arange(PHASES + 1)[:, None] / PHASES
    away = np.arange(1 - lobes, lobes + 1) - phases
    kernels = 1 - np.abs(away) if lobes == 1 else np.sinc(away) * np.sinc(away / lobes)
    return np.asarray(kernels / kernels.sum(axis=1, keepdims=True), np.float32)
