"""Choice of a frame for every pixel: each frame is judged against a composite of the sharpest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.pipeline import Pipeline

from skdefocus._grids import Area
from skdefocus._typing import Float32Array
from skdefocus.filters import guided_filter
from skdefocus.fusion import _comparison as comparison
from skdefocus.fusion import _labels as labels
from skdefocus.fusion import _registration as registration
from skdefocus.fusion._frames import Frames, View, within
from skdefocus.fusion._settings import FuserSettings
from skdefocus.fusion._tiles import by_tiles

#: Shorter sides in pixels from which defocus maps are made at half the size.
SMALL = 128
#: Nats against a frame where it is clipped to white and others may show more.
LOST = 4.0


def decided(
    frames: Frames, settings: FuserSettings, mapper: Pipeline
) -> tuple[labels.Index, Float32Array, Float32Array]:
    """Frame of every pixel, how sure that is, and the order in depth."""
    contest = _compared(frames, settings, mapper)
    index = _consistent(frames, contest, contest.evidence, settings)
    confidence = np.where(index == contest.index, contest.evidence, np.float32(0))
    radius = max(settings.radius, 1) * 4

    def smoothed(area: Area) -> Float32Array:
        weights = confidence[area] + np.float32(1e-3)
        order, guide = index[area].astype(np.float32), contest.gray[area]
        return guided_filter(order, guide, radius, labels.EPS, weights=weights)

    depth = by_tiles(smoothed, index.shape, 2 * radius + 1)
    depth = np.clip(depth, np.float32(index.min()), np.float32(index.max()))
    return index, confidence, depth


def _compared(frames: Frames, settings: FuserSettings, mapper: Pipeline) -> labels.Choice:
    """Judge every frame against the composite of those with the most detail."""
    composite, undecided = _composite(frames, settings)
    trials = comparison.Trials(composite.gray, composite.lit).keep()

    def judged(view: View) -> Float32Array:
        score = comparison.score(view, composite, trials)
        score += np.float32(comparison.DETAIL_SHARE) * _detail(view, settings)
        if settings.sigma_weight > 0:
            sigma = _sigma(view.gray, mapper)
            score -= np.float32(settings.sigma_weight) * undecided * sigma
        return score

    return _contest(frames, judged)


def _composite(frames: Frames, settings: FuserSettings) -> tuple[View, Float32Array]:
    """Gray picture of the frames with the most detail, and how unsure that choice is."""
    contest = _contest(frames, lambda view: _detail(view, settings))
    # Squared, as the smooth tails of defocused edges have some detail too.
    index = _consistent(frames, contest, contest.evidence**2, settings)
    undecided = 1 - contest.evidence
    del contest
    gray, lit = np.zeros(index.shape, np.float32), np.zeros(index.shape, bool)
    for k, view in frames.views():
        chosen = index == k
        np.copyto(gray, view.gray, where=chosen)
        if view.lit is not None:
            np.copyto(lit, view.lit, where=chosen)
    return View(gray, lit if lit.any() else None, None, settings.noise), undecided


def _detail(view: View, settings: FuserSettings) -> Float32Array:
    return comparison.detail(view.gray, settings.noise, view.noise)


def _contest(frames: Frames, score: Callable[[View], Float32Array]) -> labels.Choice:
    """Let all frames compete by their scores."""
    contest = labels.Contest((frames.shape[0], frames.shape[1]), frames.numbers[0])
    for k, view in frames.views():
        found = score(view)
        # The likelihood of what is noisier is spread wider.
        found -= np.float32(np.log(view.noise / frames.noise))
        if view.brighter and view.lit is not None:
            found -= np.float32(LOST) * view.lit
        contest.offer(k, within(found, view.valid), view.gray)
    return contest.choice()


def _consistent(
    frames: Frames, contest: labels.Choice, evidence: Float32Array, settings: FuserSettings
) -> labels.Index:
    return labels.settle(
        contest.index, evidence, contest.gray, settings.radius, settings.min_area, frames.valid
    )


def _sigma(gray: Float32Array, mapper: Pipeline) -> Float32Array:
    """Defocus map of a frame, made at half the size: where it counts there is little detail."""
    if min(gray.shape) < SMALL:
        return np.asarray(mapper.transform([gray])[0], np.float32)
    half = mapper.transform([registration.half(gray)])[0]
    full = 2 * np.repeat(np.repeat(half, 2, axis=0), 2, axis=1)
    rest = [(0, n - m) for n, m in zip(gray.shape, full.shape, strict=True)]
    return np.asarray(np.pad(full, rest, mode="edge"), np.float32)
