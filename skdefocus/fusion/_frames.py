"""The frames of a stack, prepared one at a time: read, checked, aligned, matched, or left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from skdefocus import _registration as registration
from skdefocus._grids import Area, repeated
from skdefocus._images import scaled, to_gray
from skdefocus._typing import AnyArray, BoolArray, Float32Array, Float64Array
from skdefocus.fusion._agreement import LEAST_AGREEMENT, agreement
from skdefocus.fusion._exposure import LEAST_SHARE, MOST_GAIN, Gain, matched, relative_gain
from skdefocus.fusion._noise import noise_of
from skdefocus.fusion._odd import Picture, odd_places, picture, told
from skdefocus.fusion._palette import Palette
from skdefocus.fusion._raw import OPAQUE, Raw, checked, filled
from skdefocus.fusion._settings import FuserSettings
from skdefocus.fusion._thumbnails import Thumbnail, block_size, lit, thumbnail
from skdefocus.fusion._warping import LOBES, Warped, inside, warp

#: A frame, or what reads it.
Frame = ArrayLike | Callable[[], ArrayLike]

#: References that are tried at most before frames are given up.
TRIES = 3
#: Stacks of up to so many pixels have their views kept; frames of larger ones are prepared anew.
KEPT_PIXELS = 24_000_000
#: Number of times that a frame is read at most.
READS = 6
#: Share of a frame that may be clipped to white beyond the reference's share.
MOST_WHITE = 0.5


class View(NamedTuple):
    """A frame as it is compared.

    Attributes
    ----------
    gray : ndarray of shape (H, W), float32
    lit : ndarray of shape (H, W), bool, or None
        Where light may be beyond white; None is nowhere.
    valid : ndarray of shape (H, W), bool, or None
        Where the frame has a say; None is everywhere.
    noise : float
        Standard deviation of its noise.
    brighter : bool
        Whether the frame was exposed longer than the reference, so that where it is clipped to
        white the reference may show more.
    """

    gray: Float32Array
    lit: BoolArray | None
    valid: BoolArray | None
    noise: float
    brighter: bool = False


class _Look(NamedTuple):
    """Reduced copies of a frame, by which it is judged and aligned, and its noise."""

    small: Thumbnail
    pyramid: registration.Pyramid | None
    noise: float


@dataclass
class Survey:
    """Measurements of the frames against one of them.

    Attributes
    ----------
    reference : int
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
    """

    reference: int
    matrices: dict[int, Float64Array] = field(default_factory=dict)
    gains: dict[int, Gain] = field(default_factory=dict)
    noise: dict[int, float] = field(default_factory=dict)
    left_out: dict[int, str] = field(default_factory=dict)
    pictures: dict[int, Picture] = field(default_factory=dict)


class Frames:
    """A stack whose frames coincide, are equally bright and show the same scene.

    Parameters
    ----------
    stack : sequence of frames
    names : sequence of str
        How messages call them.
    numbers : range
        Of the frames to use.
    reference : int
        Number of the frame that the others are brought to coincide with.
    settings : FuserSettings
        Of these, `align`, `match_exposure`, `outliers` and `noise` are used.

    Attributes
    ----------
    numbers : list of int
        The frames that belong, in order.
    shape : tuple of int
        Of a frame.
    survey : Survey
    noise : float
        Standard deviation of the noise that every frame has.
    """

    def __init__(
        self,
        stack: Sequence[Frame] | AnyArray,
        names: Sequence[str],
        *,
        numbers: range,
        reference: int,
        settings: FuserSettings,
    ) -> None:
        self._stack, self._names, self._settings = stack, names, settings
        self._has_alpha = False
        self.shape: tuple[int, ...] = ()
        self.survey = self._surveyed(numbers, reference)
        self.numbers = sorted(self.survey.matrices)
        # What all frames have is no more than the floor of detail.
        self.noise = max(settings.noise, min(self.survey.noise[k] for k in self.numbers))
        self._gains = {
            k: gain.factor
            for k, gain in self.survey.gains.items()
            if settings.match_exposure is True
            or (settings.match_exposure == "auto" and gain.needed)
        }
        self.odd = {} if settings.outliers == "keep" else self._odd_places()
        self._palette = Palette(self.survey.pictures.values())
        self._kept: dict[int, View] = {}
        self._best_alpha: Float32Array | None = None
        if self._has_alpha:
            self._best_alpha = np.zeros(self.shape[:2], np.float32)
            for k in self.numbers:
                np.maximum(self._best_alpha, self._coverage(k), out=self._best_alpha)

    @property
    def left_out(self) -> dict[int, str]:
        """Numbers of the frames that do not belong, and why."""
        return self.survey.left_out

    @property
    def overruled(self) -> dict[int, str]:
        """Numbers of the frames that have no say in a part of them, and where that is."""
        return {k: told(where) for k, where in self.odd.items()}

    @property
    def gains(self) -> dict[int, tuple[float, ...]]:
        """Factors of the frames whose exposure is matched."""
        return {k: tuple(map(float, gain)) for k, gain in self._gains.items()}

    # --- reading -------------------------------------------------------------------------------

    def read(self, number: int) -> Raw:
        """Read and check a frame."""
        frame, name = self._stack[number], self._names[number]
        raw = checked(frame() if callable(frame) else frame, name)
        if not self.shape:
            self.shape = raw.pixels.shape
        if raw.pixels.shape != self.shape:
            raise ValueError(
                f"{name} must have the shape of the other frames, {self.shape}, got "
                f"{raw.pixels.shape}"
            )
        self._has_alpha |= raw.alpha is not None
        return raw

    def _aligned(self, number: int) -> Float64Array | None:
        """Matrix of a frame; None if it stays as it is."""
        matrix = self.survey.matrices[number]
        return None if np.array_equal(matrix, np.eye(3)) else matrix

    def _warped(self, plane: Float32Array, number: int, lobes: int = LOBES) -> Float32Array:
        matrix = self._aligned(number)
        return plane if matrix is None else warp(plane, matrix, lobes)

    def view(self, number: int, raw: Raw | None = None) -> View:
        """Give a frame as it is compared; `raw` is what was read of it."""
        if number in self._kept:
            return self._kept[number]
        view = self._prepared(number, raw or self.read(number))
        if len(self.numbers) * view.gray.size <= KEPT_PIXELS:
            self._kept[number] = view
        return view

    def _prepared(self, number: int, raw: Raw) -> View:
        """Match and align what was read of a frame."""
        pixels, gain = filled(raw, OPAQUE), self._gains.get(number)
        gray = self._palette.gray(
            pixels if gain is None else matched(scaled(pixels), gain), self._aligned(number)
        )
        bright = lit(pixels)
        seen = self._warped(bright.astype(np.float32), number, 1) > 0 if bright.any() else None
        noise = max(self.noise, self.survey.noise[number])
        if gain is not None:
            noise *= max(1.0, float(gain.mean()))
        brighter = gain is not None and bool(gain.min() < 1)
        return View(self._warped(gray, number), seen, self._valid(number, raw), noise, brighter)

    def colors(self, number: int, raw: Raw | None = None) -> Callable[[Area], Float32Array]:
        """Give what reads a frame's values in an area, (h, w[, 3]), from what was read of it."""
        pixels, gain = filled(raw or self.read(number), 0), self._gains.get(number)

        def part(area: Area) -> Float32Array:
            image = scaled(pixels[area])
            return image if gain is None else matched(image, gain)

        if (matrix := self._aligned(number)) is None:
            return part
        ends = np.array([pixels.min(), pixels.max()])
        low, high = scaled(ends) if gain is None else (0, 1)
        return Warped(part, pixels.shape, matrix, (low, high))

    def views(self) -> Iterator[tuple[int, View]]:
        """Give all frames as they are compared."""
        return ((k, self.view(k)) for k in self.numbers)

    # --- where they reach ----------------------------------------------------------------------

    def valid(self, number: int) -> BoolArray | None:
        """Find the pixels that a frame may win; None means all."""
        return self._valid(number, self.read(number) if self._has_alpha else None)

    def shown(self, number: int) -> BoolArray | None:
        """Find the pixels where no other frame is more opaque; None means all."""
        return self._shown(number, self.read(number) if self._has_alpha else None)

    def _odd_places(self) -> dict[int, BoolArray]:
        """Find the places where frames show what the others do not, in pixels of small pictures."""
        odd = odd_places(self.survey.pictures)
        if odd and self._settings.outliers == "raise":
            k, where = min(odd.items())
            raise ValueError(f"{self._names[k]} {told(where)}; leave it out")
        return odd

    def _valid(self, number: int, raw: Raw | None) -> BoolArray | None:
        """Find where a frame may win, from what was read of it; None means everywhere."""
        valid = self._shown(number, raw)
        if (odd := self.odd.get(number)) is None:
            return valid
        height, width = self.shape[:2]
        block = block_size((height, width))
        rest = [(0, -(-n // block) - m) for n, m in zip(self.shape, odd.shape, strict=False)]
        fine = ~repeated(np.pad(odd, rest, mode="edge"), block, (height, width))
        return np.asarray(fine) if valid is None else fine & valid

    def _shown(self, number: int, raw: Raw | None) -> BoolArray | None:
        if self._best_alpha is not None:
            alpha = self._coverage(number, raw)
            return (alpha > 0) & (alpha >= np.float32(OPAQUE) * self._best_alpha)
        return self._reach(number)

    def _reach(self, number: int) -> BoolArray | None:
        matrix = self._aligned(number)
        if matrix is None:
            return None
        return inside(matrix, (self.shape[0], self.shape[1]))

    def _coverage(self, number: int, raw: Raw | None = None) -> Float32Array:
        """Alpha of a frame, 0 where it does not reach."""
        alpha = (raw or self.read(number)).alpha
        if alpha is None:
            alpha = np.ones(self.shape[:2], np.float32)
        else:
            alpha = self._warped(alpha, number, 1)
        reach = self._reach(number)
        return alpha if reach is None else alpha * reach

    @property
    def alpha(self) -> Float32Array:
        """The largest alpha of all frames, 0 where none of them reaches."""
        if self._best_alpha is not None:
            return self._best_alpha
        covered = np.zeros(self.shape[:2], bool)
        for k in self.numbers:
            reach = self._reach(k)
            if reach is None:
                return np.ones(self.shape[:2], np.float32)
            covered |= reach
        return covered.astype(np.float32)

    @property
    def reached(self) -> BoolArray:
        """Pixels that all frames reach."""
        reached = np.ones(self.shape[:2], bool)
        for k in self.numbers:
            if self._has_alpha:
                reached &= self._coverage(k) > 0
            elif (where := self._reach(k)) is not None:
                reached &= where
        return reached

    # --- which of them belong ------------------------------------------------------------------

    def _surveyed(self, numbers: range, reference: int) -> Survey:
        """Find a reference that half of the frames agree with, if there is one."""
        best: Survey | None = None
        for _ in range(TRIES):
            found = self._measured(numbers, reference)
            if best is None or len(found.matrices) > len(best.matrices):
                best = found
            if len(best.matrices) >= max(2, len(numbers) / 2) or len(numbers) == 2:
                break
            reference = min(found.left_out)
        assert best is not None
        if best.left_out and (self._settings.outliers == "raise" or len(best.matrices) < 2):
            number, why = min(best.left_out.items())
            raise ValueError(
                f"{self._names[number]} does not belong to the stack: {why}; leave it out"
            )
        return best

    def _measured(self, numbers: range, reference: int) -> Survey:
        """Go from the reference to both ends, comparing each frame with the one before."""
        survey = Survey(reference, {reference: np.eye(3)})
        first = self._look(reference)
        survey.noise[reference] = first.noise
        if first.small.tells:
            survey.pictures[reference] = picture(first.small, None)
        later, earlier = (
            range(reference + 1, numbers.stop),
            range(reference - 1, numbers.start - 1, -1),
        )
        for order in (later, earlier):
            before, look = reference, first
            small, motion = first.small, None
            for k in order:
                seen = self._look(k)
                step = self._step(look, seen, motion)
                matrix = step @ survey.matrices[before]
                moved = seen.small.aligned(matrix)
                gain = relative_gain(first.small, moved)
                why = self._fault(first.small, small, moved, gain, (reference, before))
                if why and self._settings.outliers != "keep":
                    survey.left_out[k] = why
                    continue
                survey.matrices[k], survey.noise[k] = matrix, seen.noise
                if gain is not None:
                    survey.gains[k] = gain
                if moved.tells:
                    survey.pictures[k] = picture(moved, gain)
                before, look, small, motion = k, seen, moved, step
        return survey

    def _look(self, number: int) -> _Look:
        raw = self.read(number)
        opaque = None if raw.alpha is None else raw.alpha >= OPAQUE * raw.alpha.max()
        small, noise = thumbnail(raw.pixels, opaque), noise_of(raw.pixels, opaque)
        if self._settings.align == "none":
            return _Look(small, None, noise)
        return _Look(small, registration.pyramid(to_gray(filled(raw, OPAQUE))), noise)

    def _step(self, before: _Look, after: _Look, guess: Float64Array | None) -> Float64Array:
        if before.pyramid is None or after.pyramid is None:
            return np.eye(3)
        moving = after.pyramid._replace(guess=guess)
        return registration.register(before.pyramid, moving, self._settings.align)

    def _fault(
        self,
        first: Thumbnail,
        before: Thumbnail,
        seen: Thumbnail,
        gain: Gain | None,
        numbers: tuple[int, int],
    ) -> str:
        """Say why a frame does not belong; nothing if it does."""
        if not seen.tells:
            return ""
        reference, neighbor = (self._names[k] for k in numbers)
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


def within(score: Float32Array, where: BoolArray | None, outside: float = -np.inf) -> Float32Array:
    """Give `score` where a frame has a say, `outside` elsewhere."""
    return score if where is None else np.where(where, score, np.float32(outside))
