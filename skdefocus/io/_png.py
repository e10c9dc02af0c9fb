"""Whether a PNG is whole: Pillow decodes what there is and leaves the rest black."""

from __future__ import annotations

import os
import struct
import zlib
from typing import IO

#: Bytes that are unpacked at once.
BLOCK = 2**20
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
#: First column and row and their distances in the seven passes of an interlaced file.
PASSES = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4),
    (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
)  # fmt: skip


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
        raise ValueError("its head is damaged")
    missing = _raw_size(head)
    unpack = zlib.decompressobj()
    while kind != b"IEND":
        kind, packed = _chunk(file, end)
        if kind != b"IDAT":
            continue
        while packed and missing > 0:  # no more is unpacked than there should be
            missing -= len(unpack.decompress(packed, BLOCK))
            packed = unpack.unconsumed_tail
    if missing > 0:
        raise ValueError("rows are missing at its end")


def _chunk(file: IO[bytes], end: int) -> tuple[bytes, bytes]:
    start = file.read(8)
    if len(start) < 8:
        raise ValueError("it ends too early")
    size, kind = struct.unpack(">I4s", start)
    if size + 4 > end - file.tell():  # asked first: reading makes room for all of it
        raise ValueError("it ends too early")
    content = file.read(size)
    checksum = file.read(4)
    if struct.unpack(">I", checksum)[0] != zlib.crc32(content, zlib.crc32(kind)):
        raise ValueError(f"the checksum of its part {kind!r} is wrong")
    return kind, content


def _raw_size(head: bytes) -> int:
    """Bytes of all rows, unpacked, with the byte for the filter before each."""
    width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", head)
    bits = depth * SAMPLES.get(color, 1)
    total = 0
    for left, top, dx, dy in PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // dx), -(-(height - top) // dy)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * bits // 8))
    return total
