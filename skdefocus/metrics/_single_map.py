"""Scores of one map: against a focus mask, by itself, and of its confidence."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skdefocus._images import check_sigma_map
from skdefocus._typing import BoolArray, Float64Array
from skdefocus._validation import (
    as_array,
    check_int,
    check_numbers,
    check_real,
    finite_range,
    renamed,
)


def check_finite(values: Float64Array, name: str) -> Float64Array:
    """Check that no value is NaN or infinite."""
    finite_range(values, name)
    return values


def as_map(values: ArrayLike, name: str) -> Float64Array:
    """Convert one map to (H, W) float64; reject lists of maps, a likely mistake."""
    array = check_numbers(values, name)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"{name} must be one map of shape (H, W), got shape {array.shape}")
    return array


def average_ranks(values: Float64Array) -> Float64Array:
    """Rank values from 1; ties get their average rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    result: Float64Array = (np.cumsum(counts) - (counts - 1) / 2)[inverse.ravel()]
    return result


def _decided_pixels(
    mask: ArrayLike, values: ArrayLike, names: tuple[str, str]
) -> tuple[BoolArray, Float64Array]:
    """Return labels and map values of all decided pixels; there must be both labels."""
    label, scores = as_array(mask, names[0]), as_map(values, names[1])
    if label.shape != scores.shape:
        raise ValueError(
            f"{names[0]} must have the shape of {names[1]}, {scores.shape}, got {label.shape}"
        )
    if label.dtype in (np.uint8, np.uint16):
        label = label / float(np.iinfo(label.dtype).max)
    label = check_numbers(label, names[0])
    undecided = np.isnan(label) | (label == -1)
    if not (undecided | ((label >= 0) & (label <= 1))).all():
        raise ValueError(f"{names[0]} must hold values within [0, 1], NaN or -1")
    sure = ~undecided & ((label <= 0.1) | (label >= 0.9))
    truth = label[sure] >= 0.9
    if truth.all() or not truth.any():
        raise ValueError(
            f"{names[0]} must mark pixels of both kinds (>= 0.9 and <= 0.1; uint8 is divided by "
            f"255), got {np.count_nonzero(truth)} and {np.count_nonzero(~truth)}"
        )
    return truth, check_finite(scores[sure], names[1])


def focus_auc(mask: ArrayLike, sigma_map: ArrayLike) -> float:
    """Area under the ROC curve for telling pixels in focus from others by the σ map of one image.

    Parameters
    ----------
    mask : array_like, shape (H, W)
        1 or True = in focus, 0 or False = out of focus. Floats in [0, 1] are degrees of certainty:
        values between 0.1 and 0.9 (exclusive), NaN and -1 are undecided and ignored. uint8 and
        uint16 are divided by 255 and 65535 first.
    sigma_map : array_like, shape (H, W)
        σ or another measure that grows with blur. Finite on decided pixels.

    Returns
    -------
    float
        Probability that a pixel in focus has a lower σ than one out of focus, with ties counting
        half: 1 is perfect, 0.5 is chance, 0 is the wrong way around.

    Raises
    ------
    ValueError
        If the shapes differ, the mask holds other values or only one kind of pixel, or the map
        holds NaN.

    Notes
    -----
    This is the Mann-Whitney statistic, computed from average ranks. Cost: O(H W log(H W)).

    Examples
    --------
    >>> focus_auc([[True, True, False]], [[0.1, 0.9, 0.9]])
    0.75
    """
    return focus_auc_of(mask, sigma_map, ("mask", "sigma_map"))


def focus_auc_of(mask: ArrayLike, sigma_map: ArrayLike, names: tuple[str, str]) -> float:
    """Compute `focus_auc`; errors call mask and map by their names."""
    sharp, sigma = _decided_pixels(mask, sigma_map, names)
    n_sharp, n_blurred = int(sharp.sum()), int((~sharp).sum())
    above = average_ranks(sigma)[~sharp].sum() - n_blurred * (n_blurred + 1) / 2
    return float(above / (n_sharp * n_blurred))


def max_f_measure(mask_out_of_focus: ArrayLike, blur_map: ArrayLike, beta2: float = 0.3) -> float:
    """Best F score over all thresholds for finding the out-of-focus region of one image.

    F = (1 + β²) P R / (β² P + R), with precision P and recall R of "map >= threshold".

    Parameters
    ----------
    mask_out_of_focus : array_like, shape (H, W)
        1 or True = out of focus: the opposite of `focus_auc`, as in the CUHK data set. Undecided
        pixels are marked as for `focus_auc`.
    blur_map : array_like, shape (H, W)
        σ or another measure that grows with blur. Finite on decided pixels.
    beta2 : float, > 0
        β²; the usual 0.3 favors precision.

    Returns
    -------
    float
        From 0 to 1, where 1 means that some threshold gives exactly the mask. Each image has its
        own best threshold, so that a mean over images is at least the best F score of averaged
        precision and recall curves.

    Raises
    ------
    ValueError
        If `focus_auc` would reject mask or map, or `beta2` is not positive.

    Examples
    --------
    >>> max_f_measure([[True, False, True]], [[3.0, 0.5, 2.0]])
    1.0
    """
    beta2 = check_real(beta2, "beta2", 0, above=True)
    blurred, values = _decided_pixels(
        mask_out_of_focus, blur_map, ("mask_out_of_focus", "blur_map")
    )
    order = np.argsort(-values, kind="stable")
    ordered = values[order]
    last_of_tie = np.append(ordered[1:] != ordered[:-1], True)
    hits = np.cumsum(blurred[order])[last_of_tie]
    selected = np.arange(1, ordered.size + 1)[last_of_tie]
    # With P = hits / selected and R = hits / positives in the formula, there is no 0/0.
    return float(np.max((1 + beta2) * hits / (beta2 * blurred.sum() + selected)))


def blur_score(
    sigma_map: ArrayLike,
    *,
    scale: float = 1.5,
    quantile: float = 0.1,
    confidence: ArrayLike | None = None,
) -> float:
    """Score the blur of a photograph, from 0 (its sharpest part is perfectly sharp) to 1.

    The score is s² / (s² + scale²), where s is the `quantile` of σ in pixels. A blurred background
    does not count as long as the sharpest tenth of the photograph is sharp.

    Parameters
    ----------
    sigma_map : array_like, shape (H, W)
        σ in pixels, finite and >= 0.
    scale : float, > 0
        σ in pixels at which the score is .5. Lower it for photographs that are viewed at 100 %,
        raise it for those that are shown small.
    quantile : float, in [0, 1]
        Share of the photograph that must be sharp for a low score.
    confidence : array_like, shape (H, W), optional
        Weight >= 0 of each pixel: s is the smallest σ at or below which that share of the total
        weight lies. It keeps flat regions, whose σ is a guess, from deciding.

    Returns
    -------
    float
        From 0 to 1, without a unit. It never falls where a σ grows, and it rises strictly with s:
        for s = 0, 1, 2, 4, 8, 16 and 32 px it is 0, .31, .64, .88, .966, .991 and .998. So strong
        blurs differ in the third decimal; sort by the score itself, not by a rounded one.

    Raises
    ------
    ValueError
        If a shape is wrong, a value is NaN or negative, all confidence is 0, or a parameter is out
        of range.

    Notes
    -----
    Cost: O(H W log(H W)).

    Examples
    --------
    >>> photo = np.full((10, 10), 8.0)
    >>> round(blur_score(photo), 3)
    0.966
    >>> photo[3:7, 3:7] = 0.2  # a sharp subject in a blurred scene
    >>> round(blur_score(photo), 3)
    0.017
    """
    scale = check_real(scale, "scale", 0, above=True)
    quantile = check_real(quantile, "quantile", 0, 1)
    sigma = check_sigma_map(sigma_map, "sigma_map", dtype=np.float64)
    weight = np.ones_like(sigma) if confidence is None else as_map(confidence, "confidence")
    if weight.shape != sigma.shape:
        raise ValueError(
            f"confidence must have the shape of sigma_map, {sigma.shape}, got {weight.shape}"
        )
    if check_finite(weight, "confidence").min() < 0 or weight.max() == 0:
        raise ValueError("confidence must be >= 0, and > 0 in at least one pixel")
    used = weight > 0
    sigma, weight = sigma[used], weight[used]
    order = np.argsort(sigma)
    total = np.cumsum(weight[order])
    # The margin is for rounding errors of the sum, which depend on the order.
    position = np.searchsorted(total, quantile * total[-1] * (1 - 1e-9))
    ratio = float(sigma[order[min(int(position), sigma.size - 1)]]) / scale
    return 1 - 1 / (1 + ratio * ratio)


def expected_calibration_error(proba: ArrayLike, y: ArrayLike, n_bins: int = 15) -> float:
    """Difference between a classifier's confidence and its accuracy, averaged over bins.

    Samples are sorted into bins of equal width by the probability of their top class. The error is
    the mean of |accuracy - mean probability| over the bins, weighted by their numbers of samples.

    Parameters
    ----------
    proba : array_like, shape (n, k)
        Class probabilities; each row sums to 1.
    y : array_like of int, shape (n,)
        Column numbers of the true classes in `proba`.
    n_bins : int, >= 1
        Number of bins.

    Returns
    -------
    float
        From 0 (calibrated) to 1.

    Raises
    ------
    ValueError
        If a shape is wrong, a row does not hold probabilities, a class is not a column number, or
        `n_bins` < 1.

    References
    ----------
    .. [1] Guo et al., "On calibration of modern neural networks", ICML 2017.

    Examples
    --------
    >>> proba = [[0.75, 0.25]] * 4
    >>> expected_calibration_error(proba, [0, 0, 0, 1])
    0.0
    """
    p, labels = check_numbers(proba, "proba"), as_array(y, "y")
    if p.ndim != 2 or p.size == 0:
        raise ValueError(f"proba must be of shape (n, k), got {p.shape}")
    if not (p.min() >= 0 and np.allclose(p.sum(axis=1), 1, atol=1e-4)):
        raise ValueError("proba must hold rows of probabilities that sum to 1")
    if labels.shape != p.shape[:1] or labels.dtype.kind not in "iu":
        raise ValueError(f"y must be {len(p)} integers, got {labels.dtype} of shape {labels.shape}")
    if labels.min() < 0 or labels.max() >= p.shape[1]:
        raise ValueError(f"y must be columns of proba, 0 to {p.shape[1] - 1}")
    n_bins = check_int(n_bins, "n_bins", 1)
    confidence, correct = p.max(axis=1), p.argmax(axis=1) == labels
    bins = np.clip(np.ceil(confidence * n_bins).astype(int) - 1, 0, n_bins - 1)
    gaps = np.bincount(bins, weights=correct - confidence, minlength=n_bins)
    return float(np.abs(gaps).sum() / len(p))


def risk_coverage_curve(
    error: ArrayLike, confidence: ArrayLike, shares: ArrayLike = (0.1, 0.25, 0.5, 0.75, 1.0)
) -> Float64Array:
    """Mean error of the most confident pixels or samples, for each fraction that is kept.

    The curve of a useful confidence rises with the fraction.

    Parameters
    ----------
    error, confidence : array_like of one shape
        Error and confidence of each element, finite; flattened.
    shares : array_like of float in (0, 1]
        Fractions to keep: of n elements, the ceil(share · n) most confident ones.

    Returns
    -------
    ndarray of float64, shape of `shares`
        Mean errors in the unit of `error`. Among equal confidences it is the expected value of a
        random choice, so that the order of the elements does not matter.

    Raises
    ------
    ValueError
        If the shapes differ or are empty, a value is NaN, or a share is out of range.

    Notes
    -----
    Cost: O(n log n).

    Examples
    --------
    >>> risk_coverage_curve([4.0, 1.0, 1.0, 2.0], [0.1, 0.9, 0.8, 0.5], [0.5, 1.0])
    array([1., 2.])
    """
    errors = check_numbers(error, "error")
    certainty = check_numbers(confidence, "confidence")
    kept = check_numbers(shares, "shares")
    if errors.size == 0 or errors.shape != certainty.shape:
        raise ValueError(
            f"confidence must have the shape of error, and neither may be empty, "
            f"got {certainty.shape} and {errors.shape}"
        )
    if not ((kept > 0) & (kept <= 1)).all():
        raise ValueError(f"shares must be within (0, 1], got {shares!r}")
    errors = check_finite(errors.ravel(), "error")
    certainty = check_finite(certainty.ravel(), "confidence")
    _, group = np.unique(-certainty, return_inverse=True)
    expected = (np.bincount(group, weights=errors) / np.bincount(group))[group]
    running = np.cumsum(expected[np.argsort(group)])
    # The 1e-9 is for rounding: 0.1 * 30 is a little more than 3.
    count = np.maximum(np.ceil(kept * errors.size - 1e-9).astype(int), 1)
    result: Float64Array = running[count - 1] / count
    return result


error_against_kept_share = renamed(risk_coverage_curve, "error_against_kept_share")
best_f = renamed(max_f_measure, "best_f")
