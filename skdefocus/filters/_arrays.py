"""Checks and conversions of the filters' arrays: images, guides, weights and results."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from skdefocus._typing import AnyArray, FloatArray
from skdefocus._validation import as_array
from skdefocus.filters._window_sums import PIECE
from skdefocus.filters._workers import Scratch, WorkerPool, split_range

#: Weights below this fraction of the largest count as 0: products with them would leave the range
#: of float32.
MIN_WEIGHT = 1e-18

#: The offset of an image is estimated from every eighth pixel of every eighth row.
OFFSET_STEP = 8


def working_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return the precision to work in: float32 for float32 and float16, else float64."""
    return np.dtype(np.float32 if np.dtype(dtype).itemsize <= 4 else np.float64)


def check_planes(
    image: ArrayLike,
    name: str = "image",
    *,
    shape: tuple[int, int] | None = None,
) -> FloatArray:
    """Return an image as (H, W, C) in the precision to work in."""
    x = as_array(image, name)
    if not np.issubdtype(x.dtype, np.floating):
        raise TypeError(
            f"{name} must be floating, got dtype {x.dtype}; convert it (for 8 bits: {name} / 255)"
        )
    if x.ndim not in (2, 3) or x.size == 0:
        raise ValueError(f"{name} must have shape (H, W) or (H, W, C), not empty, got {x.shape}")
    if shape is not None and x.shape[:2] != shape:
        raise ValueError(
            f"{name} must have the guide's height and width {shape}, got {x.shape[:2]}"
        )
    return x.reshape(*x.shape[:2], -1).astype(working_dtype(x.dtype), copy=False)


def check_finite_planes(
    planes: FloatArray, name: str = "image", weights: FloatArray | None = None
) -> FloatArray:
    """Check that (H, W, C) is finite where it has weight; elsewhere, set it to 0 if necessary."""
    with np.errstate(all="ignore"):
        suspicious = not np.isfinite(planes.sum())
    if suspicious:
        if weights is not None:
            planes = np.where(weights[..., None] > 0, planes, 0)
        if not np.isfinite(planes).all():
            where = "" if weights is None else " where it has weight"
            raise ValueError(f"{name} must be finite{where}, but holds NaN or infinity")
    return planes


def estimate_offset(image: FloatArray) -> float:
    """Return a value in the middle of those of (H, W): differences from it need fewer digits."""
    return float(image[::OFFSET_STEP, ::OFFSET_STEP].mean(dtype=np.float64))


def subtract_offsets(planes: FloatArray, n_threads: int) -> tuple[FloatArray, float]:
    """Return (H, W, C) as (C, H, W) without each plane's offset, and its largest magnitude.

    The magnitude is not finite if `planes` is not.
    """
    height, width, channels = planes.shape
    result = np.empty((channels, height, width), planes.dtype)
    extremes: list[float] = []
    with np.errstate(all="ignore"):
        offsets = [estimate_offset(planes[..., c]) for c in range(channels)]

    def work(piece: tuple[int, int], _: Scratch) -> None:
        rows = slice(*piece)
        with np.errstate(all="ignore"):  # a setting of each thread
            for c in range(channels):
                part = np.subtract(planes[rows, :, c], offsets[c], out=result[c, rows])
                extremes.extend([part.max(), -part.min()])

    with WorkerPool(n_threads) as pool:
        pool.run(work, split_range(height, max(1, PIECE // (width * channels * planes.itemsize))))
    return result, float(np.max(extremes))


def check_weights(
    weights: ArrayLike | None, shape: tuple[int, ...], dtype: DTypeLike
) -> FloatArray | None:
    """Return weights as fractions of the largest, in the working precision of `dtype`."""
    if weights is None:
        return None
    w = as_array(weights, "weights")
    if w.dtype.kind not in "biuf":
        raise TypeError(f"weights must be bool, integer or floating, got dtype {w.dtype}")
    if w.shape != shape:
        raise ValueError(f"weights must have the image's height and width {shape}, got {w.shape}")
    largest = float(w.max())
    if not (np.isfinite(largest) and w.min() >= 0):
        raise ValueError(
            f"weights must be finite and at least 0, but span [{w.min():.6g}, {largest:.6g}]"
        )
    # Divided at the higher precision: float32 may hold the fractions but not the weights.
    precise = np.result_type(w.dtype, working_dtype(dtype))
    fractions: FloatArray = np.divide(w, largest or 1.0, dtype=precise).astype(
        working_dtype(dtype), copy=False
    )
    fractions[fractions < MIN_WEIGHT] = 0
    return fractions


def check_out(out: Any, image: ArrayLike) -> AnyArray:
    """Check that `out` fits `image`, or return a new array that does."""
    like = np.asarray(image)
    if out is None:
        dtype = like.dtype if like.dtype.itemsize <= 8 else np.dtype(np.float64)
        return np.empty(like.shape, dtype.newbyteorder("="))
    if not isinstance(out, np.ndarray) or not np.issubdtype(out.dtype, np.floating):
        raise TypeError(f"out must be a floating ndarray, got {getattr(out, 'dtype', type(out))}")
    if out.shape != like.shape:
        raise ValueError(f"out must have the image's shape {like.shape}, got {out.shape}")
    if not out.flags.writeable:
        raise ValueError("out must be writeable, got a read-only array")
    return out


def promote_guide(guide: ArrayLike, image: ArrayLike) -> AnyArray:
    """Convert the guide to the precision of the image if that is higher."""
    g, x = as_array(guide, "guide"), as_array(image, "image")
    both = all(np.issubdtype(a.dtype, np.floating) for a in (g, x))
    return g.astype(np.result_type(g, x), copy=False) if both else g
