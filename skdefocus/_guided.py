"""The local linear fit behind the guided filters: its statistics, its solution, its mean.

Everything here works on planes ``(K, H, W)`` of checked arrays. In each window the image is fitted
by ``a . guide + b``; at each pixel the fits of all windows that hold it are averaged. Sums of
products are float64, for a covariance is a small difference of them; everything else has the
image's precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skdefocus._box import Floats, along_columns, along_rows, box_sums

#: Variances below this count as none (intensities squared).
TINY = 1e-10


def factor(cov: Floats, reg: Floats | float, channels: int) -> None:
    """Turn symmetric matrices, plus `reg` on the diagonal, into L and 1/D of L D Lᵀ, in place.

    Parameters
    ----------
    cov : ndarray of shape (channels * (channels + 1) / 2, ...)
        The lower triangles, row by row.
    """
    at = _index
    for j in range(channels):
        pivot = cov[at(j, j)]
        pivot += reg
        # In exact arithmetic no pivot is smaller.
        np.maximum(pivot, reg, out=pivot)
        np.reciprocal(pivot, out=pivot)
        for i in range(j + 1, channels):
            ratio = cov[at(i, j)] * pivot
            for k in range(j + 1, i + 1):
                # Column j of the rows above i holds L already, row i's own is `ratio`.
                below = ratio if k == i else cov[at(k, j)]
                cov[at(i, k)] -= cov[at(i, j)] * below
            cov[at(i, j)] = ratio


def solve(factors: Floats, x: Floats) -> None:
    """Solve L D Lᵀ y = x for planes `x` (channels, ...), in place."""
    at, channels = _index, len(x)
    for i in range(channels):
        for j in range(i):
            x[i] -= factors[at(i, j)] * x[j]
    for i in reversed(range(channels)):
        x[i] *= factors[at(i, i)]
        for k in range(i + 1, channels):
            x[i] -= factors[at(k, i)] * x[k]


def _index(i: int, j: int) -> int:
    return i * (i + 1) // 2 + j


def pairs(channels: int) -> list[tuple[int, int]]:
    """Rows and columns of a lower triangle, row by row."""
    return [(i, j) for i in range(channels) for j in range(i + 1)]


class Fit:
    """The fits' left-hand side: all that a guide and weights say before an image is there.

    Parameters
    ----------
    guide : ndarray of shape (C, H, W)
        Its dtype is the one the averages are made in.
    radius : int
        In pixels of the guide.
    eps : float
        Regularisation, intensities squared.
    weights : ndarray of shape (H, W) or None
        At least 0, at most 1.
    alpha : float or None
        Exponent of the variance in the windows' votes; None gives every window one vote.
    edge_aware : bool
        Regularise less where the guide varies more.
    step : int
        Windows are fitted at every `step`-th pixel of the guide, to sums over blocks of this side.
    n_threads : int
    """

    def __init__(
        self,
        guide: Floats,
        radius: int,
        eps: float,
        weights: Floats | None,
        alpha: float | None,
        edge_aware: bool,
        step: int,
        n_threads: int,
    ) -> None:
        self.guide, self.weights = guide, weights
        self.step, self.n_threads = step, n_threads
        self.dtype = guide.dtype
        self.channels = len(guide)
        self.shape = (guide.shape[1], guide.shape[2])
        self.grid = (-(-self.shape[0] // step), -(-self.shape[1] // step))
        self.radius = radius if step == 1 else max(1, round((2 * radius + 1 - step) / (2 * step)))
        self.scale = 1 / (2 * self.radius + 1) ** 2
        self._describe(eps, alpha, edge_aware)

    def _describe(self, eps: float, alpha: float | None, edge_aware: bool) -> None:
        channels, weighted = self.channels, self.weights is not None
        count = len(pairs(channels))
        self.mean = np.empty((channels, *self.grid))
        self.per_evidence = np.empty(self.grid, self.dtype) if weighted else None
        evidence = np.empty(self.grid, self.dtype) if weighted else None
        cov = np.empty((count, *self.grid))

        def fill(band: Floats, y0: int, y1: int) -> None:
            guide = self.guide[:, y0:y1]
            if self.weights is not None:
                band[0] = self.weights[y0:y1]
                band[1 : channels + 1] = guide
                band[1 : channels + 1] *= band[0]
                first = band[1 : channels + 1]
            else:
                first = band[:channels]
                first[...] = guide
            for k, (i, j) in enumerate(pairs(channels)):
                np.multiply(first[i], guide[j], out=band[len(band) - count + k])

        sums = self._sum_rows(fill, weighted + channels + count)

        def covariances(s: Floats, x0: int, x1: int) -> None:
            if evidence is not None and self.per_evidence is not None:
                evidence[:, x0:x1] = s[0] * self.scale
                per = inverse(s[0])
                self.per_evidence[:, x0:x1] = per
                s = s[1:] * per
            else:
                s *= self.scale
            self.mean[:, :, x0:x1] = mean = s[:channels]
            for k, (i, j) in enumerate(pairs(channels)):
                s[channels + k] -= mean[i] * mean[j]
                if i == j:
                    np.maximum(s[channels + k], 0, out=s[channels + k])
            cov[:, :, x0:x1] = s[channels:]

        self._sum_columns(sums, covariances)
        variance = sum(cov[_index(i, i)] for i in range(channels)) / channels
        reg: Floats | float = eps
        if edge_aware:
            mean_inverse = np.average(1 / (variance + TINY), weights=_total(evidence))
            reg = eps / ((variance + TINY) * mean_inverse)
        factor(cov, reg, channels)
        self.factors = cov.astype(self.dtype)
        self.votes = evidence
        if alpha is not None:
            votes = TINY / (variance**alpha + TINY)
            self.votes = (votes if evidence is None else votes * evidence).astype(self.dtype)
        self.per_vote = (
            None
            if self.votes is None
            else inverse(box_sums(self.votes, self.radius, n_threads=self.n_threads))
        )

    def apply(self, image: Floats, out: Floats) -> None:
        """Filter `image` (H, W) into `out`, which may be `image`."""
        channels, weights = self.channels, self.weights

        def fill(band: Floats, y0: int, y1: int) -> None:
            band[0] = image[y0:y1]
            if weights is not None:
                band[0] *= weights[y0:y1]
            np.multiply(self.guide[:, y0:y1], band[0], out=band[1:])

        sums = self._sum_rows(fill, channels + 1)
        fits = np.empty((channels + 1, *self.grid), self.dtype)

        def vote(strip: Floats, s: Floats | None, x0: int, x1: int) -> None:
            assert s is not None
            s *= self.scale if self.per_evidence is None else self.per_evidence[:, x0:x1]
            mean = self.mean[:, :, x0:x1]
            b, a = s[0], s[1:]
            for i in range(channels):
                a[i] -= mean[i] * b
            solve(self.factors[:, :, x0:x1], a)
            for i in range(channels):
                b -= mean[i] * a[i]
            strip[...] = s
            if self.votes is not None:
                strip *= self.votes[:, x0:x1]

        def keep(s: Floats, x0: int, x1: int) -> None:
            fits[:, :, x0:x1] = s

        self._sum_columns(sums, keep, vote)

        deserted = self.per_vote is not None and not self.per_vote.all()
        fallback = weighted_mean(image, weights) if deserted else None

        def predict(s: Floats, y0: int, y1: int) -> None:
            if self.per_vote is None:
                s *= self.scale
            else:
                per_vote = self.per_vote[y0:y1]
                s *= per_vote
                if fallback is not None:
                    s[0, per_vote == 0] = fallback
            if self.step > 1:
                fits[:, y0:y1] = s
            else:
                self._combine(s, y0, y1, out)

        self._along_rows(fits, predict)
        if self.step > 1:
            for y0 in range(0, self.shape[0], 64):
                y1 = min(y0 + 64, self.shape[0])
                self._combine(upsample(fits, self.step, y0, y1, self.shape[1]), y0, y1, out)

    def _combine(self, s: Floats, y0: int, y1: int, out: Floats) -> None:
        guide = self.guide[:, y0:y1]
        q = s[0]
        for i in range(self.channels):
            q += s[i + 1] * guide[i]
        out[y0:y1] = q

    def _sum_rows(self, fill: Any, planes: int) -> Floats:
        """Sum the planes that `fill` writes along the rows of the grid."""
        sums = np.empty((planes, *self.grid))

        def store(s: Floats, y0: int, y1: int) -> None:
            sums[:, y0:y1] = s

        if self.step > 1:
            full = np.empty((planes, *self.shape))
            fill(full, 0, self.shape[0])
            self._along_rows(block_means(full, self.step), store)
        else:
            along_rows(self.grid, planes, self.radius, np.float64, fill, store, self.n_threads)
        return sums

    def _along_rows(self, planes: Floats, done: Any) -> None:
        def fill(band: Floats, y0: int, y1: int) -> None:
            band[...] = planes[:, y0:y1]

        along_rows(self.grid, len(planes), self.radius, planes.dtype, fill, done, self.n_threads)

    def _sum_columns(self, planes: Floats, done: Any, vote: Any = None) -> None:
        def fill(strip: Floats, _: Floats | None, x0: int, x1: int) -> None:
            strip[...] = planes[:, :, x0:x1]

        stages = [(len(planes), planes.dtype, fill)]
        if vote is not None:
            stages.append((self.channels + 1, self.dtype, vote))
        along_columns(self.grid, self.radius, stages, done, self.n_threads)


def _total(evidence: Floats | None) -> Floats | None:
    return None if evidence is None or not evidence.any() else evidence


def inverse(x: Floats) -> Floats:
    """One over `x`, and 0 for 0."""
    return np.divide(1, x, out=np.zeros_like(x), where=x > 0)


def weighted_mean(image: Floats, weights: Floats | None) -> float:
    """Mean over all pixels, 0 if none has weight."""
    if weights is None:
        return float(image.mean(dtype=np.float64))
    total = weights.sum(dtype=np.float64)
    return float((image * weights).sum(dtype=np.float64) / total) if total else 0.0


def block_means(planes: Floats, step: int) -> Floats:
    """Means over blocks of `step` by `step`; the last ones hold what is left."""
    for axis in (1, 2):
        x = np.moveaxis(planes, axis, 1)
        means = x[:, ::step].copy()
        for j in range(1, step):
            part = x[:, j::step]
            means[:, : part.shape[1]] += part
        means /= step
        left = x.shape[1] % step
        if left:
            means[:, -1] *= step / left
        planes = np.moveaxis(means, 1, axis)
    return planes


def upsample(planes: Floats, step: int, y0: int, y1: int, width: int) -> Floats:
    """Rows `y0` to `y1` of planes (K, h, w) that are means of blocks, made `step` times larger.

    Linear between the blocks' centres, constant beyond the outermost.
    """
    rows, cols = planes.shape[1:]
    below, part = _between(np.arange(y0, y1), step, rows)
    t = part[:, None].astype(planes.dtype)
    lines = planes[:, below] * (1 - t) + planes[:, np.minimum(below + 1, rows - 1)] * t
    left, part = _between(np.arange(width), step, cols)
    t = part.astype(planes.dtype)
    out: Floats = lines[..., left] * (1 - t) + lines[..., np.minimum(left + 1, cols - 1)] * t
    return out


def _between(i: NDArray[np.int_], step: int, n: int) -> tuple[NDArray[np.int_], Floats]:
    at = np.clip((i + 0.5) / step - 0.5, 0, n - 1)
    low = at.astype(np.int_)
    return low, at - low
