"""Answers of the network for the records of images: cached, dense or patch by patch."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from skdefocus import network
from skdefocus._grids import block_means, strips
from skdefocus._images import to_gray
from skdefocus._typing import AnyArray, Float32Array
from skdefocus.pipeline._dense import dense, surrounded
from skdefocus.pipeline._head import Head
from skdefocus.pipeline._octaves import Part, extended, joined, softmax
from skdefocus.pipeline._records import LevelGrid, PatchGrid, totals

#: Version of the answers. Raise it when a change makes the same network answer differently: caches
#: outlive versions of the package.
ANSWERS = 4

#: Number of pixels of a photograph beyond which the network's memory is given back after every size
#: of it. For smaller ones it is kept for the next photograph, because new memory takes time.
LARGE = 2**23

#: Bytes of cached answers that stay in memory as well, for the next candidate of a search: those of
#: eight photographs of a megapixel. Reading them again takes longer than most of a refinement.
RECENT = 2**26

#: These answers by their keys, the last ones used at the end.
_recent: dict[Any, AnyArray] = {}

#: Number of rows of an image that are hashed at once.
HASH_ROWS = 256


@dataclass(frozen=True)
class Inference:
    """Settings for running a classifier's network.

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

    def run(self, facts: network.ModelFacts, output: str, images: Float32Array) -> Float32Array:
        """Compute an output (N, rows, columns, channels) of the network for images (N, H, W)."""
        return network.run(facts, images, output, self.n_threads, self.providers)

    def logits(self, facts: network.ModelFacts, images: Float32Array) -> Float32Array:
        """Compute the logits (N, rows, columns, levels) for images (N, H, W)."""
        return self._levels(partial(self.run, facts, images=images))

    def patch_logits(self, facts: network.ModelFacts, patches: Float32Array) -> Float32Array:
        """Compute the logits (n, levels) for patches (n, size, size) by themselves."""
        return self._levels(partial(self.run_patches, facts, patches=patches))

    @property
    def dense_output(self) -> str:
        """Output of the network that the logits come from."""
        return "logits" if self.head is None else "features"

    def _levels(self, run: Callable[[str], Float32Array]) -> Float32Array:
        """Compute logits by the network's last layer, or by a re-fitted one from features."""
        if self.head is None:
            return run("logits")
        return run("features") @ self.head[0].T + self.head[1]

    def run_patches(
        self, facts: network.ModelFacts, output: str, patches: Float32Array
    ) -> Float32Array:
        """Compute an output (n, channels) for patches (n, size, size) by themselves.

        They go through the patch network. A file without one sees them in mirrored surroundings.
        """
        if facts.has_patch_network:
            return self._in_batches(partial(self._run_patch_network, facts, output), patches)
        return self.run_surrounded(facts, output, patches)

    def run_surrounded(
        self, facts: network.ModelFacts, output: str, patches: Float32Array
    ) -> Float32Array:
        """Compute an output (n, channels) of the dense network for patches."""
        answer = partial(self.run, facts, output)
        return self._in_batches(partial(surrounded, facts=facts, answer=answer), patches)

    def _run_patch_network(
        self, facts: network.ModelFacts, output: str, patches: Float32Array
    ) -> Float32Array:
        """Compute an output (n, channels) of the patch network."""
        return network.run_patches(facts, patches, output, self.n_threads, self.providers)

    def _in_batches(
        self, run: Callable[[Float32Array], Float32Array], patches: Float32Array
    ) -> Float32Array:
        """Call a function of patches for a batch of them at a time."""
        size = self.batch_size
        parts = (patches[i : i + size] for i in range(0, len(patches), size))
        return np.concatenate([run(part) for part in parts])

    def answer(self, facts: network.ModelFacts, images: Float32Array) -> Float32Array:
        """Compute the probabilities (N, rows, columns, levels) for images (N, H, W)."""
        found = self.logits(facts, images)
        for rows in strips(found.shape[1]):  # a strip stays in the cache
            softmax(found[:, rows])
        return found


def level_grid(
    grid: PatchGrid,
    infer: Any,
    facts: network.ModelFacts,
    cached: bool,
    location: str | None,
    inference: Inference,
) -> LevelGrid:
    """Make the record of one image; `infer` may be cached, in files if they have a location."""
    key = None
    if cached:
        key = (
            ANSWERS,
            facts.digest,
            _digest(grid.image),
            grid.patch_size,
            grid.step,
            inference.inference,
            inference.octaves,
            inference.head,
        )
    read = partial(infer, grid, facts, inference, key)
    if location is None or inference.head is not None:  # arrays are no key
        proba = read()
    else:
        proba = _recalled((location, key), read)
    sigmas = np.array(extended(facts.sigmas, inference.octaves))
    return LevelGrid(grid.image, proba, sigmas, grid.step, grid.stacked)


def _recalled(key: Any, read: Callable[[], AnyArray]) -> AnyArray:
    """Return cached answers from memory if they are there; read them otherwise."""
    proba = _recent.pop(key, None)
    if proba is None:
        proba = read()
        proba.flags.writeable = False  # other records will share them
    _recent[key] = proba
    for oldest in list(_recent):
        if sum(kept.nbytes for kept in list(_recent.values())) > RECENT:
            _recent.pop(oldest, None)
    return proba


def _digest(image: AnyArray) -> tuple[Any, ...]:
    """Make the key of an image in a cache; joblib's own hash takes three times as long."""
    sha = hashlib.sha256()
    for start in range(0, len(image), HASH_ROWS):
        sha.update(np.ascontiguousarray(image[start : start + HASH_ROWS]).data)
    return image.shape, image.dtype.str, sha.hexdigest()


def infer(grid: PatchGrid, facts: network.ModelFacts, inference: Inference, key: Any) -> AnyArray:
    """Compute the probabilities (rows, columns, levels) of one image; `key` is for the cache."""
    if inference.inference == "patches":
        own = _patches(grid, facts, inference)
        more = len(extended(facts.sigmas, inference.octaves)) - own.shape[-1]
        return np.pad(own, [(0, 0), (0, 0), (0, more)])
    large = math.prod(grid.image.shape[:2]) > LARGE
    answers = partial(_answers, facts=facts, inference=inference, release=large)
    # All sizes are made of gray values. Those of a large photograph would take much memory.
    image = grid.image if large else to_gray(grid.image)
    proba = joined(image, facts, inference.octaves, answers)
    side = grid.step // facts.stride
    if side == 1:
        return proba
    means = block_means(proba, side)
    return means / totals(means)[..., None] if proba.dtype == np.uint16 else means


def _answers(
    image: AnyArray, facts: network.ModelFacts, inference: Inference, release: bool
) -> Iterator[Part]:
    """Compute the probabilities of an image's cells, part by part."""
    yield from dense(image, facts, partial(inference.answer, facts))
    if release:  # tiles of the next size have another shape, for which this memory is of little use
        network.release_memory(
            facts, inference.n_threads, inference.providers, inference.dense_output
        )


def _patches(grid: PatchGrid, facts: network.ModelFacts, inference: Inference) -> Float32Array:
    """Compute the probabilities (rows, columns, levels) of the patches of a grid by themselves."""
    patches, shape, size = grid.patches, grid.shape, inference.batch_size
    out = np.empty((*shape, len(facts.sigmas)), np.float32)
    flat = out.reshape(-1, len(facts.sigmas))
    for start in range(0, len(flat), size):
        # Only one batch of patches is ever copied out of the view.
        at = np.unravel_index(np.arange(start, min(start + size, len(flat))), shape)
        flat[start : start + size] = inference.patch_logits(facts, patches[at])
    return softmax(out)
