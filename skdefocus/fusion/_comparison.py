"""Comparison of frames: by their detail, and by how well one of them, blurred, explains another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from skdefocus._grids import Area, cell_means, grown
from skdefocus._typing import BoolArray, Float32Array
from skdefocus.fusion._frames import View
from skdefocus.fusion._lamps import beyond_white, lamps_in, light_of
from skdefocus.fusion._prominence import ALONG_SEAMS, IN_CHOICE, Prominence
from skdefocus.fusion._tiles import by_tiles, packed, tiled
from skdefocus.fusion._wide import CELL, Wide, cells_of
from skdefocus.fusion._windows import core, inner_box, mirrored, twice, window_sums

#: Radii in pixels of the boxes that one frame is blurred by, one after the other, to see whether it
#: becomes another; σ of 0.8, 1.2, 1.8 and 3.7 pixels in total.
TRIALS = (1, 1, 2, 5)
#: Wider blurs are made of means over cells, with radii in cells: σ of 5, 8, 15 and 28 pixels, up to
#: what frames at the other end of a stack of small things have.
WIDE_TRIALS = (1, 2, 4, 8)
#: What the wider trials cannot tell, in parts of the level: light that spreads that far is not told
#: from an exposure that is not quite the same.
TOLERANCE = 0.2
#: Radii of the boxes over which detail is averaged, twice, and mismatch, once.
DETAIL_RADIUS, MISMATCH_RADIUS = 2, 1
#: Say of the detail in windows four times as wide: next to an edge there may be none of its own.
WIDE_RADIUS, WIDE_DETAIL = 9, 0.1
#: Mean of the squared modified Laplacian of white noise of variance 1: 12 + 24 / π.
LAPLACIAN_GAIN = 20.0
#: Energy that is taken off a frame of more noise than others, in parts of what that is on average:
#: next to that, the noise would often seem to be detail.
CAUTION = 2.0
#: Say of the energies of detail beside that of the mismatches.
DETAIL_SHARE = 0.1
#: Say of the plain difference from the composite, for where no blur explains the difference.
NEAR_SHARE = 0.05
#: An aperture's image of a lamp is brighter than the boxes' in places, by this factor at most: at
#: the rims of discs, and as there are few widths of boxes.
PEAK = 5.5
#: Pixels around a pixel that its score depends on, but for the wider trials.
HALO = sum(TRIALS) + MISMATCH_RADIUS
#: The wide trial that tells how near lamps are.
LAMPS = 1
#: Pixels of the areas that scores are computed in.
MOST = 2**16
#: Largest number of pixels of a frame whose trials are kept; larger ones are computed again.
LARGEST_KEPT = 4_000_000


class Trial(NamedTuple):
    """An image blurred.

    Attributes
    ----------
    values : ndarray of shape (H, W), float32
        The encoded values, blurred.
    root : ndarray of shape (H, W), float32
        Square root of the light, blurred.
    lamps : ndarray of shape (H, W), float32, or None
        The light beyond white of lamps, blurred.
    """

    values: Float32Array
    root: Float32Array
    lamps: Float32Array | None

    @property
    def most(self) -> Float32Array:
        """The most that may be seen of the image."""
        if self.lamps is None:
            return self.root
        light = self.root * self.root
        light += np.float32(PEAK) * self.lamps
        np.minimum(light, 1, out=light)
        return np.asarray(np.sqrt(light, out=light))


def detail(
    gray: Float32Array,
    noise: float,
    frame_noise: float | None = None,
    where: BoolArray | None = None,
    wide: bool = True,
) -> Float32Array:
    """Log energy of local detail: the squared modified Laplacian, averaged.

    Parameters
    ----------
    gray : ndarray of shape (H, W)
    noise : float
        Standard deviation of the noise; detail below it does not count.
    frame_noise : float or None
        That of this frame, if it is larger; the energy of what it has more is taken off.
    where : ndarray of shape (H, W), bool, or None
        The pixels for which it is needed; elsewhere it may be anything.
    wide : bool
        If detail in wider windows has a say.
    """
    floor = np.float32(LAPLACIAN_GAIN * noise**2)
    own = max(frame_noise or noise, noise)
    more = np.float32((1 + wide * WIDE_DETAIL) * CAUTION * LAPLACIAN_GAIN * (own**2 - noise**2))
    reach = WIDE_RADIUS if wide else DETAIL_RADIUS

    def of_area(area: Area) -> Float32Array:
        """Compute the detail of a tile."""
        energy = _squared_laplacian(mirrored(gray, area, 2 * reach + 1))
        near = core(energy, 2 * (reach - DETAIL_RADIUS))
        mean = inner_box(inner_box(near, DETAIL_RADIUS), DETAIL_RADIUS)
        if wide:
            around = inner_box(inner_box(energy, WIDE_RADIUS), WIDE_RADIUS)
            around *= np.float32(WIDE_DETAIL)
            mean += around
        mean -= more
        np.maximum(mean, 0, out=mean)
        mean += floor
        return np.asarray(np.log(mean, out=mean))

    return by_tiles(of_area, gray.shape, tiled(gray.shape, where))


def _squared_laplacian(gray: Float32Array) -> Float32Array:
    """Square of the modified Laplacian, the sum of the sizes of both second derivatives."""
    middle = 2 * core(gray, 1)
    energy = middle - gray[:-2, 1:-1]
    energy -= gray[2:, 1:-1]
    np.abs(energy, out=energy)
    middle -= gray[1:-1, :-2]
    middle -= gray[1:-1, 2:]
    energy += np.abs(middle, out=middle)
    energy *= energy
    return energy


class Trials:
    """The trials: an image blurred more and more.

    Parameters
    ----------
    view : View
    brightest : ndarray of shape (rows, columns)
        The most light that any frame has around, in cells.

    Attributes
    ----------
    wide : Wide
        The wider ones, in cells.
    around : ndarray of shape (rows, columns), float32, or None
        The light beyond white of lamps, blurred so that it tells how near they are, in cells.
    """

    def __init__(self, view: View, brightest: Float32Array) -> None:
        self.gray, self.brightest = view.gray, brightest
        values, light = cell_means(view.gray, CELL), light_of(view.gray)
        self._lit, self._beyond = view.lit, light
        self._lamps: Float32Array | None = None
        if view.lit is not None:
            lit = cell_means(view.lit, CELL)
            self._beyond = beyond_white(light, lit, brightest)
            self._lamps = self._beyond * lit if self._beyond.any() else None
        trials = [
            Trial(
                twice(values, r),
                np.sqrt(twice(light, r)),
                None if self._lamps is None else twice(self._lamps, r),
            )
            for r in WIDE_TRIALS
        ]
        self.around = trials[LAMPS].lamps
        self.wide = Wide(
            [trial.values for trial in trials],
            [trial.most for trial in trials],
            None if self._lamps is None else [trial.root**2 for trial in trials],
            TOLERANCE**2,
        )
        self._kept: Float32Array | None = None

    def keep(self, where: BoolArray) -> Trials:
        """Compute the trials of some pixels once for repeated use, unless they are large."""
        if self.gray.size > LARGEST_KEPT:
            return self
        count = 2 if self._lamps is None else 3
        kept = np.zeros((len(TRIALS), count, *self.gray.shape), np.float32)

        for area in packed(where, MOST):
            # With the pixels around whose differences those of the area are averaged with.
            wide = grown(area, MISMATCH_RADIUS, self.gray.shape)
            for planes, trial in zip(kept, self.narrow(wide, 0), strict=True):
                for plane, found in zip(planes, trial, strict=False):
                    if found is not None:
                        plane[wide] = found
        self._kept = kept
        return self

    def near(self, area: Area) -> bool:
        """Tell if there are lamps in an area or as near as they count."""
        if self._lamps is None:
            return False
        return bool(self._lamps[grown(cells_of(area), -(-HALO // CELL), self._lamps.shape)].any())

    def narrow(self, area: Area, halo: int) -> Iterator[Trial]:
        """Yield the other trials of an area and of `halo` pixels around, the least blurred first.

        Beyond the image's border it is mirrored, which is the same as mirroring its trials.
        """
        lamps = self.near(area)
        if self._kept is not None:
            kept = self._kept if lamps else self._kept[:, :2]
            for values, root, *more in mirrored(kept, area, halo):
                yield Trial(values, root, more[0] if more else None)
            return
        rest = sum(TRIALS)
        values = mirrored(self.gray, area, halo + rest)
        # Light adds where it is blurred, not its encoded values, whose square it is near enough.
        planes = [values, values * values]
        if lamps and self._lit is not None:
            planes.append(lamps_in(self._lit, self._beyond, area, halo + rest))
        for radius in TRIALS:
            planes, rest = [inner_box(plane, radius) for plane in planes], rest - radius
            values, light, *more = (core(plane, rest) for plane in planes)
            yield Trial(values, np.sqrt(light), more[0] if more else None)


def difference(one: Float32Array, other: Float32Array) -> Float32Array:
    """Squared difference, averaged over the small windows within planes."""
    away = one - other
    away *= away
    return inner_box(away, MISMATCH_RADIUS)


class Mismatch:
    """The least difference between the trials of one image and what is seen in another.

    Parameters
    ----------
    trials, seen : Trials
        Of the one image and of the other.
    noise : float
    more : float
        Variance that the other image's noise has more than that of others.
    """

    def __init__(self, trials: Trials, seen: Trials, noise: float, more: float = 0.0) -> None:
        self._trials, self._seen, self._noise, self._more = trials, seen.gray, noise, more

    def __call__(self, area: Area, where: BoolArray | None = None) -> Float32Array:
        """Compute it in an area, plus the noise; see :func:`scores`."""
        seen = mirrored(self._seen, area, MISMATCH_RADIUS)
        least = np.full(core(seen, MISMATCH_RADIUS).shape, np.inf, np.float32)
        # Between the blur of the encoded values, as programs make it, and that of light.
        for trial in self._trials.narrow(area, MISMATCH_RADIUS):
            away = np.maximum(seen, trial.values)
            np.minimum(away, trial.most, out=away)
            away -= seen
            away *= away
            np.minimum(least, window_sums(away, MISMATCH_RADIUS), out=least)
        least *= np.float32(1 / (2 * MISMATCH_RADIUS + 1) ** 2)
        self._trials.wide.refine(least, seen, area, where)
        if self._more > 0:
            least -= np.float32(self._more)
            np.maximum(least, 0, out=least)
        least += np.float32(self._noise**2)
        return least


def scores(
    view: View,
    composite: View,
    trials: Trials,
    where: BoolArray,
    prominent: BoolArray | None = None,
) -> Iterator[tuple[Area, Float32Array]]:
    """Log-likelihood, but for a term common to all frames, that a frame is the one in focus.

    What no blur of the other image explains speaks for an image, the more the less of that there
    is around: a bristle in front of a texture is in focus, though the texture differs by more.

    Parameters
    ----------
    view, composite : View
    trials : Trials
        Of the composite.
    where : ndarray of shape (H, W), bool
        The pixels for which it is needed.
    prominent : ndarray of shape (H, W), bool, or None
        Along seams, the pixels at which what stands out counts for more; None is in the choice,
        where it does everywhere.

    Yields
    ------
    area : tuple of two slice
        Areas do not overlap, and cover what is needed.
    score : ndarray of the shape of `area`, float32
        In pixels that are not needed it may be anything.
    """
    noise = view.noise
    own, other = Trials(view, trials.brightest), trials
    unlike = Mismatch(other, own, noise, noise**2 - composite.noise**2)
    sharper = Mismatch(own, other, noise)
    found = np.zeros((2, *where.shape), np.float32)
    areas = packed(where, MOST)
    for area in areas:
        found[0][area], found[1][area] = (of(area, where[area]) for of in (unlike, sharper))
    # What stands out in either, unless lamps of the other explain it.
    weighting = IN_CHOICE if prominent is None else ALONG_SEAMS
    sides = [
        Prominence(image.gray, plane, where, blurred.around, noise, weighting)
        for image, plane, blurred in zip((view, composite), found, (other, own), strict=True)
    ]
    for area in areas:
        near = difference(*(mirrored(v.gray, area, MISMATCH_RADIUS) for v in (view, composite)))
        near += np.float32(noise**2)
        logs = np.log(found[(slice(None), *area)])
        result = np.asarray(logs[0] - logs[1] - np.float32(NEAR_SHARE) * np.log(near))
        if prominent is None or prominent[area].any():
            lead = sides[0](area, logs[0]) - sides[1](area, logs[1])
            result += lead if prominent is None else lead * prominent[area]
        yield area, result
