"""The local linear fits behind the guided filters.

In each window k the image I is fitted by ``a . G + b``. With ``S`` for sums over the window, each
pixel times its weight, the fit times the window's evidence ``S(1)`` is::

    a S(1) = (cov(G) + reg)^-1 (S(G I) - mean(G) S(I))
    b S(1) = S(I) - mean(G) . a S(1)

and that is also the fit's share in the mean over the windows that hold a pixel, so that it is never
divided by the evidence: windows without any just add nothing.

Sums of products are float64 where a covariance, a small difference of them, needs it. What follows
has the guide's precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skdefocus._typing import FloatArray
from skdefocus.filters._arrays import level
from skdefocus.filters._window_sums import Frame
from skdefocus.filters._workers import SPARE_BYTES, Crew, Scratch, borrowed, spans, spare_planes

#: Values of one plane to solve for at a time: an eighth of it would stay in a faster cache, but two
#: threads then wait for each other between calls (12 megapixels took 1.2 to 1.4 times as long).
CHUNK = 1 << 17

#: A strip's number, and rows of it.
Chunk = tuple[int, slice]

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
    summed : dtype
        What products are summed in: float64, or the guide's where no more digits are needed.
    n_threads : int
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
    ) -> None:
        self.guide, self.weights, self.n_threads = guide, weights, n_threads
        #: Those of the images that `apply` takes.
        self.image_weights = weights
        self.dtype, self.summed = guide.dtype, summed
        self.channels = len(guide)
        self.shape = (guide.shape[1], guide.shape[2])
        self.scale = 1 / (2 * radius + 1) ** 2
        self.frame = Frame(self.shape, radius)
        self._planes: list[Scratch] = []
        self.mean = np.empty(self.frame.strips(self.channels), self.summed)
        # Where pixels without weight lie off the plane of those with some, float32 is not enough.
        precise = weights is not None and self.channels > 1
        self.factors = np.empty(
            self.frame.strips(len(pairs(self.channels))), np.float64 if precise else self.dtype
        )
        self.votes = None if alpha is None else np.empty(self.frame.strips(1), self.dtype)
        with Crew(self.n_threads) as crew:
            evidence = self._describe(eps, alpha, edge_aware, crew)
            self.per_vote = self._tally(evidence, crew)

    def _describe(
        self, eps: float, alpha: float | None, edge_aware: bool, crew: Crew
    ) -> FloatArray | None:
        """Set means, factors and votes by variance; return the windows' evidence."""
        channels, frame, weights = self.channels, self.frame, self.weights
        first = int(weights is not None)
        planes = first + channels + len(pairs(channels))
        evidence = None if weights is None else np.empty(frame.strips(1), self.dtype)
        # Regularisation that depends on all variances has to wait for them.
        kept = np.empty(self.factors.shape) if edge_aware else None

        def fill(band: FloatArray, y0: int, y1: int) -> None:
            level, products = np.split(band[first:], [channels])
            guide = self.guide[:, y0:y1].astype(self.summed, copy=False)
            if weights is None:  # sums of these are means
                np.multiply(guide, self.scale, out=level)
            else:
                band[0] = weights[y0:y1]
                np.multiply(guide, band[0], out=level)
            for product, (i, j) in zip(products, pairs(channels), strict=True):
                np.multiply(level[i], guide[j], out=product)

        def work(s: int, scratch: Scratch) -> None:
            sums = scratch("moments", (planes, *self.mean.shape[2:]), self.summed)
            frame.sum_columns(rows[s], sums, scratch)
            for at in self._chunks(s):
                part = sums[:, at[1]]
                if evidence is not None:
                    evidence[s, 0, at[1]] = part[0]
                    part[1:] *= inverse(part[0])
                mean, cov = np.split(part[first:], [channels])
                self.mean[s, :, at[1]] = mean
                centre(cov, mean, scratch)
                if kept is None:
                    self._factor(at, cov, eps, alpha, scratch)
                else:
                    kept[s, :, at[1]] = cov

        with borrowed(*self._store(planes)) as held:
            rows = held("rows", frame.strips(planes, mirrored=True), self.summed)
            frame.sum_rows(planes, self.summed, fill, rows, crew)
            crew.share(work, range(frame.count))
        if kept is not None:
            mean_inverse = self._mean_inverse(kept, evidence, crew)

            def finish(s: int, scratch: Scratch) -> None:
                for at in self._chunks(s):
                    cov = kept[s, :, at[1]]
                    reg = variances(cov, channels)
                    reg += TINY
                    np.divide(eps / mean_inverse, reg, out=reg)
                    self._factor(at, cov, reg, alpha, scratch)

            crew.share(finish, range(frame.count))
        return evidence

    def _store(self, planes: int) -> tuple[list[Scratch], int]:
        """Where buffers of so many planes wait, and how many of them."""
        if planes * self.guide[0].size * self.summed.itemsize <= SPARE_BYTES:
            return spare_planes, 1
        # No more than an image needs.
        return self._planes, self.n_threads if planes <= self.channels + 2 else 0

    def _chunks(self, s: int) -> list[Chunk]:
        """Cut strip `s` into rows to be worked on at once; most strips are one such piece."""
        return [
            (s, slice(*rows)) for rows in spans(self.shape[0], max(1, CHUNK // self.frame.strip))
        ]

    def _factor(
        self,
        at: Chunk,
        cov: FloatArray,
        reg: FloatArray | float,
        alpha: float | None,
        scratch: Scratch,
    ) -> None:
        s, rows = at
        if self.votes is not None and alpha is not None:
            votes = variances(cov, self.channels) ** alpha
            votes += TINY
            np.divide(TINY, votes, out=self.votes[s, 0, rows], casting="same_kind")
        factor(cov, reg, self.channels, scratch)
        self.factors[s, :, rows] = cov

    def _mean_inverse(self, cov: FloatArray, evidence: FloatArray | None, crew: Crew) -> float:
        """Mean of 1 / variance over all windows, by evidence."""
        found = np.zeros((self.frame.count, 2))

        def work(s: int, scratch: Scratch) -> None:
            # The last strip may be wider than what is left of the image.
            real = self.frame.shape[1] - s * self.frame.strip
            variance = variances(cov[s], self.channels)[:, :real]
            by = np.ones_like(variance) if evidence is None else evidence[s, 0, :, :real]
            found[s] = (by / (variance + TINY)).sum(), by.sum(dtype=np.float64)

        crew.share(work, range(self.frame.count))
        total, count = found.sum(0)
        return float(total / count) if count else 1.0

    def _tally(self, evidence: FloatArray | None, crew: Crew) -> FloatArray | float:
        """One over the votes that each pixel gets; 0 where it gets none."""
        votes, frame = self.votes, self.frame
        if evidence is None and votes is None:
            return self.scale**2
        per_vote = np.empty(frame.shape, self.dtype)
        columns = np.empty(frame.strips(1), self.dtype)

        def work(s: int, scratch: Scratch) -> None:
            top, bottom = frame.down.radius, frame.down.radius + frame.down.n
            x = scratch("votes", (1, frame.down.length, frame.strip), self.dtype)
            x[:, top:bottom] = 1 / self.scale if evidence is None else evidence[s]
            if votes is not None:
                x[:, top:bottom] *= votes[s]
            frame.sum_columns(x, columns[s], scratch)

        def done(sums: FloatArray, y0: int, y1: int) -> None:
            per_vote[y0:y1] = inverse(sums[0])

        crew.share(work, range(frame.count))
        frame.sum_rows(1, self.dtype, columns, done, crew)
        return per_vote

    def apply(self, image: FloatArray, out: FloatArray) -> None:
        """Filter `image` (H, W) into `out`, which may be `image`."""
        channels, weights, frame = self.channels, self.weights, self.frame

        def fill(band: FloatArray, y0: int, y1: int) -> None:
            np.subtract(image[y0:y1], middle, out=band[0], casting="same_kind")
            if weights is not None:
                band[0] *= weights[y0:y1]
            products, guide = band[1:], self.guide[:, y0:y1]
            if guide.dtype != band.dtype:  # Converting first is faster than while multiplying.
                products[...] = guide
                guide = products
            np.multiply(guide, band[0], out=products)

        # Digits go to what varies; and where no window votes, this is what remains.
        voted = isinstance(self.per_vote, np.ndarray)
        middle = weighted_mean(image, weights) if voted else level(image)
        with borrowed(*self._store(channels + 1)) as held, Crew(self.n_threads) as crew:
            rows = held("rows", frame.strips(channels + 1, mirrored=True), self.summed)
            # A strip's fits take the place of its sums, which are no longer needed by then.
            fits = rows.reshape(len(rows), -1).view(self.dtype)
            fits = fits[:, : (channels + 1) * self.shape[0] * frame.strip]
            fits = fits.reshape(frame.strips(channels + 1))

            def work(s: int, scratch: Scratch) -> None:
                top, bottom = frame.down.radius, frame.down.radius + frame.down.n
                sums = scratch("moments", fits.shape[1:], self.summed)
                frame.sum_columns(rows[s], sums, scratch)
                x = scratch("shares", rows.shape[1:], self.dtype)
                for at in self._chunks(s):
                    self._solve(at, sums[:, at[1]], x[:, top:bottom][:, at[1]], scratch)
                frame.sum_columns(x, fits[s], scratch)

            frame.sum_rows(rows.shape[1], self.summed, fill, rows, crew)
            crew.share(work, range(frame.count))
            self._predict(fits, middle, out, crew)

    def _solve(self, at: Chunk, sums: FloatArray, fits: FloatArray, scratch: Scratch) -> None:
        """Write the fits of a chunk, (b, a...), for sums of (I, G I...), which are lost."""
        s, rows = at
        mean, factors, a = self.mean[s, :, rows], self.factors[s, :, rows], fits[1:]
        part = scratch("part", mean.shape[1:], self.summed)
        fits[0] = sums[0]
        # Forward in float64: what is left of a covariance is small where channels are alike.
        for i in range(self.channels):
            sums[i + 1] -= np.multiply(mean[i], sums[0], out=part)
            for j in range(i):
                part[...] = factors[_at(i, j)]
                part *= sums[j + 1]
                sums[i + 1] -= part
        x = sums[1:]
        if factors.dtype != x.dtype:
            a[...] = x
            x = a
        part = scratch("part", mean.shape[1:], x.dtype)
        for i in reversed(range(self.channels)):
            x[i] *= factors[_at(i, i)]
            for k in range(i + 1, self.channels):
                x[i] -= np.multiply(factors[_at(k, i)], x[k], out=part)
        if x is not a:
            a[...] = x
        part = scratch("part", mean.shape[1:], self.dtype)
        for i in range(self.channels):
            part[...] = mean[i]
            part *= a[i]
            fits[0] -= part
        if self.votes is not None:
            fits *= self.votes[s, :, rows]

    def _predict(self, fits: FloatArray, middle: float, out: FloatArray, crew: Crew) -> None:
        """Average the fits along the rows too, and apply them; `middle` was taken off the image."""

        def finish(fits: FloatArray, y0: int, y1: int) -> None:
            combine(fits, self.guide[:, y0:y1], fits[0])
            fits[0] *= self._per(y0, y1)
            np.add(fits[0], middle, out=out[y0:y1], casting="same_kind")

        self.frame.sum_rows(fits.shape[1], self.dtype, fits, finish, crew)

    def _per(self, y0: int, y1: int) -> FloatArray | float:
        """What turns sums of votes in these rows into means."""
        return self.per_vote[y0:y1] if isinstance(self.per_vote, np.ndarray) else self.per_vote


def pairs(channels: int) -> list[tuple[int, int]]:
    """Rows and columns of a lower triangle, row by row."""
    return [(i, j) for i in range(channels) for j in range(i + 1)]


def _at(i: int, j: int) -> int:
    """Where row i, column j of a lower triangle lies."""
    return i * (i + 1) // 2 + j


def variances(cov: FloatArray, channels: int) -> FloatArray:
    """Mean over the channels of their variances."""
    total = cov[0].copy()
    for i in range(1, channels):
        total += cov[_at(i, i)]
    total /= channels
    return total


def centre(moments: FloatArray, mean: FloatArray, scratch: Scratch) -> None:
    """Turn mean products, (pairs, ...), into covariances, in place."""
    part = scratch("part", mean.shape[1:], mean.dtype)
    precise = mean.dtype.itemsize >= 8  # otherwise rounding is small beside the regularisation
    for k, (i, j) in enumerate(pairs(len(mean))):
        least = ROUNDING * moments[k] if i == j and precise else None
        moments[k] -= np.multiply(mean[i], mean[j], out=part)
        if least is not None:
            moments[k] *= moments[k] > least


def factor(cov: FloatArray, reg: FloatArray | float, channels: int, scratch: Scratch) -> None:
    """Turn symmetric matrices, plus `reg` on the diagonal, into L and 1/D of L D Lᵀ, in place.

    Parameters
    ----------
    cov : ndarray of shape (channels * (channels + 1) / 2, ...)
        The lower triangles, row by row.
    """
    part = scratch("part", cov.shape[1:], cov.dtype)
    ratio = scratch("ratio", cov.shape[1:], cov.dtype)
    for j in range(channels):
        pivot = cov[_at(j, j)]
        pivot += reg
        # In exact arithmetic no pivot is smaller.
        np.maximum(pivot, reg, out=pivot)
        np.reciprocal(pivot, out=pivot)
        for i in range(j + 1, channels):
            entry = cov[_at(i, j)]
            np.multiply(entry, pivot, out=ratio)
            for k in range(j + 1, i + 1):
                # Column j of the rows above i holds L already, row i's own is `ratio`.
                below = ratio if k == i else cov[_at(k, j)]
                cov[_at(i, k)] -= np.multiply(entry, below, out=part)
            entry[...] = ratio


def inverse(x: FloatArray) -> FloatArray:
    """One over `x`, and 0 for 0."""
    result: FloatArray = np.divide(1, x, out=np.zeros_like(x), where=x > 0)
    return result


def weighted_mean(image: FloatArray, weights: FloatArray | None) -> float:
    """Mean over all pixels, 0 if none has weight."""
    if weights is None:
        return float(image.mean(dtype=np.float64))
    total = weights.sum(dtype=np.float64)
    return float((image * weights).sum(dtype=np.float64) / total) if total else 0.0


def combine(fits: FloatArray, guide: FloatArray, out: FloatArray) -> None:
    """Write ``a . guide + b`` for `fits` of (b, a...), which are lost."""
    for a, g in zip(fits[1:], guide, strict=True):
        a *= g
    for a in fits[1:-1]:
        fits[0] += a
    np.add(fits[0], fits[-1], out=out, casting="same_kind")
