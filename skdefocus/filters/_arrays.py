"""What the filters accept: floating images of any range, weights, and arrays for results."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from skdefocus._typing import FloatArray
from skdefocus._validation import as_array
from skdefocus.filters._window_sums import PIECE
from skdefocus.filters._workers import Crew, Scratch, spans

#: Weights below this part of the largest count as 0: their products would leave float32's range.
NO_WEIGHT = 1e-18

#: Pixels from one that an image's level is taken from to the next.
LEVEL_STEP = 8


def working(dtype: DTypeLike) -> np.dtype[Any]:
    """Give the precision to work in: float32 for float32 and float16, else float64."""
    return np.dtype(np.float32 if np.dtype(dtype).itemsize <= 4 else np.float64)


def check_planes(
    image: ArrayLike,
    name: str = "image",
    *,
    shape: tuple[int, int] | None = None,
) -> FloatArray:
    """Give an image as (H, W, C) in the precision to work in."""
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
    return x.reshape(*x.shape[:2], -1).astype(working(x.dtype), copy=False)


def finite(
    planes: FloatArray, name: str = "image", weights: FloatArray | None = None
) -> FloatArray:
    """Give (H, W, C) if it is finite; pixels of weight 0 that are not become 0."""
    with np.errstate(all="ignore"):
        suspicious = not np.isfinite(planes.sum())
    if suspicious:
        if weights is not None:
            planes = np.where(weights[..., None] > 0, planes, 0)
        if not np.isfinite(planes).all():
            where = "" if weights is None else " where it has weight"
            raise ValueError(f"{name} must be finite{where}, but holds NaN or infinity")
    return planes


def level(image: FloatArray) -> float:
    """Give a value amid those of (H, W): differences from it need fewer digits."""
    return float(image[::LEVEL_STEP, ::LEVEL_STEP].mean(dtype=np.float64))


def centred(planes: FloatArray, n_threads: int) -> tuple[FloatArray, float]:
    """Give (H, W, C) as (C, H, W) less each plane's level, and the largest of its magnitudes.

    That is not finite if `planes` is not.
    """
    height, width, channels = planes.shape
    result = np.empty((channels, height, width), planes.dtype)
    extremes: list[float] = []

    def work(piece: tuple[int, int], _: Scratch) -> None:
        rows = slice(*piece)
        with np.errstate(all="ignore"):  # for this thread
            for c in range(channels):
                part = np.subtract(planes[rows, :, c], levels[c], out=result[c, rows])
                extremes.extend([part.max(), -part.min()])

    with np.errstate(all="ignore"):
        levels = [level(planes[..., c]) for c in range(channels)]
    with Crew(n_threads) as crew:
        crew.share(work, spans(height, max(1, PIECE // (width * channels * planes.itemsize))))
    return result, float(np.max(extremes))


def check_weights(
    weights: ArrayLike | None, shape: tuple[int, ...], dtype: DTypeLike
) -> FloatArray | None:
    """Give weights as parts of the largest, in the working precision of `dtype`."""
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
    # Divided at their own precision, if that is higher: float32 may hold the parts but not them.
    precise = np.result_type(w.dtype, working(dtype))
    parts: FloatArray = np.divide(w, largest or 1.0, dtype=precise).astype(
        working(dtype), copy=False
    )
    parts[parts < NO_WEIGHT] = 0
    return parts


def check_out(out: Any, image: ArrayLike) -> NDArray[Any]:
    """Give `out` if it fits `image`, or an array that does."""
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


def promoted(guide: ArrayLike, image: ArrayLike) -> NDArray[Any]:
    """Give the guide at the image's precision, if that is higher."""
    g, x = as_array(guide, "guide"), as_array(image, "image")
    both = all(np.issubdtype(a.dtype, np.floating) for a in (g, x))
    return g.astype(np.result_type(g, x), copy=False) if both else g
