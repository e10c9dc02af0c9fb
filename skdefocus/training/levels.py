"""The blur levels that a network is trained for."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skdefocus._typing import Float64Array, IndexArray

N_LEVELS = 20
MAX_SIGMA = 8.0
#: Blur of a photograph in focus (optics, pixel, demosaicing), σ in pixels.
CAMERA_SIGMA = 0.5


def level_sigmas(n_levels: int = N_LEVELS, max_sigma: float = MAX_SIGMA) -> Float64Array:
    """Compute σ of the levels: 0 first, then equal *ratios* of the total blur √(σ² + camera²).

    The visible difference is the ratio of two total blurs: the camera's own blur hides a small step
    close to 0, and a step of half a pixel cannot be seen at σ = 8.
    """
    return sigma_of_level(np.arange(n_levels), n_levels, max_sigma)


def sigma_of_level(
    level: ArrayLike, n_levels: int = N_LEVELS, max_sigma: float = MAX_SIGMA
) -> Float64Array:
    """Compute σ in pixels of a fractional level in [0, n_levels - 1]."""
    ratio = np.hypot(1.0, max_sigma / CAMERA_SIGMA) ** (1.0 / (n_levels - 1))
    total = CAMERA_SIGMA * ratio ** np.asarray(level, np.float64)
    return np.asarray(np.sqrt(np.maximum(total**2 - CAMERA_SIGMA**2, 0.0)))


def level_of_sigma(
    sigma: ArrayLike, n_levels: int = N_LEVELS, max_sigma: float = MAX_SIGMA
) -> Float64Array:
    """Compute the fractional level of a blur, even beyond the last; inverts `sigma_of_level`."""
    total = np.hypot(np.asarray(sigma, np.float64) / CAMERA_SIGMA, 1.0)
    ratio = np.hypot(1.0, max_sigma / CAMERA_SIGMA) ** (1.0 / (n_levels - 1))
    return np.asarray(np.log(total) / np.log(ratio))


def drawn_levels(level: ArrayLike, rng: np.random.Generator) -> IndexArray:
    """Draw, for each fractional level, one of the two around it by their shares.

    A network is trained to give both levels their shares, so that its probabilities are to be
    checked against such draws. Rounding instead would always take the nearer one, and a calibrated
    network would look too unsure.
    """
    exact = np.asarray(level, np.float64)
    return np.floor(exact + rng.random(exact.shape)).astype(np.intp)
