"""The frames of a stack, prepared one at a time: read, checked, aligned and matched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from skdefocus._grids import Area, all_cells, repeated
from skdefocus._images import scaled
from skdefocus._typing import AnyArray, BoolArray, Float32Array, Float64Array
from skdefocus.fusion._borders import black_along, of_their_own
from skdefocus.fusion._discs import brightest, covered, lamps_of, light_around, reach_of_discs
from skdefocus.fusion._exposure import matched
from skdefocus.fusion._odd import has_say, odd_places, told
from skdefocus.fusion._palette import Palette
from skdefocus.fusion._raw import OPAQUE, Raw, checked, filled
from skdefocus.fusion._settings import FuserSettings
from skdefocus.fusion._survey import surveyed
from skdefocus.fusion._thumbnails import block_size, lit
from skdefocus.fusion._warping import LOBES, Warped, carried, inside, warp

#: A frame, or what reads it.
Frame = ArrayLike | Callable[[], ArrayLike]

#: Stacks of up to so many pixels have their views kept; frames of larger ones are prepared anew.
KEPT_PIXELS = 24_000_000
#: Number of times that a frame is read at most; with alpha, it may be twice as many.
READS = 7


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
    lost : float
        Range below white that only the reference shows, as this frame was exposed longer.
    """

    gray: Float32Array
    lit: BoolArray | None
    valid: BoolArray | None
    noise: float
    lost: float = 0.0


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
    odd : dict of int to ndarray of shape (h, w), bool
        Pixels of small pictures where frames have no say.
    overruled : dict of int to str
        Numbers of these frames, and where that is.
    discs : ndarray of shape (H, W), bool, or None
        The pixels in the discs of lamps, which some frames have no say in; None is nowhere.
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
        self.survey = surveyed(self.read, names, numbers, reference, settings)
        self.numbers = sorted(self.survey.matrices)
        # What all frames have is no more than the floor of detail.
        self.noise = max(settings.noise, min(self.survey.noise[k] for k in self.numbers))
        self._gains = {
            k: gain.factor
            for k, gain in self.survey.gains.items()
            if settings.match_exposure is True
            or (settings.match_exposure == "auto" and gain.needed)
        }
        self.odd, self.overruled = self._odd_places()
        self._palette = Palette(self.survey.pictures.values())
        self._kept: dict[int, View] = {}
        self._best_alpha: Float32Array | None = None
        if self._has_alpha:
            self._best_alpha = np.zeros(self.shape[:2], np.float32)
            for k in self.numbers:
                np.maximum(self._best_alpha, self._coverage(k), out=self._best_alpha)
        self._lamps = lamps_of(self.survey.specks)
        self._reach_of_discs = self._measured_discs()
        self._hidden: BoolArray | None = None
        self.discs = self._all_discs()

    @property
    def left_out(self) -> dict[int, str]:
        """Numbers of the frames that do not belong, and why."""
        return self.survey.left_out

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
        gray = self._palette.gray(_as_bright(pixels, gain), self._aligned(number))
        bright = lit(pixels)
        seen = self._warped(bright.astype(np.float32), number, 1) > 0 if bright.any() else None
        noise = max(self.noise, self.survey.noise[number])
        if gain is not None:
            noise *= max(1.0, float(gain.mean()))
        lost = 0.0 if gain is None else max(0.0, 1 - float(gain.min()))
        return View(self._warped(gray, number), seen, self._valid(number, raw), noise, lost)

    def colors(self, number: int, raw: Raw | None = None) -> Callable[[Area], Float32Array]:
        """Give what reads a frame's values in an area, (h, w[, 3]), from what was read of it."""
        pixels, gain = filled(raw or self.read(number), 0), self._gains.get(number)

        def part(area: Area) -> Float32Array:
            return scaled(_as_bright(pixels[area], gain))

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

    def _odd_places(self) -> tuple[dict[int, BoolArray], dict[int, str]]:
        """Find the places where frames show what the others do not, or nothing, and name them."""
        if self._settings.outliers == "keep":
            return {}, {}
        seen = self.survey.pictures
        odd = odd_places(seen)
        if odd and self._settings.outliers == "raise":
            k, where = min(odd.items())
            raise ValueError(f"{self._names[k]} {told(where)}; leave it out")
        names = {k: told(where) for k, where in odd.items()}
        for k, sides in of_their_own(self.survey.borders).items():
            shown = np.any([has_say(seen[j], odd.get(j)) for j in seen if j != k], axis=0)
            hidden = shown & ~seen[k].known
            odd[k] = odd[k] | hidden if k in odd else hidden
            names[k] = f"{names[k]} and {black_along(sides)}" if k in names else black_along(sides)
        return odd, names

    def _valid(self, number: int, raw: Raw | None) -> BoolArray | None:
        """Find where a frame may win, from what was read of it; None means everywhere."""
        valid = self._shown(number, raw)
        if (odd := self.odd.get(number)) is not None:
            block = block_size((self.shape[0], self.shape[1]))
            valid = both(valid, ~repeated(all_cells(odd, block, self.shape), block, self.shape))
        if (discs := self._discs_of(number)) is not None:
            valid = both(valid, ~discs)
        return valid

    # --- discs of lamps ------------------------------------------------------------------------

    def _measured_discs(self) -> dict[int, Float64Array]:
        """Measure how far the discs of all lamps reach in the frames."""
        if self._lamps is None:
            return {}
        around = {}
        for k in self.numbers:
            pixels = _as_bright(filled(self.read(k), OPAQUE), self._gains.get(k))
            at = carried(self.survey.matrices[k], self._lamps.centers)
            around[k] = light_around(brightest(pixels), at)
        reach = reach_of_discs(self._lamps, around)
        return {k: radii for k, radii in reach.items() if radii.any()}

    def _discs_of(self, number: int) -> BoolArray | None:
        """Find the pixels of a frame that are hidden by discs; None is nowhere."""
        if self._lamps is None or number not in self._reach_of_discs:
            return None
        size = (self.shape[0], self.shape[1])
        discs = covered(self._lamps.centers, self._reach_of_discs[number], size)
        return discs if self._hidden is None else discs & ~self._hidden

    def _all_discs(self) -> BoolArray | None:
        """Find the pixels in any frame's discs, and let none hide what all frames hide."""
        if not self._reach_of_discs:
            return None
        discs, seen = np.zeros((2, *self.shape[:2]), bool)
        for k in self.numbers:
            valid = self.valid(k)
            seen |= True if valid is None else valid
            if (own := self._discs_of(k)) is not None:
                discs |= own
        self._hidden = ~seen
        return discs

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


def _as_bright(pixels: AnyArray, gain: Float32Array | None) -> AnyArray:
    """Give pixels as bright as the reference's; as they are without a gain."""
    return pixels if gain is None else matched(scaled(pixels), gain)


def both(valid: BoolArray | None, more: BoolArray) -> BoolArray:
    """Restrict the pixels where a frame has a say."""
    return more if valid is None else valid & more


def within(score: Float32Array, where: BoolArray | None, outside: float = -np.inf) -> Float32Array:
    """Give `score` where a frame has a say, `outside` elsewhere."""
    return score if where is None else np.where(where, score, np.float32(outside))
