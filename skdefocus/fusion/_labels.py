"""The choice of a frame for every pixel: made by a contest, and made consistent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import measure

from skdefocus._grids import Area, cell_means, enlarge, tiles
from skdefocus._typing import BoolArray, Float32Array, IndexArray
from skdefocus.filters import GuidedFilter
from skdefocus.fusion._tiles import SIDE, by_tiles, tiled
from skdefocus.fusion._wide import CELL, cells_of
from skdefocus.fusion._windows import Guided, mirrored

#: Numbers of frames, in a quarter of the memory of those that index.
Index = NDArray[np.int16]

#: Regularization of the guided filters in squared intensity.
EPS = 1e-2
#: Say of the surroundings against a pixel's own evidence, which is at most 1, for two frames. The
#: more frames there are, the less each leads over the next one.
PRIOR = 0.03
#: Radii of the windows of cells, widest first, and of the last wide ones, in those of the narrow.
WIDEST, WIDE = (128, 16), 4
#: Share that wins nowhere, also of many frames.
FEW = 1e-3
#: Differences in score (nats) and in gray value up to which two frames show the same thing, so that
#: it does not matter which of them is taken.
SAME_SCORE, SAME_GRAY = 0.05, 1e-3
#: Weight beside that of the evidence, for where there is none.
TRACE = np.float32(1e-6)
#: Pixels around a speck that are looked at for what it is given to, and these in order of distance.
SPECK = 8
_OFFSETS = sorted(
    product(range(-SPECK, SPECK + 1), repeat=2), key=lambda at: (at[0] ** 2 + at[1] ** 2, at)
)


@dataclass(frozen=True, eq=False)
class Choice:
    """The winners of a contest.

    Attributes
    ----------
    index : ndarray of shape (H, W)
        Numbers of the frames.
    evidence : ndarray of shape (H, W), float32
        Lead of the best over the second, in [0, 1]: tanh(Δ / 2), Δ in nats.
    gray : ndarray of shape (H, W), float32
        Values of the chosen pixels.
    """

    index: Index
    evidence: Float32Array
    gray: Float32Array


class Contest:
    """The best of what has been offered at every pixel, and by how much it leads.

    Equal offers are decided by the brighter frame, so that their order does not matter. A frame
    that shows the same thing as the best, such as one that was taken twice, is no rival of it: it
    is not the second, or neither of them would lead.
    """

    def __init__(self, size: tuple[int, int], first: int = 0) -> None:
        self.best = np.full(size, -np.inf, np.float32)
        self.second = np.full(size, -np.inf, np.float32)
        self.gray = np.zeros(size, np.float32)
        self.index = np.full(size, first, np.int16)
        self.shared = np.zeros(size, bool)

    def offer(self, number: int, score: Float32Array, gray: Float32Array) -> None:
        """Let frame `number` compete, with its scores and its gray values."""
        for area, _ in tiles(score.shape, 1, 0, SIDE):
            self._offer(number, score[area], gray[area], area)

    def _offer(self, number: int, score: Float32Array, gray: Float32Array, area: Area) -> None:
        """Let a frame compete in an area."""
        best, second, brightest = self.best[area], self.second[area], self.gray[area]
        wins = (score > best) | ((score == best) & (gray > brightest))
        same = np.abs(gray - brightest) < np.float32(SAME_GRAY)
        same &= score < best + np.float32(SAME_SCORE)
        same &= score > best - np.float32(SAME_SCORE)
        np.maximum(second, np.minimum(best, score), out=second, where=~same)
        self.shared[area] |= same
        np.copyto(best, score, where=wins)
        np.copyto(brightest, gray, where=wins)
        np.copyto(self.index[area], number, where=wins)

    def choice(self) -> Choice:
        """Give what won; the scores are no longer needed."""
        # Where no other frame reaches, the second is -inf; where none does, both are. Where all
        # frames show the same thing, none of them leads.
        lead = np.zeros_like(self.best)
        known = (self.best > -np.inf) & ((self.second > -np.inf) | ~self.shared)
        np.subtract(self.best, self.second, out=lead, where=known)
        lead /= 2
        return Choice(self.index, np.tanh(lead, out=lead), self.gray)


def settle(
    index: Index,
    evidence: Float32Array,
    guide: Float32Array,
    radius: int,
    min_area: int,
    reach: Callable[[int], BoolArray | None],
    prior: float = PRIOR,
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
        Gray values of the chosen pixels.
    radius : int
        Of the narrow windows, pixels; 0 smooths nothing.
    min_area : int
        In pixels.
    reach : callable
        Gives where a frame has a say, shape (H, W); None is everywhere.
    prior : float
        Say of the surroundings.
    """
    labels = [int(k) for k in np.flatnonzero(np.bincount(index.ravel()))]
    if len(labels) > 1 and radius > 0:
        planes = guide, evidence, prior, radius
        wider, narrow = Wider(*planes), Narrow(*planes)
        most, result = np.full(index.shape, -np.inf, np.float32), index.copy()
        for label in labels:
            share = narrow(wider(index == label))
            if (where := reach(label)) is not None:
                share[~where] = -np.inf
            wins = (share > most) | ((share == most) & (index == label))
            np.copyto(most, share, where=wins)
            np.copyto(result, label, where=wins)
        index = result
        del narrow, wider, most, share, wins
    clean = without_specks(index, min_area)
    for label in labels:
        if (where := reach(label)) is not None:
            np.copyto(clean, index, where=(clean == label) & ~where)
    return clean


class Wider:
    """Guided filters in wide windows; what comes of one is the prior of the next.

    Parameters
    ----------
    guide, evidence : ndarray of shape (H, W)
        Kept as they are.
    prior : float
        Say of a pixel's surroundings, beside that of its evidence.
    radius : int
        Of the narrow windows, pixels.
    """

    def __init__(
        self, guide: Float32Array, evidence: Float32Array, prior: float, radius: int
    ) -> None:
        self._evidence, self._prior = evidence, np.float32(prior)
        weights = evidence + TRACE
        self._cell_weights = cell_means(weights, CELL)
        self._cells_unsure = np.empty_like(self._cell_weights)
        for area in tiled(evidence.shape):
            self._cells_unsure[cells_of(area)] = cell_means(self._unsure(area), CELL)
        cells = cell_means(guide, CELL)
        self._widest = [
            GuidedFilter(cells, -(-times * radius // CELL), EPS, weights=self._cell_weights)
            for times in WIDEST
        ]
        self._last = GuidedFilter(guide, WIDE * radius, EPS, weights=weights, subsample=CELL)

    def _unsure(self, area: Area) -> Float32Array:
        """Give the say of the surroundings of pixels, in [0, 1]."""
        return np.asarray(self._prior / (self._evidence[area] + self._prior))

    def __call__(self, where: BoolArray) -> Float32Array:
        """Smooth a frame's share, which is 1 in the pixels of `where`."""

        def own(area: Area, unsure: Float32Array) -> Float32Array:
            return np.asarray(where[area] * (1 - unsure))

        cells, own_cells = np.empty((2, *self._cell_weights.shape), np.float32)
        for area in tiled(where.shape):
            weights, inside = self._evidence[area] + TRACE, cells_of(area)
            cells[inside] = cell_means(weights * where[area], CELL)
            own_cells[inside] = cell_means(own(area, self._unsure(area)), CELL)
        cells /= self._cell_weights
        for widest in self._widest:
            prior = widest.filter(cells)
            cells = own_cells + self._cells_unsure * prior

        def joined(area: Area) -> Float32Array:
            unsure = self._unsure(area)
            return own(area, unsure) + unsure * enlarge(prior, CELL, area)

        share = by_tiles(joined, where.shape, tiled(where.shape))
        self._last.filter(share, out=share)
        for area in tiled(where.shape):
            unsure = self._unsure(area)
            share[area] *= unsure
            share[area] += own(area, unsure)
        return share


class Narrow:
    """Guided filters in narrow windows, tile by tile; what is of the guide alone is kept.

    The parameters are those of `Wider`.
    """

    def __init__(
        self, guide: Float32Array, evidence: Float32Array, prior: float, radius: int
    ) -> None:
        self._guide, self._evidence, self._prior = guide, evidence, np.float32(prior)
        self._mean, self._halo = guide.mean(), 2 * radius
        self._tiles: dict[tuple[int, int], Guided] = {}

    def _filtered(self, area: Area, image: Float32Array) -> Float32Array:
        """Filter an area of an image."""
        guide, weights, part = (
            mirrored(plane, area, self._halo) for plane in (self._guide, self._evidence, image)
        )
        guide, weights = guide - self._mean, weights + self._prior
        key = area[0].start, area[1].start
        if key not in self._tiles:
            self._tiles[key] = Guided(guide, weights, self._halo // 2, EPS)
        return self._tiles[key].filter(part, guide, weights)

    def __call__(self, share: Float32Array) -> Float32Array:
        """Smooth a frame's share along edges, where it is neither none nor all."""
        unsure = (share > FEW) & (share < 1 - FEW)
        out = by_tiles(
            lambda area: self._filtered(area, share), share.shape, tiled(share.shape, unsure)
        )
        np.copyto(out, np.float32(1), where=share >= 1 - FEW)
        return out


def without_specks(index: Index, min_area: int) -> Index:
    """Give connected regions of fewer than `min_area` pixels to the nearest larger region."""
    regions = measure.label(index, background=-1, connectivity=1)
    small = (np.bincount(regions.ravel()) < min_area)[regions]
    if not small.any() or small.all():
        return index.copy()
    clean = index.copy()
    rows, columns = _filled(clean, small)
    if len(rows):
        nearest = ndimage.distance_transform_edt(small, return_distances=False, return_indices=True)
        clean[rows, columns] = index[tuple(n[rows, columns] for n in nearest)]
    return clean


def _filled(values: Index, empty: BoolArray) -> tuple[IndexArray, IndexArray]:
    """Give empty pixels the nearest value in reach; return the rows and columns that remain.

    Specks are small, so that looking around them takes a fraction of a distance transform's time.
    """
    rows, columns = np.nonzero(empty)
    bordered = np.pad(empty, SPECK, constant_values=True)
    for dy, dx in _OFFSETS:
        found = ~bordered[rows + (dy + SPECK), columns + (dx + SPECK)]
        y, x = rows[found], columns[found]
        values[y, x] = values[y + dy, x + dx]
        rows, columns = rows[~found], columns[~found]
        if not len(rows):
            break
    return rows, columns
