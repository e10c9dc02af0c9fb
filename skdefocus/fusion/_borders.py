"""Black borders of frames that another program has aligned: there they show nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from skdefocus._typing import AnyArray, BoolArray, Float64Array
from skdefocus.fusion._thumbnails import any_above, limit

#: Encoded values up to which a border is black, also next to a picture in JPEG, and on the mean.
BLACK, MEAN = 16 / 255, 4 / 255
#: Share of a side up to which it may be a border's depth.
DEEPEST = 0.2
#: Pixels by which a border's edge may be off a straight line, share of it that must not be nearer
#: to the side, and share that must be on the line: next to it, there may be black things.
STRAIGHT, NEARER, ON = 2.5, 0.97, 0.6
#: Number of places, or up to twice that, that the line is drawn through.
PLACES = 200
#: Pixels beyond the edge between which the picture gets no brighter, as it does along the edge of
#: a black thing that is out of focus, and least part of the light at the nearer ones.
BEYOND, CRISP = (2, 6), 0.7
#: Pixels next to a border that are black in part, or disturbed by JPEG.
MARGIN = 3
#: Sides by quarter turns, counterclockwise, after which they are on top.
SIDES = ("top", "right", "bottom", "left")


class Borders(NamedTuple):
    """Black borders of a frame.

    Attributes
    ----------
    sides : frozenset of str
        Where they are.
    dark : frozenset of str
        Sides along which half of the outermost pixels are black; all of `sides` are.
    where : ndarray of shape (H, W), bool, or None
        Their pixels; None without any.
    """

    sides: frozenset[str]
    dark: frozenset[str]
    where: BoolArray | None


#: Of frames whose alpha tells what they show.
NO_BORDERS = Borders(frozenset(), frozenset(), None)


def black_borders(image: AnyArray) -> Borders:
    """Find the black borders of a checked photograph (H, W) or (H, W, C).

    A border is black from the side of the photograph to a crisp straight edge, which may be at an
    angle.
    """
    planes = image[..., None] if image.ndim == 2 else image
    where, sides, dark = np.zeros(planes.shape[:2], bool), [], []
    for turns, side in enumerate(SIDES):
        turned = np.rot90(planes, turns)
        if any_above(turned[:1], limit(turned, BLACK)).mean() > 1 / 2:
            continue
        dark.append(side)
        if (edge := _edge(turned)) is not None:
            sides.append(side)
            depth = edge + MARGIN * (edge > 0)
            np.rot90(where, turns)[np.arange(len(turned))[:, None] < depth] = True
    return Borders(frozenset(sides), frozenset(dark), where if sides else None)


def of_their_own(borders: Mapping[int, Borders]) -> dict[int, frozenset[str]]:
    """Choose the sides, by the numbers of the frames, that are not dark in some other frame.

    What is dark at the side of all frames is part of the scene.
    """
    common = frozenset(SIDES).intersection(*(found.dark for found in borders.values()))
    return {k: found.sides - common for k, found in borders.items() if found.sides - common}


def black_along(sides: frozenset[str]) -> str:
    """Say where a frame has black borders that others do not have."""
    edges = " and ".join(side for side in SIDES if side in sides)
    return f"is black along its {edges} edge{'s'[: len(sides) - 1]}, where other frames are not"


def _edge(planes: AnyArray) -> Float64Array | None:
    """Find how deep the border on top is in every column; None if there is none."""
    band = planes[: max(1, round(DEEPEST * len(planes)))]
    seen = any_above(band, limit(band, BLACK))
    depth = np.where(seen.any(axis=0), seen.argmax(axis=0), len(band))
    # Corners belong to the borders on the left and on the right.
    inner = np.flatnonzero((depth > 0) & (depth < len(band)))
    if len(inner) < max(2, band.shape[1] / 2):
        return None
    # By the median of the slopes (Theil and Sen).
    at = inner[:: max(1, len(inner) // PLACES)]
    one, other = np.triu_indices(len(at), 1)
    slope = np.median((depth[at[other]] - depth[at[one]]) / (at[other] - at[one]))
    start = np.median(depth[at] - slope * at)
    edge = np.maximum(start + slope * np.arange(band.shape[1]), 0)
    off = (depth - edge)[depth < len(band)]
    straight = (off >= -STRAIGHT).mean() >= NEARER and (np.abs(off) <= STRAIGHT).mean() >= ON
    border = band[np.arange(len(band))[:, None] < edge - 1]
    if not (straight and len(border) and border.max(axis=1).mean() <= limit(band, MEAN)):
        return None
    near, far = (
        planes[np.minimum(depth[inner] + beyond, len(planes) - 1), inner].max(axis=1).mean()
        for beyond in BEYOND
    )
    return edge if near >= CRISP * far else None
