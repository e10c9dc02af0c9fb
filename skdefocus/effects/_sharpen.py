"""Sharpening that follows the defocus map."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, ndimage

from skdefocus._images import check_image, check_map, check_sigma_map, to_gray
from skdefocus._typing import Float32Array
from skdefocus._validation import check_choice, check_real
from skdefocus.effects._base import MapEffect
from skdefocus.effects._convolution import Mirrored
from skdefocus.effects._map_edges import EDGE_RADIUS, settled
from skdefocus.pipeline import check_mapper
from skdefocus.synthesis import hat_weight

#: Distance in pixels of the σ's for which a deconvolution is computed.
BAND = 0.4
#: Radius in pixels of the neighbourhood whose range bounds the overshoot.
NEIGHBOURHOOD = 1
#: Noise that is reckoned with at least: rounding to 8 bits, and what JPEG leaves.
LEAST_NOISE = 1 / 255
#: Of amount, limit and noise; the time grows with the limit.
LARGEST = 100.0
#: A correction counts as far as its local energy (a Gaussian of that σ in pixels) exceeds that of
#: filtered noise so many times.
LOCAL, CAUTION = 3.0, 2.0
#: σ in pixels from which nothing of a scene shows in the finest detail.
SMOOTH = 1.5
#: Share of a photograph's variance that the spectrum of its detail is scaled to: most of the
#: variance are large shapes. The best of 1/10, 1/4, 1/2 and 1 over noise from 1 to 5 of 255.
DETAIL = 0.5


class AdaptiveSharpener(MapEffect):
    """Sharpen what is nearly in focus, and leave the defocused background and its noise alone.

    Parameters
    ----------
    amount : float, default=1.0
        Share of the correction that is applied, 0 to 100; above 1 it is exaggerated.
    method : {"deconvolution", "unsharp"}, default="deconvolution"
        ``"deconvolution"`` undoes the Gaussian blur of each place's own σ as far as the noise
        allows (Wiener). ``"unsharp"`` adds the difference to a blurred version, with the radius
        of the place's σ.
    limit : float, default=1.0
        σ in pixels, > 0 to 100, up to which everything is sharpened; at twice that nothing is.
    overshoot : float, default=0.1
        How far a value may leave the range of its 3×3 neighbourhood at most, ≥ 0, full scale being
        1. Nor may it by more than half of that range, so that smooth places get no rings.
    noise : float or None, default=None
        Standard deviation of the noise, full scale being 1; None estimates it from each
        photograph.
    estimator : transformer or None, default=None
        From photographs to σ maps; None is :func:`skdefocus.make_defocus_pipeline`. It must need no
        fit: it is not fitted here, and what it has learned is lost when this is cloned, as by a
        cross-validation. Wrap a fitted one in :class:`sklearn.frozen.FrozenEstimator`
        (scikit-learn 1.6 or newer).
    n_jobs : int or None, default=None
        Photographs worked on at once, see :class:`joblib.Parallel`.

    See Also
    --------
    sharpen : the function, for a map that is there already.

    Examples
    --------
    >>> from sklearn.datasets import load_sample_image
    >>> import skdefocus as sd
    >>> flower = load_sample_image("flower.jpg")[100:260, 200:400]
    >>> sd.AdaptiveSharpener().fit_transform([flower])[0].shape
    (160, 200, 3)
    """

    def __init__(
        self,
        amount: float = 1.0,
        method: str = "deconvolution",
        *,
        limit: float = 1.0,
        overshoot: float = 0.1,
        noise: float | None = None,
        estimator: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.amount = amount
        self.method = method
        self.limit = limit
        self.overshoot = overshoot
        self.noise = noise
        self.estimator = estimator
        self.n_jobs = n_jobs

    def _check_params(self) -> None:
        check_mapper(self.estimator)
        _check(self.amount, self.method, self.limit, self.overshoot, self.noise)

    def _effect(self) -> Callable[[Any, ArrayLike], Float32Array]:
        return partial(
            sharpen, amount=self.amount, method=self.method, limit=self.limit,
            overshoot=self.overshoot, noise=self.noise,
        )  # fmt: skip


def _check(
    amount: float, method: str, limit: float, overshoot: float, noise: float | None
) -> tuple[float, str, float, float, float | None]:
    return (
        check_real(amount, "amount", 0, LARGEST),
        check_choice(method, "method", ("deconvolution", "unsharp")),
        check_real(limit, "limit", 0, LARGEST, above=True),
        check_real(overshoot, "overshoot", 0),
        None if noise is None else check_real(noise, "noise", 0, LARGEST),
    )


def sharpen(
    image: ArrayLike,
    sigma: ArrayLike,
    amount: float = 1.0,
    method: str = "deconvolution",
    *,
    limit: float = 1.0,
    overshoot: float = 0.1,
    noise: float | None = None,
) -> Float32Array:
    """Sharpen a photograph as its defocus map says.

    Parameters
    ----------
    image : array_like of shape (H, W) or (H, W, C)
        bool, uint8, uint16 (scaled by their range) or float in [0, 1].
    sigma : array_like of shape (H, W)
        Its blur in pixels, finite and ≥ 0.
    amount, method, limit, overshoot, noise
        See :class:`AdaptiveSharpener`.

    Returns
    -------
    ndarray of shape (H, W) or (H, W, 3), float32 in [0, 1]
        Equal to the photograph where σ is `limit` · 2 or more.

    Raises
    ------
    TypeError, ValueError
        If `sigma` is no map of the photograph, or a parameter is out of range.

    Notes
    -----
    The grey values are filtered, and their change is added to all channels, so that no colour
    noise comes up. A Wiener filter H / (H² + N / P) has H the Gaussian of the place's σ, N the
    noise and P the spectrum of photographs, which falls with the squared frequency, scaled to
    half of this one's variance. Filters are computed for σ's 0.4 px apart and interpolated. Where
    the map changes gradually between the subject and its background, a pixel gets the σ of one
    of the two.

    Cost: about `limit` · 5 Fourier transforms of the grey photograph, some 0.5 s per megapixel.
    Memory: 83 bytes per pixel of colour, 71 of grey.
    """
    amount, method, limit, overshoot, noise = _check(amount, method, limit, overshoot, noise)
    pixels = check_image(image)
    values = check_sigma_map(sigma, size=pixels.shape[:2])
    place = settled(values, EDGE_RADIUS)
    share = np.clip(2 - np.maximum(values, place) / np.float32(limit), 0, 1) * np.float32(amount)
    if not share.any():
        return pixels.copy()
    grey = to_gray(pixels)
    level = noise_level(grey, values) if noise is None else noise
    knots = np.linspace(0, 2 * limit, max(2, round(2 * limit / BAND) + 1))
    planes = Mirrored(grey, 32)
    frequency = _frequencies(planes.shape)
    spectrum = _signal_to_noise(grey, level, frequency)
    change = np.zeros_like(grey)
    for k, knot in enumerate(knots):
        weight = hat_weight(place, knots, k).astype(np.float32)
        if not weight.any():
            continue
        falloff = np.exp(-2 * (np.pi * knot) ** 2 * frequency)
        if method == "unsharp":
            gain = 2 - np.exp(-2 * (np.pi * max(knot, 0.5)) ** 2 * frequency)
        else:
            gain = falloff / (falloff**2 + 1 / spectrum)
        difference = planes.times(gain.astype(np.float32)) - grey
        expected = level**2 * float(np.mean((gain - 1) ** 2))
        change += weight * _beyond_noise(difference, expected)
    change *= share
    size = 2 * NEIGHBOURHOOD + 1
    low, high = ndimage.minimum_filter(grey, size), ndimage.maximum_filter(grey, size)
    room = np.minimum((high - low) / 2, np.float32(overshoot))
    change = np.clip(grey + change, low - room, high + room) - grey
    # Rounding of the clipping must not touch what is to stay.
    change[share == 0] = 0
    if pixels.ndim == 3:
        change = change[..., None]
    return np.clip(pixels + change, 0, 1)


def _beyond_noise(difference: Float32Array, expected: float) -> Float32Array:
    """Shrink a correction where it is no larger than what noise of that variance would give."""
    energy = ndimage.gaussian_filter(difference**2, LOCAL)
    share = np.clip(1 - CAUTION * expected / np.maximum(energy, 1e-12), 0, 1)
    return np.asarray(difference * share, np.float32)


def noise_level(grey: ArrayLike, sigma: ArrayLike | None = None) -> float:
    """Standard deviation of white noise, from the finest diagonal detail.

    Parameters
    ----------
    grey : array_like of shape (H, W), float
    sigma : array_like of shape (H, W) or None
        Its blur in pixels. If at least a twentieth of the photograph has σ ≥ 1.5, only that
        counts: what is that fine there is noise, and elsewhere it may be texture.

    Returns
    -------
    float
        Median absolute value of the diagonal Haar detail over 0.6745 (Donoho and Johnstone 1994),
        at least 1 / 255. Noise that was blurred or compressed away is not found.

    Raises
    ------
    TypeError, ValueError
        If `grey` is no map of finite numbers, or `sigma` no map of its size of finite σ ≥ 0.
    """
    x = check_map(grey, "grey")
    if not np.isfinite(x).all():
        raise ValueError("grey must be finite, but holds NaN or infinity")
    if min(x.shape) < 2:
        return LEAST_NOISE
    detail = (x[1:, 1:] - x[:-1, 1:] - x[1:, :-1] + x[:-1, :-1]) / 2
    if sigma is not None:
        smooth = check_sigma_map(sigma, size=x.shape)[1:, 1:] >= SMOOTH
        if smooth.mean() >= 0.05:
            detail = detail[smooth]
    return max(float(np.median(np.abs(detail))) / 0.6745, LEAST_NOISE)


def _frequencies(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Squared spatial frequency in squared cycles per pixel, as of ``rfft2``."""
    squared: NDArray[np.float64] = fft.fftfreq(shape[0])[:, None] ** 2 + fft.rfftfreq(shape[1]) ** 2
    return squared


def _signal_to_noise(
    grey: Float32Array, noise: float, frequency: NDArray[np.float64]
) -> NDArray[np.float64]:
    """P / N: a spectrum that falls with the squared frequency, from the photograph's variance."""
    shape = 1 / (frequency + 1 / 256**2)
    shape /= shape.mean()
    variance = DETAIL * max(float(grey.var()), 1e-6)
    return np.asarray(shape * variance / max(noise, 1e-5) ** 2)
