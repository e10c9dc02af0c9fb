"""XMP packets: parts that no longer hold are changed or removed, in the text of the packet.

Everything else stays byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable

#: Bytes before a packet in a segment of a JPEG. Some programs write other bytes for "http".
HEAD = b"http://ns.adobe.com/xap/1.0/\0"
#: Elements with thumbnails, and with lists of further pictures in the file.
THUMBNAILS = (b"xmp:Thumbnails", b"xap:Thumbnails")
CONTAINERS = (b"Container:Directory", b"GContainer:Directory")
#: Prefixes of names that describe a gain map, a depth map, a second picture, sound, a video, or a
#: further packet, which are other parts of the file.
STALE_NAMES = (
    b"hdrgm:",
    b"HDRGainMap:",
    b"GDepth:",
    b"GImage:",
    b"GAudio:",
    b"GCamera:Micro",
    b"GCamera:Motion",
    b"Camera:Micro",
    b"Camera:Motion",
    b"xmpNote:HasExtendedXMP",
)
#: Lists of faces and other regions by the Metadata Working Group and by Microsoft.
REGIONS = (b"mwg-rs:Regions", b"MP:RegionInfo")
#: A number as an attribute or in an element.
NUMBER = rb"""((?:\s*=\s*["'])|>)\s*([-+.\deE]+)"""


def without_stale_parts(xmp: bytes) -> tuple[bytes, bool]:
    """Remove what describes other parts of the file than the picture; tell whether it was more.

    Returns
    -------
    bytes
    bool
        True if anything but thumbnails was removed.
    """
    for name in THUMBNAILS:
        xmp = _without_element(xmp, name)
    found = xmp
    for name in CONTAINERS:
        found = _without_element(found, name)
    for prefix in STALE_NAMES:
        name = re.escape(prefix) + rb"[\w.-]*"
        found = re.sub(rb"""\s%s\s*=\s*("[^"]*"|'[^']*')""" % name, b"", found)
        found = re.sub(rb"<(%s)(\s[^>]*)?(/>|>.*?</\1>)" % name, b"", found, flags=re.DOTALL)
    return found, found != xmp


def without_regions(xmp: bytes) -> bytes:
    """Remove the regions, as for pixels that were cut."""
    for name in REGIONS:
        xmp = _without_element(xmp, name)
    return xmp


def upright(xmp: bytes, orientation: int, size: tuple[int, int]) -> bytes:
    """Change orientation, sizes and regions for pixels that were turned upright.

    Parameters
    ----------
    xmp : bytes
    orientation : int
        Orientation of the pixels before they were turned, from 1 to 8.
    size : (int, int)
        Width and height of the result.
    """
    facts = {b"tiff:Orientation": 1}
    for names, number in zip(
        (
            (b"tiff:ImageWidth", b"exif:PixelXDimension"),
            (b"tiff:ImageLength", b"exif:PixelYDimension"),
        ),
        size,
        strict=True,
    ):
        facts |= dict.fromkeys(names, number)
    for name, number in facts.items():
        xmp = re.sub(name + NUMBER, rb"%s\g<1>%d" % (name, number), xmp)
    return xmp if orientation == 1 else _turned_regions(xmp, orientation)


def _without_element(xmp: bytes, name: bytes) -> bytes:
    """Remove all elements of a name, with what is in them."""
    pattern = rb"<(%s)(\s[^>]*)?(?<!/)>.*?</\1\s*>|<%s(\s[^>]*)?/>" % (name, name)
    return re.sub(pattern, b"", xmp, flags=re.DOTALL)


def _turned_regions(xmp: bytes, orientation: int) -> bytes:
    """Turn regions upright; they are stated in shares of width and height."""

    def area(found: re.Match[bytes]) -> bytes:
        """Turn the center and the sides of a region."""
        names = (b"stArea:x", b"stArea:y", b"stArea:w", b"stArea:h")
        return _replaced(found[0], names, lambda values: _turned(values, orientation))

    def rectangle(found: re.Match[bytes]) -> bytes:
        """Turn a rectangle that is stated by its upper left corner and its sides."""
        x, y, w, h = (float(part) for part in found[2].split(b","))
        x, y, w, h = _turned([x + w / 2, y + h / 2, w, h], orientation)
        return found[1] + b", ".join(_written(v) for v in (x - w / 2, y - h / 2, w, h))

    xmp = re.sub(rb"<(mwg-rs:Area)(\s[^>]*)?(/>|>.*?</\1\s*>)", area, xmp, flags=re.DOTALL)
    number = rb"\s*[-+.\deE]+\s*"
    four = rb"(MPReg:Rectangle(?:\s*=\s*[\"']|>))(%s)" % b",".join([number] * 4)
    xmp = re.sub(four, rectangle, xmp)
    if orientation < 5:
        return xmp
    pattern = rb"<(mwg-rs:AppliedToDimensions)(\s[^>]*)?(/>|>.*?</\1\s*>)"
    names = (b"stDim:w", b"stDim:h")
    return re.sub(
        pattern, lambda m: _replaced(m[0], names, lambda v: v[::-1]), xmp, flags=re.DOTALL
    )


def _replaced(
    text: bytes, names: tuple[bytes, ...], change: Callable[[list[float]], list[float]]
) -> bytes:
    """Replace numbers that have names by others; leave them if one of them is absent."""
    found = [re.search(name + NUMBER, text) for name in names]
    try:
        values = change([float(match[2]) for match in found if match is not None])
    except ValueError:
        return text
    if len(values) != len(names):
        return text
    for name, value in zip(names, values, strict=True):
        text = re.sub(name + NUMBER, rb"%s\g<1>%s" % (name, _written(value)), text)
    return text


def _turned(values: list[float], orientation: int) -> list[float]:
    """Turn a center and sides in shares of width and height."""
    x, y, width, height = values
    if orientation in (2, 3, 7, 8):
        x = 1 - x
    if orientation in (3, 4, 6, 7):
        y = 1 - y
    return [y, x, height, width] if orientation >= 5 else [x, y, width, height]


def _written(number: float) -> bytes:
    """Write a number without digits that are only rounding."""
    return b"%.9g" % number
