"""Boxes of JPEG 2000 and AVIF, for facts that Pillow does not pass on."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import IO

from skdefocus.io._heif import coded_color
from skdefocus.io._metadata import Chunk

Box = tuple[bytes, int, int]
#: Paths to the boxes with facts about the picture, and bytes of content before inner boxes.
JP2_HEAD = ((b"jp2h", 0),)
AVIF_HEAD = ((b"meta", 4), (b"iprp", 0), (b"ipco", 0))
#: Identifiers of boxes with EXIF and XMP in JPEG 2000.
EXIF_BOX = b"JpgTiffExif->JP2"
XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
#: Largest content in bytes.
MAX_CONTENT = 2**26
ICC_METHODS = (2, 3)


def _boxes(file: IO[bytes], start: int, end: int) -> Iterator[Box]:
    """Yield kind, start and end of the content of all boxes between two positions."""
    while start + 8 <= end:
        file.seek(start)
        size, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8).ljust(8, b"\0"))
            head = 16
        stop = start + size if size else end
        if not start + head <= stop <= end:
            return
        yield kind, start + head, stop
        start = stop


def _inner(file: IO[bytes], path: tuple[tuple[bytes, int], ...]) -> list[Box]:
    """Return the boxes at the end of a path from the outermost ones."""
    found = list(_boxes(file, 0, file.seek(0, os.SEEK_END)))
    for name, skipped in path:
        at = next(((a + skipped, b) for kind, a, b in found if kind == name), (0, 0))
        found = list(_boxes(file, *at))
    return found


def _content(file: IO[bytes], box: Box) -> bytes:
    """Read the content of a box; none if it is too large."""
    _, start, end = box
    file.seek(start)
    return file.read(end - start) if end - start <= MAX_CONTENT else b""


def read_jp2(file: IO[bytes]) -> tuple[dict[bytes, bytes], int]:
    """Read EXIF, XMP and the ICC profile of a JPEG 2000 file, and its bits per channel.

    Returns
    -------
    dict
        By the keys ``b"exif"``, ``b"xmp"`` and ``b"profile"``.
    int
        0 if unknown.
    """
    found = dict[bytes, bytes]()
    bits = 0
    for box in _inner(file, JP2_HEAD):
        data = _content(file, box)
        if box[0] == b"colr" and data[:1] and data[0] in ICC_METHODS:
            found.setdefault(b"profile", data[3:])
        if box[0] == b"ihdr" and len(data) > 10 and data[10] != 255:
            bits = (data[10] & 127) + 1
    for box in _inner(file, ()):
        if box[0] == b"uuid":
            data = _content(file, box)
            if name := {EXIF_BOX: b"exif", XMP_BOX: b"xmp"}.get(data[:16]):
                found.setdefault(name, data[16:])
    return found, bits


def read_avif(file: IO[bytes]) -> tuple[tuple[Chunk, ...], int]:
    """Read the color codes of an AVIF as those of a PNG, and its bits per channel; 0 if unknown."""
    color: tuple[Chunk, ...] = ()
    bits = 0
    for box in _inner(file, AVIF_HEAD):
        data = _content(file, box)
        if box[0] == b"colr" and data[:4] == b"nclx" and len(data) >= 8:
            color = color or coded_color(*struct.unpack(">HH", data[4:8]))
        if box[0] == b"pixi" and len(data) > 5:
            bits = max(bits, *data[5:])
    return color, bits
