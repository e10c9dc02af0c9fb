"""Point spread functions with a known second moment."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import get_args

import numpy as np
from numpy.typing import DTypeLike
from scipy import fft, optimize

from skdefocus._typing import AnyArray, Float64Array, FloatArray, PSFShape
from skdefocus._validation import check_choice, check_sigma

#: Gaussian kernels end at this many σ.
TRUNCATE = 4.0


def psf(sigma: float, shape: PSFShape = "gaussian") -> Float64Array:
    """Compute the point spread function of a lens that is out of focus, sampled on pixels.

    The kernel's *discrete* second moment equals σ², so that σ has the same meaning for all shapes.
    This holds below one pixel as well, where plain sampling of a Gaussian loses variance.

    Parameters
    ----------
    sigma : float
        Standard deviation along each axis, in pixels, from 0 to 1000. A disc of radius R has
        σ = R / 2.
    shape : {"gaussian", "disc"}
        Shape of the aperture. The edge of the disc is anti-aliased over one pixel.

    Returns
    -------
    ndarray of shape (k, k), float64
        Not negative, symmetric, with a sum of 1 and an odd k. σ = 0 gives ``[[1.]]``.

    Raises
    ------
    TypeError
        If `sigma` is not a number.
    ValueError
        If `sigma` is out of range or `shape` is unknown.

    Notes
    -----
    The Gaussian ends at 4 σ. Below 1e-4 px the kernel is ``[[1.]]``.

    Examples
    --------
    >>> kernel = psf(1.5, "disc")
    >>> n = np.arange(len(kernel)) - len(kernel) // 2
    >>> round(float((kernel.sum(axis=0) * n**2).sum()), 6)  # the variance, 1.5 ** 2
    2.25
    """
    sigma = check_sigma(sigma)
    check_choice(shape, "shape", get_args(PSFShape))
    if shape == "gaussian":
        k = gaussian_kernel(sigma)
        return np.outer(k, k)
    return _disc_kernel(sigma)


def _match_variance(
    profile: Callable[[float, FloatArray], Float64Array],
    distance: FloatArray,
    sigma: float,
    low: float,
    high: float,
) -> float:
    """Find the parameter with which ``profile(parameter, distance)`` has the variance σ²."""

    def excess(parameter: float, distance: FloatArray) -> float:
        k = profile(parameter, distance)
        k = k if k.ndim == 1 else k.sum(axis=0)
        n = np.arange(len(k)) - len(k) // 2
        return float((k * n**2).sum()) - sigma**2

    # Passed as an argument: a variable captured by the function would stay in memory until the
    # next garbage collection.
    return float(optimize.brentq(excess, low, high, args=(distance,), xtol=1e-12))


@lru_cache(maxsize=512)
def gaussian_kernel(sigma: float) -> Float64Array:
    """Sample a Gaussian in one dimension, with the discrete variance σ²."""
    if sigma < 1e-4:  # float64 cannot tell its variance from 0
        return np.ones(1)
    r = max(1, int(np.ceil(TRUNCATE * sigma)))
    n = np.arange(-r, r + 1.0)
    return _gaussian(_match_variance(_gaussian, n, sigma, 0.05, 2 * sigma + 1), n)


def _gaussian(s: float, n: FloatArray) -> Float64Array:
    k = np.exp(-0.5 * (n / s) ** 2)
    return np.asarray(k / k.sum())


def _disc_kernel(sigma: float) -> Float64Array:
    if sigma < 1e-4:
        return np.ones((1, 1))
    return _disc(_disc_radius(sigma), _disc_distance(sigma))


# The kernels themselves are not cached: they have 16 σ² values.
@lru_cache(maxsize=512)
def _disc_radius(sigma: float) -> float:
    return _match_variance(_disc, _disc_distance(sigma), sigma, 0.5, 2 * sigma + 0.75)


def _disc_distance(sigma: float) -> Float64Array:
    """Distances from the center, as far as a disc of this σ extends."""
    r = int(np.ceil(2 * sigma + 0.5))
    n = np.arange(-r, r + 1)
    return np.asarray(np.hypot(n[:, None], n))


def _disc(radius: float, distance: FloatArray) -> Float64Array:
    k = radius + 0.5 - distance
    np.clip(k, 0, 1, out=k)
    k /= k.sum()
    return np.asarray(k, np.float64)


def transfer_function(
    kernel: AnyArray, shape: tuple[int, ...], dtype: DTypeLike = np.float64
) -> AnyArray:
    """Fourier transform of a small real kernel that is centered on the origin of a periodic plane.

    Parameters
    ----------
    kernel : ndarray of shape (k, l), both odd and at most the plane's size
    shape : (H, W)
        Size of the plane.
    dtype : float32 or float64
        Type of the plane.

    Returns
    -------
    ndarray of shape (H, W // 2 + 1), complex
    """
    plane = np.zeros(shape, dtype)
    plane[: kernel.shape[0], : kernel.shape[1]] = kernel
    return np.asarray(fft.rfft2(np.roll(plane, [-(n // 2) for n in kernel.shape], (0, 1))))
