"""Focus measures: how much an image varies within a window.

Every operator takes a gray image (H, W), float32 in [0, 1], and the radius of a square window. It
returns (H, W) float32, at least 0, larger where the image is sharper. Borders are symmetric.
Measures of pairs or blocks of pixels are averaged over both sides of the pixel, so that operators
commute with flips and transposition. The cost per pixel grows with the logarithm of the radius. The
codes in parentheses are those of [1]_.

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

#: Differences between neighbors below this do not count as gradients (for a range of 1).
GRADIENT_THRESHOLD = 0.02
#: Smallest difference with which a neighbor counts as brighter in a local binary pattern.
PATTERN_THRESHOLD = 0.016
#: Side in pixels of the blocks for the cosine transform.
BLOCK = 8
#: Number of scales of the Haar wavelet.
HAAR_LEVELS = 3
#: Added to denominators so that ratios are finite in dark areas.
DARKNESS = 1e-6


def window_mean(values: FloatArray, radius: int) -> FloatArray:
    """Average over the window in one thread; images, not their rows, are processed in parallel."""
    return np.asarray(box_mean(values, radius, n_threads=1), np.float32)


def window_variance(values: FloatArray, radius: int) -> FloatArray:
    """Compute the variance in the window."""
    # A small difference of large squares: float32 would add noise to flat areas.
    x = values - values.mean(dtype=np.float64)
    first = box_mean(x, radius, n_threads=1)
    second = box_mean(np.square(x, out=x), radius, n_threads=1)
    return np.maximum(second - first * first, 0).astype(np.float32)


def differences(gray: FloatArray, lag: int, axis: int) -> tuple[FloatArray, FloatArray]:
    """Subtract each pixel from the one `lag` pixels ahead, and the one behind from each pixel."""
    n = gray.shape[axis]
    pads = [(0, 0), (0, 0)]
    pads[axis] = (lag, lag)
    x = np.moveaxis(np.pad(gray, pads, mode="symmetric"), axis, 0)
    d = np.moveaxis(x[lag:] - x[:-lag], 0, axis)
    return np.take(d, range(lag, lag + n), axis), np.take(d, range(n), axis)


def squares(gray: FloatArray, lag: int) -> FloatArray:
    """Average squared differences over `lag` pixels ahead and behind, and add both axes."""
    total = np.zeros_like(gray)
    for axis in (0, 1):
        for d in differences(gray, lag, axis):
            total += d * d
    return total / 2


def squared_gradient(gray: FloatArray, radius: int) -> FloatArray:
    """Energy of the differences between neighbors (GRA2)."""
    return window_mean(squares(gray, 1), radius)


def thresholded_gradient(gray: FloatArray, radius: int) -> FloatArray:
    """Absolute differences between neighbors that exceed a threshold (GRA5)."""
    total = np.zeros_like(gray)
    for axis in (0, 1):
        for d in differences(gray, 1, axis):
            size = np.abs(d)
            total += np.where(size > GRADIENT_THRESHOLD, size, 0)
    return window_mean(total / 2, radius)


def brenner(gray: FloatArray, radius: int) -> FloatArray:
    """Energy of the differences over two pixels (MIS2)."""
    return window_mean(squares(gray, 2), radius)


def vollath(gray: FloatArray, radius: int) -> FloatArray:
    """Autocorrelation at a lag of 1 less that at 2 (MIS6), of deviations from the mean."""
    # The brightness of a window would otherwise have an effect through its border.
    x = gray - window_mean(gray, radius)
    total = np.zeros_like(x)
    for axis in (0, 1):
        taps = np.array([-1, 1, 0, 1, -1]) / 2
        total += x * ndimage.correlate1d(x, taps, axis=axis, mode="reflect")
    return np.maximum(window_mean(total, radius), 0)


def sobel_energy(gray: FloatArray) -> FloatArray:
    """Compute the squared Sobel gradient; that of a ramp is its squared slope."""
    y, x = (ndimage.sobel(gray, axis=axis, mode="reflect") / 8 for axis in (0, 1))
    energy: FloatArray = y * y + x * x
    return energy


def tenengrad(gray: FloatArray, radius: int) -> FloatArray:
    """Energy of the Sobel gradient (GRA6)."""
    return window_mean(sobel_energy(gray), radius)


def tenengrad_variance(gray: FloatArray, radius: int) -> FloatArray:
    """Variance of the Sobel gradient's length (GRA7)."""
    return window_variance(np.sqrt(sobel_energy(gray)), radius)


def laplacian(gray: FloatArray) -> FloatArray:
    """Compute the sum of the four neighbors less four times the pixel."""
    return np.asarray(ndimage.laplace(gray, mode="reflect"), np.float32)


def laplacian_energy(gray: FloatArray, radius: int) -> FloatArray:
    """Energy of the Laplacian (LAP1)."""
    return window_mean(laplacian(gray) ** 2, radius)


def laplacian_variance(gray: FloatArray, radius: int) -> FloatArray:
    """Variance of the Laplacian (LAP4)."""
    return window_variance(laplacian(gray), radius)


def second_differences(gray: FloatArray) -> FloatArray:
    """Add the absolute second differences along both axes."""
    total = np.zeros_like(gray)
    for axis in (0, 1):
        total += np.abs(ndimage.correlate1d(gray, [1, -2, 1], axis=axis, mode="reflect"))
    return total


def modified_laplacian(gray: FloatArray, radius: int) -> FloatArray:
    """Sum of the absolute second differences along both axes, or SML (LAP2)."""
    return window_mean(second_differences(gray), radius)


def diagonal_laplacian(gray: FloatArray, radius: int) -> FloatArray:
    """Modified Laplacian with both diagonals, these divided by √2 (LAP3)."""
    total = second_differences(gray)
    down = np.diag([1.0, -2.0, 1.0]) / np.sqrt(2)
    for kernel in (down, down[::-1]):
        total += np.abs(ndimage.correlate(gray, kernel, mode="reflect"))
    return window_mean(total, radius)


def gray_variance(gray: FloatArray, radius: int) -> FloatArray:
    """Variance of the gray values (STA3)."""
    return window_variance(gray, radius)


def normalized_variance(gray: FloatArray, radius: int) -> FloatArray:
    """Variance of the gray values over their mean (STA5)."""
    return window_variance(gray, radius) / (window_mean(gray, radius) + np.float32(DARKNESS))


def pixel_means(energy: FloatArray, start: int, shape: tuple[int, ...]) -> FloatArray:
    """Average over the two blocks per axis that are centered next to each pixel.

    Blocks have even sides. Element (i, j) of `energy` belongs to the block that begins there; the
    first block of pixel (0, 0) begins at (`start`, `start`).
    """
    for axis in (0, 1):
        x = np.moveaxis(energy, axis, 0)[start : start + shape[axis] + 1]
        energy = np.moveaxis((x[1:] + x[:-1]) / 2, 0, axis)
    return np.ascontiguousarray(energy)


def dct_coefficients(padded: FloatArray, row: int, column: int) -> FloatArray:
    """Compute one orthonormal cosine coefficient of every block inside the padded image."""
    n = np.arange(BLOCK)
    for axis, k in enumerate((row, column)):
        wave = np.cos(np.pi * k * (2 * n + 1) / (2 * BLOCK)) * np.sqrt((2 if k else 1) / BLOCK)
        padded = ndimage.correlate1d(padded, wave, axis=axis, origin=-(BLOCK // 2), mode="nearest")
    return padded[: 1 - BLOCK, : 1 - BLOCK]


def dct_energy_ratio(gray: FloatArray, radius: int) -> FloatArray:
    """Energy of all cosines except the constant one, over that one, in 8 × 8 blocks (DCT1)."""
    padded = np.pad(gray, BLOCK // 2, mode="symmetric")
    constant = dct_coefficients(padded, 0, 0) ** 2
    # By Parseval's theorem the total energy is that of the pixels: no cosine is computed.
    total = BLOCK * dct_coefficients(padded * padded, 0, 0)
    return _energy_ratio(np.maximum(total - constant, 0), constant, 0, gray.shape, radius)


def dct_reduced_ratio(gray: FloatArray, radius: int) -> FloatArray:
    """Energy of the five lowest cosines over that of the constant one, in 8 × 8 blocks (DCT2)."""
    padded = np.pad(gray, BLOCK // 2, mode="symmetric")
    low = sum(
        dct_coefficients(padded, i, j) ** 2 for i, j in ((0, 1), (1, 0), (0, 2), (2, 0), (1, 1))
    )
    return _energy_ratio(
        np.asarray(low), dct_coefficients(padded, 0, 0) ** 2, 0, gray.shape, radius
    )


def wavelet_ratio(gray: FloatArray, radius: int) -> FloatArray:
    """Energy of the Haar wavelet's details over that of the average after three scales (WAV3).

    The transform is not decimated: each pixel has its own coefficients at every scale.
    """
    pad = 2 ** (HAAR_LEVELS - 1)
    average = np.pad(gray, pad, mode="symmetric")
    details = np.zeros_like(gray)
    for half in (2**level for level in range(HAAR_LEVELS)):
        low, high = (average[half:] + average[:-half]) / 2, (average[half:] - average[:-half]) / 2
        average = (low[:, half:] + low[:, :-half]) / 2
        energy = ((low[:, half:] - low[:, :-half]) / 2) ** 2
        energy += ((high[:, half:] + high[:, :-half]) / 2) ** 2
        energy += ((high[:, half:] - high[:, :-half]) / 2) ** 2
        details += pixel_means(energy, pad - half, gray.shape)
    remaining = pixel_means(average * average, 0, gray.shape)
    return window_mean(details, radius) / (window_mean(remaining, radius) + np.float32(DARKNESS))


def _energy_ratio(
    high: FloatArray, low: FloatArray, start: int, shape: tuple[int, ...], radius: int
) -> FloatArray:
    """Divide one energy of blocks by another, both averaged over the window."""
    above = window_mean(pixel_means(high, start, shape), radius)
    return above / (window_mean(pixel_means(low, start, shape), radius) + np.float32(DARKNESS))


def local_binary_patterns(gray: FloatArray, radius: int) -> FloatArray:
    """Fraction of binary patterns that are neither an edge nor flat, from 0 to 1.

    Among rotation-invariant patterns of eight neighbors at a distance of 1, those with six or more
    brighter neighbors and those that are not uniform are rare in blurred areas (X. Yi and M.
    Eramian, "LBP-based segmentation of defocus blur", IEEE TIP 25(4), 2016).
    """
    height, width = gray.shape
    x = np.pad(gray, 1, mode="symmetric")

    def shifted(down: int, right: int) -> FloatArray:
        return x[1 + down : 1 + down + height, 1 + right : 1 + right + width]

    part = np.float32(np.sqrt(0.5))
    brighter = []
    for down, right in ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)):
        neighbor = shifted(down, right)
        if down and right:  # the circle passes between pixels: bilinear interpolation
            far_row = (1 - part) * shifted(down, 0) + part * neighbor
            near_row = (1 - part) * gray + part * shifted(0, right)
            neighbor = (1 - part) * near_row + part * far_row
        brighter.append(neighbor - gray >= PATTERN_THRESHOLD)
    count = np.zeros(gray.shape, np.uint8)
    changes = np.zeros(gray.shape, np.uint8)
    for one, following in zip(brighter, [*brighter[1:], brighter[0]], strict=True):
        count += one
        changes += one ^ following
    return window_mean(((changes > 2) | (count >= 6)).astype(np.float32), radius)


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
        gray_variance,
        normalized_variance,
        brenner,
        vollath,
        dct_energy_ratio,
        dct_reduced_ratio,
        wavelet_ratio,
        local_binary_patterns,
    )
}
