"""Motion between frames of a focus stack: shifts, and affine maps for focus breathing."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from skdefocus._typing import BoolArray, Float32Array, Float64Array

#: Coarsest level of the pyramid: its shorter side in pixels.
COARSEST = 64
#: Finest level: the longest that its shorter side may be. Motion is found to some hundredths of its
#: pixels.
FINEST = 1024
#: Steps per level at most, and the motion in pixels at which they end.
STEPS, SMALL = 8, 0.01
#: Shorter sides below this show no motion: the window is 0 all over, or there is no gradient.
LEAST = 3
#: Part of the unlikeness without motion that a motion has to leave less than.
STILL = 0.98
#: Share of the points that a motion is judged by. Beside the others is what only one frame shows.
LIKE = 0.9
#: Points that are compared at most, the one of the strongest gradient in each cell of a grid.
POINTS = 60_000
#: σ in pixels of the blur that goes before gradients: much of what defocus differs by is gone then.
SMOOTH = 3.0

#: From the pixels of a level to those of the next finer one: position p is 2 p + 1/2 there.
UP = np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]])


class Pyramid(NamedTuple):
    """A gray frame, smoothed, and reduced by 2 again and again.

    Attributes
    ----------
    levels : list of ndarray of shape (h, w)
        Finest first.
    skipped : int
        Levels of the frame that are finer still.
    guess : ndarray of shape (3, 3) or None
        A map to this frame's pixels that may be near, such as that of the frames before.
    """

    levels: list[Float32Array]
    skipped: int
    guess: Float64Array | None = None


class Points(NamedTuple):
    """Points of the reference at one level of the pyramid, with values and gradients."""

    rows: Float64Array
    columns: Float64Array
    values: Float64Array
    slopes: Float64Array


def pyramid(gray: Float32Array) -> Pyramid:
    """Make what `register` compares, finest first."""
    skipped = 0
    while min(gray.shape) > FINEST:
        gray, skipped = half(gray), skipped + 1
    levels = [gray]
    while min(levels[-1].shape) >= 2 * COARSEST:
        levels.append(half(levels[-1]))
    return Pyramid([ndimage.gaussian_filter(level, SMOOTH) for level in levels], skipped)


def register(reference: Pyramid, moving: Pyramid, kind: str) -> Float64Array:
    """Find the map from the reference's pixels to those of another frame.

    At the coarsest level it begins with the best of no motion, a shift by phase correlation and the
    guess. Gauss-Newton steps on squared differences follow from level to level, with the frame's
    gain and offset as further unknowns, at points of strong gradients of the reference (inverse
    compositional: Baker and Matthews, IJCV 2004). Large differences, which are defocus rather than
    motion, count less. A level that does not bring the frames closer leaves things as they are.

    Parameters
    ----------
    reference, moving : Pyramid
        Of frames of one size.
    kind : {"translation", "affine"}

    Returns
    -------
    ndarray of shape (3, 3)
        See :func:`skdefocus.fusion._warping.warp`; the identity where nothing is found to go by.
    """
    fixed, other = reference.levels, moving.levels
    if min(fixed[0].shape) < LEAST:
        return np.eye(3)
    points = _points(fixed[-1])
    starts = [np.eye(3), _shift(fixed[-1], other[-1])]
    if moving.guess is not None:
        starts.append(_at_level(moving.guess, -(len(fixed) - 1 + reference.skipped)))
    matrix = max(starts, key=lambda m: _likeness(points, other[-1], m))
    for level in reversed(range(len(fixed))):
        points = _points(fixed[level])
        found = _refined(points, other[level], matrix, kind)
        if _likeness(points, other[level], found) > _likeness(points, other[level], matrix):
            matrix = found
        if level:
            matrix = _at_level(matrix, 1)
    # What is hardly better than no motion is the defocus.
    moved, still = (1 - _likeness(points, other[0], m) for m in (matrix, np.eye(3)))
    return _at_level(matrix, reference.skipped) if moved < STILL * still else np.eye(3)


def _at_level(matrix: Float64Array, finer: int) -> Float64Array:
    """Give a map in the pixels of a level that is finer by so many, or coarser."""
    up = np.linalg.matrix_power(UP, finer)
    return np.asarray(up @ matrix @ np.linalg.inv(up), np.float64)


def _shift(one: Float32Array, other: Float32Array) -> Float64Array:
    """Motion by phase correlation; none where it is not plausible."""
    matrix = np.eye(3)
    one, other = _windowed(one), _windowed(other)
    if one.any() and other.any():
        shift = phase_cross_correlation(one, other, normalization=None)[0]
        if (np.abs(shift) < np.array(one.shape) / 4).all():
            matrix[:2, 2] = -shift
    return matrix


def _points(image: Float32Array) -> Points:
    """Choose the strongest gradient of every cell."""
    gy, gx = (np.asarray(np.gradient(image, axis=axis), np.float32) for axis in (0, 1))
    cell = max(1, math.ceil(math.sqrt(image.size / POINTS)))
    h, w = image.shape[0] // cell, image.shape[1] // cell
    strength = (gy * gy + gx * gx)[: h * cell, : w * cell]
    inner = strength.reshape(h, cell, w, cell).swapaxes(1, 2).reshape(h, w, -1).argmax(axis=2)
    rows = (np.arange(h)[:, None] * cell + inner // cell).ravel()
    columns = (np.arange(w) * cell + inner % cell).ravel()
    slopes = np.stack([gy[rows, columns], gx[rows, columns]], axis=1).astype(float)
    values = image[rows, columns].astype(float)
    return Points(rows.astype(float), columns.astype(float), values, slopes)


def _seen(
    points: Points, moving: Float32Array, matrix: Float64Array
) -> tuple[Float64Array, BoolArray]:
    """Values of the frame at the points, and which of them it reaches."""
    at = [m[0] * points.rows + m[1] * points.columns + m[2] for m in matrix[:2]]
    use = np.ones(len(points.rows), bool)
    for positions, size in zip(at, moving.shape, strict=True):
        use &= (positions >= 0) & (positions <= size - 1)
    seen = ndimage.map_coordinates(moving, at, order=1, mode="nearest", output=np.float64)
    return seen, use


def _likeness(points: Points, moving: Float32Array, matrix: Float64Array) -> float:
    """Correlation of the frames at all but the most unlike points; -1 without overlap."""
    seen, use = _seen(points, moving, matrix)
    if np.count_nonzero(use) < max(1, len(use) // 16):
        return -1.0
    a, b = _centered(points.values[use]), _centered(seen[use])
    difference = np.abs(b - a * ((a @ b) / (a @ a + 1e-30)))
    like = difference <= np.quantile(difference, LIKE)
    a, b = _centered(a[like]), _centered(b[like])
    return float((a @ b) / np.sqrt((a @ a) * (b @ b) + 1e-30))


def _centered(values: Float64Array) -> Float64Array:
    return values - values.mean()


def _refined(points: Points, moving: Float32Array, matrix: Float64Array, kind: str) -> Float64Array:
    """Gauss-Newton steps at one level of the pyramid."""
    middle = np.array(moving.shape) / 2
    y, x = (points.rows - middle[0]) / middle[0], (points.columns - middle[1]) / middle[1]
    gy, gx = points.slopes.T
    columns = [gy, gx] if kind == "translation" else [gy, gx, gy * y, gy * x, gx * y, gx * x]
    design = np.stack([*columns, points.values, np.ones(len(y))], axis=1)
    motions = len(columns)
    for _ in range(STEPS):
        seen, use = _seen(points, moving, matrix)
        if np.count_nonzero(use) <= motions:
            return matrix
        difference = (seen - points.values)[use]
        scale = 1.4826 * np.median(np.abs(difference)) + 1e-6
        # The root of the weights, that both sides of the normal equations have.
        root = 1 / np.sqrt(1 + (difference / (3 * scale)) ** 2)
        rows = design[use] * root[:, None]
        p = np.linalg.lstsq(rows.T @ rows, rows.T @ (root * difference), rcond=1e-9)[0]
        # d holds the reference's motion in pixels as a function of (row, column, 1).
        d = np.zeros((3, 3))
        d[:2, 2] = p[:2]
        if kind == "affine":
            slopes = np.array(p[2:6]).reshape(2, 2) / middle
            d[:2, :2], d[:2, 2] = slopes, p[:2] - slopes @ middle
        largest = np.abs(p[:motions]).max()
        if not np.isfinite(d).all() or largest > moving.shape[0] / 4:
            return matrix
        moved = matrix @ np.linalg.inv(np.eye(3) + d)
        if not _seen(points, moving, moved)[1].any():
            return matrix
        matrix = moved
        if largest < SMALL:
            break
    return matrix


def half(image: Float32Array) -> Float32Array:
    """Mean over blocks of 2×2 pixels; an odd last row or column is left out."""
    h, w = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    rows = image[0:h:2] + image[1:h:2]
    return np.asarray((rows[:, 0:w:2] + rows[:, 1:w:2]) * np.float32(0.25), np.float32)


def _windowed(image: Float32Array) -> Float32Array:
    """Without mean and borders, which would hold the correlation at no shift."""
    window = np.outer(np.hanning(image.shape[0]), np.hanning(image.shape[1]))
    return np.asarray((image - image.mean()) * window, np.float32)
