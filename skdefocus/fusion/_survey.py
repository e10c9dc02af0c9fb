"""Survey of a stack: the frames that belong to it, found on small pictures one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from skdefocus import _registration as registration
from skdefocus._images import to_gray
from skdefocus._typing import Float64Array
from skdefocus.fusion._agreement import LEAST_AGREEMENT, agreement
from skdefocus.fusion._borders import NO_BORDERS, Borders, black_borders
from skdefocus.fusion._discs import NO_SPECKS, brightest, specks
from skdefocus.fusion._exposure import LEAST_SHARE, MOST_GAIN, Gain, relative_gain
from skdefocus.fusion._noise import noise_of
from skdefocus.fusion._odd import Picture, picture
from skdefocus.fusion._raw import OPAQUE, Raw, filled
from skdefocus.fusion._settings import FuserSettings
from skdefocus.fusion._thumbnails import Thumbnail, lit, thumbnail
from skdefocus.fusion._warping import carried

#: References that are tried at most before frames are given up.
TRIES = 3
#: Share of a frame that may be clipped to white beyond the reference's share.
MOST_WHITE = 0.5


@dataclass
class Survey:
    """Measurements of the frames against one of them.

    Attributes
    ----------
    matrices : dict of int to ndarray of shape (3, 3)
        Of the frames that belong, see :func:`skdefocus.fusion._warping.warp`.
    gains : dict of int to Gain
        Of those of them for which it could be measured.
    noise : dict of int to float
        Standard deviations, at least, before exposures are matched.
    left_out : dict of int to str
        The other frames, and why.
    pictures : dict of int to Picture
        Of the frames that belong, as far as they are large enough to be judged.
    borders : dict of int to Borders
        Of these.
    specks : dict of int to ndarray of shape (n, 3)
        Of the frames that belong, see :func:`skdefocus.fusion._discs.specks`, in the reference's
        pixels.
    """

    matrices: dict[int, Float64Array] = field(default_factory=dict)
    gains: dict[int, Gain] = field(default_factory=dict)
    noise: dict[int, float] = field(default_factory=dict)
    left_out: dict[int, str] = field(default_factory=dict)
    pictures: dict[int, Picture] = field(default_factory=dict)
    borders: dict[int, Borders] = field(default_factory=dict)
    specks: dict[int, Float64Array] = field(default_factory=dict)

    def add(
        self, number: int, matrix: Float64Array, look: _Look, seen: Thumbnail, gain: Gain | None
    ) -> None:
        """Keep the measurements of a frame that belongs; `seen` coincides with the others."""
        self.matrices[number], self.noise[number] = matrix, look.noise
        self.specks[number] = look.specks.copy()
        self.specks[number][:, :2] = carried(
            np.asarray(np.linalg.inv(matrix), np.float64), look.specks[:, :2]
        )
        if gain is not None:
            self.gains[number] = gain
        if seen.tells:
            self.pictures[number], self.borders[number] = picture(seen, gain), look.borders


class _Look(NamedTuple):
    """Reduced copies of a frame, by which it is judged and aligned, and what was found in it."""

    small: Thumbnail
    pyramid: registration.Pyramid | None
    noise: float
    borders: Borders
    specks: Float64Array


def surveyed(
    read: Callable[[int], Raw],
    names: Sequence[str],
    numbers: range,
    reference: int,
    settings: FuserSettings,
) -> Survey:
    """Find a reference that half of the frames agree with, if there is one.

    Parameters
    ----------
    read : callable
        Reads and checks a frame by its number.
    names : sequence of str
        How messages call the frames.
    numbers : range
    reference : int
        The first that is tried.
    settings : FuserSettings
        Of these, `align` and `outliers` are used.

    Raises
    ------
    ValueError
        If a frame does not belong and must, or fewer than two of them do.
    """
    best: Survey | None = None
    for _ in range(TRIES):
        found = _measured(read, names, numbers, reference, settings)
        if best is None or len(found.matrices) > len(best.matrices):
            best = found
        if len(best.matrices) >= max(2, len(numbers) / 2) or len(numbers) == 2:
            break
        reference = min(found.left_out)
    assert best is not None
    if best.left_out and (settings.outliers == "raise" or len(best.matrices) < 2):
        number, why = min(best.left_out.items())
        raise ValueError(f"{names[number]} does not belong to the stack: {why}; leave it out")
    return best


def _measured(
    read: Callable[[int], Raw],
    names: Sequence[str],
    numbers: range,
    reference: int,
    settings: FuserSettings,
) -> Survey:
    """Go from the reference to both ends, comparing each frame with the one before."""
    survey, first = Survey(), _look(read(reference), settings.align)
    survey.add(reference, np.eye(3), first, first.small, None)
    later, earlier = (
        range(reference + 1, numbers.stop),
        range(reference - 1, numbers.start - 1, -1),
    )
    for order in (later, earlier):
        before, look = reference, first
        small, motion = first.small, None
        for k in order:
            seen = _look(read(k), settings.align)
            step = _step(look, seen, motion, settings.align)
            matrix = step @ survey.matrices[before]
            moved = seen.small.aligned(matrix)
            gain = relative_gain(first.small, moved)
            why = _fault(first.small, small, moved, gain, (names[reference], names[before]))
            if why and settings.outliers != "keep":
                survey.left_out[k] = why
                continue
            survey.add(k, matrix, seen, moved, gain)
            before, look, small, motion = k, seen, moved, step
    return survey


def _look(raw: Raw, align: str) -> _Look:
    """Reduce a frame, without what is transparent in it or a border."""
    borders = black_borders(raw.pixels) if raw.alpha is None else NO_BORDERS
    opaque = None if borders.where is None else ~borders.where
    if raw.alpha is not None:
        opaque = raw.alpha >= OPAQUE * raw.alpha.max()
    bright = lit(raw.pixels)
    small, noise = thumbnail(raw.pixels, opaque, bright), noise_of(raw.pixels, opaque)
    if opaque is not None:
        bright = bright & opaque
    found = specks(brightest(raw.pixels), bright) if bright.any() else NO_SPECKS
    if align == "none":
        return _Look(small, None, noise, borders, found)
    pyramid = registration.pyramid(to_gray(filled(raw, OPAQUE)), opaque)
    return _Look(small, pyramid, noise, borders, found)


def _step(before: _Look, after: _Look, guess: Float64Array | None, align: str) -> Float64Array:
    if before.pyramid is None or after.pyramid is None:
        return np.eye(3)
    return registration.register(before.pyramid, after.pyramid._replace(guess=guess), align)


def _fault(
    first: Thumbnail,
    before: Thumbnail,
    seen: Thumbnail,
    gain: Gain | None,
    names: tuple[str, str],
) -> str:
    """Say why a frame does not belong; nothing if it does. `names` are of the first two."""
    if not seen.tells:
        return ""
    reference, neighbor = names
    light = float(seen.gray.mean() / max(float(first.gray.mean()), 1e-6))
    if gain is not None:
        light = float(1 / gain.factor.mean())
    if seen.usable.mean() < LEAST_SHARE < first.usable.mean() and light < 1:
        return f"it is black, compared with {reference}"
    if seen.white > first.white + MOST_WHITE:
        return f"{seen.white:.0%} of it are clipped to white"
    if not 1 / MOST_GAIN <= light <= MOST_GAIN and first.gray.any():
        return f"it is {light:.3g} times as bright as {reference}"
    found = agreement(before.gray, seen.gray)
    if found is not None and found < LEAST_AGREEMENT:
        return (
            f"it does not show what {neighbor} shows (correlation {found:.2f}, at least "
            f"{LEAST_AGREEMENT} is expected)"
        )
    return ""
