"""A shallower depth of field from one photograph and its map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike

from skdefocus._estimators import Settings, choice, integer, real
from skdefocus._typing import AnyArray, Float32Array, Float64Array
from skdefocus._validation import MAX_SIGMA, check_choice, check_int, check_sigma
from skdefocus.effects._base import check_image_and_map
from skdefocus.effects._layers import LEAST, blur_background
from skdefocus.effects._map_edges import EDGE_RADIUS, row_bands, smoothstep, steepen_edges
from skdefocus.synthesis import psf

#: Largest ratio of the apertures.
MAX_STRENGTH = 100.0
#: Shapes of apertures.
APERTURES = ("disc", "polygon", "gaussian")


@dataclass(frozen=True)
class Magnification(Settings):
    """Checked parameters of :func:`magnify`."""

    strength: Annotated[float, real(1, MAX_STRENGTH)]
    aperture: Annotated[str, choice(*APERTURES)]
    blades: Annotated[int, integer(3)]
    in_focus: Annotated[float, real(0, MAX_SIGMA)]
    edge_radius: Annotated[int, integer(0)]


def magnify(
    image: ArrayLike,
    sigma: ArrayLike | None = None,
    strength: float = 2.0,
    aperture: str = "disc",
    *,
    blades: int = 6,
    in_focus: float = 0.8,
    edge_radius: int = EDGE_RADIUS,
) -> AnyArray:
    """Multiply a photograph's defocus blur.

    Parameters
    ----------
    image : array_like of shape (H, W) or (H, W, C)
        Gray, RGB or RGBA (alpha is dropped); bool, uint8, uint16 or float in [0, 1].
    sigma : array_like of shape (H, W) or None
        Its blur in pixels, finite and ≥ 0. None estimates it by :func:`skdefocus.defocus_map`.
    strength, aperture, blades, in_focus, edge_radius
        See :class:`DefocusMagnifier`.

    Returns
    -------
    ndarray of shape (H, W) or (H, W, 3)
        With the photograph's dtype, integers rounded, and float32 for bool. Pixels in focus are
        those of the photograph.

    Raises
    ------
    TypeError, ValueError
        If `image` is not a photograph, `sigma` is not a map of it, a parameter is out of range, or
        the additional blur is more than 1000 pixels.

    See Also
    --------
    DefocusMagnifier : The transformer for many photographs.

    Notes
    -----
    Where σ is to become kσ, a blur of √(k² − 1) σ is added, because blurs add in quadrature. The
    photograph, in linear light, is cut into eleven layers by that blur. Each layer is blurred by
    itself. The layers are then laid over each other from the most to the least blurred, and what
    nearer layers hide is left out (normalized convolution). So the subject neither bleeds into its
    background nor gets a halo. A photograph does not tell whether something blurred is in front of
    the subject or behind it: everything is treated as behind.

    σ may have any size. Layers with an additional blur of 16 px or more are worked on at half the
    size, from 32 px on at a quarter, and so forth.

    Cost: at most eleven blurs by Fourier transforms; fewer where few layers have pixels, and none
    where a tile of a megapixel is in focus: about 0.8 s per megapixel of color on one core, whether
    σ is 3 or 60 px. Memory: besides the photograph and its map, 13 bytes per pixel if that is of 8
    bits, 20 if it is of float32, and 200 MB for a tile.

    Examples
    --------
    >>> from sklearn.datasets import load_sample_image
    >>> import skdefocus as sd
    >>> flower = load_sample_image("flower.jpg")[100:260, 200:400]
    >>> shallow = sd.magnify(flower, strength=3)
    >>> shallow.shape, shallow.dtype
    ((160, 200, 3), dtype('uint8'))
    """
    options = Magnification(strength, aperture, blades, in_focus, edge_radius)
    return magnified(*check_image_and_map(image, sigma), options)


def magnified(pixels: AnyArray, sigma: Float32Array, options: Magnification) -> AnyArray:
    """Multiply the blur of a checked photograph with a checked map; see :func:`magnify`."""
    extra = additional_blur(sigma, options)
    largest = float(extra.max())
    check_largest(largest, options.strength, float(sigma.max()))
    if largest < LEAST:
        return pixels.copy()
    return blur_background(
        pixels, extra, lambda amount: aperture_psf(amount, options.aperture, options.blades)
    )


def additional_blur(sigma: Float32Array, options: Magnification) -> Float32Array:
    """Compute σ in pixels of the blur to be added; 0 for the subject."""
    extra = steepen_edges(sigma, options.edge_radius)
    factor = np.float32(np.sqrt(options.strength**2 - 1))
    for rows in row_bands(len(extra)):
        part = extra[rows]
        outside = smoothstep((part - options.in_focus) / max(options.in_focus, 1e-6))
        with np.errstate(over="ignore"):
            extra[rows] = part * outside * factor
    return extra


def check_largest(amount: float, strength: float, sigma: float) -> None:
    """Check an additional blur, and name the two factors that the user knows."""
    if amount > MAX_SIGMA:
        raise ValueError(
            f"strength times sigma must be at most {MAX_SIGMA:g} pixels, "
            f"got {strength:g} times {sigma:g}; lower strength"
        )


def aperture_psf(sigma: float, aperture: str = "disc", blades: int = 6) -> Float64Array:
    """Make the point spread function of an aperture.

    Parameters
    ----------
    sigma : float
        Standard deviation along each axis in pixels, from 0 to 1000.
    aperture : {"disc", "polygon", "gaussian"}
        Shape of the aperture.
    blades : int
        Number of the polygon's corners, ≥ 3.

    Returns
    -------
    ndarray of shape (k, k), float64
        Non-negative, k odd, sums to 1.

    Raises
    ------
    TypeError
        If `sigma` is not a number or `blades` not an integer.
    ValueError
        If `sigma` or `blades` is out of range, or `aperture` is unknown.

    Notes
    -----
    A regular polygon with n corners at a distance of R has σ² = R² (2 + cos(2π / n)) / 12 along
    every axis, R² / 4 for a disc.
    """
    check_choice(aperture, "aperture", APERTURES)
    sigma = check_sigma(sigma)
    if aperture != "polygon" or sigma < 0.3:
        return psf(sigma, "gaussian" if aperture == "gaussian" else "disc")
    n = check_int(blades, "blades", 3)
    corner = sigma * np.sqrt(12 / (2 + np.cos(2 * np.pi / n)))
    reach = int(np.ceil(corner))
    pixel = np.arange(-reach, reach + 1.0)
    kernel = np.zeros((len(pixel), len(pixel)))
    # Eight lines across each pixel, each covered exactly as far as it lies between two sides.
    for line in (np.arange(8) + 0.5) / 8 - 0.5:
        left, right = np.full(len(pixel), -np.inf), np.full(len(pixel), np.inf)
        for angle in np.arange(n) * 2 * np.pi / n + np.pi / n - np.pi / 2:
            side = corner * np.cos(np.pi / n) - np.sin(angle) * (pixel + line)
            side /= np.cos(angle)
            if np.cos(angle) > 0:
                right = np.minimum(right, side)
            else:
                left = np.maximum(left, side)
        kernel += np.clip(np.maximum(left, right)[:, None] - pixel + 0.5, 0, 1)
        kernel -= np.clip(left[:, None] - pixel + 0.5, 0, 1)
    return np.asarray(kernel / kernel.sum())
