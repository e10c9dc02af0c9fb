"""One photograph that is in focus everywhere, from several that are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.pipeline import Pipeline

from skdefocus._estimators import ImageTransformer, each, restack
from skdefocus._images import check_image, looks_like_one, to_gray
from skdefocus._validation import (
    MAX_NOISE,
    MAX_SIGMA,
    check_choice,
    check_int,
    check_real,
    is_sequence,
)
from skdefocus.filters import guided_filter
from skdefocus.fusion import _blend as blending
from skdefocus.fusion import _registration as registration
from skdefocus.pipeline import pipeline_of_worker

__all__ = ["FocusFuser", "FusionResult"]

Float = NDArray[np.float32]
#: Shorter sides in pixels from which defocus maps are made at half the size.
SMALL = 128
#: Least standard deviation of the noise: not much below this, its square is 0.
LEAST_NOISE = 1e-9
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
        Standard deviation of the frames' noise, ≥ 1e-9, in units of full scale; differences below
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
    frames at that pixel. Memory is some 150 bytes per pixel of a frame whatever the length of the
    stack (190 if small frames are aligned), beside the frames themselves; each is read five times,
    and only one is held at a time if functions are given. Time is linear in pixels and frames.

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
        self._settings()

    def _settings(self) -> _Settings:
        slab = None
        if self.slab is not None:
            if not isinstance(self.slab, Sequence) or len(self.slab) != 2:
                raise ValueError(f"slab must be None or (start, stop), got {self.slab!r}")
            start = check_int(self.slab[0], "slab[0]", 0)
            slab = start, check_int(self.slab[1], "slab[1]", start + 1)
        return _Settings(
            radius=check_int(self.radius, "radius", 0),
            feather=check_real(self.feather, "feather", 0, MAX_SIGMA),
            min_area=check_real(self.min_area, "min_area", 0, 1),
            noise=check_real(self.noise, "noise", LEAST_NOISE, MAX_NOISE),
            sigma_weight=check_real(self.sigma_weight, "sigma_weight", 0, MAX_NOISE),
            align=check_choice(self.align, "align", ("none", "translation", "affine")),
            match_exposure=bool(self.match_exposure),
            slab=slab,
            mapper=pipeline_of_worker(self.n_jobs),
        )

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
            If `X` is no sequence of sequences, a frame is no photograph, or a parameter is of
            another type.
        ValueError
            If a stack is an array of the shape of a single photograph, has fewer than two frames
            or they differ in size; if a frame is no photograph or a parameter out of range.
        """
        settings = self._settings()
        _check_stacks(X)
        images = [result.image for result in self._results(X, settings)]
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

        Raises
        ------
        TypeError
            If `stack` is no sequence, a frame is no photograph, or a parameter is of another type.
        ValueError
            If there are fewer than two frames or they differ in size; if a frame is no photograph
            or a parameter out of range.
        """
        return self._results([stack], self._settings())[0]

    def _results(self, X: Sequence[Any], settings: _Settings) -> list[FusionResult]:
        names = [f"X[{i}]" for i in range(len(X))]
        return each(self.n_jobs, _fuse_named, zip(X, names, strict=True), settings)


class _Settings(NamedTuple):
    """Parameters of a fuser, checked and as plain numbers, and what makes the maps of frames."""

    radius: int
    feather: float
    min_area: float
    noise: float
    sigma_weight: float
    align: str
    match_exposure: bool
    slab: tuple[int, int] | None
    mapper: Pipeline


def _check_stacks(X: Any) -> None:
    if not is_sequence(X):
        raise TypeError(f"X must be a list of stacks, got {type(X).__name__}")
    if len(X) == 0:
        raise ValueError("X is empty; at least one stack is needed")
    for i, stack in enumerate(X):
        if not isinstance(stack, np.ndarray):
            continue
        colour = stack.ndim == 3 and stack.shape[-1] in (3, 4)
        if colour or looks_like_one(stack):
            raise ValueError(
                f"X must be a list of stacks, but X[{i}] has the shape of one photograph, "
                f"{stack.shape}; for one stack pass [stack] or use fuse(stack)"
            )


def _fuse_named(sample: tuple[Any, str], settings: _Settings) -> FusionResult:
    stack, name = sample
    return _fuse(_Frames(stack, name, settings), settings)


class _Frames:
    """The frames of a stack, prepared one at a time: read, checked, aligned and matched."""

    def __init__(self, stack: Any, name: str, settings: _Settings) -> None:
        if not is_sequence(stack):
            raise TypeError(f"{name} must be a stack (a list of photographs), got {stack!r:.60}")
        if len(stack) < 2:
            raise ValueError(f"{name} must hold at least 2 photographs, got {len(stack)}")
        start, stop = settings.slab or (0, len(stack))
        if stop > len(stack):
            raise ValueError(f"slab must end within the {len(stack)} frames of {name}, got {stop}")
        self._stack, self._name = stack, name
        self.numbers = range(start, stop)
        first = self._read(start)
        self.shape = first.shape
        self._mean = _channel_means(first) if settings.match_exposure else None
        self._matrices = self._aligned(settings.align) if settings.align != "none" else None
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
        greys = (to_gray(self._read(k)) for k in self.numbers)
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


def _fuse(frames: _Frames, settings: _Settings) -> FusionResult:
    index, confidence, depth = _decided(frames, settings)
    reached = np.ones(index.shape, bool)
    for where in frames.reach:
        if where is not None:
            reached &= where
    return FusionResult(_blend(frames, index, settings), index, confidence, depth, reached)


def _decided(frames: _Frames, settings: _Settings) -> tuple[blending.Index, Float, Float]:
    """Frame of every pixel, how sure that is, and the order in depth."""
    contest = _compared(frames, settings)
    evidence = contest.evidence
    index = _settled(frames, contest, evidence, settings)
    confidence = np.where(index == contest.index, evidence, np.float32(0))
    depth = guided_filter(
        index.astype(np.float32), contest.grey, max(settings.radius, 1) * 4, blending.EPS,
        weights=confidence + np.float32(1e-3),
    )  # fmt: skip
    depth = np.clip(depth, np.float32(index.min()), np.float32(index.max()))
    return index, confidence, depth


def _compared(frames: _Frames, settings: _Settings) -> blending.Contest:
    """Judge every frame against the composite of those with the most detail."""
    composite, undecided = _composite(frames, settings)
    trials = list(blending.blurred(composite))

    def judged(image: Float, grey: Float) -> Float:
        score = _score(grey, composite, trials, settings.noise)
        score += np.float32(blending.DETAIL_SHARE) * blending.detail(grey, settings.noise)
        if settings.sigma_weight > 0:
            sigma = _sigma(image, settings.mapper)
            score -= np.float32(settings.sigma_weight) * undecided * sigma
        return score

    return _contest(frames, judged)


def _composite(frames: _Frames, settings: _Settings) -> tuple[Float, Float]:
    """Grey picture of the frames with the most detail, and how unsure that choice is."""
    contest = _contest(frames, lambda _, grey: blending.detail(grey, settings.noise))
    evidence = contest.evidence
    # Squared, as the smooth tails of defocused edges have some detail too.
    index = _settled(frames, contest, evidence**2, settings)
    composite = np.zeros(index.shape, np.float32)
    for k, image in frames:
        np.copyto(composite, to_gray(image), where=index == k)
    return composite, 1 - evidence


def _contest(frames: _Frames, score: Callable[[Float, Float], Float]) -> blending.Contest:
    """Let all frames compete by their scores, made from a frame and its grey values."""
    contest = blending.Contest((frames.shape[0], frames.shape[1]))
    for k, image in frames:
        grey = to_gray(image)
        contest.offer(k, _within(score(image, grey), frames.reach[k]), grey)
    return contest


def _settled(
    frames: _Frames, contest: blending.Contest, evidence: Float, settings: _Settings
) -> blending.Index:
    return blending.settle(
        contest.index, evidence, contest.grey, settings.radius, settings.min_area, frames.reach
    )


def _score(grey: Float, composite: Float, trials: list[blending.Trial], noise: float) -> Float:
    """Log-likelihood, but for a term common to all frames, that a frame is the one in focus."""
    score = blending.mismatch(trials, grey, noise)
    score -= blending.mismatch(blending.blurred(grey), composite, noise)
    near = np.log(blending.difference(grey, composite) + np.float32(noise**2))
    score -= np.float32(blending.NEAR_SHARE) * near
    return score


def _sigma(image: Float, mapper: Pipeline) -> Float:
    """Defocus map of a frame, made at half the size: where it counts there is little detail."""
    size = (image.shape[0], image.shape[1])
    if min(size) < SMALL:
        return np.asarray(mapper.transform([image])[0], np.float32)
    half = mapper.transform([registration.half(image)])[0]
    whole = 2 * np.repeat(np.repeat(half, 2, axis=0), 2, axis=1)
    rest = [(0, n - m) for n, m in zip(size, whole.shape, strict=True)]
    return np.asarray(np.pad(whole, rest, mode="edge"), np.float32)


def _blend(frames: _Frames, index: blending.Index, settings: _Settings) -> Float:
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

    if len(used) == 1 or settings.feather == 0:
        return weighted(lambda k, _: (index == k).astype(np.float32))
    composite = to_gray(weighted(lambda k, _: blending.spread(index == k, blending.WIDE_SEAM)))
    trials = list(blending.blurred(composite))

    def likely(k: int, image: Float) -> Float:
        score = _score(to_gray(image), composite, trials, settings.noise)
        return blending.spread(index == k, settings.feather) * np.exp(score)

    return weighted(likely)


def _within(score: Float, where: NDArray[np.bool_] | None, outside: float = -np.inf) -> Float:
    return score if where is None else np.where(where, score, np.float32(outside))


def _channel_means(image: Float) -> Float:
    return np.asarray(image.mean(axis=(0, 1), dtype=np.float64), np.float32)
