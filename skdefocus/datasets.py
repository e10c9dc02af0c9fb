"""Sample photographs, and scenes whose σ is known at every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from skdefocus import synthesis
from skdefocus._images import check_image
from skdefocus._typing import Float32Array, Float64Array, PSFShape
from skdefocus._validation import (
    MAX_NOISE,
    MAX_SIGMA,
    check_int,
    check_real,
    check_seed,
    check_sequence,
)
from skdefocus.synthesis import Layer, Scene

__all__ = ["SceneKind", "load_sample_scenes", "make_scene", "sample_photographs"]

SceneKind = Literal["plane", "layers", "soft", "thin", "flat"]
Rng = np.random.Generator


def make_scene(
    photographs: Sequence[ArrayLike],
    kind: SceneKind = "layers",
    *,
    max_sigma: float = 5.0,
    shape: PSFShape = "gaussian",
    noise: float = 0.0,
    quality: int | None = None,
    random_state: int | None = None,
) -> Scene:
    """Compose photographs in focus into one with known, spatially varying defocus.

    Parameters
    ----------
    photographs : sequence of array_like, all of one shape (H, W) or (H, W, 3)
        Photographs in focus, of at least two pixels. The first is the background, and the others
        cover it in order. At least two, except for ``"plane"``.
    kind : {"plane", "layers", "soft", "thin", "flat"}
        ``"plane"``: one tilted plane, where σ changes linearly. ``"layers"``: opaque shapes with
        hard edges, one in front of another, at different distances. ``"soft"``: the same with
        edges that fade over some pixels, like fur. ``"thin"``: branches and lettering, sharp in
        front of a blurred background or blurred in front of a sharp one. ``"flat"``: layers of
        which some have almost no texture, like walls and skies.
    max_sigma : float, default=5.0
        Largest σ in pixels, > 0 and at most 1000. Every scene has parts in focus and parts near
        this σ.
    shape : {"gaussian", "disc"}
        The PSF, see :func:`skdefocus.synthesis.psf`.
    noise : float, default=0.0
        Standard deviation of the read noise in units of full scale. That of the photon noise is
        the same at full scale.
    quality : int or None, default=None
        JPEG quality; None leaves the photograph uncompressed.
    random_state : int or None, default=None
        Seed.

    Returns
    -------
    skdefocus.synthesis.Scene
        Photograph, σ and all-in-focus picture as float32, and the layer index.

    Raises
    ------
    TypeError, ValueError
        If there are too few photographs, they are too small or differ in shape, or a parameter is
        wrong.

    Examples
    --------
    >>> from skdefocus.datasets import make_scene, sample_photographs
    >>> scene = make_scene(sample_photographs(size=128), "layers", random_state=0)
    >>> scene.sigma.shape
    (128, 128)
    """
    if kind not in get_args(SceneKind):
        raise ValueError(f"kind must be one of {get_args(SceneKind)}, got {kind!r}")
    max_sigma = check_real(max_sigma, "max_sigma", 0, MAX_SIGMA, above=True)
    noise = check_real(noise, "noise", 0, MAX_NOISE)
    images = _check_photographs(photographs, kind)
    rng = check_seed(random_state)
    layers = (
        _plane(images, rng, max_sigma) if kind == "plane" else _stack(images, kind, rng, max_sigma)
    )
    scene = synthesis.render_layers(layers, shape=shape, linear_light=True)
    photograph = scene.photograph
    if noise:
        seed = int(rng.integers(2**31))
        photograph = synthesis.add_noise(photograph, noise, noise, random_state=seed)
    if quality is not None:
        photograph = synthesis.jpeg(photograph, quality)
    sharp = scene.sharp.astype(np.float32)
    return Scene(photograph.astype(np.float32), scene.sigma, sharp, scene.index)


def _check_photographs(photographs: Sequence[ArrayLike], kind: str) -> list[Float32Array]:
    """Check the number, shapes and values of the photographs for a scene."""
    images = [
        check_image(p, f"photographs[{i}]")
        for i, p in enumerate(check_sequence(photographs, "photographs"))
    ]
    needed = 1 if kind == "plane" else 2
    if len(images) < needed:
        raise ValueError(f"photographs must hold at least {needed} for {kind!r}, got {len(images)}")
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise ValueError(f"photographs must have one shape, got {sorted(shapes)}")
    height, width = images[0].shape[:2]
    if height * width < 2:
        raise ValueError("photographs must have at least two pixels, got one")
    return images


def _plane(images: list[Float32Array], rng: Rng, max_sigma: float) -> list[Layer]:
    """Make a plane that crosses the plane in focus: σ is 0 on a line and rises on both sides."""
    ramp = _ramp(images[0].shape[:2], rng)
    focus = rng.uniform(0.0, 0.6)
    distance = np.abs(ramp - focus)
    return [Layer(images[0], (max_sigma * distance / distance.max()).astype(np.float32))]


def _stack(images: list[Float32Array], kind: str, rng: Rng, max_sigma: float) -> list[Layer]:
    """Make layers from back to front, with σ spread over the range; one of them is in focus."""
    count = len(images)
    sigmas = max_sigma * rng.permutation(np.linspace(0, 1, count))
    layers = []
    for i, (image, sigma) in enumerate(zip(images, sigmas, strict=True)):
        if kind == "flat" and rng.random() < 0.5:
            image = _flat_surface(image, rng)
        alpha = None if i == 0 else _shape(image.shape[:2], kind, rng)
        layers.append(Layer(image, float(sigma), alpha))
    return layers


def _ramp(shape: tuple[int, int], rng: Rng) -> Float64Array:
    """Make a linear ramp from 0 to 1 in a random direction."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1])
    ramp = np.cos(angle) * y[:, None] + np.sin(angle) * x
    return np.asarray((ramp - ramp.min()) / np.ptp(ramp))


def _flat_surface(image: Float32Array, rng: Rng) -> Float32Array:
    """Make a surface of one tone with a soft shade and almost no texture."""
    tone = image.mean(axis=(0, 1)) + np.float32(rng.uniform(-0.1, 0.1))
    shade = (_ramp(image.shape[:2], rng) - 0.5) * rng.uniform(0.02, 0.2)
    shade = shade.reshape(shade.shape + (1,) * (image.ndim - 2))
    return np.clip(tone + shade + 0.01 * (image - image.mean()), 0, 1).astype(np.float32)


def _shape(size: tuple[int, int], kind: str, rng: Rng) -> Float32Array:
    """Draw the coverage of one layer in the foreground."""
    if kind == "thin":
        return _lettering(size, rng) if rng.random() < 0.5 else _branches(size, rng)
    scale = min(size) * rng.uniform(0.08, 0.2)
    field = ndimage.gaussian_filter(rng.standard_normal(size), scale, mode="reflect")
    field /= field.std()
    field += 1.5 * (_ramp(size, rng) - 0.5)
    field -= np.quantile(field, 1 - rng.uniform(0.2, 0.5))
    # From the distance to the outline in pixels, the edge has the same width everywhere.
    inside = field > 0
    distance = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    width = rng.uniform(4, 10) if kind == "soft" else 1.0
    return np.clip(distance / width + 0.5, 0, 1).astype(np.float32)


def _branches(size: tuple[int, int], rng: Rng) -> Float32Array:
    """Draw twigs that fork, up to 8 pixels thick."""
    over = 4  # drawn larger and then reduced, for smooth edges
    canvas = Image.new("L", (size[1] * over, size[0] * over))
    pen = ImageDraw.Draw(canvas)

    def grow(x: float, y: float, angle: float, width: float, length: float) -> None:
        """Draw one twig of five segments and, recursively, its forks."""
        for _ in range(5):
            end = (x + length * np.cos(angle), y + length * np.sin(angle))
            pen.line((x, y, *end), fill=255, width=max(1, round(width)))
            (x, y), angle = end, angle + rng.normal(0, 0.25)
            if width > 2.5 * over and rng.random() < 0.7:
                turn = rng.choice([-1, 1]) * rng.uniform(0.4, 1.0)
                grow(x, y, angle + turn, width * 0.6, length * 0.7)

    for _ in range(3):
        x, y = rng.uniform(0, size[1] * over), float(rng.choice([0, size[0] * over]))
        up = np.pi / 2 if y == 0 else -np.pi / 2
        grow(x, y, up + rng.normal(0, 0.5), rng.uniform(4, 8) * over, size[0] * over / 6)
    return _reduce(canvas, size)


def _lettering(size: tuple[int, int], rng: Rng) -> Float32Array:
    """Draw lines of large type."""
    over = 2
    canvas = Image.new("L", (size[1] * over, size[0] * over))
    pen = ImageDraw.Draw(canvas)
    letters = list("ABCDEFGHKLMNOPRSTUVWXYZ0123456789")
    height = size[0] * over / 4
    font = ImageFont.load_default(height)
    for row in range(3):
        text = "".join(rng.choice(letters, 14))
        pen.text((-rng.uniform(0, height), (row + 0.3) * height * 1.2), text, fill=255, font=font)
    return _reduce(canvas, size)


def _reduce(canvas: Image.Image, size: tuple[int, int]) -> Float32Array:
    """Reduce a drawing to a size, and to values in [0, 1]."""
    small = canvas.resize((size[1], size[0]), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / np.float32(255)


def sample_photographs(size: int | None = None) -> list[Float32Array]:
    """Load gray photographs in focus that are part of scikit-image.

    Parameters
    ----------
    size : int or None
        Side of the square at the center to return, at most 512; None means 512.

    Returns
    -------
    list of ndarray of shape (size, size), float32 in [0, 1]

    Raises
    ------
    TypeError, ValueError
        If `size` is not an integer from 1 to 512.

    Examples
    --------
    >>> [p.shape for p in sample_photographs(size=64)]
    [(64, 64), (64, 64), (64, 64)]
    """
    from skimage import data

    side = check_int(512 if size is None else size, "size", 1, 512)
    start = (512 - side) // 2
    center = slice(start, start + side)
    # These three files are part of scikit-image itself; others would have to be downloaded.
    images = (data.brick(), data.gravel(), data.grass())
    return [check_image(im)[center, center] for im in images]


def load_sample_scenes(size: int = 192, random_state: int = 0) -> list[Scene]:
    """Make one small scene of every kind, for tests and examples.

    Parameters
    ----------
    size : int, default=192
        Side in pixels, from 64 to 512.
    random_state : int, default=0
        Seed.

    Returns
    -------
    list of Scene
        In the order plane, layers, soft, thin, flat.

    Raises
    ------
    TypeError, ValueError
        If `size` is not an integer from 64 to 512, or `random_state` not an integer of at least 0.
    """
    size = check_int(size, "size", 64, 512)
    random_state = check_int(random_state, "random_state", 0)
    photographs = sample_photographs(size)
    return [
        make_scene(photographs, kind, max_sigma=4.0, random_state=random_state + i)
        for i, kind in enumerate(get_args(SceneKind))
    ]
