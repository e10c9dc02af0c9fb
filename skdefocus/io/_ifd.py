"""Tags of TIFF files and of EXIF blocks, which are TIFF files without a picture.

Values are kept as raw bytes, so that no type is guessed and nothing is rounded.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Set
from dataclasses import dataclass, field
from typing import IO, Any

#: Bytes of a value, by its type.
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 129: 1}
SHORT, LONG = 3, 4
#: Integers of 64 bits and pointers of BigTIFF, which become 32 bits where they fit.
LONG8, IFD8 = 16, 18
#: Tags that point to a directory of their own: EXIF, GPS and interoperability.
EXIF, GPS, INTEROPERABILITY = 34665, 34853, 40965
#: Tags of a thumbnail's directory.
THUMBNAIL_OFFSET, THUMBNAIL_LENGTH = 513, 514
#: Larger values are pictures or damage; larger directories are damage.
MAX_VALUE = 2**26
MAX_TAGS = 4096
#: The second half of the magic number: TIFF, and the raw files of Olympus and Panasonic.
MAGIC = (42, 0x4F52, 0x5352, 0x55)
BIG_MAGIC = 43


class TagError(ValueError):
    """Error of damaged tags."""


@dataclass(frozen=True)
class Value:
    """Value of a tag: its type, its bytes in the byte order of the block, and their position."""

    kind: int
    data: bytes
    position: int = 0


@dataclass(frozen=True)
class Directory:
    """Tags of one directory and the directories they point to.

    Attributes
    ----------
    order : {"<", ">"}
        Byte order of all values.
    values : dict
        Values of the tags that do not point to a directory.
    children : dict
        Directories for EXIF, GPS and interoperability, by the tag that points to them.
    next_link : int
        Position of the offset of the next directory.
    next_offset : int
        That offset, or 0 if there is no next directory.
    """

    order: str
    values: dict[int, Value] = field(default_factory=dict)
    children: dict[int, Directory] = field(default_factory=dict)
    next_link: int = 0
    next_offset: int = 0

    def numbers(self, tag: int) -> tuple[float, ...]:
        """Return a tag's values as numbers; none if it is missing, not numeric or divided by 0."""
        value = self.values.get(tag)
        if value is None:
            return ()
        codes = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 5: "I", 10: "i"}
        code = codes.get(value.kind)
        if code is None:
            return ()
        width = struct.calcsize(code)
        flat = struct.unpack(
            f"{self.order}{len(value.data) // width}{code}",
            value.data[: len(value.data) // width * width],
        )
        if value.kind not in (5, 10):
            return flat
        pairs = list(zip(flat[::2], flat[1::2], strict=False))
        return tuple(a / b for a, b in pairs) if all(b for _, b in pairs) else ()

    def number(self, tag: int) -> float | None:
        """Return the first number of a tag, or None."""
        return next(iter(self.numbers(tag)), None)


def read_directory(file: IO[bytes], skip: Set[int] = frozenset()) -> Directory:
    """Read the first directory of a TIFF file or EXIF block, with its children.

    Parameters
    ----------
    file : binary file
        Classic TIFF or BigTIFF of either byte order.
    skip : set of int
        Tags of the first directory whose values are not read.

    Raises
    ------
    TagError
        If the first directory is damaged. Damaged children and values are left out.
    """
    order, big, offset = _head(file)
    return _directory(file, order, big, offset, skip, (EXIF, GPS))


def read_block(block: bytes) -> Directory:
    """Read the first directory of an EXIF block, see :func:`read_directory`."""
    return read_directory(io.BytesIO(block))


def _head(file: IO[bytes]) -> tuple[str, bool, int]:
    """Read byte order, kind (BigTIFF or not) and offset of the first directory."""
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        raise TagError("it does not begin as a TIFF does")
    (magic,) = struct.unpack(f"{order}H", head[2:4])
    if magic == BIG_MAGIC and len(head) == 16:
        return order, True, int(struct.unpack(f"{order}Q", head[8:])[0])
    if magic not in MAGIC:
        raise TagError("it does not begin as a TIFF does")
    return order, False, int(struct.unpack(f"{order}I", head[4:8])[0])


def _directory(
    file: IO[bytes],
    order: str,
    big: bool,
    offset: int,
    skip: Set[int],
    pointers: tuple[int, ...],
) -> Directory:
    """Read a directory, and those that the tags in `pointers` point to."""
    count_code, entry_code, offset_code = ("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")
    (count,) = _unpack(file, offset, order + count_code)
    if count > MAX_TAGS:
        raise TagError(f"a directory claims {count} tags")
    at = offset + struct.calcsize(order + count_code)
    size = struct.calcsize(order + entry_code)
    values: dict[int, Value] = {}
    children: dict[int, Directory] = {}
    for entry in range(at, at + count * size, size):
        tag, kind, length, inline = _unpack(file, entry, order + entry_code)
        if tag in skip or tag in values:
            continue
        value = _value(file, order + offset_code, (kind, length, inline), entry + size)
        if value is None:
            continue
        if tag not in pointers:
            values[tag] = value
            continue
        below = Directory(order, {tag: Value(LONG, value.data)}).number(tag)
        try:
            below_pointers = (INTEROPERABILITY,) if tag == EXIF else ()
            children[tag] = _directory(
                file, order, big, int(below or 0), frozenset(), below_pointers
            )
        except TagError:
            continue
    link = at + count * size
    try:
        (following,) = _unpack(file, link, order + offset_code)
    except TagError:
        following = 0
    return Directory(order, values, children, link, following)


def _value(
    file: IO[bytes], offset_format: str, entry: tuple[int, int, bytes], end: int
) -> Value | None:
    """Read the value of a directory's entry; None if it is damaged or of an unknown type."""
    kind, count, inline = entry
    kind = LONG if kind == 13 else kind  # a pointer may also have the type IFD
    large = kind in (LONG8, IFD8)
    size = (8 if large else SIZES.get(kind, 0)) * count
    if not 0 < size <= MAX_VALUE:
        return None
    if size <= len(inline):
        position, data = end - len(inline), inline[:size]
    else:
        (position,) = struct.unpack(offset_format, inline)
        file.seek(position)
        data = file.read(size)
    if len(data) < size:
        return None
    if large:
        numbers = struct.unpack(f"{offset_format[0]}{count}Q", data)
        if max(numbers) >= 2**32:
            return None
        kind, data = LONG, struct.pack(f"{offset_format[0]}{count}I", *numbers)
    return Value(kind, data, position)


def _unpack(file: IO[bytes], position: int, form: str) -> tuple[Any, ...]:
    """Read and unpack bytes at a position."""
    file.seek(position)
    data = file.read(struct.calcsize(form))
    if len(data) < struct.calcsize(form):
        raise TagError("a directory ends too early")
    return struct.unpack(form, data)


def pack_directory(tags: Directory, position: int) -> bytes:
    """Encode a directory for a position of a file, followed by everything that it points to.

    Parameters
    ----------
    tags : Directory
    position : int
        Even offset of the first byte in the file.
    """
    all_tags = sorted({*tags.values, *tags.children})
    behind = bytearray()
    start = position + 2 + 12 * len(all_tags) + 4
    entries = bytearray(struct.pack(f"{tags.order}H", len(all_tags)))
    for tag in all_tags:
        if tag in tags.children:
            kind, count = LONG, 1
            data = struct.pack(f"{tags.order}I", start + len(behind))
            behind += pack_directory(tags.children[tag], start + len(behind))
        else:
            value = tags.values[tag]
            kind, count, data = value.kind, len(value.data) // SIZES[value.kind], value.data
            if len(data) > 4:
                data = struct.pack(f"{tags.order}I", start + len(behind))
                behind += value.data
        behind += bytes(len(behind) % 2)  # offsets are even
        entries += struct.pack(f"{tags.order}HHI", tag, kind, count) + data.ljust(4, b"\0")
    return bytes(entries + bytes(4) + behind)


def pack_block(tags: Directory) -> bytes:
    """Encode an EXIF block."""
    head = b"II*\0\x08\0\0\0" if tags.order == "<" else b"MM\0*\0\0\0\x08"
    return head + pack_directory(tags, len(head))


def without_thumbnail(block: bytes) -> bytes:
    """Remove the second directory of an EXIF block, with its thumbnail.

    Everything else in the block stays where it is, because maker notes point to it.
    """
    tags = read_block(block)
    out = bytearray(block)
    if not tags.next_offset:
        return block
    struct.pack_into(f"{tags.order}I", out, tags.next_link, 0)
    try:
        second = _directory(io.BytesIO(block), tags.order, False, tags.next_offset, frozenset(), ())
    except TagError:
        return bytes(out)
    start, size = second.number(THUMBNAIL_OFFSET), second.number(THUMBNAIL_LENGTH)
    if start is None or size is None or start <= tags.next_offset:
        return bytes(out)
    first, end = int(start), min(int(start + size), len(out))
    out[first:end] = bytes(max(end - first, 0))
    return bytes(out[:first] if end == len(out) else out)


def integer(order: str, kind: int, number: int) -> Value:
    """Encode an integer as the value of a tag."""
    return Value(kind, struct.pack(order + {SHORT: "H", LONG: "I"}[kind], number))
