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
    flag,
    integer,
    map_samples,
    real,
    restack,
)
from skdefocus._images import check_image, check_images, check_sigma_map, to_gray
from skdefocus._typing import Float32Array, Float64Array
from skdefocus._validation import (
    MAX_SIGMA,
    check_choice,
    check_sequence,
    column_values,
    warn_renamed,
)
from skdefocus.classical._operators import OPERATORS
from skdefocus.metrics import SigmaScoreMixin

#: Added to an operator's value before the logarithm; flat areas get 13.8.
FLOOR = 1e-6
#: Pixels of each image used in a calibration.
SAMPLE = 20_000


#: Former names of operators.
RENAMED = {"grey_variance": "gray_variance"}


def operator_name(value: Any, name: str) -> str:
    """Check the name of an operator; replace a former one, with a warning."""
    if isinstance(value, str) and value in RENAMED:
        warn_renamed(f"{name}={value!r}", f"{name}={RENAMED[value]!r}")
        value = RENAMED[value]
    return check_choice(value, name, tuple(OPERATORS))


@dataclass(frozen=True)
class FocusMeasureSettings(Settings):
    """Checked parameters of :class:`FocusMeasure`."""

    method: Annotated[str, operator_name]
    radius: Annotated[int, integer(0)]
    smoothing: Annotated[float, real(0, MAX_SIGMA)]
    calibrate: Annotated[bool, flag]
    n_jobs: Annotated[int | None, JOBS]


class FocusMeasure(ImageTransformer):
    """Map blur by one of sixteen classical focus measures.

    The map is ``-log(E + 1e-6)`` of an operator's value E: larger where neighboring pixels vary
    less. It is **not σ**. The subject matters as much as the blur, and a flat wall in focus gets
    the same value as something out of focus. With ``calibrate=True``, ``fit(X, y)`` learns a
    monotone curve from these values to pixels, which is right on average for similar images.

    Parameters
    ----------
    method : str, default="laplacian_energy"
        Operator, with its code in [1]_:

        - second derivatives: ``"laplacian_energy"`` (LAP1), ``"modified_laplacian"`` (LAP2, SML),
          ``"diagonal_laplacian"`` (LAP3), ``"laplacian_variance"`` (LAP4);
        - gradients: ``"tenengrad"`` (GRA6), ``"tenengrad_variance"`` (GRA7),
          ``"squared_gradient"`` (GRA2, both axes), ``"thresholded_gradient"`` (GRA5,
          differences above 0.02);
        - statistics: ``"gray_variance"`` (STA3), ``"normalized_variance"`` (STA5, over the mean);
        - correlation: ``"brenner"`` (MIS2), ``"vollath"`` (MIS6, deviations from the mean);
        - transforms: ``"dct_energy_ratio"`` (DCT1), ``"dct_reduced_ratio"`` (DCT2),
          ``"wavelet_ratio"`` (WAV3, Haar, three scales);
        - ``"local_binary_patterns"``, the fraction of patterns that blur removes [2]_.
    radius : int, default=16
        Radius of the square window in pixels, ≥ 0.
    smoothing : float, default=0.0
        σ in pixels, ≥ 0, of a Gaussian that is applied first. It reduces noise, and with it
        differences between slight blurs.
    calibrate : bool, default=False
        Learn a curve to pixels in ``fit(X, y)``, which ``transform`` then requires.
    n_jobs : int or None, default=None
        Number of images to process in parallel, see :class:`joblib.Parallel`.

    Attributes
    ----------
    units_ : str
        ``"none (monotone in blur, not in pixels)"``, or ``"pixels"`` if calibrated.
    calibration_ : tuple of two ndarray of shape (m,), float64
        Increasing values of the measure and their σ in pixels; linear in between and constant
        beyond. Set by ``fit`` with ``calibrate=True``.

    See Also
    --------
    EdgeReblurEstimator : Estimate σ in pixels without a calibration.

    Notes
    -----
    More contrast lowers the map by a constant: twice the logarithm of the gain for operators that
    are energies or variances, and once the logarithm for absolute values and
    ``normalized_variance``. The three ratios do not depend on contrast, and derivatives do not
    depend on brightness (apart from thresholds and the 1e-6). Flips and transposition of the image
    do the same to the map. Cost: about ten passes over the image, or 0.01 to 0.1 s per megapixel;
    it grows with the logarithm of the radius.

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

    # Only maps in pixels can be compared with true σ.
    score = available_if(lambda self: self.calibrate)(SigmaScoreMixin.score)

    @property
    def units_(self) -> str:
        """Unit of the maps."""
        return "pixels" if self.calibrate else "none (monotone in blur, not in pixels)"

    def __sklearn_is_fitted__(self) -> bool:
        return not self.calibrate or hasattr(self, "calibration_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = bool(self.calibrate)
        tags.target_tags.required = bool(self.calibrate)
        return tags

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters and, with ``calibrate=True``, learn the curve from values to pixels.

        Parameters
        ----------
        X : ndarray of shape (n, H, W) or (n, H, W, C), or list of images of different sizes
            See :meth:`transform`. Ignored without calibration.
        y : list of ndarray of shape (H, W), or ndarray of shape (n, H, W)
            True σ of each image in pixels, finite and ≥ 0. Ignored without calibration.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If `X` or `y` is not a sequence, or an element does not hold real numbers.
        ValueError
            If `y` is None, does not fit `X`, or is negative or not finite; if `X` is not a batch of
            images.

        Notes
        -----
        Isotonic regression (least squares) on up to 20,000 pixels of each image. The choice of
        pixels is always the same.
        """
        settings = FocusMeasureSettings.of(self)
        if not settings.calibrate:
            return self
        if y is None:
            raise ValueError("y must hold the true σ maps if calibrate=True, got None")
        images, _ = check_images(X)
        y = column_values(y)
        if len(check_sequence(y, "y")) != len(images):
            raise ValueError(f"y must hold one map per image, {len(images)}, got {len(y)}")
        truth = [check_sigma_map(t, f"y[{i}]", dtype=np.float64) for i, t in enumerate(y)]
        self.calibration_ = calibrate(measures(images, settings), truth)
        return self

    def transform(self, X: Any) -> Any:
        """Map each image.

        Parameters
        ----------
        X : ndarray of shape (n, H, W) or (n, H, W, C), or list of images of different sizes
            See :meth:`EdgeReblurEstimator.transform`.

        Returns
        -------
        list of ndarray of shape (H, W), float32
            Maps in `units_`, larger where more blurred; one array of shape (n, H, W) if `X` is one.

        Raises
        ------
        TypeError, ValueError
            See :meth:`EdgeReblurEstimator.transform`.
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


def calibrate(
    maps: list[Float32Array], truth: list[Float64Array]
) -> tuple[Float64Array, Float64Array]:
    """Fit a monotone curve from values of maps to true σ; return its points."""
    rng = np.random.default_rng(0)
    values, sigmas = [], []
    for i, (measured, true) in enumerate(zip(maps, truth, strict=True)):
        if measured.shape != true.shape:
            raise ValueError(f"y[{i}] must have shape {measured.shape} as X[{i}], got {true.shape}")
        sample = rng.choice(true.size, min(true.size, SAMPLE), replace=False)
        values.append(measured.ravel()[sample])
        sigmas.append(true.ravel()[sample])
    curve = IsotonicRegression(out_of_bounds="clip")
    curve.fit(np.concatenate(values).astype(np.float64), np.concatenate(sigmas))
    return curve.X_thresholds_, curve.y_thresholds_


def measures(images: list[Any], settings: FocusMeasureSettings) -> list[Float32Array]:
    """Compute the uncalibrated maps of a batch."""
    named = [(image, f"X[{i}]") for i, image in enumerate(images)]
    return map_samples(settings.n_jobs, focus_measure, named, settings)


def focus_measure(named: tuple[Any, str], settings: FocusMeasureSettings) -> Float32Array:
    """Compute the uncalibrated map of one image, given with its name."""
    gray = to_gray(check_image(*named))
    if settings.smoothing:
        gray = ndimage.gaussian_filter(gray, settings.smoothing, mode="reflect")
    return -np.log(OPERATORS[settings.method](gray, settings.radius) + np.float32(FLOOR))
