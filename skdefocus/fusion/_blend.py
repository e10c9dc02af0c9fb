"""The fused picture: chosen pixels, and near seams a weighted mean of the likely ones.

There, fine detail is averaged apart, where the frame that shows more of it counts for more: next to
a thing in front, one frame shows the background blurred, and the other one all its detail, but
through a veil.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from skdefocus._grids import Area, full_area, grown, repeated, seen_from
from skdefocus._images import to_gray
from skdefocus._typing import BoolArray, Float32Array
from skdefocus.fusion import _comparison as comparison
from skdefocus.fusion._frames import Frames, View, within
from skdefocus.fusion._labels import Index
from skdefocus.fusion._prominence import FEW_LAMPS
from skdefocus.fusion._settings import FuserSettings
from skdefocus.fusion._tiles import by_tiles, tiled
from skdefocus.fusion._wide import CELL
from skdefocus.fusion._windows import inner_box, mirrored

#: σ in pixels of the seams of the composite that frames near seams are compared with.
WIDE_SEAM = 3.0
#: Share of the pixels around one that is inside of a region.
SOLID = 0.9
#: Largest score, so that weights do not overflow.
MOST = 40.0
#: Radius in pixels of the boxes, one after the other, whose mean is without fine detail, and pixels
#: around an area that it depends on.
FINE, HALO = 1, 2
#: Power of its energy by which fine detail counts, and what is added to that energy first, in
#: variances of the noise.
POWER, UNSURE = 1.5, 8.0
#: The latter at least, so that weights do not overflow.
LEAST_ENERGY = 1e-6
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
            self.put(of_area(area), weights[area], area)

    def put(self, image: Float32Array, weights: Float32Array, area: Area) -> None:
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
        """A copy of the mean (H, W[, C]); 0 where nothing was added."""
        mean = self._mean if self._mean.ndim == 2 else np.moveaxis(self._mean, 0, 2)
        return np.array(mean, order="C")


class Parts(NamedTuple):
    """Values (h, w[, C]) of an area of a frame, and their means over small windows."""

    values: Float32Array
    smooth: Float32Array


def parts(of_area: Callable[[Area], Float32Array], area: Area, size: tuple[int, ...]) -> Parts:
    """Take the fine detail of an area apart; `of_area` gives the values of a frame (H, W[, C])."""
    inside = grown(area, HALO, size)
    values = of_area(inside)
    planes = np.moveaxis(values if values.ndim == 3 else values[..., None], 2, 0)
    wide = mirrored(planes, seen_from(inside, area), HALO)
    smooth = np.stack([inner_box(inner_box(plane, FINE), FINE) for plane in wide])
    # Channel by channel in memory, as they are worked on.
    smooth = np.moveaxis(smooth, 0, 2) if values.ndim == 3 else smooth[0]
    return Parts(values[seen_from(inside, area)], smooth)


class Mixture:
    """Weighted mean of the frames; at some pixels, fine detail counts by its energy as well.

    Parameters
    ----------
    shape : tuple of int
        Of a frame.
    where : ndarray of shape (H, W), bool
        Those pixels.
    """

    def __init__(self, shape: tuple[int, ...], where: BoolArray) -> None:
        self._mean, self._where = Blend(shape), where
        # Of those tiles alone in which it is needed, by their first pixels.
        self._fine: dict[tuple[int, int], Blend] = {}

    def add(
        self,
        of_area: Callable[[Area], Float32Array],
        weights: Float32Array,
        noise: float,
    ) -> None:
        """Add a frame; `of_area` gives its values in an area."""
        unsure = np.float32(max(UNSURE * noise**2, LEAST_ENERGY))
        for area in tiled(weights.shape, weights > 0, SIDE):
            inner = self._where[area]
            if not inner.any():
                self._mean.put(of_area(area), weights[area], area)
                continue
            values, smooth = parts(of_area, area, weights.shape)
            fine = values - smooth
            energy = to_gray(fine) ** 2
            first = area[0].start, area[1].start
            if first not in self._fine:
                self._fine[first] = Blend(fine.shape)
            fine_weights = inner * weights[area] * (1 + energy / unsure) ** POWER
            self._fine[first].put(fine, fine_weights, full_area(fine.shape))
            np.copyto(smooth, values, where=~(inner if fine.ndim == 2 else inner[..., None]))
            self._mean.put(smooth, weights[area], area)

    @property
    def image(self) -> Float32Array:
        """The mean; 0 where nothing was added."""
        image = self._mean.image
        for area in tiled(self._where.shape, self._where, SIDE):
            if (fine := self._fine.get((area[0].start, area[1].start))) is not None:
                part = image[area]
                part += fine.image
                np.clip(part, 0, 1, out=part)
        return image


def blended(
    frames: Frames,
    index: Index,
    brightest: Float32Array,
    settings: FuserSettings,
    forced: Index | None = None,
) -> Float32Array:
    """Take the chosen pixels, and near seams the mean of what may be the nearest to the truth.

    Where two frames meet, the choice is off by some pixels often, and no frame shows the truth.
    The mean of them, weighted by how likely each is the one, errs least. The frames are compared
    with a composite whose seams are wide, so that it leans to neither side. Fine detail counts by
    its energy as well. Pixels that `forced` gives to a frame, by a number of at least 0, are of
    that frame alone. `brightest` is the most light that any frame has around, in cells.
    """
    used = [int(k) for k in np.flatnonzero(np.bincount(index.ravel()))]
    if len(used) == 1 or settings.feather == 0:
        fused = Blend(frames.shape)
        for k in used:
            weight = (index == k).astype(np.float32)
            fused.add(frames.colors(k), within(weight, frames.shown(k), 0))
        return fused.image
    composite, several = _along_seams(frames, index, used, settings.feather)
    trials = comparison.Trials(composite, brightest).keep(several)
    mixture = Mixture(frames.shape, _exchanged(several, trials, forced, frames.discs))

    def weighted(view: View, chosen: BoolArray) -> Float32Array:
        """Weigh a frame by how likely it is the one, near the pixels it was chosen for."""
        weight = spread(chosen, settings.feather)
        # Of a thing so small that it has no inner pixels, the weights are small, too.
        thin = spread(weight > SOLID, settings.feather) == 0
        # Where there is no other frame, any weight is as good.
        where = several & (weight > 0)
        for area, score in comparison.scores(view, composite, trials, where, thin):
            weight[area] *= np.exp(np.minimum(score, MOST))
        return within(weight, view.valid, 0)

    for k in used:
        raw = frames.read(k)
        view = frames.view(k, raw)
        weight = weighted(view, index == k)
        if forced is not None:
            np.copyto(weight, (forced == k).astype(np.float32), where=forced >= 0)
        mixture.add(frames.colors(k, raw), weight, view.noise)
        del raw, view, weight  # before the next ones are made
    return mixture.image


def _along_seams(
    frames: Frames, index: Index, used: list[int], feather: float
) -> tuple[View, BoolArray]:
    """Give the composite, whose seams are wide, and the pixels near which it has several frames."""
    size = (frames.shape[0], frames.shape[1])
    seams, lit = Blend(size), np.zeros(size, bool)
    reached, several = np.zeros(size, bool), np.zeros(size, bool)
    for k in used:
        view = frames.view(k)
        near = spread(index == k, feather) > 0
        several |= near & reached
        reached |= near
        weight = spread(index == k, WIDE_SEAM)
        seams.add(view.gray.__getitem__, within(weight, view.valid, 0))
        if view.lit is not None:
            np.copyto(lit, view.lit, where=index == k)
    return View(seams.image, lit if lit.any() else None, None, frames.noise), several


def _exchanged(
    several: BoolArray, trials: comparison.Trials, forced: Index | None, discs: BoolArray | None
) -> BoolArray:
    """Find the pixels whose fine detail may be of other frames than the rest of them."""
    where = several if forced is None else several & (forced < 0)
    if discs is not None:
        # The fine detail next to a disc is that of its rim.
        where = where & ~ndimage.maximum_filter(discs, 2 * HALO + 1)
    if trials.around is None:
        return where
    # The rims of the discs of lamps are crisp, too.
    return np.asarray(where & ~repeated(trials.around > FEW_LAMPS, CELL, where.shape))
