"""EXIF blocks: reading of damaged ones too, and updates after pixels were turned or cut."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from PIL import ExifTags

from skdefocus.io import _ifd
from skdefocus.io._ifd import Directory, TagError, Value

ORIENTATION = 0x0112
MAKER_NOTE = 0x927C
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 282, 283, 296
#: Tags of columns and of rows, in the first directory and in that of EXIF.
SIZES = ((256, 257), (0xA002, 0xA003))
#: Tags of values along x and y that are swapped when a picture is turned by a quarter.
PAIRS = ((X_RESOLUTION, Y_RESOLUTION), (0xA20E, 0xA20F))
#: Tags of the subject's position: a point, circle or rectangle in pixels of the stored picture.
SUBJECT_AREA, SUBJECT_LOCATION = 0x9214, 0xA214
PREFIX = b"Exif\0\0"
#: Dots per unit, by the value of a resolution's unit.
UNITS = {2: "inch", 3: "cm"}


def tags_of(block: bytes | None) -> Directory:
    """Read the tags of an EXIF block; a damaged block, or None, has none."""
    try:
        return _ifd.read_block(block or b"")
    except TagError:
        return Directory("<")


def resolution_of(tags: Directory) -> tuple[float, float, str] | None:
    """Return the dots per unit along x and y, and the unit, or None."""
    x, y = tags.number(X_RESOLUTION), tags.number(Y_RESOLUTION)
    unit = UNITS.get(int(tags.number(RESOLUTION_UNIT) or 2))
    return (x, y or x, unit) if x and unit else None


def orientation_of(tags: Directory) -> int:
    """Return the orientation of the pixels from 1 to 8; 1, upright, if there is none."""
    found = int(tags.number(ORIENTATION) or 1)
    return found if found in range(1, 9) else 1


def within(block: bytes, room: int) -> tuple[bytes, list[str]]:
    """Remove the largest values from an EXIF block until it fits, and name them.

    The block is written anew. A maker note goes first, as its values would not be found any more.
    """
    tags, lost = tags_of(block), list[str]()
    while len(block) > room:
        below = tags.children.get(_ifd.EXIF, Directory(tags.order))
        if MAKER_NOTE in below.values:
            largest = MAKER_NOTE
        else:
            sizes = {t: len(v.data) for d in (tags, below) for t, v in d.values.items()}
            if not sizes:  # only directories of other kinds
                return b"", ["all of it"]
            largest = max(sizes, key=lambda tag: sizes[tag])
        lost.append(_name(largest))
        tags = _without(tags, largest)
        if below.values:
            children = tags.children | {_ifd.EXIF: _without(below, largest)}
            tags = replace(tags, children=children)
        block = _ifd.pack_block(tags)
    return block, lost


def _without(tags: Directory, tag: int) -> Directory:
    return replace(tags, values={t: v for t, v in tags.values.items() if t != tag})


def _name(tag: int) -> str:
    return "the maker note" if tag == MAKER_NOTE else ExifTags.TAGS.get(tag, f"tag {tag}")


def upright(
    block: bytes, orientation: int, before: tuple[int, int], size: tuple[int, int]
) -> bytes:
    """Update an EXIF block for pixels that were turned upright and perhaps cut.

    Values are changed in place, so that all others stay where maker notes expect them.

    Parameters
    ----------
    block : bytes
    orientation : int
        Orientation of the pixels before they were turned, from 1 to 8.
    before, size : (int, int)
        Width and height of the pixels as stored, and of the result.
    """
    tags = tags_of(block)
    directories = (tags, tags.children.get(_ifd.EXIF, Directory(tags.order)))
    out = bytearray(block)

    def put(value: Value | None, data: bytes) -> None:
        """Replace a value by one of the same length."""
        if value is not None and len(data) == len(value.data):
            out[value.position : value.position + len(data)] = data

    def put_number(directory: Directory, tag: int, number: int) -> None:
        """Replace an integer."""
        value = directory.values.get(tag)
        if value is not None and value.kind in (_ifd.SHORT, _ifd.LONG):
            put(value, _ifd.integer(tags.order, value.kind, number).data)

    put_number(tags, ORIENTATION, 1)
    for directory, names in zip(directories, SIZES, strict=True):
        for tag, number in zip(names, size, strict=True):
            put_number(directory, tag, number)
        if orientation >= 5:
            for x, y in PAIRS:
                first, second = directory.values.get(x), directory.values.get(y)
                if first is not None and second is not None:
                    put(first, second.data)
                    put(second, first.data)
    for tag in (SUBJECT_AREA, SUBJECT_LOCATION):
        area = directories[1].values.get(tag)
        if area is not None and area.kind == _ifd.SHORT:
            numbers = [int(v) for v in directories[1].numbers(tag)]
            turned = _turned_area(numbers, orientation, before)
            put(area, b"".join(_ifd.integer(tags.order, area.kind, v).data for v in turned))
    return _ifd.without_thumbnail(bytes(out))


def _turned_area(numbers: list[int], orientation: int, size: tuple[int, int]) -> list[int]:
    """Turn a point upright, and the diameter or the width and height that follow it."""
    if len(numbers) < 2:
        return numbers
    (x, y), rest, (width, height) = numbers[:2], numbers[2:], size
    x, y = min(x, width - 1), min(y, height - 1)
    if orientation in (2, 3, 7, 8):
        x = width - 1 - x
    if orientation in (3, 4, 6, 7):
        y = height - 1 - y
    if orientation >= 5:
        x, y, rest = y, x, rest[::-1]
    return [x, y, *rest]


def positive(value: Any) -> float | None:
    """Return the value of a tag if it is a finite number above 0."""
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if 0 < number < math.inf else None
