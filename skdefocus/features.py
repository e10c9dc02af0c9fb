"""One row of numbers per photograph: how strong its blur is, where, and how certain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from skdefocus._estimators import JOBS, ImageTransformer, Settings, map_samples, real
from skdefocus._images import check_images, check_photograph, check_sigma_map
from skdefocus._typing import AnyArray, Float64Array, FloatArray
from skdefocus._validation import check_real, check_sequence
from skdefocus.metrics import blur_score
from skdefocus.pipeline import MAP, WeightedGuidedRefiner, check_mapper, map_of, mapper_of

__all__ = ["DefocusFeatures"]


#: Confidence from which a cell counts as sure.
SURE = 0.5
#: Statistics of the confidence, for estimators that have one.
CONFIDENCE = ("confidence_mean", "confidence_median", "share_sure")
#: Statistics of the map after its mean, spread and quantiles.
STATISTICS = (
    "share_in_focus",
    "blur_score",
    "sigma_center",
    "sigma_border",
    "tilt_rows",
    "tilt_columns",
    "gradient_mean",
    "focus_row",
    "focus_column",
)


def _quantiles(value: Any, name: str) -> tuple[float, ...]:
    """Check for a sequence of numbers from 0 to 1."""
    values = enumerate(check_sequence(value, name))
    return tuple(check_real(q, f"{name}[{i}]", 0, 1) for i, q in values)


def _mapper(value: Any, name: str) -> Any:
    """Check for an estimator that makes maps, "passthrough" or None."""
    if isinstance(value, str) and value != "passthrough":
        raise ValueError(f"{name} must be a transformer, 'passthrough' or None, got {value!r}")
    if not isinstance(value, str):
        check_mapper(value)
    return value


@dataclass(frozen=True)
class RowSettings(Settings):
    """Checked parameters of a row."""

    in_focus: Annotated[float, real(0)]
    quantiles: Annotated[tuple[float, ...], _quantiles]


@dataclass(frozen=True)
class FeatureSettings(RowSettings):
    """Checked parameters of :class:`DefocusFeatures`."""

    estimator: Annotated[Any, _mapper]
    n_jobs: Annotated[int | None, JOBS]


class DefocusFeatures(ImageTransformer, tabular=True):
    """Describe the defocus of each photograph by one row of numbers.

    Photographs of any size become rows of the same length, for any estimator of scikit-learn: to
    sort photographs, to find those out of focus, or to join the rows with other features in a
    :class:`~sklearn.pipeline.FeatureUnion`.

    Parameters
    ----------
    estimator : transformer, "passthrough" or None, default=None
        Makes σ maps from photographs; None is :func:`make_defocus_pipeline`. ``"passthrough"``
        takes σ maps in place of photographs. It is not fitted here, and what it has learned is
        lost when this object is cloned, for example by a cross-validation. Wrap a fitted one in
        :class:`sklearn.frozen.FrozenEstimator` (scikit-learn 1.6 or newer).
    in_focus : float, default=1.0
        σ in pixels, ≥ 0, up to which a pixel counts as in focus.
    quantiles : sequence of float, default=(0.05, 0.25, 0.5, 0.75, 0.95)
        Quantiles of σ to list, each from 0 to 1.
    n_jobs : int or None, default=None
        Number of photographs that are worked on at once, see :class:`joblib.Parallel`.

    See Also
    --------
    skdefocus.metrics.blur_score : A single number from 0 to 1 for each map.

    Notes
    -----
    The columns, σ in pixels:

    - ``sigma_mean``, ``sigma_std`` and ``sigma_q05`` … for every quantile;
    - ``share_in_focus``: share of the pixels with σ ≤ `in_focus`, from 0 to 1;
    - ``blur_score``: from 0 to 1, see :func:`skdefocus.metrics.blur_score`;
    - ``sigma_center``, ``sigma_border``: means over the middle of half the height and width, and
      over the rest;
    - ``tilt_rows``, ``tilt_columns``: growth of σ from the first row (column) to the last, of the
      plane that fits best;
    - ``gradient_mean``: mean length of σ's gradient, pixels per pixel;
    - ``focus_row``, ``focus_column``: center of what is sharpest, from 0 to 1; every pixel counts
      by 1 / (σ² + ¼)², the inverse fourth power of its total blur, so that this works for any
      size of blur;
    - ``confidence_mean``, ``confidence_median``, ``share_sure`` (confidence ≥ 0.5): over the cells
      of :class:`LevelGrid`; only if `estimator` is None or a pipeline that ends with
      :class:`WeightedGuidedRefiner`.

    σ may have any size, and is in pixels of each photograph: bring photographs to one size first
    to compare them as pictures and not as pixels.

    Cost: that of the maps; one photograph and its map per job are in memory at a time.

    Examples
    --------
    >>> from sklearn.datasets import load_sample_image
    >>> from skdefocus.features import DefocusFeatures
    >>> flower = load_sample_image("flower.jpg")[::2, ::2]
    >>> features = DefocusFeatures(quantiles=(0.5,))
    >>> features.fit_transform([flower]).shape
    (1, 15)
    >>> features.get_feature_names_out()[:4]
    array(['sigma_mean', 'sigma_std', 'sigma_q50', 'share_in_focus'], dtype=object)
    """

    _table = FeatureSettings

    def __init__(
        self,
        estimator: Any = None,
        *,
        in_focus: float = 1.0,
        quantiles: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95),
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.in_focus = in_focus
        self.quantiles = quantiles
        self.n_jobs = n_jobs

    def _has_confidence(self) -> bool:
        if self.estimator is None:
            return True
        return isinstance(self.estimator, Pipeline) and isinstance(
            self.estimator[-1], WeightedGuidedRefiner
        )

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Name the columns.

        Parameters
        ----------
        input_features : ignored
            Present for scikit-learn.

        Returns
        -------
        ndarray of str, object
        """
        quantiles = (f"sigma_q{100 * q:02.4g}" for q in self.quantiles)
        names = ["sigma_mean", "sigma_std", *quantiles, *STATISTICS]
        if self._has_confidence():
            names += CONFIDENCE
        return np.array(names, dtype=object)

    def transform(self, X: Any) -> Float64Array:
        """Map the photographs and describe the maps.

        Parameters
        ----------
        X : ndarray of shape (n, H, W) or (n, H, W, C), or list of images of different sizes
            Gray, RGB or RGBA (alpha is ignored); bool, uint8, uint16 or float in [0, 1]. With
            ``estimator="passthrough"`` maps (H, W) of finite σ ≥ 0.

        Returns
        -------
        ndarray of shape (n, n_features), float64
            See :meth:`get_feature_names_out`; a data frame after ``set_output``.

        Raises
        ------
        TypeError, ValueError
            If `X` is not a batch of images (or of maps) or a parameter is wrong; the message names
            it.
        """
        self._check_params()
        samples, _ = check_images(X)
        settings = RowSettings.of(self)
        if self.estimator == "passthrough":
            maps = [check_sigma_map(x, f"X[{i}]") for i, x in enumerate(samples)]
            return np.array(map_samples(self.n_jobs, describe_map, maps, settings))
        images = [check_photograph(x, f"X[{i}]") for i, x in enumerate(samples)]
        mapper = mapper_of(self.estimator, self.n_jobs)
        describe = describe_with_confidence if self._has_confidence() else describe_photograph
        return np.array(map_samples(self.n_jobs, describe, images, mapper, settings))


def describe_photograph(image: AnyArray, mapper: Any, settings: RowSettings) -> list[float]:
    """Map a checked photograph and return its row, without the statistics of the confidence."""
    sigma = check_sigma_map(map_of(image, mapper), MAP, image.shape[:2])
    return describe_map(sigma, settings)


def describe_with_confidence(image: AnyArray, pipeline: Any, settings: RowSettings) -> list[float]:
    """Map a checked photograph by a pipeline that ends with a refiner and return its row."""
    grids = pipeline[:-1].transform([image])
    row = describe_map(pipeline[-1].transform(grids)[0], settings)
    confidence = grids[0].confidence
    sure = confidence.mean(), np.median(confidence), (confidence >= SURE).mean()
    return [*row, *map(float, sure)]


def describe_map(sigma: FloatArray, settings: RowSettings) -> list[float]:
    """Return a map's row, without the statistics of the confidence."""
    s = np.asarray(sigma, np.float64)
    values = (
        s.mean(),
        s.std(),
        *np.quantile(s, settings.quantiles),
        (s <= settings.in_focus).mean(),
        blur_score(s),
        *_center_and_border(s),
        _slope(s.mean(axis=1)),
        _slope(s.mean(axis=0)),
        _mean_gradient(s),
        *_sharpest_point(s),
    )
    return [float(value) for value in values]


def _center_and_border(s: Float64Array) -> tuple[float, float]:
    """Return the means over the middle of half the height and width, and over the rest."""
    height, width = s.shape
    middle = np.zeros(s.shape, bool)
    middle[height // 4 : height - height // 4, width // 4 : width - width // 4] = True
    center = s[middle].mean()
    return center, center if middle.all() else s[~middle].mean()


def _sharpest_point(s: Float64Array) -> tuple[float, float]:
    """Return the row and the column, from 0 to 1, of the center of what is sharpest."""
    weight = (s**2 + 0.25) ** -2
    weight /= weight.sum()
    sides = weight.sum(axis=1), weight.sum(axis=0)
    row, column = (float(w @ np.linspace(0, 1, len(w))) if len(w) > 1 else 0.5 for w in sides)
    return row, column


def _slope(values: Float64Array) -> float:
    """Return the rise from first to last of the line that fits best; 0 for a single value."""
    x = np.linspace(-0.5, 0.5, len(values)) if len(values) > 1 else np.zeros(1)
    spread = float(x @ x)
    return float(x @ values) / spread if spread else 0.0


def _mean_gradient(s: Float64Array) -> float:
    """Return the mean length of the gradient; it is 0 along an axis of one pixel."""
    parts = [np.gradient(s, axis=axis) for axis in (0, 1) if s.shape[axis] > 1]
    squared = sum(p**2 for p in parts) if parts else np.zeros_like(s)
    return float(np.sqrt(squared).mean())
