"""Bring frames of a focus stack to coincide: shifts, and affine maps for focus breathing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.registration import phase_cross_correlation

Float = NDArray[np.float32]
Matrix = NDArray[np.float64]

#: Coarsest level of the pyramid: its shorter side in pixels.
COARSEST = 64
#: Steps per level at most, and the motion in pixels at which they end.
STEPS, SMALL = 20, 0.005
#: Shorter sides below this show no motion: the window is 0 all over, or there is no gradient.
LEAST = 3
#: Pixels along the shorter side that are compared at least; so many tell a motion well enough.
ENOUGH = 512


def inside(matrix: Matrix, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Where `warp` finds pixels of the frame, shape (H, W)."""
    rows, columns = np.arange(size[0])[:, None], np.arange(size[1])
    y = matrix[0, 0] * rows + matrix[0, 1] * columns + matrix[0, 2]
    x = matrix[1, 0] * rows + matrix[1, 1] * columns + matrix[1, 2]
    return (y >= 0) & (y <= size[0] - 1) & (x >= 0) & (x <= size[1] - 1)


def warp(image: Float, matrix: Matrix, order: int = 3) -> Float:
    """Resample a frame onto the reference; beyond its border its last pixels are repeated.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, C)
    matrix : ndarray of shape (3, 3)
        From (row, column, 1) of the reference to that of the frame.
    order : int
        Of the spline. The result stays within the range of the image.
    """
    planes = image[..., None] if image.ndim == 2 else image
    out = np.empty_like(planes)
    for c in range(planes.shape[2]):
        ndimage.affine_transform(
            planes[..., c], matrix[:2, :2], matrix[:2, 2],
            output=out[..., c], order=order, mode="nearest",
        )  # fmt: skip
    return np.clip(out, image.min(), image.max(), out=out).reshape(image.shape)


def register(reference: Float, moving: Float, kind: str) -> Matrix:
    """Find the map from the reference's pixels to those of another grey frame.

    Translation by phase correlation, then Gauss-Newton steps on the squared differences over a
    pyramid, with the frame's gain and offset as further unknowns. Large differences, which are
    defocus rather than motion, count less.

    Parameters
    ----------
    reference, moving : ndarray of shape (H, W)
    kind : {"translation", "affine"}

    Returns
    -------
    ndarray of shape (3, 3)
        See `warp`; the identity where nothing is found to go by.
    """
    if min(reference.shape) < LEAST:
        return np.eye(3)
    pyramid = [(reference, moving)]
    while min(pyramid[-1][0].shape) >= 2 * COARSEST:
        pyramid.append((half(pyramid[-1][0]), half(pyramid[-1][1])))
    matrix = np.eye(3)
    one, other = (_windowed(image) for image in pyramid[-1])
    if one.any() and other.any():
        shift = phase_cross_correlation(one, other, normalization=None)[0]
        if (np.abs(shift) < np.array(one.shape) / 4).all():
            matrix[:2, 2] = -shift
    for level, (fixed, other) in enumerate(reversed(pyramid)):
        if level:
            # Pixel centres: position p of a level is 2 p + 1/2 of the next finer one.
            up = np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]])
            matrix = up @ matrix @ np.linalg.inv(up)
        matrix = _refined(fixed, other, matrix, kind)
    return matrix


def _refined(fixed: Float, moving: Float, matrix: Matrix, kind: str) -> Matrix:
    """Gauss-Newton steps at one level of the pyramid."""
    size = (fixed.shape[0], fixed.shape[1])
    target = ndimage.gaussian_filter(fixed, 1.0)
    source = ndimage.gaussian_filter(moving, 1.0)
    middle = np.array(size) / 2
    y, x = (((np.arange(n) - h) / h).astype(np.float32) for n, h in zip(size, middle, strict=True))
    some = (slice(None, None, max(1, min(size) // ENOUGH)),) * 2
    target, y, x = target[some], y[some[0], None], x[some[1]]
    use = inside(matrix, size)[some]
    for _ in range(STEPS):
        seen = np.asarray(warp(source, matrix, order=1))
        gy, gx = np.gradient(seen, axis=0)[some], np.gradient(seen, axis=1)[some]
        seen = seen[some]
        columns = [gy, gx]
        if kind == "affine":
            columns += [gy * y, gy * x, gx * y, gx * x]
        design = np.ones((np.count_nonzero(use), len(columns) + 2))
        for c, column in enumerate([*columns, seen]):
            design[:, c] = column[use]
        difference = (target - seen)[use]
        scale = 1.4826 * np.median(np.abs(difference)) + 1e-6
        # The root of the weights, that both sides of the normal equations have.
        root = 1 / np.sqrt(1 + (difference / (2 * scale)) ** 2)
        design *= root[:, None]
        p = np.linalg.lstsq(design.T @ design, design.T @ (root * difference), rcond=1e-9)[0]
        # d holds the motion in pixels as a function of (row, column, 1).
        d = np.zeros((3, 3))
        d[:2, 2] = p[:2]
        if kind == "affine":
            slopes = np.array(p[2:6]).reshape(2, 2) / middle
            d[:2, :2], d[:2, 2] = slopes, p[:2] - slopes @ middle
        if not np.isfinite(d).all() or np.abs(p[: len(columns)]).max() > size[0] / 4:
            return matrix
        moved = matrix @ (np.eye(3) + d)
        use = inside(moved, size)[some]
        if not use.any():
            return matrix
        matrix = moved
        if np.abs(p[: len(columns)]).max() < SMALL:
            break
    return matrix


def half(image: Float) -> Float:
    """Mean over blocks of 2×2 pixels; an odd last row or column is left out."""
    h, w = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    blocks = image[:h, :w].reshape(h // 2, 2, w // 2, 2, *image.shape[2:])
    return np.asarray(blocks.mean(axis=(1, 3)), np.float32)


def _windowed(image: Float) -> Float:
    """Without mean and borders, which would hold the correlation at no shift."""
    window = np.outer(np.hanning(image.shape[0]), np.hanning(image.shape[1]))
    return np.asarray((image - image.mean()) * window, np.float32)
