"""The network's answers for the records of images: cached, dense or patch by patch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skdefocus import network
from skdefocus._typing import Float32Array
from skdefocus.pipeline._dense import Answer, alone, dense
from skdefocus.pipeline._octaves import extended, joined, softmax
from skdefocus.pipeline._records import LevelGrid, PatchGrid

#: A last layer: weights (n_levels, n_features) and bias (n_levels,).
Head = tuple[Float32Array, Float32Array]

#: To be raised when the same network comes to answer an image otherwise: caches outlive versions.
ANSWERS = 2

#: Rows of an image that are hashed at once.
HASH_ROWS = 256


@dataclass(frozen=True)
class Settings:
    """How a classifier runs its network.

    Attributes
    ----------
    inference : {"dense", "patches"}
    octaves : int
    head : tuple or None
        A re-fitted last layer.
    batch_size, n_threads : int
    providers : tuple of str, or None
    """

    inference: str
    octaves: int
    head: Head | None
    batch_size: int
    n_threads: int
    providers: tuple[str, ...] | None

    def answer(self, facts: network.ModelFacts, images: Float32Array) -> Float32Array:
        """Compute the probabilities (N, rows, columns, levels) of images (N, H, W)."""
        output = "logits" if self.head is None else "features"
        values = network.run(facts, images, output, self.n_threads, self.providers)
        if self.head is not None:
            values = values @ self.head[0].T + self.head[1]
        return softmax(np.ascontiguousarray(values))


def level_grid(
    grid: PatchGrid, infer: Any, facts: network.ModelFacts, cached: bool, settings: Settings
) -> LevelGrid:
    """Make the record of one image."""
    key = None
    if cached:
        key = (
            ANSWERS, facts.digest, _digest(grid.image), grid.patch_size, grid.step,
            settings.inference, settings.octaves, settings.head,
        )  # fmt: skip
    proba = infer(grid, facts, settings, key)
    sigmas = np.array(extended(facts.sigmas, settings.octaves))
    return LevelGrid(grid.image, proba, sigmas, grid.step, grid.stacked)


def _digest(image: NDArray[Any]) -> tuple[Any, ...]:
    """What a cache knows an image by; joblib's own hash of the pixels is three times as slow."""
    sha = hashlib.sha256()
    for start in range(0, len(image), HASH_ROWS):
        sha.update(np.ascontiguousarray(image[start : start + HASH_ROWS]).data)
    return image.shape, image.dtype.str, sha.hexdigest()


def infer(
    grid: PatchGrid, facts: network.ModelFacts, settings: Settings, key: Any
) -> Float32Array:
    """Compute the probabilities (rows, columns, levels) of one image; a cache goes by `key`."""
    answer = partial(settings.answer, facts)
    if settings.inference == "patches":
        own = _patches(grid, facts, settings.batch_size, answer)
        more = len(extended(facts.sigmas, settings.octaves)) - own.shape[-1]
        return np.pad(own, [(0, 0), (0, 0), (0, more)])
    proba = joined(
        grid.image, facts, settings.octaves, lambda image: dense(image, facts, answer)
    )
    return block_means(proba, grid.step // facts.stride)


def _patches(
    grid: PatchGrid, facts: network.ModelFacts, batch_size: int, answer: Answer
) -> Float32Array:
    """Answers for the patches of a grid, each by itself."""
    patches, shape = grid.patches, grid.shape
    out = np.empty((*shape, len(facts.sigmas)), np.float32)
    flat = out.reshape(-1, len(facts.sigmas))
    for start in range(0, len(flat), batch_size):
        # Only one batch of patches is ever copied out of the view.
        at = np.unravel_index(np.arange(start, min(start + batch_size, len(flat))), shape)
        flat[start : start + batch_size] = alone(patches[at], facts, answer)
    return out


def block_means(cells: Float32Array, side: int) -> Float32Array:
    """Means of (rows, columns, n) over blocks of `side` by `side`; the last ones may be smaller."""
    if side == 1:
        return cells
    for axis in (0, 1):
        starts = np.arange(0, cells.shape[axis], side)
        sizes = np.diff(np.append(starts, cells.shape[axis])).astype(np.float32)
        shape = [-1 if i == axis else 1 for i in range(3)]
        cells = np.add.reduceat(cells, starts, axis=axis) / sizes.reshape(shape)
    return cells
