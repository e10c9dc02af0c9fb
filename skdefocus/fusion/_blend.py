"""The fused picture: chosen pixels, and near seams a mean of what may be nearest to the truth."""

from __future__ import annotations

import numpy as np

from skdefocus._typing import BoolArray, Float32Array
from skdefocus.fusion import _comparison as comparison
from skdefocus.fusion._frames import Frames, View, within
from skdefocus.fusion._labels import Index
from skdefocus.fusion._settings import FuserSettings

Float = Float32Array

#: σ in pixels of the seams of the composite that frames near seams are compared with.
WIDE_SEAM = 3.0


def spread(where: BoolArray, sigma: float) -> Float:
    """How much of what is around a pixel is True: boxes taken twice, about σ wide; 0 far away."""
    radius = round((np.sqrt(6 * sigma**2 + 1) - 1) / 2)
    return comparison.twice(where.astype(np.float32), max(radius, 1))


class Blend:
    """Weighted mean of the frames, added one by one."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._sum = np.zeros(shape, np.float32)
        self._weights = np.zeros(shape[:2], np.float32)
        self._low = np.full(shape, np.inf, np.float32)
        self._high = np.full(shape, -np.inf, np.float32)

    def add(self, image: Float, weights: Float) -> None:
        """Add a frame; pixels of weight 0 are as if there was none."""
        self._weights += weights
        w = weights.reshape(weights.shape + (1,) * (image.ndim - 2))
        self._sum += w * image
        np.minimum(self._low, image, out=self._low, where=w > 0)
        np.maximum(self._high, image, out=self._high, where=w > 0)

    @property
    def image(self) -> Float:
        """The mean, within the frames' range in spite of rounding; 0 where nothing was added."""
        total = self._weights.reshape(self._weights.shape + (1,) * (self._sum.ndim - 2))
        mean = np.divide(self._sum, total, out=np.zeros_like(self._sum), where=total > 0)
        return np.where(total > 0, np.clip(mean, self._low, self._high), 0).astype(np.float32)


def blended(frames: Frames, index: Index, settings: FuserSettings) -> Float:
    """Take the chosen pixels, and near seams the mean of what may be the nearest to the truth.

    Where two frames meet, the choice is off by some pixels often, and no frame shows the truth.
    The mean of them, weighted by how likely each is the one, errs least. The frames are compared
    with a composite whose seams are wide, so that it leans to neither side.
    """
    used = [int(k) for k in np.flatnonzero(np.bincount(index.ravel()))]
    whole = Blend(frames.shape)
    if len(used) == 1 or settings.feather == 0:
        for k in used:
            weight = (index == k).astype(np.float32)
            whole.add(frames.color(k), within(weight, frames.valid(k), 0))
        return whole.image
    size = (frames.shape[0], frames.shape[1])
    seams, lit = Blend(size), np.zeros(size, bool)
    for k in used:
        view = frames.view(k)
        weight = spread(index == k, WIDE_SEAM)
        seams.add(view.gray, within(weight, view.valid, 0))
        if view.lit is not None:
            lit |= view.lit & (weight > 0)
    composite = View(seams.image, lit if lit.any() else None, None, settings.noise)
    trials = comparison.Trials(composite.gray, composite.lit).hold()
    for k in used:
        view, color = frames.both(k)
        weight = spread(index == k, settings.feather)
        weight *= np.exp(comparison.score(view, composite, trials))
        whole.add(color, within(weight, view.valid, 0))
    return whole.image
