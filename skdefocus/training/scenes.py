"""Training scenes: surfaces with known blur, and the effects of camera and file format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import fft, ndimage

from skdefocus import synthesis
from skdefocus._typing import Float32Array, PSFShape, UInt8Array
from skdefocus.training import surfaces
from skdefocus.training.levels import CAMERA_SIGMA, N_LEVELS, level_of_sigma, sigma_of_level
from skdefocus.training.surfaces import Rng, log_uniform

#: Side in pixels of the cells, each of which has one label.
CELL = 4
#: Room around a crop for the PSF, and for a shifted JPEG grid.
PSF_MARGIN = 48
JPEG_SHIFT = 8
#: Labels are stored in tenths of a level, which is finer than any visible difference.
TENTHS = 10
#: The widest blur of a scene in pixels. Beyond the last level its label says "this or more".
WIDEST = 24.0


@dataclass(frozen=True)
class Conditions:
    """Shares of the scenes with given conditions."""

    outline: float = 0.33
    layers: float = 0.44
    plane: float = 0.14
    thin: float = 0.3
    in_focus: float = 0.5
    wide: float = 0.1
    sloped: float = 0.2
    walls: float = 0.12
    disc: float = 0.5
    linear_light: float = 0.8
    highlights: float = 0.2
    lamps: float = 0.12
    enlarged: float = 0.06
    dark: float = 0.07
    noise: float = 0.65
    sharpened: float = 0.12
    jpeg: float = 0.6
    reduced: float = 0.25
    denoised: float = 0.5
    textured: float = 0.4
    flat: float = 0.2


@dataclass(frozen=True)
class Surface:
    """A picture, its coverage (None: everywhere), and its blur as one level or one per pixel."""

    image: Float32Array
    alpha: Float32Array | None
    level: float | Float32Array


#: Function that draws a window of a photograph and its segments; True asks for another photograph.
Pick = Callable[[bool], tuple[Float32Array, NDArray[np.uint16]]]


@lru_cache(maxsize=384)
def _transfer(level: float, shape: PSFShape, n: int) -> Float32Array:
    """Compute a PSF's transfer function on a periodic n × n window; symmetry makes it real."""
    kernel = synthesis.psf(float(sigma_of_level(level)), shape)
    # A kernel larger than the window wraps around. The folded kernel has every m-th frequency of
    # the kernel in a window m times as large.
    m = -(-len(kernel) // n)
    transfer = synthesis.transfer_function(kernel, (m * n, m * n))
    return transfer[::m, ::m].real.astype(np.float32)


def blur(image: Float32Array, level: float | Float32Array, shape: PSFShape) -> Float32Array:
    """Blur a periodic window by one level, or by a level per pixel (evenly changing)."""
    n = image.shape[0]
    spectrum = fft.rfft2(image)

    def at(one: float) -> Float32Array:
        return np.asarray(fft.irfft2(spectrum * _transfer(one, shape, n), s=(n, n)), np.float32)

    if isinstance(level, float):
        return at(round(level, 1))
    # Mix the blurs at some levels by linear interpolation in σ².
    low, high = round(float(level.min()), 1), round(float(level.max()), 1)
    steps = np.unique(np.round(np.linspace(low, high, max(2, int(high - low) + 2)), 1))
    if len(steps) == 1:
        return at(float(steps[0]))
    variance = sigma_of_level(steps) ** 2
    index = np.interp(sigma_of_level(level) ** 2, variance, np.arange(len(steps)))
    index = index.astype(np.float32)
    out = np.zeros_like(image)
    for k, one in enumerate(steps):
        out += np.maximum(1 - np.abs(index - np.float32(k)), 0) * at(float(one))
    return out


class SceneMaker:
    """Generator of scenes; all randomness comes from `rng`."""

    def __init__(self, size: int, conditions: Conditions, rng: Rng) -> None:
        self.size, self.c, self.rng = size, conditions, rng
        self.window = size + JPEG_SHIFT + 2 * PSF_MARGIN

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def draw(self, pick: Pick) -> tuple[UInt8Array, UInt8Array]:
        """Photograph a random scene: (size, size) gray values and levels of cells in tenths."""
        shape: PSFShape = "disc" if self.chance(self.c.disc) else "gaussian"
        linear = self.chance(self.c.linear_light)
        look = self.look(linear)
        enlarged = log_uniform(self.rng, 1.2, 2) if self.chance(self.c.enlarged) else 1.0

        def window(other: bool) -> tuple[Float32Array, NDArray[np.uint16]]:
            image, regions = pick(other)
            if enlarged > 1:
                image, regions = enlarge(image, enlarged), enlarge(regions, enlarged)
            return look(image), regions

        image, level = self.render(self.compose(window), shape, linear)
        image = np.clip(image, 0, 1)
        image = self.develop(synthesis.from_linear(image) if linear else image)
        # A random phase against the JPEG grid of 8 pixels.
        i, j = PSF_MARGIN + self.rng.integers(0, JPEG_SHIFT, 2)
        image, level = (a[i : i + self.size, j : j + self.size] for a in (image, level))
        if enlarged > 1:  # what was sharp at the camera's pixels no longer is
            own = CAMERA_SIGMA**2 * (enlarged**2 - 1)
            level = level_of_sigma(np.sqrt(sigma_of_level(level) ** 2 + own))
        return np.round(image * 255).astype(np.uint8), cell_labels(level)

    def look(self, linear: bool) -> Callable[[Float32Array], Float32Array]:
        """Make a function for denoising, exposure and tone, the same for the whole scene."""
        rng = self.rng
        denoised = self.chance(self.c.denoised)
        size = 2 * int(rng.integers(1, 6)) + 1
        eps = np.float32(log_uniform(rng, 2, 20) / 255) ** 2
        if self.chance(self.c.dark):
            gain, lift = log_uniform(rng, 0.03, 0.3), 0.0
        else:
            gain = rng.uniform(0.35, 1.0)
            lift = rng.uniform(0, 1 - gain)
        gamma = np.float32(np.exp(rng.uniform(-0.5, 0.5)))

        def apply(image: Float32Array) -> Float32Array:
            if denoised:
                image = smooth_faint(image, size, eps)
            image = np.asarray(image**gamma * np.float32(gain) + np.float32(lift), np.float32)
            return np.asarray(synthesis.to_linear(image) if linear else image, np.float32)

        return apply

    def compose(self, window: Pick) -> list[Surface]:
        """Choose the surfaces, from back to front."""
        rng, c = self.rng, self.c
        kind = rng.random()
        image, regions = window(False)
        if kind < c.outline:
            layers = self.along_outlines(image, regions)
            if layers is not None:
                if self.chance(0.2):
                    layers.append(self.pasted(window))
                return self.lit(self.focused(layers))
            kind = c.outline
        if kind < c.outline + c.layers:
            back = Surface(self.painted(image), None, self.level())
            count = int(rng.choice([1, 2, 3], p=[0.55, 0.3, 0.15]))
            return self.lit(self.focused([back] + [self.pasted(window) for _ in range(count)]))
        if kind < c.outline + c.layers + c.plane:
            return self.lit([Surface(image, None, self.plane())])
        return self.lit([Surface(image, None, self.level(flat=True))])

    def along_outlines(
        self, image: Float32Array, regions: NDArray[np.uint16]
    ) -> list[Surface] | None:
        """Cut a photograph into a foreground and a background along its own outlines."""
        front = surfaces.outline_group(regions, self.rng)
        if front is None:
            return None
        back = surfaces.fill_hidden(image, 1 - front)
        return [Surface(back, None, self.level()), Surface(image, front, self.level())]

    def pasted(self, window: Pick) -> Surface:
        """Cut a random silhouette from another photograph."""
        alpha = surfaces.silhouette(self.window, self.c.thin, self.rng)
        return Surface(self.painted(window(True)[0]), alpha, self.level())

    def painted(self, image: Float32Array) -> Float32Array:
        return surfaces.wall(image, self.rng) if self.chance(self.c.walls) else image

    def focused(self, layers: list[Surface]) -> list[Surface]:
        """Put one of the surfaces exactly in focus, in a share of the scenes."""
        if not self.chance(self.c.in_focus):
            return layers
        k = int(self.rng.integers(len(layers)))
        layers[k] = Surface(layers[k].image, layers[k].alpha, 0.0)
        return layers

    def lit(self, layers: list[Surface]) -> list[Surface]:
        """Add light beyond white in a share of the scenes: highlights, and lamps on one surface."""
        rng, c = self.rng, self.c
        if self.chance(c.highlights):
            state = rng.integers(2**31)
            layers = [
                Surface(
                    surfaces.expand_highlights(s.image, np.random.default_rng(state)),
                    s.alpha,
                    s.level,
                )
                for s in layers
            ]
        if self.chance(c.lamps):
            k = int(rng.integers(len(layers))) if self.chance(0.4) else 0
            s = layers[k]
            layers[k] = Surface(surfaces.add_lamps(s.image, rng), s.alpha, s.level)
        return layers

    def level(self, flat: bool = False) -> float | Float32Array:
        """Draw a blur: mostly one level for a whole surface, sometimes a slope."""
        rng, c = self.rng, self.c
        if self.chance(c.wide):
            sigma = log_uniform(rng, float(sigma_of_level(N_LEVELS - 1)), WIDEST)
            return round(float(level_of_sigma(sigma)), 1)
        # Half a level more at both ends, clipped, gives the end levels the share of the others.
        level = float(np.clip(rng.uniform(-0.5, N_LEVELS - 0.5), 0, N_LEVELS - 1))
        if flat or not self.chance(c.sloped):
            return round(level, 1)
        other = float(np.clip(level + rng.normal(0, 2.5), 0, N_LEVELS - 1))
        return (level + (other - level) * surfaces.ramp(self.window, rng)).astype(np.float32)

    def plane(self) -> Float32Array:
        """Draw a surface through or near the focal plane: σ is linear in the distance from it."""
        rng = self.rng
        steep = log_uniform(rng, 0.5, float(sigma_of_level(N_LEVELS - 1)) * 1.2)
        t = surfaces.ramp(self.window, rng)
        focus = rng.uniform(-0.4, 1.0)
        return level_of_sigma(np.abs(t - np.float32(focus)) * np.float32(steep)).astype(np.float32)

    def render(
        self, layers: list[Surface], shape: PSFShape, linear: bool
    ) -> tuple[Float32Array, Float32Array]:
        """Compute the light on the sensor, and the level of the surface that each pixel shows."""
        n = self.window
        back, *others = layers
        seen = blur(back.image, back.level, shape)
        level = np.broadcast_to(np.float32(back.level), (n, n))
        for s in others:
            assert s.alpha is not None
            veil = blur(s.alpha, s.level, shape)
            seen = blur(s.image * s.alpha, s.level, shape) + (1 - veil) * seen
            level = np.where(s.alpha > 0.5, np.asarray(s.level, np.float32), level)
        return np.maximum(seen, 0), level

    def develop(self, x: Float32Array) -> Float32Array:
        """Add the effects of sensor and file: noise, sharpening, JPEG."""
        rng, c = self.rng, self.c
        if self.chance(c.noise):
            read, shot = np.exp(rng.uniform(np.log(0.3), np.log(8.0), 2)) / 255
            noise = rng.standard_normal(x.shape, np.float32)
            if self.chance(0.3):  # demosaicing and denoising leave noise that is not white
                noise = ndimage.gaussian_filter(noise, rng.uniform(0.3, 0.8)) * np.float32(1.5)
            x = x + synthesis.noise_deviation(x, read, shot).astype(np.float32) * noise
        if self.chance(c.sharpened):
            soft = ndimage.gaussian_filter(x, rng.uniform(0.6, 1.5))
            x = x + np.float32(rng.uniform(0.2, 1.0)) * (x - soft)
        x = np.clip(x, 0, 1).astype(np.float32)
        if self.chance(c.jpeg):
            pixels = np.round(x * 255).astype(np.uint8)
            pixels = synthesis.through_jpeg(pixels, quality=int(rng.integers(60, 101)))
            x = pixels.astype(np.float32) / np.float32(255)
        return x


def smooth_faint(x: Float32Array, size: int, eps: np.float32) -> Float32Array:
    """Smooth what is faint and keep strong edges: a guided filter with the scene as guide.

    Blur also removes the grain of the source photograph. Without sharp scenes that have no grain,
    the network would take the absence of grain for blur, and call every smooth surface from a
    camera that denoises out of focus.
    """
    mean = ndimage.uniform_filter(x, size)
    variance = np.maximum(ndimage.uniform_filter(x * x, size) - mean * mean, 0)
    gain = variance / (variance + eps)
    offset = ndimage.uniform_filter(mean * (1 - gain), size)
    return np.clip(ndimage.uniform_filter(gain, size) * x + offset, 0, 1)


def enlarge(window: NDArray, factor: float) -> NDArray:
    """Enlarge the middle of a window to the window's size."""
    n = window.shape[0]
    part = max(8, round(n / factor))
    start = (n - part) // 2
    middle = np.ascontiguousarray(window[start : start + part, start : start + part])
    if window.dtype == np.float32:
        big = Image.fromarray(middle).resize((n, n), Image.Resampling.BICUBIC)
        return np.clip(np.asarray(big, np.float32), 0, 1)
    at = np.arange(n) * part // n
    return middle[at[:, None], at]


def cell_labels(level: Float32Array) -> UInt8Array:
    """Compute the level of every cell in tenths: the upper median, clipped to the last level.

    At a depth edge, the median is the level of the surface that covers more of the cell. A mean
    would be that of neither surface, and teach the network levels that are nowhere in the scene.
    """
    n = level.shape[0] // CELL
    cells = level[: n * CELL, : n * CELL].reshape(n, CELL, n, CELL).swapaxes(1, 2)
    middle = np.partition(cells.reshape(n, n, CELL * CELL), CELL * CELL // 2)[..., CELL * CELL // 2]
    return np.round(np.clip(middle, 0, N_LEVELS - 1) * TENTHS).astype(np.uint8)
