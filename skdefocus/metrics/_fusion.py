"""How good is a fused photograph? Measures without and with a reference.

The four measures ``q_*`` compare a fused photograph with its sources, no reference needed. The
published evaluations compute them on 8-bit grey images, so all four do the same here: channels
are rounded to 0-255, then grey = .299 R + .587 G + .114 B (Rec. 601), rounded again. A uint8
image and the same image as floats therefore get the same value to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, ndimage
from skimage.metrics import structural_similarity

from skdefocus._images import check_image
from skdefocus._typing import Float64Array
from skdefocus._validation import check_choice, check_sequence

IntArray = NDArray[np.int64]

#: Side of the square window of `q_y`, pixels.
QY_WINDOW = 7


def _grey(image: ArrayLike, name: str) -> IntArray:
    """Grey levels 0-255, in whole numbers so that no rounding differs between input types."""
    levels: IntArray = np.rint(check_image(image, name) * np.float32(255)).astype(np.int64)
    if levels.ndim == 3:
        levels = (levels @ np.array([299, 587, 114]) + 500) // 1000
    return levels


def _check(fused: ArrayLike, sources: Sequence[ArrayLike]) -> tuple[IntArray, list[IntArray]]:
    """Grey levels of the fused photograph and of its N >= 2 sources, all of one size."""
    if len(check_sequence(sources, "sources")) < 2:
        raise ValueError(f"sources must hold at least 2 photographs, got {len(sources)}")
    levels = _grey(fused, "fused")
    others = [_grey(source, f"sources[{k}]") for k, source in enumerate(sources)]
    for k, other in enumerate(others):
        if other.shape != levels.shape:
            raise ValueError(
                f"sources[{k}] must have the height and width of fused, {levels.shape}, "
                f"got {other.shape}"
            )
    return levels, others


def _ratio(a: Float64Array, b: Float64Array) -> Float64Array:
    """Divide min by max of two non-negative arrays; two zeros agree: 1."""
    high = np.maximum(a, b)
    result: Float64Array = np.divide(np.minimum(a, b), high, out=np.ones_like(high), where=high > 0)
    return result


def _weighted(values: Sequence[Float64Array], weights: Sequence[Float64Array]) -> Float64Array:
    """Mean over the sources at every pixel; a plain one where no source has any weight."""
    total = np.sum(weights, axis=0)
    weighted = np.sum([w * v for w, v in zip(weights, values, strict=True)], axis=0)
    result: Float64Array = np.mean(values, axis=0)
    np.divide(weighted, total, out=result, where=total > 0)
    return result


def q_g(
    fused: ArrayLike,
    sources: Sequence[ArrayLike],
    *,
    reduction: Literal["mean_of_ratios", "ratio_of_sums"] = "mean_of_ratios",
) -> float:
    r"""Share of the sources' gradients that the fused photograph keeps (Xydeas and Petrovic).

    With Sobel gradients of strength :math:`g` and orientation :math:`\alpha` (a line's, modulo
    π), source k and the fused photograph F agree at a pixel by :math:`G = \min(g_k, g_F) /
    \max(g_k, g_F)` and :math:`A = ||\alpha_k - \alpha_F| - π/2| / (π/2)`, which makes
    :math:`Q_k = 1 / (1 + e^{-10 (G - 0.5)}) · 1 / (1 + e^{-20 (A - 0.75)})`.

    Parameters
    ----------
    fused : array_like, shape (H, W) or (H, W, C)
        The fused photograph, grey or RGB: bool, uint8, uint16, or float within [0, 1].
    sources : sequence of N >= 2 array_like, each shape (H, W) or (H, W, C)
        The photographs it was made from.
    reduction : {"mean_of_ratios", "ratio_of_sums"}
        "mean_of_ratios": at every pixel the mean of :math:`Q_k` weighted by :math:`g_k` (plain
        where all :math:`g_k` = 0), then the mean over pixels. "ratio_of_sums":
        :math:`\sum_{k,x} g_k Q_k / \sum_{k,x} g_k`, where strong edges count more; it is some .07
        higher on photographs. Never compare one with the other.

    Returns
    -------
    float
        Higher is better, from 0 to .9867 = 1 / (1 + e⁻⁵)², which a photograph fused from
        copies of itself attains.

    Raises
    ------
    TypeError, ValueError
        An image of another type, shape or range; fewer than two sources; unknown `reduction`.

    Notes
    -----
    The paper [1]_ defines the ratio of sums for two sources; the sums run over N unchanged. The
    sigmoids' constants, A's fold modulo π and the zeros outside the image are those of the toolbox
    of [2]_, so that values compare with published tables. The form with A = 1 - |Δα| / (π/2) and
    Γ = .9994, κ = -15, σ = .5 and .9879, -22, .8 gives lower values. Cost: O(N H W).

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
    >>> round(q_g(image, [image, image]), 4)
    0.9867
    """
    check_choice(reduction, "reduction", ("mean_of_ratios", "ratio_of_sums"))
    levels, others = _check(fused, sources)
    strength, angle = _gradient(levels)
    quality, weights = [], []
    for other in others:
        g, alpha = _gradient(other)
        turned = np.abs(np.mod(alpha - angle, np.pi) - np.pi / 2) / (np.pi / 2)
        kept = 1 / (1 + np.exp(-10 * (_ratio(g, strength) - 0.5)))
        quality.append(kept / (1 + np.exp(-20 * (turned - 0.75))))
        weights.append(g)
    total = np.sum(weights)
    if reduction == "mean_of_ratios" or total == 0:
        return float(_weighted(quality, weights).mean())
    return float(sum(np.vdot(w, q) for w, q in zip(weights, quality, strict=True)) / total)


def _gradient(levels: IntArray) -> tuple[Float64Array, Float64Array]:
    """Strength and direction of the Sobel gradient, zeros assumed outside."""
    image = levels.astype(np.float64)
    gx = ndimage.sobel(image, axis=1, mode="constant")
    gy = ndimage.sobel(image, axis=0, mode="constant")
    return np.hypot(gx, gy), np.arctan2(gy, gx)


def q_mi(fused: ArrayLike, sources: Sequence[ArrayLike]) -> float:
    r"""Information of the sources found in the fused photograph (Hossny et al.).

    :math:`\sum_k 2 I(S_k; F) / (H(S_k) + H(F))`, from 256-bin histograms of grey levels. A term
    whose two photographs are both constant is 0, since there is no information to share.

    Parameters
    ----------
    fused, sources
        As for `q_g`; the paper's sum over two sources runs over N.

    Returns
    -------
    float
        Higher is better, from 0 (nothing shared) to N (every source holds what F holds).

    Raises
    ------
    TypeError, ValueError
        As `q_g`.

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
    >>> round(q_mi(image, [image, 1 - image]), 4)
    2.0
    """
    levels, others = _check(fused, sources)
    result = 0.0
    for other in others:
        joint = np.bincount((256 * other + levels).ravel(), minlength=65536).reshape(256, 256)
        ours, theirs = _entropy(joint.sum(axis=0)), _entropy(joint.sum(axis=1))
        if ours + theirs > 0:
            result += 2 * max(ours + theirs - _entropy(joint), 0.0) / (ours + theirs)
    return result


def _entropy(counts: IntArray) -> float:
    """Entropy of a histogram, nats."""
    share = counts[counts > 0] / counts.sum()
    return max(float(-np.sum(share * np.log(share))), 0.0)


def q_cb(fused: ArrayLike, sources: Sequence[ArrayLike]) -> float:
    r"""How much visible local contrast the fused photograph keeps (Chen and Blum).

    Every photograph is stretched to the full range 0-255 and filtered in the frequency domain
    by the eye's contrast sensitivity :math:`e^{-(r/15.387)^2} - .7622 e^{-(r/1.3456)^2}`, r in
    cycles per degree for a picture that spans 15° both ways. Its local contrast is
    :math:`c = |(g_2 * I) / (g_4 * I) - 1|` (Gaussians of 2 and 4 pixels), after masking
    :math:`c' = c^3 / (c^2 + 10^{-4})`. A pixel's quality is the mean of
    :math:`\min(c'_k, c'_F) / \max(c'_k, c'_F)`, weighted by the saliency :math:`c_k'^2` of the
    sources; the measure is its mean over pixels.

    Parameters
    ----------
    fused, sources
        As for `q_g`; the paper's mean over two sources runs over N.

    Returns
    -------
    float
        Higher is better, from 0 to 1; 1 where all photographs are equal.

    Raises
    ------
    TypeError, ValueError
        As `q_g`.

    Notes
    -----
    The stretch, the 15° and the zeros outside the image are conventions of published evaluations.
    The stretch hides brightness and contrast of a whole photograph. Cost: O(N H W log(H W)).

    References
    ----------
    .. [1] Chen and Blum, "A new automated quality assessment algorithm for image fusion", Image
       and Vision Computing 27(10), 2009.

    Examples
    --------
    >>> image = np.eye(32)
    >>> q_cb(image, [image, image])
    1.0
    """
    levels, others = _check(fused, sources)
    height, width = levels.shape
    # fftfreq is in cycles per pixel: times the extent it is cycles per picture, over 15 degrees.
    fy, fx = fft.fftfreq(height) * height / 15, fft.rfftfreq(width) * width / 15
    r2 = fy[:, None] ** 2 + fx**2
    sensitivity = np.exp(-r2 / 15.3870**2) - 0.7622 * np.exp(-r2 / 1.3456**2)
    ours = _masked_contrast(levels, sensitivity)
    theirs = [_masked_contrast(other, sensitivity) for other in others]
    return float(_weighted([_ratio(c, ours) for c in theirs], [c**2 for c in theirs]).mean())


def _masked_contrast(levels: IntArray, sensitivity: Float64Array) -> Float64Array:
    """Local contrast of a grey photograph as seen through the eye's sensitivity, masked."""
    low, high = levels.min(), levels.max()
    image = np.rint(255.0 * (levels - low) / max(high - low, 1))
    seen = fft.irfft2(fft.rfft2(image) * sensitivity, s=image.shape)
    fine = ndimage.gaussian_filter(seen, 2, mode="constant")
    coarse = ndimage.gaussian_filter(seen, 4, mode="constant")
    # In a black image (and there alone) both are 0: no contrast.
    ratio = np.divide(fine, coarse, out=np.ones_like(fine), where=coarse != 0)
    contrast = np.abs(ratio - 1)
    masked: Float64Array = contrast**3 / (contrast**2 + 1e-4)
    return masked


def q_y(fused: ArrayLike, sources: Sequence[ArrayLike]) -> float:
    r"""Structural similarity to whichever source has the structure (Yang et al.).

    Over all 7×7 windows within the image: where the sources are alike, SSIM(A, B) >= .75, the
    quality is :math:`\sum_k λ_k SSIM(S_k, F)` with :math:`λ_k` the share of source k in the
    sources' variance; elsewhere it is :math:`\max_k SSIM(S_k, F)`. Then the mean over windows.

    Parameters
    ----------
    fused, sources
        As for `q_g`, at least 7×7 pixels. For N > 2 the sources are alike where every pair is.

    Returns
    -------
    float
        Higher is better, from -1 to 1; 1 where all photographs are equal.

    Raises
    ------
    TypeError, ValueError
        As `q_g`; images smaller than 7×7.

    Notes
    -----
    SSIM with uniform windows and, instead of the constants of [2]_, 1e-10 in numerators and
    denominators on the 0-255 scale: flat windows make it 0/0 otherwise. Sums are in whole
    numbers, thus exact, so that flat is exactly flat. Cost: O(N² H W).

    References
    ----------
    .. [1] Yang, Zhang, Wang and Liu, "A novel similarity based quality metric for image fusion",
       Information Fusion 9(2), 2008.
    .. [2] Wang et al., "Image quality assessment: from error visibility to structural
       similarity", IEEE TIP 13(4), 2004.

    Examples
    --------
    >>> image = np.eye(8)
    >>> q_y(image, [image, image])
    1.0
    """
    tiny = 1e-10
    levels, others = _check(fused, sources)
    if min(levels.shape) < QY_WINDOW:
        raise ValueError(f"fused must be at least 7×7 pixels, got {levels.shape}")
    images = [levels, *others]
    n = QY_WINDOW**2
    sums = [_window_sums(image) for image in images]
    variances = [
        (n * _window_sums(image**2) - s**2) / n**2 for image, s in zip(images, sums, strict=True)
    ]

    def similarity(i: int, j: int) -> Float64Array:
        mi, mj = sums[i] / n, sums[j] / n
        covariance = (n * _window_sums(images[i] * images[j]) - sums[i] * sums[j]) / n**2
        light = (2 * mi * mj + tiny) / (mi**2 + mj**2 + tiny)
        structure = (2 * covariance + tiny) / (variances[i] + variances[j] + tiny)
        similar: Float64Array = light * structure
        return similar

    numbers = range(1, len(images))
    to_fused = [similarity(k, 0) for k in numbers]
    alike = np.min([similarity(i, j) for i, j in combinations(numbers, 2)], axis=0) >= 0.75
    mean = _weighted(to_fused, variances[1:])
    return float(np.where(alike, mean, np.max(to_fused, axis=0)).mean())


def _window_sums(values: IntArray) -> IntArray:
    """Sum over all windows of `q_y` that lie within the image, exactly."""
    sums = np.pad(values, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    w = QY_WINDOW
    result: IntArray = sums[w:, w:] - sums[:-w, w:] - sums[w:, :-w] + sums[:-w, :-w]
    return result


def _pair(image: ArrayLike, reference: ArrayLike) -> tuple[Float64Array, Float64Array]:
    """Two photographs of one shape, in [0, 1]."""
    ours, theirs = check_image(image, "image"), check_image(reference, "reference")
    if ours.shape != theirs.shape:
        raise ValueError(f"image must have the shape of reference, {theirs.shape}, is {ours.shape}")
    return ours.astype(np.float64), theirs.astype(np.float64)


def psnr(image: ArrayLike, reference: ArrayLike) -> float:
    """Peak signal-to-noise ratio to a reference, dB; the peak (data range) is 1.

    Parameters
    ----------
    image, reference : array_like, shape (H, W) or (H, W, C)
        Bool, uint8, uint16 (scaled by their range) or float within [0, 1]; not rounded.

    Returns
    -------
    float
        -10 log₁₀ of the mean squared difference over pixels and channels: from 0 up, infinite
        for equal images. float32 holds an image to some 150 dB.

    Raises
    ------
    TypeError, ValueError
        An image of another type, shape or range; two shapes.

    Examples
    --------
    >>> round(psnr(np.full((4, 4), 0.5), np.full((4, 4), 0.6)), 4)
    20.0
    """
    ours, theirs = _pair(image, reference)
    error = float(np.mean((ours - theirs) ** 2))
    return float("inf") if error == 0 else float(-10 * np.log10(error))


def ssim(image: ArrayLike, reference: ArrayLike) -> float:
    """Mean structural similarity to a reference, from -1 to 1 (equal); the data range is 1.

    scikit-image's, with the Gaussian window (11×11, σ = 1.5) and constants of Wang et al., IEEE
    TIP 13(4), 2004; in colour the mean over channels.

    Parameters
    ----------
    image, reference : array_like, shape (H, W) or (H, W, C)
        Of at least 11×11 pixels: bool, uint8, uint16 (scaled by their range) or float within
        [0, 1]; not rounded.

    Returns
    -------
    float
        From -1 to 1, for equal images.

    Raises
    ------
    TypeError, ValueError
        An image of another type, shape, size or range; two shapes.

    Examples
    --------
    >>> ssim(np.eye(16), np.eye(16))
    1.0
    """
    ours, theirs = _pair(image, reference)
    if min(ours.shape[:2]) < 11:
        raise ValueError(f"image must be at least 11×11 pixels, got {ours.shape}")
    similarity: Any = structural_similarity  # its annotations are incomplete
    axis = -1 if ours.ndim == 3 else None
    wang = {"gaussian_weights": True, "use_sample_covariance": False}
    return float(similarity(theirs, ours, data_range=1.0, channel_axis=axis, **wang))
