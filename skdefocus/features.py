"""One row of numbers per photograph: how blurred it is, where, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from skdefocus._estimators import ImageTransformer, each
from skdefocus._images import check_images, check_map, check_photograph, check_sigma_map
from skdefocus._typing import FloatArray
from skdefocus._validation import check_real, check_sequence
from skdefocus.metrics import blur_score
from skdefocus.pipeline import MAP, WeightedGuidedRefiner, check_mapper, map_of, mapper_of

__all__ = ["DefocusFeatures"]


#: Confidence from which a cell counts as sure.
SURE = 0.5
#: Statistics of the confidence, if there is one.
CONFIDENCE = ("confidence_mean", "confidence_median", "share_sure")


class DefocusFeatures(ImageTransformer, tabular=True):
    """Describe the defocus of each photograph by one row of numbers.

    Photographs of any size become rows of one length, for any of scikit-learn's estimators: to
    sort photographs, to find those out of focus, or beside other features in a
    :class:`~sklearn.pipeline.FeatureUnion`.

    Parameters
    ----------
    estimator : transformer, "passthrough" or None, default=None
        From photographs to σ maps; None is :func:`make_defocus_pipeline`. ``"passthrough"`` takes
        σ maps in place of photographs. It must need no fit: it is not fitted here, and what it has
        learned is lost when this is cloned, as by a cross-validation. Wrap a fitted one in
        :class:`sklearn.frozen.FrozenEstimator` (scikit-learn 1.6 or newer).
    in_focus : float, default=1.0
        σ in pixels, ≥ 0, up to which a pixel counts as in focus.
    quantiles : sequence of float, default=(0.05, 0.25, 0.5, 0.75, 0.95)
        Of σ, from 0 to 1.
    n_jobs : int or None, default=None
        Photographs worked on at once, see :class:`joblib.Parallel`.

    See Also
    --------
    skdefocus.metrics.blur_score : a single number from 0 to 1.

    Notes
    -----
    The columns, σ in pixels:

    - ``sigma_mean``, ``sigma_std`` and ``sigma_q05`` … for every quantile;
    - ``share_in_focus``: share of the pixels with σ ≤ `in_focus`;
    - ``blur_score``: see :func:`skdefocus.metrics.blur_score`;
    - ``sigma_center``, ``sigma_border``: means over the middle of half the height and width, and
      over the rest;
    - ``tilt_rows``, ``tilt_columns``: how much σ grows from the first row (column) to the last,
      of the plane that fits best;
    - ``gradient_mean``: mean length of σ's gradient, pixels per pixel;
    - ``focus_row``, ``focus_column``: centre of what is in focus (every pixel counts by
      exp(-σ²/2)), from 0 to 1;
    - ``confidence_mean``, ``confidence_median``, ``share_sure`` (confidence ≥ 0.5): over the cells
      of :class:`LevelGrid`; only if `estimator` is None or a pipeline that ends with
      :class:`WeightedGuidedRefiner`.

    σ is in pixels of each photograph: bring photographs to one size first if they are to be
    compared as pictures and not as pixels.

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

    def _check_params(self) -> None:
        check_real(self.in_focus, "in_focus", 0)
        for i, q in enumerate(check_sequence(self.quantiles, "quantiles")):
            check_real(q, f"quantiles[{i}]", 0, 1)
        if not isinstance(self.estimator, str):
            check_mapper(self.estimator)
        elif self.estimator != "passthrough":
            raise ValueError(
                f"estimator must be a transformer, 'passthrough' or None, got {self.estimator!r}"
            )

    def _tells_confidence(self) -> bool:
        if self.estimator is None:
            return True
        return isinstance(self.estimator, Pipeline) and isinstance(
            self.estimator[-1], WeightedGuidedRefiner
        )

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Names of the columns.

        Parameters
        ----------
        input_features : ignored
            Present for scikit-learn.

        Returns
        -------
        ndarray of str, object
        """
        names = [
            "sigma_mean", "sigma_std", *(f"sigma_q{100 * q:02.4g}" for q in self.quantiles),
            "share_in_focus", "blur_score", "sigma_center", "sigma_border", "tilt_rows",
            "tilt_columns", "gradient_mean", "focus_row", "focus_column",
        ]  # fmt: skip
        if self._tells_confidence():
            names += CONFIDENCE
        return np.array(names, dtype=object)

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Map the photographs and describe the maps.

        Parameters
        ----------
        X : ndarray of shape (n, H, W) or (n, H, W, C), or list of images of different sizes
            Grey, RGB or RGBA (alpha is ignored); bool, uint8, uint16 (scaled by their range) or
            float in [0, 1]. With ``estimator="passthrough"`` maps (H, W) of finite σ ≥ 0.

        Returns
        -------
        ndarray of shape (n, n_features), float64
            See :meth:`get_feature_names_out`; a data frame after ``set_output``.

        Raises
        ------
        TypeError, ValueError
            If `X` is no batch of images (or of maps) or a parameter is wrong; the message names it.
        """
        self._check_params()
        samples, _ = check_images(X)
        if self.estimator == "passthrough":
            named = [(check_sigma_map(x, f"X[{i}]"), None) for i, x in enumerate(samples)]
        else:
            mapper = mapper_of(self.estimator, self.n_jobs)
            named = [(check_photograph(x, f"X[{i}]"), mapper) for i, x in enumerate(samples)]
        rows = each(
            self.n_jobs, describe, named, float(self.in_focus), tuple(map(float, self.quantiles)),
            self._tells_confidence(),
        )  # fmt: skip
        return np.array(rows)


def describe(
    sample: tuple[Any, Any], in_focus: float, quantiles: tuple[float, ...], levels: bool
) -> list[float]:
    """Row of a photograph and what maps it, or of a map and None."""
    image, mapper = sample
    if mapper is None:
        return map_statistics(image, in_focus, quantiles)
    if not levels:
        found = check_map(map_of(image, mapper), MAP, image.shape[:2])
        return map_statistics(found, in_focus, quantiles)
    grids = mapper[:-1].transform([image])
    confidence = grids[0].confidence
    sure = [confidence.mean(), np.median(confidence), (confidence >= SURE).mean()]
    row = map_statistics(mapper[-1].transform(grids)[0], in_focus, quantiles)
    return [*row, *map(float, sure)]


def map_statistics(sigma: FloatArray, in_focus: float, quantiles: tuple[float, ...]) -> list[float]:
    """Columns of a map, without those of the confidence; see :class:`DefocusFeatures`."""
    s = np.asarray(sigma, np.float64)
    height, width = s.shape
    rows, columns = np.linspace(0, 1, height), np.linspace(0, 1, width)
    middle = np.zeros(s.shape, bool)
    middle[height // 4 : height - height // 4, width // 4 : width - width // 4] = True
    rest = s[~middle]
    center = s[middle].mean()
    sharp = np.exp(-0.5 * (s - s.min()) ** 2)  # the factor common to all pixels does not matter
    sharp /= sharp.sum()
    return [
        float(value)
        for value in (
            s.mean(),
            s.std(),
            *np.quantile(s, quantiles),
            (s <= in_focus).mean(),
            blur_score(s),
            center,
            rest.mean() if rest.size else center,
            _slope(rows, s.mean(axis=1)),
            _slope(columns, s.mean(axis=0)),
            _mean_gradient(s),
            sharp.sum(axis=1) @ rows if height > 1 else 0.5,
            sharp.sum(axis=0) @ columns if width > 1 else 0.5,
        )
    ]


def _slope(x: FloatArray, y: FloatArray) -> float:
    """Rise of the straight line that fits best from x = 0 to 1; 0 for a single value."""
    x = x - x.mean()
    spread = float(x @ x)
    return float(x @ y) / spread if spread else 0.0


def _mean_gradient(s: FloatArray) -> float:
    """Mean length of the gradient by central differences; an axis of one pixel has none."""
    parts = [np.gradient(s, axis=axis) for axis in (0, 1) if s.shape[axis] > 1]
    squared = sum(p**2 for p in parts) if parts else np.zeros_like(s)
    return float(np.sqrt(squared).mean())
