"""Defocus maps without a network: focus measures, and σ from the blur of edges."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy import ndimage
from sklearn.isotonic import IsotonicRegression
from sklearn.utils.validation import check_is_fitted

from skdefocus._edge_reblur import reblur_map
from skdefocus._estimators import ImageTransformer, each, restack, threads_each
from skdefocus._focus_operators import OPERATORS
from skdefocus._images import check_image, check_images, check_sigma_map, to_gray
from skdefocus._typing import Float32Array
from skdefocus._validation import MAX_SIGMA, check_choice, check_int, check_real, check_sequence

__all__ = ["EdgeReblurEstimator", "FocusMeasure"]


#: Smallest unit of the scales in pixels; below it, blurs of half of it and less change nothing.
MIN_SIGMA0 = 0.1
#: Added to an operator's value before its logarithm: what shows nothing becomes 13.8.
FLOOR = 1e-6
#: Pixels of each image that a calibration looks at.
SAMPLE = 20_000


class FocusMeasure(ImageTransformer):
    """Map how little each neighbourhood varies, by one of sixteen classical focus measures.

    The map is ``-log(E + 1e-6)`` of an operator's value E, larger where it is more blurred. It is
    **not σ**: what is shown counts as much as how blurred it is, and a flat wall in focus gets as
    much as anything out of focus. With ``calibrate=True``, ``fit(X, y)`` learns a monotone curve
    from such values to pixels, which is right on average for images like those, no more.

    Parameters
    ----------
    method : str, default="laplacian_energy"
        Operator, with its code in [1]_:

        - second derivatives: ``"laplacian_energy"`` (LAP1), ``"modified_laplacian"`` (LAP2, SML),
          ``"diagonal_laplacian"`` (LAP3), ``"laplacian_variance"`` (LAP4);
        - gradients: ``"tenengrad"`` (GRA6), ``"tenengrad_variance"`` (GRA7),
          ``"squared_gradient"`` (GRA2, both axes), ``"thresholded_gradient"`` (GRA5, of
          differences above 0.02);
        - statistics: ``"grey_variance"`` (STA3), ``"normalized_variance"`` (STA5, by the mean);
        - correlation: ``"brenner"`` (MIS2), ``"vollath"`` (MIS6, of deviations from the mean);
        - transforms: ``"dct_energy_ratio"`` (DCT1), ``"dct_reduced_ratio"`` (DCT2),
          ``"wavelet_ratio"`` (WAV3, Haar, three scales);
        - ``"local_binary_patterns"``, the share of patterns that blur removes [2]_.
    radius : int, default=16
        Of the square window, pixels, ≥ 0. The time does not depend on it.
    smoothing : float, default=0.0
        σ in pixels of a Gaussian before all else, ≥ 0, against noise, at the price of what tells
        slight blurs apart.
    calibrate : bool, default=False
        Learn pixels in ``fit(X, y)``; ``transform`` then needs it.
    n_jobs : int or None, default=None
        Images worked on at once, see :class:`joblib.Parallel`.

    Attributes
    ----------
    units_ : str
        ``"none (monotone in blur, not in pixels)"``, or ``"pixels"`` if calibrated.
    calibration_ : tuple of two ndarray of shape (m,), float64
        Increasing values of the measure and their σ in pixels, linear in between and constant
        beyond; only after ``fit`` with ``calibrate=True``.

    See Also
    --------
    EdgeReblurEstimator : σ in pixels without a calibration.

    Notes
    -----
    More contrast lowers the map by a constant: by twice the logarithm of the gain for operators
    that are energies or variances, by once that for absolute values, for ``normalized_variance``
    too; the three ratios do not change, nor do the derivatives with brightness. (All up to the
    floor and thresholds.) Flips and transposition of the image do the same to the map. Cost:
    some ten passes over the image, 0.01 to 0.1 s per megapixel and operator.

    References
    ----------
    .. [1] S. Pertuz, D. Puig and M. A. Garcia, "Analysis of focus measure operators for
       shape-from-focus", Pattern Recognition 46(5), 2013.
    .. [2] X. Yi and M. Eramian, "LBP-based segmentation of defocus blur", IEEE TIP 25(4), 2016.

    Examples
    --------
    >>> from skdefocus.classical import FocusMeasure
    >>> from skdefocus.datasets import sample_photographs
    >>> from skdefocus.synthesis import blur
    >>> sharp = sample_photographs(64)[0]
    >>> maps = FocusMeasure("tenengrad").fit_transform([sharp, blur(sharp, 2)])
    >>> bool(maps[0].mean() < maps[1].mean())
    True
    """

    def __init__(
        self,
        method: str = "laplacian_energy",
        *,
        radius: int = 16,
        smoothing: float = 0.0,
        calibrate: bool = False,
        n_jobs: int | None = None,
    ) -> None:
        self.method = method
        self.radius = radius
        self.smoothing = smoothing
        self.calibrate = calibrate
        self.n_jobs = n_jobs

    @property
    def units_(self) -> str:  # noqa: D102 - documented as an attribute
        return "pixels" if self.calibrate else "none (monotone in blur, not in pixels)"

    def _check_params(self) -> None:
        check_choice(self.method, "method", tuple(OPERATORS))
        check_int(self.radius, "radius", 0)
        check_real(self.smoothing, "smoothing", 0, MAX_SIGMA)
        if not isinstance(self.calibrate, bool | np.bool_):
            raise TypeError(f"calibrate must be a bool, got {self.calibrate!r}")

    def __sklearn_is_fitted__(self) -> bool:
        return not self.calibrate or hasattr(self, "calibration_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = bool(self.calibrate)
        tags.target_tags.required = bool(self.calibrate)
        return tags

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters; with ``calibrate=True`` learn what the values are in pixels.

        Parameters
        ----------
        X : ndarray of shape (n, H, W) or (n, H, W, C), or list of images of different sizes
            See :meth:`transform`; not looked at without calibration.
        y : list of ndarray of shape (H, W), or ndarray of shape (n, H, W)
            True σ of each image in pixels, finite and ≥ 0; not looked at without calibration.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If `X` or `y` is no sequence, or a part of them holds no real numbers.
        ValueError
            If `y` is missing, does not fit `X`, or has values that are no σ; if `X` is no batch of
            images.

        Notes
        -----
        Isotonic regression (least squares) on up to 20,000 pixels of each image, always the same.
        """
        self._check_params()
        if not self.calibrate:
            return self
        if y is None:
            raise ValueError("y must hold the true σ maps if calibrate=True, got None")
        images, _ = check_images(X)
        if len(check_sequence(y, "y")) != len(images):
            raise ValueError(f"y must hold one map per image, {len(images)}, got {len(y)}")
        truth = [check_sigma_map(t, f"y[{i}]", dtype=np.float64) for i, t in enumerate(y)]
        rng = np.random.default_rng(0)
        values, sigmas = [], []
        for i, (found, true) in enumerate(zip(self._measures(images), truth, strict=True)):
            if found.shape != true.shape:
                raise ValueError(
                    f"y[{i}] must have shape {found.shape} as X[{i}], got {true.shape}"
                )
            some = rng.choice(true.size, min(true.size, SAMPLE), replace=False)
            values.append(found.ravel()[some])
            sigmas.append(true.ravel()[some])
        curve = IsotonicRegression(out_of_bounds="clip")
        curve.fit(np.concatenate(values).astype(np.float64), np.concatenate(sigmas))
        self.calibration_ = curve.X_thresholds_, curve.y_thresholds_
        return self

    def transform(self, X: Any) -> Any:
        """Map each image.

        Parameters
        ----------
        X : ndarray of shape (n, H, W) or (n, H, W, C), or list of images of different sizes
            Grey, RGB or RGBA (alpha is ignored); bool, uint8, uint16 (scaled by their range) or
            float in [0, 1].

        Returns
        -------
        list of ndarray of shape (H, W), float32
            Larger is more blurred; in `units_`. One array of shape (n, H, W) if `X` is an array.

        Raises
        ------
        TypeError, ValueError
            If `X` is no batch of images or a parameter is wrong; the message names it.
        sklearn.exceptions.NotFittedError
            If ``calibrate=True`` and `fit` was not called.
        """
        self._check_params()
        check_is_fitted(self)
        images, stacked = check_images(X)
        maps = self._measures(images)
        if self.calibrate:
            maps = [np.interp(m, *self.calibration_).astype(np.float32) for m in maps]
        return restack(maps, stacked)

    def _measures(self, images: list[Any]) -> list[Float32Array]:
        named = [(image, f"X[{i}]") for i, image in enumerate(images)]
        return each(
            self.n_jobs, focus_measure, named, self.method, int(self.radius), float(self.smoothing)
        )


class EdgeReblurEstimator(ImageTransformer):
    """Estimate σ at edges by blurring them again, and carry it to all pixels.

    An edge weakens the less under a further blur the more blurred it is already: the ratio of its
    gradients before and after gives its σ in pixels [1]_. Here the gradients are taken at four
    scales, each edge is weighed by how well its σ can be known from its contrast over what is
    noise, and confidence-weighted guided filters, from windows as large as the image down to
    `radius`, carry σ to where there is no edge, stopping at the photograph's own edges.

    Parameters
    ----------
    sigma0 : float, default=1.0
        Unit of the scales in pixels, from 0.1 to 1000: gradients are compared between 0.5, 1, 2 and
        4 of it. Larger ones suffer less from noise, smaller ones tell slight blurs and close edges
        apart.
    threshold : float, default=5.0
        Least gradient of an edge, ≥ 0, in standard deviations of the gradient in the calmest
        tenth of the photograph.
    radius : int, default=16
        Radius of the smallest windows of the guided filters in pixels, ≥ 1.
    eps : float, default=1e-3
        Their regularisation in squared intensity (of a range of 1), > 0: edges of a contrast well
        below ``sqrt(eps)`` do not show in the map.
    max_sigma : float, default=8.0
        Largest σ in pixels, > 0; what is more blurred gets this one.
    n_jobs : int or None, default=None
        Images worked on at once, see :class:`joblib.Parallel`.

    Attributes
    ----------
    units_ : str
        ``"pixels"``.

    See Also
    --------
    FocusMeasure : faster, and not in pixels.

    Notes
    -----
    σ is that of the photograph's edges, which the camera's optics and sampling blur even in focus,
    and a shadow's edge or a round surface at any focus. Edges must be steps: two that are closer
    than about twice σ disturb each other, as in fine texture. Where an image has no edge at all
    the map is even, at the geometric middle of the range, which means nothing. On a single
    straight step, noise-free, σ from 0.5 to 8 is found to 5 % and a perfect step as 0 to 0.35,
    depending on its direction.

    Linear in the number of pixels: about 1 s of one core per megapixel, and 80 to 130 bytes of
    memory per pixel beside the image.

    References
    ----------
    .. [1] S. Zhuo and T. Sim, "Defocus map estimation from a single image", Pattern
       Recognition 44(9), 2011. (Their map is made dense by matting, ours as said above.)

    Examples
    --------
    >>> import numpy as np
    >>> from skdefocus.classical import EdgeReblurEstimator
    >>> from skdefocus.synthesis import blur
    >>> step = np.repeat([[0.2, 0.8]], 32, axis=1).repeat(64, axis=0)
    >>> maps = EdgeReblurEstimator().fit_transform([step, blur(step, 2)])
    >>> [round(float(np.median(m)), 1) for m in maps]
    [0.1, 2.0]
    """

    units_ = "pixels"

    def __init__(
        self,
        sigma0: float = 1.0,
        *,
        threshold: float = 5.0,
        radius: int = 16,
        eps: float = 1e-3,
        max_sigma: float = 8.0,
        n_jobs: int | None = None,
    ) -> None:
        self.sigma0 = sigma0
        self.threshold = threshold
        self.radius = radius
        self.eps = eps
        self.max_sigma = max_sigma
        self.n_jobs = n_jobs

    def _check_params(self) -> None:
        check_real(self.sigma0, "sigma0", MIN_SIGMA0, MAX_SIGMA)
        check_real(self.threshold, "threshold", 0, 1e6)
        check_int(self.radius, "radius", 1)
        check_real(self.eps, "eps", 0, above=True)
        check_real(self.max_sigma, "max_sigma", 0, MAX_SIGMA, above=True)

    def transform(self, X: Any) -> Any:
        """Map each image.

        Parameters
        ----------
        X : ndarray of shape (n, H, W) or (n, H, W, C), or list of images of different sizes
            Grey, RGB or RGBA (alpha is ignored); bool, uint8, uint16 (scaled by their range) or
            float in [0, 1].

        Returns
        -------
        list of ndarray of shape (H, W), float32
            σ in pixels, from 0 to `max_sigma`; one array of shape (n, H, W) if `X` is an array.

        Raises
        ------
        TypeError, ValueError
            If `X` is no batch of images or a parameter is wrong; the message names it.
        """
        self._check_params()
        images, stacked = check_images(X)
        named = [(image, f"X[{i}]") for i, image in enumerate(images)]
        maps = each(
            self.n_jobs, edge_reblur, named, float(self.sigma0), float(self.threshold),
            int(self.radius), float(self.eps), float(self.max_sigma), threads_each(self.n_jobs),
        )  # fmt: skip
        return restack(maps, stacked)


def focus_measure(
    named: tuple[Any, str], method: str, radius: int, smoothing: float
) -> Float32Array:
    """Uncalibrated map of one image, which comes with its name."""
    grey = to_gray(check_image(*named))
    if smoothing:
        grey = ndimage.gaussian_filter(grey, smoothing, mode="reflect")
    return -np.log(OPERATORS[method](grey, radius) + np.float32(FLOOR))


def edge_reblur(named: tuple[Any, str], *settings: Any) -> Float32Array:
    """σ map of one image, which comes with its name."""
    return reblur_map(check_image(*named), *settings)
