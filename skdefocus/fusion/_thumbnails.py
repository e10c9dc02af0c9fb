"""Small pictures of frames, on which properties of entire frames are measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from skdefocus._grids import sums_of_runs
from skdefocus._typing import AnyArray, BoolArray, Float32Array, Float64Array

#: Shorter side of the small pictures, pixels (up to twice that).
SMALL_SIDE = 96
#: Frames whose thumbnail has a shorter side below this are too small to be judged.
LEAST_SIDE = 48
#: Encoded values from which light may be beyond white, and up to which it is black. JPEG leaves
#: white within some 5 of 255.
WHITE, BLACK = 0.99, 1.5 / 255


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """Means over blocks of a frame.

    Attributes
    ----------
    values : ndarray of shape (h, w, C), float32
        Means of the opaque pixels that are clipped neither to black nor to white.
    usable : ndarray of shape (h, w), float32 in [0, 1]
        Share of those pixels.
    colors : ndarray of shape (h, w, C), float32
        Means of all opaque pixels.
    clipped, seen : ndarray of shape (h, w), float32 in [0, 1]
        Shares of the pixels that are clipped to white, and of the opaque ones.
    white : float
        Share of the frame's pixels that are clipped to white.
    block : int
        Side of the blocks in pixels of the frame.
    """

    values: Float32Array
    usable: Float32Array
    colors: Float32Array
    clipped: Float32Array
    seen: Float32Array
    white: float
    block: int

    @property
    def gray(self) -> Float32Array:
        """Mean gray value of all opaque pixels, shape (h, w)."""
        return np.asarray(self.colors.mean(axis=2))

    @property
    def tells(self) -> bool:
        """True if the thumbnail is large enough to judge the frame by."""
        return min(self.seen.shape) >= LEAST_SIDE

    def aligned(self, matrix: Float64Array | None) -> Thumbnail:
        """Give it as seen in the reference's pixels, `matrix` being the frame's."""
        if matrix is None or np.array_equal(matrix, np.eye(3)):
            return self
        usable, clipped, seen = (
            moved(plane, matrix, self.block, mode)
            for plane, mode in (
                (self.usable, "constant"),
                (self.clipped, "nearest"),
                (self.seen, "constant"),
            )
        )
        values, colors = (
            np.stack([moved(p, matrix, self.block) for p in np.moveaxis(planes, 2, 0)], axis=2)
            for planes in (self.values, self.colors)
        )
        return Thumbnail(values, usable, colors, clipped, seen, self.white, self.block)


def moved(
    plane: Float32Array, matrix: Float64Array, block: int, mode: str = "nearest"
) -> Float32Array:
    """Resample a plane of a small picture, whose blocks are of `block` pixels.

    Parameters
    ----------
    plane : ndarray of shape (h, w)
    matrix : ndarray of shape (3, 3)
        From pixels of the result to those of the plane, both at full size.
    block : int
    mode : str
        See :func:`scipy.ndimage.affine_transform`.
    """
    offset = (block - 1) / 2
    scale = np.array([[block, 0, offset], [0, block, offset], [0, 0, 1.0]])
    small = np.linalg.inv(scale) @ matrix @ scale
    return np.asarray(
        ndimage.affine_transform(plane, small[:2, :2], small[:2, 2], order=1, mode=mode),
        np.float32,
    )


def block_size(size: tuple[int, int]) -> int:
    """Side in pixels of the blocks of a thumbnail."""
    return max(1, min(size) // SMALL_SIDE)


def full_block_sums(plane: AnyArray, block: int) -> Float32Array:
    """Sum over blocks; rows and columns that do not fill a block are left out."""
    h, w = plane.shape[0] // block, plane.shape[1] // block
    # In float32, which NumPy adds several times as fast as integers that it has to widen.
    part = plane[: h * block, : w * block].astype(np.float32).reshape(h, block, -1)
    # Along the rows first, where values lie together.
    return sums_of_runs(part.sum(axis=1), block)


def lit(image: AnyArray) -> BoolArray:
    """Find the pixels (H, W) where a photograph's light may be beyond white in some channel."""
    return any_above(image[..., None] if image.ndim == 2 else image, limit(image, WHITE))


def any_above(planes: AnyArray, limit: float) -> BoolArray:
    """Find the pixels (H, W) of which some channel reaches a limit."""
    found = planes[..., 0] >= limit
    for c in range(1, planes.shape[2]):  # along so short an axis, `any` takes ten times as long
        found |= planes[..., c] >= limit
    return np.asarray(found)


def limit(image: AnyArray, value: float) -> float:
    """Express a value in [0, 1] in the units of a checked photograph."""
    return value * float(np.iinfo(image.dtype).max) if image.dtype.kind == "u" else value


def thumbnail(
    image: AnyArray, opaque: BoolArray | None = None, bright: BoolArray | None = None
) -> Thumbnail:
    """Reduce a checked photograph to a shorter side of some `SMALL_SIDE` pixels.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, C)
    opaque : ndarray of shape (H, W) or None
        Pixels to use; None uses all.
    bright : ndarray of shape (H, W) or None
        What `lit` finds in it, if that is known.
    """
    block = block_size((image.shape[0], image.shape[1]))
    planes = image[..., None] if image.ndim == 2 else image
    bright = lit(image) if bright is None else bright
    usable = ~bright & any_above(planes, limit(image, BLACK))
    known = np.ones(bright.shape, bool) if opaque is None else opaque
    usable &= known
    count, seen = full_block_sums(usable, block), full_block_sums(known, block)
    unit = 1 / limit(image, 1)
    sums, every = (
        [full_block_sums(np.where(where, plane, 0), block) for plane in np.moveaxis(planes, 2, 0)]
        for where in (usable, known)
    )
    values, colors = (
        np.stack(total, axis=2) * np.float32(unit) / np.maximum(n, 1)[..., None]
        for total, n in ((sums, count), (every, seen))
    )
    if (seen == 0).any() and seen.any():
        colors[seen == 0] = colors[seen > 0].mean(axis=0)
    area = np.float32(block**2)
    return Thumbnail(
        np.asarray(values, np.float32),
        count / area,
        np.asarray(colors, np.float32),
        full_block_sums(bright & known, block) / area,
        seen / area,
        float(bright[known].mean()) if known.any() else 0.0,
        block,
    )
