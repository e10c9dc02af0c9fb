"""A shallower depth of field from one photograph."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skdefocus._effects import MapEffect, check_mapper
from skdefocus._images import check_image, check_sigma_map
from skdefocus._layering import EDGE_RADIUS, UNSEEN, bands, blurred_behind, settled, smoothstep
from skdefocus._typing import Float32Array
from skdefocus._validation import (
    MAX_SIGMA,
    check_choice,
    check_int,
    check_numbers,
    check_real,
    check_sequence,
    check_sigma,
)
from skdefocus.synthesis import blur, psf

__all__ = ["DefocusMagnifier", "aperture_psf", "magnify", "paper_magnify", "paper_weight"]

#: σ in pixels of a further blur that is not worth the work.
LEAST = 0.05
#: Blurs are made at most this much stronger.
MAX_STRENGTH = 100.0


class DefocusMagnifier(MapEffect):
    """Blur what is blurred already even more, as a larger aperture would have done.

    Parameters
    ----------
    strength : float, default=2.0
        What σ is multiplied by, from 1 to 100: the ratio of the wider aperture's diameter to the
        old one's.
    aperture : {"disc", "polygon", "gaussian"}, default="disc"
        Shape of highlights out of focus.
    blades : int, default=6
        Corners of the polygon, ≥ 3.
    in_focus : float, default=0.8
        σ in pixels, ≥ 0, up to which a pixel stays as it is; from twice that it gets the whole
        blur. Larger where parts of the subject dissolve.
    edge_radius : int, default=12
        Radius in pixels, ≥ 0, of the windows in which a pixel on the map's slope between a
        subject and its background is given to one of the two. 0 takes the map as it is.
    method : {"layers", "paper"}, default="layers"
        ``"paper"`` mixes the photograph with one strongly blurred version of it [1]_, see
        :func:`paper_magnify`; of the other parameters only `strength` counts then.
    estimator : transformer or None, default=None
        From photographs to σ maps; None is :func:`skdefocus.make_defocus_pipeline`. It must need no
        fit: it is not fitted here, and what it has learned is lost when this is cloned, as by a
        cross-validation. Wrap a fitted one in :class:`sklearn.frozen.FrozenEstimator`
        (scikit-learn 1.6 or newer).
    n_jobs : int or None, default=None
        Photographs worked on at once, see :class:`joblib.Parallel`.

    See Also
    --------
    magnify : the function, for a map that is there already.

    References
    ----------
    .. [1] A. Galetto and G. Deng, "Single image deep defocus estimation and its applications",
       arXiv:2107.14443.

    Examples
    --------
    >>> from sklearn.datasets import load_sample_image
    >>> import skdefocus as sd
    >>> flower = load_sample_image("flower.jpg")[100:260, 200:400]
    >>> sd.DefocusMagnifier(strength=3).fit_transform([flower])[0].shape
    (160, 200, 3)
    """

    def __init__(
        self,
        strength: float = 2.0,
        aperture: str = "disc",
        *,
        blades: int = 6,
        in_focus: float = 0.8,
        edge_radius: int = EDGE_RADIUS,
        method: str = "layers",
        estimator: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.strength = strength
        self.aperture = aperture
        self.blades = blades
        self.in_focus = in_focus
        self.edge_radius = edge_radius
        self.method = method
        self.estimator = estimator
        self.n_jobs = n_jobs

    def _check_params(self) -> None:
        check_mapper(self.estimator)
        check_choice(self.method, "method", ("layers", "paper"))
        _check(self.strength, self.aperture, self.blades, self.in_focus, self.edge_radius)

    def _effect(self) -> Callable[[Any, ArrayLike], Float32Array]:
        if self.method == "paper":
            return partial(paper_magnify, strength=self.strength)
        return partial(
            magnify, strength=self.strength, aperture=self.aperture, blades=self.blades,
            in_focus=self.in_focus, edge_radius=self.edge_radius
        )  # fmt: skip


def _check(
    strength: float, aperture: str, blades: int, in_focus: float, edge_radius: int
) -> tuple[float, str, int, float, int]:
    return (
        check_real(strength, "strength", 1, MAX_STRENGTH),
        check_choice(aperture, "aperture", ("disc", "polygon", "gaussian")),
        check_int(blades, "blades", 3),
        check_real(in_focus, "in_focus", 0, MAX_SIGMA),
        check_int(edge_radius, "edge_radius", 0),
    )


def _check_largest(amount: float, strength: float, sigma: float) -> None:
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
    strength, aperture, blades, in_focus, edge_radius = _check(
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
    _check_largest(largest, strength, float(values.max()))
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


def paper_weight(
    blurriness: ArrayLike, anchors: tuple[float, float] = (0.5, 1.75)
) -> NDArray[np.float64]:
    """Weight of the photograph in the paper's effects, from a map scaled to [0, 1].

    Parameters
    ----------
    blurriness : array_like
        In [0, 1]; 0 is the sharpest.
    anchors : (float, float)
        M0 < M1, from 0 to 10: the weight is 0.999 at a blurriness of M0 / 10 and 0.001 at M1 / 10.

    Returns
    -------
    ndarray of float64 in [0, 1]
        ``1 - exp(-((10 - 10 m) / s) ** beta)``, with s and β such that the anchors hold:
        ((10 − M0) / s)^β = −ln 0.001 and ((10 − M1) / s)^β = −ln 0.999.

    Raises
    ------
    ValueError
        If the anchors do not ascend within 0 to 10.

    Examples
    --------
    >>> paper_weight([0.05, 0.175]).round(6)
    array([0.999, 0.001])
    """
    if len(check_sequence(anchors, "anchors")) != 2:
        raise ValueError(f"anchors must be two numbers, got {anchors!r}")
    low, high = (check_real(a, "anchors", 0) for a in anchors)
    if not low < high < 10:
        raise ValueError(f"anchors must ascend within 0 to 10, got {anchors}")
    top, bottom = -np.log(0.001), -np.log(0.999)
    beta = np.log(top / bottom) / np.log((10 - low) / (10 - high))
    # The logarithm of ((10 - 10 m) / s) ** β, which alone would overflow.
    values = check_numbers(blurriness, "blurriness")
    if np.isnan(values).any():
        raise ValueError("blurriness must be within [0, 1], but holds NaN")
    m = np.clip(values, 0, 1)
    with np.errstate(divide="ignore"):
        power = beta * np.log((10 - 10 * m) / (10 - low)) + np.log(top)
    return -np.expm1(-np.exp(power))


def paper_magnify(
    image: ArrayLike,
    sigma: ArrayLike,
    strength: float = 2.0,
    *,
    anchors: tuple[float, float] = (0.5, 1.75),
) -> Float32Array:
    """Magnify defocus by the formula of the paper: one sharp and one blurred version, mixed.

    ``W S + (1 - W) B``, with B the photograph without its subject, strongly blurred, S = J + 0.2 (J
    − B) the photograph J sharpened, and W the weight :func:`paper_weight` of the map scaled to
    [0, 1].

    Parameters
    ----------
    image, sigma
        See :func:`magnify`.
    strength : float
        B is blurred by this times the median σ of what is not in focus, from 1 to 100.
    anchors : (float, float)
        See :func:`paper_weight`.

    Returns
    -------
    ndarray of shape (H, W) or (H, W, 3), float32 in [0, 1]

    Raises
    ------
    TypeError, ValueError
        If `sigma` is no map of the photograph, `strength` or `anchors` are out of range, or B would
        be blurred by more than 1000 pixels.

    Notes
    -----
    Memory: 73 bytes per pixel of colour, 44 of grey.
    """
    strength = check_real(strength, "strength", 1, MAX_STRENGTH)
    pixels = check_image(image)
    values = check_sigma_map(sigma, size=pixels.shape[:2])
    span = float(np.ptp(values))
    scaled = (values - values.min()) / span if span else np.zeros_like(values)
    weight = paper_weight(scaled, anchors).astype(np.float32)
    away = weight < 0.5
    typical = float(np.median(values[away])) if away.any() else 0.0
    amount = strength * typical
    _check_largest(amount, strength, typical)
    sharp = np.moveaxis(np.atleast_3d(pixels), 2, 0)
    planes = np.concatenate([sharp * (1 - weight), (1 - weight)[None]])
    planes = np.stack([np.asarray(blur(p, amount), np.float32) for p in planes])
    blurred = np.where(planes[-1] > UNSEEN, planes[:-1] / np.maximum(planes[-1], UNSEEN), sharp)
    mixed = weight * (sharp + 0.2 * (sharp - blurred)) + (1 - weight) * blurred
    return np.clip(np.moveaxis(mixed, 0, 2).reshape(pixels.shape), 0, 1).astype(np.float32)
