"""The transfer function of sRGB, both ways."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skdefocus._typing import FloatArray
from skdefocus.synthesis._values import as_float


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
