"""Scorers for searches and cross-validation, where larger is better.

A metric takes true and estimated maps; its scorer takes an estimator, images and the truth. Scorers
have the names of their metrics, with ``neg_`` in front where less is better, as in scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.metadata_routing import MetadataRequest

from skdefocus._validation import check_choice, check_sequence, column_values
from skdefocus.metrics._sigma_maps import (
    Maps,
    image_weights,
    linear_fit_mae,
    sigma_mae,
    sigma_rmse,
    spearman,
)
from skdefocus.metrics._single_map import as_map, focus_auc_of


def _mean_focus_auc(true: Maps, pred: Maps, *, sample_weight: ArrayLike | None = None) -> float:
    """Average :func:`skdefocus.metrics.focus_auc` over images; `true` holds masks."""
    if len(check_sequence(true, "y")) == 0 or len(pred) != len(true):
        raise ValueError(f"y must hold one mask per image, {len(pred)}, got {len(true)}")
    names = [(f"y[{i}]", f"map {i}") for i in range(len(true))]
    values = [focus_auc_of(*one) for one in zip(true, pred, names, strict=True)]
    return float(np.average(np.array(values), weights=image_weights(sample_weight, len(true))))


def _where_known(metric: Callable[..., float]) -> Callable[..., float]:
    """Make a metric ignore the pixels whose true value is NaN."""

    def score(true: Maps, pred: Maps, *, sample_weight: ArrayLike | None = None) -> float:
        """Average the metric over images."""
        maps = [as_map(t, f"true[{i}]") for i, t in enumerate(check_sequence(true, "true"))]
        known = [~np.isnan(t) for t in maps]
        for i, pixels in enumerate(known):
            if not pixels.any():
                raise ValueError(f"true[{i}] must hold a known pixel, got NaN everywhere")
        mask = None if all(pixels.all() for pixels in known) else known
        return metric(true, pred, mask=mask, sample_weight=sample_weight)

    return score


#: Metric and sign of each scorer.
SCORERS: dict[str, tuple[Callable[..., float], int]] = {
    "focus_auc": (_mean_focus_auc, 1),
    "neg_linear_fit_mae": (_where_known(linear_fit_mae), -1),
    "neg_sigma_mae": (_where_known(sigma_mae), -1),
    "neg_sigma_rmse": (_where_known(sigma_rmse), -1),
    "spearman": (_where_known(spearman), 1),
}


@dataclass(repr=False)
class MapScorer:
    """Scorer of the maps that an estimator makes of images; see :func:`get_scorer`."""

    name: str
    #: Request for weights of the images, as in scikit-learn: a bool, another name, or None.
    weights_request: bool | str | None = None

    def __call__(
        self, estimator: Any, X: Any, y: Any, *, sample_weight: ArrayLike | None = None
    ) -> float:
        """Score the maps that `estimator` makes of `X` against `y`."""
        metric, sign = SCORERS[self.name]
        maps = _maps_of(estimator, X)
        return sign * metric(column_values(y), maps, sample_weight=sample_weight)

    def set_score_request(self, *, sample_weight: bool | str | None) -> Self:
        """Request weights of the images from searches, or refuse them; return the scorer."""
        self.weights_request = sample_weight
        return self

    def get_metadata_routing(self) -> MetadataRequest:
        """Tell scikit-learn what is requested."""
        request = MetadataRequest(owner=repr(self))
        request.score.add_request(param="sample_weight", alias=self.weights_request)
        return request

    def __repr__(self) -> str:
        return f"get_scorer({self.name!r})"


def _maps_of(estimator: Any, X: Any) -> Any:
    """Return an estimator's maps, by ``transform`` or, if it has none, by ``predict``."""
    for method in ("transform", "predict"):
        if hasattr(estimator, method):
            return getattr(estimator, method)(X)
    raise TypeError(f"estimator must have transform or predict, got {type(estimator).__name__}")


def get_scorer(name: str) -> MapScorer:
    """Get a scorer by its name, for the parameter ``scoring`` of scikit-learn.

    Parameters
    ----------
    name : str
        One of :func:`get_scorer_names`:

        - ``"neg_sigma_mae"``, ``"neg_sigma_rmse"``, ``"neg_linear_fit_mae"``: the negative of
          :func:`sigma_mae`, :func:`sigma_rmse`, :func:`linear_fit_mae`, in pixels, at most 0;
        - ``"spearman"``: :func:`spearman`, from -1 to 1;
        - ``"focus_auc"``: the mean over images of :func:`focus_auc`, from 0 to 1.

    Returns
    -------
    callable
        ``scorer(estimator, X, y, *, sample_weight=None)`` returns a float, larger for better maps.
        `estimator` makes one map per image by ``transform`` or, if it has none, by ``predict``. `y`
        holds the true σ maps, NaN where σ is unknown, or, for ``"focus_auc"``, masks of the parts
        in focus. `sample_weight` holds one weight per image. Scorers can be pickled. With metadata
        routing enabled, ``set_score_request(sample_weight=True)`` makes a search pass the weights.

    Raises
    ------
    ValueError
        If there is no scorer with that name.

    See Also
    --------
    get_scorer_names : all names.

    Notes
    -----
    A pipeline that ends in σ maps needs no scorer for ``"neg_sigma_mae"``: its ``score`` returns
    that, and searches and :func:`sklearn.model_selection.cross_val_score` use it by default.
    scikit-learn accepts only the names of its own scorers as strings. Pass it the scorer itself:
    ``scoring=get_scorer("spearman")``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> from skdefocus.metrics import get_scorer
    >>> double = FunctionTransformer(lambda maps: [2 * m for m in maps])
    >>> get_scorer("neg_sigma_mae")(double, [np.ones((2, 2))], [np.ones((2, 2))])
    -1.0
    """
    return MapScorer(check_choice(name, "name", get_scorer_names()))


def get_scorer_names() -> list[str]:
    """List the names that :func:`get_scorer` accepts.

    Returns
    -------
    list of str
        In alphabetical order.

    Examples
    --------
    >>> from skdefocus.metrics import get_scorer_names
    >>> get_scorer_names()
    ['focus_auc', 'neg_linear_fit_mae', 'neg_sigma_mae', 'neg_sigma_rmse', 'spearman']
    """
    return sorted(SCORERS)


class SigmaScoreMixin:
    """Mixin for transformers to σ in pixels; their score is the negative error of the maps."""

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Score the maps of `X` against the true ones; larger is better.

        Parameters
        ----------
        X : as for :meth:`transform`
        y : list of n array_like of shape (H_i, W_i), or array of shape (n, H, W)
            True σ of each image in pixels, at least 0, or NaN where it is unknown: these pixels do
            not count.
        sample_weight : array_like of shape (n,), optional
            Weight of each image, at least 0. With metadata routing enabled, request it by
            ``set_score_request``.

        Returns
        -------
        float
            The negative of :func:`skdefocus.metrics.sigma_mae`: at most 0, in pixels.

        Raises
        ------
        TypeError, ValueError
            See :meth:`transform` and :func:`skdefocus.metrics.sigma_mae`.
        """
        return get_scorer("neg_sigma_mae")(self, X, y, sample_weight=sample_weight)
