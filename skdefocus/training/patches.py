"""A data set of crops with known blur, made from in-focus photographs.

``python -m skdefocus.training.patches --images DIR --out FILE`` writes one ``.npy`` file of
records (memory-mapped, so memory stays bounded) and ``FILE.json`` with how it was made. A record
is a crop and the σ of each 32×32 window in it, every 8 pixels; ``--size 32`` gives plain patches.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from PIL import Image
from scipy import fft, ndimage
from tqdm import tqdm

from skdefocus import synthesis
from skdefocus._blur import PSFShape
from skdefocus.training.levels import N_LEVELS, level_sigmas, sigma_of_level

PATCH = 32
STRIDE = 8
#: Room around a crop for the PSF (4 σ of the largest Gaussian) and for a shifted JPEG grid.
PSF_MARGIN = 32
JPEG_MARGIN = 8
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


def edge_blur_blocks(image: Float, block: int = BLOCK) -> NDArray[np.int8]:
    """Tell in which blocks of a photograph the sharpest strong edge is really sharp.

    An edge's own σ follows from how much its gradient falls when it is blurred by σ = 1 more
    (Zhuo and Sim, Pattern Recognition 2011): with ratio R, σ = 1 / √(R² − 1).

    Parameters
    ----------
    image : ndarray of shape (H, W), float32 in [0, 1]
    block : int
        Side of the blocks in pixels.

    Returns
    -------
    ndarray of shape (H // block, W // block), int8
        1: the strongest edge has σ below 1 px; -1: it is softer than that; 0: there is no edge
        strong enough to tell (gradient below 0.03 per pixel).
    """
    again = ndimage.gaussian_filter(image, 1.0)

    def slope(x: Float) -> Float:
        return np.hypot(ndimage.sobel(x, 0), ndimage.sobel(x, 1)) / 8

    before, after = slope(image), slope(again)
    rows, cols = image.shape[0] // block, image.shape[1] // block

    def blocks(x: Float) -> Float:
        x = x[: rows * block, : cols * block].reshape(rows, block, cols, block)
        return x.swapaxes(1, 2).reshape(rows, cols, block * block)

    before, after = blocks(before), blocks(after)
    at = before.argmax(axis=-1)[..., None]
    top = np.take_along_axis(before, at, -1)[..., 0]
    ratio = top / np.maximum(np.take_along_axis(after, at, -1)[..., 0], 1e-6)
    sharp = ratio > np.sqrt(2.0)  # σ < 1
    return np.where(top < 0.03, 0, np.where(sharp, 1, -1)).astype(np.int8)


def is_in_focus(image: Float) -> bool:
    """Whether a photograph is sharp all over, so that a blur added to it is all that it has.

    Of the blocks with a strong edge at most a tenth may be soft, and four blocks in ten must be
    sharp.
    """
    state = edge_blur_blocks(image)
    sharp, soft = float((state == 1).mean()), float((state == -1).mean())
    return sharp >= 0.4 and soft <= 0.1 * (sharp + soft)


Places = NDArray[np.intp]


def crop_places(image: Float, window: int) -> tuple[Places, Places, Places]:
    """Top-left corners of the windows that may be used, on the grid of blocks.

    A window may be used if no more than one in ten of its blocks has a soft strong edge and a
    sharp block lies in it or within three blocks of it, so that a flat window is (most probably)
    a flat part of something in focus and not a blurred background.

    Returns
    -------
    textured, flat, any : ndarray of shape (n, 2)
        Corners of windows of which a fifth of the blocks or more is sharp, of those without a
        strong edge in the middle, and of all.
    """
    state = edge_blur_blocks(image)
    n = window // BLOCK
    if min(state.shape) < n:
        none = np.empty((0, 2), np.intp)
        return none, none, none
    view = np.lib.stride_tricks.sliding_window_view
    soft = view(state == -1, (n, n)).mean(axis=(2, 3))
    sharp = view(state == 1, (n, n)).mean(axis=(2, 3))
    near = view(ndimage.binary_dilation(state == 1, np.ones((7, 7))), (n, n)).any(axis=(2, 3))
    usable = (soft <= 0.1) & near
    rim = n // 4
    middle = view(state != 0, (n, n))[:, :, rim : n - rim, rim : n - rim]
    flat = usable & ~middle.any(axis=(2, 3))
    textured = usable & (sharp >= 0.2)
    return tuple(np.argwhere(where) * BLOCK for where in (textured, flat, usable))


@lru_cache(maxsize=1024)
def _transfer(sigma: float, shape: PSFShape, size: int) -> Float:
    """The PSF's transfer function on a periodic window (real, as the PSF is symmetric)."""
    kernel = synthesis.psf(sigma, shape)
    r = len(kernel) // 2
    plane = np.zeros((size, size))
    plane[: len(kernel), : len(kernel)] = kernel
    return fft.rfft2(np.roll(plane, (-r, -r), (0, 1))).real.astype(np.float32)


class _Crop:
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


def photographs(folder: Path) -> list[Path]:
    """The image files of a folder, in the order of their names."""
    kinds = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in kinds)


def read_grey(path: Path) -> Float:
    with Image.open(path) as image:
        if image.mode.startswith("I;16"):
            return np.asarray(image, np.float32) / 65535
        return np.asarray(image.convert("L"), np.float32) / 255


def is_validation(path: Path) -> bool:
    """One photograph in ten, by a hash of its name: the same in every run and folder."""
    return hashlib.sha256(path.name.encode()).digest()[0] < 26


def record_type(size: int) -> np.dtype[Any]:
    n = (size - PATCH) // STRIDE + 1
    return np.dtype(
        [("crop", "u1", (size, size)), ("sigma", "f4", (n, n)), ("photo", "i4"), ("textured", "?")]
    )


def crops_of(
    path: Path, other: Path, number: int, count: int, size: int, conditions: Conditions, seed: int
) -> NDArray[Any]:
    """`count` records from one photograph (`other` lends backgrounds); empty if it is soft."""
    rng = np.random.default_rng([seed, number])
    maker = _Crop(size, conditions, rng)
    views = []
    for p in (path, other):
        image = read_grey(p)
        # Half size is as sharp as can be and shows the same things at another scale.
        small = ndimage.uniform_filter(image, 2)[1::2, 1::2]
        views.append([(im, *crop_places(im, maker.window)) for im in (image, small)])
    own, lent = views
    if not len(own[0][3]):
        return np.empty(0, record_type(size))

    def pick(pair: list[Any], kind: int) -> Float:
        reduced = rng.random() < conditions.reduced and len(pair[1][3]) > 0
        image, *places = pair[1 if reduced else 0]
        if not len(places[2]):
            return pick(own, kind)
        corners = places[kind] if len(places[kind]) else places[2]
        i, j = corners[rng.integers(len(corners))] + rng.integers(0, BLOCK, 2)
        i, j = min(i, image.shape[0] - maker.window), min(j, image.shape[1] - maker.window)
        return np.asarray(image[i : i + maker.window, j : j + maker.window])

    out = np.empty(count, record_type(size))
    shares = np.cumsum([conditions.textured, conditions.flat])
    for k in range(count):
        kind = int(np.searchsorted(shares, rng.random(), side="right"))
        crop, sigma = maker.draw(pick(own, kind), pick(lent, kind))
        out[k] = (crop, sigma, number, kind == 0)
    return out


def make(
    images: Path,
    out: Path,
    *,
    count: int,
    size: int,
    seed: int,
    n_jobs: int,
    conditions: Conditions,
) -> dict[str, Any]:
    """Write the data set; returns (and writes beside it) the facts of how it was made."""
    paths = photographs(images)
    if not paths:
        raise SystemExit(f"no photographs in {images}")
    each = -(-count // len(paths))
    jobs = (
        delayed(crops_of)(p, paths[(i * 7 + 3) % len(paths)], i, each, size, conditions, seed)
        for i, p in enumerate(paths)
    )
    part = out.with_suffix(".part")
    kept, digest = [], hashlib.sha256()
    with part.open("wb") as stream:
        for records in tqdm(
            Parallel(n_jobs=n_jobs, return_as="generator")(jobs), total=len(paths), unit="photo"
        ):
            kept.append(len(records))
            digest.update(records.tobytes())
            stream.write(records.tobytes())
    total = sum(kept)
    if not total:
        part.unlink()
        raise SystemExit(f"no photograph in {images} is in focus")
    target = np.lib.format.open_memmap(out, "w+", record_type(size), (total,))
    source = np.memmap(part, record_type(size), "r", shape=(total,))
    for start in range(0, total, 4096):
        target[start : start + 4096] = source[start : start + 4096]
    target.flush()
    part.unlink()
    facts = {
        "records": total,
        "windows": total * int(np.prod(record_type(size)["sigma"].shape)),
        "size": size,
        "seed": seed,
        "sigmas": level_sigmas().tolist(),
        "conditions": asdict(conditions),
        "photographs": [p.name for p in paths],
        "validation": [is_validation(p) for p in paths],
        "dropped": [p.name for p, k in zip(paths, kept, strict=True) if not k],
        "digest": digest.hexdigest(),
    }
    out.with_suffix(".json").write_text(json.dumps(facts, indent=1))
    return facts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=100_000, help="crops")
    parser.add_argument("--size", type=int, default=64, help="side of a crop in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    facts = make(
        args.images, args.out, count=args.count, size=args.size, seed=args.seed,
        n_jobs=args.jobs, conditions=Conditions(),
    )  # fmt: skip
    print(f"{facts['records']} crops, {facts['windows']} windows, dropped {facts['dropped']}")


if __name__ == "__main__":
    # Workers unpickle functions by their module's name, which must not be "__main__".
    from skdefocus.training import patches

    patches.main()
