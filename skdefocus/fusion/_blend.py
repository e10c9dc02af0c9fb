"""How frames are compared, the choice among them settled, and the chosen ones blended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from skdefocus.filters import GuidedFilter, box_mean

Float = NDArray[np.float32]
Index = NDArray[np.intp]
#: Whether it is told from exposure, and the blurred image.
Trial = tuple[bool, Float]

#: Radii in pixels of the boxes that one frame is blurred by, twice each, to see whether it becomes
#: another. Before them comes the first one once; σ of 0.8 and 1.2, 2, 3.7, 6.9, 13.5 and 26.5
#: pixels, up to what frames at the other end of a stack of small things have.
TRIALS = (1, 2, 4, 8, 16, 32)
#: What the trials of larger radii cannot tell, in parts of the level: light that spreads that far
#: is not told from an exposure that is not quite the same.
SURE_RADIUS, TOLERANCE = 4, 0.2
#: Radii of the boxes over which detail is averaged, twice, and mismatch, once.
DETAIL_RADIUS, MISMATCH_RADIUS = 2, 1
#: Say of the detail in windows four times as wide: next to an edge there may be none of its own.
WIDE_RADIUS, WIDE_DETAIL = 9, 0.1
#: Mean of the squared modified Laplacian of white noise of variance 1: 12 + 24 / π.
LAPLACIAN_GAIN = 20.0
#: Say of the energies of detail beside that of the mismatches.
DETAIL_SHARE = 0.3
#: Say of the plain difference from the composite, for where no blur explains the difference.
NEAR_SHARE = 0.05
#: σ in pixels of the seams of the composite that frames near seams are compared with.
WIDE_SEAM = 3.0
#: Regularisation of the guided filters in squared intensity.
EPS = 1e-2
#: Say of the surroundings against a pixel's own evidence, which is at most 1.
PRIOR = 0.1
#: Radii of the wide windows, widest first, in those of the narrow ones.
WIDER = (128, 16)
#: Pixels between the wide windows that are fitted.
SUBSAMPLE = 4


class Contest:
    """The best of what has been offered at every pixel, and by how much it leads.

    Equal offers are decided by the brighter frame, so that their order does not matter.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.best = np.full(size, -np.inf, np.float32)
        self.second = np.full(size, -np.inf, np.float32)
        self.grey = np.zeros(size, np.float32)
        self.index = np.zeros(size, np.intp)

    def offer(self, number: int, score: Float, grey: Float) -> None:
        """Let frame `number` compete, with its scores and its grey values."""
        wins = (score > self.best) | ((score == self.best) & (grey > self.grey))
        self.second = np.maximum(self.second, np.where(wins, self.best, score))
        self.best[wins], self.grey[wins], self.index[wins] = score[wins], grey[wins], number

    @property
    def evidence(self) -> Float:
        """Lead of the best over the second, in [0, 1]: tanh(Δ / 2), Δ in nats."""
        # Where no other frame reaches, the second is -inf.
        return np.tanh((self.best - self.second) / 2).astype(np.float32)


def detail(grey: Float, noise: float) -> Float:
    """Log energy of local detail: the squared modified Laplacian, averaged.

    Parameters
    ----------
    grey : ndarray of shape (H, W)
    noise : float
        Standard deviation of the noise; detail below it does not count.
    """
    padded = np.pad(grey, 1, mode="symmetric")
    energy = np.abs(2 * grey - padded[:-2, 1:-1] - padded[2:, 1:-1])
    energy += np.abs(2 * grey - padded[1:-1, :-2] - padded[1:-1, 2:])
    energy *= energy
    mean = _twice(energy, DETAIL_RADIUS)
    mean += np.float32(WIDE_DETAIL) * _twice(energy, WIDE_RADIUS)
    return np.log(mean + np.float32(LAPLACIAN_GAIN * noise**2))


def _twice(image: Float, radius: int) -> Float:
    return box_mean(box_mean(image, radius), radius)


def blurred(grey: Float) -> Iterator[Trial]:
    """The trials, the image blurred more and more, and whether each can be told from exposure."""
    yield True, box_mean(grey, TRIALS[0])
    for radius in TRIALS:
        yield radius <= SURE_RADIUS, _twice(grey, radius)


def difference(one: Float, other: Float) -> Float:
    """Squared difference, averaged over a small window."""
    return box_mean((one - other) ** 2, MISMATCH_RADIUS)


def mismatch(trials: Iterable[Trial], seen: Float, noise: float) -> Float:
    """Log of how badly the best of the trials explains what is seen."""
    least = np.full(seen.shape, np.inf, np.float32)
    unsure = (np.float32(TOLERANCE) * seen) ** 2
    for sure, trial in trials:
        found = difference(trial, seen)
        if not sure:
            found += unsure
        np.minimum(least, found, out=least)
    return np.log(least + np.float32(noise**2))


def spread(where: NDArray[np.bool_], sigma: float) -> Float:
    """How much of what is around a pixel is True: boxes taken twice, about σ wide; 0 far away."""
    radius = round((np.sqrt(6 * sigma**2 + 1) - 1) / 2)
    return _twice(where.astype(np.float32), max(radius, 1))


def settle(
    index: Index,
    evidence: Float,
    guide: Float,
    radius: int,
    min_area: float,
    reach: Sequence[NDArray[np.bool_] | None],
) -> Index:
    """Make a choice of frames spatially consistent.

    Every frame's share is smoothed along the guide's edges by guided filters in which a pixel
    counts by its evidence, from wide windows to narrow ones; what comes of one is the prior of
    the next, and the largest share wins. Then regions below `min_area` go to what is next to them.

    Parameters
    ----------
    index : ndarray of shape (H, W)
        Numbers of the chosen frames.
    evidence : ndarray of shape (H, W), in [0, 1]
    guide : ndarray of shape (H, W)
        Grey values of the chosen pixels.
    radius : int
        Of the narrow windows, pixels; 0 smooths nothing.
    min_area : float
        In parts of the whole area.
    reach : sequence of ndarray of shape (H, W) or None
        Where each frame has pixels; None is everywhere.
    """
    labels = [int(k) for k in np.flatnonzero(np.bincount(index.ravel()))]
    if len(labels) > 1 and radius > 0:
        faint = evidence + np.float32(1e-6)
        wider = [
            GuidedFilter(guide, times * radius, EPS, weights=faint, subsample=SUBSAMPLE)
            for times in WIDER
        ]
        narrow = GuidedFilter(guide, radius, EPS, weights=evidence + np.float32(PRIOR))
        most, settled = np.full(index.shape, -np.inf, np.float32), index.copy()
        for label in labels:
            own = share = (index == label).astype(np.float32)
            for wide in wider:
                share = (evidence * own + PRIOR * wide.filter(share)) / (evidence + PRIOR)
            share = narrow.filter(share)
            if (where := reach[label]) is not None:
                share[~where] = -np.inf
            wins = (share > most) | ((share == most) & (index == label))
            most[wins], settled[wins] = share[wins], label
        index = settled
    clean = without_specks(index, min_area * index.size)
    for label in labels:
        if (where := reach[label]) is not None:
            np.copyto(clean, index, where=(clean == label) & ~where)
    return clean


def without_specks(index: Index, min_area: float) -> Index:
    """Give connected regions of fewer than `min_area` pixels to the nearest larger region."""
    small = np.zeros(index.shape, bool)
    for label in np.flatnonzero(np.bincount(index.ravel())):
        regions, _ = ndimage.label(index == label)
        too_small = np.bincount(regions.ravel()) < min_area
        too_small[0] = False
        small |= too_small[regions]
    if not small.any() or small.all():
        return index.copy()
    nearest = ndimage.distance_transform_edt(small, return_distances=False, return_indices=True)
    return np.asarray(index[tuple(nearest)], np.intp)


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
        """The mean; rounding does not lead out of the range of the frames."""
        total = self._weights.reshape(self._weights.shape + (1,) * (self._sum.ndim - 2))
        return np.clip(self._sum / total, self._low, self._high)
