"""Maps of σ, out to files and in again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from skdefocus._images import check_map
from skdefocus._validation import check_real
from skdefocus.io._atomic import atomic_path
from skdefocus.io._read import ROWS

StrPath = str | os.PathLike[str]

#: What the name of a map in float32 ends in.
MAPS = (".tif", ".tiff", ".npy")
#: Of a PNG; more would only leave the range of floats.
MAX_SCALE = 1e9


def write_map(path: StrPath, sigma: ArrayLike, *, overwrite: bool = False) -> None:
    """Write a map as it is, in float32.

    Parameters
    ----------
    path : str or path
        Ends in ``.tif`` or ``.tiff`` (one uncompressed float32 channel, which ImageJ, QGIS, MATLAB,
        OpenCV and Pillow read) or ``.npy``.
    sigma : array_like of shape (H, W)
        σ in pixels.
    overwrite : bool, default=False
        See :func:`atomic_path`.

    Raises
    ------
    ValueError, TypeError
        If `path` ends in anything else or `sigma` is no map.
    OSError
        If the file cannot be written; FileExistsError if it is there. Nothing is left behind.

    Examples
    --------
    >>> import tempfile, pathlib, numpy as np
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "map.npy"
    >>> write_map(path, np.ones((2, 3)))
    >>> np.load(path).dtype
    dtype('float32')
    """
    values = check_map(sigma)
    suffix = Path(path).suffix.lower()
    if suffix not in MAPS:
        raise ValueError(f"path must end in {', '.join(MAPS)}, got {os.fspath(path)!r}")
    with atomic_path(path, overwrite) as temporary, open(temporary, "r+b") as file:
        if suffix == ".npy":
            head = np.lib.format.header_data_from_array_1_0(values)
            np.lib.format.write_array_header_1_0(file, head)
        else:
            import tifffile

            text = "Blur in pixels: standard deviation sigma of the equivalent Gaussian"
            place: Any = tifffile.imwrite(
                temporary, shape=values.shape, dtype=values.dtype, photometric="minisblack",
                description=text, metadata=None, software=None, returnoffset=True,
            )  # fmt: skip
            file.seek(place[0])
        # By Python and not by NumPy, whose error does not tell that the disk is full.
        for start in range(0, len(values), ROWS):
            file.write(values[start : start + ROWS].data)


def write_scaled_png(
    path: StrPath, sigma: ArrayLike, *, scale: float = 1000.0, overwrite: bool = False
) -> None:
    """Write a map as 16-bit grey PNG that any viewer opens; value = round(σ · scale).

    Parameters
    ----------
    path : str or path
    sigma : array_like of shape (H, W)
        σ in pixels, finite and ≥ 0.
    scale : float, default=1000
        Grey levels per pixel of σ, at most 10⁹. Stands in the file, as text ``sigma_scale``.
    overwrite : bool, default=False
        See :func:`atomic_path`.

    Raises
    ------
    ValueError, TypeError
        If `sigma` is no map, or does not fit: σ · scale must be within 0 … 65535.
    OSError
        See :func:`write_map`.

    Examples
    --------
    >>> import tempfile, pathlib, numpy as np
    >>> from PIL import Image
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "map.png"
    >>> write_scaled_png(path, np.full((2, 3), 1.5))
    >>> picture = Image.open(path)
    >>> picture.text["sigma_scale"], picture.getpixel((0, 0))
    ('1000', 1500)
    """
    values = check_map(sigma)
    scale = check_real(scale, "scale", 0, MAX_SCALE, above=True)
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high * scale <= np.iinfo(np.uint16).max):
        raise ValueError(
            f"sigma * scale must be within 0 to 65535, but sigma spans [{low:.6g}, {high:.6g}] "
            f"and scale is {scale:g}"
        )
    text = PngInfo()
    text.add_text("sigma_scale", f"{scale:g}")
    text.add_text(
        "Description", f"Blur: standard deviation sigma in pixels = value / sigma_scale ({scale:g})"
    )
    grey = np.empty(values.shape, np.uint16)
    for start in range(0, len(values), ROWS):
        part = values[start : start + ROWS] * np.float32(scale)
        grey[start : start + ROWS] = np.rint(part, out=part)
    with atomic_path(path, overwrite) as temporary:
        Image.fromarray(grey).save(temporary, format="PNG", pnginfo=text)
