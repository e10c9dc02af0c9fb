"""The local linear fits behind the guided filters.

In each window k the image I is fitted by ``a . G + b``. Write ``S`` for sums over the window, with
each pixel times its weight. The fit times the window's total weight ``S(1)`` is then::

    a S(1) = (cov(G) + reg)^-1 (S(G I) - mean(G) S(I))
    b S(1) = S(I) - mean(G) . a S(1)

These products are also what the fit contributes to the mean over the windows around a pixel.
Nothing is ever divided by the total weight, and windows without any contribute nothing.

Sums of products are float64 where a covariance, a small difference of large sums, needs it. All
later steps have the guide's precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from skdefocus._typing import FloatArray
from skdefocus.filters._arrays import estimate_offset
from skdefocus.filters._triangles import (
    factor,
    index_of,
    pairs,
    subtract_mean_products,
    variances,
)
from skdefocus.filters._window_sums import WindowGrid
from skdefocus.filters._workers import (
    MAX_SPARE_BYTES,
    Scratch,
    WorkerPool,
    borrow,
    spare_planes,
    split_range,
)

#: Values of one plane to solve for at a time. An eighth of it would stay in a faster cache, but two
#: threads then wait for each other between calls (12 megapixels took 1.2 to 1.4 times as long).
CHUNK = 1 << 17

#: A strip's number, and rows of it.
StripRows = tuple[int, slice]

#: Variances below this count as none (intensities squared).
TINY = 1e-10


@dataclass(frozen=True)
class FitSettings:
    """Settings of the fits.

    Attributes
    ----------
    radius : int
        Radius of the windows in pixels of the guide.
    eps : float
        Regularization in squared intensities.
    alpha : float or None
        Exponent of the variance in the windows' votes; None gives every window one vote.
    edge_aware : bool
        Regularize less where the guide varies more.
    sum_dtype : dtype
        Precision of sums of products: float64, or the guide's where that is enough.
    least_variance : float
        Smaller variances count as this one in votes.
    n_threads : int
        Number of threads.
    """

    radius: int
    eps: float
    alpha: float | None
    edge_aware: bool
    sum_dtype: np.dtype[Any]
    least_variance: float
    n_threads: int


class LinearFits:
    """The part of the fits that depends on a guide and weights alone, for images to come.

    Parameters
    ----------
    guide : ndarray of shape (C, H, W)
        Its dtype is that of the fits and their means.
    weights : ndarray of shape (H, W) or None
        From 0 to 1.
    settings : FitSettings
    """

    def __init__(
        self, guide: FloatArray, weights: FloatArray | None, settings: FitSettings
    ) -> None:
        self.guide, self.weights, self.settings = guide, weights, settings
        #: Weights of the images that `apply` takes.
        self.image_weights = weights
        self.dtype, self.sum_dtype = guide.dtype, settings.sum_dtype
        self.channels = len(guide)
        self.grid = WindowGrid((guide.shape[1], guide.shape[2]), settings.radius)
        self.pixel_share = 1 / (2 * settings.radius + 1) ** 2
        self._own_buffers: list[Scratch] = []
        self.mean = np.empty(self.grid.strips_shape(self.channels), self.sum_dtype)
        # Where pixels without weight are off the plane of those with some, float32 is not enough.
        precise = weights is not None and self.channels > 1 and settings.sum_dtype.itemsize >= 8
        self.factors = np.empty(
            self.grid.strips_shape(len(pairs(self.channels))), np.float64 if precise else self.dtype
        )
        self.votes = (
            None if settings.alpha is None else np.empty(self.grid.strips_shape(1), self.dtype)
        )
        with WorkerPool(settings.n_threads) as pool:
            weight_sums = self._describe(pool)
            self.per_vote = self._count_votes(weight_sums, pool)

    def _describe(self, pool: WorkerPool) -> FloatArray | None:
        """Set the means, factors and votes of all windows; return their total weights."""
        grid, settings = self.grid, self.settings
        weight_sums, covariances = None, None
        if self.weights is not None:
            weight_sums = np.empty(grid.strips_shape(1), self.dtype)
        if settings.edge_aware:  # the regularization depends on the variances of all windows
            covariances = np.empty(self.factors.shape)
        planes = int(weight_sums is not None) + self.channels + len(pairs(self.channels))
        with borrow(*self._spare_buffers(planes)) as buffers:
            rows = buffers("rows", grid.strips_shape(planes, mirrored=True), self.sum_dtype)
            grid.sum_rows(planes, self.sum_dtype, self._write_moments, rows, pool)
            work = partial(self._describe_strip, rows, weight_sums, covariances)
            pool.run(work, range(grid.count))
        if covariances is not None:
            eps = settings.eps / self._mean_inverse(covariances, weight_sums, pool)
            pool.run(partial(self._factor_strip, covariances, eps), range(grid.count))
        return weight_sums

    def _write_moments(self, band: FloatArray, y0: int, y1: int) -> None:
        """Write rows of the weights (if any), of the guide and of its products into `band`."""
        first, products = np.split(band[int(self.weights is not None) :], [self.channels])
        guide = self.guide[:, y0:y1].astype(self.sum_dtype, copy=False)
        if self.weights is None:  # the sums over a window then are means
            np.multiply(guide, self.pixel_share, out=first)
        else:
            band[0] = self.weights[y0:y1]
            np.multiply(guide, band[0], out=first)
        for product, (i, j) in zip(products, pairs(self.channels), strict=True):
            np.multiply(first[i], guide[j], out=product)

    def _describe_strip(
        self,
        rows: FloatArray,
        weight_sums: FloatArray | None,
        covariances: FloatArray | None,
        s: int,
        scratch: Scratch,
    ) -> None:
        """Turn sums along the rows of strip `s` into means and factors, or covariances if asked."""
        sums = scratch("moments", (rows.shape[1], *self.mean.shape[2:]), self.sum_dtype)
        self.grid.sum_columns(rows[s], sums, scratch)
        for chunk in self._chunks(s):
            part = sums[:, chunk[1]]
            if weight_sums is not None:
                weight_sums[s, 0, chunk[1]] = part[0]
                part = part[1:]
                part *= inverse(sums[0, chunk[1]])
            mean, cov = np.split(part, [self.channels])
            self.mean[s, :, chunk[1]] = mean
            subtract_mean_products(cov, mean, scratch)
            if covariances is None:
                self._factor(chunk, cov, self.settings.eps, scratch)
            else:
                covariances[s, :, chunk[1]] = cov

    def _factor_strip(self, covariances: FloatArray, eps: float, s: int, scratch: Scratch) -> None:
        """Factor the covariances of strip `s`, with `eps` divided by the variances."""
        for chunk in self._chunks(s):
            cov = covariances[s, :, chunk[1]]
            reg = variances(cov, self.channels)
            reg += TINY
            np.divide(eps, reg, out=reg)
            self._factor(chunk, cov, reg, scratch)

    def _spare_buffers(self, planes: int) -> tuple[list[Scratch], int]:
        """Return where buffers for that many planes are kept, and how many of them."""
        if planes * self.guide[0].size * self.sum_dtype.itemsize <= MAX_SPARE_BYTES:
            return spare_planes, 1
        # Only those that the next image needs.
        return self._own_buffers, self.settings.n_threads if planes <= self.channels + 2 else 0

    def _chunks(self, s: int) -> list[StripRows]:
        """Cut strip `s` into rows to be worked on at once; most strips are a single chunk."""
        height, rows = self.grid.shape[0], max(1, CHUNK // self.grid.strip_width)
        return [(s, slice(*piece)) for piece in split_range(height, rows)]

    def _factor(
        self, chunk: StripRows, cov: FloatArray, reg: FloatArray | float, scratch: Scratch
    ) -> None:
        """Set the votes and factors of a chunk from its covariances, which are overwritten."""
        s, rows = chunk
        if self.votes is not None and self.settings.alpha is not None:
            powers = variances(cov, self.channels)
            np.maximum(powers, self.settings.least_variance, out=powers)
            powers **= self.settings.alpha
            powers += TINY
            np.divide(TINY, powers, out=self.votes[s, 0, rows], casting="same_kind")
        factor(cov, reg, self.channels, scratch)
        self.factors[s, :, rows] = cov

    def _mean_inverse(
        self, cov: FloatArray, weight_sums: FloatArray | None, pool: WorkerPool
    ) -> float:
        """Average 1 / variance over all windows by their total weights."""
        found = np.zeros((self.grid.count, 2))

        def add_strip(s: int, scratch: Scratch) -> None:
            # The last strip may extend beyond the image.
            width = self.grid.shape[1] - s * self.grid.strip_width
            variance = variances(cov[s], self.channels)[:, :width]
            weight = np.ones_like(variance) if weight_sums is None else weight_sums[s, 0, :, :width]
            found[s] = (weight / (variance + TINY)).sum(), weight.sum(dtype=np.float64)

        pool.run(add_strip, range(self.grid.count))
        total, weight = found.sum(0)
        return float(total / weight) if weight else 1.0

    def _count_votes(self, weight_sums: FloatArray | None, pool: WorkerPool) -> FloatArray | float:
        """Return 1 over the votes that each pixel gets, and 0 where it gets none."""
        votes, grid = self.votes, self.grid
        if weight_sums is None and votes is None:
            return self.pixel_share**2
        per_vote = np.empty(grid.shape, self.dtype)
        columns = np.empty(grid.strips_shape(1), self.dtype)

        def sum_strip(s: int, scratch: Scratch) -> None:
            x = scratch("votes", (1, grid.vertical.length, grid.strip_width), self.dtype)
            x[:, grid.inner_rows] = 1 / self.pixel_share if weight_sums is None else weight_sums[s]
            if votes is not None:
                x[:, grid.inner_rows] *= votes[s]
            grid.sum_columns(x, columns[s], scratch)

        def write(sums: FloatArray, y0: int, y1: int) -> None:
            per_vote[y0:y1] = inverse(sums[0])

        pool.run(sum_strip, range(grid.count))
        grid.sum_rows(1, self.dtype, columns, write, pool)
        return per_vote

    def apply(self, images: FloatArray, out: FloatArray) -> None:
        """Filter `images` (K, H, W) into `out`, which may be `images`."""
        grid, planes = self.grid, (self.channels + 1) * len(images)
        if isinstance(self.per_vote, np.ndarray):  # pixels without votes get the mean
            means = [weighted_mean(image, self.weights) for image in images]
        else:
            means = [estimate_offset(image) for image in images]
        offsets = np.array(means, self.dtype)[:, None, None]
        with (
            borrow(*self._spare_buffers(planes)) as buffers,
            WorkerPool(self.settings.n_threads) as pool,
        ):
            rows = buffers("rows", grid.strips_shape(planes, mirrored=True), self.sum_dtype)
            # The fits of a strip overwrite its sums, which are no longer needed by then.
            fits = rows.reshape(len(rows), -1).view(self.dtype)
            fits = fits[:, : planes * grid.shape[0] * grid.strip_width]
            fits = fits.reshape(grid.strips_shape(planes))
            read = partial(self._write_products, images, offsets)
            grid.sum_rows(planes, self.sum_dtype, read, rows, pool)
            pool.run(partial(self._fit_strip, rows, fits), range(grid.count))
            self._predict(fits, offsets, out, pool)

    def _by_image(self, planes: FloatArray) -> FloatArray:
        """View planes of K images, (P, ...), as (C + 1, K, ...)."""
        return planes.reshape(self.channels + 1, -1, *planes.shape[1:])

    def _write_products(
        self, images: FloatArray, offsets: FloatArray, band: FloatArray, y0: int, y1: int
    ) -> None:
        """Write rows of the images without their offsets, and their products with the guide."""
        values, *products = self._by_image(band)
        # Without the offset, digits are spent on what varies.
        np.subtract(images[:, y0:y1], offsets, out=values, casting="same_kind")
        if self.weights is not None:
            values *= self.weights[y0:y1]
        for product, guide in zip(products, self.guide[:, y0:y1], strict=True):
            if guide.dtype != band.dtype:  # Converting first is faster than while multiplying.
                product[...] = guide
                product *= values
            else:
                np.multiply(guide, values, out=product)

    def _fit_strip(self, rows: FloatArray, fits: FloatArray, s: int, scratch: Scratch) -> None:
        """Turn sums along the rows of strip `s` into its fits, summed along the columns."""
        sums = scratch("moments", fits.shape[1:], self.sum_dtype)
        self.grid.sum_columns(rows[s], sums, scratch)
        x = scratch("shares", rows.shape[1:], self.dtype)
        sums, inner = self._by_image(sums), self._by_image(x)[:, :, self.grid.inner_rows]
        for chunk in self._chunks(s):
            self._solve(chunk, sums[:, :, chunk[1]], inner[:, :, chunk[1]], scratch)
        self.grid.sum_columns(x, fits[s], scratch)

    def _solve(
        self, chunk: StripRows, sums: FloatArray, fits: FloatArray, scratch: Scratch
    ) -> None:
        """Write the fits of a chunk, (b, a...), for sums of (I, G I...), which are overwritten."""
        s, rows = chunk
        mean, factors, a = self.mean[s, :, rows], self.factors[s, :, rows], fits[1:]
        shape = sums.shape[1:]
        part = scratch("part", shape, self.sum_dtype)
        fits[0] = sums[0]
        # Forward in float64: what remains of a covariance is small where channels are alike.
        for i in range(self.channels):
            sums[i + 1] -= np.multiply(mean[i], sums[0], out=part)
            for j in range(i):
                part[...] = factors[index_of(i, j)]
                part *= sums[j + 1]
                sums[i + 1] -= part
        x = sums[1:]
        if factors.dtype != x.dtype:
            a[...] = x
            x = a
        part = scratch("part", shape, x.dtype)
        for i in reversed(range(self.channels)):
            x[i] *= factors[index_of(i, i)]
            for k in range(i + 1, self.channels):
                x[i] -= np.multiply(factors[index_of(k, i)], x[k], out=part)
        if x is not a:
            a[...] = x
        part = scratch("part", shape, self.dtype)
        for i in range(self.channels):
            part[...] = mean[i]
            part *= a[i]
            fits[0] -= part
        if self.votes is not None:
            fits *= self.votes[s, :, rows]

    def _predict(
        self, fits: FloatArray, offsets: FloatArray, out: FloatArray, pool: WorkerPool
    ) -> None:
        """Sum the fits along the rows too, apply them, and add the images' offsets."""

        def write(sums: FloatArray, y0: int, y1: int) -> None:
            sums = self._by_image(sums)
            evaluate(sums, self.guide[:, y0:y1], sums[0])
            sums[0] *= self._per_vote_of(y0, y1)
            np.add(sums[0], offsets, out=out[:, y0:y1], casting="same_kind")

        self.grid.sum_rows(fits.shape[1], self.dtype, fits, write, pool)

    def _per_vote_of(self, y0: int, y1: int) -> FloatArray | float:
        """Return the factor that turns sums of votes in these rows into means."""
        return self.per_vote[y0:y1] if isinstance(self.per_vote, np.ndarray) else self.per_vote


def inverse(x: FloatArray) -> FloatArray:
    """Return 1 / `x`, and 0 for 0."""
    result: FloatArray = np.divide(1, x, out=np.zeros_like(x), where=x > 0)
    return result


def weighted_mean(image: FloatArray, weights: FloatArray | None) -> float:
    """Average over all pixels; 0 if none has weight."""
    if weights is None:
        return float(image.mean(dtype=np.float64))
    total = weights.sum(dtype=np.float64)
    return float((image * weights).sum(dtype=np.float64) / total) if total else 0.0


def evaluate(fits: FloatArray, guide: FloatArray, out: FloatArray) -> None:
    """Write ``a . guide + b`` for `fits` of (b, a...), which are overwritten."""
    for a, g in zip(fits[1:], guide, strict=True):
        a *= g
    for a in fits[1:-1]:
        fits[0] += a
    np.add(fits[0], fits[-1], out=out, casting="same_kind")
