"""The fused picture: chosen pixels, and near seams a weighted mean of the likely ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from skdefocus._grids import Area
from skdefocus._typing import BoolArray, Float32Array
from skdefocus.fusion import _comparison as comparison
from skdefocus.fusion._frames import Frames, View, within
from skdefocus.fusion._labels import Index
from skdefocus.fusion._settings import FuserSettings
from skdefocus.fusion._tiles import by_tiles, tiled
from skdefocus.fusion._windows import inner_box, mirrored

#: σ in pixels of the seams of the composite that frames near seams are compared with.
WIDE_SEAM = 3.0
#: Share of the pixels around one that is inside of a region.
SOLID = 0.9
#: Largest score, so that weights do not overflow.
MOST = 40.0
#: Side in pixels of the tiles in which a frame is added where it has weight.
SIDE = 128


def spread(where: BoolArray, sigma: float) -> Float32Array:
    """Compute the share of True around every pixel, by two box means with a joint σ of `sigma`."""
    radius = max(round((np.sqrt(6 * sigma**2 + 1) - 1) / 2), 1)

    def of_area(area: Area) -> Float32Array:
        part = mirrored(where, area, 2 * radius)
        if part.any() and not part.all():
            return inner_box(inner_box(part.astype(np.float32), radius), radius)
        return np.full(where[area].shape, part.flat[0], np.float32)

    return by_tiles(of_area, where.shape, tiled(where.shape, None, SIDE))


class Blend:
    """Weighted mean of the frames, added one by one."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        # Channel by channel, as weights apply to all of them.
        self._shape = shape
        self._mean = np.zeros((*shape[2:], *shape[:2]), np.float32)
        self._weights = np.zeros(shape[:2], np.float32)

    def add(self, of_area: Callable[[Area], Float32Array], weights: Float32Array) -> None:
        """Add a frame; pixels of weight 0 are as if there was none.

        `of_area` gives its values in an area.
        """
        for area in tiled(weights.shape, weights > 0, SIDE):
            self._add(of_area(area), weights[area], area)

    def _add(self, image: Float32Array, weights: Float32Array, area: Area) -> None:
        """Add a part of a frame."""
        mean, total = self._mean[..., area[0], area[1]], self._weights[area]
        image = image if image.ndim == 2 else np.ascontiguousarray(np.moveaxis(image, 2, 0))
        if not total.any():
            np.copyto(mean, image, where=weights > 0)
            total[...] = weights
            return
        total += weights
        share = np.zeros_like(weights)
        np.divide(weights, total, out=share, where=weights > 0)
        # Between both in spite of rounding: the mean stays within the frames' range.
        low, high = np.minimum(mean, image), np.maximum(mean, image)
        image = image - mean
        image *= share
        image += mean
        np.maximum(image, low, out=image)
        np.minimum(image, high, out=mean)

    @property
    def image(self) -> Float32Array:
        """The mean; 0 where nothing was added."""
        if len(self._shape) == 2:
            return self._mean
        return np.ascontiguousarray(np.moveaxis(self._mean, 0, 2))


def blended(
    frames: Frames, index: Index, settings: FuserSettings, forced: Index | None = None
) -> Float32Array:
    """Take the chosen pixels, and near seams the mean of what may be the nearest to the truth.

    Where two frames meet, the choice is off by some pixels often, and no frame shows the truth.
    The mean of them, weighted by how likely each is the one, errs least. The frames are compared
    with a composite whose seams are wide, so that it leans to neither side. Pixels that `forced`
    gives to a frame, by a number of at least 0, are of that frame alone.
    """
    used = [int(k) for k in np.flatnonzero(np.bincount(index.ravel()))]
    fused = Blend(frames.shape)
    if len(used) == 1 or settings.feather == 0:
        for k in used:
            weight = (index == k).astype(np.float32)
            fused.add(frames.colors(k), within(weight, frames.shown(k), 0))
        return fused.image
    size = (frames.shape[0], frames.shape[1])
    seams, lit = Blend(size), np.zeros(size, bool)
    reached, several = np.zeros(size, bool), np.zeros(size, bool)
    for k in used:
        view = frames.view(k)
        near = spread(index == k, settings.feather) > 0
        several |= near & reached
        reached |= near
        weight = spread(index == k, WIDE_SEAM)
        seams.add(view.gray.__getitem__, within(weight, view.valid, 0))
        if view.lit is not None:
            lit |= view.lit & (weight > 0)
    composite = View(seams.image, lit if lit.any() else None, None, frames.noise)
    trials = comparison.Trials(composite.gray, composite.lit).keep(several)
    for k in used:
        raw = frames.read(k)
        view, weight = frames.view(k, raw), spread(index == k, settings.feather)
        # Of a thing so small that it has no inner pixels, the weights are small, too.
        thin = spread(weight > SOLID, settings.feather) == 0
        score = comparison.score(view, composite, trials, several & (weight > 0), thin)
        # Where there is no other frame, any weight is as good.
        weight *= np.exp(np.minimum(score, MOST))
        weight = within(weight, view.valid, 0)
        if forced is not None:
            np.copyto(weight, (forced == k).astype(np.float32), where=forced >= 0)
        fused.add(frames.colors(k, raw), weight)
    return fused.image
