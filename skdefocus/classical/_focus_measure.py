"""Focus measures as an estimator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Self

import numpy as np
from scipy import ndimage
from sklearn.isotonic import IsotonicRegression
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skdefocus._estimators import (
    JOBS,
    ImageTransformer,
    Settings,
    choice,
    each,
    flag,
    integer,
    real,
    restack,
)
from skdefocus._images import check_image, check_images, check_sigma_map, to_gray
from skdefocus._typing import Float32Array
from skdefocus._validation import MAX_SIGMA, check_sequence
from skdefocus.classical._operators import OPERATORS
from skdefocus.metrics import SigmaScoreMixin

#: Added to an operator's value before its logarithm: what shows nothing becomes 13.8.
FLOOR = 1e-6
#: Pixels of each image that a calibration looks at.
SAMPLE = 20_000


@dataclass(frozen=True)
class FocusMeasureSettings(Settings):
    """Checked parameters of :class:`FocusMeasure`."""

    method: Annotated[str, choice(*OPERATORS)]
    radius: Annotated[int, integer(0)]
    smoothing: Annotated[float, real(0, MAX_SIGMA)]
    calibrate: Annotated[bool, flag]
    n_jobs: Annotated[int | None, JOBS]


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

    _table = FocusMeasureSettings

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

    #: Only pixels can be compared with true σ.
    score = available_if(lambda self: self.calibrate)(SigmaScoreMixin.score)

    @property
    def units_(self) -> str:
        return "pixels" if self.calibrate else "none (monotone in blur, not in pixels)"

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
        settings = FocusMeasureSettings.of(self)
        if not settings.calibrate:
            return self
        if y is None:
            raise ValueError("y must hold the true σ maps if calibrate=True, got None")
        images, _ = check_images(X)
        if len(check_sequence(y, "y")) != len(images):
            raise ValueError(f"y must hold one map per image, {len(images)}, got {len(y)}")
        truth = [check_sigma_map(t, f"y[{i}]", dtype=np.float64) for i, t in enumerate(y)]
        rng = np.random.default_rng(0)
        values, sigmas = [], []
        for i, (found, true) in enumerate(zip(measures(images, settings), truth, strict=True)):
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
        settings = FocusMeasureSettings.of(self)
        check_is_fitted(self)
        images, stacked = check_images(X)
        maps = measures(images, settings)
        if settings.calibrate:
            maps = [np.interp(m, *self.calibration_).astype(np.float32) for m in maps]
        return restack(maps, stacked)


def measures(images: list[Any], settings: FocusMeasureSettings) -> list[Float32Array]:
    """Uncalibrated maps of a batch."""
    named = [(image, f"X[{i}]") for i, image in enumerate(images)]
    return each(settings.n_jobs, focus_measure, named, settings)


def focus_measure(named: tuple[Any, str], settings: FocusMeasureSettings) -> Float32Array:
    """Uncalibrated map of one image, which comes with its name."""
    grey = to_gray(check_image(*named))
    if settings.smoothing:
        grey = ndimage.gaussian_filter(grey, settings.smoothing, mode="reflect")
    return -np.log(OPERATORS[settings.method](grey, settings.radius) + np.float32(FLOOR))
