"""Photographs in from files, maps out to files; nothing is ever half written."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from skdefocus._images import check_map
from skdefocus._validation import check_int, check_real
from skdefocus.io._read import MAX_PIXELS, ROWS, ReadError, read

__all__ = ["MAX_PIXELS", "ReadError", "atomic_path", "read_image", "write_map", "write_scaled_png"]

StrPath = str | os.PathLike[str]

#: What the name of a map in float32 ends in.
MAPS = (".tif", ".tiff", ".npy")
#: Of a PNG; more would only leave the range of floats.
MAX_SCALE = 1e9
#: What file systems answer that know no fsync.
CANNOT_FLUSH = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}


def read_image(
    path: StrPath, *, max_pixels: int = MAX_PIXELS, mapped: bool = False
) -> NDArray[Any]:
    """Read a photograph from a file.

    PNG, JPEG, TIFF, WebP, AVIF, JPEG 2000, GIF, BMP and PNM, whatever the file's name ends in.

    Parameters
    ----------
    path : str or path
        A file on disk.
    max_pixels : int, default=250_000_000
        Files with more pixels are refused before they are decoded: some hundred bytes can ask for
        all the memory there is.
    mapped : bool, default=False
        Leave the values of an uncompressed TIFF of 16 megapixels or more in the file, from where
        they are read as parts of the array are used, which is then read-only. The file must stay
        as it is meanwhile. Others are read as without it.

    Returns
    -------
    ndarray of shape (H, W) or (H, W, 3)
        Turned upright as the file's EXIF orientation says.

        - uint8 for most files; 1 bit becomes 0 and 255; palettes and CMYK become RGB.
        - uint16 for PNG and TIFF with 16 bits, and 16-bit grey PGM and JPEG 2000. Colour of more
          than 8 bits in other formats loses the lower bits.
        - float32 within [0, 1] for float TIFF and PFM.

        Alpha is dropped and colour profiles are ignored: values are as stored. Of animations and
        files with several pages, the first picture is read.

    Raises
    ------
    ReadError
        If the file cannot be read: it is not there, no regular file, no photograph, damaged, cut
        off or too large, is camera raw, or holds NaN, infinity, signed integers, integers of 32
        bits, or floats outside [0, 1]. It is a ValueError, and its message names the file.

    Examples
    --------
    >>> import skimage, skdefocus.io
    >>> skdefocus.io.read_image(f"{skimage.data_dir}/coins.png").shape
    (303, 384)
    """
    return read(path, check_int(max_pixels, "max_pixels", 1), mapped)


@contextmanager
def atomic_path(path: StrPath, overwrite: bool = False) -> Iterator[Path]:
    """Write a file whole or not at all.

    Parameters
    ----------
    path : str or path
        Where the file shall be. Its folder must exist.
    overwrite : bool, default=False
        Whether a file that is there may be replaced.

    Yields
    ------
    Path
        An empty temporary file in the same folder, with the same suffix. When the block ends it is
        renamed to `path`; when it raises, it is removed and `path` is as it was. A reader never
        sees half a file, and of two processes without `overwrite` only one succeeds.

    Raises
    ------
    FileExistsError
        If `path` is there and `overwrite` is False; before the block, or after it if another
        process was faster.
    OSError
        If the folder cannot be written to.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> with atomic_path(folder / "note.txt") as temporary:
    ...     _ = temporary.write_text("whole")
    >>> [p.name for p in folder.iterdir()]
    ['note.txt']
    """
    target = Path(path)
    if not overwrite:
        _refuse_existing(target)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder", str(target))
    temporary = target.with_name(f".{secrets.token_hex(6)}.tmp{target.suffix}")
    with _named(target):
        # Not tempfile: it makes files that only their owner may read.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield temporary
        move(temporary, target, overwrite)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _named(target: Path) -> Iterator[None]:
    """Let errors name the file that was asked for, and not the temporary one."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error


def move(temporary: Path, target: Path, overwrite: bool = False) -> None:
    """Give a finished file its name, in one step; FileExistsError if it may not replace.

    It is on the disk before it has its name. Else a power cut could leave an empty file of that
    name, which a resumed batch takes for done; and some file systems say only now that they are
    full.
    """
    with _named(target):
        _flush(temporary)
        if overwrite:
            os.replace(temporary, target)
            return
        try:
            os.link(temporary, target)  # unlike a rename, fails if the target is there
            temporary.unlink()
        except FileExistsError:
            _refuse_existing(target)
            raise
        except OSError:  # a file system without hard links
            _refuse_existing(target)
            os.replace(temporary, target)


def _flush(path: Path) -> None:
    file = os.open(path, os.O_RDWR)
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in CANNOT_FLUSH:
            raise
    finally:
        os.close(file)


def _refuse_existing(target: Path) -> None:
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "exists; set overwrite to replace it", str(target))


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
