"""Effects of a camera on a photograph: sensor noise and compression."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skdefocus._typing import FloatArray, UInt8Array
from skdefocus._validation import MAX_NOISE, check_int, check_real, check_seed
from skdefocus.synthesis._values import unit


def add_noise(
    image: ArrayLike, read: float, shot: float = 0.0, *, random_state: int | None = None
) -> FloatArray:
    """Add sensor noise of variance ``read² + shot² · image``, and clip to [0, 1].

    Parameters
    ----------
    image : array_like of float in [0, 1], any shape
    read : float
        Standard deviation of the noise in the dark, in units of full scale, ≥ 0.
    shot : float
        Standard deviation of the photon noise at full scale, ≥ 0.
    random_state : int or None
        Seed.

    Returns
    -------
    ndarray of the image's shape and float type

    Raises
    ------
    TypeError
        If `image` holds unsigned integers or anything but real numbers, or `read` or `shot` is not
        a number.
    ValueError
        If `image` is not within [0, 1], or `read` or `shot` is negative or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = add_noise(np.full((200, 200), 0.25), 0.03, 0.08, random_state=0)
    >>> round(float(noisy.std()), 3)  # √(0.03² + 0.08² · 0.25)
    0.05
    """
    x = unit(image, "image")
    read = check_real(read, "read", 0, MAX_NOISE)
    shot = check_real(shot, "shot", 0, MAX_NOISE)
    rng = check_seed(random_state)
    spread = noise_deviation(np.maximum(x, 0), read, shot)  # `unit` allows for rounding errors
    noisy = np.clip(x + spread * rng.standard_normal(x.shape), 0, 1)
    return np.asarray(noisy, dtype=x.dtype)


def jpeg(image: ArrayLike, quality: int) -> FloatArray:
    """Compress an image as an 8-bit JPEG and decode it.

    Parameters
    ----------
    image : array_like of float in [0, 1], shape (H, W) or (H, W, 3)
    quality : int
        1 (worst) to 100.

    Returns
    -------
    ndarray of the image's shape and float type, in [0, 1]

    Raises
    ------
    TypeError
        If `image` holds unsigned integers or anything but real numbers, or `quality` is not an
        integer.
    ValueError
        If `image` has the wrong shape or is not within [0, 1], or `quality` is out of range.

    Notes
    -----
    Color is subsampled by 2 in each direction, Pillow's default.

    Examples
    --------
    >>> import numpy as np
    >>> bool(np.ptp(jpeg(np.linspace(0, 1, 64).reshape(8, 8), 5)) < 1)
    True
    """
    x = unit(image, "image")
    if x.size == 0 or (x.ndim != 2 and x.shape[2:] != (3,)):
        raise ValueError(f"image must have shape (H, W) or (H, W, 3), not empty, got {x.shape}")
    quality = check_int(quality, "quality", 1, 100)
    pixels = np.round(x * 255).astype(np.uint8)
    return np.asarray(through_jpeg(pixels, quality=quality) / 255, dtype=x.dtype)


def noise_deviation(light: FloatArray, read: float, shot: float) -> FloatArray:
    """Compute the standard deviation of sensor noise for each value of light in [0, 1]."""
    return np.asarray(np.sqrt(read**2 + shot**2 * light))


def through_jpeg(pixels: UInt8Array, **options: Any) -> UInt8Array:
    """Compress 8-bit pixels as a JPEG with Pillow's `options`, and decode them."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", **options)
    buffer.seek(0)
    return np.asarray(Image.open(buffer))
