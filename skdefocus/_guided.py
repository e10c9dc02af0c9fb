"""The local linear fits behind the guided filters.

In each window k the image I is fitted by ``a . G + b``. With ``S`` for sums over the window, each
pixel times its weight, the fit times the window's evidence ``S(1)`` is::

    a S(1) = (cov(G) + reg)^-1 (S(G I) - mean(G) S(I))
    b S(1) = S(I) - mean(G) . a S(1)

and that is also the fit's share in the mean over the windows that hold a pixel, so that it is never
divided by the evidence: windows without any just add nothing.

Sums of products are float64, for a covariance is a small difference of them. What follows has the
guide's precision.
"""

from __future__ import annotations

import numpy as np

from skdefocus._box import PIECE, Fill, Floats, Frame, Scratch, from_strips, share, spans

#: Variances below this count as none (intensities squared).
TINY = 1e-10

#: Variances below this part of the mean square are rounding errors of it.
ROUNDING = 1e-14


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
        Windows are fitted at every `step`-th pixel of the guide, to means over blocks of this side.
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
        grid = (-(-self.shape[0] // step), -(-self.shape[1] // step))
        if step > 1:
            radius = max(1, round((2 * radius + 1 - step) / (2 * step)))
        self.scale = 1 / (2 * radius + 1) ** 2
        self.frame = Frame(grid, radius, n_threads)
        self.mean = self.frame.strips(self.channels, np.float64)
        evidence, cov = self._moments()
        self.factors, self.votes = self._factored(cov, evidence, eps, alpha, edge_aware)
        self.per_vote = self._tally(evidence)
        self.deserted = isinstance(self.per_vote, np.ndarray) and not self.per_vote.all()

    def _moments(self) -> tuple[Floats | None, Floats]:
        """Set the guide's means; return the windows' evidence and the guide's covariances."""
        channels, frame, weights = self.channels, self.frame, self.weights
        first = int(weights is not None)
        planes = first + channels + len(pairs(channels))
        evidence = None if weights is None else frame.strips(1, self.dtype)
        cov = frame.strips(len(pairs(channels)), np.float64)

        def fill(band: Floats, y0: int, y1: int) -> None:
            guide = self.guide[:, y0:y1]
            level = band[first : first + channels]
            level[...] = guide
            if weights is not None:
                band[0] = weights[y0:y1]
                level *= band[0]
            for k, (i, j) in enumerate(pairs(channels)):
                np.multiply(level[i], guide[j], out=band[first + channels + k])

        rows = self._row_sums(fill, planes)

        def work(s: int, scratch: Scratch) -> None:
            shape = rows.shape[1:2] + cov.shape[2:]
            sums = scratch("moments", shape, np.float64)
            frame.sum_columns(rows[s], sums, scratch)
            if evidence is None:
                sums *= self.scale
            else:
                evidence[s] = sums[0]
                sums[1:] *= inverse(sums[0])
            self.mean[s] = mean = sums[first : first + channels]
            for k, (i, j) in enumerate(pairs(channels)):
                np.multiply(mean[i], mean[j], out=cov[s, k])
                np.subtract(sums[first + channels + k], cov[s, k], out=cov[s, k])
                if i == j:
                    cov[s, k] *= cov[s, k] > ROUNDING * sums[first + channels + k]

        frame.each_strip(work)
        return evidence, cov

    def _factored(
        self,
        cov: Floats,
        evidence: Floats | None,
        eps: float,
        alpha: float | None,
        edge_aware: bool,
    ) -> tuple[Floats, Floats | None]:
        """Factors of the covariances, and the windows' votes by variance."""
        channels, frame = self.channels, self.frame
        factors = frame.strips(cov.shape[1], self.dtype)
        votes = None if alpha is None else frame.strips(1, self.dtype)
        mean_inverse = self._mean_inverse(cov, evidence) if edge_aware else 1.0

        def work(s: int, scratch: Scratch) -> None:
            variance = variances(cov[s], channels)
            if votes is not None and alpha is not None:
                votes[s] = TINY / (variance**alpha + TINY)
            reg = eps / ((variance + TINY) * mean_inverse) if edge_aware else eps
            factor(cov[s], reg, channels)
            factors[s] = cov[s]

        frame.each_strip(work)
        return factors, votes

    def _mean_inverse(self, cov: Floats, evidence: Floats | None) -> float:
        """Mean of 1 / variance over all windows, by evidence."""
        found = np.zeros((self.frame.count, 2))

        def work(s: int, scratch: Scratch) -> None:
            # The last strip may be wider than what is left of the image.
            real = self.frame.shape[1] - s * self.frame.strip
            variance = variances(cov[s], self.channels)[:, :real]
            by = np.ones_like(variance) if evidence is None else evidence[s, 0, :, :real]
            found[s] = (by / (variance + TINY)).sum(), by.sum(dtype=np.float64)

        self.frame.each_strip(work)
        total, count = found.sum(0)
        return float(total / count) if count else 1.0

    def _tally(self, evidence: Floats | None) -> Floats | float:
        """One over the votes that each pixel gets; 0 where it gets none."""
        votes, frame = self.votes, self.frame
        if evidence is None and votes is None:
            return self.scale**2
        per_vote = np.empty(frame.shape, self.dtype)
        columns = frame.strips(1, self.dtype)

        def work(s: int, scratch: Scratch) -> None:
            top, bottom = frame.down.radius, frame.down.radius + frame.down.n
            x = scratch("votes", (1, frame.down.length, frame.strip), self.dtype)
            x[:, top:bottom] = 1 / self.scale if evidence is None else evidence[s]
            if votes is not None:
                x[:, top:bottom] *= votes[s]
            frame.sum_columns(x, columns[s], scratch)

        def done(sums: Floats, y0: int, y1: int) -> None:
            per_vote[y0:y1] = inverse(sums[0])

        frame.each_strip(work)
        frame.sum_rows(1, self.dtype, columns, done)
        return per_vote

    def apply(self, image: Floats, out: Floats) -> None:
        """Filter `image` (H, W) into `out`, which may be `image`."""
        channels, weights, frame = self.channels, self.weights, self.frame

        def fill(band: Floats, y0: int, y1: int) -> None:
            band[0] = image[y0:y1]
            if weights is not None:
                band[0] *= weights[y0:y1]
            np.multiply(self.guide[:, y0:y1], band[0], out=band[1:])

        rows = self._row_sums(fill, channels + 1)
        fits = frame.strips(channels + 1, self.dtype)

        def work(s: int, scratch: Scratch) -> None:
            top, bottom = frame.down.radius, frame.down.radius + frame.down.n
            sums = scratch("moments", fits.shape[1:], np.float64)
            frame.sum_columns(rows[s], sums, scratch)
            x = scratch("fits", rows.shape[1:], self.dtype)
            self._solve(s, sums, x[:, top:bottom], scratch)
            frame.sum_columns(x, fits[s], scratch)

        frame.each_strip(work)
        fallback = weighted_mean(image, weights) if self.deserted else None
        if self.step > 1:
            self._apply_coarse(fits, fallback, out)
            return

        def predict(sums: Floats, y0: int, y1: int) -> None:
            self._finish(sums, y0, y1, fallback)
            self._combine(sums, y0, y1, out)

        frame.sum_rows(channels + 1, self.dtype, fits, predict)

    def _solve(self, s: int, sums: Floats, fits: Floats, scratch: Scratch) -> None:
        """Write the fits of strip `s`, (b, a...), for sums of (I, G I...), which are lost."""
        mean = self.mean[s]
        product = scratch("product", mean.shape[1:], np.float64)
        fits[0] = sums[0]
        for i in range(self.channels):
            np.multiply(mean[i], sums[0], out=product)
            np.subtract(sums[i + 1], product, out=sums[i + 1])
            fits[i + 1] = sums[i + 1]
        part = scratch("part", mean.shape[1:], self.dtype)
        solve(self.factors[s], fits[1:], part)
        for i in range(self.channels):
            part[...] = mean[i]
            part *= fits[i + 1]
            fits[0] -= part
        if self.votes is not None:
            fits *= self.votes[s]

    def _finish(self, fits: Floats, y0: int, y1: int, fallback: float | None) -> None:
        """Turn summed fits into their means."""
        per_vote = self.per_vote
        if isinstance(per_vote, np.ndarray):
            fits *= per_vote[y0:y1]
            if fallback is not None:
                fits[0][per_vote[y0:y1] == 0] = fallback
        else:
            fits *= per_vote

    def _combine(self, fits: Floats, y0: int, y1: int, out: Floats) -> None:
        for i in range(self.channels):
            fits[i + 1] *= self.guide[i, y0:y1]
            fits[0] += fits[i + 1]
        out[y0:y1] = fits[0]

    def _apply_coarse(self, fits: Floats, fallback: float | None, out: Floats) -> None:
        coarse = np.empty((self.channels + 1, *self.frame.shape), self.dtype)

        def keep(sums: Floats, y0: int, y1: int) -> None:
            self._finish(sums, y0, y1, fallback)
            coarse[:, y0:y1] = sums

        self.frame.sum_rows(len(coarse), self.dtype, fits, keep)

        def work(piece: tuple[int, int], scratch: Scratch) -> None:
            y0, y1 = piece
            self._combine(upsample(coarse, self.step, y0, y1, self.shape[1]), y0, y1, out)

        share(work, spans(self.shape[0], 64), self.n_threads)

    def _row_sums(self, fill: Fill, planes: int) -> Floats:
        """Sum the planes that `fill` writes, (planes, rows, W), along the rows of the grid."""
        rows = self.frame.strips(planes, np.float64, True)
        if self.step == 1:
            self.frame.sum_rows(planes, np.float64, fill, rows)
            return rows
        coarse = np.empty((planes, *self.frame.shape))
        step, (height, width) = self.step, self.shape

        def work(piece: tuple[int, int], scratch: Scratch) -> None:
            y0, y1 = piece[0] * step, min(piece[1] * step, height)
            full = scratch("full", (planes, y1 - y0, width), np.float64)
            fill(full, y0, y1)
            coarse[:, piece[0] : piece[1]] = block_means(full, step)

        def refill(band: Floats, y0: int, y1: int) -> None:
            band[...] = coarse[:, y0:y1]

        size = max(1, PIECE // (8 * planes * step * width))
        share(work, spans(self.frame.shape[0], size), self.n_threads)
        self.frame.sum_rows(planes, np.float64, refill, rows)
        return rows


def pairs(channels: int) -> list[tuple[int, int]]:
    """Rows and columns of a lower triangle, row by row."""
    return [(i, j) for i in range(channels) for j in range(i + 1)]


def _at(i: int, j: int) -> int:
    """Where row i, column j of a lower triangle lies."""
    return i * (i + 1) // 2 + j


def variances(cov: Floats, channels: int) -> Floats:
    """Mean over the channels of their variances."""
    total = cov[0].copy()
    for i in range(1, channels):
        total += cov[_at(i, i)]
    total /= channels
    return total


def factor(cov: Floats, reg: Floats | float, channels: int) -> None:
    """Turn symmetric matrices, plus `reg` on the diagonal, into L and 1/D of L D Lᵀ, in place.

    Parameters
    ----------
    cov : ndarray of shape (channels * (channels + 1) / 2, ...)
        The lower triangles, row by row.
    """
    for j in range(channels):
        pivot = cov[_at(j, j)]
        pivot += reg
        # In exact arithmetic no pivot is smaller.
        np.maximum(pivot, reg, out=pivot)
        np.reciprocal(pivot, out=pivot)
        for i in range(j + 1, channels):
            ratio = cov[_at(i, j)] * pivot
            for k in range(j + 1, i + 1):
                # Column j of the rows above i holds L already, row i's own is `ratio`.
                below = ratio if k == i else cov[_at(k, j)]
                cov[_at(i, k)] -= cov[_at(i, j)] * below
            cov[_at(i, j)] = ratio


def solve(factors: Floats, x: Floats, part: Floats) -> None:
    """Solve L D Lᵀ y = x for planes `x` (channels, ...), in place; `part` is scratch."""
    channels = len(x)
    for i in range(channels):
        for j in range(i):
            x[i] -= np.multiply(factors[_at(i, j)], x[j], out=part)
    for i in reversed(range(channels)):
        x[i] *= factors[_at(i, i)]
        for k in range(i + 1, channels):
            x[i] -= np.multiply(factors[_at(k, i)], x[k], out=part)


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


def _between(i: Floats, step: int, n: int) -> tuple[Floats, Floats]:
    at = np.clip((i + 0.5) / step - 0.5, 0, n - 1)
    low = at.astype(np.intp)
    return low, at - low
