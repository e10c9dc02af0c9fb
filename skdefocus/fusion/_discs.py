"""Discs of lamps: in which pixels of which frames a lamp out of focus hides what is around it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

from skdefocus._images import scaled
from skdefocus._typing import AnyArray, BoolArray, Float32Array, Float64Array, IndexArray

#: Pixels of the largest lamp, and the number of lamps that are looked at, the largest first.
LARGEST, MOST = 1000, 400
#: Directions and distances in pixels in which light is compared with that of the lamp's frame.
ANGLES = np.arange(16) * (2 * np.pi / 16)
RADII = np.geomspace(1, 125, 84)
#: Of a frame without any, see `specks`.
NO_SPECKS = np.empty((0, 3))
#: A lamp is crisp: so far beyond its border, in pixels, light has fallen by at least `CRISP` of
#: what it falls up to `FAR` pixels, and by this part of its own there.
NEAR, FAR, CRISP, LEAST_FALL = 1.5, 6.0, 0.8, 0.15
#: Light by which frames differ without any lamp.
ALIKE = 0.008
#: A disc ends where its light is less than this part of the most in it; and what is masked beyond,
#: as a factor and in pixels, for rims that are not quite round or crisp.
RIM, FACTOR, MARGIN = 0.5, 1.1, 1.0
#: A soft disc is masked until there is less than this part of the most in it, at most up to so many
#: times the radius.
FAINT, MOST_FAINT = 0.02, 2.5
SOFT, SOFTNESS = 0.7, 0.85
#: Around a disc, from and to these factors of its radius, frames differ by less than this part of
#: the most in it.
OUT, ELSEWHERE = (1.2, 1.8), 0.3
#: Light that a disc has more than the lamp's frame around the lamp, in parts of that of the lamp,
#: from which it must be brighter than white. Where a disc is clipped itself, it has some more.
BEYOND, CLIPPED, AT_LEAST = 2.0, 0.97, 0.3


class Lamps(NamedTuple):
    """Small things that are clipped to white.

    Attributes
    ----------
    centers : ndarray of shape (n, 2)
        Rows and columns.
    areas : ndarray of shape (n,)
        In pixels.
    frames : ndarray of shape (n,), int
        Numbers of the frames in which they are the smallest.
    """

    centers: Float64Array
    areas: Float64Array
    frames: IndexArray


def brightest(image: AnyArray) -> Float32Array:
    """Give the brightest channel (H, W) of a checked photograph: lamps may be of any color."""
    channels = (image,) if image.ndim == 2 else np.moveaxis(image, 2, 0)
    return scaled(reduce(np.maximum, channels))


def specks(gray: Float32Array, lit: BoolArray) -> Float64Array:
    """Find the small and crisp things in a frame that are clipped, the largest of them if many.

    Returns
    -------
    ndarray of shape (n, 3)
        Rows, columns, and areas in pixels.
    """
    regions, _ = ndimage.label(lit, np.ones((3, 3), bool))
    areas = np.bincount(regions.ravel())
    areas[0] = 0  # of what is not clipped
    numbers = np.flatnonzero((areas > 0) & (areas <= LARGEST))
    numbers = numbers[np.argsort(-areas[numbers], kind="stable")[:MOST]]
    if not len(numbers):
        return NO_SPECKS
    small = np.zeros(len(areas), bool)
    small[numbers] = True
    at = np.nonzero(small[regions])
    centers = np.column_stack(
        [np.bincount(regions[at], x, len(areas))[numbers] / areas[numbers] for x in at]
    )
    radii = np.sqrt(areas[numbers] / np.pi)[:, None, None]
    own, near, far = (
        np.median(_light(gray, centers, r), axis=(1, 2))
        for r in (0.5 * radii, radii + NEAR, radii + FAR)
    )
    crisp = (own - near >= CRISP * (own - far)) & (own - far >= LEAST_FALL * own)
    return np.column_stack([centers, areas[numbers]])[crisp]


def lamps_of(found: Mapping[int, Float64Array]) -> Lamps | None:
    """Take specks of all frames at one place for one lamp, in focus where it is the smallest.

    `found` are the specks of frames, by their numbers, in common pixels.
    """
    rows = np.concatenate([np.column_stack([s, np.full(len(s), k)]) for k, s in found.items()])
    if not len(rows):
        return None
    rows = rows[np.argsort(rows[:, 2], kind="stable")]
    radii = np.sqrt(rows[:, 2] / np.pi) + NEAR
    near = KDTree(rows[:, :2]).query_ball_point(rows[:, :2], radii)
    kept = np.zeros(len(rows), bool)
    for k, others in enumerate(near):
        kept[k] = not kept[others].any()
    rows = rows[kept][-MOST:]
    return Lamps(rows[:, :2], rows[:, 2], rows[:, 3].astype(np.intp))


def light_around(gray: Float32Array, centers: Float64Array) -> NDArray[np.float16]:
    """Look up the light around places of a frame, shape (n, radii, angles).

    In half precision, as that of all frames is needed at once.
    """
    return _light(gray, centers, RADII[:, None]).astype(np.float16)


def _light(gray: Float32Array, centers: Float64Array, radii: NDArray[np.floating]) -> Float32Array:
    """Look up light around places in all directions, by radii that broadcast to (n, radii, 1)."""
    rows, columns = (
        centers[:, axis, None, None] + radii * wave(ANGLES)
        for axis, wave in enumerate((np.sin, np.cos))
    )
    values = ndimage.map_coordinates(gray, [rows, columns], order=1, mode="nearest")
    return np.asarray(values * values)


def reach_of_discs(
    lamps: Lamps, around: Mapping[int, NDArray[np.float16]]
) -> dict[int, Float64Array]:
    """Measure how far discs reach, in the light around the lamps in all frames.

    Returns
    -------
    dict of int to ndarray of shape (n,)
        By the number of each frame, the radius of every lamp's disc in pixels; 0 is no disc.
    """
    numbers = sorted(around)
    own = np.stack([around[k][i] for i, k in enumerate(lamps.frames)])
    found = [_measured(around[k], own, lamps.areas) for k in numbers]
    reach, brighter = (np.stack(planes) for planes in zip(*found, strict=True))
    reach[:, brighter.max(axis=0) < BEYOND] = 0
    at = np.searchsorted(numbers, lamps.frames)
    # From the lamps' frames to both ends, discs do not become smaller.
    for step in (1, -1):
        most = np.zeros(len(at))
        for j in range(len(numbers))[::step]:
            outwards = step * (j - at) > 0
            np.copyto(reach[j], most, where=outwards & np.isnan(reach[j]))
            most = np.where(outwards, np.fmax(most, reach[j]), 0)
    return dict(zip(numbers, reach, strict=True))


def _measured(
    light: NDArray[np.float16], own: NDArray[np.float16], areas: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Measure the discs in a frame: how far they reach, and their light in parts of the lamps'.

    `light` and `own` are around the lamps in that frame and in their own. NaN is for a disc that
    is not told from what is around it.
    """
    # Three in four directions must agree: some of what is around is sharper in one of the frames.
    low, more = np.quantile(light.astype(np.float32) - own, (0.25, 0.5), axis=2)
    outer = np.sqrt(areas / np.pi)[:, None] + 0.5 < RADII
    more *= outer
    disc, radius = _within(
        (low >= ALIKE) & (more >= RIM * np.maximum.accumulate(more, axis=1)), outer
    )
    peak = (more * disc).max(axis=1, keepdims=True)
    soft = np.max(np.where(disc & (more >= SOFT * peak), RADII, 1), axis=1, keepdims=True)
    faint = (low >= np.maximum(FAINT * peak, ALIKE)) & (MOST_FAINT * radius > RADII)
    end = np.where(soft < SOFTNESS * radius, _within(faint, outer)[1], radius)
    ring = (end * OUT[0] + 1 < RADII) & (end * OUT[1] + 2 > RADII)
    outside = (np.abs(more) * ring).sum(axis=1) / np.maximum(ring.sum(axis=1), 1)
    told = ring.any(axis=1) & (outside < ELSEWHERE * peak[:, 0])
    clipped = np.median(light, axis=2) > CLIPPED
    rings = 2 * np.pi * np.log(RADII[1]) * RADII**2  # areas of rings of these radii
    total = ((more + AT_LEAST * clipped) * disc * rings).sum(axis=1)
    lamp = areas * np.maximum(np.median(own[:, 0], axis=1), ALIKE)
    reach = np.maximum(FACTOR * radius, end)[:, 0] + MARGIN
    reach = np.where(told, reach, np.nan)
    return np.where(disc.any(axis=1), reach, 0), told * total / lamp


def _within(holds: BoolArray, outer: BoolArray) -> tuple[BoolArray, Float64Array]:
    """Follow the radii outwards from the first of `outer`, as long as something holds.

    Give these radii as a mask of shape (n, radii), and the last of them, shape (n, 1).
    """
    inside = np.logical_and.accumulate(holds | ~outer, axis=1) & outer
    last = len(RADII) - 1 - np.argmax(inside[:, ::-1], axis=1)
    return inside, RADII[last][:, None]


def covered(centers: Float64Array, radii: Float64Array, shape: tuple[int, int]) -> BoolArray:
    """Find the pixels of a frame in any of some discs."""
    out = np.zeros(shape, bool)
    for (row, column), radius in zip(centers[radii > 0], radii[radii > 0], strict=True):
        box = tuple(
            slice(max(int(middle - radius), 0), max(int(middle + radius) + 2, 0))
            for middle in (row, column)
        )
        part = out[box]
        rows, columns = np.ogrid[box]
        part |= np.hypot(rows[: len(part)] - row, columns[:, : part.shape[1]] - column) <= radius
    return out
