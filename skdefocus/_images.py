"""Checks and conversions of photographs, maps and batches."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from skdefocus._typing import AnyArray, Float32Array
from skdefocus._validation import (
    as_array,
    column_values,
    finite_range,
    is_sequence,
    refuse_path,
)

#: Luma of Rec. 601, the gray of Pillow and OpenCV.
LUMA = np.array([0.299, 0.587, 0.114], np.float32)

#: Rows of a color photograph that are converted to gray at once.
GRAY_ROWS = 128

#: Pillow's modes in which the channels are neither gray nor RGB.
OTHER_MODES = ("P", "PA", "LA", "La", "CMYK", "YCbCr", "LAB", "HSV")

_ACCEPTED = "bool, uint8, uint16 or float"


def check_image(image: Any, name: str = "image") -> Float32Array:
    """Check one photograph and convert it to float32 in [0, 1]; see :func:`check_photograph`.

    Returns
    -------
    ndarray of shape (H, W) or (H, W, 3), float32
        C-contiguous; shares memory with `image` if nothing had to change.
    """
    return scaled(check_photograph(image, name))


def check_photograph(image: Any, name: str = "image") -> AnyArray:
    """Check one photograph without converting its values.

    As float32, a photograph of 8 bits would be four times as large. Most work is done on parts of
    it, which :func:`scaled` converts.

    Parameters
    ----------
    image : array_like of shape (H, W) or (H, W, C) with C 1, 3 or 4
        bool, uint8, uint16 (scaled by their range) or float in [0, 1].
    name : str
        Name in messages.

    Returns
    -------
    ndarray of shape (H, W) or (H, W, 3)
        Shares memory with `image` unless its byte order is foreign. Alpha is dropped.

    Raises
    ------
    TypeError
        If the dtype is not accepted.
    ValueError
        If the shape is not that of an image, values are not finite or not in [0, 1], or it is a
        Pillow image that is neither gray nor RGB.
    """
    refuse_path(image, name, "read_image")
    mode = getattr(image, "mode", None)
    if isinstance(mode, str) and mode in OTHER_MODES:
        raise ValueError(
            f"{name} must be gray or RGB, got an image of mode {mode!r}; convert it first: "
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
    low, high = finite_range(x, name)
    if low < 0 or high > 1:
        raise ValueError(
            f"{name} must be within [0, 1] if float, but spans [{low:.6g}, {high:.6g}]; "
            "divide by the largest possible value (for 8 bits: image / 255)"
        )
    return x


def check_map(
    values: Any,
    name: str = "sigma",
    size: tuple[int, ...] | None = None,
    dtype: DTypeLike = np.float32,
) -> AnyArray:
    """Check one map of any unit and return it C-contiguous; its values are not checked.

    Parameters
    ----------
    values : array_like of shape (H, W)
    name : str
        Name in messages.
    size : (H, W) or None
        Size of the photograph that the map belongs to.
    dtype : float32 or float64
        Type of the result.
    """
    refuse_path(values, name, "read_map")
    x = as_array(values, name)
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"{name} must have shape (H, W), got {x.shape}")
    if size is not None and x.shape != size:
        raise ValueError(f"{name} must have the photograph's size {size}, got shape {x.shape}")
    if x.dtype.kind not in "fiu":
        raise TypeError(f"{name} must hold real numbers, got dtype {x.dtype}")
    with np.errstate(over="ignore"):  # values too large for float32 become infinite
        return np.ascontiguousarray(x, dtype)


def check_sigma_map(
    sigma: Any,
    name: str = "sigma",
    size: tuple[int, ...] | None = None,
    *,
    limit: float = np.inf,
    dtype: DTypeLike = np.float32,
) -> AnyArray:
    """Check one map of finite σ from 0 to `limit`; see :func:`check_map`."""
    x = check_map(sigma, name, size, dtype)
    low, high = finite_range(x, name)
    if low < 0:
        raise ValueError(f"{name} must be >= 0 everywhere, got {low:.6g}")
    if high > limit:
        raise ValueError(f"{name} must be at most {limit:g} everywhere, got {high:.6g}")
    return x


def scaled(image: AnyArray) -> Float32Array:
    """Convert a checked photograph or a part of it to C-contiguous float32 in [0, 1]."""
    if np.issubdtype(image.dtype, np.unsignedinteger):
        return np.multiply(image, _unit(image), dtype=np.float32, order="C")
    return np.ascontiguousarray(image, np.float32)


def planes_of(image: AnyArray) -> Float32Array:
    """Convert a checked photograph, or a part of it, to float32 in [0, 1], channel by channel.

    Returns
    -------
    ndarray of shape (H, W) or (H, W, 3), float32
        The channels lie one after the other in memory, as filters read them.
    """
    if image.ndim == 2:
        return scaled(image)
    planes = np.empty((image.shape[2], *image.shape[:2]), np.float32)
    channels = np.moveaxis(image, 2, 0)
    np.multiply(channels, _unit(image), out=planes, casting="same_kind", dtype=np.float32)
    return np.moveaxis(planes, 0, 2)


def _unit(image: AnyArray) -> np.float32:
    """Return the factor that brings the values of a checked photograph to [0, 1]."""
    if np.issubdtype(image.dtype, np.unsignedinteger):
        return np.float32(1 / np.iinfo(image.dtype).max)
    return np.float32(1)


def to_gray(image: AnyArray) -> Float32Array:
    """Convert a checked photograph to gray: the luma of Rec. 601 of its encoded values."""
    if image.ndim == 2:
        return scaled(image)
    gray = np.empty(image.shape[:2], np.float32)
    unit, (red, green, blue) = _unit(image), LUMA
    channel = np.empty((min(GRAY_ROWS, len(image)), image.shape[1]), np.float32)
    for start in range(0, len(image), GRAY_ROWS):
        # Plane by plane, not as a matrix product: its bits depend on the BLAS library.
        part, out = image[start : start + GRAY_ROWS], gray[start : start + GRAY_ROWS]
        np.multiply(part[..., 0], red, out=out, casting="same_kind", dtype=np.float32)
        more = channel[: len(out)]
        for plane, share in ((part[..., 1], green), (part[..., 2], blue)):
            out += np.multiply(plane, share, out=more, casting="same_kind", dtype=np.float32)
        if unit != 1:
            out *= unit
    return gray


def looks_like_one(x: AnyArray) -> bool:
    """Tell whether an array is more likely one image than a batch, by its shape."""
    return x.ndim == 2 or (x.ndim == 3 and x.shape[-1] in (1, 3, 4) and min(x.shape[:2]) > 4)


def check_images(X: Any, name: str = "X") -> tuple[list[Any], bool]:
    """Split a batch into its samples and tell whether it was an array.

    Parameters
    ----------
    X : ndarray of shape (n, H, W) or (n, H, W, C), a sequence, or a data frame's column of images
    name : str
        Name in messages.

    Returns
    -------
    samples : list
        The images, not converted.
    stacked : bool
        True if `X` was an array, so that the result should be one.
    """
    refuse_path(X, name, "read_image", "[{}]")
    X = column_values(X)
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
