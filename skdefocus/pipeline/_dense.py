"""Answers of the network for all cells of an image, computed tile by tile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise, product

import numpy as np

from skdefocus._grids import Area, mirrored_crop
from skdefocus._typing import AnyArray, Float32Array
from skdefocus.network import ModelFacts

#: Side of a tile in pixels, without those around it that its cells depend on. The network needs 190
#: bytes for every pixel that it reads. Tiles of 1376 would read 8 % fewer pixels of 100 megapixels,
#: and take 70 MiB more; with this side, 3000 pixels take two tiles.
TILE = 1312

#: Function from gray images (N, H, W) to values (N, rows, columns, levels) of their cells.
Answer = Callable[[Float32Array], Float32Array]


def dense(
    image: AnyArray, facts: ModelFacts, answer: Answer
) -> Iterator[tuple[Area, Float32Array]]:
    """Compute the answers for an image's cells; yield each tile's cells and their answers.

    The cells have the network's stride; those cut off by the border see mirrored pixels. A tile is
    read with all pixels that its cells depend on, so the answers equal those of the whole image.
    """
    down, across = (list(_tiles(n, facts)) for n in image.shape[:2])
    for (rows, top, kept_rows), (columns, left, kept_columns) in product(down, across):
        found = answer(mirrored_crop(image, top, left)[None])[0]
        yield (rows, columns), found[kept_rows, kept_columns]


def _tiles(length: int, facts: ModelFacts) -> Iterator[tuple[slice, slice, slice]]:
    """Yield the tiles along one axis: their cells, the pixels to read, and the answers to keep.

    All have the same length, because the network's first run on a shape takes the longest.
    """
    unit, stride = facts.multiple, facts.stride
    units, cells = -(-length // unit), -(-length // stride)
    # At least one: a tile may not extend beyond the border by more than it reaches back.
    halo = max(-(-facts.reach // unit), 1)
    count = max(-(-(units - 2 * halo) // max(TILE // unit, 1)), 1)
    read = -(-(units + 2 * halo * (count - 1)) // count)
    starts = [(units - read) * i // max(count - 1, 1) for i in range(count)]
    edges = [0, *(start + halo for start in starts[1:]), units]
    for start, (first, last) in zip(starts, pairwise(edges), strict=True):
        low, high = first * unit // stride, min(last * unit // stride, cells)
        skipped = low - start * unit // stride
        yield (
            slice(low, high),
            slice(start * unit, (start + read) * unit),
            slice(skipped, skipped + high - low),
        )


def surrounded(patches: Float32Array, facts: ModelFacts, answer: Answer) -> Float32Array:
    """Compute the answers (n, levels) of a dense network for patches (n, size, size).

    The network sees each patch with mirrored surroundings of at least its own size. The answer is
    the mean over the cells around its middle.
    """
    size, stride = facts.patch_size, facts.stride
    before = -(-size // stride) * stride
    side = -(-(2 * before + size) // facts.multiple) * facts.multiple
    index = np.arange(-before, side - before) % (2 * size)
    index = np.minimum(index, 2 * size - 1 - index)
    found = answer(patches[:, index][:, :, index])
    middle = before // stride + (size // stride - 1) // 2
    kept = slice(middle, middle + (2 if size // stride % 2 == 0 else 1))
    return np.asarray(found[:, kept, kept].mean(axis=(1, 2)))
