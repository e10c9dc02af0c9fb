"""Guided filter and weighted guided filter: arrays in, array out."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skdefocus._typing import FloatArray
from skdefocus._validation import MAX_ALPHA, check_int, check_real
from skdefocus.filters._arrays import (
    centred,
    check_out,
    check_planes,
    check_weights,
    finite,
    promoted,
)
from skdefocus.filters._box_mean import MAX_RADIUS
from skdefocus.filters._linear_fits import Fit
from skdefocus.filters._subsampled_fits import CoarseFit
from skdefocus.filters._workers import workers

#: How far a guide may go from its mean: the squares of float32 are summed over windows.
MAX_GUIDE = 1e15
#: Its inverse is a float32 still; on flat parts, less gives the same.
LEAST_EPS = 1e-30
#: Smallest `eps`, in squares of the centred guide's largest magnitude, with sums of products in
#: float32: what their rounding adds to covariances is then small beside it.
ROUGH_EPS = 2e-3
#: With a guide larger than that, products would soon leave float32's range.
ROUGH_GUIDE = 1e4
#: So would an `eps` larger than that, with which such a guide has no influence anyway.
ROUGH_MOST_EPS = 1e30
#: Largest value in an image of float64 that is filtered by a guide of float32.
MAX_VALUE = 1e30


class GuidedFilter:
    """A guide's statistics, ready to filter any number of images.

    Parameters
    ----------
    guide : array_like of shape (H, W) or (H, W, C), floating
        Its edges are the result's edges. Of any range up to 1e15; copied. Fits and their means
        have its precision, float32 at least.
    radius : int
        Of the square windows, in pixels, at least 0; a window is ``2 * radius + 1`` wide. May
        exceed the image.
    eps : float
        Regularisation, above 0, in intensities of the guide squared: windows in which the guide
        varies much less than ``sqrt(eps)`` are averaged, edges much larger are kept.
    alpha : float
        Exponent, from 0 to 30, of the variance in `variance_weighted`.
    edge_aware : bool
        Divide `eps` in each window by ``w = (var + 1e-10) * mean(1 / (var + 1e-10))``, `var` the
        guide's variance in it (the mean over channels), the mean over all windows, by evidence
        [2]_. Edges are regularised less, flat parts more.
    variance_weighted : bool
        Let each window vote with ``v = 1 / (var ** alpha + 1e-10)`` in the mean of all windows
        that hold a pixel [3]_. Windows across an edge have less say, so that there are fewer halos.
    weights : array_like of shape (H, W), optional
        Confidence in each pixel of the images to come, at least 0; only ratios count. Each window
        is fitted by weighted least squares and votes with the sum of its weights: pixels of weight
        0 have no influence, whatever they hold, NaN included, and take what their neighbours say.
        Pixels that no window with weight holds become the weighted mean of the whole image, or 0
        if no pixel has weight. Values under 1e-18 of the largest count as 0.
    subsample : int
        Fit windows at every `subsample`-th pixel only, and interpolate the fits; 1 fits all [4]_.
    n_threads : int
        Most threads for one image, at least 1; NumPy releases the interpreter's lock meanwhile.
        Below half a million pixels one is as fast, and is taken.

    Raises
    ------
    TypeError
        If `guide` is not floating, or a parameter has the wrong type.
    ValueError
        If a shape or a value is not as above, or the guide is not finite.

    Notes
    -----
    In each window k the image is fitted by ``a . guide + b``, minimising
    ``sum_i weights_i * ((a . guide_i + b - image_i) ** 2 + eps * |a| ** 2)``, and the result is
    ``mean_k(a) . guide + mean_k(b)`` over the windows that hold a pixel [1]_. What is kept per
    pixel is float32 for a float32 guide. Sums of products, and the windows' means, are float64,
    unless `eps` is so large that rounding cannot show (above 5e-4 for a guide that spans [0, 1])
    and neither weights nor variances are asked for.

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
        self.eps = max(check_real(eps, "eps", 0, above=True), LEAST_EPS)
        self.alpha = check_real(alpha, "alpha", 0, MAX_ALPHA)
        self.edge_aware, self.variance_weighted = bool(edge_aware), bool(variance_weighted)
        subsample = check_int(subsample, "subsample", 1)
        x = check_planes(guide, "guide")
        self.n_threads = workers(n_threads, x)
        self.subsample = min(subsample, max(x.shape[:2]))  # one block is one block
        # Centred, float32 spends its digits on what varies.
        self._guide, self._largest = centred(x, self.n_threads)
        if not self._largest <= MAX_GUIDE:
            finite(x, "guide")
            raise ValueError(
                f"guide must stay within {MAX_GUIDE:g} of its mean, not {self._largest:g}"
            )
        self._fit = self._fitted(weights)

    def filter(
        self, image: ArrayLike, weights: ArrayLike | None = None, out: FloatArray | None = None
    ) -> FloatArray:
        """Filter an image of the guide's height and width.

        Parameters
        ----------
        image : array_like of shape (H, W) or (H, W, C), floating
            Any range; filtered channel by channel.
        weights : array_like of shape (H, W), optional
            Instead of those the filter was made with, for this call; the statistics are made anew.
        out : ndarray of the shape of `image`, floating, optional
            Receives the result; may be `image` itself.

        Returns
        -------
        ndarray of the shape and dtype of `image`
            `out` if that was given.

        Raises
        ------
        TypeError
            If `image` is not floating.
        ValueError
            If a shape is not the guide's, or values with weight are not finite.
        """
        fit = self._fit if weights is None else self._fitted(weights)
        x = finite(check_planes(image, shape=self._guide.shape[1:]), weights=fit.image_weights)
        if x.dtype.itemsize > self._guide.dtype.itemsize and np.abs(x).max() > MAX_VALUE:
            raise ValueError(
                f"image must be within ±{MAX_VALUE:g} if the guide is float32; give both as float64"
            )
        out = check_out(out, image)
        for c in range(x.shape[2]):
            fit.apply(x[..., c], out if out.ndim == 2 else out[..., c])
        return out

    def _fitted(self, weights: ArrayLike | None) -> Fit:
        shape = (self._guide.shape[1], self._guide.shape[2])
        rough = (
            not (self.edge_aware or self.variance_weighted or weights is not None)
            and self._largest < ROUGH_GUIDE
            and self.eps >= ROUGH_EPS * self._largest**2
        )
        described = (
            self._guide,
            self.radius,
            min(self.eps, ROUGH_MOST_EPS) if rough else self.eps,
            check_weights(weights, shape, self._guide.dtype),
            self.alpha if self.variance_weighted else None,
            self.edge_aware,
            np.dtype(self._guide.dtype if rough else np.float64),
            self.n_threads,
        )
        return Fit(*described) if self.subsample == 1 else CoarseFit(*described, self.subsample)


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
    image : array_like of shape (H, W) or (H, W, C), floating
        Any range; filtered channel by channel.
    guide : array_like of shape (H, W) or (H, W, D), floating
        Its edges are the result's edges.
    radius, eps, weights, subsample, n_threads
        As of `GuidedFilter`.
    out : ndarray of the shape of `image`, floating, optional
        Receives the result; may be `image` itself.

    Returns
    -------
    ndarray of the shape and dtype of `image`
        `out` if that was given.

    Raises
    ------
    TypeError, ValueError
        As of `GuidedFilter` and its `filter`.

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
    kernel = GuidedFilter(
        promoted(guide, image),
        radius,
        eps,
        weights=weights,
        subsample=subsample,
        n_threads=n_threads,
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
    """Guided filter that spares edges, repeated.

    Parameters
    ----------
    image : array_like of shape (H, W) or (H, W, C), floating
        Any range; filtered channel by channel.
    guide : array_like of shape (H, W) or (H, W, D), floating
        Its edges are the result's edges; in [0, 1], for the constant 1e-10 of the formulas.
    radius, eps, alpha, edge_aware, variance_weighted, weights, subsample, n_threads
        As of `GuidedFilter`.
    n_iter : int
        How often to filter, at least 1; each time the result is filtered by the same guide with
        the same weights.
    out : ndarray of the shape of `image`, floating, optional
        Receives the result; may be `image` itself.

    Returns
    -------
    ndarray of the shape and dtype of `image`
        `out` if that was given.

    Raises
    ------
    TypeError, ValueError
        As of `GuidedFilter` and its `filter`.

    See Also
    --------
    GuidedFilter : the formulas, errors and sources; to filter several images by one guide.

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
        promoted(guide, image),
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
