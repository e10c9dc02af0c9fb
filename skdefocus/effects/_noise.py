"""The noise of a photograph."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skdefocus._images import check_map, check_sigma_map
from skdefocus._typing import AnyArray
from skdefocus._validation import finite_range

#: Smallest noise that is expected: rounding to 8 bits, and what JPEG leaves.
LEAST_NOISE = 1 / 255
#: σ in pixels from which nothing of a scene shows in the finest detail.
SMOOTH = 1.5


def noise_level(gray: ArrayLike, sigma: ArrayLike | None = None) -> float:
    """Estimate the standard deviation of white noise from the finest diagonal detail.

    Parameters
    ----------
    gray : array_like of shape (H, W), float
        The photograph's gray values.
    sigma : array_like of shape (H, W) or None
        Its blur in pixels. If at least a twentieth of the photograph has σ ≥ 1.5, only that part
        counts: detail that fine is noise there, and elsewhere it may be texture.

    Returns
    -------
    float
        Median absolute value of the diagonal Haar detail over 0.6745 (Donoho and Johnstone 1994),
        at least 1 / 255. Noise that was blurred or compressed away is not found.

    Raises
    ------
    TypeError, ValueError
        If `gray` is not a map of finite numbers, or `sigma` not a map of its size of finite σ ≥ 0.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = 0.5 + np.random.default_rng(0).normal(0, 0.02, (100, 100))
    >>> round(noise_level(noisy), 2)
    0.02
    """
    x = check_map(gray, "gray")
    finite_range(x, "gray")
    return estimated_noise(x, None if sigma is None else check_sigma_map(sigma, size=x.shape))


def estimated_noise(gray: AnyArray, sigma: AnyArray | None) -> float:
    """Estimate the noise of checked gray values with their checked map; see :func:`noise_level`."""
    if min(gray.shape) < 2:
        return LEAST_NOISE
    detail = (gray[1:, 1:] - gray[:-1, 1:] - gray[1:, :-1] + gray[:-1, :-1]) / 2
    if sigma is not None:
        smooth = sigma[1:, 1:] >= SMOOTH
        if smooth.mean() >= 0.05:
            detail = detail[smooth]
    return max(float(np.median(np.abs(detail))) / 0.6745, LEAST_NOISE)
