"""The decoders behind :func:`skdefocus.io.read_image`."""

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

from skdefocus.io._png import check_png

#: Largest photograph that is read without asking for more, in pixels.
MAX_PIXELS = 250_000_000
#: TIFF from so many pixels on is read by strips; smaller ones have no need of it.
LARGE = 16_000_000
#: Rows that are copied at once.
ROWS = 256
#: What is read. Pillow knows more formats, some of which start other programs.
FORMATS = (
    "PNG", "JPEG", "TIFF", "WEBP", "AVIF", "JPEG2000", "GIF", "BMP", "PPM",
)  # fmt: skip
#: Camera raw files are TIFF inside, and their first picture is a thumbnail.
RAW = {".arw", ".cr2", ".cr3", ".dng", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".srw"}
TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
#: Of values in TIFF.
KINDS = ("uint8", "uint16", "float16", "float32", "float64")
ORIENTATION = 0x0112
DNG_VERSION = 50706
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


class ReadError(ValueError):
    """A file that cannot be read as a photograph; the message names it and says why."""


def read(path: str | os.PathLike[str], max_pixels: int, mapped: bool = False) -> NDArray[Any]:
    """See :func:`skdefocus.io.read_image`."""
    name = os.fspath(path)
    try:
        # Opening a pipe or a device could wait for ever.
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise ReadError("it is a folder; name the files in it")
        if not stat.S_ISREG(mode):
            raise ReadError("it is no regular file")
        if Path(path).suffix.lower() in RAW:
            raise ReadError("camera raw files are not read; develop it to TIFF, PNG or JPEG first")
        with open(path, "rb") as file:
            magic = file.read(8)
            if not magic:
                raise ReadError("the file is empty")
            is_tiff = magic.startswith(TIFF_MAGIC)
            pixels = _read_tiff(file, max_pixels, mapped) if is_tiff else None
            if pixels is None:
                pixels = _read_with_pillow(file, max_pixels)
            return _finish(pixels, writable=not mapped)
    except Exception as error:  # decoders raise whatever they like on damaged files
        raise ReadError(f"cannot read {name!r}: {_reason(error)}") from error


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


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ReadError(
            f"it has {width} x {height} pixels, more than max_pixels = {max_pixels}; "
            "raise the limit if you trust the file"
        )


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


def _open(file: IO[bytes], max_pixels: int) -> Image.Image:
    file.seek(0)
    with _pillow_limit(max_pixels):
        try:
            image = Image.open(file, formats=formats())
        except Image.DecompressionBombError:  # whose message tells twice the limit
            raise ReadError(
                f"it has more pixels than max_pixels = {max_pixels}; "
                "raise the limit if you trust the file"
            ) from None
    _check_size(*image.size, max_pixels)
    return image


def _read_with_pillow(file: IO[bytes], max_pixels: int) -> NDArray[Any]:
    image = _open(file, max_pixels)
    pixels = _deep_color(image, file, max_pixels)
    if pixels is None:
        pixels = _pixels(_plain(image))
    # After loading, because Pillow turns TIFF itself and then says that it is upright.
    image.load()
    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except Exception:  # a damaged block is no reason to lose the photograph
        orientation = 1
    if image.format == "PNG":
        check_png(file)
    return _upright(pixels, orientation)


def _plain(image: Image.Image) -> Image.Image:
    """One of the modes L, RGB, RGBA, I;16, I, F."""
    if image.mode in ("L", "RGB", "RGBA", "I", "F") or image.mode.startswith("I;16"):
        return image
    if image.mode in ("1", "LA"):
        return image.convert("L")
    # Through RGBA, as Pillow warns of palettes with alpha otherwise.
    return image.convert("RGBA" if image.mode in ("P", "PA", "RGBa") else "RGB")


def _pixels(image: Image.Image) -> NDArray[Any]:
    """Values of a picture, copied by rows: NumPy itself would copy all of them three times."""
    image.load()
    width, height = image.size

    def rows(start: int) -> NDArray[Any]:
        return np.asarray(image.crop((0, start, width, min(start + ROWS, height))))

    first = rows(0)
    if height <= ROWS:
        return first
    out = np.empty((height, *first.shape[1:]), first.dtype)
    for start in range(0, height, ROWS):
        out[start : start + ROWS] = rows(start)
    return out


def _deep_color(image: Image.Image, file: IO[bytes], max_pixels: int) -> NDArray[Any] | None:
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
        again: Any = _open(file, max_pixels)
        again.tile = [
            tile._replace(args=new) if hasattr(tile, "_replace") else (*tile[:3], new)
            for tile, (_, *rest) in zip(tiles, args, strict=True)
            for new in [(rawmode, *rest) if rest else rawmode]
        ]
        return np.asarray(again).astype(np.uint16)

    if kind == "LA;16B" and image.mode == "RGBA":
        pixels = decoded_as("RGBA")  # two bytes of grey, two of alpha
        return pixels[..., 0] << 8 | pixels[..., 1]
    mode, _, order = kind.partition(";16")
    if mode in ("RGB", "RGBA", "RGBX") and order in OPPOSITE:
        return decoded_as(kind) << 8 | decoded_as(f"{mode};16{OPPOSITE[order]}")
    return None


def _read_tiff(file: IO[bytes], max_pixels: int, mapped: bool) -> NDArray[Any] | None:
    """First page of a TIFF with more than 8 bits, or a large one; None where Pillow is to read it.

    Large ones are unpacked strip by strip, or not at all if they are `mapped` and not compressed.
    """
    import tifffile

    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        page: Any = tiff.pages[0]
        _check_size(page.imagewidth, page.imagelength * page.imagedepth, max_pixels)
        if DNG_VERSION in page.tags or page.subfiletype & 1:
            raise ReadError("its first picture is a thumbnail; export it to a plain TIFF first")
        large = page.imagewidth * page.imagelength >= LARGE
        kind, bits = str(page.dtype), page.bitspersample
        if bits <= 8 and kind != "int8" and not (large and _is_plain(page)):
            return None
        # What has 12 bits comes as uint16, but its white is 4095.
        odd = kind not in KINDS or bits != np.dtype(kind).itemsize * 8
        if odd or page.imagedepth != 1:
            raise ReadError(
                f"TIFF with values of type {kind} in {bits} bits is not read; "
                "export it with 8 or 16 bits or float"
            )
        if page.photometric not in (0, 1, 2):
            raise ReadError("TIFF with more than 8 bits must be grey or RGB; convert it first")
        separate = page.planarconfig == 2 and page.samplesperpixel > 1
        try:
            # What was unpacked into a temporary file would kill the process on a full disk.
            map_it = mapped and large and page.is_memmappable
            pixels = np.asarray(page.asarray(out="memmap" if map_it else None))
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            if not separate and _pillow_can_unpack(page, kind):
                return None
            raise ReadError(
                "its compression is not read without the package imagecodecs; install it, or "
                "export the file without compression"
            ) from None
        orientation = page.tags.valueof(ORIENTATION, default=1)
    if separate:
        pixels = np.moveaxis(pixels, 0, -1)
    if page.photometric == 0:  # 0 is white
        white = np.iinfo(np.uint16).max if kind == "uint16" else 1
        pixels = white - pixels
    if pixels.ndim == 3 and page.photometric != 2:
        pixels = pixels[..., 0]
    return _upright(pixels, orientation)


def _pillow_can_unpack(page: Any, kind: str) -> bool:
    """Whether it reads a compressed page right: not with 0 as white, nor floats in big-endian."""
    little_floats = kind == "float32" and page.parent.byteorder == "<"
    return page.photometric != 0 and (kind == "uint16" or little_floats)


def _is_plain(page: Any) -> bool:
    """Whether a page of 8 bits is one that tifffile and Pillow read alike."""
    return (
        str(page.dtype) == "uint8"
        and page.bitspersample == 8
        and (page.photometric, page.samplesperpixel) in ((1, 1), (2, 3))
        and page.planarconfig == 1
        and page.compression in (1, 8, 32946)  # none, deflate
        and page.fillorder == 1
        and page.imagedepth == 1
    )


def _upright(pixels: NDArray[Any], orientation: Any) -> NDArray[Any]:
    """Undo the turns and flips 1 to 8 of EXIF; anything else counts as upright."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def _finish(pixels: NDArray[Any], writable: bool = True) -> NDArray[Any]:
    needs: Any = ["C", "W"] if writable else None
    if pixels.ndim == 3:
        if pixels.shape[2] not in (3, 4):
            raise ReadError(f"it has {pixels.shape[2]} channels; convert it to grey or RGB")
        pixels = pixels[..., :3]
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
