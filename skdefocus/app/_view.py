"""A view: a photograph, the layer over it, and the files to save."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from skdefocus._images import check_image
from skdefocus._typing import AnyArray, Float32Array
from skdefocus.io import Photograph
from skdefocus.plotting import colored

#: Functions that write a file, by the ending of its name.
Files = Mapping[str, Callable[[Path], Any]]
#: Largest side in pixels of a picture that is sent to the page.
LARGEST = 8000


@dataclass(frozen=True, eq=False)
class View:
    """A photograph and the layer over it.

    Attributes
    ----------
    photo : Photograph
    layer : ndarray of shape (H, W) or (H, W, 3), float32
        A map, or a picture in [0, 1].
    top : float or None
        Value at the upper end of a map's colors; None for a picture.
    values : mapping of str to ndarray of shape (rows, columns)
        Values to show, by name, of pixels or of square cells.
    files : mapping of str to callable
        Functions that write a file, by the ending of its name.
    note : str
        Text to show.
    """

    photo: Photograph
    layer: Float32Array
    top: float | None
    values: Mapping[str, Float32Array]
    files: Files
    note: str = ""

    def facts(self) -> dict[str, Any]:
        """Return what the page has to know."""
        height, width = self.layer.shape[:2]
        size = {"width": width, "height": height}
        return {**size, "top": self.top, "note": self.note, "files": list(self.files)}

    def at(self, x: int, y: int) -> dict[str, float]:
        """Return the values at a pixel, or at the nearest one."""
        height, width = self.layer.shape[:2]
        x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
        cells = {name: -(-width // found.shape[1]) for name, found in self.values.items()}
        return {name: float(self.values[name][y // n, x // n]) for name, n in cells.items()}

    def drawn(self, above: bool, size: int) -> tuple[bytes, str]:
        """Draw the layer or the photograph for the page, and name the type of the picture."""
        if above and self.top is not None:
            return encoded(colored(self.layer, self.top), size, "PNG")
        return encoded(self.layer if above else self.photo.pixels, size, "JPEG")


def encoded(pixels: AnyArray, size: int, kind: str) -> tuple[bytes, str]:
    """Encode a picture with at most `size` pixels along its longer side; 0 is all of them."""
    if pixels.dtype != np.uint8:
        pixels = np.rint(check_image(pixels) * 255).astype(np.uint8)
    picture, file = Image.fromarray(pixels), io.BytesIO()
    size = min(size or LARGEST, LARGEST)
    picture.thumbnail((size, size), Image.Resampling.BOX)
    picture.save(file, kind, **({"compress_level": 1} if kind == "PNG" else {"quality": 92}))
    return file.getvalue(), f"image/{kind.lower()}"
