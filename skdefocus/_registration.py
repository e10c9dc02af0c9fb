"""Motion between frames of a focus stack: shifts, and affine maps for focus breathing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
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
#: Differences that have half of the weight, in standard deviations.
OUTLIER = 1.5
#: Points that are compared at most, the one of the strongest gradient in each cell of a grid.
POINTS = 30_000
#: σ in pixels of the blur that goes before gradients: much of what defocus differs by is gone then.
SMOOTH = 3.0

#: From the pixels of a level to those of the next finer one: position p is 2 p + 1/2 there.
UP = np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]])


@dataclass(frozen=True, eq=False)
class Level:
    """A level of a pyramid.

    Attributes
    ----------
    image : ndarray of shape (h, w)
    reach : ndarray of shape (h, w), bool, or None
        Where that shows the frame; None is everywhere.
    """

    image: Float32Array
    reach: BoolArray | None

    @cached_property
    def points(self) -> Points:
        """Points to compare other frames at: the strongest gradient of every cell."""
        return _points(self)


class Pyramid(NamedTuple):
    """A gray frame, smoothed, and reduced by 2 again and again.

    Attributes
    ----------
    levels : list of Level
        Finest first.
    skipped : int
        Levels of the frame that are finer still.
    guess : ndarray of shape (3, 3) or None
        A map to this frame's pixels that may be near, such as that of the frames before.
    """

    levels: list[Level]
    skipped: int
    guess: Float64Array | None = None


class Points(NamedTuple):
    """Points of the reference at one level of the pyramid, with values and derivatives."""

    rows: Float64Array
    columns: Float64Array
    values: Float64Array
    slopes: Float64Array
    curvature: Float64Array


def pyramid(gray: Float32Array, opaque: BoolArray | None = None) -> Pyramid:
    """Make what `register` compares, finest first; what is not `opaque` is not compared."""
    levels, skipped = _halved(gray)
    reach: list[BoolArray] | list[None] = [None] * len(levels)
    if opaque is not None:
        beyond, size = _halved((~opaque).astype(np.float32))[0], 2 * math.ceil(SMOOTH) + 1
        reach = [ndimage.maximum_filter(plane, size) == 0 for plane in beyond]
    smooth = (ndimage.gaussian_filter(level, SMOOTH) for level in levels)
    return Pyramid([Level(*level) for level in zip(smooth, reach, strict=True)], skipped)


def _halved(plane: Float32Array) -> tuple[list[Float32Array], int]:
    """Halve a plane again and again; give what is compared, and how often it was halved before."""
    skipped = 0
    while min(plane.shape) > FINEST:
        plane, skipped = half(plane), skipped + 1
    levels = [plane]
    while min(levels[-1].shape) >= 2 * COARSEST:
        levels.append(half(levels[-1]))
    return levels, skipped


def register(reference: Pyramid, moving: Pyramid, kind: str) -> Float64Array:
    """Find the map from the reference's pixels to those of another frame.

    At the coarsest level it begins with the best of no motion, a shift by phase correlation and the
    guess. Gauss-Newton steps on squared differences follow from level to level, at points of strong
    gradients of the reference (inverse compositional: Baker and Matthews, IJCV 2004). The frame's
    gain and offset are further unknowns, and so is how much more it is blurred, as a quadratic
    function of the position: to the first order, blur adds a multiple of the Laplacian. What still
    differs much counts less. A level that does not bring the frames closer leaves things as they
    are. What comes of it is averaged with the inverse of the map that steps from the other frame
    lead to, as defocus misleads both in opposite directions.

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
    if min(fixed[0].image.shape) < LEAST:
        return np.eye(3)
    starts = [np.eye(3), _shift(fixed[-1].image, other[-1].image)]
    if moving.guess is not None:
        starts.append(_at_level(moving.guess, -(len(fixed) - 1 + reference.skipped)))
    matrix = max(starts, key=lambda m: _likeness(fixed[-1].points, other[-1], m))
    for level in reversed(range(len(fixed))):
        matrix = _closer(fixed[level].points, other[level], matrix, kind)
        if level:
            matrix = _at_level(matrix, 1)
    back = _closer(other[0].points, fixed[0], np.linalg.inv(matrix), kind, 1 / STILL)
    matrix = (matrix + np.linalg.inv(back)) / 2
    # What is hardly better than no motion is the defocus.
    moved, still = (1 - _likeness(fixed[0].points, other[0], m) for m in (matrix, np.eye(3)))
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


def _points(level: Level) -> Points:
    """Choose the strongest gradient of every cell."""
    image = level.image
    gy, gx = (np.asarray(np.gradient(image, axis=axis), np.float32) for axis in (0, 1))
    cell = max(1, math.ceil(math.sqrt(image.size / POINTS)))
    h, w = image.shape[0] // cell, image.shape[1] // cell
    strength = (gy * gy + gx * gx)[: h * cell, : w * cell]
    inner = strength.reshape(h, cell, w, cell).swapaxes(1, 2).reshape(h, w, -1).argmax(axis=2)
    rows = (np.arange(h)[:, None] * cell + inner // cell).ravel()
    columns = (np.arange(w) * cell + inner % cell).ravel()
    if level.reach is not None:
        reached = level.reach[rows, columns]
        rows, columns = rows[reached], columns[reached]
    slopes = np.stack([gy[rows, columns], gx[rows, columns]], axis=1).astype(float)
    values = image[rows, columns].astype(float)
    curvature = ndimage.laplace(image)[rows, columns].astype(float)
    return Points(rows.astype(float), columns.astype(float), values, slopes, curvature)


def _seen(points: Points, moving: Level, matrix: Float64Array) -> tuple[Float64Array, BoolArray]:
    """Values of the frame at the points, and which of them it reaches."""
    at = [m[0] * points.rows + m[1] * points.columns + m[2] for m in matrix[:2]]
    use = np.ones(len(points.rows), bool)
    for positions, size in zip(at, moving.image.shape, strict=True):
        use &= (positions >= 0) & (positions <= size - 1)
    if moving.reach is not None:
        use &= ndimage.map_coordinates(moving.reach, at, order=0, mode="nearest")
    seen = ndimage.map_coordinates(moving.image, at, order=1, mode="nearest", output=np.float64)
    return seen, use


def _likeness(points: Points, moving: Level, matrix: Float64Array) -> float:
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


def _closer(
    points: Points, moving: Level, matrix: Float64Array, kind: str, most: float = 1.0
) -> Float64Array:
    """Refine a motion at a level, if that leaves `most` of the frames' unlikeness or less."""
    found = _refined(points, moving, matrix, kind)
    after, before = (1 - _likeness(points, moving, m) for m in (found, matrix))
    return found if after <= most * before else matrix


def _refined(points: Points, moving: Level, matrix: Float64Array, kind: str) -> Float64Array:
    """Gauss-Newton steps at one level of the pyramid."""
    middle = np.array(moving.image.shape) / 2
    y, x = (points.rows - middle[0]) / middle[0], (points.columns - middle[1]) / middle[1]
    gy, gx = points.slopes.T
    columns = [gy, gx] if kind == "translation" else [gy, gx, gy * y, gy * x, gx * y, gx * x]
    # Frames that are blurred differently differ by what is near a multiple of the curvature.
    blurs = [points.curvature * factor for factor in (1, y, x, y * y, y * x, x * x)]
    design = np.stack([*columns, *blurs, points.values, np.ones(len(y))], axis=1)
    motions = len(columns)
    others = np.zeros(design.shape[1] - motions)
    for _ in range(STEPS):
        seen, use = _seen(points, moving, matrix)
        if np.count_nonzero(use) <= design.shape[1]:
            return matrix
        difference = (seen - points.values)[use]
        rows = design[use]
        left = difference - rows[:, motions:] @ others
        scale = 1.4826 * np.median(np.abs(left)) + 1e-6
        # The root of the weights, that both sides of the normal equations have.
        root = 1 / np.sqrt(1 + (left / (OUTLIER * scale)) ** 2)
        rows *= root[:, None]
        p = np.linalg.lstsq(rows.T @ rows, rows.T @ (root * difference), rcond=1e-9)[0]
        others = p[motions:]
        # d holds the reference's motion in pixels as a function of (row, column, 1).
        d = np.zeros((3, 3))
        d[:2, 2] = p[:2]
        if kind == "affine":
            slopes = np.array(p[2:6]).reshape(2, 2) / middle
            d[:2, :2], d[:2, 2] = slopes, p[:2] - slopes @ middle
        largest = np.abs(p[:motions]).max()
        if not np.isfinite(d).all() or largest > moving.image.shape[0] / 4:
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
