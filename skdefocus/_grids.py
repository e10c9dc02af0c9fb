"""Geometry of images that are worked on by cells or by tiles, and of their borders."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from skdefocus._images import scaled, to_gray
from skdefocus._typing import Float32Array

#: Rows and columns, with start and stop.
Area = tuple[slice, slice]

#: Side in pixels of the tiles that are refined one by one, so that memory does not grow with the
#: image.
TILE = 1024


def tiles(shape: tuple[int, ...], step: int, halo: int) -> Iterator[tuple[Area, Area]]:
    """Parts of an image to make one by one, and with up to `halo` pixels more on every side.

    Both begin at multiples of `step`.
    """

    def spans(length: int) -> list[tuple[slice, slice]]:
        cells, count = -(-length // step), -(-length // TILE)
        edges = [min(cells * i // count * step, length) for i in range(count)] + [length]
        return [
            (slice(a, b), slice(max(a - halo, 0) // step * step, min(b + halo, length)))
            for a, b in pairwise(edges)
        ]

    for rows, columns in product(spans(shape[0]), spans(shape[1])):
        yield (rows[0], columns[0]), (rows[1], columns[1])


def cell_means(image: NDArray[Any], step: int) -> Float32Array:
    """Mean of the image over each cell; those cut off by the border repeat its last pixels."""
    height, width = image.shape[:2]
    out = np.empty((-(-height // step), -(-width // step), *image.shape[2:]), np.float32)
    for inner, _ in tiles(image.shape, step, 0):
        part = scaled(image[inner])
        short = [(0, -part.shape[0] % step), (0, -part.shape[1] % step), (0, 0)][: image.ndim]
        if any(end for _, end in short):
            part = np.pad(part, short, mode="edge")
        rows, columns = part.shape[0] // step, part.shape[1] // step
        # Whole rows first: along both axes at once it takes NumPy six times as long.
        sums = part.reshape(rows, step, -1).sum(axis=1)
        sums = sums.reshape(rows, columns, step, *image.shape[2:]).sum(axis=2)
        top, left = inner[0].start // step, inner[1].start // step
        out[top : top + rows, left : left + columns] = sums / np.float32(step * step)
    return out


def block_sums(cells: Float32Array, side: int) -> Float32Array:
    """Sums over blocks of `side` by `side` cells; the last ones may be smaller."""
    for axis in (0, 1):
        cells = np.add.reduceat(cells, np.arange(0, cells.shape[axis], side), axis=axis)
    return cells


def enlarge(cells: Float32Array, step: int, area: Area) -> Float32Array:
    """Interpolate values at the cells' centres linearly to pixels.

    Parameters
    ----------
    cells : ndarray of shape (rows, columns), float32
    step : int
        Side of a cell in pixels.
    area : tuple of two slice
        Rows and columns of the image that are wanted.

    Returns
    -------
    ndarray of the shape of `area`, float32
    """
    # One cell more on every side, as far as there are any: what lies there counts too.
    around = [
        slice(max(span.start // step - 1, 0), min(-(-span.stop // step) + 1, n))
        for span, n in zip(area, cells.shape, strict=True)
    ]
    part = np.ascontiguousarray(cells[tuple(around)], np.float32)
    size = part.shape[1] * step, part.shape[0] * step
    whole = np.asarray(Image.fromarray(part).resize(size, Image.Resampling.BILINEAR), np.float32)
    return whole[
        tuple(
            slice(span.start - cell.start * step, span.stop - cell.start * step)
            for span, cell in zip(area, around, strict=True)
        )
    ]


def whole(shape: tuple[int, ...]) -> Area:
    """The area of a whole image."""
    return slice(0, shape[0]), slice(0, shape[1])


def mirrored(image: NDArray[Any], rows: slice, columns: slice) -> NDArray[np.float32]:
    """Grey values of a part of an image that goes on, mirrored, beyond its borders.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3)
        Checked.
    rows, columns : slice
        With start and stop, which may lie beyond the image. The part that lies within must be
        the whole image's or at least as long as what lies beyond.

    Returns
    -------
    ndarray, float32
        Shares memory with `image` only if that is grey float32 and nothing lies beyond.
    """
    within, indices = [], []
    for span, length in zip((rows, columns), image.shape, strict=False):
        low, high = max(span.start, 0), min(span.stop, length)
        within.append(slice(low, high))
        # np.pad has done this wrong before NumPy 2, where more lies beyond than within.
        there = np.arange(span.start, span.stop) % (2 * length)
        indices.append(np.minimum(there, 2 * length - 1 - there) - low)
    grey = to_gray(image[within[0], within[1]])
    for axis, index in enumerate(indices):
        if len(index) != grey.shape[axis]:
            grey = grey.take(index, axis)
    return grey
