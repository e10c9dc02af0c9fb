"""Choice of a frame for every pixel: each frame is judged against a composite of the sharpest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from sklearn.pipeline import Pipeline

from skdefocus import _registration as registration
from skdefocus._grids import Area, all_cells, cell_means, repeated
from skdefocus._typing import BoolArray, Float32Array
from skdefocus.fusion import _comparison as comparison
from skdefocus.fusion import _labels as labels
from skdefocus.fusion._frames import Frames, View, within
from skdefocus.fusion._lamps import around, light_of
from skdefocus.fusion._prominence import Outstanding, outstanding
from skdefocus.fusion._settings import FuserSettings
from skdefocus.fusion._tiles import by_tiles, tiled
from skdefocus.fusion._windows import guided
from skdefocus.pipeline import release_memory

#: Shorter side in pixels, down to which frames are halved before defocus maps are made, and how
#: often at most.
SMALL, HALVINGS = 128, 2
#: Pixels of a frame from which on the memory of the network is not kept from one to the next.
LARGE = 2**23
#: A frame is judged where it is near pixels that have been given to it: within so many cells of so
#: many pixels.
NEAR, CELL = 1, 32
#: A cell and the eight next to it.
SQUARE = np.ones((3, 3), bool)
#: Lead in detail, as evidence, from which a pixel counts though its surroundings overruled it; and
#: share of the evidence in a cell that counts likewise, for frames that hardly lead over the next.
CLEAR, SHARE = 0.3, 0.1
#: Score of frames where they are not judged: far below all others.
FAR = -1e3
#: Nats against a frame where it is clipped to white and others may show more, and how much more
#: they show for all of these, in parts of white.
LOST, MUCH = 4.0, 0.1


@dataclass(frozen=True, eq=False)
class Decision:
    """The choice for every pixel.

    Attributes
    ----------
    index : ndarray of shape (H, W)
        Numbers of the frames.
    confidence, depth : ndarray of shape (H, W), float32
        How sure that is, and the order in depth.
    brightest : ndarray of shape (rows, columns)
        The most light that any frame has around, in cells; see
        :func:`skdefocus.fusion._lamps.around`.
    """

    index: labels.Index
    confidence: Float32Array
    depth: Float32Array
    brightest: Float32Array


def decided(frames: Frames, settings: FuserSettings, mapper: Pipeline) -> Decision:
    """Choose a frame for every pixel."""
    contest, brightest = _compared(frames, settings, mapper)
    index = _consistent(frames, contest, contest.evidence, settings)
    confidence = np.where(index == contest.index, contest.evidence, np.float32(0))
    radius = max(settings.radius, 1) * 4
    order, weights = index.astype(np.float32), confidence + np.float32(1e-3)

    def smoothed(area: Area) -> Float32Array:
        return guided(order, contest.gray, radius, labels.EPS, weights, area)

    depth = by_tiles(smoothed, index.shape, tiled(index.shape))
    depth = np.clip(depth, np.float32(index.min()), np.float32(index.max()))
    return Decision(index, confidence, depth, brightest)


def _compared(
    frames: Frames, settings: FuserSettings, mapper: Pipeline
) -> tuple[labels.Choice, Float32Array]:
    """Judge every frame against the composite of those with the most detail.

    Also give the most light that any frame has around.
    """
    composite, undecided, least, brightest = _composite(frames, settings)
    several = np.sum([cells < np.inf for cells in least.values()], axis=0) > 1
    contested = repeated(several, CELL, composite.gray.shape)
    trials = comparison.Trials(composite, brightest).keep(contested)
    claimed, alone = np.zeros(contested.shape, bool), np.ones(contested.shape, bool)

    def judged(k: int, view: View) -> Float32Array:
        """Score a frame where it has rivals."""
        rivals = repeated((least[k] < np.inf) & several, CELL, view.gray.shape)
        score = comparison.detail(view.gray, frames.noise, view.noise, rivals, wide=False)
        own = score > repeated(least[k], CELL, view.gray.shape)
        np.copyto(alone, False, where=own & claimed)
        np.logical_or(claimed, own, out=claimed)
        score *= np.float32(comparison.DETAIL_SHARE)
        if rivals.any():
            for area, likelihood in comparison.scores(view, composite, trials, rivals):
                score[area] += likelihood
            if settings.sigma_weight > 0:
                sigma = _sigma(view.gray, mapper)
                score -= np.float32(settings.sigma_weight) * undecided * sigma
        return within(score, own, FAR)

    contest = _contest(frames, judged)
    # Where a frame had no rivals, it is as sure as its lead in detail.
    np.copyto(contest.evidence, 1 - undecided, where=alone)
    return contest, brightest


def _composite(
    frames: Frames, settings: FuserSettings
) -> tuple[View, Float32Array, dict[int, Float32Array], Float32Array]:
    """Gray picture of the frames with the most detail, how unsure it is, and the cells near them.

    Returns
    -------
    composite : View
    undecided : ndarray of shape (H, W), in [0, 1]
    least : dict of int to ndarray of shape (rows, columns)
        Detail in log energies from which each frame may be the one, in cells.
    brightest : ndarray of shape (rows, columns)
        The most light that any frame has around, in cells.
    """
    standing: dict[int, Outstanding] = {}
    brightest = np.zeros((1, 1), np.float32)

    def detailed(k: int, view: View) -> Float32Array:
        """Score a frame by its detail, and find the cells where that stands out."""
        nonlocal brightest
        found = comparison.detail(view.gray, frames.noise, view.noise)
        standing[k] = outstanding(found, CELL)
        # Where a frame has no say, its light tells nothing either.
        light = around(light_of(within(view.gray, view.valid, 0)))
        brightest = np.maximum(brightest, light)
        return found

    contest = _contest(frames, detailed)
    # Squared, as the smooth tails of defocused edges have some detail too.
    index = _consistent(frames, contest, contest.evidence**2, settings)
    enough = np.float32(SHARE) * cell_means(contest.evidence, CELL)
    near = {
        k: _cells_near(index == k, contest, k, enough)
        | ndimage.binary_dilation(standing[k].clearly, SQUARE)
        for k in frames.numbers
    }
    # In long stacks all frames stand out faintly along outlines, and more rivals decide worse.
    alone = np.sum(list(near.values()), axis=0) <= 1
    least = {k: _least(near[k], alone, standing[k]) for k in frames.numbers}
    undecided = 1 - contest.evidence
    del contest
    gray, lit = np.zeros(index.shape, np.float32), np.zeros(index.shape, bool)
    for k, view in frames.views():
        chosen = index == k
        np.copyto(gray, view.gray, where=chosen)
        if view.lit is not None:
            np.copyto(lit, view.lit, where=chosen)
    composite = View(gray, lit if lit.any() else None, None, frames.noise)
    return composite, undecided, least, brightest


def _least(near: BoolArray, alone: BoolArray, standing: Outstanding) -> Float32Array:
    """Give the detail from which a frame may be the one: any, some where one is alone, or none."""
    faintly = alone & ndimage.binary_dilation(standing.faintly, SQUARE)
    return np.where(
        near, np.float32(-np.inf), np.where(faintly, standing.least, np.float32(np.inf))
    )


def _cells_near(
    where: BoolArray, contest: labels.Choice, number: int, enough: Float32Array
) -> BoolArray:
    """Find the cells near a frame's pixels, and those where it won `enough` evidence."""
    won = contest.index == number
    cells = cell_means(where | won & (contest.evidence > CLEAR), CELL) > 0
    own = cell_means(contest.evidence * won, CELL) > enough
    return ndimage.binary_dilation(cells, SQUARE, NEAR) | ndimage.binary_dilation(own, SQUARE)


def _contest(frames: Frames, score: Callable[[int, View], Float32Array]) -> labels.Choice:
    """Let all frames compete by their scores."""
    contest = labels.Contest((frames.shape[0], frames.shape[1]), frames.numbers[0])
    for k, view in frames.views():
        found = score(k, view)
        # The likelihood of what is noisier is spread wider.
        found -= np.float32(np.log(view.noise / frames.noise))
        if view.lost > 0 and view.lit is not None:
            found -= np.float32(LOST * min(view.lost / MUCH, 1)) * view.lit
        contest.offer(k, within(found, view.valid), view.gray)
    return contest.choice()


def _consistent(
    frames: Frames, contest: labels.Choice, evidence: Float32Array, settings: FuserSettings
) -> labels.Index:
    prior = labels.PRIOR / max(len(frames.numbers) - 1, 1)
    radius, least = settings.radius, settings.min_area
    return labels.settle(contest.index, evidence, contest.gray, radius, least, frames.valid, prior)


def _sigma(gray: Float32Array, mapper: Pipeline) -> Float32Array:
    """Defocus map of a frame, made at a smaller size: where it counts there is little detail."""
    small, step = gray, 1
    while step < 2**HALVINGS and min(small.shape) >= 2 * SMALL:
        small, step = registration.half(small), 2 * step
    sigma = np.float32(step) * mapper.transform([small])[0]
    if gray.size > LARGE:
        release_memory(mapper)
    return repeated(all_cells(sigma, step, gray.shape), step, gray.shape)
