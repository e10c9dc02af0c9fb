"""From a coarse grid of levels to a map whose edges are the photograph's edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from skdefocus._base import ImageTransformer, each, restack
from skdefocus._validation import check_int, check_real, to_grey
from skdefocus.filters import weighted_guided_filter
from skdefocus.records import LevelGrid

__all__ = ["WeightedGuidedRefiner"]


class WeightedGuidedRefiner(ImageTransformer):
    def __init__(
        self,
        radius: int = 16,
        eps: float = 1e-3,
        *,
        alpha: float = 4.0,
        n_iter: int = 2,
        n_jobs: int | None = None,
    ) -> None:
        self.radius = radius
        self.eps = eps
        self.alpha = alpha
        self.n_iter = n_iter
        self.n_jobs = n_jobs

    def _check_params(self) -> None:
        check_int(self.radius, "radius", 1)
        check_real(self.eps, "eps", 0, above=True)
        check_real(self.alpha, "alpha", 0)
        check_int(self.n_iter, "n_iter", 0)

    def transform(self, X: Sequence[LevelGrid]) -> Any:
        raise AssertionError
