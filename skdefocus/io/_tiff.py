"""TIFF: reading and encoding of pixels in any depth, and metadata in its tags."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from fractions import Fraction
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from skdefocus._typing import AnyArray, Float32Array, UInt8Array
from skdefocus.io import _ifd
from skdefocus.io._errors import ReadError, check_size
from skdefocus.io._exif import (
    ORIENTATION,
    RESOLUTION_UNIT,
    UNITS,
    X_RESOLUTION,
    Y_RESOLUTION,
    orientation_of,
    tags_of,
)
from skdefocus.io._ifd import LONG, SHORT, Directory, Value
from skdefocus.io._metadata import (
    PHOTOSHOP_HEAD,
    Metadata,
    photoshop,
    read_photoshop,
    stated_resolution,
)

#: Number of pixels from which a TIFF is read by strips; smaller ones need not be.
LARGE = 16_000_000
TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
#: Types of values that are read.
KINDS = ("uint8", "uint16", "float16", "float32", "float64")
DNG_VERSION = 50706
XMP, IPTC, PHOTOSHOP, PROFILE = 700, 33723, 34377, 34675
COMPRESSION, EXTRA_SAMPLES, SAMPLE_FORMAT, BITS, DESCRIPTION = 259, 338, 339, 258, 270
#: Layers of Photoshop, which show the picture as it was.
LAYERS = {37724, 50784}
#: Tags that describe how pixels are stored, and so are written anew.
STORAGE = {
    *range(254, 267),
    273,
    277,
    278,
    279,
    280,
    281,
    284,
    *range(288, 294),
    301,
    317,
    320,
    *range(321, 326),
    330,
    *range(332, 348),
    *range(512, 522),
    529,
    530,
    531,
    532,
    559,
    50838,
    50839,
    50840,
    *range(50706, 52600),
}
#: Beginnings of descriptions that define how several pages belong together.
LAYOUTS = (b"ImageJ=", b'{"shape"', b'{"axes"', b"shape=(", b"<?xml", b"<OME")
#: Approximate number of bytes of a strip.
STRIP = 2**18
DEFLATE = 8
MAX_FILE = 2**32 - 2**16


def tiff_pixels(file: IO[bytes], max_pixels: int, mapped: bool) -> tuple[AnyArray, int] | None:
    """Read the first page of a TIFF with more than 8 bits, or of a large one.

    Large pages are unpacked strip by strip, or not at all if they are `mapped` and not compressed.

    Returns
    -------
    (ndarray, int) or None
        Pixels as stored, and the orientation from 1 to 8. None where Pillow is to read the file.
    """
    import tifffile

    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        page: Any = tiff.pages[0]
        check_size(page.imagewidth, page.imagelength * page.imagedepth, max_pixels)
        if DNG_VERSION in page.tags or page.subfiletype & 1:
            raise ReadError("its first picture is a thumbnail; export it to a plain TIFF first")
        large = page.imagewidth * page.imagelength >= LARGE
        kind, bits = str(page.dtype), page.bitspersample
        if bits <= 8 and kind != "int8" and not (large and _is_plain(page)):
            return None
        _check_page(page)
        # Unpacking into a temporary file would kill the process on a full disk.
        pixels = _stored_pixels(page, mapped and large and page.is_memmappable)
        if pixels is None:
            return None
        orientation = page.tags.valueof(ORIENTATION, default=1)
    if _is_separate(page):
        pixels = np.moveaxis(pixels, 0, -1)
    if page.photometric == 0:  # 0 is white
        white = np.iinfo(np.uint16).max if kind == "uint16" else 1
        pixels = white - pixels
    return _usual_channels(pixels, page), orientation if orientation in range(1, 9) else 1


def _check_page(page: Any) -> None:
    """Raise ReadError if the values of a page are of a kind that is not read."""
    kind, bits = str(page.dtype), page.bitspersample
    # Values of 12 bits come as uint16, but their white is 4095.
    odd = kind not in KINDS or bits != np.dtype(kind).itemsize * 8
    if odd or page.imagedepth != 1:
        raise ReadError(
            f"TIFF with values of type {kind} in {bits} bits is not read; "
            "export it with 8 or 16 bits or float"
        )
    if page.photometric not in (0, 1, 2):
        raise ReadError("TIFF with more than 8 bits must be gray or RGB; convert it first")


def _stored_pixels(page: Any, map_it: bool) -> AnyArray | None:
    """Unpack a page, or map it; None if only Pillow can unpack it."""
    try:
        return np.asarray(page.asarray(out="memmap" if map_it else None))
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        if not _is_separate(page) and _pillow_can_unpack(page):
            return None
        raise ReadError(
            "its compression is not read without the package imagecodecs; install it, or "
            "export the file without compression"
        ) from None


def _is_separate(page: Any) -> bool:
    """Tell whether a page stores one channel after another."""
    return bool(page.planarconfig == 2 and page.samplesperpixel > 1)


def _usual_channels(pixels: AnyArray, page: Any) -> AnyArray:
    """Drop channels that are neither color nor alpha, and divide colors by alpha if necessary."""
    extra = tuple(page.extrasamples)
    colors = 3 if page.photometric == 2 else 1
    if pixels.ndim == 3 and (colors == 1 or extra):
        alpha = extra[:1] in ((1,), (2,))
        pixels = pixels[..., : colors + 1] if alpha else pixels[..., :colors]
        if extra[:1] == (1,):
            pixels = _unassociated(pixels)
    return pixels


def _unassociated(pixels: AnyArray) -> AnyArray:
    """Divide colors that were multiplied by alpha by it."""
    top = 1.0 if pixels.dtype.kind == "f" else float(np.iinfo(pixels.dtype).max)
    out = pixels.copy()
    alpha = pixels[..., -1:] / top
    colors = np.minimum(pixels[..., :-1] / np.where(alpha > 0, alpha, 1), top)
    out[..., :-1] = colors if pixels.dtype.kind == "f" else np.rint(colors)
    return out


def _pillow_can_unpack(page: Any) -> bool:
    """Tell whether Pillow reads a compressed page: not if 0 is white, nor big-endian floats."""
    kind = str(page.dtype)
    little_floats = kind == "float32" and page.parent.byteorder == "<"
    return page.photometric != 0 and (kind == "uint16" or little_floats)


def _is_plain(page: Any) -> bool:
    """Tell whether a page of 8 bits is one that tifffile and Pillow read alike."""
    return (
        str(page.dtype) == "uint8"
        and page.bitspersample == 8
        and (page.photometric, page.samplesperpixel) in ((1, 1), (2, 3))
        and page.planarconfig == 1
        and page.compression in (1, 8, 32946)  # none, deflate
        and page.fillorder == 1
        and page.imagedepth == 1
    )


def read_tiff(file: IO[bytes]) -> Metadata:
    """Read the metadata of the first page of a TIFF."""
    # Skip the values that grow with the picture.
    tags = _ifd.read_directory(file, skip={273, 279, 324, 325, 320})
    values = tags.values
    iptc, resources = read_photoshop(_bytes(values.get(PHOTOSHOP)))
    kept = {
        tag: value
        for tag, value in values.items()
        if tag not in STORAGE | LAYERS
        and tag not in (ORIENTATION, XMP, IPTC, PHOTOSHOP, PROFILE)
        and not (tag == DESCRIPTION and value.data.lstrip().startswith(LAYOUTS))
    }
    extra = tags.numbers(EXTRA_SAMPLES)
    problems = ["a channel that is neither color nor alpha"] if 0 in extra else []
    problems += ["layers of Photoshop"] if LAYERS & {*values} else []
    problems += ["further pages"] if tags.next_offset else []
    bits = int(max(tags.numbers(BITS), default=8))
    floats = 3 in tags.numbers(SAMPLE_FORMAT)
    return Metadata(
        exif=_ifd.pack_block(Directory(tags.order, kept, tags.children)),
        xmp=_bytes(values.get(XMP)) or None,
        iptc=_bytes(values.get(IPTC)) or iptc,
        resources=resources,
        profile=_bytes(values.get(PROFILE)) or None,
        bits=32 if floats else 16 if bits > 8 else 8,
        alpha=bool({1, 2} & {*extra[:1]}),
        gray=tags.number(262) in (0, 1),
        compressed=tags.number(COMPRESSION) not in (None, 1),
        turned=orientation_of(tags),
        problems=tuple(problems),
    )


def _bytes(value: Value | None) -> bytes:
    """Return the bytes of a value; none for None."""
    return b"" if value is None else value.data


def encode_tiff(
    pixels: UInt8Array | NDArray[np.uint16] | Float32Array, metadata: Metadata
) -> bytes:
    """Encode gray or RGB, with or without alpha, of 8 or 16 bits or float, and all metadata.

    The pixels are compressed with deflate if those of the photograph were compressed.

    Parameters
    ----------
    pixels : ndarray of shape (H, W) or (H, W, C), uint8, uint16 or float32
        C is from 1 to 4.
    metadata : Metadata

    Raises
    ------
    ValueError
        If the file would be larger than TIFF allows, 4 GB.
    """
    tags = tags_of(metadata.exif)
    order: Any = tags.order
    stored = pixels.astype(pixels.dtype.newbyteorder(order), copy=False)
    rows = min(max(STRIP // stored[0].nbytes, 1), len(stored))
    strips = [stored[k : k + rows] for k in range(0, len(stored), rows)]
    parts = [_packed(strip) if metadata.compressed else strip.tobytes() for strip in strips]
    sizes = [len(part) for part in parts]
    offsets = [8 + sum for sum in _sums(sizes)]
    end = offsets[-1] + sizes[-1]
    if end > MAX_FILE:
        raise ValueError("its pixels need more than the 4 GB that a TIFF holds; name it .png")
    values = _storage(pixels, order, rows, metadata.compressed)
    values |= {273: _longs(order, offsets), 279: _longs(order, sizes)}
    values = tags.values | _metadata_tags(metadata, tags) | values
    filling = end % 2
    directory = _ifd.pack_directory(replace(tags, values=values), end + filling)
    head = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, end + filling)
    return b"".join([head, *parts, bytes(filling), directory])


def _sums(sizes: list[int]) -> list[int]:
    """Sum all sizes before each."""
    return [0, *np.cumsum(sizes, dtype=np.int64).tolist()][:-1]


def _packed(strip: NDArray[np.generic]) -> bytes:
    """Pack a strip with deflate; integers as differences to the left, TIFF's second predictor."""
    if strip.dtype.kind == "u":
        values = strip.astype(strip.dtype.newbyteorder("="))
        values[:, 1:] -= values[:, :-1].copy()
        strip = values.astype(strip.dtype)
    return zlib.compress(strip.tobytes(), 6)


def _storage(
    pixels: NDArray[np.generic], order: str, rows: int, compressed: bool
) -> dict[int, Value]:
    """Encode the tags that describe how pixels are stored, except their positions."""
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    integers = pixels.dtype.kind == "u"
    numbers = {
        256: width,
        257: height,
        COMPRESSION: DEFLATE if compressed else 1,
        262: 2 if channels > 2 else 1,
        ORIENTATION: 1,
        277: channels,
        278: rows,
        284: 1,
    }
    if compressed:
        numbers[317] = 2 if integers else 1
    if channels in (2, 4):
        numbers[EXTRA_SAMPLES] = 2  # alpha that colors are not multiplied by
    values = {
        tag: _ifd.integer(order, LONG if tag in (256, 257, 278) else SHORT, number)
        for tag, number in numbers.items()
    }
    for tag, number in ((BITS, 8 * pixels.dtype.itemsize), (SAMPLE_FORMAT, 1 if integers else 3)):
        values[tag] = Value(SHORT, struct.pack(f"{order}{channels}H", *[number] * channels))
    return values


def _longs(order: str, numbers: list[int]) -> Value:
    """Encode integers of 32 bits."""
    return Value(LONG, struct.pack(f"{order}{len(numbers)}I", *numbers))


def _metadata_tags(metadata: Metadata, tags: Directory) -> dict[int, Value]:
    """Encode the tags for metadata that are not in the block of EXIF."""
    found: dict[int, Value] = {}
    plain = ((XMP, 1, metadata.xmp), (IPTC, 7, metadata.iptc), (PROFILE, 7, metadata.profile))
    for tag, kind, data in plain:
        if data:
            found[tag] = Value(kind, data)
    if metadata.resources:
        resources = replace(metadata, iptc=None)
        found[PHOTOSHOP] = Value(7, (photoshop(resources) or b"").removeprefix(PHOTOSHOP_HEAD))
    resolution = stated_resolution(metadata)
    if resolution and X_RESOLUTION not in tags.values:
        x, y, unit = resolution
        if unit == "m":
            x, y, unit = x / 100, y / 100, "cm"
        code = next((key for key, name in UNITS.items() if name == unit), 1)
        found[X_RESOLUTION] = _rational(tags.order, x)
        found[Y_RESOLUTION] = _rational(tags.order, y)
        found[RESOLUTION_UNIT] = _ifd.integer(tags.order, SHORT, code)
    return found


def _rational(order: str, number: float) -> Value:
    """Encode a positive number as a fraction."""
    exact = Fraction(number).limit_denominator(10_000)
    return Value(5, struct.pack(f"{order}II", exact.numerator, exact.denominator))
