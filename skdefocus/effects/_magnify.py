"""A shallower depth of field from one photograph and its map."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skdefocus._images import check_image, check_sigma_map
from skdefocus._typing import Float32Array
from skdefocus._validation import MAX_SIGMA, check_choice, check_int, check_real, check_sigma
from skdefocus.effects._layers import blurred_behind
from skdefocus.effects._map_edges import EDGE_RADIUS, bands, settled, smoothstep
from skdefocus.synthesis import psf

#: σ in pixels of a further blur that is not worth the work.
LEAST = 0.05
#: Blurs are made at most this much stronger.
MAX_STRENGTH = 100.0


def check_magnification(
    strength: float, aperture: str, blades: int, in_focus: float, edge_radius: int
) -> tuple[float, str, int, float, int]:
    return (
        check_real(strength, "strength", 1, MAX_STRENGTH),
        check_choice(aperture, "aperture", ("disc", "polygon", "gaussian")),
        check_int(blades, "blades", 3),
        check_real(in_focus, "in_focus", 0, MAX_SIGMA),
        check_int(edge_radius, "edge_radius", 0),
    )


def check_largest(amount: float, strength: float, sigma: float) -> None:
    """Check a further blur, which the user knows only by what it is made of."""
    if amount > MAX_SIGMA:
        raise ValueError(
            f"strength times sigma must be at most {MAX_SIGMA:g} pixels, "
            f"got {strength:g} times {sigma:g}; lower strength"
        )


def magnify(
    image: ArrayLike,
    sigma: ArrayLike,
    strength: float = 2.0,
    aperture: str = "disc",
    *,
    blades: int = 6,
    in_focus: float = 0.8,
    edge_radius: int = EDGE_RADIUS,
) -> Float32Array:
    """Multiply a photograph's defocus blur.

    Parameters
    ----------
    image : array_like of shape (H, W) or (H, W, C)
        bool, uint8, uint16 (scaled by their range) or float in [0, 1].
    sigma : array_like of shape (H, W)
        Its blur in pixels, finite and ≥ 0.
    strength, aperture, blades, in_focus, edge_radius
        See :class:`DefocusMagnifier`.

    Returns
    -------
    ndarray of shape (H, W) or (H, W, 3), float32 in [0, 1]

    Raises
    ------
    TypeError, ValueError
        If `sigma` is no map of the photograph, a parameter is out of range, or the blur is to
        become more than 1000 pixels.

    Notes
    -----
    Where σ is to become kσ, a further blur of √(k² − 1) σ is missing, as σ's add in quadrature. The
    photograph, in linear light, is cut into layers by that blur. Each is blurred by itself, what
    nearer layers hide of it being filled from around (a normalised convolution), and they are laid
    over each other from the most to the least blurred: the subject neither bleeds into its
    background nor gets a halo. A photograph does not tell whether something blurred is in front
    of the subject or behind it; all is treated as behind.

    Cost: up to a dozen Fourier transforms of each tile of a megapixel, some 5 s per megapixel of
    colour on one core; tiles in focus cost nothing. Memory: 20 bytes per pixel of colour (12 of
    grey), 12 more (4) if the photograph is not float32, and 210 MB (120) for a tile.
    """
    strength, aperture, blades, in_focus, edge_radius = check_magnification(
        strength, aperture, blades, in_focus, edge_radius
    )
    pixels = check_image(image)
    values = check_sigma_map(sigma, size=pixels.shape[:2])
    values = settled(values, edge_radius)
    extra = np.empty_like(values)
    for rows in bands(len(values)):
        part = values[rows]
        extra[rows] = part * smoothstep((part - in_focus) / max(in_focus, 1e-6))
    with np.errstate(over="ignore"):
        extra *= np.float32(np.sqrt(strength**2 - 1))
    largest = float(extra.max())
    check_largest(largest, strength, float(values.max()))
    if largest < LEAST:
        return pixels.copy()
    out = blurred_behind(pixels, extra, lambda amount: aperture_psf(amount, aperture, blades))
    still = extra < LEAST
    np.copyto(out, pixels, where=still.reshape(still.shape + (1,) * (pixels.ndim - 2)))
    return out


def aperture_psf(sigma: float, aperture: str = "disc", blades: int = 6) -> NDArray[np.float64]:
    """Point spread function of an aperture's shape.

    Parameters
    ----------
    sigma : float
        Standard deviation along each axis in pixels, from 0 to 1000.
    aperture : {"disc", "polygon", "gaussian"}
    blades : int
        Corners of the polygon, ≥ 3.

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
    check_choice(aperture, "aperture", ("disc", "polygon", "gaussian"))
    sigma = check_sigma(sigma)
    if aperture != "polygon" or sigma < 0.3:
        return psf(sigma, "gaussian" if aperture == "gaussian" else "disc")
    n = check_int(blades, "blades", 3)
    corner = sigma * np.sqrt(12 / (2 + np.cos(2 * np.pi / n)))
    reach = int(np.ceil(corner))
    pixel = np.arange(-reach, reach + 1.0)
    kernel = np.zeros((len(pixel), len(pixel)))
    # Of each pixel eight lines, each covered exactly as far as it lies between two of the sides.
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
