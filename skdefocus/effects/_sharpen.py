"""Sharpening that follows the defocus map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike
from scipy import fft, ndimage

from skdefocus._estimators import Settings, choice, optional, real
from skdefocus._grids import seen_from, tiles
from skdefocus._images import scaled, to_gray
from skdefocus._typing import AnyArray, Float32Array, Float64Array
from skdefocus.effects._base import check_image_and_map, to_dtype
from skdefocus.effects._convolution import MirroredPlanes
from skdefocus.effects._map_edges import EDGE_RADIUS, steepen_edges
from skdefocus.effects._noise import estimated_noise
from skdefocus.synthesis import hat_weight

#: Distance in pixels of the σ for which filters are computed.
KNOT_DISTANCE = 0.4
#: Radius in pixels of the neighborhood whose range bounds the overshoot.
NEIGHBORHOOD = 1
#: Largest amount, limit and noise; the time grows with the limit.
LARGEST = 100.0
#: A correction counts as far as its local energy (averaged with a Gaussian of σ = LOCAL pixels)
#: exceeds CAUTION times that of filtered noise.
LOCAL, CAUTION = 3.0, 2.0
#: Share of a photograph's variance that the spectrum of its detail is scaled to: most of the
#: variance is in large shapes. It was the best of 1/10, 1/4, 1/2 and 1 for noise of 1/255 to 5/255.
DETAIL = 0.5
#: Width in pixels of the mirrored borders of a filter.
BORDER = 32
#: Pixels around a tile on which it depends: the filter's, and those of the local energy.
HALO = BORDER + 16


@dataclass(frozen=True)
class Sharpening(Settings):
    """Checked parameters of :func:`sharpen`."""

    amount: Annotated[float, real(0, LARGEST)]
    method: Annotated[str, choice("deconvolution", "unsharp")]
    limit: Annotated[float, real(0, LARGEST, above=True)]
    overshoot: Annotated[float, real(0)]
    noise: Annotated[float | None, optional(real(0, LARGEST))]


def sharpen(
    image: ArrayLike,
    sigma: ArrayLike | None = None,
    amount: float = 1.0,
    method: str = "deconvolution",
    *,
    limit: float = 1.0,
    overshoot: float = 0.1,
    noise: float | None = None,
) -> AnyArray:
    """Sharpen what is nearly in focus, and leave the rest as it is.

    Parameters
    ----------
    image : array_like of shape (H, W) or (H, W, C)
        Gray, RGB or RGBA (alpha is dropped); bool, uint8, uint16 or float in [0, 1].
    sigma : array_like of shape (H, W) or None
        Its blur in pixels, finite and ≥ 0. None estimates it by :func:`skdefocus.defocus_map`.
    amount, method, limit, overshoot, noise
        See :class:`AdaptiveSharpener`.

    Returns
    -------
    ndarray of shape (H, W) or (H, W, 3)
        With the photograph's dtype, integers rounded, and float32 for bool. Equal to the photograph
        where σ is `limit` · 2 or more, however large.

    Raises
    ------
    TypeError, ValueError
        If `image` is not a photograph, `sigma` is not a map of it, or a parameter is out of range.

    See Also
    --------
    AdaptiveSharpener : The transformer for many photographs.

    Notes
    -----
    The gray values are filtered, and their change is added to all channels, so that no colored
    noise appears. The Wiener filter H / (H² + N / P) has the Gaussian of a pixel's own σ as H, the
    noise as N and the spectrum of photographs as P, which falls with the squared frequency and is
    scaled to half of this photograph's variance. Filters are computed for σ 0.4 px apart and
    interpolated. Where the map changes gradually between the subject and its background, a pixel
    gets the σ of one of the two.

    Cost: about `limit` · 5 Fourier transforms of the gray photograph, and none where a tile of a
    megapixel has nothing to be sharpened. Memory: besides the photograph and its map, 20 bytes per
    pixel of 8 bits (29 of float32 color), and 80 MB for a tile.

    Examples
    --------
    >>> from sklearn.datasets import load_sample_image
    >>> import skdefocus as sd
    >>> flower = load_sample_image("flower.jpg")[100:260, 200:400]
    >>> crisp = sd.sharpen(flower)
    >>> crisp.shape, crisp.dtype
    ((160, 200, 3), dtype('uint8'))
    """
    options = Sharpening(amount, method, limit, overshoot, noise)
    return sharpened(*check_image_and_map(image, sigma), options)


def sharpened(pixels: AnyArray, sigma: Float32Array, options: Sharpening) -> AnyArray:
    """Sharpen a checked photograph with a checked map; see :func:`sharpen`."""
    out = pixels.copy()
    if options.amount == 0 or sigma.min() >= 2 * options.limit:
        return out
    gray = to_gray(pixels)
    noise = estimated_noise(gray, sigma) if options.noise is None else options.noise
    variance = DETAIL * max(float(gray.var()), 1e-6)
    signal_to_noise = variance / max(noise, 1e-5) ** 2
    for inner, outer in tiles(gray.shape, 1, HALO):
        if sigma[inner].min() >= 2 * options.limit:
            continue
        change = _change(gray[outer], sigma[outer], options, noise, signal_to_noise)
        change = change[seen_from(outer, inner)]
        if pixels.ndim == 3:
            change = change[..., None]
        found = to_dtype(scaled(pixels[inner]) + change, out.dtype)
        np.copyto(out[inner], found, where=change != 0)
    return out


def _change(
    gray: Float32Array,
    sigma: Float32Array,
    options: Sharpening,
    noise: float,
    signal_to_noise: float,
) -> Float32Array:
    """Compute the change of the gray values; exactly 0 where σ is twice the limit or more."""
    own = steepen_edges(sigma, EDGE_RADIUS)
    share = np.clip(2 - np.maximum(sigma, own) / np.float32(options.limit), 0, 1)
    share *= np.float32(options.amount)
    change = share * _correction(gray, own, options, noise, signal_to_noise)
    size = 2 * NEIGHBORHOOD + 1
    low, high = ndimage.minimum_filter(gray, size), ndimage.maximum_filter(gray, size)
    room = np.minimum((high - low) / 2, np.float32(options.overshoot))
    change = np.clip(gray + change, low - room, high + room) - gray
    # Rounding of the clipping must not touch what is to stay.
    change[share == 0] = 0
    return np.asarray(change, np.float32)


def _correction(
    gray: Float32Array,
    sigma: Float32Array,
    options: Sharpening,
    noise: float,
    signal_to_noise: float,
) -> Float32Array:
    """Compute how the photograph changes if each pixel gets the filter of its own σ."""
    knots = np.linspace(0, 2 * options.limit, max(2, round(2 * options.limit / KNOT_DISTANCE) + 1))
    planes = MirroredPlanes(gray, BORDER)
    frequency = _squared_frequency(planes.shape)
    spectrum = signal_to_noise * _photograph_spectrum(frequency)
    total = np.zeros_like(gray)
    for k, knot in enumerate(knots):
        weight = hat_weight(sigma, knots, k).astype(np.float32)
        if weight.any():
            gain = _gain(float(knot), frequency, spectrum, options.method)
            difference = planes.multiplied(gain) - gray
            expected = noise**2 * float(np.mean((gain - 1) ** 2))
            total += weight * _beyond_noise(difference, expected)
    return total


def _gain(
    sigma: float, frequency: Float64Array, spectrum: Float64Array, method: str
) -> Float32Array:
    """Return the transfer function that sharpens a blur of σ pixels."""
    if method == "unsharp":
        gain = 2 - _gaussian_transfer(max(sigma, 0.5), frequency)
    else:
        transfer = _gaussian_transfer(sigma, frequency)
        gain = transfer / (transfer**2 + 1 / spectrum)
    return gain.astype(np.float32)


def _gaussian_transfer(sigma: float, frequency: Float64Array) -> Float64Array:
    """Return the transfer function of a Gaussian at squared frequencies."""
    return np.exp(-2 * (np.pi * sigma) ** 2 * frequency)


def _squared_frequency(shape: tuple[int, ...]) -> Float64Array:
    """Return squared spatial frequencies in squared cycles per pixel, as of ``rfft2``."""
    squared: Float64Array = fft.fftfreq(shape[0])[:, None] ** 2 + fft.rfftfreq(shape[1]) ** 2
    return squared


def _photograph_spectrum(frequency: Float64Array) -> Float64Array:
    """Return a spectrum that falls with the squared frequency, with a mean of 1."""
    spectrum = 1 / (frequency + 1 / 256**2)
    return np.asarray(spectrum / spectrum.mean())


def _beyond_noise(difference: Float32Array, expected: float) -> Float32Array:
    """Shrink a correction where it is no larger than what noise of that variance would give."""
    energy = ndimage.gaussian_filter(difference**2, LOCAL)
    share = np.clip(1 - CAUTION * expected / np.maximum(energy, 1e-12), 0, 1)
    return np.asarray(difference * share, np.float32)
