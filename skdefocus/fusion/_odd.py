"""Parts of frames that show what the others do not: a hand, a half without light, a torn file.

With three frames or more, the majority knows. Small pictures of the frames are compared, as far as
no blur of one of them explains the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from skdefocus._typing import AnyArray, BoolArray, Float32Array
from skdefocus.fusion._exposure import Gain
from skdefocus.fusion._thumbnails import Thumbnail

#: Number of frames on either side that a frame is compared with; at the ends, of those beyond.
NEIGHBORS = 2
#: Radii, in pixels of the small pictures, of the boxes that a picture is blurred by, twice, to see
#: whether it becomes another: those of most pairs of frames, and all.
NEAR_RADII = (0, 1, 2)
ALL_RADII = (*NEAR_RADII, 4, 8, 16, 32)
#: Radii of the boxes that pictures are averaged over first, as fine detail has any value: for what
#: may be odd, and for what is.
FINE, COARSE = 1, 5
#: Difference of encoded values beyond what is seen within one pixel. Two frames of real stacks
#: differ by up to .08 in places, but no frame from most others by as much.
TOLERANCE = 0.06
#: Light of lamps, in times white.
BEYOND_WHITE = 30.0
#: Share of the neighbors that must differ.
MOST = 2 / 3
#: Share of a place of a small picture that must be opaque for it to be known.
KNOWN = 0.99


class Picture(NamedTuple):
    """A small picture of a frame, kept for the entire stack.

    Attributes
    ----------
    colors : ndarray of shape (h, w, C), float16 in [0, 1]
        Of the exposure of the others.
    white : ndarray of shape (h, w, 1), float16 in [0, 1]
        Share of pixels whose light may be beyond white.
    known : ndarray of shape (h, w), bool
        Places that the frame reaches, where it is opaque.
    """

    colors: AnyArray
    white: AnyArray
    known: BoolArray


class _Ranges(NamedTuple):
    """Range of what may be seen where a picture is blurred.

    Attributes
    ----------
    colors : ndarray of shape (h, w, C)
        The picture.
    low, high : list of ndarray of shape (h, w, C)
        Least and largest values within a pixel, for every blur.
    known : ndarray of shape (h, w), bool
    """

    colors: Float32Array
    low: list[Float32Array]
    high: list[Float32Array]
    known: BoolArray


def picture(small: Thumbnail, gain: Gain | None) -> Picture:
    """Keep what is compared of a frame that coincides with the others."""
    colors = small.colors if gain is None else small.colors * gain.factor
    return Picture(
        np.minimum(colors, 1).astype(np.float16),
        small.clipped[..., None].astype(np.float16),
        small.seen >= KNOWN,
    )


def odd_places(pictures: Mapping[int, Picture]) -> dict[int, BoolArray]:
    """Find where frames show what most of their neighbors, which agree with one another, do not.

    Parameters
    ----------
    pictures : mapping of int to Picture
        By the numbers of the frames.

    Returns
    -------
    dict of int to ndarray of shape (h, w), bool
        Pixels of the small pictures; only of frames that have some.
    """
    numbers = sorted(pictures)
    kept = [pictures[k] for k in numbers]
    likely = _outvoted(kept, FINE, NEAR_RADII)
    if not any(places.any() for places in likely):
        return {}
    found = {}
    for k, near, certain in zip(numbers, likely, _outvoted(kept, COARSE, ALL_RADII), strict=True):
        if certain.any():
            # A wide blur explains the rims of anything.
            places = ndimage.binary_propagation(certain, mask=near | certain)
            found[k] = ndimage.binary_dilation(places, np.ones((3, 3), bool))
    # Somebody must have a say.
    shown = np.any([has_say(pictures[k], found.get(k)) for k in numbers], axis=0)
    found = {k: places & shown for k, places in found.items()}
    return {k: places for k, places in found.items() if places.any()}


def has_say(picture: Picture, odd: BoolArray | None) -> BoolArray:
    """Find where a frame shows something, and nothing odd."""
    return picture.known if odd is None else picture.known & ~odd


def told(places: BoolArray) -> str:
    """Say where a frame shows what the others do not."""
    (top, bottom), (left, right) = (
        (np.flatnonzero(places.any(axis=axis))[[0, -1]] + (0, 1)) / places.shape[1 - axis]
        for axis in (1, 0)
    )
    return (
        f"shows in {places.mean():.1%} of it what the other frames do not (from {left:.0%} to "
        f"{right:.0%} of its width and {top:.0%} to {bottom:.0%} of its height)"
    )


def _outvoted(pictures: Sequence[Picture], smooth: int, radii: Sequence[int]) -> list[BoolArray]:
    """Find where every picture differs from most of those around, of which one hardly differs."""
    number, reach = len(pictures), 2 * NEIGHBORS
    differ: dict[tuple[int, int], BoolArray] = {}
    ranges: dict[int, _Ranges] = {}
    for a in range(number):
        after = range(a + 1, min(a + reach + 1, number))
        for b in (a, *after):
            if b not in ranges:
                ranges[b] = _ranges(pictures[b], smooth, radii)
        own = ranges.pop(a)
        for b in after:
            differ[a, b] = differ[b, a] = _differ(own, ranges[b])
    found = []
    for a in range(number):
        start = min(max(a - NEIGHBORS, 0), max(number - reach - 1, 0))
        around = range(start, min(start + reach + 1, number))
        votes = {b: np.sum([differ[b, c] for c in around if c != b], axis=0) for b in around}
        least = np.min([votes[b] for b in around if b != a], axis=0)
        others = len(around) - 1
        found.append(np.asarray((votes[a] > MOST * others) & (least <= others / 2)))
    return found


def _ranges(seen: Picture, smooth: int, radii: Sequence[int]) -> _Ranges:
    """Blur a picture, in which what is white may have any light up to `BEYOND_WHITE`."""
    colors, white = (
        _averaged(planes.astype(np.float32), smooth) for planes in (seen.colors, seen.white)
    )
    low, high = [], []
    for radius in radii:
        blurred = _averaged(colors, radius)
        low.append(ndimage.minimum_filter(blurred, (3, 3, 1), mode="nearest"))
        most = ndimage.maximum_filter(blurred, (3, 3, 1), mode="nearest")
        if white.any():
            most = np.sqrt(most * most + np.float32(BEYOND_WHITE) * _averaged(white, radius))
        high.append(most)
    # What is averaged with unknown places is unknown as well.
    known = ndimage.minimum_filter(seen.known, 4 * smooth + 1, mode="nearest")
    return _Ranges(colors, low, high, known)


def _averaged(planes: Float32Array, radius: int) -> Float32Array:
    """Average planes (h, w, C) over boxes, twice."""
    side = 2 * radius + 1
    for _ in range(2):
        planes = ndimage.uniform_filter(planes, (side, side, 1), mode="nearest")
    return planes


def _differ(one: _Ranges, other: _Ranges) -> BoolArray:
    """Find where no blur of either picture explains the other."""
    away = np.minimum(_unexplained(one, other), _unexplained(other, one))
    return np.asarray((away > TOLERANCE) & one.known & other.known)


def _unexplained(one: _Ranges, other: _Ranges) -> Float32Array:
    """Least distance of a picture from what may be seen of another."""
    least = np.full(one.known.shape, np.inf, np.float32)
    for low, high in zip(one.low, one.high, strict=True):
        away = np.maximum(low - other.colors, other.colors - high).max(axis=2)
        np.minimum(least, away, out=least)
    return least
