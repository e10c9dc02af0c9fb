"""Comparison of frames: by their detail, and by how well one of them, blurred, explains another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from skdefocus._typing import BoolArray, Float32Array
from skdefocus.filters import box_mean
from skdefocus.fusion._bands import by_bands
from skdefocus.fusion._frames import View

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
DETAIL_SHARE = 0.1
#: Say of the plain difference from the composite, for where no blur explains the difference.
NEAR_SHARE = 0.05
#: Light of the brightest lamps, in times white.
BEYOND_WHITE = 100.0
#: Light beyond white that is no lamp yet, in times white.
HARDLY = 0.5
#: The aperture's image is brighter than the boxes' in places, by this factor at most.
PEAK = 3.0
#: Rows that a score depends on above and below: the widest boxes twice, and the windows in which
#: the light of lamps is fitted.
HALO = 4 * TRIALS[-1] + 2
#: Largest number of pixels of a frame whose trials are kept; larger ones are computed again.
LARGEST_KEPT = 4_000_000


class Trial(NamedTuple):
    """An image blurred.

    Attributes
    ----------
    radius : int
        Of the boxes that were used.
    values : ndarray of shape (H, W), float32
        The encoded values, blurred.
    light : ndarray of shape (H, W), float32
        The light, blurred.
    white : ndarray of shape (H, W), float32, or None
        What of that light is of places that are clipped to white, so that it may be more.
    """

    radius: int
    values: Float32Array
    light: Float32Array
    white: Float32Array | None


def detail(gray: Float32Array, noise: float, frame_noise: float | None = None) -> Float32Array:
    """Log energy of local detail: the squared modified Laplacian, averaged.

    Parameters
    ----------
    gray : ndarray of shape (H, W)
    noise : float
        Standard deviation of the noise; detail below it does not count.
    frame_noise : float or None
        That of this frame, if it is larger; the energy of what it has more is taken off.
    """
    padded = np.pad(gray, 1, mode="symmetric")
    energy = np.abs(2 * gray - padded[:-2, 1:-1] - padded[2:, 1:-1])
    energy += np.abs(2 * gray - padded[1:-1, :-2] - padded[1:-1, 2:])
    energy *= energy
    mean = twice(energy, DETAIL_RADIUS)
    mean += np.float32(WIDE_DETAIL) * twice(energy, WIDE_RADIUS)
    floor = np.float32(LAPLACIAN_GAIN * noise**2)
    if frame_noise is not None and frame_noise > noise:
        more = np.float32((1 + WIDE_DETAIL) * LAPLACIAN_GAIN * (frame_noise**2 - noise**2))
        mean = np.maximum(mean - more, 0)
    return np.log(mean + floor)


def _once(image: Float32Array, radius: int) -> Float32Array:
    return np.asarray(box_mean(image, radius), np.float32)


def twice(image: Float32Array, radius: int) -> Float32Array:
    return _once(_once(image, radius), radius)


class Trials:
    """The trials: an image blurred more and more.

    Parameters
    ----------
    gray : ndarray of shape (H, W)
    lit : ndarray of shape (H, W), bool, or None
        Where light may be beyond white.
    """

    def __init__(self, gray: Float32Array, lit: BoolArray | None = None) -> None:
        self._gray, self._lit = gray, lit
        self._kept: list[Trial] | None = None

    def keep(self) -> Trials:
        """Compute the trials once for repeated use, unless they are large."""
        if self._gray.size <= LARGEST_KEPT:
            self._kept = list(self)
        return self

    @property
    def are_kept(self) -> bool:
        """True if the trials are kept for repeated use."""
        return self._kept is not None

    def __iter__(self) -> Iterator[Trial]:
        """Yield the trials, from the least blurred on."""
        if self._kept is not None:
            yield from self._kept
            return
        # Light adds where it is blurred, not its encoded values, whose square it is near enough.
        light = self._gray * self._gray
        white = None if self._lit is None else self._lit.astype(np.float32)

        def trial(radius: int, blur: Callable[[Float32Array, int], Float32Array]) -> Trial:
            spread = None if white is None else blur(white, radius)
            return Trial(radius, blur(self._gray, radius), blur(light, radius), spread)

        yield trial(TRIALS[0], _once)
        for radius in TRIALS:
            yield trial(radius, twice)


def _brightest(trial: Trial, seen: Float32Array) -> Float32Array:
    """The most that may be seen of an image whose clipped places have the light that fits best.

    That light is found by least squares around every pixel, and is white at least.
    """
    if trial.white is None:
        return np.sqrt(np.clip(trial.light, 0, 1))
    step = max(1, trial.radius // 2)
    thin = (slice(None, None, step),) * 2
    white = trial.white[thin]
    excess = (seen[thin] ** 2 - trial.light[thin]) * white
    reach = max(1, 2 * trial.radius // step)
    more = box_mean(excess, reach) / (box_mean(white * white, reach) + np.float32(1e-9))
    more -= np.float32(HARDLY)
    np.clip(more, 0, BEYOND_WHITE - 1, out=more)
    more = np.repeat(np.repeat(more, step, axis=0), step, axis=1)[: seen.shape[0], : seen.shape[1]]
    more *= trial.white
    more *= np.float32(PEAK)
    more += trial.light
    return np.sqrt(np.clip(more, 0, 1, out=more), out=more)


def difference(one: Float32Array, other: Float32Array) -> Float32Array:
    """Squared difference, averaged over a small window."""
    return _once((one - other) ** 2, MISMATCH_RADIUS)


def _not_of_lamps(explained: Float32Array, light: Float32Array) -> Float32Array:
    """Part of what is explained that is not beyond white; what is, no exposure does."""
    total = explained * explained + np.float32(1e-6)
    return np.minimum(light / total, 1)


def mismatch(trials: Iterable[Trial], seen: Float32Array, noise: float) -> Float32Array:
    """Log of how badly the best of the trials explains what is seen."""
    least = np.full(seen.shape, np.inf, np.float32)
    unsure = (np.float32(TOLERANCE) * seen) ** 2
    for trial in trials:
        # Between the blur of the encoded values, as programs make it, and that of light.
        away = np.clip(seen, trial.values, _brightest(trial, seen))
        found = difference(away, seen)
        if trial.radius > SURE_RADIUS:
            found += unsure if trial.white is None else unsure * _not_of_lamps(away, trial.light)
        np.minimum(least, found, out=least)
    return np.log(least + np.float32(noise**2))


def score(view: View, composite: View, trials: Trials) -> Float32Array:
    """Log-likelihood, but for a term common to all frames, that a frame is the one in focus.

    Parameters
    ----------
    view, composite : View
    trials : Trials
        Of the composite.
    """
    if trials.are_kept:
        return _score(view.noise, trials, view.gray, view.lit, composite.gray)

    def of_rows(
        gray: Float32Array, lit: BoolArray | None, other: Float32Array, other_lit: BoolArray | None
    ) -> Float32Array:
        return _score(view.noise, Trials(other, other_lit), gray, lit, other)

    planes = view.gray, view.lit, composite.gray, composite.lit
    return by_bands(of_rows, HALO, *planes)


def _score(
    noise: float, trials: Trials, gray: Float32Array, lit: BoolArray | None, composite: Float32Array
) -> Float32Array:
    """Compute the score from planes, see `score`."""
    score = mismatch(trials, gray, noise)
    score -= mismatch(Trials(gray, lit), composite, noise)
    near = np.log(difference(gray, composite) + np.float32(noise**2))
    score -= np.float32(NEAR_SHARE) * near
    return score
