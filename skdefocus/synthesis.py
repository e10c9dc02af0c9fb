"""Photographs with known blur: PSFs, layered defocus, sensor noise and JPEG.

Everything here is a pure function of arrays; σ is always the standard deviation of the PSF along
one axis, in pixels of the image at hand.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, optimize, signal

__all__ = [
    "Layer",
    "Scene",
    "add_noise",
    "blur",
    "blur_varying",
    "from_linear",
    "jpeg",
    "psf",
    "render_layers",
    "to_linear",
]

FloatArray = NDArray[np.floating]
PSFShape = Literal["gaussian", "disc"]

#: Gaussian kernels are cut at this many σ.
TRUNCATE = 4.0


def to_linear(image: ArrayLike) -> FloatArray:
    """Decode sRGB values to linear light.

    Parameters
    ----------
    image : array_like of float, any shape
        Encoded values in [0, 1].

    Returns
    -------
    ndarray, same shape and float type
        Values proportional to light, in [0, 1].

    References
    ----------
    .. [1] IEC 61966-2-1:1999, the sRGB transfer function.

    Examples
    --------
    >>> round(float(to_linear(0.5)), 4)
    0.214
    """
    x = _as_float(image)
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4).astype(x.dtype)


def from_linear(image: ArrayLike) -> FloatArray:
    """Encode linear light as sRGB values; the inverse of :func:`to_linear`.

    Parameters
    ----------
    image : array_like of float, any shape
        Linear values in [0, 1].

    Returns
    -------
    ndarray, same shape and float type
        Encoded values in [0, 1].
    """
    x = _as_float(image)
    # The power is taken of values at or above the knee only: 0 ** negative slopes never occur.
    high = 1.055 * np.maximum(x, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(x <= 0.0031308, x * 12.92, high).astype(x.dtype)


def psf(sigma: float, shape: PSFShape = "gaussian") -> NDArray[np.float64]:
    """Point spread function of an out-of-focus lens, sampled on pixels.

    The kernel's *discrete* second moment is matched to σ², so that σ means the same for every
    shape and also below one pixel, where plain sampling of a Gaussian loses variance.

    Parameters
    ----------
    sigma : float
        Standard deviation along each axis, in pixels, ≥ 0. A disc of radius R has σ = R / 2.
    shape : {"gaussian", "disc"}
        The disc's edge is anti-aliased over one pixel.

    Returns
    -------
    ndarray of shape (k, k), float64
        Non-negative, symmetric, k odd, sums to 1. σ = 0 gives ``[[1.]]``.

    Raises
    ------
    ValueError
        If `sigma` is negative or not finite, or `shape` is unknown.

    Examples
    --------
    >>> kernel = psf(1.5, "disc")
    >>> n = np.arange(len(kernel)) - len(kernel) // 2
    >>> round(float((kernel.sum(axis=0) * n**2).sum()), 6)  # the variance, 1.5 ** 2
    2.25
    """
    sigma = _check_sigma(sigma)
    if shape == "gaussian":
        k = _gaussian_kernel(sigma)
        return np.outer(k, k)
    if shape == "disc":
        return _disc_kernel(sigma).copy()
    raise ValueError(f"shape must be 'gaussian' or 'disc', got {shape!r}")


def blur(
    image: ArrayLike,
    sigma: float,
    *,
    shape: PSFShape = "gaussian",
    linear_light: bool = False,
) -> FloatArray:
    """Blur an image uniformly, with symmetric borders.

    Parameters
    ----------
    image : array_like of float, shape (H, W) or (H, W, C)
        Any finite values; in [0, 1] if `linear_light`.
    sigma : float
        Standard deviation of the PSF in pixels, ≥ 0.
    shape : {"gaussian", "disc"}
        The PSF, see :func:`psf`.
    linear_light : bool
        Decode sRGB, blur as light adds up on a sensor, and encode again. False blurs the
        values as they are.

    Returns
    -------
    ndarray of the image's shape and float type
        With its mean (in the domain that was blurred) and within its range.

    Notes
    -----
    Cost per pixel: O(σ) for the Gaussian, O(log σ) for the disc (overlap-add FFT).
    """
    x = _as_float(image)
    if x.ndim not in (2, 3):
        raise ValueError(f"image must have shape (H, W) or (H, W, C), got {x.shape}")
    sigma = _check_sigma(sigma)
    if sigma == 0:
        return x.copy()
    if linear_light:
        return from_linear(blur(to_linear(x), sigma, shape=shape))
    if shape == "gaussian":
        k = _gaussian_kernel(sigma)
        out = ndimage.correlate1d(x, k, axis=0, mode="reflect")
        return np.asarray(ndimage.correlate1d(out, k, axis=1, mode="reflect"), dtype=x.dtype)
    kernel = psf(sigma, shape)
    r = len(kernel) // 2
    pad = [(r, r), (r, r)] + [(0, 0)] * (x.ndim - 2)
    kernel = kernel.reshape(kernel.shape + (1,) * (x.ndim - 2))
    out = signal.oaconvolve(np.pad(x, pad, mode="symmetric"), kernel, mode="valid", axes=(0, 1))
    # The FFT's rounding must not leave the range of the input.
    return np.clip(out, x.min(), x.max()).astype(x.dtype)


def blur_varying(
    image: ArrayLike,
    sigma: ArrayLike,
    *,
    shape: PSFShape = "gaussian",
    linear_light: bool = False,
    n_steps: int = 24,
) -> FloatArray:
    """Blur every pixel with its own σ (one smooth surface without occlusion).

    The image is blurred at `n_steps` values of σ and interpolated between them in σ², which is
    exact in the PSF's second moment: a mixture of PSFs has the mixture of their variances.

    Parameters
    ----------
    image : array_like of float, shape (H, W) or (H, W, C)
        In [0, 1] if `linear_light`.
    sigma : array_like of float, shape (H, W)
        σ in pixels at each pixel, ≥ 0.
    shape : {"gaussian", "disc"}
        The PSF, see :func:`psf`.
    linear_light : bool
        See :func:`blur`.
    n_steps : int
        Number of uniform blurs, ≥ 2; more is smoother and slower (cost is linear in it).

    Returns
    -------
    ndarray of the image's shape and float type
    """
    x = _as_float(image)
    s = np.asarray(sigma, dtype=np.float64)
    if s.shape != x.shape[:2]:
        raise ValueError(f"sigma must have the image's shape {x.shape[:2]}, got {s.shape}")
    if not np.isfinite(s).all() or s.min() < 0:
        raise ValueError("sigma must be finite and >= 0 everywhere")
    if n_steps < 2:
        raise ValueError(f"n_steps must be at least 2, got {n_steps}")
    if linear_light:
        return from_linear(blur_varying(to_linear(x), s, shape=shape, n_steps=n_steps))
    low, high = float(s.min()), float(s.max())
    if high - low < 1e-9:
        return blur(x, high, shape=shape)
    steps = np.linspace(low, high, n_steps)
    variance = s**2
    out = np.zeros_like(x)
    # Hat functions in σ² over the steps: each pixel mixes its two neighbouring blurs.
    for i, step in enumerate(steps):
        weight = np.interp(variance, steps**2, np.eye(n_steps)[i])
        if weight.any():
            weight = weight.reshape(weight.shape + (1,) * (x.ndim - 2)).astype(x.dtype)
            out += weight * blur(x, float(step), shape=shape)
    return out


@dataclass(frozen=True)
class Layer:
    """One surface of a scene: what it shows, where it is, how far out of focus it is.

    Attributes
    ----------
    image : ndarray of shape (H, W) or (H, W, C), float in [0, 1]
        The surface's sharp picture.
    sigma : float or ndarray of shape (H, W)
        σ of its defocus in pixels.
    alpha : ndarray of shape (H, W), float in [0, 1], or None
        Its coverage before blurring; None covers everything (a background).
    """

    image: FloatArray
    sigma: float | FloatArray
    alpha: FloatArray | None = None


@dataclass(frozen=True)
class Scene:
    """A synthetic photograph and everything that is true of it.

    Attributes
    ----------
    photograph : ndarray of shape (H, W) or (H, W, C), float
        What the camera saw.
    sigma : ndarray of shape (H, W), float32
        True σ in pixels of the surface that each pixel shows.
    sharp : ndarray, shape of `photograph`
        The all-in-focus picture.
    index : ndarray of shape (H, W), intp
        Which layer each pixel shows (0 is the rearmost); its edges are the depth borders.
    """

    photograph: FloatArray
    sigma: NDArray[np.float32]
    sharp: FloatArray
    index: NDArray[np.intp]


def render_layers(
    layers: Sequence[Layer], *, shape: PSFShape = "gaussian", linear_light: bool = True
) -> Scene:
    """Photograph a stack of surfaces with a lens that has a finite depth of field.

    From back to front, every layer's light and its coverage are blurred by its own PSF and laid
    over what is behind: a blurred foreground spills over a sharp background and not the other
    way round.

    Parameters
    ----------
    layers : sequence of Layer
        Rearmost first; the first must cover everything (``alpha=None``).
    shape : {"gaussian", "disc"}
        The PSF, see :func:`psf`.
    linear_light : bool
        Blur and mix in linear light, as optics do.

    Returns
    -------
    Scene

    Raises
    ------
    ValueError
        If there are no layers, their shapes differ, or the first does not cover everything.

    Notes
    -----
    Surfaces hidden by a sharp foreground stay hidden: what a real lens sees around the edge of
    an object is approximated by the background layer's own picture, which is known here.
    """
    if not layers:
        raise ValueError("layers must hold at least one Layer")
    if layers[0].alpha is not None:
        raise ValueError("layers[0] is the background and must have alpha=None")
    shapes = {np.shape(layer.image) for layer in layers}
    if len(shapes) > 1:
        raise ValueError(f"layers must have images of one shape, got {sorted(shapes)}")

    def blurred(x: FloatArray, sigma: float | FloatArray) -> FloatArray:
        if np.ndim(sigma) == 0:
            return blur(x, float(sigma), shape=shape)
        return blur_varying(x, sigma, shape=shape)

    decode: Callable[[ArrayLike], FloatArray] = to_linear if linear_light else _as_float
    first = decode(layers[0].image)
    size = first.shape[:2]
    seen, sharp = blurred(first, layers[0].sigma), first
    sigma = np.broadcast_to(np.asarray(layers[0].sigma, np.float32), size).copy()
    index = np.zeros(size, np.intp)
    for i, layer in enumerate(layers[1:], start=1):
        if layer.alpha is None:
            raise ValueError(f"layers[{i}] must have an alpha; only the background goes without")
        alpha = np.asarray(layer.alpha, first.dtype)
        cover = alpha.reshape(alpha.shape + (1,) * (first.ndim - 2))
        picture = decode(layer.image)
        veil = blurred(alpha, layer.sigma).reshape(cover.shape)
        seen = blurred(picture * cover, layer.sigma) + (1 - veil) * seen
        sharp = picture * cover + (1 - cover) * sharp
        on_top = alpha > 0.5
        sigma = np.where(on_top, np.asarray(layer.sigma, np.float32), sigma)
        index[on_top] = i
    encode: Callable[[ArrayLike], FloatArray] = from_linear if linear_light else _as_float
    return Scene(
        encode(np.clip(seen, 0, 1)), sigma.astype(np.float32), encode(np.clip(sharp, 0, 1)), index
    )


def add_noise(
    image: ArrayLike, read: float, shot: float = 0.0, *, random_state: int | None = None
) -> FloatArray:
    """Add a sensor's noise: variance ``read² + shot² · image``, clipped to [0, 1].

    Parameters
    ----------
    image : array_like of float in [0, 1], any shape
    read : float
        Standard deviation of the noise that is there in the dark, in units of full scale, ≥ 0.
    shot : float
        Standard deviation that the photon noise reaches at full scale, ≥ 0.
    random_state : int or None
        Seed.

    Returns
    -------
    ndarray of the image's shape and float type
    """
    x = _as_float(image)
    if read < 0 or shot < 0:
        raise ValueError(f"read and shot must be >= 0, got {read} and {shot}")
    rng = np.random.default_rng(random_state)
    spread = np.sqrt(read**2 + shot**2 * np.clip(x, 0, 1))
    return np.clip(x + spread * rng.standard_normal(x.shape), 0, 1).astype(x.dtype)


def jpeg(image: ArrayLike, quality: int) -> FloatArray:
    """Send an image through 8-bit JPEG compression and back.

    Parameters
    ----------
    image : array_like of float in [0, 1], shape (H, W) or (H, W, 3)
    quality : int
        1 (worst) to 100.

    Returns
    -------
    ndarray of the image's shape and float type, in [0, 1]
    """
    from PIL import Image

    x = _as_float(image)
    if not 1 <= quality <= 100:
        raise ValueError(f"quality must be from 1 to 100, got {quality}")
    buffer = io.BytesIO()
    Image.fromarray(np.round(np.clip(x, 0, 1) * 255).astype(np.uint8)).save(
        buffer, "JPEG", quality=int(quality)
    )
    buffer.seek(0)
    return (np.asarray(Image.open(buffer)) / 255).astype(x.dtype)


def _as_float(image: ArrayLike) -> FloatArray:
    x = np.asarray(image)
    return x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)


def _check_sigma(sigma: float) -> float:
    sigma = float(sigma)
    if not np.isfinite(sigma) or sigma < 0:
        raise ValueError(f"sigma must be finite and >= 0, got {sigma}")
    return sigma


def _matched(
    profile: Callable[[float], NDArray[np.float64]], sigma: float, low: float, high: float
) -> NDArray[np.float64]:
    """The kernel of a one-parameter family whose variance along an axis is σ²."""

    def excess(parameter: float) -> float:
        k = profile(parameter)
        k = k if k.ndim == 1 else k.sum(axis=0)
        n = np.arange(len(k)) - len(k) // 2
        return float((k * n**2).sum()) - sigma**2

    return profile(float(optimize.brentq(excess, low, high, xtol=1e-12)))


@lru_cache(maxsize=512)
def _gaussian_kernel(sigma: float) -> NDArray[np.float64]:
    if sigma < 1e-4:  # its variance is below what float64 can tell from none
        return np.ones(1)
    n = np.arange(-max(1, int(np.ceil(TRUNCATE * sigma))), max(1, int(np.ceil(TRUNCATE * sigma))) + 1)

    def profile(s: float) -> NDArray[np.float64]:
        k = np.exp(-0.5 * (n / s) ** 2)
        return np.asarray(k / k.sum())

    return _matched(profile, sigma, 0.05, 2 * sigma + 1)


@lru_cache(maxsize=512)
def _disc_kernel(sigma: float) -> NDArray[np.float64]:
    if sigma < 1e-4:
        return np.ones((1, 1))
    r = int(np.ceil(2 * sigma + 0.5))
    n = np.arange(-r, r + 1)
    distance = np.hypot(n[:, None], n)

    def profile(radius: float) -> NDArray[np.float64]:
        k = np.clip(radius + 0.5 - distance, 0, 1)
        return np.asarray(k / k.sum())

    return _matched(profile, sigma, 0.5, 2 * sigma + 0.75)
