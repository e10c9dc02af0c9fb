"""JPEG: metadata in its segments, and encoding with no worse quality than the source."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from skdefocus._typing import UInt8Array
from skdefocus.io import _xmp_extended
from skdefocus.io._exif import PREFIX
from skdefocus.io._metadata import (
    PHOTOSHOP_HEAD,
    SEGMENT,
    Metadata,
    photoshop,
    read_photoshop,
    stated_resolution,
)

#: Quality where the source has no better one.
QUALITY = 95
PROFILE_HEAD = b"ICC_PROFILE\0"
#: Bytes of a profile in one segment, after its number and the count.
PROFILE_PART = 65_533 - len(PROFILE_HEAD) - 2
APP1, APP2, APP13, COMMENT = 0xE1, 0xE2, 0xED, 0xFE
#: Units of the JFIF head, and its position in libjpeg's output: the unit, then x and y.
UNITS = {0: "", 1: "inch", 2: "cm"}
JFIF_UNIT, JFIF_END = 13, 20
MAX_DENSITY = 65_535


def read_jpeg(image: Any) -> Metadata:
    """Read the metadata of a JPEG that Pillow has opened."""
    segments: list[tuple[str, bytes]] = list(image.applist)
    exif = b"".join(
        data[len(PREFIX) :] for name, data in segments if name == "APP1" and data[:6] == PREFIX
    )
    shop = [data for name, data in segments if name == "APP13" and data.startswith(PHOTOSHOP_HEAD)]
    # Large resources continue in the next segment.
    iptc, resources = read_photoshop(b"".join(part[len(PHOTOSHOP_HEAD) :] for part in shop))
    comments = [data for name, data in segments if name == "COM"]
    density = image.info.get("jfif_density")
    unit = UNITS.get(image.info.get("jfif_unit", 0), "")
    return Metadata(
        exif=exif or None,
        xmp=_xmp_extended.joined([data for name, data in segments if name == "APP1"]),
        iptc=iptc,
        resources=resources,
        profile=image.info.get("icc_profile"),
        comment=comments[0] if comments else None,
        resolution=(density[0], density[1], unit) if density and min(density) > 0 else None,
        tables=tuple(tuple(image.quantization[key]) for key in sorted(image.quantization)),
        progressive=bool(image.info.get("progressive")),
    )


def encode_jpeg(pixels: UInt8Array, metadata: Metadata) -> bytes:
    """Encode gray or RGB of 8 bits with all metadata that fit into segments."""
    buffer = io.BytesIO()
    color = pixels.ndim == 3
    Image.fromarray(pixels).save(
        buffer,
        format="JPEG",
        qtables=_finer_tables(metadata.tables)[: 2 if color else 1],
        subsampling=0,
        progressive=metadata.progressive,
    )
    data = buffer.getvalue()
    head = data[:JFIF_UNIT] + _density(metadata) + data[JFIF_UNIT + 5 : JFIF_END]
    return b"".join([head, *_segments(metadata), data[JFIF_END:]])


def _finer_tables(tables: tuple[tuple[int, ...], ...]) -> list[list[int]]:
    """Return steps for gray and color: those of `QUALITY`, or of the source if smaller."""
    gray, color = (np.array(table) for table in _usual_tables())
    for k, table in enumerate(tables):
        if len(table) == 64 and min(table) > 0:
            if k == 0:
                gray = np.minimum(gray, table)
            if k > 0 or len(tables) == 1:
                color = np.minimum(color, table)
    return [gray.tolist(), color.tolist()]


@cache
def _usual_tables() -> tuple[tuple[int, ...], ...]:
    """Return the quantization tables of `QUALITY`, for gray and color."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, format="JPEG", quality=QUALITY)
    with Image.open(buffer, formats=["JPEG"]) as image:
        found: Any = image
        return tuple(tuple(found.quantization[key]) for key in (0, 1))


def _density(metadata: Metadata) -> bytes:
    """Encode the unit and the resolution of the JFIF head."""
    x, y, unit = stated_resolution(metadata) or (1.0, 1.0, "")
    if unit == "m":  # JFIF does not have meters
        x, y, unit = x * 0.0254, y * 0.0254, "inch"
    numbers = [min(max(round(value), 1), MAX_DENSITY) for value in (x, y)]
    code = next(key for key, name in UNITS.items() if name == unit)
    return bytes([code]) + b"".join(number.to_bytes(2, "big") for number in numbers)


def _segments(metadata: Metadata) -> list[bytes]:
    """Encode the segments for metadata."""
    found: list[tuple[int, bytes]] = []
    if metadata.exif:
        found.append((APP1, PREFIX + metadata.exif))
    if metadata.xmp:
        found += [(APP1, part) for part in _xmp_extended.segments(metadata.xmp, SEGMENT)]
    if shop := photoshop(metadata):
        found.append((APP13, shop))
    if profile := metadata.profile:
        parts = [profile[k : k + PROFILE_PART] for k in range(0, len(profile), PROFILE_PART)]
        found += [
            (APP2, PROFILE_HEAD + bytes([k, len(parts)]) + part)
            for k, part in enumerate(parts, start=1)
        ]
    if metadata.comment:
        found.append((COMMENT, metadata.comment))
    return [bytes([0xFF, m]) + (len(d) + 2).to_bytes(2, "big") + d for m, d in found]
