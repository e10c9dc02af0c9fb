"""Photographs in from files of every kind."""

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

from skdefocus._typing import AnyArray
from skdefocus._validation import check_int
from skdefocus.io._errors import MAX_PIXELS, ReadError, check_size
from skdefocus.io._exif import ORIENTATION
from skdefocus.io._heif import heif_pixels, is_heif, is_video, open_heif
from skdefocus.io._png import check_png
from skdefocus.io._raw import SUFFIXES, develop, open_raw
from skdefocus.io._tiff import TIFF_MAGIC, tiff_pixels

StrPath = str | os.PathLike[str]

#: Rows that are copied at once.
ROWS = 256
#: What is read. Pillow knows more formats, some of which start other programs.
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
#: Bytes that tell which kind a file is.
HEAD = 64
#: Pillow's byte orders: big, little, native.
OPPOSITE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}

# Pillow's limit is a global; it is moved only while a header is read.
_limit_lock = Lock()


def _renew_lock() -> None:
    """A process forked while another thread reads a header would wait for that thread for ever."""
    global _limit_lock
    _limit_lock = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def read_image(
    path: StrPath, *, max_pixels: int = MAX_PIXELS, mapped: bool = False, alpha: bool = False
) -> AnyArray:
    """Read a photograph from a file.

    PNG, JPEG, TIFF, WebP, AVIF, JPEG 2000, GIF, BMP and PNM, whatever the file's name ends in; HEIC
    with the extra ``heic``, and raw files of cameras, told by their names, with the extra ``raw``.

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
    alpha : bool, default=False
        Keep alpha, if there is one, as the last channel. Colors that a TIFF has multiplied with
        it are divided by it.

    Returns
    -------
    ndarray of shape (H, W), (H, W, 3), or with `alpha` also (H, W, 4)
        Turned upright as the file's EXIF orientation says.

        - uint8 for most files; 1 bit becomes 0 and 255; palettes and CMYK become RGB.
        - uint16 for PNG and TIFF with 16 bits, and 16-bit grey PGM and JPEG 2000. Colour of more
          than 8 bits in other formats loses the lower bits.
        - float32 within [0, 1] for float TIFF and PFM.

        Without `alpha` it is dropped, and colour profiles are ignored: values are as stored. Of
        animations and files with several pages, the first picture is read. HEIC of 10 and 12 bits
        gives uint16. A raw file is developed to uint16 by LibRaw: its own white balance, the colors
        of sRGB, highlights cut off at white, no brightening, the curve of sRGB.

    Raises
    ------
    ReadError
        If the file cannot be read: it is not there, no regular file, no photograph, damaged, cut
        off or too large, needs an extra that is not installed, or holds NaN, infinity, signed
        integers, integers of 32 bits, or floats outside [0, 1]. It is a ValueError, and its message
        names the file.

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
    """Pixels, upright, and the orientation that EXIF had told, 1 for one that needed no turn."""
    with readable(path), open_regular(path) as file:
        pixels, orientation = _decode(path, file, max_pixels, mapped)
        return _finish(pixels, not mapped, alpha), orientation


@contextmanager
def readable(path: StrPath) -> Iterator[None]:
    """Make a ReadError that names the file of whatever decoders raise."""
    try:
        yield
    except Exception as error:
        raise ReadError(f"cannot read {os.fspath(path)!r}: {_reason(error)}") from error


@contextmanager
def open_regular(path: StrPath) -> Iterator[IO[bytes]]:
    """Open a file for reading; ReadError if it is none: opening a pipe could wait for ever."""
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise ReadError("it is a folder; name the files in it")
    if not stat.S_ISREG(mode):
        raise ReadError("it is not a regular file")
    with open(path, "rb") as file:
        yield file


def kind_of(path: StrPath, file: IO[bytes]) -> str:
    """Name what reads a file: "raw", "tiff", "heif" or "pillow"."""
    if Path(path).suffix.lower() in SUFFIXES:
        return "raw"
    file.seek(0)
    head = file.read(HEAD)
    if not head:
        raise ReadError("the file is empty")
    if is_video(head):
        raise ReadError("it is a film; save the frames you need as pictures first")
    if is_heif(head):
        return "heif"
    return "tiff" if head.startswith(TIFF_MAGIC) else "pillow"


def _decode(path: StrPath, file: IO[bytes], max_pixels: int, mapped: bool) -> tuple[AnyArray, int]:
    """Pixels, upright, and how they had to be turned."""
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
    if isinstance(error, ReadError):
        return str(error)
    if isinstance(error, UnidentifiedImageError):
        return f"no picture of a kind that is read ({', '.join(FORMATS)}), or its head is damaged"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"too many pixels; raise max_pixels if you trust the file ({error})"
    if isinstance(error, MemoryError):
        return "not enough memory for its pixels"
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    text = " ".join(str(error).split()) or type(error).__name__
    return f"damaged, cut off or of a variety that is not read ({text})"


@contextmanager
def _pillow_limit(max_pixels: int) -> Iterator[None]:
    with _limit_lock:
        before = Image.MAX_IMAGE_PIXELS
        if before is not None:
            Image.MAX_IMAGE_PIXELS = max(before, max_pixels)
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def formats() -> list[str]:
    """Those of `FORMATS` that this Pillow reads."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def open_with_pillow(file: IO[bytes], max_pixels: int) -> Image.Image:
    file.seek(0)
    with _pillow_limit(max_pixels):
        try:
            image = Image.open(file, formats=formats())
        except Image.DecompressionBombError:  # whose message tells twice the limit
            raise ReadError(
                f"it has more pixels than max_pixels = {max_pixels}; "
                "raise the limit if you trust the file"
            ) from None
    check_size(*image.size, max_pixels)
    return image


def _read_with_pillow(file: IO[bytes], max_pixels: int) -> tuple[AnyArray, int]:
    image = open_with_pillow(file, max_pixels)
    told = _orientation(image) if image.format == "TIFF" else 1
    pixels = _deep_color(image, file, max_pixels)
    if pixels is None:
        pixels = _pixels(_plain(image))
    # After loading, because Pillow turns TIFF itself and then says that it is upright.
    image.load()
    if image.format == "PNG":
        check_png(file)
    if image.format == "TIFF":
        return upright(pixels, _orientation(image)), told
    told = _orientation(image)  # a PNG may tell it behind its pixels
    return upright(pixels, told), told


def _orientation(image: Image.Image) -> int:
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except Exception:  # a damaged block is no reason to lose the photograph
        return 1
    return int(found) if found in range(1, 9) else 1


def _plain(image: Image.Image) -> Image.Image:
    """One of the modes L, LA, RGB, RGBA, I;16, I, F."""
    clear = "transparency" in image.info
    if image.mode in ("L", "1"):
        return image.convert("LA" if clear else "L")
    if image.mode == "RGB" and clear:
        return image.convert("RGBA")
    if image.mode in ("LA", "RGB", "RGBA", "I", "F") or image.mode.startswith("I;16"):
        return image
    if image.mode == "P" and not clear and image.palette is not None:
        # A palette itself may have alpha; without it, conversion to RGB is told of no alpha.
        return image.convert("RGBA" if image.palette.mode == "RGBA" else "RGB")
    return image.convert("RGBA" if image.mode in ("P", "PA", "RGBa", "La") else "RGB")


def _pixels(image: Image.Image) -> AnyArray:
    """Values of a picture, copied by rows: NumPy itself would copy all of them three times."""
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


def _deep_color(image: Image.Image, file: IO[bytes], max_pixels: int) -> AnyArray | None:
    """Colour, or grey with alpha, of 16 bits; Pillow itself keeps the upper 8 only.

    Read with the opposite byte order, the lower bytes are the upper ones.
    """
    tiles: list[Any] = list(getattr(image, "tile", ()))
    args = [[tile[3]] if isinstance(tile[3], str) else list(tile[3] or [""]) for tile in tiles]
    kinds = {first for first, *_ in args}
    if len(kinds) != 1:
        return None
    kind = str(kinds.pop())

    def decoded_as(rawmode: str) -> NDArray[np.uint16]:
        again: Any = open_with_pillow(file, max_pixels)
        again.tile = [
            tile._replace(args=new) if hasattr(tile, "_replace") else (*tile[:3], new)
            for tile, (_, *rest) in zip(tiles, args, strict=True)
            for new in [(rawmode, *rest) if rest else rawmode]
        ]
        return np.asarray(again).astype(np.uint16)

    if kind == "LA;16B" and image.mode == "RGBA":
        pixels = decoded_as("RGBA")  # two bytes of grey, two of alpha
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
    needs: Any = ["C", "W"] if writable else None
    if pixels.ndim == 3:
        if pixels.shape[2] not in range(1, 5):
            raise ReadError(f"it has {pixels.shape[2]} channels; convert it to grey or RGB")
        if pixels.shape[2] in (2, 4) and not alpha:
            pixels = pixels[..., :-1]
        if pixels.shape[2] == 1:
            pixels = pixels[..., 0]
    if (pixels.ndim != 2 and pixels.ndim != 3) or 0 in pixels.shape:
        raise ReadError(f"it is no picture but values of shape {pixels.shape}")
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
