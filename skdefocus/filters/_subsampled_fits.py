"""Fits made on a smaller image and applied to the full one."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from skdefocus._typing import FloatArray
from skdefocus.filters._linear_fits import FitSettings, LinearFits, evaluate, inverse
from skdefocus.filters._workers import Scratch, WorkerPool, split_range

#: Bytes of one plane to work on at once: with a few planes, they stay in a core's cache.
PIECE = 1 << 19


class SubsampledFits(LinearFits):
    """Fits to means over blocks of `step` × `step` pixels, interpolated between the blocks.

    Parameters
    ----------
    guide, weights
        As for `LinearFits`, at full size; so are the images to come.
    settings : FitSettings
        With the radius in pixels at full size.
    step : int
        Side of the blocks.
    """

    def __init__(
        self, guide: FloatArray, weights: FloatArray | None, settings: FitSettings, step: int
    ) -> None:
        self.step, self.full_guide = step, guide
        radius = max(1, round((2 * settings.radius + 1 - step) / (2 * step)))
        small_weights = None
        if weights is not None:
            small_weights = block_means(weights[None], step, settings.n_threads)[0]
        small_guide = block_means(guide, step, settings.n_threads)
        super().__init__(small_guide, small_weights, replace(settings, radius=radius))
        self.image_weights = weights

    def apply(self, images: FloatArray, out: FloatArray) -> None:
        """Filter `images` (K, H, W) into `out`, which may be `images`."""
        small = block_means(images, self.step, self.settings.n_threads, self.image_weights)
        if self.weights is not None:
            small *= inverse(self.weights)
        super().apply(small, out)

    def _predict(
        self, fits: FloatArray, offsets: FloatArray, out: FloatArray, pool: WorkerPool
    ) -> None:
        """Average the fits along the rows too, interpolate them, and apply them."""
        height, width = self.grid.shape
        full_width = self.full_guide.shape[2]
        # With a border of one block, to interpolate up to the image's border.
        wide = np.empty((fits.shape[1], height + 2, full_width), self.dtype)

        def widen(sums: FloatArray, y0: int, y1: int) -> None:
            narrow = np.empty((*sums.shape[:2], width + 2), self.dtype)
            np.multiply(sums, self._per_vote_of(y0, y1), out=narrow[..., 1:-1])
            self._by_image(narrow)[0, ..., 1:-1] += offsets
            narrow[..., 0], narrow[..., -1] = narrow[..., 1], narrow[..., -2]
            interpolate_blocks(narrow, self.step, wide[:, y0 + 1 : y1 + 1], 2)

        self.grid.sum_rows(len(wide), self.dtype, fits, widen, pool)
        wide[:, 0], wide[:, -1] = wide[:, 1], wide[:, -2]
        rows = max(1, PIECE // (full_width * self.step * wide.itemsize))
        pool.run(partial(self._evaluate_rows, wide, out), split_range(height, rows))

    def _evaluate_rows(
        self, wide: FloatArray, out: FloatArray, blocks: tuple[int, int], scratch: Scratch
    ) -> None:
        """Interpolate the fits along the columns and apply them, for some rows of blocks."""
        first, end = blocks
        y0, y1 = first * self.step, min(end * self.step, out.shape[1])
        fits = scratch("fine", (len(wide), y1 - y0, wide.shape[2]), self.dtype)
        interpolate_blocks(wide[:, first : end + 2], self.step, fits, 1)
        evaluate(self._by_image(fits), self.full_guide[:, y0:y1], out[:, y0:y1])


def block_means(
    planes: FloatArray, step: int, n_threads: int, weights: FloatArray | None = None
) -> FloatArray:
    """Average (K, H, W), times `weights` if given, over blocks of `step` × `step`.

    The last blocks cover the pixels that remain.
    """
    count, height, width = planes.shape
    means = np.empty((count, -(-height // step), -(-width // step)), planes.dtype)

    def average_rows(blocks: tuple[int, int], scratch: Scratch) -> None:
        """Average some rows of blocks, first along the columns."""
        first, end = blocks
        rows = slice(first * step, end * step)
        for plane, target in zip(planes, means, strict=True):
            part = plane[rows] if weights is None else plane[rows] * weights[rows]
            narrow = scratch("down", (end - first, width), planes.dtype)
            average_runs(part, step, narrow)
            average_runs(narrow.T, step, target[first:end].T)

    with WorkerPool(n_threads) as pool:
        rows = max(1, PIECE // (width * step * means.itemsize))
        pool.run(average_rows, split_range(means.shape[1], rows))
    return means


def average_runs(x: FloatArray, step: int, out: FloatArray) -> None:
    """Average every `step` elements on the first axis of `x`; the last run may be shorter."""
    out[...] = x[::step]
    for j in range(1, step):
        part = x[j::step]
        out[: len(part)] += part
    out /= step
    rest = len(x) % step
    if rest:
        out[-1] *= step / rest


def interpolate_blocks(x: FloatArray, step: int, out: FloatArray, axis: int) -> None:
    """Interpolate linearly between the centers of blocks.

    `x` has one value per block on `axis`, and one more on either side. `out` has `step` per block,
    or fewer in the last one.
    """
    x, out = np.moveaxis(x, axis, 0), np.moveaxis(out, axis, 0)
    slope, centers = x[1:] - x[:-1], x[1:-1]
    for j in range((step + 1) // 2):
        # Two positions in a block are equally far from its center.
        before, after = out[j::step], out[step - 1 - j :: step]
        shift = slope * (0.5 - (j + 0.5) / step)
        np.subtract(centers[: len(before)], shift[: len(before)], out=before)
        np.add(centers[: len(after)], shift[1 : len(after) + 1], out=after)
