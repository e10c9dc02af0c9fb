"""Scores of lists of σ maps against the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from skdefocus._typing import AnyArray, Float64Array
from skdefocus._validation import as_array, check_numbers, check_sequence
from skdefocus.metrics._single_map import as_map, average_ranks, check_finite

#: One map per image.
Maps = Sequence[ArrayLike] | AnyArray


def _mean_over_images(
    score: Callable[[Float64Array, Float64Array], float],
    true: Maps,
    pred: Maps,
    mask: Maps | None,
    sample_weight: ArrayLike | None,
) -> float:
    """Average ``score(true pixels, predicted pixels)`` over the images."""
    _check_counts(true, pred, mask)
    weights = image_weights(sample_weight, len(true))
    scores = [score(*_counted_pixels(true, pred, mask, i)) for i in range(len(true))]
    return float(np.average(scores, weights=weights))


def _check_counts(true: Maps, pred: Maps, mask: Maps | None) -> None:
    """Check that there are as many maps and masks as images, and at least one."""
    if len(check_sequence(true, "true")) == 0:
        raise ValueError("true must hold at least one map, got none")
    others = {"pred": pred} if mask is None else {"pred": pred, "mask": mask}
    for name, maps in others.items():
        if len(check_sequence(maps, name)) != len(true):
            raise ValueError(
                f"{name} must hold one map per image of true, {len(true)}, got {len(maps)}"
            )


def image_weights(sample_weight: ArrayLike | None, count: int) -> Float64Array:
    """Check the weights of `count` images; None gives all of them the same."""
    if sample_weight is None:
        return np.ones(count)
    weights = check_numbers(sample_weight, "sample_weight")
    if weights.shape != (count,) or not (weights >= 0).all() or not 0 < weights.sum() < np.inf:
        raise ValueError(
            f"sample_weight must be {count} finite numbers >= 0, not all 0, got {sample_weight!r}"
        )
    return weights


def _counted_pixels(
    true: Maps, pred: Maps, mask: Maps | None, i: int
) -> tuple[Float64Array, Float64Array]:
    """Return the true and predicted values of the pixels of image `i` that count."""
    t, p = as_map(true[i], f"true[{i}]"), as_map(pred[i], f"pred[{i}]")
    if t.shape != p.shape:
        raise ValueError(f"pred[{i}] must have the shape of true[{i}], {t.shape}, got {p.shape}")
    if mask is not None:
        counts = as_array(mask[i], f"mask[{i}]")
        if counts.dtype != np.bool_ or counts.shape != t.shape or not counts.any():
            raise ValueError(
                f"mask[{i}] must be a boolean map of shape {t.shape} with a True pixel, "
                f"got {counts.dtype} of shape {counts.shape} with {np.count_nonzero(counts)} set"
            )
        t, p = t[counts], p[counts]
    return check_finite(t, f"true[{i}]").ravel(), check_finite(p, f"pred[{i}]").ravel()


def sigma_mae(
    true: Maps, pred: Maps, *, mask: Maps | None = None, sample_weight: ArrayLike | None = None
) -> float:
    """Mean absolute error of σ maps in pixels, averaged over images.

    Parameters
    ----------
    true, pred : list of n array_like of shape (H_i, W_i), or array of shape (n, H, W)
        True and estimated σ in pixels, finite in all pixels that count.
    mask : list of n boolean arrays of shape (H_i, W_i), optional
        True where a pixel counts. All other pixels are ignored and may be NaN.
    sample_weight : array_like of shape (n,), optional
        Weight of each image, >= 0.

    Returns
    -------
    float
        At least 0 (best), in pixels.

    Raises
    ------
    TypeError
        If maps, masks or weights have the wrong type.
    ValueError
        If their number or a shape is wrong, no pixel of an image counts, a value is NaN, or the
        weights are not valid.

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
    """Root mean squared error of σ maps in pixels: one root per image, averaged over images.

    Parameters
    ----------
    true, pred, mask, sample_weight
        See :func:`sigma_mae`.

    Returns
    -------
    float
        At least 0 (best), in pixels; never less than the `sigma_mae` of the same maps.

    Raises
    ------
    TypeError, ValueError
        See :func:`sigma_mae`.

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
    """Spearman's rank correlation of σ maps, averaged over images.

    A monotone change of units does not affect it. Ties get their average rank. An image where one
    of the maps is constant has no order to compare and counts as 0.

    Parameters
    ----------
    true, pred : list of n array_like of shape (H_i, W_i), or array of shape (n, H, W)
        True σ in pixels and estimates in any unit, finite in all pixels that count.
    mask, sample_weight
        See :func:`sigma_mae`.

    Returns
    -------
    float
        From -1 to 1 (the same order); 0 if unrelated.

    Raises
    ------
    TypeError, ValueError
        See :func:`sigma_mae`.

    Notes
    -----
    Cost: O(H W log(H W)) per image.

    Examples
    --------
    >>> round(spearman([[[1.0, 2.0, 3.0]]], [[[0.1, 0.2, 9.0]]]), 12)
    1.0
    """
    return _mean_over_images(
        lambda t, p: _correlation(average_ranks(t), average_ranks(p)),
        true,
        pred,
        mask,
        sample_weight,
    )


def linear_fit_mae(
    true: Maps, pred: Maps, *, mask: Maps | None = None, sample_weight: ArrayLike | None = None
) -> float:
    """Mean absolute error in pixels after fitting a · pred + b to each image by least squares.

    Meant for maps whose unit or zero is unknown. Every image has its own a and b, so that the score
    does not depend on the scale.

    Parameters
    ----------
    true, pred, mask, sample_weight
        See :func:`spearman`.

    Returns
    -------
    float
        At least 0 (best), in pixels.

    Raises
    ------
    TypeError, ValueError
        See :func:`sigma_mae`.

    Examples
    --------
    >>> round(linear_fit_mae([[[1.0, 3.0, 5.0]]], [[[0.0, 10.0, 20.0]]]), 12)
    0.0
    """
    return _mean_over_images(_fitted_mae, true, pred, mask, sample_weight)


def _fitted_mae(true: Float64Array, pred: Float64Array) -> float:
    """Mean absolute error of the least-squares line."""
    t, p = true - true.mean(), pred - pred.mean()
    spread = float(p @ p)
    slope = float(p @ t) / spread if spread > 0 else 0.0
    return float(np.abs(t - slope * p).mean())


def _correlation(a: Float64Array, b: Float64Array) -> float:
    """Pearson's correlation; 0 if either is constant."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else 0.0
