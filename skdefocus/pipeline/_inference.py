"""The network's answers for the records of images: cached, dense or patch by patch."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skdefocus import network
from skdefocus.pipeline._dense import dense
from skdefocus.pipeline._records import LevelGrid, PatchGrid

#: A last layer: weights (n_levels, n_features) and bias (n_levels,).
Head = tuple[NDArray[np.float32], NDArray[np.float32]]

#: To be raised when the same network comes to answer an image otherwise: caches outlive versions.
ANSWERS = 1

#: Rows of an image that are hashed at once.
HASH_ROWS = 256


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities along the last axis."""
    p = np.exp(logits - logits.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    return p


def level_grid(
    grid: PatchGrid, infer: Any, facts: network.ModelFacts, cached: bool, *settings: Any
) -> LevelGrid:
    key = None
    if cached:
        key = (ANSWERS, facts.digest, _digest(grid.image), grid.patch_size, grid.step)
    proba = infer(grid, facts, key, *settings)
    return LevelGrid(grid.image, proba, np.array(facts.sigmas), grid.step, grid.stacked)


def _digest(image: NDArray[Any]) -> tuple[Any, ...]:
    """What a cache knows an image by; joblib's own hash of the pixels is three times as slow."""
    sha = hashlib.sha256()
    for start in range(0, len(image), HASH_ROWS):
        sha.update(np.ascontiguousarray(image[start : start + HASH_ROWS]).data)
    return image.shape, image.dtype.str, sha.hexdigest()


def infer(
    grid: PatchGrid,
    facts: network.ModelFacts,
    key: Any,  # what the cache knows network and image by
    inference: str,
    head: Head | None,
    batch_size: int,
    n_threads: int,
    providers: tuple[str, ...] | None,
) -> NDArray[np.float32]:
    """Probabilities (rows, columns, n_levels) of one image."""

    def answer(images: NDArray[np.float32]) -> NDArray[np.float32]:
        if head is None:
            return softmax(network.run(facts, images, "logits", n_threads, providers))
        features = network.run(facts, images, "features", n_threads, providers)
        return softmax(features @ head[0].T + head[1])

    if inference == "dense":
        return dense(grid, facts, answer)
    patches, shape = grid.patches, grid.shape
    out = np.empty((*shape, len(facts.sigmas)), np.float32)
    flat = out.reshape(-1, len(facts.sigmas))
    for start in range(0, len(flat), batch_size):
        # Only one batch of patches is ever copied out of the view.
        at = np.unravel_index(np.arange(start, min(start + batch_size, len(flat))), shape)
        flat[start : start + batch_size] = answer(patches[at])[:, 0, 0]
    return out
