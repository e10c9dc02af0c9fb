"""The transfer function of sRGB and its inverse."""

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
        Encoded values in [0, 1]. Beyond that, both pieces of the curve continue.

    Returns
    -------
    ndarray, same shape and float type
        Values proportional to light, in [0, 1].

    Raises
    ------
    TypeError
        If `image` holds unsigned integers or anything but real numbers.

    Notes
    -----
    The rounded constants of the standard cause a jump of 3e-8 where the two pieces meet. Apart from
    it, the two functions are monotone and inverses of each other.

    References
    ----------
    .. [1] IEC 61966-2-1:1999, the sRGB transfer function.

    Examples
    --------
    >>> round(float(to_linear(0.5)), 4)
    0.214
    """
    x = as_float(image)
    # No powers of smaller values, which may be negative and would give NaN.
    with np.errstate(over="ignore"):
        high = ((np.maximum(x, 0.04045) + 0.055) / 1.055) ** 2.4
    return np.where(x <= 0.04045, x / 12.92, high).astype(x.dtype)


def from_linear(image: ArrayLike) -> FloatArray:
    """Encode linear light as sRGB values; the inverse of :func:`to_linear`.

    Parameters
    ----------
    image : array_like of float, any shape
        Values proportional to light; see :func:`to_linear`.

    Returns
    -------
    ndarray, same shape and float type
        Encoded values.

    Raises
    ------
    TypeError
        See :func:`to_linear`.

    Examples
    --------
    >>> round(float(from_linear(to_linear(0.5))), 6)
    0.5
    """
    x = as_float(image)
    # In this form 1 is mapped to exactly 1; in float64, 1.055 - 0.055 is less.
    high = 1 + 1.055 * (np.maximum(x, 0.0031308) ** (1 / 2.4) - 1)
    return np.where(x <= 0.0031308, x * 12.92, high).astype(x.dtype)
