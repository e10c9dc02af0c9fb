"""Quality of fused photographs, compared with their sources: no reference is needed.

The measures are Q_G, Q_MI, Q_CB and Q_Y, as publications call them. Published evaluations compute
them on 8-bit gray images, and so does this module: channels are rounded to 0-255, and gray =
0.299 R + 0.587 G + 0.114 B (Rec. 601) is rounded again. A uint8 image and the same image as floats
thus get exactly the same score.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Literal, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import fft, ndimage

from skdefocus._images import check_image
from skdefocus._typing import Float64Array, Int64Array
from skdefocus._validation import check_choice, check_sequence, renamed

#: Side of the square window of `source_ssim` in pixels.
QY_WINDOW = 7


def _gray_levels(image: ArrayLike, name: str) -> Int64Array:
    """Convert to gray levels 0-255 as integers, so that rounding is the same for all types."""
    levels: Int64Array = np.rint(check_image(image, name) * np.float32(255)).astype(np.int64)
    if levels.ndim == 3:
        levels = (levels @ np.array([299, 587, 114]) + 500) // 1000
    return levels


def _check_fused(
    fused: ArrayLike, sources: Sequence[ArrayLike]
) -> tuple[Int64Array, list[Int64Array]]:
    """Return gray levels of the fused photograph and its N >= 2 sources, all of one size."""
    if len(check_sequence(sources, "sources")) < 2:
        raise ValueError(f"sources must hold at least 2 photographs, got {len(sources)}")
    levels = _gray_levels(fused, "fused")
    others = [_gray_levels(source, f"sources[{k}]") for k, source in enumerate(sources)]
    for k, other in enumerate(others):
        if other.shape != levels.shape:
            raise ValueError(
                f"sources[{k}] must have the height and width of fused, {levels.shape}, "
                f"got {other.shape}"
            )
    return levels, others


def _ratio(a: Float64Array, b: Float64Array) -> Float64Array:
    """Divide the smaller by the larger of two non-negative values; 1 if both are 0."""
    high = np.maximum(a, b)
    result: Float64Array = np.divide(np.minimum(a, b), high, out=np.ones_like(high), where=high > 0)
    return result


def _weighted(values: Sequence[Float64Array], weights: Sequence[Float64Array]) -> Float64Array:
    """Average over the sources at every pixel; without weights where all of them are 0."""
    total = np.sum(weights, axis=0)
    weighted = np.sum([w * v for w, v in zip(weights, values, strict=True)], axis=0)
    result: Float64Array = np.mean(values, axis=0)
    np.divide(weighted, total, out=result, where=total > 0)
    return result


def gradient_preservation(
    fused: ArrayLike,
    sources: Sequence[ArrayLike],
    *,
    reduction: Literal["mean_of_ratios", "ratio_of_sums"] = "mean_of_ratios",
) -> float:
    r"""Fraction of the sources' gradients that the fused photograph preserves, Q_G.

    The measure of Xydeas and Petrovic [1]_. With Sobel gradients of strength :math:`g` and
    orientation :math:`\alpha` (of lines, modulo π), source k and the fused photograph F agree at a
    pixel by :math:`G = \min(g_k, g_F) / \max(g_k, g_F)` and
    :math:`A = ||\alpha_k - \alpha_F| - π/2| / (π/2)`, so that
    :math:`Q_k = 1 / (1 + e^{-10 (G - 0.5)}) · 1 / (1 + e^{-20 (A - 0.75)})`.

    Parameters
    ----------
    fused : array_like, shape (H, W) or (H, W, C)
        The fused photograph, gray or RGB: bool, uint8, uint16, or float in [0, 1].
    sources : sequence of N >= 2 array_like, each shape (H, W) or (H, W, C)
        The photographs that it was made from.
    reduction : {"mean_of_ratios", "ratio_of_sums"}
        "mean_of_ratios": the mean over pixels of the mean of :math:`Q_k`, weighted by :math:`g_k`
        (without weights where all :math:`g_k` = 0). "ratio_of_sums":
        :math:`\sum_{k,x} g_k Q_k / \sum_{k,x} g_k`, where strong edges count more. It is about 0.07
        higher on photographs; the two must not be compared with each other.

    Returns
    -------
    float
        Higher is better, from 0 to 0.9867 = 1 / (1 + e⁻⁵)², the score of a photograph fused from
        copies of itself.

    Raises
    ------
    TypeError, ValueError
        If an image has the wrong type, shape or range, there are fewer than two sources, or
        `reduction` is unknown.

    Notes
    -----
    The paper defines the ratio of sums for two sources; here the sums run over N. The constants of
    the sigmoids, the folding of A modulo π and the zeros outside the image are those of the toolbox
    of [2]_, so that scores can be compared with published tables. The form with
    A = 1 - |Δα| / (π/2) and Γ = 0.9994, κ = -15, σ = 0.5 and 0.9879, -22, 0.8 gives lower scores.
    Cost: O(N H W).

    References
    ----------
    .. [1] Xydeas and Petrovic, "Objective image fusion performance measure", Electronics
       Letters 36(4), 2000; "Objective pixel-level image fusion performance measure", Proc. SPIE
       4051, 2000.
    .. [2] Liu et al., "Objective assessment of multiresolution image fusion algorithms for
       context enhancement in night vision", IEEE TPAMI 34(1), 2012.

    Examples
    --------
    >>> image = np.eye(8)
    >>> round(gradient_preservation(image, [image, image]), 4)
    0.9867
    """
    check_choice(reduction, "reduction", ("mean_of_ratios", "ratio_of_sums"))
    levels, others = _check_fused(fused, sources)
    strength, angle = _gradient(levels)
    quality, weights = [], []
    for other in others:
        g, alpha = _gradient(other)
        alignment = np.abs(np.mod(alpha - angle, np.pi) - np.pi / 2) / (np.pi / 2)
        preserved = 1 / (1 + np.exp(-10 * (_ratio(g, strength) - 0.5)))
        quality.append(preserved / (1 + np.exp(-20 * (alignment - 0.75))))
        weights.append(g)
    total = np.sum(weights)
    if reduction == "mean_of_ratios" or total == 0:
        return float(_weighted(quality, weights).mean())
    return float(sum(np.vdot(w, q) for w, q in zip(weights, quality, strict=True)) / total)


def _gradient(levels: Int64Array) -> tuple[Float64Array, Float64Array]:
    """Compute the strength and direction of the Sobel gradient, with zeros outside the image."""
    image = levels.astype(np.float64)
    gx = ndimage.sobel(image, axis=1, mode="constant")
    gy = ndimage.sobel(image, axis=0, mode="constant")
    return np.hypot(gx, gy), np.arctan2(gy, gx)


def source_mutual_information(fused: ArrayLike, sources: Sequence[ArrayLike]) -> float:
    r"""Mutual information of the sources and the fused photograph, Q_MI.

    The measure of Hossny et al. [1]_ is :math:`\sum_k 2 I(S_k; F) / (H(S_k) + H(F))`, from
    histograms of gray levels with 256 bins. A term is 0 if both of its photographs are constant,
    since there is no information to share.

    Parameters
    ----------
    fused, sources
        See :func:`gradient_preservation`; the paper's sum over two sources runs over N.

    Returns
    -------
    float
        Higher is better, from 0 (nothing in common) to N (all sources have the information of F).

    Raises
    ------
    TypeError, ValueError
        See :func:`gradient_preservation`.

    Notes
    -----
    Cost: O(N H W).

    References
    ----------
    .. [1] Hossny, Nahavandi and Creighton, "Comments on 'Information measure for performance of
       image fusion'", Electronics Letters 44(18), 2008.

    Examples
    --------
    >>> image = np.eye(8)
    >>> round(source_mutual_information(image, [image, 1 - image]), 4)
    2.0
    """
    levels, others = _check_fused(fused, sources)
    result = 0.0
    for other in others:
        joint = np.bincount((256 * other + levels).ravel(), minlength=65536).reshape(256, 256)
        ours, theirs = _entropy(joint.sum(axis=0)), _entropy(joint.sum(axis=1))
        if ours + theirs > 0:
            result += 2 * max(ours + theirs - _entropy(joint), 0.0) / (ours + theirs)
    return result


def _entropy(counts: Int64Array) -> float:
    """Compute the entropy of a histogram in nats."""
    share = counts[counts > 0] / counts.sum()
    return max(float(-np.sum(share * np.log(share))), 0.0)


def contrast_preservation(fused: ArrayLike, sources: Sequence[ArrayLike]) -> float:
    r"""Fraction of the visible local contrast that the fused photograph preserves, Q_CB.

    The measure of Chen and Blum [1]_. Every photograph is stretched to the full range 0-255 and
    filtered in the frequency domain by the eye's contrast sensitivity
    :math:`e^{-(r/15.387)^2} - 0.7622 e^{-(r/1.3456)^2}`, with r in cycles per degree for a picture
    that spans 15° both ways. Its local contrast is :math:`c = |(g_2 * I) / (g_4 * I) - 1|`
    (Gaussians of 2 and 4 pixels) or, after masking, :math:`c' = c^3 / (c^2 + 10^{-4})`. The quality
    of a pixel is the mean of :math:`\min(c'_k, c'_F) / \max(c'_k, c'_F)`, weighted by the saliency
    :math:`c_k'^2` of the sources; the measure is the mean over pixels.

    Parameters
    ----------
    fused, sources
        See :func:`gradient_preservation`; the paper's mean over two sources runs over N.

    Returns
    -------
    float
        Higher is better, from 0 to 1; 1 if all photographs are equal.

    Raises
    ------
    TypeError, ValueError
        See :func:`gradient_preservation`.

    Notes
    -----
    The stretch, the 15° and the zeros outside the image are conventions of published evaluations.
    Because of the stretch, the overall brightness and contrast of a photograph do not count.
    Cost: O(N H W log(H W)).

    References
    ----------
    .. [1] Chen and Blum, "A new automated quality assessment algorithm for image fusion", Image
       and Vision Computing 27(10), 2009.

    Examples
    --------
    >>> image = np.eye(32)
    >>> contrast_preservation(image, [image, image])
    1.0
    """
    levels, others = _check_fused(fused, sources)
    height, width = levels.shape
    # fftfreq gives cycles per pixel; times the size, that is cycles per picture, or 15 degrees.
    fy, fx = fft.fftfreq(height) * height / 15, fft.rfftfreq(width) * width / 15
    r2 = fy[:, None] ** 2 + fx**2
    sensitivity = np.exp(-r2 / 15.3870**2) - 0.7622 * np.exp(-r2 / 1.3456**2)
    ours = _masked_contrast(levels, sensitivity)
    theirs = [_masked_contrast(other, sensitivity) for other in others]
    return float(_weighted([_ratio(c, ours) for c in theirs], [c**2 for c in theirs]).mean())


def _masked_contrast(levels: Int64Array, sensitivity: Float64Array) -> Float64Array:
    """Compute the masked local contrast that the eye sees in a gray photograph."""
    low, high = int(levels.min()), int(levels.max())
    image = np.rint(255.0 * (levels - low) / max(high - low, 1))
    visible = fft.irfft2(fft.rfft2(image) * sensitivity, s=image.shape)
    fine = ndimage.gaussian_filter(visible, 2, mode="constant")
    coarse = ndimage.gaussian_filter(visible, 4, mode="constant")
    # Only in a black image both are 0: no contrast.
    ratio = np.divide(fine, coarse, out=np.ones_like(fine), where=coarse != 0)
    contrast = np.abs(ratio - 1)
    masked: Float64Array = contrast**3 / (contrast**2 + 1e-4)
    return masked


def source_ssim(fused: ArrayLike, sources: Sequence[ArrayLike]) -> float:
    r"""Structural similarity to the sources or the most similar one of them, Q_Y.

    The measure of Yang et al. [1]_ is the mean quality of all 7×7 windows within the image. Where
    the sources are alike, SSIM(A, B) >= 0.75, the quality is :math:`\sum_k λ_k SSIM(S_k, F)`, where
    :math:`λ_k` is the fraction of the sources' variance that is in source k. Elsewhere it is
    :math:`\max_k SSIM(S_k, F)`.

    Parameters
    ----------
    fused, sources
        See :func:`gradient_preservation`; at least 7×7 pixels. N > 2 sources are alike where every
        pair is.

    Returns
    -------
    float
        Higher is better, from -1 to 1; 1 if all photographs are equal.

    Raises
    ------
    TypeError, ValueError
        See :func:`gradient_preservation`; also if images are smaller than 7×7.

    Notes
    -----
    SSIM has uniform windows here. Instead of the constants of [2]_, 1e-10 is added to numerators
    and denominators on the scale 0-255, which would be 0/0 in flat windows. Sums of integers are
    exact, so that the variance of a flat window is exactly 0. Cost: O(N² H W).

    References
    ----------
    .. [1] Yang, Zhang, Wang and Liu, "A novel similarity based quality metric for image fusion",
       Information Fusion 9(2), 2008.
    .. [2] Wang et al., "Image quality assessment: from error visibility to structural
       similarity", IEEE TIP 13(4), 2004.

    Examples
    --------
    >>> image = np.eye(8)
    >>> source_ssim(image, [image, image])
    1.0
    """
    levels, others = _check_fused(fused, sources)
    if min(levels.shape) < QY_WINDOW:
        raise ValueError(f"fused must be at least 7×7 pixels, got {levels.shape}")
    windows = [_Windows.of(image) for image in (levels, *others)]
    to_fused = [_similarity(source, windows[0]) for source in windows[1:]]
    between = [_similarity(a, b) for a, b in combinations(windows[1:], 2)]
    alike = np.min(between, axis=0) >= 0.75
    mean = _weighted(to_fused, [source.variance for source in windows[1:]])
    return float(np.where(alike, mean, np.max(to_fused, axis=0)).mean())


class _Windows(NamedTuple):
    """Gray levels of an image, and their sum and variance in each window."""

    levels: Int64Array
    total: Int64Array
    variance: Float64Array

    @classmethod
    def of(cls, levels: Int64Array) -> Self:
        """Compute sums and variances."""
        n, total = QY_WINDOW**2, _window_sums(levels)
        return cls(levels, total, (n * _window_sums(levels**2) - total**2) / n**2)


def _similarity(a: _Windows, b: _Windows) -> Float64Array:
    """Compute the SSIM of two images in each window."""
    tiny, n = 1e-10, QY_WINDOW**2
    mean_a, mean_b = a.total / n, b.total / n
    covariance = (n * _window_sums(a.levels * b.levels) - a.total * b.total) / n**2
    light = (2 * mean_a * mean_b + tiny) / (mean_a**2 + mean_b**2 + tiny)
    structure = (2 * covariance + tiny) / (a.variance + b.variance + tiny)
    similarity: Float64Array = light * structure
    return similarity


def _window_sums(values: Int64Array) -> Int64Array:
    """Compute the exact sum over each window of `source_ssim` within the image."""
    sums = np.pad(values, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    w = QY_WINDOW
    result: Int64Array = sums[w:, w:] - sums[:-w, w:] - sums[w:, :-w] + sums[:-w, :-w]
    return result


q_g = renamed(gradient_preservation, "q_g")
q_mi = renamed(source_mutual_information, "q_mi")
q_cb = renamed(contrast_preservation, "q_cb")
q_y = renamed(source_ssim, "q_y")
