"""Scores: σ maps against the truth, focus masks, fused photographs, and ready scorers.

Lists of maps are scored per image first and then averaged over images, so that a large
photograph counts no more than a small one. σ is in pixels throughout.
"""

import warnings
from typing import Any

from skdefocus.metrics._fusion import psnr, q_cb, q_g, q_mi, q_y, ssim
from skdefocus.metrics._scorers import SigmaScoreMixin as SigmaScoreMixin
from skdefocus.metrics._scorers import get_scorer, get_scorer_names
from skdefocus.metrics._sigma_maps import linear_fit_mae, sigma_mae, sigma_rmse, spearman
from skdefocus.metrics._single_map import (
    best_f,
    blur_score,
    error_against_kept_share,
    expected_calibration_error,
    focus_auc,
)

__all__ = [
    "best_f",
    "blur_score",
    "error_against_kept_share",
    "expected_calibration_error",
    "focus_auc",
    "get_scorer",
    "get_scorer_names",
    "linear_fit_mae",
    "psnr",
    "q_cb",
    "q_g",
    "q_mi",
    "q_y",
    "sigma_mae",
    "sigma_rmse",
    "spearman",
    "ssim",
]


def __getattr__(name: str) -> Any:
    """Scorers as attributes: two that stay, and a former name."""
    if name in ("neg_sigma_mae", "neg_sigma_rmse"):
        return get_scorer(name)
    if name == "focus_auc_scorer":
        warnings.warn(
            "focus_auc_scorer will be removed in 0.3; use get_scorer('focus_auc')",
            FutureWarning,
            stacklevel=2,
        )
        return get_scorer("focus_auc")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
