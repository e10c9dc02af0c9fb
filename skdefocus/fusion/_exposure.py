"""Ratios of brightness between frames, and their correction, which leaves white white."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from skdefocus._typing import Float32Array
from skdefocus.fusion._thumbnails import WHITE, Thumbnail, full_block_sums

#: Encoded value from which values are carried over, smoothly, to those that are clipped.
KNEE = 0.96
#: Pixels of a thumbnail along the sides of the blocks whose ratios are taken: defocus spreads
#: light, but hardly beyond.
RATIO_BLOCK = 6
#: Largest gain, and smallest as its inverse: 3 of encoded values are some 3.5 stops of light.
MOST_GAIN = 3.0
#: Least deviation from 1 that is seen in flat places where two frames meet, how many standard
#: errors it must have, and how much of what defocus makes of the ratios from place to place.
LEAST_GAIN, SURE, SPREAD = 0.008, 3.0, 1.5
#: Share of pixels that two thumbnails together have to use, of 2.
BOTH = 1.9
#: Share of a frame that may be white in the reference alone, and gain, from which the light of that
#: is taken for what makes the frame look brighter. Exposures hardly drift by as much.
FEW_LAMPS, LAMPLIGHT = 1e-3, 0.9
#: Gain below which a frame must also have the larger differences of light that it would make:
#: lamps, whose discs may be white as well, add light everywhere alike.
DOUBTFUL = 0.5
#: Relative contrast below which blocks count as uniform.
UNIFORM_CONTRAST = 0.01
#: Share of usable blocks that gains need.
LEAST_SHARE = 0.02


class Gain(NamedTuple):
    """Factor by which a frame's channels become the reference's.

    Attributes
    ----------
    factor : ndarray of shape (C,), float32
    needed : bool
        Whether a difference that can be seen was measured in some channel.
    """

    factor: Float32Array
    needed: bool


def relative_gain(reference: Thumbnail, frame: Thumbnail) -> Gain | None:
    """Measure the gain that brings a frame to the reference's exposure; None where it cannot.

    The median over blocks of the ratios of the light in them, of pixels that are clipped in
    neither; bright and even surroundings, where defocus changes little, weigh most.

    Parameters
    ----------
    reference, frame : Thumbnail
        Of frames that coincide.
    """
    block = max(1, min(RATIO_BLOCK, min(reference.usable.shape) // 4))
    # Next to what is clipped, the light of it is.
    weight = np.where(reference.usable + frame.usable > BOTH, 1, 0).astype(np.float32)
    if weight.mean() < LEAST_SHARE:
        weight = reference.usable * frame.usable
    count = full_block_sums(weight, block)
    use = count > 0.5 * block**2
    if np.count_nonzero(use) < max(1, LEAST_SHARE * use.size):
        return None
    factors, needed, slopes = [], False, []
    for c in range(reference.values.shape[2]):
        one, other = (_means(weight * t.values[..., c], block, count) for t in (reference, frame))
        shares = np.minimum(one, other) / (_contrast(one) + _contrast(other) + UNIFORM_CONTRAST**2)
        found, spread, error = _median_ratio(one[use], other[use], shares[use])
        factors.append(np.exp(found))
        slopes.append(_slope(one[use], other[use]))
        needed |= abs(found) > max(LEAST_GAIN, SURE * error, SPREAD * spread)
    least = min(factors)
    # Lamps out of focus brighten what is around them, as an exposure does; but no longer exposure
    # makes less of a frame white.
    lamps = reference.white - frame.white > FEW_LAMPS and least < LAMPLIGHT
    if lamps or (least < DOUBTFUL and np.median(slopes) < 1 / least):
        return Gain(np.ones(len(factors), np.float32), False)
    return Gain(np.array(factors, np.float32), bool(needed) and frame.tells)


def _slope(one: Float32Array, other: Float32Array) -> float:
    """Fit how much more light (the square of values) another frame has per light of the first."""
    light, seen = one**2 - np.mean(one**2), other**2
    return float(np.sum(light * seen) / max(float(np.sum(light**2)), 1e-12))


def _means(plane: Float32Array, block: int, count: Float32Array) -> Float32Array:
    """Sums over blocks, divided by their counts."""
    return np.asarray(full_block_sums(plane, block) / np.maximum(count, 1), np.float32)


def _contrast(light: Float32Array) -> Float32Array:
    """Squared relative differences within 3×3 blocks."""
    level = np.log(light + np.float32(0.02))
    away = level - ndimage.uniform_filter(level, 3)
    return np.asarray(ndimage.uniform_filter(away * away, 3), np.float32)


def _median_ratio(
    one: Float32Array, other: Float32Array, weights: Float32Array
) -> tuple[float, float, float]:
    """Give the logarithm of the weighted median of ratios, its spread and its standard error."""
    ratios = np.log((one + np.float32(1e-6)) / (other + np.float32(1e-6)))
    weights = weights + np.float32(1e-12)
    middle = _weighted_median(ratios, weights)
    spread = 1.4826 * _weighted_median(np.abs(ratios - middle), weights)
    share = weights / weights.sum()
    return middle, spread, 1.25 * spread * float(np.sqrt(np.sum(share * share)))


def _weighted_median(values: Float32Array, weights: Float32Array) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order], dtype=np.float64)
    return float(values[order[np.searchsorted(total, total[-1] / 2)]])


def matched(image: Float32Array, gain: Float32Array) -> Float32Array:
    """Scale a frame; white stays white.

    A channel that is clipped was at least as bright as it is, so that it becomes as bright as the
    brightest channel; where all are clipped, they stay as they are.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, C), in [0, 1]
    gain : ndarray of shape (C,)
    """
    planes = image[..., None] if image.ndim == 2 else image
    out = planes * gain
    if gain.min() < 1:
        clipped = np.clip((planes - KNEE) * np.float32(1 / (WHITE - KNEE)), 0, 1)
        most = np.minimum(out.max(axis=2, keepdims=True), planes)
        out += clipped * np.maximum(most - out, 0)
        out += clipped.min(axis=2, keepdims=True) * np.maximum(planes - out, 0)
    return np.asarray(np.clip(out, 0, 1, out=out).reshape(image.shape))
