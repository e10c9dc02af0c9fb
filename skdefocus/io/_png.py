"""PNG: check for damage, metadata in its chunks, and encoding.

Pillow decodes the readable part of a damaged file and leaves the rest black, and it neither reads
nor writes color of 16 bits.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from typing import IO

import numpy as np
from numpy.typing import NDArray

from skdefocus._typing import AnyArray, UInt8Array
from skdefocus.io._exif import PREFIX
from skdefocus.io._metadata import (
    PER_METER,
    PHOTOSHOP_HEAD,
    Chunk,
    Metadata,
    Text,
    photoshop,
    read_photoshop,
    stated_resolution,
)

#: Number of bytes that are unpacked at once.
BLOCK = 2**20
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
#: PNG's number for a picture's channels: gray, gray with alpha, RGB, RGBA.
COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Chunks that define the meaning of values, and those that hold texts.
COLOR_CHUNKS = (b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"mDCv", b"cLLi")
TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
XMP_KEY = b"XML:com.adobe.xmp"
#: Prefix of ImageMagick's texts with data that PNG had no chunk for; ExifTool uses it too.
PROFILE_KEY = b"Raw profile type "
#: Largest size in bytes of one text or profile, unpacked.
MAX_UNPACKED = 2**26
#: Bytes of all texts and the profile, unpacked, that Pillow gets; it refuses a file with more.
PILLOWS = 2**20
#: Level of zlib's compression.
LEVEL = 6
#: Number of rows that are filtered and packed at once.
ROWS = 64
#: First column and row, and their distances, in the seven passes of an interlaced file.
PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)


def check_png(file: IO[bytes]) -> None:
    """Check the checksums of a PNG and that its data hold all of its rows.

    Parameters
    ----------
    file : binary file
        A PNG that Pillow has opened; read from its start, a chunk at a time.

    Raises
    ------
    ValueError
        If a checksum is wrong, or the file or its data end too early.
    """
    end = file.seek(0, os.SEEK_END)
    file.seek(8)
    kind, head = _chunk(file, end)
    if kind != b"IHDR" or len(head) != 13:
        raise ValueError("its header is damaged")
    remaining = _raw_size(head)
    unpack = zlib.decompressobj()
    while kind != b"IEND":
        kind, packed = _chunk(file, end)
        if kind != b"IDAT":
            continue
        while packed and remaining > 0:  # never unpacks more than there should be
            remaining -= len(unpack.decompress(packed, BLOCK))
            packed = unpack.unconsumed_tail
    if remaining > 0:
        raise ValueError("rows are missing at its end")


def _chunk(file: IO[bytes], end: int) -> tuple[bytes, bytes]:
    """Read a chunk and check its checksum."""
    start = file.read(8)
    if len(start) < 8:
        raise ValueError("it ends too early")
    size, kind = struct.unpack(">I4s", start)
    if size + 4 > end - file.tell():  # checked first: reading reserves memory for all of it
        raise ValueError("it ends too early")
    content = file.read(size)
    checksum = file.read(4)
    if struct.unpack(">I", checksum)[0] != zlib.crc32(content, zlib.crc32(kind)):
        raise ValueError(f"the checksum of its part {kind!r} is wrong")
    return kind, content


def _raw_size(head: bytes) -> int:
    """Compute the bytes of all unpacked rows, with the byte for the filter before each."""
    width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", head)
    bits = depth * SAMPLES.get(color, 1)
    total = 0
    for left, top, dx, dy in PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // dx), -(-(height - top) // dy)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * bits // 8))
    return total


def without_long_texts(file: IO[bytes]) -> IO[bytes]:
    """Return a PNG without the texts and the profile that make Pillow refuse it; `file` if none."""
    kept, start, room = list[bytes](), 0, PILLOWS
    for kind, content, part in _small_chunks(file):
        if kind != b"iCCP" and kind not in TEXT_CHUNKS:
            continue
        text = _unpacked_profile(content) if kind == b"iCCP" else _read_text(kind, content).text
        size = len(text) if content else part.stop - part.start
        if size <= room:
            room -= size
            continue
        file.seek(start)
        kept.append(file.read(part.start - start))
        start = part.stop
    file.seek(start)
    return io.BytesIO(b"".join([*kept, file.read()])) if start else file


def clear_color(file: IO[bytes]) -> tuple[int, ...] | None:
    """Return the gray value or color that is transparent, as values of 8 or 16 bits.

    None if a PNG has none, or has a palette, whose colors have an alpha each.
    """
    found = {kind: content for kind, content, _ in reversed(_small_chunks(file))}
    head, values = found.get(b"IHDR", b""), found.get(b"tRNS", b"")
    if len(head) != 13 or head[9] not in (0, 2) or len(values) < 2 * SAMPLES[head[9]]:
        return None
    most = 2 ** head[8] - 1
    numbers = struct.unpack_from(f">{SAMPLES[head[9]]}H", values)
    return tuple((number & most) * max(255 // most, 1) for number in numbers)


def with_alpha(pixels: AnyArray, clear: tuple[int, ...]) -> AnyArray:
    """Append an alpha that is 0 where pixels have a color, and 1 elsewhere."""
    planes = pixels if pixels.ndim == 3 else pixels[..., None]
    alpha = np.where((planes == clear).all(axis=2), 0, np.iinfo(planes.dtype).max)
    return np.concatenate([planes, alpha[..., None].astype(planes.dtype)], axis=2)


def read_png(file: IO[bytes]) -> Metadata:
    """Read the metadata of a PNG that Pillow has opened."""
    found = dict[bytes, bytes]()
    texts = list[Text]()
    hidden = dict[bytes, bytes]()
    problems = list[str]()
    for kind, content, part in _small_chunks(file):
        if kind in TEXT_CHUNKS:
            text = _read_text(kind, content)
            if part.stop - part.start > MAX_UNPACKED or len(text.text) == MAX_UNPACKED:
                problems.append(f"a text of {MAX_UNPACKED} bytes or more")
            elif text.key.startswith(PROFILE_KEY):
                hidden[text.key[len(PROFILE_KEY) :].lower()] = _hidden(text.text)
            elif text.key:
                texts.append(text)
        else:
            found.setdefault(kind, content)
    head = found.get(b"IHDR", b"")
    profile = _unpacked_profile(found.get(b"iCCP", b""))
    if b"iCCP" in found and not 0 < len(profile) < MAX_UNPACKED:
        problems.append(f"its profile, which is damaged or of {MAX_UNPACKED} bytes or more")
        profile = b""
    xmp = next((t.text for t in texts if t.key == XMP_KEY), b"") or hidden.get(b"xmp")
    exif = found.get(b"eXIf") or hidden.get(b"exif") or hidden.get(b"app1") or b""
    shop = hidden.get(b"8bim") or hidden.get(b"iptc") or b""
    iptc, resources = read_photoshop(shop)
    return Metadata(
        exif=exif.removeprefix(PREFIX) or None,
        xmp=xmp or None,
        iptc=iptc or (shop if shop.startswith(b"\x1c") else None),
        resources=resources,
        profile=profile or None,
        resolution=_read_resolution(found.get(b"pHYs", b"")),
        color=tuple((kind, found[kind]) for kind in COLOR_CHUNKS if kind in found),
        texts=tuple(text for text in texts if text.key != XMP_KEY),
        bits=head[8] if len(head) == 13 and head[8] > 8 else 8,
        alpha=b"tRNS" in found or (len(head) == 13 and head[9] in (4, 6)),
        gray=len(head) == 13 and head[9] in (0, 4),
        problems=tuple(problems),
    )


def _small_chunks(file: IO[bytes]) -> list[tuple[bytes, bytes, slice]]:
    """Read all complete chunks except those of the picture itself, and where they are.

    Those of more than `MAX_UNPACKED` bytes are empty.
    """
    end = file.seek(0, os.SEEK_END)
    at = file.seek(8)
    found = []
    while len(start := file.read(8)) == 8:
        size, kind = struct.unpack(">I4s", start)
        part = slice(at, at + size + 12)
        if part.stop > end or kind == b"IEND":
            break
        if kind not in (b"IDAT", b"fdAT"):
            found.append((kind, file.read(size) if size <= MAX_UNPACKED else b"", part))
        at = file.seek(part.stop)
    return found


def _unpacked(data: bytes) -> bytes:
    """Unpack bytes, `MAX_UNPACKED` of them at most; return none if they are damaged."""
    try:
        return zlib.decompressobj().decompress(data, MAX_UNPACKED)
    except zlib.error:
        return b""


def _read_text(kind: bytes, content: bytes) -> Text:
    """Decode a key and a text to UTF-8; the key is empty if it is damaged."""
    key, _, rest = content.partition(b"\0")
    if kind == b"iTXt":
        packed, (language, _, text) = rest[:1], rest[2:].partition(b"\0")
        translated_key, _, text = text.partition(b"\0")
        text = _unpacked(text) if packed == b"\1" else text
    else:
        latin = _unpacked(rest[1:]) if kind == b"zTXt" else rest
        language = translated_key = b""
        text = latin.decode("latin-1").encode()
    return Text(key.decode("latin-1").encode(), text, language, translated_key)


def _hidden(text: bytes) -> bytes:
    """Decode bytes that ImageMagick has written as a name, a length and hexadecimal digits."""
    parts = text.strip().split(b"\n", 2)
    try:
        return bytes.fromhex("".join(parts[2].decode("ascii").split()))
    except (IndexError, ValueError):
        return b""


def _unpacked_profile(content: bytes) -> bytes:
    """Unpack an ICC profile."""
    _, _, rest = content.partition(b"\0")
    return _unpacked(rest[1:])


def _read_resolution(content: bytes) -> tuple[float, float, str] | None:
    """Read the resolution."""
    if len(content) != 9:
        return None
    x, y, unit = struct.unpack(">IIB", content)
    return (x, y, "m" if unit == 1 else "") if x and y else None


def encode_png(pixels: UInt8Array | NDArray[np.uint16], metadata: Metadata) -> bytes:
    """Encode gray or RGB, with or without alpha, of 8 or 16 bits, and all metadata.

    Parameters
    ----------
    pixels : ndarray of shape (H, W) or (H, W, C), uint8 or uint16
        C is from 1 to 4.
    metadata : Metadata
    """
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    bits = 8 * pixels.dtype.itemsize
    head = struct.pack(">IIBBBBB", width, height, bits, COLOR_TYPES[channels], 0, 0, 0)
    parts = [(b"IHDR", head), *_metadata_chunks(metadata)]
    packer = zlib.compressobj(LEVEL)
    above = np.zeros((1, width * channels * pixels.dtype.itemsize), np.uint8)
    packed = []
    for start in range(0, height, ROWS):
        part = pixels[start : start + ROWS]
        rows = part.astype(pixels.dtype.newbyteorder(">")).reshape(len(part), -1).view(np.uint8)
        packed.append(packer.compress(_filtered(rows, above, channels * bits // 8).tobytes()))
        above = rows[-1:]
    packed.append(packer.flush())
    parts += [(b"IDAT", b"".join(packed)), (b"IEND", b"")]
    return SIGNATURE + b"".join(_written(kind, content) for kind, content in parts)


def _filtered(rows: UInt8Array, above: UInt8Array, step: int) -> UInt8Array:
    """Filter rows by differences to the left or above, whichever are smaller.

    Each row begins with the number of its filter. `step` is the number of bytes of a pixel.
    """
    left = rows.copy()
    left[:, step:] -= rows[:, :-step]
    up = rows - np.concatenate([above, rows[:-1]])
    sizes = [np.abs(part.view(np.int8).astype(np.int16)).sum(axis=1) for part in (left, up)]
    best = np.where(sizes[0] <= sizes[1], 1, 2).astype(np.uint8)
    return np.concatenate([best[:, None], np.where(best[:, None] == 1, left, up)], axis=1)


def _written(kind: bytes, content: bytes) -> bytes:
    """Encode a chunk."""
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def _metadata_chunks(metadata: Metadata) -> list[Chunk]:
    """Encode the chunks for metadata, in an order that is allowed before the picture."""
    chunks = list(metadata.color)
    if metadata.profile:  # an sRGB chunk would contradict it
        chunks = [chunk for chunk in chunks if chunk[0] != b"sRGB"]
        chunks.append((b"iCCP", b"ICC Profile\0\0" + zlib.compress(metadata.profile)))
    if resolution := stated_resolution(metadata):
        x, y, unit = resolution
        numbers = [max(round(value * PER_METER.get(unit, 1)), 1) for value in (x, y)]
        chunks.append((b"pHYs", struct.pack(">IIB", *numbers, 1 if unit else 0)))
    if metadata.exif:
        chunks.append((b"eXIf", metadata.exif))
    if metadata.xmp:
        chunks.append((b"iTXt", XMP_KEY + b"\0\0\0\0\0" + metadata.xmp))
    if shop := (photoshop(metadata) or b"").removeprefix(PHOTOSHOP_HEAD):
        digits = f"\niptc\n{len(shop):8}\n{shop.hex()}\n".encode()
        chunks.append((b"zTXt", PROFILE_KEY + b"iptc\0\0" + zlib.compress(digits)))
    texts = list(metadata.texts)
    if metadata.comment and all(text.key != b"Comment" for text in texts):
        comment = metadata.comment.decode("utf-8", "replace").rstrip("\0").encode()
        texts.append(Text(b"Comment", comment))
    return chunks + [_written_text(text) for text in texts]


def _written_text(text: Text) -> Chunk:
    """Encode a text, in Latin-1 if possible and if it does not state its language."""
    name, value = text.key.decode().encode("latin-1"), text.text.decode("utf-8", "replace")
    try:
        if not (text.language or text.translated_key):
            return b"tEXt", name + b"\0" + value.encode("latin-1")
    except UnicodeEncodeError:  # Latin-1 does not have all of its letters
        pass
    head = (name, b"\0\0" + text.language, text.translated_key)
    return b"iTXt", b"\0".join([*head, value.encode()])
