"""Scores of σ maps against the truth, over lists of images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skdefocus._typing import Float64Array
from skdefocus._validation import as_array, check_numbers, check_sequence
from skdefocus.metrics._single_map import as_map, finite, ranks

Maps = Sequence[ArrayLike] | NDArray[Any]


def image_weights(sample_weight: ArrayLike | None, count: int) -> Float64Array:
    """Check the weights of `count` images; None weighs all alike."""
    if sample_weight is None:
        return np.ones(count)
    weights = check_numbers(sample_weight, "sample_weight")
    if weights.shape != (count,) or not (weights >= 0).all() or not 0 < weights.sum() < np.inf:
        raise ValueError(
            f"sample_weight must be {count} finite numbers >= 0, not all 0, got {sample_weight!r}"
        )
    return weights


def _mean_over_images(
    score: Callable[[Float64Array, Float64Array], float],
    true: Maps,
    pred: Maps,
    mask: Maps | None,
    sample_weight: ArrayLike | None,
) -> float:
    """Mean of `score(true pixels, predicted pixels)` over the images."""
    for name, maps in (("true", true), ("pred", pred), ("mask", mask)):
        if maps is not None or name != "mask":
            check_sequence(maps, name)
    if len(true) == 0:
        raise ValueError("true must hold at least one map, got none")
    for name, maps in (("pred", pred), ("mask", mask)):
        if maps is not None and len(maps) != len(true):
            raise ValueError(
                f"{name} must hold one map per image of true, {len(true)}, got {len(maps)}"
            )
    weights = image_weights(sample_weight, len(true))
    scores = []
    for i, (a, b) in enumerate(zip(true, pred, strict=True)):
        t, p = as_map(a, f"true[{i}]"), as_map(b, f"pred[{i}]")
        if t.shape != p.shape:
            raise ValueError(
                f"pred[{i}] must have the shape of true[{i}], {t.shape}, got {p.shape}"
            )
        if mask is not None:
            keep = as_array(mask[i], f"mask[{i}]")
            if keep.dtype != np.bool_ or keep.shape != t.shape or not keep.any():
                raise ValueError(
                    f"mask[{i}] must be a boolean map of shape {t.shape} with a True pixel, "
                    f"got {keep.dtype} of shape {keep.shape} with {np.count_nonzero(keep)} set"
                )
            t, p = t[keep], p[keep]
        scores.append(score(finite(t, f"true[{i}]").ravel(), finite(p, f"pred[{i}]").ravel()))
    return float(np.average(scores, weights=weights))


def sigma_mae(
    true: Maps, pred: Maps, *, mask: Maps | None = None, sample_weight: ArrayLike | None = None
) -> float:
    """Mean absolute error of σ maps, pixels: per image, then the mean over images.

    Parameters
    ----------
    true, pred : list of n array_like of shape (H_i, W_i), or array of shape (n, H, W)
        True and estimated σ, pixels; finite wherever they are counted.
    mask : list of n boolean arrays of shape (H_i, W_i), optional
        True where a pixel counts; the others are never looked at and may be NaN.
    sample_weight : array_like of shape (n,), optional
        Weight of each image, >= 0.

    Returns
    -------
    float
        From 0 (best) up, pixels.

    Raises
    ------
    TypeError
        Maps, mask or weights of another type.
    ValueError
        Wrong number or shapes of maps, no pixel that counts in an image, NaN, bad weights.

    Examples
    --------
    >>> sigma_mae([np.zeros((2, 2)), np.zeros((9, 3))], [np.ones((2, 2)), np.full((9, 3), 4.0)])
    2.5
    """
    return _mean_over_images(
        lambda t, p: float(np.abs(t - p).mean()), true, pred, mask, sample_weight
    )


def sigma_rmse(
    true: Maps, pred: Maps, *, mask: Maps | None = None, sample_weight: ArrayLike | None = None
) -> float:
    """Root mean squared error of σ maps, pixels: the root per image, then the mean of the roots.

    Parameters
    ----------
    true, pred : list of n array_like of shape (H_i, W_i), or array of shape (n, H, W)
        True σ, pixels, and estimated σ, pixels; finite wherever they are counted.
    mask : list of n boolean arrays of shape (H_i, W_i), optional
        True where a pixel counts; the others are never looked at and may be NaN.
    sample_weight : array_like of shape (n,), optional
        Weight of each image, >= 0.

    Returns
    -------
    float
        From 0 (best) up, pixels; at least the `sigma_mae` of the same maps.

    Raises
    ------
    TypeError
        Maps, mask or weights of another type.
    ValueError
        Wrong number or shapes of maps, no pixel that counts in an image, NaN, bad weights.

    Examples
    --------
    >>> sigma_rmse([[[0.0, 0.0]]], [[[1.0, 7.0]]])
    5.0
    """
    return _mean_over_images(
        lambda t, p: float(np.sqrt(np.mean((t - p) ** 2))), true, pred, mask, sample_weight
    )


def spearman(
    true: Maps, pred: Maps, *, mask: Maps | None = None, sample_weight: ArrayLike | None = None
) -> float:
    """Spearman's rank correlation of σ maps: per image, then the mean over images.

    Blind to any monotone change of units. Ties get their average rank; an image where either
    map is constant has no order to compare and counts as 0.

    Parameters
    ----------
    true, pred : list of n array_like of shape (H_i, W_i), or array of shape (n, H, W)
        True σ, pixels, and estimates of any unit; finite wherever they are counted.
    mask : list of n boolean arrays of shape (H_i, W_i), optional
        True where a pixel counts; the others are never looked at and may be NaN.
    sample_weight : array_like of shape (n,), optional
        Weight of each image, >= 0.

    Returns
    -------
    float
        From -1 to 1 (the same order), 0 if unrelated.

    Raises
    ------
    TypeError
        Maps, mask or weights of another type.
    ValueError
        Wrong number or shapes of maps, no pixel that counts in an image, NaN, bad weights.

    Notes
    -----
    Cost: O(H W log(H W)) per image.

    Examples
    --------
    >>> round(spearman([[[1.0, 2.0, 3.0]]], [[[0.1, 0.2, 9.0]]]), 12)
    1.0
    """
    return _mean_over_images(
        lambda t, p: _correlation(ranks(t), ranks(p)), true, pred, mask, sample_weight
    )


def linear_fit_mae(
    true: Maps, pred: Maps, *, mask: Maps | None = None, sample_weight: ArrayLike | None = None
) -> float:
    """Mean absolute error, pixels, after the least-squares line a · pred + b of each image.

    For maps whose unit or zero is unknown: every image gets its own a and b, so that the value
    says nothing of the scale.

    Parameters
    ----------
    true, pred : list of n array_like of shape (H_i, W_i), or array of shape (n, H, W)
        True σ, pixels, and estimates of any unit; finite wherever they are counted.
    mask : list of n boolean arrays of shape (H_i, W_i), optional
        True where a pixel counts; the others are never looked at and may be NaN.
    sample_weight : array_like of shape (n,), optional
        Weight of each image, >= 0.

    Returns
    -------
    float
        From 0 (best) up, pixels.

    Raises
    ------
    TypeError
        Maps, mask or weights of another type.
    ValueError
        Wrong number or shapes of maps, no pixel that counts in an image, NaN, bad weights.

    Examples
    --------
    >>> round(linear_fit_mae([[[1.0, 3.0, 5.0]]], [[[0.0, 10.0, 20.0]]]), 12)
    0.0
    """
    return _mean_over_images(_fitted_mae, true, pred, mask, sample_weight)


def _fitted_mae(true: Float64Array, pred: Float64Array) -> float:
    t, p = true - true.mean(), pred - pred.mean()
    spread = float(p @ p)
    slope = float(p @ t) / spread if spread > 0 else 0.0
    return float(np.abs(t - slope * p).mean())


def _correlation(a: Float64Array, b: Float64Array) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else 0.0
