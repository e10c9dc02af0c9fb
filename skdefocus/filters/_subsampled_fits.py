"""Fits made on a smaller image and applied to the full one."""

from __future__ import annotations

from typing import Any

import numpy as np

from skdefocus._typing import FloatArray
from skdefocus.filters._linear_fits import Fit, combine, inverse
from skdefocus.filters._workers import Crew, Scratch, spans

#: Bytes of one plane to work on at once. Half of it would stay in a faster cache, but two threads
#: then wait for each other between calls.
PIECE = 1 << 21


class CoarseFit(Fit):
    """Fits to means over blocks of `step` by `step` pixels, interpolated between them.

    Parameters
    ----------
    guide, weights
        At full size, and so are the images to come.
    radius, eps, alpha, edge_aware, summed, n_threads
        As of `Fit`; the radius in pixels at full size.
    step : int
        Side of the blocks.
    """

    def __init__(
        self,
        guide: FloatArray,
        radius: int,
        eps: float,
        weights: FloatArray | None,
        alpha: float | None,
        edge_aware: bool,
        summed: np.dtype[Any],
        n_threads: int,
        step: int,
    ) -> None:
        self.step, self.fine = step, guide
        super().__init__(
            block_means(guide, step, n_threads),
            max(1, round((2 * radius + 1 - step) / (2 * step))),
            eps,
            None if weights is None else block_means(weights[None], step, n_threads)[0],
            alpha,
            edge_aware,
            summed,
            n_threads,
        )
        self.image_weights = weights

    def apply(self, image: FloatArray, out: FloatArray) -> None:
        """Filter `image` (H, W) into `out`, which may be `image`."""
        small = block_means(image[None], self.step, self.n_threads, self.image_weights)[0]
        if self.weights is not None:
            small *= inverse(self.weights)
        super().apply(small, out)

    def _predict(self, fits: FloatArray, middle: float, out: FloatArray, crew: Crew) -> None:
        height, width = self.frame.shape
        full_height, full_width = self.fine.shape[1:]
        # With a border, to interpolate to the image's.
        wide = np.empty((fits.shape[1], height + 2, full_width), self.dtype)

        def widen(fits: FloatArray, y0: int, y1: int) -> None:
            narrow = np.empty((*fits.shape[:2], width + 2), self.dtype)
            np.multiply(fits, self._per(y0, y1), out=narrow[..., 1:-1])
            narrow[0, :, 1:-1] += middle
            narrow[..., 0], narrow[..., -1] = narrow[..., 1], narrow[..., -2]
            stretch(narrow, self.step, wide[:, y0 + 1 : y1 + 1], 2)

        def predict(piece: tuple[int, int], scratch: Scratch) -> None:
            k0, k1 = piece
            y0, y1 = k0 * self.step, min(k1 * self.step, full_height)
            fine = scratch("fine", (len(wide), y1 - y0, full_width), self.dtype)
            stretch(wide[:, k0 : k1 + 2], self.step, fine, 1)
            combine(fine, self.fine[:, y0:y1], out[y0:y1])

        self.frame.sum_rows(len(wide), self.dtype, fits, widen, crew)
        wide[:, 0], wide[:, -1] = wide[:, 1], wide[:, -2]
        rows = max(1, PIECE // (full_width * self.step * wide.itemsize))
        crew.share(predict, spans(height, rows))


def block_means(
    planes: FloatArray, step: int, n_threads: int, weights: FloatArray | None = None
) -> FloatArray:
    """Means of (K, H, W), times `weights` if given, over blocks of `step` by `step`.

    The last blocks hold what is left.
    """
    count, height, width = planes.shape
    means = np.empty((count, -(-height // step), -(-width // step)), planes.dtype)

    def work(piece: tuple[int, int], scratch: Scratch) -> None:
        k0, k1 = piece
        rows = slice(k0 * step, k1 * step)
        for plane, into in zip(planes, means, strict=True):
            part = plane[rows] if weights is None else plane[rows] * weights[rows]
            down = scratch("down", (k1 - k0, width), planes.dtype)
            shrink(part, step, down)
            shrink(down.T, step, into[k0:k1].T)

    with Crew(n_threads) as crew:
        crew.share(work, spans(means.shape[1], max(1, PIECE // (width * step * means.itemsize))))
    return means


def shrink(x: FloatArray, step: int, out: FloatArray) -> None:
    """Mean over every `step` of `x` on the first axis, the last maybe of fewer."""
    out[...] = x[::step]
    for j in range(1, step):
        part = x[j::step]
        out[: len(part)] += part
    out /= step
    left = len(x) % step
    if left:
        out[-1] *= step / left


def stretch(x: FloatArray, step: int, out: FloatArray, axis: int) -> None:
    """Interpolate linearly between blocks' centres.

    `x` has one value per block on `axis`, and one more on either side; `out` has `step`, the last
    block maybe fewer.
    """
    x, out = np.moveaxis(x, axis, 0), np.moveaxis(out, axis, 0)
    slope = x[1:] - x[:-1]
    for j in range(step):
        into = out[j::step]
        t = (j + 0.5) / step - 0.5
        first = int(t >= 0)
        part = slice(first, first + len(into))
        np.multiply(slope[part], t + 1 - first, out=into)
        into += x[part]
