"""Checks of parameters and their limits, and warnings about renamed ones."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from functools import wraps
from numbers import Integral, Real
from typing import Any, ParamSpec, TypeVar

import numpy as np

from skdefocus._typing import AnyArray, Float64Array

P = ParamSpec("P")
T = TypeVar("T")

#: Largest σ in pixels; the kernel of a disc has 16 σ² values.
MAX_SIGMA = 1000.0
#: Largest standard deviation of noise, relative to full scale.
MAX_NOISE = 1e6
#: Largest exponent of a variance: higher powers leave the range of floats.
MAX_ALPHA = 30.0


def refuse_path(value: Any, name: str, reader: str, form: str = "{}") -> None:
    """Raise an error if an array is the name of a file, and say how to read it."""
    if isinstance(value, str | bytes | os.PathLike):
        path = os.fspath(value)
        if isinstance(path, bytes) and b"\0" in path:
            raise TypeError(
                f"{name} must be an array, got the bytes of a file; write them to a file and read "
                f"it: skdefocus.io.{reader}(path)"
            )
        call = form.format(f"skdefocus.io.{reader}({path!r})")
        raise TypeError(f"{name} must be an array, got the name of a file; read it first: {call}")


def as_array(values: Any, name: str, paths: bool = True) -> AnyArray:
    """Convert to an array; if NumPy cannot, raise an error that names the values.

    Text is taken for the name of a file, unless not `paths`.
    """
    if paths:
        refuse_path(values, name, "read_image")
        if isinstance(values, list | tuple) and values:
            refuse_path(values[0], f"{name}[0]", "read_image")
    if np.ma.is_masked(values):
        raise ValueError(f"{name} must not have masked values; fill them first")
    try:
        return np.asarray(values)
    except (TypeError, ValueError, OverflowError) as error:
        rows = isinstance(values, Sequence)
        why = "rows of different lengths" if rows else f"{type(values).__name__}: {error}"
        raise ValueError(f"{name} must be an array of numbers, got {why}") from None


def check_numbers(values: Any, name: str) -> Float64Array:
    """Convert real numbers, including NaN and infinity, to a float64 array of any shape."""
    x = as_array(values, name)
    if x.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got dtype {x.dtype}")
    return np.asarray(x, np.float64)


def finite_range(x: AnyArray, name: str) -> tuple[float, float]:
    """Return the lowest and highest value, which must be finite; 0 and 0 without values."""
    # NaN in the data makes both NaN, so that no further pass is needed.
    low, high = (float(x.min()), float(x.max())) if x.size else (0.0, 0.0)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"{name} must be finite, but holds NaN or infinity")
    return low, high


def is_sequence(values: Any) -> bool:
    """Tell whether something has a length and is indexed by numbers, and is not text."""
    if isinstance(values, np.ndarray):
        return values.ndim > 0
    return isinstance(values, Sequence) and not isinstance(values, str | bytes)


def column_values(values: Any) -> Any:
    """Return the values of a data frame's column, which has labels for an index, as an array.

    A data frame of one column is that column, as a ColumnTransformer selects it by a list.
    """
    if not hasattr(values, "to_numpy"):
        return values
    names = getattr(values, "columns", None)
    if names is None:
        return values.to_numpy()
    return values[names[0]].to_numpy() if len(names) == 1 else values


def check_sequence(values: Any, name: str) -> Any:
    """Check that something has a length and is indexed by numbers."""
    if not is_sequence(values):
        raise TypeError(f"{name} must be a list or an array, got {type(values).__name__}")
    return values


def check_seed(value: Any, name: str = "random_state") -> np.random.Generator:
    """Make a random number generator from a seed, or from fresh entropy if None."""
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
    """Check a finite real parameter: from `low` (excluded if `above`) to `high`."""
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
    # To NumPy an element may be an array without axes; to everyone else it is a number.
    scalar = isinstance(sigma, np.ndarray) and sigma.ndim == 0
    return check_real(sigma.item() if scalar else sigma, name, 0, MAX_SIGMA)


def warn_renamed(old: str, new: str, stacklevel: int = 3) -> None:
    """Warn the caller's caller that a public name or value has a new name."""
    message = f"{old} was renamed to {new}; the old name will be removed in version 0.3"
    warnings.warn(message, FutureWarning, stacklevel=stacklevel)


def renamed(function: Callable[P, T], old: str) -> Callable[P, T]:
    """Keep a public function available under its old name, with a warning."""

    @wraps(function)
    def warned(*args: P.args, **kwargs: P.kwargs) -> T:
        warn_renamed(old, function.__name__)
        return function(*args, **kwargs)

    warned.__name__ = warned.__qualname__ = old
    return warned
