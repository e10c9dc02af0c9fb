"""One photograph that is in focus everywhere, from several that are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skdefocus import _blending as blending
from skdefocus import _registration as registration
from skdefocus._base import ImageTransformer, each, restack
from skdefocus._blur import MAX_SIGMA
from skdefocus._validation import check_choice, check_image, check_int, check_real, to_grey
from skdefocus.filters import guided_filter
from skdefocus.pipeline import make_defocus_pipeline
from skdefocus.synthesis import MAX_NOISE

__all__ = ["FocusFuser", "FusionResult"]

Float = NDArray[np.float32]
#: Shorter sides in pixels from which defocus maps are made at half the size.
SMALL = 128
#: A frame, or what reads it.
Frame = ArrayLike | Callable[[], ArrayLike]


@dataclass(frozen=True, eq=False, repr=False)
class FusionResult:
    """A fused photograph and where it comes from.

    Attributes
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), float32 in [0, 1]
        Everything in focus.
    index : ndarray of shape (H, W), intp
        Position in the stack of the frame that each pixel comes from, near seams for the most part.
    confidence : ndarray of shape (H, W), float32 in [0, 1]
        How sure that is: tanh(Δ / 2), Δ the lead over the second-best frame in nats; 0 where the
        pixel itself said otherwise or nothing, and its surroundings decided.
    depth : ndarray of shape (H, W), float32
        Depth order: `index`, smoothed along the photograph's edges where the frames say little,
        in units of frames. A depth map if the frames are in the order of their focus.
    reached : ndarray of shape (H, W), bool
        Where all frames reach once they are aligned; beyond, what is in focus may be missing.
    """

    image: Float
    index: NDArray[np.intp]
    confidence: Float
    depth: Float
    reached: NDArray[np.bool_]

    @property
    def inner(self) -> tuple[slice, slice]:
        """Rows and columns of the rectangle, from border to border, that all frames reach.

        ``result.image[result.inner]`` is the fused photograph without ragged borders; it is empty
        if the frames have nothing in common.
        """
        # Frames have straight outlines: what is whole along its borders is whole within.
        top, left = 0, 0
        bottom, right = self.reached.shape
        while top < bottom and left < right:
            part = ~self.reached[top:bottom, left:right]
            borders = part[0], part[-1], part[:, 0], part[:, -1]
            missing = [float(border.mean()) for border in borders]
            worst = int(np.argmax(missing))
            if missing[worst] == 0:
                break
            top, bottom = top + (worst == 0), bottom - (worst == 1)
            left, right = left + (worst == 2), right - (worst == 3)
        return slice(top, bottom), slice(left, right)

    def __repr__(self) -> str:
        used = len(np.unique(self.index))
        return f"FusionResult(image {'x'.join(map(str, self.image.shape))}, of {used} frames)"


class FocusFuser(ImageTransformer):
    """Fuse photographs of one scene, focused at different depths.

    A sample is a stack: a sequence of N ≥ 2 photographs of one size, or of functions that take
    nothing and return one, called when it is needed. Nothing is learned from the stacks.

    The decision is made by comparing. First the frame with the most local detail is taken at
    every pixel. Then every frame is judged against the picture C thus composed: where C blurred
    somewhat looks like the frame, the frame is defocused; where the frame blurred looks like C,
    the frame is the sharper one; where it is far from C either way, it is not the one. This tells
    a defocused highlight from detail and finds outlines to some pixels. The frame's defocus map is
    a further vote where the frames' details are alike. Guided filters carry both choices into flat
    regions. Along the seams the comparison is made once more, and pixels are the mean of the
    frames, weighted by how likely each is the one.

    Parameters
    ----------
    radius : int, default=1
        Radius in pixels, ≥ 0, of the windows in which the decision is made consistent (it is
        carried into flat regions over 16 and 128 times as much). Larger for noisy photographs; 0
        leaves the decision to each pixel.
    feather : float, default=6.0
        How far from a seam, as σ in pixels, ≥ 0, frames may be mixed where it is unsure which of
        them is the nearest to the truth. 0 takes every pixel from a single frame.
    min_area : float, default=1e-3
        Connected regions of less than this part of the photograph are given to their surroundings,
        from 0 to 1.
    noise : float, default=5e-3
        Standard deviation of the frames' noise, > 0, in units of full scale; differences below
        it are not taken for detail.
    sigma_weight : float, default=0.05
        Weight of the defocus maps where detail decides nothing, ≥ 0, in nats per pixel of σ. 0
        computes none.
    align : {"none", "translation", "affine"}, default="none"
        Bring every frame to coincide with the first, by shifts or by affine maps, which also undo
        the change of scale when a lens is focused (focus breathing). Neighbours in the stack are
        compared, so that the frames should be in the order of their focus. Borders that a frame
        does not reach are taken from others.
    match_exposure : bool, default=False
        Scale every frame's channels to the mean of the first frame's.
    slab : (int, int) or None, default=None
        Fuse the frames from the first up to and without the second only, as of a slice: all that
        is in focus in these.
    n_jobs : int or None, default=None
        Stacks worked on at once, see :class:`joblib.Parallel`.

    Notes
    -----
    Every fused value lies between the smallest and the largest of the (aligned, exposure-matched)
    frames at that pixel. Memory is that of some twenty grey images whatever the length of the
    stack, beside the frames themselves; each is read five times, and only one is held at a time
    if functions are given. Time is linear in pixels and frames.

    The frame that shows an object's outline sharp wins on both sides of it, so that a foreground
    keeps its outline and its blurred spill in other frames does not show up as a halo.

    Examples
    --------
    >>> import numpy as np
    >>> import skdefocus as sd
    >>> from skdefocus import FocusFuser
    >>> sharp = sd.datasets.sample_photographs(96)[0]
    >>> soft = sd.synthesis.blur(sharp, 2.0)
    >>> left = np.arange(96) < 48
    >>> stack = [np.where(left, sharp, soft), np.where(left, soft, sharp)]
    >>> fused = FocusFuser().fit_transform([stack])[0]
    >>> sd.metrics.psnr(fused, sharp) > 40
    True
    """

    def __init__(
        self,
        radius: int = 1,
        feather: float = 6.0,
        *,
        min_area: float = 1e-3,
        noise: float = 5e-3,
        sigma_weight: float = 0.05,
        align: str = "none",
        match_exposure: bool = False,
        slab: tuple[int, int] | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.radius = radius
        self.feather = feather
        self.min_area = min_area
        self.noise = noise
        self.sigma_weight = sigma_weight
        self.align = align
        self.match_exposure = match_exposure
        self.slab = slab
        self.n_jobs = n_jobs

    def _check_params(self) -> None:
        check_int(self.radius, "radius", 0)
        check_real(self.feather, "feather", 0, MAX_SIGMA)
        if check_real(self.min_area, "min_area", 0) > 1:
            raise ValueError(f"min_area must be at most 1, got {self.min_area!r}")
        if check_real(self.noise, "noise", 0, MAX_NOISE, above=True) < 1e-9:  # squared, it is 0
            raise ValueError(f"noise must be at least 1e-9, got {self.noise!r}")
        check_real(self.sigma_weight, "sigma_weight", 0, MAX_NOISE)
        check_choice(self.align, "align", ("none", "translation", "affine"))
        if self.slab is not None:
            if not isinstance(self.slab, Sequence) or len(self.slab) != 2:
                raise ValueError(f"slab must be None or (start, stop), got {self.slab!r}")
            start = check_int(self.slab[0], "slab[0]", 0)
            check_int(self.slab[1], "slab[1]", start + 1)

    def transform(self, X: Any) -> Any:
        """Fuse.

        Parameters
        ----------
        X : sequence of stacks, or ndarray of shape (n, N, H, W) or (n, N, H, W, C)
            Photographs are grey, RGB or RGBA (alpha is ignored); bool, uint8, uint16 (scaled by
            their range) or float in [0, 1].

        Returns
        -------
        list of ndarray of shape (H, W) or (H, W, 3), float32 in [0, 1]
            One photograph per stack, in order, whatever the type of the frames; one array
            (n, H, W[, 3]) if `X` is an array.

        Raises
        ------
        TypeError
            If `X` is no sequence of sequences, or a frame is no photograph.
        ValueError
            If a stack has fewer than two frames or they differ in size.
        """
        images = [result.image for result in self._results(X)]
        return restack(images, isinstance(X, np.ndarray) and X.dtype != object)

    def fuse(self, stack: Sequence[Frame] | NDArray[Any]) -> FusionResult:
        """Fuse a single stack and tell where every pixel comes from.

        Parameters
        ----------
        stack : sequence of N ≥ 2 frames, or ndarray of shape (N, H, W) or (N, H, W, C)
            See :meth:`transform`.

        Returns
        -------
        FusionResult
        """
        return self._results([stack])[0]

    def _results(self, X: Sequence[Any]) -> list[FusionResult]:
        self._check_params()
        if isinstance(X, str | bytes) or not isinstance(X, Sequence | np.ndarray):
            raise TypeError(f"X must be a list of stacks, got {type(X).__name__}")
        if len(X) == 0:
            raise ValueError("X is empty; at least one stack is needed")
        names = [f"X[{i}]" for i in range(len(X))]
        return each(self.n_jobs, _fuse_named, zip(X, names, strict=True), self)


def _fuse_named(sample: tuple[Any, str], fuser: FocusFuser) -> FusionResult:
    stack, name = sample
    return _fuse(_Frames(stack, name, fuser), fuser)


class _Frames:
    """The frames of a stack, prepared one at a time: read, checked, aligned and matched."""

    def __init__(self, stack: Any, name: str, fuser: FocusFuser) -> None:
        if isinstance(stack, str | bytes) or not isinstance(stack, Sequence | np.ndarray):
            raise TypeError(f"{name} must be a stack (a list of photographs), got {stack!r:.60}")
        if len(stack) < 2:
            raise ValueError(f"{name} must hold at least 2 photographs, got {len(stack)}")
        start, stop = (0, len(stack)) if fuser.slab is None else fuser.slab
        if stop > len(stack):
            raise ValueError(f"slab must end within the {len(stack)} frames of {name}, got {stop}")
        self._stack, self._name = stack, name
        self.numbers = range(start, stop)
        first = self._read(start)
        self.shape = first.shape
        self._mean = _channel_means(first) if fuser.match_exposure else None
        self._matrices = self._aligned(fuser.align) if fuser.align != "none" else None
        self.reach: list[NDArray[np.bool_] | None] = [None] * len(stack)
        if self._matrices is not None:
            for k in self.numbers[1:]:
                self.reach[k] = registration.inside(self._matrices[k - start], first.shape[:2])

    def _read(self, number: int) -> Float:
        frame = self._stack[number]
        image = check_image(frame() if callable(frame) else frame, f"{self._name}[{number}]")
        if number > self.numbers[0] and image.shape != self.shape:
            raise ValueError(
                f"{self._name}[{number}] must have the shape of the frames before it, "
                f"{self.shape}, got {image.shape}"
            )
        return image

    def _aligned(self, kind: str) -> list[NDArray[np.float64]]:
        matrices = [np.eye(3)]
        greys = (to_grey(self._read(k)) for k in self.numbers)
        for before, after in pairwise(greys):
            matrices.append(registration.register(before, after, kind) @ matrices[-1])
        return matrices

    def __getitem__(self, number: int) -> Float:
        image = self._read(number)
        if self._matrices is not None and number > self.numbers[0]:
            image = registration.warp(image, self._matrices[number - self.numbers[0]])
        if self._mean is not None:
            gain = self._mean / np.maximum(_channel_means(image), 1e-6)
            image = np.clip(image * gain, 0, 1).astype(np.float32)
        return image

    def __iter__(self) -> Iterator[tuple[int, Float]]:
        return ((k, self[k]) for k in self.numbers)


def _fuse(frames: _Frames, fuser: FocusFuser) -> FusionResult:
    size = (frames.shape[0], frames.shape[1])
    contest = blending.Contest(size)
    for k, image in frames:
        grey = to_grey(image)
        contest.offer(k, _within(blending.detail(grey, fuser.noise), frames.reach[k]), grey)

    settle = partial(
        blending.settle, radius=fuser.radius, min_area=fuser.min_area, reach=frames.reach
    )
    # Squared, as the smooth tails of defocused edges have some detail too.
    index = settle(contest.index, contest.evidence**2, contest.grey)
    undecided = 1 - contest.evidence
    composite = np.zeros(size, np.float32)
    for k, image in frames:
        np.copyto(composite, to_grey(image), where=index == k)
    trials = list(blending.blurred(composite))
    contest = blending.Contest(size)
    for k, image in frames:
        grey = to_grey(image)
        score = _score(grey, composite, trials, fuser.noise)
        score += np.float32(blending.DETAIL_SHARE) * blending.detail(grey, fuser.noise)
        if fuser.sigma_weight > 0:
            score -= np.float32(fuser.sigma_weight) * undecided * _sigma(image)
        contest.offer(k, _within(score, frames.reach[k]), grey)

    evidence = contest.evidence
    index = settle(contest.index, evidence, contest.grey)
    confidence = np.where(index == contest.index, evidence, np.float32(0))
    depth = guided_filter(
        index.astype(np.float32), contest.grey, max(fuser.radius, 1) * 4, blending.EPS,
        weights=confidence + np.float32(1e-3),
    )  # fmt: skip
    image = _blend(frames, index, fuser)
    depth = np.clip(depth, np.float32(index.min()), np.float32(index.max()))
    reached = np.ones(size, bool)
    for where in frames.reach:
        if where is not None:
            reached &= where
    return FusionResult(image, index, confidence, depth, reached)


def _score(grey: Float, composite: Float, trials: list[blending.Trial], noise: float) -> Float:
    """Log-likelihood, but for a term common to all frames, that a frame is the one in focus."""
    score = blending.mismatch(trials, grey, noise)
    score -= blending.mismatch(blending.blurred(grey), composite, noise)
    near = np.log(blending.difference(grey, composite) + np.float32(noise**2))
    score -= np.float32(blending.NEAR_SHARE) * near
    return score


def _sigma(image: Float) -> Float:
    """Defocus map of a frame, made at half the size: where it counts there is little detail."""
    size = (image.shape[0], image.shape[1])
    if min(size) < SMALL:
        return np.asarray(make_defocus_pipeline().transform([image])[0], np.float32)
    half = make_defocus_pipeline().transform([registration.half(image)])[0]
    whole = 2 * np.repeat(np.repeat(half, 2, axis=0), 2, axis=1)
    rest = [(0, n - m) for n, m in zip(size, whole.shape, strict=True)]
    return np.asarray(np.pad(whole, rest, mode="edge"), np.float32)


def _blend(frames: _Frames, index: NDArray[np.intp], fuser: FocusFuser) -> Float:
    """Take the chosen pixels, and near seams the mean of what may be the nearest to the truth.

    Where two frames meet, the choice is off by some pixels often, and no frame shows the truth.
    The mean of them, weighted by how likely each is the one, errs least. The frames are compared
    with a composite whose seams are wide, so that it leans to neither side.
    """
    used = [int(k) for k in np.flatnonzero(np.bincount(index.ravel()))]

    def weighted(weight: Callable[[int, Float], Float]) -> Float:
        blend = blending.Blend(frames.shape)
        for k in used:
            image = frames[k]
            blend.add(image, _within(weight(k, image), frames.reach[k], 0))
        return blend.image

    if len(used) == 1 or fuser.feather == 0:
        return weighted(lambda k, _: (index == k).astype(np.float32))
    composite = to_grey(weighted(lambda k, _: blending.spread(index == k, blending.WIDE_SEAM)))
    trials = list(blending.blurred(composite))

    def likely(k: int, image: Float) -> Float:
        score = _score(to_grey(image), composite, trials, fuser.noise)
        return blending.spread(index == k, fuser.feather) * np.exp(score)

    return weighted(likely)


def _within(score: Float, where: NDArray[np.bool_] | None, outside: float = -np.inf) -> Float:
    return score if where is None else np.where(where, score, np.float32(outside))


def _channel_means(image: Float) -> Float:
    return np.asarray(image.mean(axis=(0, 1), dtype=np.float64), np.float32)
