"""What counts as an image, and the messages for what does not."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skdefocus._typing import Float32Array

#: Rec. 601 luma, what "L" means in Pillow and grey in OpenCV.
LUMA = np.array([0.299, 0.587, 0.114], np.float32)

#: Rows of a colour photograph that are turned to grey at once.
GREY_ROWS = 128

#: Modes of Pillow in which channels are no grey and no RGB.
OTHER_MODES = ("P", "PA", "LA", "La", "CMYK", "YCbCr", "LAB", "HSV")

_ACCEPTED = "bool, uint8, uint16 or float"


def check_image(image: Any, name: str = "image") -> Float32Array:
    """Turn one photograph into float32 in [0, 1]; see :func:`check_photograph`.

    Returns
    -------
    ndarray of shape (H, W) or (H, W, 3), float32
        C-contiguous; shares memory with `image` where nothing had to change.
    """
    return scaled(check_photograph(image, name))


def check_photograph(image: Any, name: str = "image") -> NDArray[Any]:
    """Check one photograph and leave its values as they are.

    A photograph as float32 is four times as large as one of 8 bits, and most of the work is done
    by parts of it; :func:`scaled` converts these.

    Parameters
    ----------
    image : array_like of shape (H, W) or (H, W, C) with C 1, 3 or 4
        bool, uint8, uint16 (scaled by their range) or float in [0, 1].
    name : str
        How messages call it.

    Returns
    -------
    ndarray of shape (H, W) or (H, W, 3)
        Shares memory with `image` unless its bytes are of the other order. Alpha is dropped.

    Raises
    ------
    TypeError
        If the dtype is none of the accepted ones.
    ValueError
        If the shape is no image's, values are not finite or not within [0, 1], or the image is
        Pillow's and neither grey nor RGB.
    """
    mode = getattr(image, "mode", None)
    if isinstance(mode, str) and mode in OTHER_MODES:
        raise ValueError(
            f"{name} must be grey or RGB, got an image of mode {mode!r}; convert it first: "
            "image.convert('RGB')"
        )
    x = as_array(image, name)
    if x.ndim not in (2, 3) or (x.ndim == 3 and x.shape[2] not in (1, 3, 4)):
        raise ValueError(
            f"{name} must have shape (H, W) or (H, W, C) with 1, 3 or 4 channels, got {x.shape}"
        )
    if 0 in x.shape:
        raise ValueError(f"{name} must hold at least one pixel, got shape {x.shape}")
    if x.ndim == 3:
        x = x[..., 0] if x.shape[2] == 1 else x[..., :3]
    x = np.asarray(x, x.dtype.newbyteorder("="))
    if x.dtype in (np.bool_, np.uint8, np.uint16):
        return x
    if not np.issubdtype(x.dtype, np.floating):
        raise TypeError(f"{name} must be {_ACCEPTED}, got dtype {x.dtype}")
    # One pass over the data: NaN fails both comparisons.
    low, high = float(x.min()), float(x.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"{name} must be finite, but holds NaN or infinity")
    if low < 0 or high > 1:
        raise ValueError(
            f"{name} must be within [0, 1] if float, but spans [{low:.6g}, {high:.6g}]; "
            "divide by the largest possible value (for 8 bits: image / 255)"
        )
    return x


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


def check_map(sigma: Any, name: str = "sigma") -> Float32Array:
    """Check one map and turn it into C-contiguous float32; values are not looked at."""
    x = as_array(sigma, name)
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"{name} must have shape (H, W), got {x.shape}")
    if x.dtype.kind not in "fiu":
        raise TypeError(f"{name} must hold numbers, got dtype {x.dtype}")
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite
        return np.ascontiguousarray(x, np.float32)


def scaled(image: NDArray[Any]) -> Float32Array:
    """Values of a checked photograph, or of a part of one, as C-contiguous float32 in [0, 1]."""
    if np.issubdtype(image.dtype, np.unsignedinteger):
        factor = np.float32(1 / np.iinfo(image.dtype).max)
        return np.multiply(image, factor, dtype=np.float32, order="C")
    return np.ascontiguousarray(image, np.float32)


def to_grey(image: NDArray[Any]) -> Float32Array:
    """Grey values of a checked photograph, by the luma of Rec. 601 on the values as encoded."""
    if image.ndim == 2:
        return scaled(image)
    grey = np.empty(image.shape[:2], np.float32)
    for start in range(0, len(image), GREY_ROWS):
        part = scaled(image[start : start + GREY_ROWS])
        # Summed by plane: the same bits whatever BLAS is there.
        out = grey[start : start + GREY_ROWS]
        np.multiply(part[..., 0], LUMA[0], out=out)
        out += part[..., 1] * LUMA[1]
        out += part[..., 2] * LUMA[2]
    return grey


def looks_like_one(x: NDArray[Any]) -> bool:
    """Whether an array is one image, or at least has the shape of one more than of a batch."""
    return x.ndim == 2 or (x.ndim == 3 and x.shape[-1] in (1, 3, 4) and min(x.shape[:2]) > 4)


def check_images(X: Any, name: str = "X") -> tuple[list[Any], bool]:
    """Split a batch into its samples and tell whether it was one array.

    Parameters
    ----------
    X : ndarray of shape (n, H, W) or (n, H, W, C), or a sequence of images
    name : str
        How messages call it.

    Returns
    -------
    samples : list
        The images as they came.
    stacked : bool
        True if `X` was an array, so that the result should be one.
    """
    if isinstance(X, np.ndarray) and (X.dtype != object or X.ndim == 0):
        if looks_like_one(X):
            several = f", or list({name}) if these are {len(X)} images" if X.ndim == 3 else ""
            raise ValueError(
                f"{name} must be a batch (n, H, W[, C]) or a list of images, got one image of "
                f"shape {X.shape}; pass [image]{several}"
            )
        if X.ndim not in (3, 4):
            raise ValueError(f"{name} must have shape (n, H, W) or (n, H, W, C), got {X.shape}")
        if len(X) == 0:
            raise ValueError(f"{name} is empty; at least one image is needed")
        return list(X), True
    if not is_sequence(X):
        raise TypeError(
            f"{name} must be an array (n, H, W[, C]) or a list of images, got {type(X).__name__}"
        )
    if len(X) == 0:
        raise ValueError(f"{name} is empty; at least one image is needed")
    return list(X), False


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
