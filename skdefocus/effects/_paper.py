"""Magnified defocus by the formula of the paper that the project began with."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skdefocus._images import scaled
from skdefocus._typing import AnyArray, Float32Array, Float64Array
from skdefocus._validation import check_numbers, check_real, check_sequence
from skdefocus.effects._base import check_image_and_map, to_dtype
from skdefocus.effects._layers import UNSEEN
from skdefocus.effects._magnify import MAX_STRENGTH, check_largest
from skdefocus.synthesis import blur

#: Anchors of the weight in the demonstration of the paper.
ANCHORS = (0.5, 1.75)


def paper_weight(blurriness: ArrayLike, anchors: tuple[float, float] = ANCHORS) -> Float64Array:
    """Weight of the photograph in the paper's effects, from a map scaled to [0, 1].

    Parameters
    ----------
    blurriness : array_like
        In [0, 1]; 0 is the sharpest.
    anchors : (float, float)
        M0 < M1, from 0 to 10: the weight is 0.999 at a blurriness of M0 / 10 and 0.001 at M1 / 10.

    Returns
    -------
    ndarray of float64 in [0, 1]
        ``1 - exp(-((10 - 10 m) / s) ** beta)``, with s and β such that the anchors hold:
        ((10 − M0) / s)^β = −ln 0.001 and ((10 − M1) / s)^β = −ln 0.999.

    Raises
    ------
    ValueError
        If the anchors do not ascend within 0 to 10.

    Examples
    --------
    >>> paper_weight([0.05, 0.175]).round(6)
    array([0.999, 0.001])
    """
    low, high = check_anchors(anchors)
    top, bottom = -np.log(0.001), -np.log(0.999)
    beta = np.log(top / bottom) / np.log((10 - low) / (10 - high))
    # The logarithm of ((10 - 10 m) / s) ** β, which alone would overflow.
    values = check_numbers(blurriness, "blurriness")
    if np.isnan(values).any():
        raise ValueError("blurriness must be within [0, 1], but holds NaN")
    m = np.clip(values, 0, 1)
    with np.errstate(divide="ignore"):
        power = beta * np.log((10 - 10 * m) / (10 - low)) + np.log(top)
    return -np.expm1(-np.exp(power))


def paper_magnify(
    image: ArrayLike,
    sigma: ArrayLike | None = None,
    strength: float = 2.0,
    *,
    anchors: tuple[float, float] = ANCHORS,
) -> AnyArray:
    """Magnify defocus by the formula of the paper: one sharp and one blurred version, mixed.

    The result is ``W S + (1 - W) B``. B is the photograph J without its subject, strongly blurred,
    S = J + 0.2 (J − B) is J sharpened, and W is the weight :func:`paper_weight` of the map scaled
    to [0, 1].

    Parameters
    ----------
    image, sigma
        See :func:`magnify`.
    strength : float
        B is blurred by this times the median σ of what is not in focus, from 1 to 100.
    anchors : (float, float)
        See :func:`paper_weight`.

    Returns
    -------
    ndarray of shape (H, W) or (H, W, 3)
        With the photograph's dtype, integers rounded, and float32 for bool.

    Raises
    ------
    TypeError, ValueError
        If `image` is not a photograph, `sigma` is not a map of it, `strength` or `anchors` are out
        of range, or B would be blurred by more than 1000 pixels.

    Notes
    -----
    The time grows with σ. Memory: 73 bytes per pixel of color, 44 of gray.
    """
    strength = check_strength(strength)
    check_anchors(anchors)
    return paper_magnified(*check_image_and_map(image, sigma), strength, anchors)


def check_strength(strength: float) -> float:
    """Check a ratio of apertures."""
    return check_real(strength, "strength", 1, MAX_STRENGTH)


def check_anchors(anchors: tuple[float, float]) -> tuple[float, float]:
    """Check the anchors, at which the weight is nearly 1 and nearly 0."""
    if len(check_sequence(anchors, "anchors")) != 2:
        raise ValueError(f"anchors must be two numbers, got {anchors!r}")
    low, high = (check_real(a, "anchors", 0) for a in anchors)
    if not low < high < 10:
        raise ValueError(f"anchors must ascend within 0 to 10, got {anchors}")
    return low, high


def paper_magnified(
    pixels: AnyArray,
    sigma: Float32Array,
    strength: float,
    anchors: tuple[float, float] = ANCHORS,
) -> AnyArray:
    """Apply the formula to a checked photograph with a checked map; see :func:`paper_magnify`."""
    span = float(np.ptp(sigma))
    blurriness = (sigma - sigma.min()) / span if span else np.zeros_like(sigma)
    weight = paper_weight(blurriness, anchors).astype(np.float32)
    background = weight < 0.5
    typical = float(np.median(sigma[background])) if background.any() else 0.0
    amount = strength * typical
    check_largest(amount, strength, typical)
    sharp = np.moveaxis(np.atleast_3d(scaled(pixels)), 2, 0)
    planes = np.concatenate([sharp * (1 - weight), (1 - weight)[None]])
    planes = np.stack([np.asarray(blur(p, amount), np.float32) for p in planes])
    blurred = np.where(planes[-1] > UNSEEN, planes[:-1] / np.maximum(planes[-1], UNSEEN), sharp)
    mixed = weight * (sharp + 0.2 * (sharp - blurred)) + (1 - weight) * blurred
    return to_dtype(np.moveaxis(mixed, 0, 2).reshape(pixels.shape), pixels.dtype)
