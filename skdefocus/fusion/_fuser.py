"""The estimator that fuses stacks."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline

from skdefocus._estimators import ImageTransformer, map_samples, one_blas_thread, restack
from skdefocus._images import looks_like_one
from skdefocus._typing import AnyArray
from skdefocus._validation import is_sequence
from skdefocus.fusion._blend import blended
from skdefocus.fusion._decision import decided
from skdefocus.fusion._frames import Frame, Frames
from skdefocus.fusion._labels import Index
from skdefocus.fusion._result import FusionResult
from skdefocus.fusion._retouch import retouched
from skdefocus.fusion._settings import FuserSettings
from skdefocus.pipeline import pipeline_of_worker

__all__ = ["FocusFuser"]


class FocusFuser(ImageTransformer):
    """Fuse photographs of one scene, focused at different depths.

    A sample is a stack: a sequence of N ≥ 2 photographs of one size, or of functions that take
    nothing and return one, called when it is needed. Nothing is learned from the stacks.

    The decision is made by comparing. First the frame with the most local detail is taken at
    every pixel. Then every frame is judged against the picture C thus composed: where C blurred
    somewhat looks like the frame, the frame is defocused; where the frame blurred looks like C,
    the frame is the sharper one; where it is far from C either way, it is not the one. This tells
    a defocused highlight from detail and finds outlines to some pixels. Frames are judged near the
    pixels where they have the most detail. The frame's defocus map is a further vote where the
    frames' details are alike. Guided filters carry both choices into flat regions. Along the seams
    the comparison is made once more, and pixels are the mean of the frames, weighted by how likely
    each is the one. In the discs that small lamps make out of focus, a frame has no say.

    Parameters
    ----------
    radius : int, default=1
        Radius in pixels, ≥ 0, of the windows in which the decision is made consistent (it is
        carried into flat regions over 16 and 128 times as much). Larger for noisy photographs; 0
        leaves the decision to each pixel.
    feather : float, default=6.0
        How far from a seam, as σ in pixels, ≥ 0, frames may be mixed where it is unsure which of
        them is the nearest to the truth. 0 takes every pixel from a single frame.
    min_area : int, default=16
        Connected regions of fewer pixels, ≥ 0, are given to their surroundings.
    noise : float, default=5e-3
        Standard deviation of the frames' noise at least, ≥ 1e-9, in units of full scale;
        differences below it are not taken for detail. A frame in which more is measured has that
        much, so that a noisier frame does not win by its noise. It is multiplied with a frame's
        gain.
    sigma_weight : float, default=0.05
        Weight of the defocus maps where detail decides nothing, ≥ 0, in nats per pixel of σ. 0
        computes none.
    align : {"none", "translation", "affine"}, default="none"
        Bring every frame to coincide with the reference, by shifts or by affine maps, which also
        undo the change of scale when a lens is focused (focus breathing). Motion is measured on
        copies of at most 1024 pixels along the shorter side. Neighbors in the stack
        are compared, so that the frames should be in the order of their focus. Borders that a
        frame does not reach are taken from others.
    match_exposure : {"auto"} or bool, default="auto"
        Multiply every frame's channels by the gain that brings them to the reference's exposure,
        measured at what is clipped in neither; "auto" does so where the gain differs from 1 by
        more than .8 % and by more than chance. What is clipped to white stays white.
    slab : (int, int) or None, default=None
        Fuse the frames from the first up to and without the second only, as of a slice: all that
        is in focus in these.
    reference : int or None, default=None
        Position in the stack of the frame that the others are aligned with and matched to; None
        is the first of them.
    outliers : {"drop", "raise", "keep"}, default="drop"
        What becomes of a frame that does not belong: one that is black, clipped to white, more
        than 3 times as bright or dark as the reference, or shows another scene, or the same
        elsewhere. "drop" leaves it out with a warning, "raise" raises ValueError, as "drop" does
        if fewer than two frames are left; "keep" fuses it. Likewise for the part of a frame that
        shows what most of the others do not, such as a hand, or a half that the flash did not
        reach: among three frames or more, "drop" gives it no say there. Frames whose shorter side
        has less than 48 pixels are not judged by what they show.
    n_jobs : int or None, default=None
        Stacks worked on at once, see :class:`joblib.Parallel`.

    Notes
    -----
    Away from seams, every fused value lies between the smallest and the largest of the (aligned,
    exposure-matched) frames at that pixel. Memory is some 85 bytes per pixel of a frame whatever
    the length of the stack, beside the frames themselves; gray copies of stacks of up to 24 million
    pixels are held besides. Each frame is read up to seven times, or fourteen if it has
    alpha, and only one is held at a time if functions are given. Time is linear in pixels and
    frames.

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

    _table = FuserSettings

    def __init__(
        self,
        radius: int = 1,
        feather: float = 6.0,
        *,
        min_area: int = 16,
        noise: float = 5e-3,
        sigma_weight: float = 0.05,
        align: str = "none",
        match_exposure: bool | str = "auto",
        slab: tuple[int, int] | None = None,
        reference: int | None = None,
        outliers: str = "drop",
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
        self.reference = reference
        self.outliers = outliers
        self.n_jobs = n_jobs

    def transform(self, X: Any) -> Any:
        """Fuse.

        Parameters
        ----------
        X : sequence of stacks, or ndarray of shape (n, N, H, W) or (n, N, H, W, C)
            Photographs are gray or RGB, with or without alpha; bool, uint8, uint16 (scaled by
            their range) or float in [0, 1]. Where a frame is less opaque than another, it has no
            say.

        Returns
        -------
        list of ndarray of shape (H, W) or (H, W, 3), float32 in [0, 1]
            One photograph per stack, in order, whatever the type of the frames; one array
            (n, H, W[, 3]) if `X` is an array.

        Raises
        ------
        TypeError
            If `X` is not a sequence of sequences, a frame is not a photograph, or a parameter is of
            another type.
        ValueError
            If a stack is an array of the shape of a single photograph, has fewer than two frames
            or they differ in size; if a frame is not a photograph or a parameter is out of range.
        """
        settings = FuserSettings.of(self)
        _check_stacks(X)
        samples = [(stack, f"X[{i}]", None) for i, stack in enumerate(X)]
        mapper = pipeline_of_worker(self.n_jobs)
        images = map_samples(self.n_jobs, _fused_image, samples, settings, mapper)
        return restack(images, isinstance(X, np.ndarray) and X.dtype != object)

    def fuse(
        self,
        frames: Sequence[Frame] | AnyArray,
        *,
        names: Sequence[str] | None = None,
        prefer: Mapping[int, ArrayLike] | None = None,
    ) -> FusionResult:
        """Fuse a single stack and tell where every pixel comes from.

        Parameters
        ----------
        frames : sequence of N ≥ 2 frames, or ndarray of shape (N, H, W) or (N, H, W, C)
            See :meth:`transform`.
        names : sequence of N str, or None
            How messages call the frames, such as the names of their files; None is
            ``frames[0]`` and so on.
        prefer : mapping of int to array_like of shape (H, W), or None
            Masks to retouch with, bool or float in [0, 1], in the pixels of the fused photograph:
            where one is above 1/2, the frame at that position is taken, unless it does not reach
            there. Of several masks, the last one counts.

        Returns
        -------
        FusionResult

        Raises
        ------
        TypeError
            If `frames` is not a sequence, a frame is not a photograph, or a parameter is of another
            type.
        ValueError
            If there are fewer than two frames that belong to one stack, or they differ in size; if
            a frame is not a photograph, a parameter is out of range, or a preferred frame is left
            out.
        """
        settings = FuserSettings.of(self)
        sample = frames, "frames", names
        return _fuse(sample, settings, pipeline_of_worker(self.n_jobs), prefer)


def _check_stacks(X: Any) -> None:
    """Check that stacks were given, and not a single one."""
    if not is_sequence(X):
        raise TypeError(f"X must be a list of stacks, got {type(X).__name__}")
    if len(X) == 0:
        raise ValueError("X is empty; at least one stack is needed")
    for i, stack in enumerate(X):
        if not isinstance(stack, np.ndarray):
            continue
        color = stack.ndim == 3 and stack.shape[-1] in (3, 4)
        if color or looks_like_one(stack):
            raise ValueError(
                f"X must be a list of stacks, but X[{i}] has the shape of one photograph, "
                f"{stack.shape}; for one stack pass [stack] or use fuse(stack)"
            )


#: A stack, how messages call it, and the names of its frames.
Sample = tuple[Any, str, Sequence[str] | None]


def _fused_image(sample: Sample, settings: FuserSettings, mapper: Pipeline) -> Any:
    return _fuse(sample, settings, mapper).image


def _fuse(
    sample: Sample,
    settings: FuserSettings,
    mapper: Pipeline,
    prefer: Mapping[int, ArrayLike] | None = None,
) -> FusionResult:
    """Check the frames of a stack and fuse them."""
    stack, name, names = sample
    if not is_sequence(stack):
        raise TypeError(f"{name} must be a stack (a list of photographs), got {stack!r:.60}")
    if len(stack) < 2:
        raise ValueError(f"{name} must hold at least 2 photographs, got {len(stack)}")
    if names is None:
        names = [f"{name}[{k}]" for k in range(len(stack))]
    elif len(names) != len(stack):
        raise ValueError(f"names must hold {len(stack)} names, one a frame, got {len(names)}")
    start, stop = settings.slab or (0, len(stack))
    if stop > len(stack):
        raise ValueError(f"slab must end within the {len(stack)} frames of {name}, got {stop}")
    reference = start if settings.reference is None else settings.reference
    if not start <= reference < stop:
        raise ValueError(f"reference must be from {start} to {stop - 1}, got {reference}")
    with one_blas_thread():
        frames = Frames(
            stack,
            names,
            numbers=range(start, stop),
            reference=reference,
            settings=settings,
        )
        for k, why in sorted(frames.left_out.items()):
            warnings.warn(f"{names[k]} is left out: {why}", stacklevel=4)
        for k, where in sorted(frames.overruled.items()):
            warnings.warn(f"{names[k]} is overruled: it {where}", stacklevel=4)
        return _result(frames, settings, mapper, retouched(frames, prefer, names))


def _result(
    frames: Frames, settings: FuserSettings, mapper: Pipeline, forced: Index | None
) -> FusionResult:
    """Decide and blend; `forced` gives the numbers of preferred frames, -1 elsewhere."""
    decision = decided(frames, settings, mapper)
    index, confidence = decision.index, decision.confidence
    if forced is not None:
        np.copyto(index, forced, where=forced >= 0)
        np.copyto(confidence, np.float32(1), where=forced >= 0)
    return FusionResult(
        blended(frames, index, decision.brightest, settings, forced),
        index.astype(np.intp),
        confidence,
        decision.depth,
        frames.reached,
        frames.alpha,
        frames.left_out,
        frames.overruled,
        frames.gains,
    )
