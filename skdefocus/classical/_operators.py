"""Focus measures: how much a window of an image varies, in O(1) per pixel in its radius.

Every operator takes a grey image (H, W), float32 in [0, 1], and the radius of a square window,
and gives (H, W) float32, at least 0, larger where the image is sharper. Borders are symmetric,
and what looks at pairs or blocks of pixels is averaged over both sides of the pixel, so that the
operators commute with flips and transposition. The codes in brackets are those of [1]_.

References
----------
.. [1] S. Pertuz, D. Puig and M. A. Garcia, "Analysis of focus measure operators for
   shape-from-focus", Pattern Recognition 46(5), 2013.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from skdefocus._typing import FloatArray
from skdefocus.filters import box_mean

#: Differences of neighbours below this are not counted as gradients (of a range of 1).
GRADIENT_THRESHOLD = 0.02
#: A neighbour counts as brighter in a local binary pattern from this difference on.
PATTERN_THRESHOLD = 0.016
#: Side of the blocks that are transformed to cosines, pixels.
BLOCK = 8
#: Scales of the Haar wavelet.
HAAR_LEVELS = 3
#: Keeps ratios finite in the dark.
DARK = 1e-6


def mean(values: FloatArray, radius: int) -> FloatArray:
    """Mean over the window; images are what is worked on in parallel, not their rows."""
    return np.asarray(box_mean(values, radius, n_threads=1), np.float32)


def variance(values: FloatArray, radius: int) -> FloatArray:
    """Variance over the window."""
    # A small difference of large squares: float32 would leave noise where there is none.
    x = values - values.mean(dtype=np.float64)
    first = box_mean(x, radius, n_threads=1)
    second = box_mean(np.square(x, out=x), radius, n_threads=1)
    return np.maximum(second - first * first, 0).astype(np.float32)


def differences(grey: FloatArray, lag: int, axis: int) -> tuple[FloatArray, FloatArray]:
    """What lies `lag` pixels ahead less the pixel, and the pixel less what lies behind."""
    n = grey.shape[axis]
    pads = [(0, 0), (0, 0)]
    pads[axis] = (lag, lag)
    x = np.moveaxis(np.pad(grey, pads, mode="symmetric"), axis, 0)
    d = np.moveaxis(x[lag:] - x[:-lag], 0, axis)
    return np.take(d, range(lag, lag + n), axis), np.take(d, range(n), axis)


def squares(grey: FloatArray, lag: int) -> FloatArray:
    """Squared differences over `lag` pixels: mean of ahead and behind, sum of both axes."""
    total = np.zeros_like(grey)
    for axis in (0, 1):
        for d in differences(grey, lag, axis):
            total += d * d
    return total / 2


def squared_gradient(grey: FloatArray, radius: int) -> FloatArray:
    """Energy of the differences of neighbours (GRA2)."""
    return mean(squares(grey, 1), radius)


def thresholded_gradient(grey: FloatArray, radius: int) -> FloatArray:
    """Absolute differences of neighbours that exceed a threshold (GRA5)."""
    total = np.zeros_like(grey)
    for axis in (0, 1):
        for d in differences(grey, 1, axis):
            size = np.abs(d)
            total += np.where(size > GRADIENT_THRESHOLD, size, 0)
    return mean(total / 2, radius)


def brenner(grey: FloatArray, radius: int) -> FloatArray:
    """Energy of the differences over two pixels (MIS2)."""
    return mean(squares(grey, 2), radius)


def vollath(grey: FloatArray, radius: int) -> FloatArray:
    """Autocorrelation at one pixel less that at two (MIS6), of the deviation from the mean."""
    # Without its mean a window's brightness would leak in through its border.
    x = grey - mean(grey, radius)
    total = np.zeros_like(x)
    for axis in (0, 1):
        taps = np.array([-1, 1, 0, 1, -1]) / 2
        total += x * ndimage.correlate1d(x, taps, axis=axis, mode="reflect")
    return np.maximum(mean(total, radius), 0)


def sobel_energy(grey: FloatArray) -> FloatArray:
    """Squared Sobel gradient, scaled to that of a ramp."""
    y, x = (ndimage.sobel(grey, axis=axis, mode="reflect") / 8 for axis in (0, 1))
    energy: FloatArray = y * y + x * x
    return energy


def tenengrad(grey: FloatArray, radius: int) -> FloatArray:
    """Energy of the Sobel gradient (GRA6)."""
    return mean(sobel_energy(grey), radius)


def tenengrad_variance(grey: FloatArray, radius: int) -> FloatArray:
    """Variance of the Sobel gradient's length (GRA7)."""
    return variance(np.sqrt(sobel_energy(grey)), radius)


def laplacian(grey: FloatArray) -> FloatArray:
    """Sum of the four neighbours less four times the pixel."""
    return np.asarray(ndimage.laplace(grey, mode="reflect"), np.float32)


def laplacian_energy(grey: FloatArray, radius: int) -> FloatArray:
    """Energy of the Laplacian (LAP1)."""
    return mean(laplacian(grey) ** 2, radius)


def laplacian_variance(grey: FloatArray, radius: int) -> FloatArray:
    """Variance of the Laplacian (LAP4)."""
    return variance(laplacian(grey), radius)


def second_differences(grey: FloatArray) -> FloatArray:
    """Sum of the absolute second differences along both axes."""
    total = np.zeros_like(grey)
    for axis in (0, 1):
        total += np.abs(ndimage.correlate1d(grey, [1, -2, 1], axis=axis, mode="reflect"))
    return total


def modified_laplacian(grey: FloatArray, radius: int) -> FloatArray:
    """Sum of the absolute second differences along both axes, SML (LAP2)."""
    return mean(second_differences(grey), radius)


def diagonal_laplacian(grey: FloatArray, radius: int) -> FloatArray:
    """The same with both diagonals, divided by √2 (LAP3)."""
    total = second_differences(grey)
    down = np.diag([1.0, -2.0, 1.0]) / np.sqrt(2)
    for kernel in (down, down[::-1]):
        total += np.abs(ndimage.correlate(grey, kernel, mode="reflect"))
    return mean(total, radius)


def grey_variance(grey: FloatArray, radius: int) -> FloatArray:
    """Variance of the grey values (STA3)."""
    return variance(grey, radius)


def normalized_variance(grey: FloatArray, radius: int) -> FloatArray:
    """Variance of the grey values by their mean (STA5)."""
    return variance(grey, radius) / (mean(grey, radius) + np.float32(DARK))


def centred(energy: FloatArray, start: int, shape: tuple[int, ...]) -> FloatArray:
    """Mean over the two blocks per axis that have a pixel in the middle, for each pixel.

    Element (i, j) of `energy` belongs to the block of even side that begins there; the first of
    the two blocks of pixel (0, 0) begins at (`start`, `start`).
    """
    for axis in (0, 1):
        x = np.moveaxis(energy, axis, 0)[start : start + shape[axis] + 1]
        energy = np.moveaxis((x[1:] + x[:-1]) / 2, 0, axis)
    return np.ascontiguousarray(energy)


def cosines(padded: FloatArray, row: int, column: int) -> FloatArray:
    """Orthonormal cosine coefficient of the block that begins at each pixel (and fits in)."""
    n = np.arange(BLOCK)
    for axis, k in enumerate((row, column)):
        wave = np.cos(np.pi * k * (2 * n + 1) / (2 * BLOCK)) * np.sqrt((2 if k else 1) / BLOCK)
        padded = ndimage.correlate1d(padded, wave, axis=axis, origin=-(BLOCK // 2), mode="nearest")
    return padded[: 1 - BLOCK, : 1 - BLOCK]


def dct_energy_ratio(grey: FloatArray, radius: int) -> FloatArray:
    """Energy of all cosines but the constant, by that of the constant one, 8 × 8 (DCT1)."""
    padded = np.pad(grey, BLOCK // 2, mode="symmetric")
    constant = cosines(padded, 0, 0) ** 2
    # Parseval: an orthonormal transform keeps the block's energy, so no cosine is computed.
    whole = BLOCK * cosines(padded * padded, 0, 0)
    return _ratio(np.maximum(whole - constant, 0), constant, 0, grey.shape, radius)


def dct_reduced_ratio(grey: FloatArray, radius: int) -> FloatArray:
    """The same of the five lowest cosines only (DCT2)."""
    padded = np.pad(grey, BLOCK // 2, mode="symmetric")
    low = sum(cosines(padded, i, j) ** 2 for i, j in ((0, 1), (1, 0), (0, 2), (2, 0), (1, 1)))
    return _ratio(np.asarray(low), cosines(padded, 0, 0) ** 2, 0, grey.shape, radius)


def wavelet_ratio(grey: FloatArray, radius: int) -> FloatArray:
    """Energy of the Haar wavelet's details by that of what is left after three scales (WAV3).

    The transform is not decimated: each pixel has its coefficients at every scale.
    """
    pad = 2 ** (HAAR_LEVELS - 1)
    rest = np.pad(grey, pad, mode="symmetric")
    details = np.zeros_like(grey)
    for half in (2**level for level in range(HAAR_LEVELS)):
        low, high = (rest[half:] + rest[:-half]) / 2, (rest[half:] - rest[:-half]) / 2
        rest = (low[:, half:] + low[:, :-half]) / 2
        energy = ((low[:, half:] - low[:, :-half]) / 2) ** 2
        energy += ((high[:, half:] + high[:, :-half]) / 2) ** 2
        energy += ((high[:, half:] - high[:, :-half]) / 2) ** 2
        details += centred(energy, pad - half, grey.shape)
    left = centred(rest * rest, 0, grey.shape)
    return mean(details, radius) / (mean(left, radius) + np.float32(DARK))


def _ratio(
    high: FloatArray, low: FloatArray, start: int, shape: tuple[int, ...], radius: int
) -> FloatArray:
    above = mean(centred(high, start, shape), radius)
    return above / (mean(centred(low, start, shape), radius) + np.float32(DARK))


def local_binary_patterns(grey: FloatArray, radius: int) -> FloatArray:
    """Share of binary patterns that are no edge or flat area, from 0 to 1.

    Of the rotation-invariant patterns of eight neighbours at a distance of 1, those with six or
    more brighter neighbours and those that are not uniform are rare where it is blurred (X. Yi
    and M. Eramian, "LBP-based segmentation of defocus blur", IEEE TIP 25(4), 2016).
    """
    height, width = grey.shape
    x = np.pad(grey, 1, mode="symmetric")

    def at(down: int, right: int) -> FloatArray:
        return x[1 + down : 1 + down + height, 1 + right : 1 + right + width]

    part = np.float32(np.sqrt(0.5))
    brighter = []
    for down, right in ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)):
        neighbour = at(down, right)
        if down and right:  # the circle passes between pixels: linear in both directions
            beside = (1 - part) * at(down, 0) + part * neighbour
            neighbour = (1 - part) * ((1 - part) * grey + part * at(0, right)) + part * beside
        brighter.append(neighbour - grey >= PATTERN_THRESHOLD)
    count = np.zeros(grey.shape, np.uint8)
    changes = np.zeros(grey.shape, np.uint8)
    for now, then in zip(brighter, [*brighter[1:], brighter[0]], strict=True):
        count += now
        changes += now ^ then
    return mean(((changes > 2) | (count >= 6)).astype(np.float32), radius)


OPERATORS: dict[str, Callable[[FloatArray, int], FloatArray]] = {
    operator.__name__: operator
    for operator in (
        laplacian_energy,
        modified_laplacian,
        diagonal_laplacian,
        laplacian_variance,
        tenengrad,
        tenengrad_variance,
        squared_gradient,
        thresholded_gradient,
        grey_variance,
        normalized_variance,
        brenner,
        vollath,
        dct_energy_ratio,
        dct_reduced_ratio,
        wavelet_ratio,
        local_binary_patterns,
    )
}
