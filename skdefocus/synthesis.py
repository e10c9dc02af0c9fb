"""Photographs with known blur: PSFs, layered defocus, sensor noise and JPEG.

Everything here is a pure function of arrays; σ is always the standard deviation of the PSF along
one axis, in pixels of the image at hand. float32 stays float32, what else is real becomes float64;
unsigned integers are refused, as their scale is not known here. No input is written to.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, optimize, signal

from skdefocus._validation import check_choice, check_int, check_real

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
#: How far rounding may lead out of [0, 1] before it is taken for a wrong scale.
SLACK = 1e-4


def to_linear(image: ArrayLike) -> FloatArray:
    """Decode sRGB values to linear light.

    Parameters
    ----------
    image : array_like of float, any shape
        Encoded values in [0, 1]. Outside, the two pieces of the curve go on.

    Returns
    -------
    ndarray, same shape and float type
        Values proportional to light, in [0, 1].

    Raises
    ------
    TypeError
        If `image` holds unsigned integers or no real numbers.

    Notes
    -----
    The standard's rounded constants leave a jump of 3e-8 at the knee: up to that, the two
    functions are monotone and inverses of each other.

    References
    ----------
    .. [1] IEC 61966-2-1:1999, the sRGB transfer function.

    Examples
    --------
    >>> round(float(to_linear(0.5)), 4)
    0.214
    """
    x = _as_float(image)
    # The power is taken of values at or above the knee only: a negative base gives NaN.
    high = ((np.maximum(x, 0.04045) + 0.055) / 1.055) ** 2.4
    return np.where(x <= 0.04045, x / 12.92, high).astype(x.dtype)


def from_linear(image: ArrayLike) -> FloatArray:
    """Encode linear light as sRGB values; the inverse of :func:`to_linear`.

    Parameters
    ----------
    image : array_like of float, any shape
        Linear values in [0, 1]. Outside, the two pieces of the curve go on.

    Returns
    -------
    ndarray, same shape and float type
        Encoded values in [0, 1].

    Raises
    ------
    TypeError
        If `image` holds unsigned integers or no real numbers.

    Examples
    --------
    >>> round(float(from_linear(to_linear(0.5))), 6)
    0.5
    """
    x = _as_float(image)
    # Written such that 1 is mapped to exactly 1: 1.055 - 0.055 is less.
    high = 1 + 1.055 * (np.maximum(x, 0.0031308) ** (1 / 2.4) - 1)
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
    TypeError
        If `sigma` is not a number.
    ValueError
        If `sigma` is negative or not finite, or `shape` is unknown.

    Notes
    -----
    The Gaussian is cut at 4 σ. Below 1e-4 px the kernel is ``[[1.]]``.

    Examples
    --------
    >>> kernel = psf(1.5, "disc")
    >>> n = np.arange(len(kernel)) - len(kernel) // 2
    >>> round(float((kernel.sum(axis=0) * n**2).sum()), 6)  # the variance, 1.5 ** 2
    2.25
    """
    sigma = _check_sigma(sigma)
    check_choice(shape, "shape", get_args(PSFShape))
    if shape == "gaussian":
        k = _gaussian_kernel(sigma)
        return np.outer(k, k)
    return _disc_kernel(sigma).copy()


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

    Raises
    ------
    TypeError
        If `image` holds unsigned integers or no real numbers, or `sigma` is not a number.
    ValueError
        If `image` is no image, not finite, or outside [0, 1] with `linear_light`; if `sigma` is
        negative or not finite, or `shape` is unknown.

    Notes
    -----
    Blurring by σ₁ and then by σ₂ is blurring by √(σ₁² + σ₂²): exactly in the second moment of the
    PSF, and away from borders for the Gaussian also in the values, of any image, to within 0.0003
    of its range if both σ ≥ 1, 0.006 if one is, and 0.07 in any case. (The bound is half the
    sum of the kernels' absolute differences; a Gaussian of 0.5 px is not well sampled.)

    Cost per pixel: O(σ) for the Gaussian, O(log σ) for the disc (overlap-add FFT).

    Examples
    --------
    >>> import numpy as np
    >>> point = np.zeros((3, 3))
    >>> point[1, 1] = 1
    >>> blur(point, 0.5).round(3)
    array([[0.015, 0.093, 0.015],
           [0.093, 0.567, 0.093],
           [0.015, 0.093, 0.015]])
    """
    x = _unit(image, "image") if linear_light else _as_float(image)
    if x.ndim not in (2, 3) or x.size == 0:
        raise ValueError(f"image must have shape (H, W) or (H, W, C), none 0, got {x.shape}")
    low, high = _finite_range(x, "image")
    sigma = _check_sigma(sigma)
    check_choice(shape, "shape", get_args(PSFShape))
    if sigma == 0:
        return x.copy()
    if linear_light:
        return from_linear(blur(to_linear(x), sigma, shape=shape))
    if shape == "gaussian":
        k = _gaussian_kernel(sigma)
        out = ndimage.correlate1d(x, k, axis=0, mode="reflect")
        out = ndimage.correlate1d(out, k, axis=1, mode="reflect")
    else:
        kernel = _disc_kernel(sigma)
        r = len(kernel) // 2
        pad = [(r, r), (r, r)] + [(0, 0)] * (x.ndim - 2)
        kernel = kernel.reshape(kernel.shape + (1,) * (x.ndim - 2))
        out = signal.oaconvolve(np.pad(x, pad, mode="symmetric"), kernel, mode="valid", axes=(0, 1))
    # Rounding must not leave the range of the input.
    return np.asarray(np.clip(out, low, high), dtype=x.dtype)


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
        Within the image's range.

    Raises
    ------
    TypeError
        If `image` or `sigma` hold no real numbers, or `n_steps` is not an integer.
    ValueError
        If `sigma` has another shape than the image, is negative or not finite somewhere, if
        `n_steps` is below 2, or :func:`blur` refuses the image.

    Examples
    --------
    >>> import numpy as np
    >>> stripes = np.tile([0.0, 1.0], (4, 4))
    >>> left_is_sharp = np.tile(np.repeat([0.0, 1.5], 4), (4, 1))
    >>> blur_varying(stripes, left_is_sharp)[0].round(1)
    array([0. , 1. , 0. , 1. , 0.5, 0.5, 0.6, 0.6])
    """
    x = _unit(image, "image") if linear_light else _as_float(image)
    if x.ndim not in (2, 3) or x.size == 0:
        raise ValueError(f"image must have shape (H, W) or (H, W, C), none 0, got {x.shape}")
    s = _check_map(sigma, "sigma", x.shape[:2])
    check_int(n_steps, "n_steps", 2)
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
    return np.asarray(np.clip(out, x.min(), x.max()))


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

    See Also
    --------
    render_layers : makes a photograph of them, and checks them.
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
        Its photograph is float32 if all images and alphas are, float64 otherwise.

    Raises
    ------
    TypeError
        If `layers` holds something else than a Layer, or a layer something else than numbers.
    ValueError
        If there are no layers, their shapes differ, the first does not cover everything or
        another one has no alpha, a σ is negative or not finite, or values are not in [0, 1].

    Notes
    -----
    Surfaces hidden by a sharp foreground stay hidden: what a real lens sees around the edge of
    an object is approximated by the background layer's own picture, which is known here.

    Examples
    --------
    >>> import numpy as np
    >>> wall, card = np.zeros((8, 8)), np.ones((8, 8))
    >>> left = np.tile(np.arange(8) < 4, (8, 1)).astype(float)
    >>> scene = render_layers([Layer(wall, 0), Layer(card, 1.0, left)])
    >>> scene.photograph[0].round(2)  # the blurred card shines over the wall
    array([1.  , 1.  , 0.97, 0.85, 0.58, 0.27, 0.06, 0.  ])
    >>> scene.sigma[0]
    array([1., 1., 1., 1., 0., 0., 0., 0.], dtype=float32)
    """
    if len(layers) == 0:
        raise ValueError("layers must hold at least one Layer")
    checked = [_check_layer(layer, f"layers[{i}]", i == 0) for i, layer in enumerate(layers)]
    shapes = {layer.image.shape for layer in checked}
    if len(shapes) > 1:
        raise ValueError(f"layers must have images of one shape, got {sorted(shapes)}")
    arrays = [a for layer in checked for a in (layer.image, layer.alpha) if a is not None]
    dtype = np.result_type(*arrays)

    def blurred(x: FloatArray, sigma: float | FloatArray) -> FloatArray:
        if isinstance(sigma, float):
            return blur(x, sigma, shape=shape)
        return blur_varying(x, sigma, shape=shape)

    decode: Callable[[ArrayLike], FloatArray] = to_linear if linear_light else _as_float
    encode: Callable[[ArrayLike], FloatArray] = from_linear if linear_light else _as_float
    back, *others = checked
    sharp = decode(back.image.astype(dtype))
    seen = blurred(sharp, back.sigma)
    size = sharp.shape[:2]
    sigma = np.broadcast_to(np.asarray(back.sigma, np.float32), size).copy()
    index = np.zeros(size, np.intp)
    for i, layer in enumerate(others, start=1):
        alpha = np.asarray(layer.alpha, dtype)
        cover = alpha.reshape(size + (1,) * (sharp.ndim - 2))
        light = decode(layer.image.astype(dtype)) * cover
        veil = blurred(alpha, layer.sigma).reshape(cover.shape)
        seen = blurred(light, layer.sigma) + (1 - veil) * seen
        sharp = light + (1 - cover) * sharp
        on_top = alpha > 0.5
        sigma = np.where(on_top, np.asarray(layer.sigma, np.float32), sigma)
        index[on_top] = i
    seen, sharp = encode(np.clip(seen, 0, 1)), encode(np.clip(sharp, 0, 1))
    return Scene(seen, sigma.astype(np.float32), sharp, index)


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

    Raises
    ------
    TypeError
        If `image` holds unsigned integers or no real numbers, or `read` or `shot` is no number.
    ValueError
        If `image` is not within [0, 1], or `read` or `shot` is negative or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = add_noise(np.full((200, 200), 0.25), 0.03, 0.08, random_state=0)
    >>> round(float(noisy.std()), 3)  # √(0.03² + 0.08² · 0.25)
    0.05
    """
    x = _unit(image, "image")
    read, shot = check_real(read, "read", 0), check_real(shot, "shot", 0)
    rng = np.random.default_rng(random_state)
    spread = np.sqrt(read**2 + shot**2 * np.clip(x, 0, 1))
    noisy = np.clip(x + spread * rng.standard_normal(x.shape), 0, 1)
    return np.asarray(noisy, dtype=x.dtype)


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

    Raises
    ------
    TypeError
        If `image` holds unsigned integers or no real numbers, or `quality` is not an integer.
    ValueError
        If `image` has another shape or is not within [0, 1], or `quality` is out of range.

    Notes
    -----
    Colour is subsampled by 2 in each direction, as Pillow does by default.

    Examples
    --------
    >>> import numpy as np
    >>> bool(np.ptp(jpeg(np.linspace(0, 1, 64).reshape(8, 8), 5)) < 1)
    True
    """
    from PIL import Image

    x = _unit(image, "image")
    if x.size == 0 or (x.ndim != 2 and x.shape[2:] != (3,)):
        raise ValueError(f"image must have shape (H, W) or (H, W, 3), none 0, got {x.shape}")
    quality = check_int(quality, "quality", 1, 100)
    buffer = io.BytesIO()
    pixels = np.round(np.clip(x, 0, 1) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    buffer.seek(0)
    return np.asarray(np.asarray(Image.open(buffer)) / 255, dtype=x.dtype)


def _as_float(values: ArrayLike, name: str = "image") -> FloatArray:
    x = np.asarray(values)
    if x.dtype.kind not in "fbi":
        hint = "; divide by the largest possible value" if x.dtype.kind == "u" else ""
        raise TypeError(f"{name} must be float, got dtype {x.dtype}{hint}")
    return x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)


def _finite_range(x: FloatArray, name: str) -> tuple[float, float]:
    low, high = (float(x.min()), float(x.max())) if x.size else (0.0, 0.0)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"{name} must be finite, but holds NaN or infinity")
    return low, high


def _unit(values: ArrayLike, name: str) -> FloatArray:
    """Check for values in [0, 1], with room for rounding."""
    x = _as_float(values, name)
    low, high = _finite_range(x, name)
    if low < -SLACK or high > 1 + SLACK:
        raise ValueError(f"{name} must be within [0, 1], but spans [{low:.6g}, {high:.6g}]")
    return x


def _check_sigma(sigma: Any, name: str = "sigma") -> float:
    # A row of an array of σ is a 0-d array to NumPy, and a number to everyone else.
    scalar = isinstance(sigma, np.ndarray) and sigma.ndim == 0
    return check_real(sigma.item() if scalar else sigma, name, 0)


def _check_map(sigma: Any, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    s = _as_float(sigma, name).astype(np.float64)
    if s.shape != shape:
        raise ValueError(f"{name} must have the image's shape {shape}, got {s.shape}")
    if _finite_range(s, name)[0] < 0:
        raise ValueError(f"{name} must be >= 0 everywhere, got {s.min():.6g}")
    return s


def _check_layer(layer: Any, name: str, rearmost: bool) -> Layer:
    if not isinstance(layer, Layer):
        raise TypeError(f"{name} must be a Layer, got {type(layer).__name__}")
    if rearmost != (layer.alpha is None):
        what = "is the background and must have" if rearmost else "covers others and must not have"
        raise ValueError(f"{name} {what} alpha=None")
    image, sigma, alpha = _unit(layer.image, f"{name}.image"), layer.sigma, layer.alpha
    size = image.shape[:2]
    if image.ndim not in (2, 3) or image.size == 0:
        raise ValueError(f"{name}.image must have shape (H, W) or (H, W, C), got {image.shape}")
    if alpha is not None and (alpha := _unit(alpha, f"{name}.alpha")).shape != size:
        raise ValueError(f"{name}.alpha must have the image's shape {size}, got {alpha.shape}")
    where = f"{name}.sigma"
    flat = np.ndim(sigma) == 0
    return Layer(
        image, _check_sigma(sigma, where) if flat else _check_map(sigma, where, size), alpha
    )


def _matched(
    profile: Callable[[float], NDArray[np.float64]], sigma: float, low: float, high: float
) -> NDArray[np.float64]:
    """Find the kernel of a one-parameter family whose variance along an axis is σ²."""

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
    r = max(1, int(np.ceil(TRUNCATE * sigma)))
    n = np.arange(-r, r + 1)

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
