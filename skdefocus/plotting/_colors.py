"""Small pictures in the colors of maps, without matplotlib, as pages in HTML need them."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping
from importlib import resources

import numpy as np
from PIL import Image

from skdefocus._images import scaled
from skdefocus._typing import AnyArray, FloatArray, UInt8Array

#: Matplotlib's color map "inferno" at 33 values, evenly spaced; between them it is nearly linear.
INFERNO = (
    *("000004", "040312", "0b0724", "150b37", "210c4a", "2e0a5a", "3c0965", "4a0c6b", "57106d"),
    *("63146e", "70196e", "7d1e6d", "89226a", "962766", "a32b61", "af315c", "bb3755", "c63e4d"),
    *("d14644", "db4f3b", "e35932", "eb6528", "f1711e", "f67f14", "f98d0a", "fb9c06", "fcab0f"),
    *("fbba1f", "f9ca32", "f5d949", "f2e865", "f3f586", "fcffa4"),
)
#: Pixels of the source per side of a pixel of a thumbnail that are averaged; others are skipped.
SAMPLES = 4


def colored(values: FloatArray, top: float) -> UInt8Array:
    """Color a map as :func:`show_map` does, without matplotlib; NaN becomes gray.

    Parameters
    ----------
    values : ndarray of shape (H, W), floating point
    top : float
        Value of the brightest color, > 0; the darkest one is 0. Values outside get those colors.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
    """
    anchors = np.array([list(bytes.fromhex(color)) for color in INFERNO], float)
    positions = np.linspace(0, 255, len(anchors))
    table = np.stack([np.interp(np.arange(256), positions, c) for c in anchors.T], axis=1)
    unknown = np.isnan(values)
    index = np.clip(np.where(unknown, 0, values) * np.float32(255 / top), 0, 255).round()
    pixels: UInt8Array = table.round().astype(np.uint8)[index.astype(np.intp)]
    pixels[unknown] = 128
    return pixels


def gradient() -> str:
    """Return the colors from dark to bright as the color stops of a gradient in CSS."""
    return ", ".join(f"#{color}" for color in INFERNO)


def thumbnail(pixels: AnyArray, side: int) -> AnyArray:
    """Shrink a picture or map so that neither side has more than `side` pixels.

    Parameters
    ----------
    pixels : ndarray of shape (H, W) or (H, W, 3)
        A checked photograph, or a map as float32. Most of a large one is skipped, so that little
        of one that is mapped from a file is read.
    side : int
        Largest width and height.

    Returns
    -------
    ndarray of shape (h, w) or (h, w, 3)
        uint8 for a photograph in color or of 8 bits, float32 otherwise.
    """
    height, width = pixels.shape[:2]
    stride = max(1, max(height, width) // (SAMPLES * side))
    part = pixels[::stride, ::stride]
    factor = min(1.0, side / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    if part.ndim == 3:
        part = as_bytes(part)
    elif part.dtype != np.uint8:
        part = scaled(part)
    shrunk = Image.fromarray(np.ascontiguousarray(part)).resize(size, Image.Resampling.BOX)
    return np.asarray(shrunk)


def as_bytes(pixels: AnyArray) -> UInt8Array:
    """Convert a checked picture to uint8."""
    return pixels if pixels.dtype == np.uint8 else (255 * scaled(pixels)).round().astype(np.uint8)


def filled_page(package: str, name: str, fields: Mapping[str, str]) -> str:
    """Read a page in HTML that a package holds, and put texts in place of ``{{name}}``."""
    page = resources.files(package).joinpath(name).read_text("utf-8")
    for key, text in fields.items():
        page = page.replace("{{" + key + "}}", text)
    return page


def as_jpeg_uri(pixels: AnyArray, quality: int = 80) -> str:
    """Encode a small picture as a JPEG in a ``data:`` address, as pages hold pictures.

    Parameters
    ----------
    pixels : ndarray of shape (H, W) or (H, W, 3)
        A checked picture, such as a :func:`thumbnail`.
    quality : int
        Of the JPEG, from 1 to 95.
    """
    file = io.BytesIO()
    Image.fromarray(as_bytes(pixels)).save(file, format="JPEG", quality=quality, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def logarithmic_share(sigma: FloatArray, top: float) -> FloatArray:
    """Return positions from 0 to 1 on a scale that is even in log(σ + 1/2), as levels are."""
    share: FloatArray = np.log1p(2 * sigma) / math.log1p(2 * top)
    return share
