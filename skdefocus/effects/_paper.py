"""Magnified defocus by the formula of the paper that the project began with."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skdefocus._images import check_image, check_sigma_map
from skdefocus._typing import Float32Array
from skdefocus._validation import check_numbers, check_real, check_sequence
from skdefocus.effects._layers import UNSEEN
from skdefocus.effects._magnify import MAX_STRENGTH, check_largest
from skdefocus.synthesis import blur


def paper_weight(
    blurriness: ArrayLike, anchors: tuple[float, float] = (0.5, 1.75)
) -> NDArray[np.float64]:
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
    if len(check_sequence(anchors, "anchors")) != 2:
        raise ValueError(f"anchors must be two numbers, got {anchors!r}")
    low, high = (check_real(a, "anchors", 0) for a in anchors)
    if not low < high < 10:
        raise ValueError(f"anchors must ascend within 0 to 10, got {anchors}")
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
    sigma: ArrayLike,
    strength: float = 2.0,
    *,
    anchors: tuple[float, float] = (0.5, 1.75),
) -> Float32Array:
    """Magnify defocus by the formula of the paper: one sharp and one blurred version, mixed.

    ``W S + (1 - W) B``, with B the photograph without its subject, strongly blurred, S = J + 0.2 (J
    − B) the photograph J sharpened, and W the weight :func:`paper_weight` of the map scaled to
    [0, 1].

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
    ndarray of shape (H, W) or (H, W, 3), float32 in [0, 1]

    Raises
    ------
    TypeError, ValueError
        If `sigma` is no map of the photograph, `strength` or `anchors` are out of range, or B would
        be blurred by more than 1000 pixels.

    Notes
    -----
    Memory: 73 bytes per pixel of colour, 44 of grey.
    """
    strength = check_real(strength, "strength", 1, MAX_STRENGTH)
    pixels = check_image(image)
    values = check_sigma_map(sigma, size=pixels.shape[:2])
    span = float(np.ptp(values))
    scaled = (values - values.min()) / span if span else np.zeros_like(values)
    weight = paper_weight(scaled, anchors).astype(np.float32)
    away = weight < 0.5
    typical = float(np.median(values[away])) if away.any() else 0.0
    amount = strength * typical
    check_largest(amount, strength, typical)
    sharp = np.moveaxis(np.atleast_3d(pixels), 2, 0)
    planes = np.concatenate([sharp * (1 - weight), (1 - weight)[None]])
    planes = np.stack([np.asarray(blur(p, amount), np.float32) for p in planes])
    blurred = np.where(planes[-1] > UNSEEN, planes[:-1] / np.maximum(planes[-1], UNSEEN), sharp)
    mixed = weight * (sharp + 0.2 * (sharp - blurred)) + (1 - weight) * blurred
    return np.clip(np.moveaxis(mixed, 0, 2).reshape(pixels.shape), 0, 1).astype(np.float32)
