"""Blur of a photograph by layers, so that the subject does not bleed into its background."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from skdefocus._grids import Area, cell_means, enlarge, seen_from, tiles
from skdefocus._images import scaled
from skdefocus._typing import AnyArray, Float32Array, Float64Array
from skdefocus.effects._base import to_dtype
from skdefocus.effects._convolution import MirroredPlanes
from skdefocus.synthesis import from_linear, to_linear

#: Number of layers that a photograph is cut into, besides the one in focus.
LAYERS = 10
#: σ in pixels below which an additional blur is not worth the work.
LEAST = 0.05
#: σ in pixels by which the cover of the subject is softened, because a pixel on its outline shows
#: the background too. It was the best of 0, .4, .5, .6, .8 and 1.
OUTLINE = 1.0
#: Share of a kernel's weight below which the pixels that it covers are ignored.
UNSEEN = 1e-3
#: A layer is reduced as long as its σ remains at least this many pixels. The edge of a disc of
#: light (radius 2σ) is then softer than at full size by a thirtieth of its width.
REDUCED_SIGMA = 8.0

#: Function that makes the point spread function of a given σ.
MakePSF = Callable[[float], Float64Array]


@dataclass(frozen=True)
class _Layer:
    """One layer of a photograph; σ of the additional blur in pixels.

    Attributes
    ----------
    nearer, knot, farther : float
        σ of the next nearer layer, of this one, and of the next farther one. A pixel between two
        layers belongs to both in part.
    step : int
        Factor by which the layer is reduced.
    kernel : ndarray
        Point spread function of the reduced layer.
    """

    nearer: float
    knot: float
    farther: float
    step: int
    kernel: Float64Array

    @property
    def reach(self) -> int:
        return len(self.kernel) // 2

    def is_in(self, extra: Float32Array) -> bool:
        """Tell whether any pixel belongs to the layer."""
        return bool(((extra > self.nearer) & (extra < self.farther)).any())

    def planes(self, light: Float32Array, extra: Float32Array) -> Float32Array:
        """Return the layer's light, its membership, and that of this layer or farther ones.

        `light` has shape (channels, H, W), `extra` (H, W) and the result (channels + 2, H, W).
        """
        behind = _ramp(extra, self.nearer, self.knot)
        own = behind - _ramp(extra, self.knot, self.farther)
        return np.concatenate([light * own, own[None], behind[None]])

    def lay_over(self, planes: Float32Array, backdrop: Float32Array) -> Float32Array:
        """Blur the layer's planes and lay them over the backdrop.

        `backdrop` and the result hold light and coverage, (channels + 1, H, W).
        """
        planes = MirroredPlanes(planes, self.reach).convolved(self.kernel)
        # Nearer layers hide what is behind them: only the visible part of a kernel counts.
        weight = planes[-1]
        scale = np.where(weight > UNSEEN, 1 / np.maximum(weight, UNSEEN), 0).astype(np.float32)
        cover = np.clip(planes[-2] * scale, 0, 1)
        return planes[:-1] * scale + (1 - cover) * backdrop


def blur_background(pixels: AnyArray, extra: Float32Array, make_psf: MakePSF) -> AnyArray:
    """Blur what lies behind the subject.

    Each layer is blurred by itself and laid over the farther ones. If two layers share a kernel's
    window, each counts by the part of the window that its pixels fill. Pixels of nearer layers do
    not count. Layers of strong blur are worked on at reduced size.

    Parameters
    ----------
    pixels : ndarray of shape (H, W) or (H, W, 3)
        The checked photograph; blurred in linear light.
    extra : ndarray of shape (H, W), float32
        σ in pixels of the additional blur, somewhere > 0; 0 is the subject.
    make_psf : callable
        Makes the point spread function of a σ.

    Returns
    -------
    ndarray of the photograph's shape and dtype

    Notes
    -----
    Works by tiles. Besides the result, memory grows by no more than 12 bytes per pixel of color
    (7 of gray).
    """
    layers = _layers(float(extra.max()), make_psf)
    fine = [layer for layer in layers if layer.step == 1]
    reduced = [layer for layer in layers if layer.step > 1]
    backdrop, step = _reduced_layers(pixels, extra, reduced)
    out = pixels.copy()
    halo = max([round(4 * OUTLINE), *(layer.reach for layer in fine)])
    for inner, outer in tiles(extra.shape, 1, halo):
        changes = extra[inner] >= LEAST
        if not changes.any():
            continue
        light, found = _light(pixels[outer]), _enlarge_planes(backdrop, step, outer)
        for layer in fine:
            if layer.is_in(extra[outer]):
                found = layer.lay_over(layer.planes(light, extra[outer]), found)
        cover = 1 - _ramp(extra[outer], 0, layers[-1].knot)
        found = _lay_subject(light, cover, found)[:, *seen_from(outer, inner)]
        encoded = from_linear(np.clip(found[:-1] / np.maximum(found[-1], UNSEEN), 0, 1))
        part = to_dtype(np.moveaxis(encoded, 0, 2).reshape(out[inner].shape), out.dtype)
        where = changes.reshape(changes.shape + (1,) * (pixels.ndim - 2))
        np.copyto(out[inner], part, where=where)
    return out


def _lay_subject(light: Float32Array, cover: Float32Array, backdrop: Float32Array) -> Float32Array:
    """Lay the parts of the photograph that are in focus over the backdrop."""
    cover = ndimage.gaussian_filter(cover, OUTLINE)
    return np.concatenate([light * cover, cover[None]]) + (1 - cover) * backdrop


def _layers(largest: float, make_psf: MakePSF) -> list[_Layer]:
    """Return the layers for additional blurs up to a σ, the farthest first, without the subject."""
    # Steps grow: half a pixel more is visible only where there is little blur.
    knots = largest * np.linspace(0, 1, LAYERS + 1) ** 1.5
    around = [*map(float, knots), 2 * largest + 1]
    layers = []
    for nearer, knot, farther in zip(around, around[1:], around[2:], strict=False):
        step = 2 ** max(int(np.log2(knot / REDUCED_SIGMA)), 0)
        # Means over cells and the interpolation between these blur by a variance of step² / 4.
        variance = (knot / step) ** 2 - (0.25 if step > 1 else 0)
        layers.append(_Layer(nearer, knot, farther, step, make_psf(float(np.sqrt(variance)))))
    return layers[::-1]


def _reduced_layers(
    pixels: AnyArray, extra: Float32Array, layers: list[_Layer]
) -> tuple[Float32Array, int]:
    """Return the layers laid over each other, in linear light, and their factor of reduction."""
    planes_of_light = 1 if pixels.ndim == 2 else 3
    step = layers[0].step if layers else 64
    backdrop = np.zeros((planes_of_light + 1, *_cells(extra.shape, step)), np.float32)
    for layer in layers:
        size = _cells(extra.shape, layer.step)
        if step != layer.step:
            area = slice(0, size[0]), slice(0, size[1])
            backdrop, step = _enlarge_planes(backdrop, step // layer.step, area), layer.step
        planes = _reduced_planes(pixels, extra, layer)
        for inner, outer in tiles(size, 1, layer.reach):
            part = planes[:, *outer]
            if part[-2].any():
                found = layer.lay_over(part, backdrop[:, *outer])
                backdrop[:, *inner] = found[:, *seen_from(outer, inner)]
    return backdrop, step


def _reduced_planes(pixels: AnyArray, extra: Float32Array, layer: _Layer) -> Float32Array:
    """Return the means of a layer's planes over cells of `step` by `step` pixels."""
    size = _cells(extra.shape, layer.step)
    out = np.zeros((3 if pixels.ndim == 2 else 5, *size), np.float32)
    for area, _ in tiles(extra.shape, layer.step, 0):
        cells = tuple(slice(s.start // layer.step, -(-s.stop // layer.step)) for s in area)
        if layer.is_in(extra[area]):
            planes = layer.planes(_light(pixels[area]), extra[area])
            for plane, means in zip(planes, out, strict=True):
                means[cells] = cell_means(plane, layer.step)
        else:
            behind = (extra[area] >= layer.farther).astype(np.float32)
            out[-1][cells] = cell_means(behind, layer.step)
    return out


def _enlarge_planes(planes: Float32Array, step: int, area: Area) -> Float32Array:
    """Interpolate each of several planes from cells to the pixels of an area."""
    return np.stack([enlarge(plane, step, area) for plane in planes])


def _light(pixels: AnyArray) -> Float32Array:
    """Convert a part of a photograph to linear light, (channels, H, W)."""
    return np.moveaxis(np.atleast_3d(to_linear(scaled(pixels))), 2, 0)


def _cells(shape: tuple[int, ...], step: int) -> tuple[int, int]:
    return -(-shape[0] // step), -(-shape[1] // step)


def _ramp(x: Float32Array, start: float, stop: float) -> Float32Array:
    """Rise from 0 at `start` and below to 1 at `stop` and above."""
    return np.asarray(np.clip((x - start) / (stop - start), 0, 1), np.float32)
