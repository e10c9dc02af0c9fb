"""Writing and reading of σ maps."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from skdefocus._images import check_map
from skdefocus._typing import AnyArray, Float32Array, StrPath
from skdefocus._validation import check_int, check_real
from skdefocus.io._atomic import atomic_path
from skdefocus.io._errors import MAX_PIXELS, ReadError, check_size
from skdefocus.io._read import ROWS, open_regular, open_with_pillow, readable
from skdefocus.io._tiff import TIFF_MAGIC, tiff_pixels

#: Endings of the names of maps in float32.
MAPS = (".tif", ".tiff", ".npy")
#: Largest scale of a PNG; larger ones would only overflow.
MAX_SCALE = 1e9


def write_map(path: StrPath, sigma: ArrayLike, *, overwrite: bool = False) -> None:
    """Write a map in float32, without scaling.

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
        If `path` ends in anything else or `sigma` is not a map.
    OSError
        If the file cannot be written; FileExistsError if it exists. Nothing is left behind.

    Examples
    --------
    >>> import tempfile, pathlib, numpy as np
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "map.npy"
    >>> write_map(path, np.ones((2, 3)))
    >>> np.load(path).dtype
    dtype('float32')
    """
    text = "Blur in pixels: standard deviation sigma of the equivalent Gaussian"
    write_values(path, check_map(sigma), text, overwrite)


def write_values(path: StrPath, values: Float32Array, text: str, overwrite: bool = False) -> None:
    """Write values of any unit like :func:`write_map`; `text` describes them in a TIFF."""
    suffix = Path(path).suffix.lower()
    if suffix not in MAPS:
        raise ValueError(f"path must end in {', '.join(MAPS)}, got {os.fspath(path)!r}")
    with atomic_path(path, overwrite) as temporary, open(temporary, "r+b") as file:
        if suffix == ".npy":
            head = np.lib.format.header_data_from_array_1_0(values)
            np.lib.format.write_array_header_1_0(file, head)
        else:
            import tifffile

            position: Any = tifffile.imwrite(
                temporary,
                shape=values.shape,
                dtype=values.dtype,
                photometric="minisblack",
                description=text,
                metadata=None,
                software=None,
                returnoffset=True,
            )
            file.seek(position[0])
        # With Python and not NumPy, whose error does not tell that the disk is full.
        for start in range(0, len(values), ROWS):
            file.write(values[start : start + ROWS].data)


def write_scaled_png(
    path: StrPath, sigma: ArrayLike, *, scale: float | None = 1000.0, overwrite: bool = False
) -> None:
    """Write a map as a 16-bit gray PNG that any viewer opens; value = round(σ · scale).

    Parameters
    ----------
    path : str or path
    sigma : array_like of shape (H, W)
        σ in pixels, finite and ≥ 0.
    scale : float or None, default=1000
        Gray levels per pixel of σ, at most 10⁹. It is stored in the file as the text
        ``sigma_scale``. None chooses a scale of two digits that makes the largest σ nearly white.
        If that is less than one pixel, one pixel counts instead, so that noise stays dark.
    overwrite : bool, default=False
        See :func:`atomic_path`.

    Raises
    ------
    ValueError, TypeError
        If `sigma` is not a map or is out of range: σ · scale must be within 0 … 65535.
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
    from PIL.PngImagePlugin import PngInfo  # late: Pillow loads its plugins when it reads a file

    values = check_map(sigma)
    low, high = float(values.min()), float(values.max())
    if scale is None and np.isfinite(high):
        scale = _two_digits(np.iinfo(np.uint16).max / max(high, 1.0))
    scale = check_real(scale, "scale", 0, MAX_SCALE, above=True)
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
    gray = np.empty(values.shape, np.uint16)
    for start in range(0, len(values), ROWS):
        part = values[start : start + ROWS] * np.float32(scale)
        gray[start : start + ROWS] = np.rint(part, out=part)
    with atomic_path(path, overwrite) as temporary:
        Image.fromarray(gray).save(temporary, format="PNG", pnginfo=text)


def _two_digits(number: float) -> float:
    """Round a number down to two significant digits."""
    unit = 10.0 ** (np.floor(np.log10(number)) - 1)
    return float(np.floor(number / unit) * unit)


def read_map(path: StrPath, *, max_pixels: int = MAX_PIXELS) -> Float32Array:
    """Read a map that :func:`write_map` or :func:`write_scaled_png` has written.

    It may have been changed by another program, such as an image editor.

    Parameters
    ----------
    path : str or path
        TIFF or NPY with floats, or a PNG of 16 bits that still has the text ``sigma_scale``. The
        content decides, not the name.
    max_pixels : int, default=250_000_000
        See :func:`read_image`.

    Returns
    -------
    ndarray of shape (H, W), float32
        σ in pixels.

    Raises
    ------
    ReadError
        If it is not such a file, or a value is negative, NaN or infinite. It is a ValueError, and
        its message names the file.

    Examples
    --------
    >>> import tempfile, pathlib, numpy as np
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "map.png"
    >>> write_scaled_png(path, np.full((2, 3), 1.5))
    >>> read_map(path)
    array([[1.5, 1.5, 1.5],
           [1.5, 1.5, 1.5]], dtype=float32)
    """
    limit = check_int(max_pixels, "max_pixels", 1)
    with readable(path), open_regular(path) as file:
        values = _stored_values(file, limit)
        if values.ndim == 3 and values.shape[2] == 1:
            values = values[..., 0]
        if values.ndim != 2 or values.dtype.kind != "f" or 0 in values.shape:
            raise ReadError(
                f"a map has one float per pixel, not {values.dtype} of shape {values.shape}"
            )
        if not (np.isfinite(values).all() and values.min() >= 0):
            raise ReadError("a map must hold no negative values, NaN or infinity")
        return np.ascontiguousarray(values, np.float32)


def _stored_values(file: IO[bytes], max_pixels: int) -> AnyArray:
    """Read the values of a map in any of its formats."""
    head = file.read(8)
    file.seek(0)
    if head.startswith(b"\x93NUMPY"):
        return _stored_array(file, max_pixels)
    if head.startswith(TIFF_MAGIC):
        found = tiff_pixels(file, max_pixels, mapped=False)
        if found is not None:
            return found[0]
    with open_with_pillow(file, max_pixels) as image:
        scale = getattr(image, "text", {}).get("sigma_scale")
        if image.format == "TIFF":
            return np.asarray(image)
        if scale is None:
            raise ReadError(
                "it does not say its scale; a map is a float TIFF, NPY, or a PNG with the text "
                "sigma_scale"
            )
        if not image.mode.startswith("I"):
            raise ReadError("its 16 bits have become 8; save it with 16 bits, or as a float TIFF")
        return np.asarray(image, np.float32) / np.float32(scale)


def _stored_array(file: IO[bytes], max_pixels: int) -> AnyArray:
    """Read an NPY file with two dimensions."""
    version = np.lib.format.read_magic(file)
    read_head = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    shape, _, kind = read_head[version](file)
    if len(shape) != 2 or kind.hasobject:
        raise ReadError(f"a map has one float per pixel, not {kind} of shape {shape}")
    check_size(shape[1], shape[0], max_pixels)
    file.seek(0)
    found: AnyArray = np.lib.format.read_array(file, allow_pickle=False)
    return found
