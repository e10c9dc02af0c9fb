"""Scores of σ maps, focus masks and fused photographs, and scorers for searches.

Lists of maps are scored image by image, and the scores averaged, so that a large photograph counts
no more than a small one. σ is always in pixels.
"""

import warnings
from typing import Any

from skdefocus.metrics._fusion import (
    contrast_preservation,
    gradient_preservation,
    source_mutual_information,
    source_ssim,
)
from skdefocus.metrics._fusion import q_cb as q_cb
from skdefocus.metrics._fusion import q_g as q_g
from skdefocus.metrics._fusion import q_mi as q_mi
from skdefocus.metrics._fusion import q_y as q_y
from skdefocus.metrics._reference import psnr, ssim
from skdefocus.metrics._scorers import SigmaScoreMixin as SigmaScoreMixin
from skdefocus.metrics._scorers import get_scorer, get_scorer_names
from skdefocus.metrics._sigma_maps import image_weights as image_weights
from skdefocus.metrics._sigma_maps import linear_fit_mae, sigma_mae, sigma_rmse, spearman
from skdefocus.metrics._single_map import best_f as best_f
from skdefocus.metrics._single_map import (
    blur_score,
    expected_calibration_error,
    focus_auc,
    max_f_measure,
    risk_coverage_curve,
)
from skdefocus.metrics._single_map import error_against_kept_share as error_against_kept_share

__all__ = [
    "blur_score",
    "contrast_preservation",
    "expected_calibration_error",
    "focus_auc",
    "get_scorer",
    "get_scorer_names",
    "gradient_preservation",
    "linear_fit_mae",
    "max_f_measure",
    "psnr",
    "risk_coverage_curve",
    "sigma_mae",
    "sigma_rmse",
    "source_mutual_information",
    "source_ssim",
    "spearman",
    "ssim",
]


def __getattr__(name: str) -> Any:
    """Return scorers as attributes; warn about the one that has a new name."""
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
