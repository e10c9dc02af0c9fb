"""HEIC and HEIF, the format of many phones, read by pillow-heif (extra ``heic``)."""

from __future__ import annotations

from typing import IO, Any

import numpy as np

from skdefocus._typing import AnyArray
from skdefocus.io._errors import ReadError
from skdefocus.io._exif import PREFIX, orientation_of, tags_of
from skdefocus.io._metadata import Chunk, Metadata

BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
#: The container of HEIC may also hold an AV1 picture, which Pillow reads.
AVIF = {b"avif", b"avis"}
VIDEO = {b"isom", b"iso2", b"mp41", b"mp42", b"avc1", b"qt  ", b"M4V ", b"3gp4", b"3gp5"}
#: Channels of pillow-heif's modes: Pillow's, followed by ";16" if they have more than 8 bits.
CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
#: Numbers in H.273 of the primaries and the curve of sRGB, or of unspecified ones.
PLAIN_PRIMARIES, PLAIN_CURVES = (1, 2), (1, 2, 6, 13)


def brands_of(head: bytes) -> set[bytes]:
    """Read the brands of an ISO media file from its first bytes."""
    if head[4:8] != b"ftyp":
        return set()
    size = min(int.from_bytes(head[:4], "big"), len(head))
    return {head[8:12], *(head[k : k + 4] for k in range(16, size - 3, 4))}


def is_heif(head: bytes) -> bool:
    """Recognize a HEIC or HEIF that is not AV1 by its first bytes."""
    brands = brands_of(head)
    return bool(brands & BRANDS) and not brands & AVIF


def is_video(head: bytes) -> bool:
    """Recognize a video by its first bytes."""
    return bool(brands_of(head) & VIDEO) and not brands_of(head) & (BRANDS | AVIF)


def open_heif(file: IO[bytes]) -> Any:
    """Open a file without decoding its picture."""
    try:
        import pillow_heif
    except ImportError:
        raise ReadError('HEIC and HEIF need pillow-heif: pip install "skdefocus[heic]"') from None
    file.seek(0)
    return pillow_heif.open_heif(file, convert_hdr_to_8bit=False)


def heif_pixels(heif: Any) -> AnyArray:
    """Decode to gray or RGB, perhaps with alpha, turned upright; 10 and 12 bits become 16."""
    data = bytes(heif.data)  # its own array interface outlives the memory it points to
    width, height = heif.size
    name, _, deep = heif.mode.partition(";")
    size = (2 if deep else 1) * CHANNELS[name]
    rows = np.frombuffer(data, np.uint8)[: height * heif.stride].reshape(height, heif.stride)
    pixels = rows[:, : width * size].copy().view(np.uint16 if deep else np.uint8)
    return pixels.reshape((height, width, CHANNELS[name])[: 2 if name == "L" else 3])


def coded_color(primaries: int, curve: int) -> tuple[Chunk, ...]:
    """Return a PNG's chunk for color codes of H.273; none for sRGB and for unspecified ones."""
    if primaries in PLAIN_PRIMARIES and curve in PLAIN_CURVES:
        return ()
    return ((b"cICP", bytes([primaries % 256, curve % 256, 0, 1])),)


def read_heif(heif: Any) -> Metadata:
    """Read the metadata of an opened file."""
    info = heif.info
    exif = (info.get("exif") or b"").removeprefix(PREFIX)
    profile = info.get("icc_profile")
    nclx = info.get("nclx_profile") or {}
    names = ("color_primaries", "transfer_characteristics")
    numbers = [int(nclx.get(name, 2)) for name in names]
    return Metadata(
        exif=exif or None,
        xmp=info.get("xmp") or None,
        profile=profile or None,
        color=() if profile else coded_color(*numbers),
        bits=16 if ";16" in heif.mode else 8,
        alpha=heif.mode.startswith(("RGBA", "LA")),
        gray=heif.mode.startswith("L"),
        turned=orientation_of(tags_of(exif)),
    )
