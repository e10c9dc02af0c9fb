"""Quality of photographs, compared with a reference."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from skimage.metrics import structural_similarity

from skdefocus._images import check_image
from skdefocus._typing import Float64Array


def _check_pair(image: ArrayLike, reference: ArrayLike) -> tuple[Float64Array, Float64Array]:
    """Check two photographs of one shape and return them in [0, 1]."""
    ours, theirs = check_image(image, "image"), check_image(reference, "reference")
    if ours.shape != theirs.shape:
        raise ValueError(
            f"image must have the shape of reference, {theirs.shape}, got {ours.shape}"
        )
    return ours.astype(np.float64), theirs.astype(np.float64)


def psnr(image: ArrayLike, reference: ArrayLike) -> float:
    """Peak signal-to-noise ratio to a reference in dB, for a data range of 1.

    Parameters
    ----------
    image, reference : array_like, shape (H, W) or (H, W, C)
        bool, uint8, uint16 (scaled by their range) or float in [0, 1]; not rounded.

    Returns
    -------
    float
        -10 log₁₀ of the mean squared difference over pixels and channels: at least 0, and infinite
        for equal images. The precision of float32 is about 150 dB.

    Raises
    ------
    TypeError, ValueError
        If an image has the wrong type, shape or range, or the shapes differ.

    Examples
    --------
    >>> round(psnr(np.full((4, 4), 0.5), np.full((4, 4), 0.6)), 4)
    20.0
    """
    ours, theirs = _check_pair(image, reference)
    error = float(np.mean((ours - theirs) ** 2))
    return float("inf") if error == 0 else float(-10 * np.log10(error))


def ssim(image: ArrayLike, reference: ArrayLike) -> float:
    """Mean structural similarity to a reference, for a data range of 1.

    Computed by scikit-image with the Gaussian window (11×11, σ = 1.5) and the constants of Wang et
    al., IEEE TIP 13(4), 2004; in color it is the mean over channels.

    Parameters
    ----------
    image, reference : array_like, shape (H, W) or (H, W, C)
        At least 11×11 pixels: bool, uint8, uint16 (scaled by their range) or float in [0, 1]; not
        rounded.

    Returns
    -------
    float
        From -1 to 1 (equal images).

    Raises
    ------
    TypeError, ValueError
        If an image has the wrong type, shape, size or range, or the shapes differ.

    Examples
    --------
    >>> ssim(np.eye(16), np.eye(16))
    1.0
    """
    ours, theirs = _check_pair(image, reference)
    if min(ours.shape[:2]) < 11:
        raise ValueError(f"image must be at least 11×11 pixels, got {ours.shape}")
    similarity: Any = structural_similarity  # its annotations are incomplete
    axis = -1 if ours.ndim == 3 else None
    wang = {"gaussian_weights": True, "use_sample_covariance": False}
    return float(similarity(theirs, ours, data_range=1.0, channel_axis=axis, **wang))
