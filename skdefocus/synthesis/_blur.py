"""Uniform and varying blur with PSFs of known second moment."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, optimize, signal

from skdefocus._images import check_sigma_map
from skdefocus._typing import FloatArray, PSFShape
from skdefocus._validation import (
    MAX_SIGMA,
    as_array,
    check_choice,
    check_int,
    check_sigma,
)

#: Gaussian kernels are cut at this many σ.
TRUNCATE = 4.0
#: How far rounding may lead out of [0, 1] before it is taken for a wrong scale.
SLACK = 1e-4


def to_linear(image: ArrayLike) -> FloatArray:
    """Decode sRGB values to linear light.

    Parameters
    ----------
    image : array_like of float, any shape
        Encoded values in [0, 1]. Outside, the two pieces of the curve go on.

    Returns
    -------
    ndarray, same shape and float type
        Values proportional to light, in [0, 1].

    Raises
    ------
    TypeError
        If `image` holds unsigned integers or no real numbers.

    Notes
    -----
    The standard's rounded constants leave a jump of 3e-8 at the knee: up to that, the two
    functions are monotone and inverses of each other.

    References
    ----------
    .. [1] IEC 61966-2-1:1999, the sRGB transfer function.

    Examples
    --------
    >>> round(float(to_linear(0.5)), 4)
    0.214
    """
    x = as_float(image)
    # The power is taken of values at or above the knee only: a negative base gives NaN.
    with np.errstate(over="ignore"):
        high = ((np.maximum(x, 0.04045) + 0.055) / 1.055) ** 2.4
    return np.where(x <= 0.04045, x / 12.92, high).astype(x.dtype)


def from_linear(image: ArrayLike) -> FloatArray:
    """Encode linear light as sRGB values; the inverse of :func:`to_linear`.

    Parameters
    ----------
    image : array_like of float, any shape
        Linear values in [0, 1]. Outside, the two pieces of the curve go on.

    Returns
    -------
    ndarray, same shape and float type
        Encoded values in [0, 1].

    Raises
    ------
    TypeError
        If `image` holds unsigned integers or no real numbers.

    Examples
    --------
    >>> round(float(from_linear(to_linear(0.5))), 6)
    0.5
    """
    x = as_float(image)
    # Written such that 1 is mapped to exactly 1: 1.055 - 0.055 is less.
    high = 1 + 1.055 * (np.maximum(x, 0.0031308) ** (1 / 2.4) - 1)
    return np.where(x <= 0.0031308, x * 12.92, high).astype(x.dtype)


def psf(sigma: float, shape: PSFShape = "gaussian") -> NDArray[np.float64]:
    """Point spread function of an out-of-focus lens, sampled on pixels.

    The kernel's *discrete* second moment is matched to σ², so that σ means the same for every
    shape and also below one pixel, where plain sampling of a Gaussian loses variance.

    Parameters
    ----------
    sigma : float
        Standard deviation along each axis, in pixels, from 0 to 1000. A disc of radius R has
        σ = R / 2.
    shape : {"gaussian", "disc"}
        The disc's edge is anti-aliased over one pixel.

    Returns
    -------
    ndarray of shape (k, k), float64
        Non-negative, symmetric, k odd, sums to 1. σ = 0 gives ``[[1.]]``.

    Raises
    ------
    TypeError
        If `sigma` is not a number.
    ValueError
        If `sigma` is out of range or `shape` is unknown.

    Notes
    -----
    The Gaussian is cut at 4 σ. Below 1e-4 px the kernel is ``[[1.]]``.

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


def blur(
    image: ArrayLike,
    sigma: float,
    *,
    shape: PSFShape = "gaussian",
    linear_light: bool = False,
) -> FloatArray:
    """Blur an image uniformly, with symmetric borders.

    Parameters
    ----------
    image : array_like of float, shape (H, W) or (H, W, C)
        Any finite values; in [0, 1] if `linear_light`.
    sigma : float
        Standard deviation of the PSF in pixels, ≥ 0.
    shape : {"gaussian", "disc"}
        The PSF, see :func:`psf`.
    linear_light : bool
        Decode sRGB, blur as light adds up on a sensor, and encode again. False blurs the
        values as they are.

    Returns
    -------
    ndarray of the image's shape and float type
        With its mean (in the domain that was blurred) and within its range.

    Raises
    ------
    TypeError
        If `image` holds unsigned integers or no real numbers, or `sigma` is not a number.
    ValueError
        If `image` is no image, not finite, or outside [0, 1] with `linear_light`; if `sigma` is
        negative or not finite, or `shape` is unknown.

    Notes
    -----
    Blurring by σ₁ and then by σ₂ is blurring by √(σ₁² + σ₂²): exactly in the second moment of the
    PSF, and away from borders for the Gaussian also in the values, of any image, to within 0.0003
    of its range if both σ ≥ 1, 0.006 if one is, and 0.07 in any case. (The bound is half the
    sum of the kernels' absolute differences; a Gaussian of 0.5 px is not well sampled.)

    Cost per pixel: O(σ) for the Gaussian, O(log σ) for the disc (overlap-add FFT). Memory: twice
    that of the image for the Gaussian; for the disc 35 to 50 bytes per value of float32, 45 to 65
    of float64, so that a pixel of colour takes up to 195.

    Examples
    --------
    >>> import numpy as np
    >>> point = np.zeros((3, 3))
    >>> point[1, 1] = 1
    >>> blur(point, 0.5).round(3)
    array([[0.015, 0.093, 0.015],
           [0.093, 0.567, 0.093],
           [0.015, 0.093, 0.015]])
    """
    x = unit(image, "image") if linear_light else as_float(image)
    if x.ndim not in (2, 3) or x.size == 0:
        raise ValueError(f"image must have shape (H, W) or (H, W, C), none 0, got {x.shape}")
    low, high = finite_range(x, "image")
    sigma = check_sigma(sigma)
    check_choice(shape, "shape", get_args(PSFShape))
    if sigma == 0:
        return x.copy()
    if linear_light:
        return from_linear(blur(to_linear(x), sigma, shape=shape))
    if shape == "gaussian":
        k = gaussian_kernel(sigma)
        out = ndimage.correlate1d(x, k, axis=0, mode="reflect")
        out = ndimage.correlate1d(out, k, axis=1, mode="reflect")
    else:
        kernel = _disc_kernel(sigma)
        r = len(kernel) // 2
        pad = [(r, r), (r, r)] + [(0, 0)] * (x.ndim - 2)
        kernel = kernel.reshape(kernel.shape + (1,) * (x.ndim - 2))
        out = signal.oaconvolve(np.pad(x, pad, mode="symmetric"), kernel, mode="valid", axes=(0, 1))
    # Rounding must not leave the range of the input.
    return np.asarray(np.clip(out, low, high), dtype=x.dtype)


def blur_varying(
    image: ArrayLike,
    sigma: ArrayLike,
    *,
    shape: PSFShape = "gaussian",
    linear_light: bool = False,
    n_steps: int = 24,
) -> FloatArray:
    """Blur every pixel with its own σ (one smooth surface without occlusion).

    The image is blurred at `n_steps` values of σ and interpolated between them in σ², which is
    exact in the PSF's second moment: a mixture of PSFs has the mixture of their variances.

    Parameters
    ----------
    image : array_like of float, shape (H, W) or (H, W, C)
        In [0, 1] if `linear_light`.
    sigma : array_like of float, shape (H, W)
        σ in pixels at each pixel, from 0 to 1000.
    shape : {"gaussian", "disc"}
        The PSF, see :func:`psf`.
    linear_light : bool
        See :func:`blur`.
    n_steps : int
        Number of uniform blurs, ≥ 2; more is smoother and slower (cost is linear in it).

    Returns
    -------
    ndarray of the image's shape and float type
        Within the image's range.

    Raises
    ------
    TypeError
        If `image` or `sigma` hold no real numbers, or `n_steps` is not an integer.
    ValueError
        If `sigma` has another shape than the image, is negative or not finite somewhere, if
        `n_steps` is below 2, or :func:`blur` refuses the image.

    Examples
    --------
    >>> import numpy as np
    >>> stripes = np.tile([0.0, 1.0], (4, 4))
    >>> left_is_sharp = np.tile(np.repeat([0.0, 1.5], 4), (4, 1))
    >>> blur_varying(stripes, left_is_sharp)[0].round(1)
    array([0. , 1. , 0. , 1. , 0.5, 0.5, 0.6, 0.6])
    """
    x = unit(image, "image") if linear_light else as_float(image)
    if x.ndim not in (2, 3) or x.size == 0:
        raise ValueError(f"image must have shape (H, W) or (H, W, C), none 0, got {x.shape}")
    s = check_sigma_map(sigma, "sigma", x.shape[:2], most=MAX_SIGMA, dtype=np.float64)
    n_steps = check_int(n_steps, "n_steps", 2)
    if linear_light:
        return from_linear(blur_varying(to_linear(x), s, shape=shape, n_steps=n_steps))
    low, high = float(s.min()), float(s.max())
    if high - low < 1e-9:
        return blur(x, high, shape=shape)
    steps = np.linspace(low, high, n_steps)
    variance = s**2
    out = np.zeros_like(x)
    # Hat functions in σ² over the steps: each pixel mixes its two neighbouring blurs.
    for i, step in enumerate(steps):
        weight = np.interp(variance, steps**2, np.eye(n_steps)[i])
        if weight.any():
            weight = weight.reshape(weight.shape + (1,) * (x.ndim - 2)).astype(x.dtype)
            out += weight * blur(x, float(step), shape=shape)
    return np.asarray(np.clip(out, x.min(), x.max()))


def as_float(values: ArrayLike, name: str = "image") -> FloatArray:
    x = as_array(values, name)
    if x.dtype.kind not in "fbi":
        hint = "; divide by the largest possible value" if x.dtype.kind == "u" else ""
        raise TypeError(f"{name} must be float, got dtype {x.dtype}{hint}")
    return x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)


def finite_range(x: FloatArray, name: str) -> tuple[float, float]:
    low, high = (float(x.min()), float(x.max())) if x.size else (0.0, 0.0)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"{name} must be finite, but holds NaN or infinity")
    return low, high


def unit(values: ArrayLike, name: str) -> FloatArray:
    """Check for values in [0, 1], with room for rounding."""
    x = as_float(values, name)
    low, high = finite_range(x, name)
    if low < -SLACK or high > 1 + SLACK:
        raise ValueError(f"{name} must be within [0, 1], but spans [{low:.6g}, {high:.6g}]")
    return x


def _matched(
    profile: Callable[[float, FloatArray], NDArray[np.float64]],
    distance: FloatArray,
    sigma: float,
    low: float,
    high: float,
) -> float:
    """Parameter with which a kernel, ``profile(parameter, distance)``, has the variance σ²."""

    def excess(parameter: float, distance: FloatArray) -> float:
        k = profile(parameter, distance)
        k = k if k.ndim == 1 else k.sum(axis=0)
        n = np.arange(len(k)) - len(k) // 2
        return float((k * n**2).sum()) - sigma**2

    # As an argument, for what a function brings along stays until the next garbage collection.
    return float(optimize.brentq(excess, low, high, args=(distance,), xtol=1e-12))


@lru_cache(maxsize=512)
def gaussian_kernel(sigma: float) -> NDArray[np.float64]:
    if sigma < 1e-4:  # its variance is below what float64 can tell from none
        return np.ones(1)
    r = max(1, int(np.ceil(TRUNCATE * sigma)))
    n = np.arange(-r, r + 1.0)
    return _gaussian(_matched(_gaussian, n, sigma, 0.05, 2 * sigma + 1), n)


def _gaussian(s: float, n: FloatArray) -> NDArray[np.float64]:
    k = np.exp(-0.5 * (n / s) ** 2)
    return np.asarray(k / k.sum())


def _disc_kernel(sigma: float) -> NDArray[np.float64]:
    if sigma < 1e-4:
        return np.ones((1, 1))
    return _disc(_disc_radius(sigma), _disc_distance(sigma))


# Not the kernels themselves, which have 16 σ² values.
@lru_cache(maxsize=512)
def _disc_radius(sigma: float) -> float:
    return _matched(_disc, _disc_distance(sigma), sigma, 0.5, 2 * sigma + 0.75)


def _disc_distance(sigma: float) -> NDArray[np.float64]:
    """Distance from the middle, as far as a disc of that σ reaches."""
    r = int(np.ceil(2 * sigma + 0.5))
    n = np.arange(-r, r + 1)
    return np.asarray(np.hypot(n[:, None], n))


def _disc(radius: float, distance: FloatArray) -> NDArray[np.float64]:
    k = radius + 0.5 - distance
    np.clip(k, 0, 1, out=k)
    k /= k.sum()
    return np.asarray(k, np.float64)
