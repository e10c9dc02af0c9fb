"""Checks of parameters, the limits of their values, and the messages for what is out of them."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Largest σ in pixels; the kernel of a disc has 16 σ² values.
MAX_SIGMA = 1000.0
#: Largest noise, full scale being 1.
MAX_NOISE = 1e6
#: Variances to a higher power leave the range of floats.
MAX_ALPHA = 30.0


def as_array(values: Any, name: str) -> NDArray[Any]:
    """Array of what was given; where NumPy makes none of it, a message that names it."""
    if np.ma.is_masked(values):
        raise ValueError(f"{name} must not have masked values; fill them first")
    try:
        return np.asarray(values)
    except (TypeError, ValueError, OverflowError) as error:
        rows = isinstance(values, Sequence)
        why = "rows of different lengths" if rows else f"{type(values).__name__}: {error}"
        raise ValueError(f"{name} must be an array of numbers, got {why}") from None


def check_numbers(values: Any, name: str) -> NDArray[np.float64]:
    """Real numbers in an array of any shape, as float64; NaN and infinity are numbers here."""
    x = as_array(values, name)
    if x.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got dtype {x.dtype}")
    return np.asarray(x, np.float64)


def is_sequence(values: Any) -> bool:
    """Whether something can be counted and taken by number, and is no text."""
    if isinstance(values, np.ndarray):
        return values.ndim > 0
    return isinstance(values, Sequence) and not isinstance(values, str | bytes)


def check_sequence(values: Any, name: str) -> Any:
    """Check that something can be counted and taken by number."""
    if not is_sequence(values):
        raise TypeError(f"{name} must be a list or an array, got {type(values).__name__}")
    return values


def check_seed(value: Any, name: str = "random_state") -> np.random.Generator:
    """Make a generator of random numbers from a seed, or anew from None."""
    return np.random.default_rng(None if value is None else check_int(value, name, 0))


def check_int(value: Any, name: str, low: int, high: int | None = None) -> int:
    """Check an integer parameter's type and range."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    value = int(value)
    if value < low or (high is not None and value > high):
        span = f">= {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name} must be {span}, got {value}")
    return value


def check_real(
    value: Any, name: str, low: float, high: float = np.inf, *, above: bool = False
) -> float:
    """Check a finite real parameter: at least `low`, or above it, and at most `high`."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        value = float(value)
    except OverflowError:
        value = np.inf if value > 0 else -np.inf
    if not np.isfinite(value) or value < low or (above and value == low):
        raise ValueError(f"{name} must be finite and {'>' if above else '>='} {low}, got {value}")
    if value > high:
        raise ValueError(f"{name} must be at most {high:g}, got {value}")
    return value


def check_choice(value: Any, name: str, choices: Sequence[str]) -> str:
    """Check that a parameter is one of the named choices."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return str(value)


def check_sigma(sigma: Any, name: str = "sigma") -> float:
    """Check one σ in pixels."""
    # A row of an array of σ is a 0-d array to NumPy, and a number to everyone else.
    scalar = isinstance(sigma, np.ndarray) and sigma.ndim == 0
    return check_real(sigma.item() if scalar else sigma, name, 0, MAX_SIGMA)
