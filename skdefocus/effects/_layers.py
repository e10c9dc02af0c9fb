"""Blurring a photograph by layers, so that nothing bleeds into what it hides."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from skdefocus._grids import tiles
from skdefocus._typing import Float32Array
from skdefocus.effects._convolution import Mirrored
from skdefocus.synthesis import from_linear, to_linear

#: Layers that a photograph is cut into, beside the one in focus.
LAYERS = 10
#: Share of a layer's content below which it is unknown what it shows.
UNSEEN = 1e-3

#: Makes the point spread function of a given σ.
MakePSF = Callable[[float], NDArray[np.float64]]


def blurred_behind(pixels: Float32Array, extra: Float32Array, make_psf: MakePSF) -> Float32Array:
    """Blur what lies behind the subject, the farther the more.

    Every layer is blurred by itself, with what nearer ones hide of it filled in from around, and
    laid over the farther ones.

    Parameters
    ----------
    pixels : ndarray of shape (H, W) or (H, W, C)
        The photograph, in [0, 1]; blurred in linear light.
    extra : ndarray of shape (H, W)
        σ in pixels of the blur to be added; 0 is the subject.
    make_psf : callable
        Gives the point spread function of a σ.

    Returns
    -------
    ndarray of the photograph's shape, float32

    Notes
    -----
    Works by tiles, so that memory does not grow with the photograph beyond the result.
    """
    # Ever wider steps: a difference of half a pixel shows where there is little blur only.
    knots = float(extra.max()) * np.linspace(0, 1, LAYERS + 1) ** 1.5
    kernels = [make_psf(float(knot)) for knot in knots]
    out = pixels.copy()
    for inner, outer in tiles(extra.shape, 1, len(kernels[-1]) // 2):
        part = extra[outer]
        if part.any():
            light = np.moveaxis(np.atleast_3d(to_linear(pixels[outer])), 2, 0)
            rows, columns = (
                slice(i.start - o.start, i.stop - o.start)
                for i, o in zip(inner, outer, strict=True)
            )
            done = np.clip(_tile(light, part, knots, kernels)[:, rows, columns], 0, 1)
            out[inner] = np.moveaxis(from_linear(done), 0, 2).reshape(out[inner].shape)
    return out


def _tile(
    light: Float32Array,
    extra: Float32Array,
    knots: NDArray[np.float64],
    kernels: list[NDArray[np.float64]],
) -> Float32Array:
    out: Float32Array | None = None
    for k in range(LAYERS, -1, -1):
        here_or_behind = _above(extra, knots, k)
        here_or_nearer = 1 - _above(extra, knots, k + 1)
        # What is not there, or is hidden by nothing and hides nothing, is no work.
        if not here_or_behind.any() or (out is not None and not here_or_nearer.any()):
            continue
        planes = np.concatenate([light * here_or_behind, here_or_behind[None]])
        planes = np.concatenate([planes, here_or_nearer[None]])
        planes = Mirrored(planes, len(kernels[k]) // 2).convolved(kernels[k])
        known, cover = planes[-2], np.clip(planes[-1], 0, 1)
        layer = planes[:-2] / np.maximum(known, UNSEEN)
        cover = np.where(known > UNSEEN, cover, 0)
        out = layer if out is None else cover * layer + (1 - cover) * out
    return light if out is None else out


def _above(extra: Float32Array, knots: NDArray[np.float64], k: int) -> Float32Array:
    """From 0 at the knot before `k` to 1 at knot `k`; every pixel reaches knot 0, none the end."""
    if k == 0 or k > LAYERS:
        return np.full_like(extra, k == 0)
    return np.asarray(np.clip((extra - knots[k - 1]) / (knots[k] - knots[k - 1]), 0, 1), np.float32)
