"""The network's answers for all patches of an image from passes over tiles of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from skdefocus._grids import mirrored
from skdefocus.network import ModelFacts
from skdefocus.pipeline._records import PatchGrid

#: Side of the tiles in pixels, so that memory does not grow with the image.
TILE = 1024
#: Mirrored surroundings that the patches at an image's border get, in pixels.
FRAME = 16


def dense(
    grid: PatchGrid,
    facts: ModelFacts,
    answer: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Answers (rows, columns, n_levels) for all patches of a record.

    `answer` maps images (N, H, W) to answers for their windows, one every stride. A step below the
    network's stride takes one pass per shift; a larger one leaves answers out.
    """
    shifts, skip = max(1, facts.stride // grid.step), max(1, grid.step // facts.stride)
    out = np.empty((*grid.shape, len(facts.sigmas)), np.float32)
    for a, b in product(*(range(min(shifts, n)) for n in grid.shape)):
        part = out[a::shifts, b::shifts]
        down = spans(part.shape[0], skip, a * grid.step - grid.before, facts)
        across = list(spans(part.shape[1], skip, b * grid.step - grid.before, facts))
        for (rows, top, keep), (columns, left, kept) in product(down, across):
            answers = answer(mirrored(grid.image, top, left)[None])[0]
            part[rows, columns] = answers[keep, kept]
    return out


def spans(
    cells: int, skip: int, origin: int, facts: ModelFacts
) -> Iterator[tuple[slice, slice, slice]]:
    """Tiles along one axis: their cells, the pixels to read, and which of the answers to keep.

    The cells' patches begin at `origin` and every `skip` strides from there.
    """
    stride = facts.stride
    halo, frame = -(-facts.reach // stride), FRAME // stride
    count = -(-cells * skip * stride // TILE)
    for first, last in pairwise(cells * i // count for i in range(count + 1)):
        low, high = first * skip, (last - 1) * skip + 1  # in windows of the network
        start, stop = max(low - halo, -frame), min(high + halo, (cells - 1) * skip + 1 + frame)
        pixels = slice(origin + start * stride, origin + (stop - 1) * stride + facts.patch_size)
        yield slice(first, last), pixels, slice(low - start, high - start, skip)
