"""What all estimators share: samples in, samples out, in order, in parallel."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Self

import numpy as np
from joblib import cpu_count, effective_n_jobs
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.parallel import Parallel, delayed


class ImageTransformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Base of the transformers whose samples are images or records and that learn nothing.

    Subclasses check their parameters in ``_check_params`` and, where an image is work, have an
    ``n_jobs`` parameter and call :func:`each`.
    """

    def _check_params(self) -> None:
        """Raise on a wrong parameter."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters; nothing is learned.

        Parameters
        ----------
        X : sequence of samples
            Not looked at.
        y : ignored
            Present for scikit-learn.

        Returns
        -------
        self
        """
        self._check_params()
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.no_validation = True
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags


def each(
    n_jobs: int | None, function: Callable[..., Any], samples: Iterable[Any], *args: Any
) -> list[Any]:
    """Call ``function(sample, *args)`` for every sample, in order.

    Names no backend, so that ``joblib.parallel_config`` decides where it runs. A single sample
    stays here: workers would be started for nothing.
    """
    samples = list(samples)
    if len(samples) == 1:
        return [function(samples[0], *args)]
    return list(Parallel(n_jobs=n_jobs)(delayed(function)(s, *args) for s in samples))


def threads_each(n_jobs: int | None) -> int:
    """Threads that each of `n_jobs` workers may use without crowding the cores."""
    return max(1, int(cpu_count()) // int(effective_n_jobs(n_jobs)))


def restack(results: list[Any], stacked: bool) -> Any:
    """One array if the samples came as one, a list otherwise."""
    return np.stack(results) if stacked else results
