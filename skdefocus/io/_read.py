"""Reading of photographs from files of every supported format."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from skdefocus._typing import AnyArray, StrPath
from skdefocus._validation import check_int
from skdefocus.io import _png
from skdefocus.io._errors import MAX_PIXELS, ReadError, check_size
from skdefocus.io._exif import ORIENTATION
from skdefocus.io._heif import heif_pixels, is_heif, is_video, open_heif
from skdefocus.io._raw import SUFFIXES, develop, open_raw
from skdefocus.io._tiff import TIFF_MAGIC, tiff_pixels

#: Number of rows that are copied at once.
ROWS = 256
#: Formats that are read with Pillow. It supports more, some of which start other programs.
FORMATS = (
    "PNG",
    "JPEG",
    "TIFF",
    "WEBP",
    "AVIF",
    "JPEG2000",
    "GIF",
    "BMP",
    "PPM",
)
#: Endings of the names by which photographs are found in a folder; others can be read as well.
PHOTOGRAPHS = SUFFIXES | {
    *(".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".avif", ".heic", ".heif", ".hif"),
    *(".jp2", ".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm"),
}
#: Number of bytes at the beginning that identify the kind of a file.
HEAD = 64
#: Pillow's byte orders: big, little, native.
OPPOSITE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}

# Pillow's limit is global; it is changed only while a header is read.
_limit_lock = Lock()


def _renew_lock() -> None:
    """Replace the lock after a fork: a thread that held it does not exist in the new process."""
    global _limit_lock
    _limit_lock = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def read_image(
    path: StrPath, *, max_pixels: int = MAX_PIXELS, mapped: bool = False, alpha: bool = False
) -> AnyArray:
    """Read a photograph from a file.

    It reads PNG, JPEG, TIFF, WebP, AVIF, JPEG 2000, GIF, BMP and PNM, whatever the file's name ends
    in; HEIC with the extra ``heic``; and raw files of cameras, recognized by their names, with the
    extra ``raw``.

    Parameters
    ----------
    path : str or path
        A file on disk.
    max_pixels : int, default=250_000_000
        Files with more pixels are refused before they are decoded, because a few hundred bytes can
        ask for all memory.
    mapped : bool, default=False
        Leave the values of an uncompressed TIFF of 16 megapixels or more in the file. They are read
        when parts of the array are used, which is read-only. Meanwhile the file must not change.
        Other files are read into memory as usual.
    alpha : bool, default=False
        Keep alpha, if there is one, as the last channel. Colors that a TIFF stores multiplied by
        alpha are divided by it.

    Returns
    -------
    ndarray of shape (H, W), (H, W, 3), or with `alpha` also (H, W, 4)
        The pixels, turned upright according to the EXIF orientation.

        - uint8 for most files; 1 bit becomes 0 and 255; palettes and CMYK become RGB.
        - uint16 for PNG and TIFF with 16 bits, and 16-bit gray PGM and JPEG 2000. Color of more
          than 8 bits in other formats loses the lower bits.
        - float32 within [0, 1] for float TIFF and PFM.

        Without `alpha` it is dropped. Color profiles are ignored: values are as stored. Of
        animations and files with several pages, the first picture is read. HEIC of 10 and 12 bits
        gives uint16. A raw file is developed to uint16 by LibRaw with its own white balance, the
        colors of sRGB, highlights clipped at white, no brightening, and the curve of sRGB.

    Raises
    ------
    ReadError
        If the file cannot be read: it does not exist, is not a regular file or not a photograph, is
        damaged, cut off or too large, needs an extra that is not installed, or holds NaN, infinity,
        signed integers, integers of 32 bits, or floats outside [0, 1]. It is a ValueError, and its
        message names the file.

    Examples
    --------
    >>> import skimage, skdefocus.io
    >>> skdefocus.io.read_image(f"{skimage.data_dir}/coins.png").shape
    (303, 384)
    """
    pixels, _ = decode(path, check_int(max_pixels, "max_pixels", 1), mapped, alpha)
    return pixels[..., [0, 0, 0, 1]] if pixels.shape[2:] == (2,) else pixels


def decode(
    path: StrPath, max_pixels: int, mapped: bool = False, alpha: bool = False
) -> tuple[AnyArray, int]:
    """Read the pixels, turned upright, and the EXIF orientation; 1 if none was applied."""
    with readable(path), open_regular(path) as file:
        pixels, orientation = _decode(path, file, max_pixels, mapped)
        return _finish(pixels, not mapped, alpha), orientation


@contextmanager
def readable(path: StrPath) -> Iterator[None]:
    """Turn any error of a decoder into a ReadError that names the file."""
    try:
        yield
    except Exception as error:
        raise ReadError(f"cannot read {os.fspath(path)!r}: {_reason(error)}") from error


@contextmanager
def open_regular(path: StrPath) -> Iterator[IO[bytes]]:
    """Open a regular file; ReadError for others, because opening a pipe could wait forever."""
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise ReadError("it is a folder; name the files in it")
    if not stat.S_ISREG(mode):
        raise ReadError("it is not a regular file")
    with open(path, "rb") as file:
        yield file


def kind_of(path: StrPath, file: IO[bytes]) -> str:
    """Name the reader of a file: "raw", "tiff", "heif" or "pillow"."""
    if Path(path).suffix.lower() in SUFFIXES:
        return "raw"
    file.seek(0)
    head = file.read(HEAD)
    if not head:
        raise ReadError("the file is empty")
    if is_video(head):
        raise ReadError("it is a video; save the frames you need as pictures first")
    if is_heif(head):
        return "heif"
    return "tiff" if head.startswith(TIFF_MAGIC) else "pillow"


def _decode(path: StrPath, file: IO[bytes], max_pixels: int, mapped: bool) -> tuple[AnyArray, int]:
    """Read the pixels, turned upright, and their orientation before."""
    kind = kind_of(path, file)
    if kind == "raw":
        with open_raw(path) as raw:
            check_size(raw.sizes.iwidth, raw.sizes.iheight, max_pixels)
            return develop(raw), 1
    if kind == "heif":
        heif = open_heif(file)
        check_size(heif.size[0], heif.size[1], max_pixels)
        return heif_pixels(heif), 1
    found = tiff_pixels(file, max_pixels, mapped) if kind == "tiff" else None
    if found is None:
        return _read_with_pillow(file, max_pixels)
    pixels, orientation = found
    return upright(pixels, orientation), orientation


def _reason(error: Exception) -> str:
    """Describe the error of a decoder."""
    if isinstance(error, ReadError):
        return str(error)
    if isinstance(error, UnidentifiedImageError):
        kinds = ", ".join(FORMATS)
        return f"it is not a picture of a kind that can be read ({kinds}), or its header is damaged"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"too many pixels; raise max_pixels if you trust the file ({error})"
    if isinstance(error, MemoryError):
        return "not enough memory for its pixels"
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    text = " ".join(str(error).split()) or type(error).__name__
    return f"it is damaged, cut off or of a variety that is not read ({text})"


@contextmanager
def _pillow_limit(max_pixels: int) -> Iterator[None]:
    """Raise Pillow's limit of pixels for a block."""
    with _limit_lock:
        before = Image.MAX_IMAGE_PIXELS
        if before is not None:
            Image.MAX_IMAGE_PIXELS = max(before, max_pixels)
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def formats() -> list[str]:
    """Return those of `FORMATS` that this version of Pillow reads."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def open_with_pillow(file: IO[bytes], max_pixels: int) -> Image.Image:
    """Open a picture without decoding it, and check its size."""
    file.seek(0)
    if file.read(len(_png.SIGNATURE)) == _png.SIGNATURE:
        file = _png.without_long_texts(file)
    file.seek(0)
    with _pillow_limit(max_pixels):
        try:
            image = Image.open(file, formats=formats())
        except Image.DecompressionBombError:  # its message states twice the limit
            raise ReadError(
                f"it has more pixels than max_pixels = {max_pixels}; "
                "raise the limit if you trust the file"
            ) from None
    check_size(*image.size, max_pixels)
    return image


def _read_with_pillow(file: IO[bytes], max_pixels: int) -> tuple[AnyArray, int]:
    """Read the pixels, turned upright, and the orientation before."""
    image = open_with_pillow(file, max_pixels)
    orientation = _orientation(image) if image.format == "TIFF" else 1
    clear = _png.clear_color(file) if image.format == "PNG" else None
    if clear is not None:  # Pillow does not scale it, and does not know it for 16 bits
        image.info.pop("transparency", None)
    if (white := deep_range(image)) is not None:
        return _deep_pixmap(image, file, white), 1
    pixels = _deep_color(image, file, max_pixels)
    if pixels is None:
        pixels = _pixels(_plain(image))
    # After loading, because Pillow turns TIFF itself and then reports it as upright.
    image.load()
    if image.format == "PNG":
        _png.check_png(file)
    if clear is not None:
        pixels = _png.with_alpha(pixels, clear)
    if image.format == "TIFF":
        return upright(pixels, _orientation(image)), orientation
    orientation = _orientation(image)  # in a PNG it may follow the pixels
    return upright(pixels, orientation), orientation


def _orientation(image: Image.Image) -> int:
    """Return the orientation from 1 to 8; 1 if it is unknown."""
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except Exception:  # a damaged block is not a reason to lose the photograph
        return 1
    return int(found) if found in range(1, 9) else 1


def _plain(image: Image.Image) -> Image.Image:
    """Convert to one of the modes L, LA, RGB, RGBA, I;16, I, F."""
    clear = "transparency" in image.info
    if image.mode in ("L", "1"):
        return image.convert("LA" if clear else "L")
    if image.mode == "RGB" and clear:
        return image.convert("RGBA")
    if image.mode in ("LA", "RGB", "RGBA", "I", "F") or image.mode.startswith("I;16"):
        return image
    if image.mode == "P" and not clear and image.palette is not None:
        # The palette itself may have alpha.
        return image.convert("RGBA" if image.palette.mode == "RGBA" else "RGB")
    return image.convert("RGBA" if image.mode in ("P", "PA", "RGBa", "La") else "RGB")


def _pixels(image: Image.Image) -> AnyArray:
    """Copy the values of a picture by rows; NumPy itself would copy all of them three times."""
    image.load()
    width, height = image.size

    def rows(start: int) -> AnyArray:
        return np.asarray(image.crop((0, start, width, min(start + ROWS, height))))

    first = rows(0)
    if height <= ROWS:
        return first
    out = np.empty((height, *first.shape[1:]), first.dtype)
    for start in range(0, height, ROWS):
        out[start : start + ROWS] = rows(start)
    return out


def deep_range(image: Image.Image) -> int | None:
    """Return the value of white in a color PNM of more than 8 bits; None for other pictures."""
    tiles: list[Any] = list(getattr(image, "tile", ()))
    if image.format != "PPM" or image.mode != "RGB" or not tiles or tiles[0][0] != "ppm":
        return None
    white = int(tiles[0][3][-1])
    return white if white > 255 else None


def _deep_pixmap(image: Image.Image, file: IO[bytes], white: int) -> NDArray[np.uint16]:
    """Read color of more than 8 bits from a PNM, of which Pillow keeps only 8."""
    width, height = image.size
    tiles: list[Any] = list(getattr(image, "tile", ()))
    file.seek(tiles[0][2])
    data = file.read(width * height * 6)
    if len(data) < width * height * 6:
        raise ReadError("it is damaged or cut off: rows are missing at its end")
    values = np.frombuffer(data, ">u2").reshape(height, width, 3)
    if white == np.iinfo(np.uint16).max:
        return values.astype(np.uint16)
    return np.rint(np.minimum(values / white, 1) * np.iinfo(np.uint16).max).astype(np.uint16)


def _deep_color(image: Image.Image, file: IO[bytes], max_pixels: int) -> AnyArray | None:
    """Read color, or gray with alpha, of 16 bits; Pillow itself keeps only the upper 8.

    Reading again with the opposite byte order gives the lower 8.
    """
    tiles: list[Any] = list(getattr(image, "tile", ()))
    args = [[tile[3]] if isinstance(tile[3], str) else list(tile[3] or [""]) for tile in tiles]
    kinds = {first for first, *_ in args}
    if len(kinds) != 1:
        return None
    kind = str(kinds.pop())

    def decoded_as(rawmode: str) -> NDArray[np.uint16]:
        """Decode the picture again as if its raw mode were another."""
        again: Any = open_with_pillow(file, max_pixels)
        again.tile = [
            tile._replace(args=new) if hasattr(tile, "_replace") else (*tile[:3], new)
            for tile, (_, *rest) in zip(tiles, args, strict=True)
            for new in [(rawmode, *rest) if rest else rawmode]
        ]
        return np.asarray(again).astype(np.uint16)

    if kind == "LA;16B" and image.mode == "RGBA":
        pixels = decoded_as("RGBA")  # two bytes of gray, two of alpha
        return pixels[..., ::2] << 8 | pixels[..., 1::2]
    mode, _, order = kind.partition(";16")
    if mode in ("RGB", "RGBA", "RGBX") and order in OPPOSITE:
        return decoded_as(kind) << 8 | decoded_as(f"{mode};16{OPPOSITE[order]}")
    return None


def upright(pixels: AnyArray, orientation: Any) -> AnyArray:
    """Undo the turns and flips 1 to 8 of EXIF; anything else counts as upright."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def _finish(pixels: AnyArray, writable: bool, alpha: bool) -> AnyArray:
    """Check the channels and values, and convert them to a supported type."""
    needs: Any = ["C", "W"] if writable else None
    if pixels.ndim == 3:
        if pixels.shape[2] not in range(1, 5):
            raise ReadError(f"it has {pixels.shape[2]} channels; convert it to gray or RGB")
        if pixels.shape[2] in (2, 4) and not alpha:
            pixels = pixels[..., :-1]
        if pixels.shape[2] == 1:
            pixels = pixels[..., 0]
    if (pixels.ndim != 2 and pixels.ndim != 3) or 0 in pixels.shape:
        raise ReadError(f"it is not a picture but values of shape {pixels.shape}")
    if pixels.dtype.kind == "f":
        low, high = float(pixels.min()), float(pixels.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ReadError("it holds NaN or infinity; replace them first")
        if low < 0 or high > 1:
            raise ReadError(f"floats must be within [0, 1], but span [{low:.6g}, {high:.6g}]")
        return np.require(pixels, np.float32, needs)
    if pixels.dtype.itemsize > 2:  # Pillow's mode I: 16-bit PNM and old PNG, or 32 bits
        if pixels.min() < 0 or pixels.max() > np.iinfo(np.uint16).max:
            raise ReadError("integers of 32 bits are not read; convert it to 8 or 16 bits")
        return np.require(pixels, np.uint16, needs)
    # Pillow's memory is read-only.
    return np.require(pixels, pixels.dtype.newbyteorder("="), needs)
