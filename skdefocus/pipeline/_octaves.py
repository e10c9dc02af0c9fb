"""Blur beyond the network's last level: answers for the photograph reduced by 2, 4, 8 and so on.

If a photograph is reduced by 2, its blur of σ becomes one of σ / 2. Surfaces blurred by 10 and by
20 pixels look the same to the network at one size and different at another. So the answers are
pooled as evidence: log-linearly, each relative to the answer that was to be expected anyway (Genest
and Zidek, "Combining probability distributions", Statistical Science 1(1), 1986).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

import numpy as np

from skdefocus._grids import Area, cell_means, strips, twice_in
from skdefocus._typing import AnyArray, Float32Array
from skdefocus.network import ModelFacts
from skdefocus.pipeline._records import empty_cells, keep, totals
from skdefocus.synthesis import hat_weight

#: Cells of an image, and the probabilities (rows, columns, levels) of their levels.
Part = tuple[Area, Float32Array]

#: A photograph is reduced as long as its shorter side keeps at least this many pixels.
SHORTEST = 96
#: Weights of the answers for the photograph itself and for the reduced ones.
WEIGHTS = (1.0, 0.5, 0.7, 0.7, 0.7, 0.7, 0.7)
#: Share of every answer that is treated as a mistake, so that no size alone can rule a level out.
MISTAKEN = 0.005
#: Levels per octave beyond the network's last one, at least and at most.
DENSITY = (1, 16)


def octaves_of(shape: tuple[int, ...], most: int) -> int:
    """Count how often a photograph of that shape is halved."""
    count = 0
    while count < most and min(shape[:2]) >> (count + 1) >= SHORTEST:
        count += 1
    return count


def extended(sigmas: tuple[float, ...], octaves: int) -> tuple[float, ...]:
    """Continue the levels of a network, σ in pixels, up to its last one times 2 to the `octaves`.

    The ratio of the last two levels is kept, apart from rounding and the limits of :data:`DENSITY`.
    """
    low, high = DENSITY
    below = max(sigmas[-2], sigmas[-1] / 2 ** (1 / low), np.finfo(np.float64).tiny)
    per_octave = 1 / max(np.log2(sigmas[-1] / below), 1 / high)
    count = round(octaves * per_octave)
    more = np.geomspace(sigmas[-1], sigmas[-1] * 2**octaves, count + 1)[1:]
    return (*sigmas, *more.tolist())


def joined(
    image: AnyArray,
    facts: ModelFacts,
    octaves: int,
    answers: Callable[[AnyArray], Iterable[Part]],
) -> AnyArray:
    """Join the answers for an image at all sizes into one distribution per cell.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3)
    facts : ModelFacts
        Of the network.
    octaves : int
        Largest number of halvings.
    answers : callable
        Gives the answers for an image's cells, part by part. Each is overwritten.

    Returns
    -------
    ndarray of shape (rows, columns, n), as a record keeps them
        Over the n levels of :func:`extended`. Those that only a smaller size could tell, for which
        the image is too small, have none.
    """
    if octaves == 0:
        out = empty_cells(_cells(image.shape, facts, len(facts.sigmas)))
        for area, found in answers(image):
            keep(found, out, area)
        return out
    sizes = [image]
    for _ in range(octaves_of(image.shape, octaves)):
        sizes.append(cell_means(sizes[-1], 2, gray=True))
    prior, usual, seen = _tables(facts.sigmas, facts.prior, octaves, len(sizes) - 1)
    weights = [np.float32(weight) * s for weight, s in zip(WEIGHTS, seen, strict=False)]
    evidence: Float32Array | None = None
    while len(sizes) > 1:
        weighted = weights[len(sizes) - 1]
        # No name is left for what the next size no longer needs.
        evidence = _evidence(sizes.pop(), facts, answers, usual, weighted, evidence)
    out = empty_cells(_cells(image.shape, facts, len(prior)))
    for part in answers(image):
        for area, found in _pooled(part, usual, weights[0], evidence):
            # Finished strip by strip, while a strip is in the cache.
            keep(softmax(found + prior), out, area)
    return out


def _evidence(
    image: AnyArray,
    facts: ModelFacts,
    answers: Callable[[AnyArray], Iterable[Part]],
    usual: Float32Array,
    seen: Float32Array,
    smaller: Float32Array | None,
) -> Float32Array:
    """Add the evidence of a smaller size for all cells to that of those smaller still."""
    out = np.empty(_cells(image.shape, facts, seen.shape[1]), np.float32)
    for part in answers(image):
        for area, found in _pooled(part, usual, seen, smaller):
            out[area] = found
    return out


def _cells(shape: tuple[int, ...], facts: ModelFacts, levels: int) -> tuple[int, int, int]:
    """Return the shape of values of the levels of all cells of an image."""
    return -(-shape[0] // facts.stride), -(-shape[1] // facts.stride), levels


def _pooled(
    part: Part, usual: Float32Array, seen: Float32Array, smaller: Float32Array | None
) -> Iterator[Part]:
    """Add the evidence of some cells' answers for one size to that of the size half as large.

    Parameters
    ----------
    part : tuple
        Cells, and their answers, which are overwritten.
    usual : ndarray of shape (levels,)
        The answer of a network that sees nothing.
    seen : ndarray of shape (levels, n)
        Weight of the answers, by position of the n extended levels among those of the size.
    smaller : ndarray of shape (rows / 2, columns / 2, n) or None
        The evidence of the smaller sizes.

    Yields
    ------
    area, evidence
        Strip by strip; the evidence has the shape (rows, columns, n).
    """
    (rows, columns), answers = part
    for strip in strips(len(answers)):
        evidence = answers[strip]
        evidence += np.float32(MISTAKEN / len(usual))
        evidence /= usual
        np.log(evidence, out=evidence)
        area = slice(rows.start + strip.start, rows.start + strip.stop), columns
        total = evidence @ seen
        if smaller is not None:
            total += twice_in(smaller, area)
        yield area, total


def softmax(logits: Float32Array) -> Float32Array:
    """Compute probabilities along the last axis, in place."""
    logits -= logits.max(axis=-1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= totals(logits)[..., None]
    return logits


@lru_cache(maxsize=32)
def _tables(
    sigmas: tuple[float, ...], prior: tuple[float, ...], octaves: int, halvings: int
) -> tuple[Float32Array, Float32Array, list[Float32Array]]:
    """Compute the tables for pooling the answers of a photograph that is halved `halvings` times.

    Returns
    -------
    prior : ndarray of shape (extended levels,)
        Logarithm of how common the levels are. Those from the network's last one to the largest
        that can be told have equal shares of what that has; the others have none.
    usual : ndarray of shape (levels,)
        The answer of a network that sees nothing.
    seen : list of ndarray of shape (levels, extended levels)
        Weights of the levels of a size in each of the extended levels, by linear interpolation.
    """
    n, wide = len(sigmas), np.asarray(extended(sigmas, octaves))
    common = np.zeros(len(wide))
    common[:n] = prior
    told = wide[n - 1 :] <= sigmas[-1] * 2**halvings * (1 + 1e-9)
    common[n - 1 :] = prior[-1] * told / told.sum()
    usual = np.asarray(prior) + MISTAKEN / n
    known = np.asarray(sigmas)
    seen = [
        np.stack([hat_weight(wide / 2**k, known, level) for level in range(n)])
        for k in range(octaves + 1)
    ]
    with np.errstate(divide="ignore"):
        log_common = np.log(common)
    return (
        log_common.astype(np.float32),
        usual.astype(np.float32),
        [s.astype(np.float32) for s in seen],
    )
