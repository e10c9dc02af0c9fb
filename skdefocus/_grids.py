"""Geometry of images: cells, tiles and mirrored borders."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise, product

import numpy as np
from PIL import Image

from skdefocus._images import scaled, to_gray
from skdefocus._typing import AnyArray, Float32Array, IndexArray

#: Rows and columns of an image, as slices with start and stop.
Area = tuple[slice, slice]

#: Side of a tile in pixels. Working tile by tile limits memory.
TILE = 1024
#: Rows of cells that are worked on at once where every cell has many levels: the side of the
#: largest block of cells. More of them take more memory and the same time.
STRIP = 16


def tiles(
    shape: tuple[int, ...], step: int, halo: int, side: int | None = None
) -> Iterator[tuple[Area, Area]]:
    """Cut an image into tiles; yield each of them without and with a halo.

    The halo is up to `halo` pixels on every side. Both areas begin at multiples of `step`. A tile
    has up to `side` pixels on a side (by default `TILE`), or a few more.
    """
    most = side or TILE

    def ranges(length: int) -> list[tuple[slice, slice]]:
        cells, count = -(-length // step), -(-length // most)
        edges = [min(cells * i // count * step, length) for i in range(count)] + [length]
        return [
            (slice(a, b), slice(max(a - halo, 0) // step * step, min(b + halo, length)))
            for a, b in pairwise(edges)
        ]

    for rows, columns in product(ranges(shape[0]), ranges(shape[1])):
        yield (rows[0], columns[0]), (rows[1], columns[1])


def seen_from(outer: Area, inner: Area) -> Area:
    """Return an inner area by its position in the outer one."""
    rows, columns = (
        slice(i.start - o.start, i.stop - o.start) for i, o in zip(inner, outer, strict=True)
    )
    return rows, columns


def grown(area: Area, halo: int, shape: tuple[int, ...]) -> Area:
    """Return an area with up to `halo` pixels more on every side, within an image."""
    rows, columns = (
        slice(max(part.start - halo, 0), min(part.stop + halo, length))
        for part, length in zip(area, shape, strict=False)
    )
    return rows, columns


def cell_means(image: AnyArray, step: int, gray: bool = False) -> Float32Array:
    """Average an image over each cell; at the border, its last pixels are repeated.

    With `gray`, average its gray values.
    """
    height, width = image.shape[:2]
    channels = () if gray else image.shape[2:]
    out = np.empty((-(-height // step), -(-width // step), *channels), np.float32)
    for inner, _ in tiles(image.shape, step, 0):
        part = to_gray(image[inner]) if gray else scaled(image[inner])
        short = [(0, -part.shape[0] % step), (0, -part.shape[1] % step), (0, 0)][: part.ndim]
        if any(end for _, end in short):
            part = np.pad(part, short, mode="edge")
        rows, columns = (n // step for n in part.shape[:2])
        # Along the rows first: along both axes at once it takes NumPy six times as long.
        sums = part.reshape(rows, step, -1).sum(axis=1).reshape(rows, -1, *channels)
        top, left = inner[0].start // step, inner[1].start // step
        means = sums_of_runs(sums, step)
        means /= np.float32(step * step)
        out[top : top + rows, left : left + columns] = means
    return out


def sums_of_runs(rows: Float32Array, length: int) -> Float32Array:
    """Sum every `length` columns of (H, W, ...), W being a multiple of it.

    NumPy's sum along an axis as short as that takes eight times as long.
    """
    total = rows[:, ::length].copy()
    for k in range(1, length):
        total += rows[:, k::length]
    return total


def block_sums(cells: AnyArray, side: int) -> Float32Array:
    """Sum cells in float32 over blocks of `side` × `side`; the last blocks may be smaller."""
    full = len(cells) // side * side
    rows = cells[:full].reshape(-1, side, *cells.shape[1:]).sum(axis=1, dtype=np.float32)
    if full < len(cells):
        rest = cells[full:].sum(axis=0, keepdims=True, dtype=np.float32)
        rows = np.concatenate([rows, rest])
    return np.add.reduceat(rows, np.arange(0, cells.shape[1], side), axis=1)


def block_means(cells: Float32Array, side: int) -> Float32Array:
    """Average (rows, columns, n) over blocks of `side` by `side`; the last may be smaller."""
    if side == 1:
        return cells
    sizes = block_sums(np.ones((*cells.shape[:2], 1), np.float32), side)
    return np.asarray(block_sums(cells, side) / sizes)


def enlarge(cells: Float32Array, step: int, area: Area) -> Float32Array:
    """Interpolate values at the centers of cells linearly to pixels.

    Parameters
    ----------
    cells : ndarray of shape (rows, columns), float32
    step : int
        Side of a cell in pixels.
    area : tuple of two slice
        Rows and columns of the image to compute.

    Returns
    -------
    ndarray of the shape of `area`, float32
    """
    # Pixels in the outer cells also depend on the next cells, where these exist.
    needed = [
        slice(max(pixels.start // step - 1, 0), min(-(-pixels.stop // step) + 1, n))
        for pixels, n in zip(area, cells.shape, strict=True)
    ]
    part = np.ascontiguousarray(cells[tuple(needed)], np.float32)
    size = part.shape[1] * step, part.shape[0] * step
    large = np.asarray(Image.fromarray(part).resize(size, Image.Resampling.BILINEAR), np.float32)
    return large[
        tuple(
            slice(pixels.start - cell.start * step, pixels.stop - cell.start * step)
            for pixels, cell in zip(area, needed, strict=True)
        )
    ]


def twice(planes: Float32Array, shape: tuple[int, ...]) -> Float32Array:
    """Enlarge (n, rows, columns) twice by linear interpolation, cut off at `shape`."""
    for axis in (2, 1):  # the columns, whose steps take longer, while there are fewer rows
        size = [2 * n if i == axis else n for i, n in enumerate(planes.shape)]
        out = np.empty(size, np.float32)
        small, large = (x.swapaxes(1, axis) for x in (planes, out))
        slope = small[:, 1:] - small[:, :-1]
        slope *= np.float32(0.25)
        # Beyond the border, the outer cells are repeated.
        large[:, 0], large[:, -1] = small[:, 0], small[:, -1]
        np.subtract(small[:, 1:], slope, out=large[:, 2::2])
        np.add(small[:, :-1], slope, out=large[:, 1:-1:2])
        planes = out
    return planes[:, : shape[0], : shape[1]]


def repeated(cells: AnyArray, step: int, shape: tuple[int, ...]) -> AnyArray:
    """Give every pixel of (H, W) the value of its cell; the last cells are cut off."""
    return cells.repeat(step, 0).repeat(step, 1)[: shape[0], : shape[1]]


def all_cells(cells: AnyArray, step: int, shape: tuple[int, ...]) -> AnyArray:
    """Repeat the last cells where (H, W) ends with cells that are cut off and have no value."""
    rest = [(0, -(-n // step) - m) for n, m in zip(shape[:2], cells.shape, strict=True)]
    return np.pad(cells, rest, mode="edge")


def strips(rows: int, size: int = STRIP) -> Iterator[slice]:
    """Cut rows, or columns, into strips of `size`; the last one may have fewer."""
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))


def twice_in(planes: Float32Array, area: Area) -> Float32Array:
    """Compute an area of `twice`, without memory for the rest."""
    needed = _around(area, planes.shape[1:])
    part = planes[:, needed[0], needed[1]]
    large = twice(part, tuple(2 * (part.stop - part.start) for part in needed))
    rows, columns = _seen_from_half(needed, area)
    return large[:, rows, columns]


def enlarged_in(
    planes: Float32Array, times: int, shape: tuple[int, ...], area: Area
) -> Float32Array:
    """Compute an area of cells enlarged by `twice` again and again, without memory for the rest.

    Parameters
    ----------
    planes : ndarray of shape (n, rows, columns), float32
        Of cells.
    times : int
        Power of 2.
    shape : tuple of int
        Rows and columns of the result in full; divided by `times` and rounded up, those of
        `planes`.
    area : tuple of two slice
        Rows and columns to compute.

    Returns
    -------
    ndarray of shape (n, rows of the area, columns of the area), float32
        Part of `planes` if `times` is 1.
    """
    if times == 1:
        return planes[:, area[0], area[1]]
    half = tuple(-(-n // 2) for n in shape)
    needed = _around(area, half)
    between = enlarged_in(planes, times // 2, half, needed)
    return twice_in(between, _seen_from_half(needed, area))


def _around(area: Area, half: tuple[int, ...]) -> Area:
    """Return the area of cells twice as large that an area depends on; there are `half` of them."""
    rows, columns = (
        slice(max(part.start // 2 - 1, 0), min(-(-part.stop // 2) + 1, n))
        for part, n in zip(area, half, strict=False)
    )
    return rows, columns


def _seen_from_half(outer: Area, inner: Area) -> Area:
    """Return an area by its position in one of cells twice as large."""
    rows, columns = (
        slice(i.start - 2 * o.start, i.stop - 2 * o.start)
        for i, o in zip(inner, outer, strict=True)
    )
    return rows, columns


def full_area(shape: tuple[int, ...]) -> Area:
    """Return the area of a full image."""
    return slice(0, shape[0]), slice(0, shape[1])


@lru_cache(maxsize=1024)
def mirrored_positions(start: int, stop: int, length: int) -> IndexArray:
    """Return the positions of the pixels of a line that is mirrored beyond its ends."""
    # Before NumPy 2, np.pad is wrong where more pixels are outside than inside.
    position = np.arange(start, stop) % (2 * length)
    return np.minimum(position, 2 * length - 1 - position)


def mirrored_crop(image: AnyArray, rows: slice, columns: slice) -> Float32Array:
    """Return gray values of a part of an image that is mirrored beyond its borders.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3)
        A checked photograph.
    rows, columns : slice
        With start and stop, which may be beyond the image. Along each axis, the part must contain
        all of the image, or at least as many pixels inside the image as outside.

    Returns
    -------
    ndarray, float32
        Shares memory with `image` only if that is gray float32 and nothing is beyond it.
    """
    inside, indices = [], []
    for part, length in zip((rows, columns), image.shape, strict=False):
        low, high = max(part.start, 0), min(part.stop, length)
        inside.append(slice(low, high))
        indices.append(mirrored_positions(part.start, part.stop, length) - low)
    gray = to_gray(image[inside[0], inside[1]])
    for axis, index in enumerate(indices):
        if len(index) != gray.shape[axis]:
            gray = gray.take(index, axis)
    return gray
