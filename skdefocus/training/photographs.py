"""Photographs for the scenes: which are in focus, where, and their outlines."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from skimage.segmentation import felzenszwalb

from skdefocus._typing import Float32Array, IndexArray

Places = IndexArray

#: Side in pixels of the blocks on whose grid the windows for crops begin.
BLOCK = 16


def edge_blur_blocks(image: Float32Array, block: int = BLOCK) -> NDArray[np.int8]:
    """Find the blocks of a photograph whose strongest edge is sharp.

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

    def slope(x: Float32Array) -> Float32Array:
        return np.hypot(ndimage.sobel(x, 0), ndimage.sobel(x, 1)) / 8

    before, after = slope(image), slope(again)
    rows, cols = image.shape[0] // block, image.shape[1] // block

    def blocks(x: Float32Array) -> Float32Array:
        x = x[: rows * block, : cols * block].reshape(rows, block, cols, block)
        return x.swapaxes(1, 2).reshape(rows, cols, block * block)

    before, after = blocks(before), blocks(after)
    at = before.argmax(axis=-1)[..., None]
    top = np.take_along_axis(before, at, -1)[..., 0]
    ratio = top / np.maximum(np.take_along_axis(after, at, -1)[..., 0], 1e-6)
    sharp = ratio > np.sqrt(2.0)  # σ < 1
    return np.where(top < 0.03, 0, np.where(sharp, 1, -1)).astype(np.int8)


def is_in_focus(image: Float32Array) -> bool:
    """Tell whether a photograph is sharp all over, so that its only blur is the one added to it.

    Of the blocks with a strong edge at most a tenth may be soft, and four blocks in ten must be
    sharp.
    """
    state = edge_blur_blocks(image)
    sharp, soft = float((state == 1).mean()), float((state == -1).mean())
    return sharp >= 0.4 and soft <= 0.1 * (sharp + soft)


def crop_places(image: Float32Array, window: int) -> tuple[Places, Places, Places]:
    """Find the top-left corners of the usable windows, on the grid of blocks.

    A window is usable if at most one in ten of its blocks has a soft strong edge, and a sharp block
    lies in it or within three blocks of it. So a flat window is most probably a flat part of
    something in focus and not a blurred background.

    Returns
    -------
    textured, flat, any : ndarray of shape (n, 2)
        Corners of windows with at least a fifth of sharp blocks, of those without a strong edge in
        the middle, and of all usable ones.
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


def photographs(folder: Path) -> list[Path]:
    """List the image files of a folder, sorted by name."""
    kinds = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in kinds)


def read_gray(path: Path) -> Float32Array:
    with Image.open(path) as image:
        if image.mode.startswith("I;16"):
            return np.asarray(image, np.float32) / 65535
        return np.asarray(image.convert("L"), np.float32) / 255


def is_validation(path: Path) -> bool:
    """Select one photograph in ten by a hash of its name: the same in every run and folder."""
    return hashlib.sha256(path.name.encode()).digest()[0] < 26


@dataclass(frozen=True)
class View:
    """A photograph at one scale, ready to cut windows from.

    Attributes
    ----------
    image : ndarray of shape (H, W), float32 in [0, 1]
    regions : ndarray of shape (H, W), uint16
        Segments along the photograph's own outlines.
    places : tuple of ndarray of shape (n, 2)
        Corners of textured, of flat and of all usable windows; see `crop_places`.
    """

    image: Float32Array
    regions: NDArray[np.uint16]
    places: tuple[Places, Places, Places]


def outlines(image: Float32Array) -> NDArray[np.uint16]:
    """Segment a photograph along its outlines (Felzenszwalb and Huttenlocher, IJCV 2004)."""
    found = felzenszwalb(image, scale=150, sigma=0.8, min_size=300)
    return np.minimum(found, np.iinfo(np.uint16).max).astype(np.uint16)


def views(path: Path, window: int, cache: Path | None = None) -> list[View]:
    """Prepare a photograph at full and at half size, at which it is as sharp as it can be.

    Segmentation takes most of the time, so segments are kept in the folder `cache`.
    """
    image = read_gray(path)
    kept = cache / f"{path.stem}.regions.npz" if cache else None
    if kept and kept.exists():
        regions = np.load(kept)["regions"]
    else:
        regions = outlines(image)
        if kept:
            part = kept.with_suffix(f".{os.getpid()}.part")
            with part.open("wb") as stream:
                np.savez_compressed(stream, regions=regions)
            part.replace(kept)
    half = ndimage.uniform_filter(image, 2)[1::2, 1::2]
    pairs = (image, regions), (half, regions[1::2, 1::2])
    return [View(im, reg, crop_places(im, window)) for im, reg in pairs]
