"""Checks of images with floating-point values."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skdefocus._typing import FloatArray
from skdefocus._validation import as_array, finite_range

#: How far rounding may exceed [0, 1]; beyond that, the scale is wrong.
SLACK = 1e-4


def as_float(values: ArrayLike, name: str = "image") -> FloatArray:
    """Convert real numbers to float64, but leave float32; reject unsigned integers."""
    x = as_array(values, name)
    if x.dtype.kind not in "fbi":
        hint = "; divide by the largest possible value" if x.dtype.kind == "u" else ""
        raise TypeError(f"{name} must be float, got dtype {x.dtype}{hint}")
    return x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)


def unit(values: ArrayLike, name: str) -> FloatArray:
    """Check for values in [0, 1], with a margin for rounding."""
    x = as_float(values, name)
    low, high = finite_range(x, name)
    if low < -SLACK or high > 1 + SLACK:
        raise ValueError(f"{name} must be within [0, 1], but spans [{low:.6g}, {high:.6g}]")
    return x
