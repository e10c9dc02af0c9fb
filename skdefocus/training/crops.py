"""One crop of the data set: surfaces with known blur, and what camera and file make of them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import fft, ndimage

from skdefocus import synthesis
from skdefocus._typing import PSFShape
from skdefocus.training.levels import N_LEVELS, sigma_of_level

PATCH = 32
STRIDE = 8
#: Room around a crop for the PSF (4 σ of the largest Gaussian) and for a shifted JPEG grid.
PSF_MARGIN = 32
JPEG_MARGIN = 8
#: Windows that crops are cut from have a side that is a multiple of this.
BLOCK = 16

Float = NDArray[np.float32]


@dataclass(frozen=True)
class Conditions:
    """Shares and ranges of what happens to a crop between the scene and the file."""

    gradient: float = 0.15
    edge: float = 0.45
    thin: float = 0.3
    disc: float = 0.4
    linear_light: float = 0.7
    dark: float = 0.1
    noise: float = 0.7
    sharpened: float = 0.1
    jpeg: float = 0.6
    reduced: float = 0.25
    denoised: float = 0.6
    textured: float = 0.4
    flat: float = 0.25


@lru_cache(maxsize=1024)
def _transfer(sigma: float, shape: PSFShape, size: int) -> Float:
    """The PSF's transfer function on a periodic window (real, as the PSF is symmetric)."""
    kernel = synthesis.psf(sigma, shape)
    r = len(kernel) // 2
    plane = np.zeros((size, size))
    plane[: len(kernel), : len(kernel)] = kernel
    return fft.rfft2(np.roll(plane, (-r, -r), (0, 1))).real.astype(np.float32)


class Crop:
    """Draws one crop at a time from the photographs; all randomness comes from `rng`."""

    def __init__(self, size: int, conditions: Conditions, rng: np.random.Generator) -> None:
        self.size, self.c, self.rng = size, conditions, rng
        self.inner = size + 2 * JPEG_MARGIN
        self.window = -(-(self.inner + 2 * PSF_MARGIN) // BLOCK) * BLOCK

    def level(self) -> float:
        # A tenth of a level is finer than anything that can be told apart, and lets the
        # transfer functions be kept. Half a level more on either side, cut off, gives the first
        # and the last level the share of the others.
        return float(np.clip(self.rng.integers(-5, 10 * N_LEVELS - 5) / 10, 0, N_LEVELS - 1))

    def blur(self, spectrum: NDArray[np.complex64], level: float, shape: PSFShape) -> Float:
        sigma = float(sigma_of_level(level))
        product = spectrum * _transfer(sigma, shape, self.window)
        x = fft.irfft2(product, s=(self.window, self.window))
        m = (self.window - self.inner) // 2
        return np.asarray(x[m : m + self.inner, m : m + self.inner], np.float32)

    def draw(self, scene: Float, behind: Float) -> tuple[NDArray[np.uint8], Float]:
        """Photograph `scene` (and `behind` it another) with a random lens, sensor and file."""
        rng, c = self.rng, self.c
        linear = rng.random() < c.linear_light
        shape: PSFShape = "disc" if rng.random() < c.disc else "gaussian"
        if rng.random() < c.denoised:
            scene, behind = self.denoise(scene), self.denoise(behind)
        scene, behind = self.expose(scene, behind)
        if linear:
            scene, behind = synthesis.to_linear(scene), synthesis.to_linear(behind)
        kind = rng.random()
        if kind < c.edge:
            x, sigma = self.two_layers(scene, behind, shape)
        elif kind < c.edge + c.gradient:
            x, sigma = self.slope(scene, shape)
        else:
            level = self.level()
            x = self.blur(fft.rfft2(scene), level, shape)
            sigma = np.full((self.inner, self.inner), sigma_of_level(level), np.float32)
        x = np.clip(x, 0, 1)
        x = self.develop(synthesis.from_linear(x) if linear else x)
        # A random phase against the JPEG grid of 8 pixels.
        i, j = rng.integers(0, 2 * JPEG_MARGIN, 2)
        crop, sigma = (a[i : i + self.size, j : j + self.size] for a in (x, sigma))
        return np.round(crop * 255).astype(np.uint8), window_sigma(sigma)

    def denoise(self, x: Float) -> Float:
        """Smooth what is faint and keep strong edges: a guided filter with the scene as guide.

        Blur also removes the grain of the source photograph. Without scenes that are sharp and
        have none, the network would take its absence for blur, and call every smooth surface
        from a camera that denoises out of focus.
        """
        size = 2 * int(self.rng.integers(1, 6)) + 1
        eps = np.float32(np.exp(self.rng.uniform(np.log(2), np.log(20))) / 255) ** 2
        mean = ndimage.uniform_filter(x, size)
        variance = np.maximum(ndimage.uniform_filter(x * x, size) - mean * mean, 0)
        gain = variance / (variance + eps)
        offset = ndimage.uniform_filter(mean * (1 - gain), size)
        return np.clip(ndimage.uniform_filter(gain, size) * x + offset, 0, 1)

    def expose(self, *scenes: Float) -> list[Float]:
        """Contrast, exposure and tone curve, the same for all that is in the scene."""
        rng = self.rng
        if rng.random() < self.c.dark:
            gain, lift = float(np.exp(rng.uniform(np.log(0.03), np.log(0.3)))), 0.0
        else:
            gain = rng.uniform(0.35, 1.0)
            lift = rng.uniform(0, 1 - gain)
        gamma = np.float32(np.exp(rng.uniform(-0.5, 0.5)))
        return [np.asarray(x**gamma * gain + lift, np.float32) for x in scenes]

    def slope(self, scene: Float, shape: PSFShape) -> tuple[Float, Float]:
        """A tilted plane: σ² changes evenly between two levels across the crop."""
        low, high = sorted((self.level(), self.level()))
        high = min(high, low + 7.0)  # steeper planes are edges
        levels = np.linspace(low, high, max(2, int(np.ceil(high - low)) + 1))
        steps = sigma_of_level(levels) ** 2
        angle = self.rng.uniform(0, 2 * np.pi)
        t = np.linspace(-0.5, 0.5, self.inner)
        ramp = np.cos(angle) * t[:, None] + np.sin(angle) * t
        ramp = (ramp - ramp.min()) / np.ptp(ramp)
        variance = sigma_of_level(low + (high - low) * ramp) ** 2
        spectrum = fft.rfft2(scene)
        out = np.zeros((self.inner, self.inner), np.float32)
        for k, level in enumerate(np.round(levels, 1)):
            hat = (
                np.interp(variance, steps, np.eye(len(steps))[k]) if high > low else 1.0 * (k == 0)
            )
            out += np.asarray(hat, np.float32) * self.blur(spectrum, float(level), shape)
        return out, np.sqrt(variance).astype(np.float32)

    def two_layers(self, scene: Float, behind: Float, shape: PSFShape) -> tuple[Float, Float]:
        """An occluding edge: a foreground with its own blur over a background with another."""
        front, back = self.level(), self.level()
        alpha = self.silhouette()
        veil = self.blur(fft.rfft2(alpha), front, shape)
        near = self.blur(fft.rfft2(scene * alpha), front, shape)
        far = self.blur(fft.rfft2(behind), back, shape)
        m = (self.window - self.inner) // 2
        shows = alpha[m : m + self.inner, m : m + self.inner] > 0.5
        sigma = np.where(shows, sigma_of_level(front), sigma_of_level(back)).astype(np.float32)
        return near + (1 - veil) * far, sigma

    def silhouette(self) -> Float:
        """Coverage of a foreground: a bent half plane, blobs or thin lines, anti-aliased."""
        rng, n = self.rng, self.window
        scale = float(np.exp(rng.uniform(np.log(6), np.log(40))))
        # Low-pass noise, made on a coarse grid since it is smooth.
        coarse = rng.standard_normal((n // 4, n // 4)).astype(np.float32)
        coarse = ndimage.gaussian_filter(coarse, scale / 4, mode="wrap")
        field = ndimage.zoom(coarse / coarse.std(), 4, order=1, mode="grid-wrap", grid_mode=True)
        t = np.linspace(-1, 1, n, dtype=np.float32)
        angle = rng.uniform(0, 2 * np.pi)
        plane = np.float32(np.cos(angle)) * t[:, None] + np.float32(np.sin(angle)) * t
        field = field * np.float32(rng.uniform(0.0, 0.6)) + plane * np.float32(rng.uniform(1, 4))
        field -= np.float32(rng.normal(0, 0.4))
        steepness = 1 / max(float(np.abs(np.gradient(field)[0]).mean()), 1e-3)
        inside = field * np.float32(steepness)
        if rng.random() < self.c.thin:  # hairs, twigs, wires: lines along the outline
            width = np.float32(np.exp(rng.uniform(np.log(1), np.log(8))))
            apart = 3 * width + np.float32(rng.uniform(5, 80))
            inside = width / 2 - np.abs((inside + apart / 2) % apart - apart / 2)
        return np.clip(inside + 0.5, 0, 1).astype(np.float32)

    def develop(self, x: Float) -> Float:
        """What sensor and file add: noise, sharpening, JPEG."""
        rng, c = self.rng, self.c
        if rng.random() < c.noise:
            read, shot = np.exp(rng.uniform(np.log(0.3), np.log(8.0), 2)) / 255
            spread = np.sqrt(read**2 + shot**2 * x).astype(np.float32)
            noise = rng.standard_normal(x.shape, np.float32)
            if rng.random() < 0.3:  # demosaicing and denoising leave noise that is not white
                noise = ndimage.gaussian_filter(noise, rng.uniform(0.3, 0.8)) * np.float32(1.5)
            x = x + spread * noise
        if rng.random() < c.sharpened:
            soft = ndimage.gaussian_filter(x, rng.uniform(0.6, 1.5))
            x = x + np.float32(rng.uniform(0.2, 1.0)) * (x - soft)
        x = np.clip(x, 0, 1)
        if rng.random() < c.jpeg:
            buffer = io.BytesIO()
            image = Image.fromarray(np.round(x * 255).astype(np.uint8))
            image.save(buffer, "JPEG", quality=int(rng.integers(60, 101)))
            x = np.asarray(Image.open(buffer), np.float32) / 255
        return x


def window_sigma(sigma: Float) -> Float:
    """σ of every 32×32 window, every 8 pixels: the median over its central 8×8 pixels.

    At a depth edge it is that of the surface which covers more of them; a mean would be the σ of
    neither, and teach the network to answer with what is nowhere in the scene.
    """
    first = (PATCH - STRIDE) // 2
    n = (sigma.shape[0] - PATCH) // STRIDE + 1
    middle = sigma[first : first + n * STRIDE, first : first + n * STRIDE]
    middle = middle.reshape(n, STRIDE, n, STRIDE).swapaxes(1, 2).reshape(n, n, STRIDE * STRIDE)
    # The upper of the two middle values: their mean could again lie between two surfaces.
    return np.partition(middle, STRIDE * STRIDE // 2)[..., STRIDE * STRIDE // 2].astype(np.float32)
