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
from skdefocus.pipeline._records import empty_cells, keep
from skdefocus.synthesis import hat_weight

#: Cells of an image, and values of their levels: probabilities (rows, columns, levels) or evidence.
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
    prior, seen = _tables(facts.sigmas, facts.prior, octaves, WEIGHTS[: len(sizes)])
    evidence: Float32Array | None = None
    while len(sizes) > 1:
        weighted = seen[len(sizes) - 1]
        # No name is left for what the next size no longer needs.
        evidence = _evidence(sizes.pop(), facts, answers, weighted, evidence)
    out = empty_cells(_cells(image.shape, facts, len(prior)))
    for part in answers(image):
        for area, found in _pooled(part, seen[0], evidence):
            # Finished strip by strip, while a strip is in the cache.
            found += prior[:, None, None]
            keep(np.moveaxis(softmax(found, axis=0), 0, -1), out, area)
    return out


def _evidence(
    image: AnyArray,
    facts: ModelFacts,
    answers: Callable[[AnyArray], Iterable[Part]],
    seen: Float32Array,
    smaller: Float32Array | None,
) -> Float32Array:
    """Add the evidence of a smaller size for all cells to that of the sizes smaller still."""
    rows, columns, levels = _cells(image.shape, facts, len(seen))
    out = np.empty((levels, rows, columns), np.float32)
    for part in answers(image):
        for area, found in _pooled(part, seen, smaller):
            out[:, area[0], area[1]] = found
    return out


def _cells(shape: tuple[int, ...], facts: ModelFacts, levels: int) -> tuple[int, int, int]:
    """Return the shape of values of the levels of all cells of an image."""
    return -(-shape[0] // facts.stride), -(-shape[1] // facts.stride), levels


def _pooled(part: Part, seen: Float32Array, smaller: Float32Array | None) -> Iterator[Part]:
    """Add the evidence of some cells' answers for one size to that of the size half as large.

    Parameters
    ----------
    part : tuple
        Cells, and their answers, which are overwritten.
    seen : ndarray of shape (n, levels)
        Weight of the answers, by position of the n extended levels among those of the size.
    smaller : ndarray of shape (n, rows / 2, columns / 2) or None
        The evidence of the smaller sizes.

    Yields
    ------
    area, evidence
        Strip by strip; the evidence has the shape (n, rows, columns): with the levels first, NumPy
        works on long runs of cells, and is several times as fast. It is not yet relative to the
        answer of a network that sees nothing, which is the same everywhere and part of the prior.
    """
    (rows, columns), answers = part
    planes = np.moveaxis(answers, -1, 0)
    for strip in strips(len(answers)):
        evidence = planes[:, strip]
        evidence += np.float32(MISTAKEN / len(planes))
        np.log(evidence, out=evidence)
        area = slice(rows.start + strip.start, rows.start + strip.stop), columns
        # Row by row: for a product so large that BLAS shares it among threads, they take longer.
        total = np.matmul(seen, evidence.swapaxes(0, 1)).swapaxes(0, 1)
        if smaller is not None:
            total += twice_in(smaller, area)
        yield area, total


def softmax(logits: Float32Array, axis: int = -1) -> Float32Array:
    """Compute probabilities along an axis, in place."""
    logits -= logits.max(axis=axis, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=axis, keepdims=True)
    return logits


@lru_cache(maxsize=32)
def _tables(
    sigmas: tuple[float, ...], prior: tuple[float, ...], octaves: int, weights: tuple[float, ...]
) -> tuple[Float32Array, list[Float32Array]]:
    """Compute the tables for pooling the answers of a photograph at sizes of these weights.

    Returns
    -------
    prior : ndarray of shape (extended levels,)
        Logarithm of how common the levels are, over what a network that sees nothing would add up
        to. Levels from the network's last one to the largest that can be told have equal shares of
        what the last one has; those beyond have none.
    seen : list of ndarray of shape (extended levels, levels)
        For every size, the weights of its levels in each of the extended levels, by linear
        interpolation.
    """
    n, wide = len(sigmas), np.asarray(extended(sigmas, octaves))
    common = np.zeros(len(wide))
    common[:n] = prior
    told = wide[n - 1 :] <= sigmas[-1] * 2 ** (len(weights) - 1) * (1 + 1e-9)
    common[n - 1 :] = prior[-1] * told / told.sum()
    known = np.asarray(sigmas)
    seen = [
        weight * np.stack([hat_weight(wide / 2**k, known, level) for level in range(n)], axis=1)
        for k, weight in enumerate(weights)
    ]
    usual = np.log(np.asarray(prior) + MISTAKEN / n)
    with np.errstate(divide="ignore"):
        log_common = np.log(common) - sum(s @ usual for s in seen)
    return log_common.astype(np.float32), [s.astype(np.float32) for s in seen]
