"""Scores: σ maps against the truth, focus masks, fused photographs, and ready scorers.

Lists of maps are scored per image first and then averaged over images, so that a large
photograph counts no more than a small one. σ is in pixels throughout.
"""

from skdefocus.metrics._fusion import psnr, q_cb, q_g, q_mi, q_y, ssim
from skdefocus.metrics._sigma_maps import (
    focus_auc_scorer,
    linear_fit_mae,
    neg_sigma_mae,
    neg_sigma_rmse,
    sigma_mae,
    sigma_rmse,
    spearman,
)
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
    "focus_auc_scorer",
    "linear_fit_mae",
    "neg_sigma_mae",
    "neg_sigma_rmse",
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
