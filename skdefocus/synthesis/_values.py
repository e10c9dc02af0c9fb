"""Checks of images of any float range."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skdefocus._typing import FloatArray
from skdefocus._validation import as_array

#: How far rounding may lead out of [0, 1] before it is taken for a wrong scale.
SLACK = 1e-4


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
