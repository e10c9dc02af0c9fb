"""Scorers for searches and cross-validation: larger is better, named as scikit-learn's are.

A metric takes true and estimated maps. Its scorer takes an estimator, images and the truth, and has
the metric's name, with ``neg_`` in front where a small value is a good one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skdefocus._validation import check_choice, check_sequence
from skdefocus.metrics._sigma_maps import (
    Maps,
    image_weights,
    linear_fit_mae,
    sigma_mae,
    sigma_rmse,
    spearman,
)
from skdefocus.metrics._single_map import named_focus_auc


def _mean_focus_auc(true: Maps, pred: Maps, *, sample_weight: ArrayLike | None = None) -> float:
    """Mean over images of :func:`skdefocus.metrics.focus_auc`; `true` are masks."""
    if len(check_sequence(true, "y")) == 0 or len(pred) != len(true):
        raise ValueError(f"y must hold one mask per image, {len(pred)}, got {len(true)}")
    pairs = enumerate(zip(true, pred, strict=True))
    values = [named_focus_auc(m, s, (f"y[{i}]", f"map {i}")) for i, (m, s) in pairs]
    return float(np.average(np.array(values), weights=image_weights(sample_weight, len(true))))


#: Metric and sign by the scorer's name.
SCORERS: dict[str, tuple[Callable[..., float], int]] = {
    "focus_auc": (_mean_focus_auc, 1),
    "neg_linear_fit_mae": (linear_fit_mae, -1),
    "neg_sigma_mae": (sigma_mae, -1),
    "neg_sigma_rmse": (sigma_rmse, -1),
    "spearman": (spearman, 1),
}


@dataclass(frozen=True, repr=False)
class MapScorer:
    """Scorer of what an estimator makes of images; see :func:`get_scorer`."""

    name: str

    def __call__(
        self, estimator: Any, X: Any, y: Any, *, sample_weight: ArrayLike | None = None
    ) -> float:
        """Score the maps that `estimator` makes of `X` against `y`."""
        metric, sign = SCORERS[self.name]
        return sign * metric(y, _maps_of(estimator, X), sample_weight=sample_weight)

    def __repr__(self) -> str:
        return f"get_scorer({self.name!r})"


def _maps_of(estimator: Any, X: Any) -> Any:
    """Maps by ``transform``, or by ``predict`` of an estimator that has no ``transform``."""
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

        - ``"neg_sigma_mae"``, ``"neg_sigma_rmse"``, ``"neg_linear_fit_mae"``: minus
          :func:`sigma_mae`, :func:`sigma_rmse`, :func:`linear_fit_mae`, pixels, at most 0;
        - ``"spearman"``: :func:`spearman`, from -1 to 1;
        - ``"focus_auc"``: mean over images of :func:`focus_auc`, from 0 to 1.

    Returns
    -------
    callable
        ``scorer(estimator, X, y, *, sample_weight=None)`` gives a float, larger for better maps.
        `estimator` makes one map per image by ``transform``, or by ``predict`` where it has no
        ``transform``. `y` holds the true σ maps, for ``"focus_auc"`` the masks of what is in
        focus. `sample_weight` holds a weight per image. Scorers can be pickled.

    Raises
    ------
    ValueError
        If there is no scorer of that name.

    See Also
    --------
    get_scorer_names : all names.

    Notes
    -----
    A pipeline that ends in σ maps needs no scorer for ``"neg_sigma_mae"``: it is what its
    ``score`` gives, and so what searches and :func:`sklearn.model_selection.cross_val_score` use
    by default. scikit-learn takes the names of its own scorers only as strings, so hand it the
    scorer: ``scoring=get_scorer("spearman")``.

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
    """List the names that :func:`get_scorer` takes.

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
    """Mixin of transformers whose maps are σ in pixels: the error of the maps as their score."""

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Score the maps of `X` against true ones; larger is better.

        Parameters
        ----------
        X : as for :meth:`transform`
        y : list of n array_like of shape (H_i, W_i), or array of shape (n, H, W)
            True σ of each image in pixels, finite and at least 0.
        sample_weight : array_like of shape (n,), optional
            Weight of each image, at least 0. Ask for it by ``set_score_request`` where metadata
            routing is enabled.

        Returns
        -------
        float
            Minus :func:`skdefocus.metrics.sigma_mae`: at most 0, pixels.

        Raises
        ------
        TypeError, ValueError
            See :meth:`transform` and :func:`skdefocus.metrics.sigma_mae`.
        """
        return get_scorer("neg_sigma_mae")(self, X, y, sample_weight=sample_weight)
