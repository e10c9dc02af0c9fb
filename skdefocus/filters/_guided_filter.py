"""Guided filter and weighted guided filter."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skdefocus._typing import FloatArray
from skdefocus._validation import MAX_ALPHA, check_int, check_real
from skdefocus.filters._arrays import (
    check_finite_planes,
    check_out,
    check_planes,
    check_weights,
    promote_guide,
    subtract_offsets,
)
from skdefocus.filters._box_mean import MAX_RADIUS
from skdefocus.filters._linear_fits import FitSettings, LinearFits
from skdefocus.filters._subsampled_fits import SubsampledFits
from skdefocus.filters._workers import effective_threads

#: Largest distance of a guide from its mean: the squares of float32 are summed over windows.
MAX_GUIDE = 1e15
#: Smallest `eps` whose inverse is a float32; on flat parts, smaller ones give the same.
MIN_EPS = 1e-30
#: Smallest `eps`, relative to the square of the guide's largest magnitude without its offset, with
#: which products are summed in float32: rounding adds less than a thousandth of it to covariances.
FLOAT32_MIN_EPS = 3e-4
#: Smallest weight, relative to the largest, with which they are. Where all weights of a window are
#: smaller, the fits extrapolate, and need more digits.
FLOAT32_MIN_WEIGHT = 1e-2
#: Least variance that counts in votes, relative to the square of the guide's largest magnitude, if
#: products are summed in float32: smaller ones are mostly rounding, and all have the same vote.
FLOAT32_VARIANCE = 1e-6
#: Guides larger than this need float64: products would soon leave float32's range.
FLOAT32_MAX_GUIDE = 1e4
#: Largest `eps` with float32 sums: products with more would leave its range, and a guide within the
#: limit above has no influence anyway.
FLOAT32_MAX_EPS = 1e30
#: Number of values that are filtered at once, if images are small.
AT_ONCE = 1 << 16
#: Largest value in a float64 image that is filtered by a float32 guide.
MAX_VALUE = 1e30


class GuidedFilter:
    """The statistics of a guide, ready to filter any number of images.

    Parameters
    ----------
    guide : array_like of shape (H, W) or (H, W, C), floating
        Its edges become those of the result. Its values stay within 1e15 of their mean; it is
        copied. The fits and their means have its precision, but at least float32.
    radius : int
        Radius of the square windows in pixels, at least 0. A window is ``2 * radius + 1`` wide and
        may exceed the image.
    eps : float
        Regularization, above 0, in squared intensities of the guide. Windows in which the guide
        varies much less than ``sqrt(eps)`` are averaged; much larger edges are kept.
    alpha : float
        Exponent of the variance in `variance_weighted`, from 0 to 30.
    edge_aware : bool
        Divide `eps` in each window by ``w = (var + 1e-10) * mean(1 / (var + 1e-10))``, where `var`
        is the guide's variance in the window (the mean over channels) and the mean is over all
        windows, weighted by their total weights [2]_. Edges are regularized less, flat parts more.
    variance_weighted : bool
        Let each window vote with ``v = 1 / (var ** alpha + 1e-10)`` in the mean over the windows
        around a pixel [3]_. Windows across an edge count less, so that there are fewer halos.
    weights : array_like of shape (H, W), optional
        Confidence in each pixel of the images to come, at least 0; only ratios count. Each window
        is fitted by weighted least squares and votes with the sum of its weights. Pixels of weight
        0 have no influence, whatever they hold, including NaN, and get their values from their
        neighbors. Pixels in no window with weight become the weighted mean of the full image, or 0
        if no pixel has weight. Values below 1e-18 of the largest count as 0.
    subsample : int
        Fit windows only at every `subsample`-th pixel, and interpolate the fits; 1 fits all [4]_.
    n_threads : int
        Largest number of threads, at least 1; NumPy releases the interpreter's lock meanwhile.
        Below half a million pixels one thread is as fast, and only one is used.

    Raises
    ------
    TypeError
        If `guide` is not floating, or a parameter has the wrong type.
    ValueError
        If a shape or a value is out of range, or the guide is not finite.

    Notes
    -----
    In each window k the image is fitted by ``a . guide + b``, which minimizes
    ``sum_i weights_i * ((a . guide_i + b - image_i) ** 2 + eps * |a| ** 2)``. The result is
    ``mean_k(a) . guide + mean_k(b)``, with means over the windows around a pixel [1]_. The data
    kept per pixel is float32 for a float32 guide. Sums of products, and the means of the windows,
    are float64 unless the guide is float32, `eps` is so large that rounding cannot show (above 8e-5
    for a guide that spans [0, 1]), no weight is less than a hundredth of the largest, and
    `edge_aware` is not set; windows of hardly any variance, below 1e-6 of the square of the guide's
    range, then have equal votes. The cost per pixel grows with the logarithm of the radius.

    References
    ----------
    .. [1] He, Sun and Tang, "Guided image filtering", TPAMI 2013.
    .. [2] Li, Zheng, Zhu, Yao and Wu, "Weighted guided image filtering", TIP 2015.
    .. [3] Ochotorena and Yamashita, "Anisotropic guided filtering", TIP 2020.
    .. [4] He and Sun, "Fast guided filter", arXiv 1505.00996.

    Examples
    --------
    >>> import numpy as np
    >>> from skdefocus.filters import GuidedFilter
    >>> step = np.repeat([[0.0, 1.0]], 8, axis=1).repeat(16, axis=0)
    >>> noise = np.random.default_rng(0).normal(0, 0.1, step.shape)
    >>> smooth = GuidedFilter(step, radius=4, eps=1e-3).filter(step + noise)
    >>> bool(abs(smooth - step).max() < 0.1)
    True
    """

    def __init__(
        self,
        guide: ArrayLike,
        radius: int,
        eps: float,
        *,
        alpha: float = 4.0,
        edge_aware: bool = False,
        variance_weighted: bool = False,
        weights: ArrayLike | None = None,
        subsample: int = 1,
        n_threads: int = 2,
    ) -> None:
        self.radius = min(check_int(radius, "radius", 0), MAX_RADIUS)
        self.eps = max(check_real(eps, "eps", 0, above=True), MIN_EPS)
        self.alpha = check_real(alpha, "alpha", 0, MAX_ALPHA)
        self.edge_aware, self.variance_weighted = bool(edge_aware), bool(variance_weighted)
        subsample = check_int(subsample, "subsample", 1)
        x = check_planes(guide, "guide")
        self.n_threads = effective_threads(n_threads, x)
        self.subsample = min(subsample, max(x.shape[:2]))  # a single block at most
        # Without the offset, float32 spends its digits on what varies.
        self._guide, self._largest = subtract_offsets(x, self.n_threads)
        if not self._largest <= MAX_GUIDE:
            check_finite_planes(x, "guide")
            raise ValueError(
                f"guide must stay within {MAX_GUIDE:g} of its mean, not {self._largest:g}"
            )
        self._fits = self._make_fits(weights)

    def filter(
        self, image: ArrayLike, weights: ArrayLike | None = None, out: FloatArray | None = None
    ) -> FloatArray:
        """Filter an image of the guide's height and width.

        Parameters
        ----------
        image : array_like of shape (H, W) or (H, W, C), floating
            Any values. Channels are filtered one by one.
        weights : array_like of shape (H, W), optional
            Weights that replace those of the filter for this call. Its statistics are computed
            again.
        out : ndarray of the shape of `image`, floating, optional
            See :func:`box_mean`.

        Returns
        -------
        ndarray of the shape and dtype of `image`
            `out` if it was given.

        Raises
        ------
        TypeError
            If `image` is not floating.
        ValueError
            If a shape differs from the guide's, or values with weight are not finite.
        """
        fits = self._fits if weights is None else self._make_fits(weights)
        x = check_planes(image, shape=self._guide.shape[1:])
        x = check_finite_planes(x, weights=fits.image_weights)
        if x.dtype.itemsize > self._guide.dtype.itemsize and np.abs(x).max() > MAX_VALUE:
            raise ValueError(
                f"image must be within ±{MAX_VALUE:g} if the guide is float32; give both as float64"
            )
        out = check_out(out, image)
        images, results = (np.moveaxis(planes, 2, 0) for planes in (x, out.reshape(x.shape)))
        # Many small images at once: Python's own time would show.
        size = max(1, AT_ONCE // images[0].size)
        for start in range(0, len(images), size):
            fits.apply(images[start : start + size], results[start : start + size])
        return out

    def _make_fits(self, weights: ArrayLike | None) -> LinearFits:
        """Compute the statistics of the windows, in the lowest precision that is enough."""
        shape = (self._guide.shape[1], self._guide.shape[2])
        checked = check_weights(weights, shape, self._guide.dtype)
        in_float32 = (
            self._guide.dtype == np.float32
            and not self.edge_aware
            and (checked is None or checked.min() >= FLOAT32_MIN_WEIGHT)
            and self._largest < FLOAT32_MAX_GUIDE
            and self.eps >= FLOAT32_MIN_EPS * self._largest**2
        )
        settings = FitSettings(
            radius=self.radius,
            eps=min(self.eps, FLOAT32_MAX_EPS) if in_float32 else self.eps,
            alpha=self.alpha if self.variance_weighted else None,
            edge_aware=self.edge_aware,
            sum_dtype=np.dtype(np.float32 if in_float32 else np.float64),
            least_variance=FLOAT32_VARIANCE * self._largest**2 if in_float32 else 0.0,
            n_threads=self.n_threads,
        )
        if self.subsample == 1:
            return LinearFits(self._guide, checked, settings)
        return SubsampledFits(self._guide, checked, settings, self.subsample)


def guided_filter(
    image: ArrayLike,
    guide: ArrayLike,
    radius: int,
    eps: float,
    *,
    weights: ArrayLike | None = None,
    subsample: int = 1,
    n_threads: int = 2,
    out: FloatArray | None = None,
) -> FloatArray:
    """Smooth an image where its guide is smooth, and keep edges where the guide has them.

    Parameters
    ----------
    image, out
        See `GuidedFilter.filter`.
    guide, radius, eps, weights, subsample, n_threads
        See `GuidedFilter`.

    Returns
    -------
    ndarray of the shape and dtype of `image`
        `out` if it was given.

    Raises
    ------
    TypeError, ValueError
        See `GuidedFilter` and its `filter`.

    See Also
    --------
    GuidedFilter : the formulas, errors and sources; to filter several images by one guide.

    Examples
    --------
    >>> import numpy as np
    >>> from skdefocus.filters import guided_filter
    >>> guide = np.eye(8)
    >>> bool(np.allclose(guided_filter(guide, guide, radius=2, eps=1e-12), guide))
    True
    """
    guide = promote_guide(guide, image)
    kernel = GuidedFilter(
        guide, radius, eps, weights=weights, subsample=subsample, n_threads=n_threads
    )
    return kernel.filter(image, out=out)


def weighted_guided_filter(
    image: ArrayLike,
    guide: ArrayLike,
    radius: int,
    eps: float,
    *,
    alpha: float = 4.0,
    edge_aware: bool = True,
    variance_weighted: bool = True,
    weights: ArrayLike | None = None,
    subsample: int = 1,
    n_iter: int = 1,
    n_threads: int = 2,
    out: FloatArray | None = None,
) -> FloatArray:
    """Apply a guided filter that preserves edges better, once or several times.

    Parameters
    ----------
    image, out
        See `GuidedFilter.filter`.
    guide : array_like of shape (H, W) or (H, W, D), floating
        Its edges become those of the result. Its range should be [0, 1], for which the constant
        1e-10 in the formulas is meant.
    radius, eps, alpha, edge_aware, variance_weighted, weights, subsample, n_threads
        See `GuidedFilter`.
    n_iter : int
        Number of times to filter, at least 1. Each time the last result is filtered by the same
        guide with the same weights.

    Returns
    -------
    ndarray of the shape and dtype of `image`
        `out` if it was given.

    Raises
    ------
    TypeError, ValueError
        See :func:`guided_filter`.

    See Also
    --------
    guided_filter : the same without `edge_aware` and `variance_weighted`.

    Examples
    --------
    >>> import numpy as np
    >>> from skdefocus.filters import weighted_guided_filter
    >>> guide = np.zeros((5, 9))
    >>> sparse, known = np.full((5, 9), np.nan), np.zeros((5, 9))
    >>> sparse[2, 4], known[2, 4] = 3.0, 1.0
    >>> filled = weighted_guided_filter(sparse, guide, 2, 1e-3, weights=known)
    >>> bool(np.allclose(filled, 3))
    True
    """
    n_iter = check_int(n_iter, "n_iter", 1)
    kernel = GuidedFilter(
        promote_guide(guide, image),
        radius,
        eps,
        alpha=alpha,
        edge_aware=edge_aware,
        variance_weighted=variance_weighted,
        weights=weights,
        subsample=subsample,
        n_threads=n_threads,
    )
    out = kernel.filter(image, out=out)
    for _ in range(n_iter - 1):
        kernel.filter(out, out=out)
    return out
