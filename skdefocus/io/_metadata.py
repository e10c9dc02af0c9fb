"""Metadata of photographs, and the parts of them that other formats can hold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from skdefocus.io import _exif, _ifd, _xmp, _xmp_extended
from skdefocus.io._ifd import Value

Chunk = tuple[bytes, bytes]


class Text(NamedTuple):
    """Text of a PNG in UTF-8, and perhaps its language and its key in that language."""

    key: bytes
    text: bytes
    language: bytes = b""
    translated_key: bytes = b""


#: Dots per unit along x and y, and the unit: "inch", "cm", "m", or "" if only the ratio is known.
Resolution = tuple[float, float, str]

#: Bytes that a segment of a JPEG holds, without those that name its kind.
SEGMENT = 65_533
EXIF_ROOM = SEGMENT - len(_exif.PREFIX)
PHOTOSHOP_HEAD = b"Photoshop 3.0\0"
#: A profile may take 255 segments of a JPEG.
PROFILE_ROOM = 255 * (SEGMENT - 14)
#: Photoshop's resources: IPTC, and those that stay valid with it: resolution, copyright flag,
#: address, and the digest of IPTC.
IPTC, RESOLUTION_INFO = 1028, 1005
RESOURCES = (RESOLUTION_INFO, 1034, 1035, 1061)
#: EXIF tags for texts that have other names in PNG.
TEXTS = {
    b"Description": 270,
    b"Make": 271,
    b"Model": 272,
    b"Software": 305,
    b"Author": 315,
    b"Artist": 315,
    b"Copyright": 33432,
}
#: Values of PNG's gAMA chunk that approximate sRGB: the reciprocal of 2.2.
SRGB_GAMMA = range(45_400, 45_520)
PER_METER = {"inch": 1 / 0.0254, "cm": 100.0, "m": 1.0}


@dataclass(frozen=True)
class Metadata:
    """Metadata of a file, as stored.

    Attributes
    ----------
    exif : bytes or None
        A block that begins like a TIFF; also the tags of a TIFF itself.
    xmp : bytes or None
    iptc : bytes or None
    resources : tuple of (int, bytes)
        Photoshop's resources, those in `RESOURCES`.
    profile : bytes or None
        ICC profile.
    comment : bytes or None
        Comment of a JPEG.
    resolution : (float, float, str) or None
        Resolution in the format's own head; that in EXIF may differ.
    color : tuple of (bytes, bytes)
        Chunks of a PNG that define the meaning of its values: gamma, chromaticities, color codes.
    texts : tuple of Text
    bits : int
        8, 16, or 32 for floats.
    alpha, gray : bool
    tables : tuple of tuple of int
        Quantization of a JPEG.
    progressive, compressed : bool
        True for a progressive JPEG, and for a compressed TIFF.
    turned : int
        EXIF's orientation, if decoding has already turned the pixels.
    problems : tuple of str
        Parts that could not be read, or that no output can hold.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    resources: tuple[tuple[int, bytes], ...] = ()
    profile: bytes | None = None
    comment: bytes | None = None
    resolution: Resolution | None = None
    color: tuple[Chunk, ...] = ()
    texts: tuple[Text, ...] = ()
    bits: int = 8
    alpha: bool = False
    gray: bool = False
    tables: tuple[tuple[int, ...], ...] = ()
    progressive: bool = False
    compressed: bool = False
    turned: int = 1
    problems: tuple[str, ...] = ()


def stated_resolution(metadata: Metadata) -> Resolution | None:
    """Return the resolution with a unit, from the format's head or else from EXIF."""
    own = metadata.resolution
    return own if own and own[2] else _exif.resolution_of(_exif.tags_of(metadata.exif)) or own


def fitted(metadata: Metadata, kind: str) -> tuple[Metadata, list[str]]:
    """Leave out what a format cannot hold.

    Parameters
    ----------
    metadata : Metadata
    kind : {"PNG", "JPEG", "TIFF"}

    Returns
    -------
    Metadata
    list of str
        Names of the parts that were left out, including the lower bits for a JPEG.
    """
    if kind == "PNG":
        return metadata, ["floats (they become 16 bits)"] if metadata.bits > 16 else []
    metadata, lost = _without_texts(metadata, kind)
    if metadata.color:
        if not _means_srgb(metadata):
            lost.append("the color space, which is not stated by a profile")
        metadata = replace(metadata, color=())
    if kind == "TIFF":
        return metadata, lost
    if metadata.bits > 8:
        lost.append(f"more than 8 bits of the {metadata.bits} per channel")
    if metadata.alpha:
        lost.append("alpha")
    fit, too_large = _within_segments(metadata)
    return replace(fit, alpha=False), lost + too_large


def _within_segments(metadata: Metadata) -> tuple[Metadata, list[str]]:
    """Leave out parts that are larger than a segment of a JPEG."""
    lost = []
    if metadata.exif and len(metadata.exif) > EXIF_ROOM:
        rest, values = _exif.within(metadata.exif, EXIF_ROOM)
        lost.append(f"{', '.join(values)} in EXIF of {len(metadata.exif)} bytes")
        metadata = replace(metadata, exif=rest or None)
    if metadata.xmp and not _xmp_extended.segments(metadata.xmp, SEGMENT):
        lost.append(f"XMP of {len(metadata.xmp)} bytes")
        metadata = replace(metadata, xmp=None)
    if len(photoshop(metadata) or b"") > SEGMENT:
        lost.append(f"IPTC of {len(metadata.iptc or b'')} bytes")
        metadata = replace(metadata, iptc=None, resources=())
    if metadata.comment and len(metadata.comment) > SEGMENT:
        lost.append(f"a comment of {len(metadata.comment)} bytes")
        metadata = replace(metadata, comment=None)
    if len(metadata.profile or b"") > PROFILE_ROOM:
        lost.append("a profile that is too large")
        metadata = replace(metadata, profile=None)
    return metadata, lost


def _means_srgb(metadata: Metadata) -> bool:
    """Tell whether color chunks add nothing to the profile, or to sRGB if there is none."""
    chunks = dict(metadata.color)
    if metadata.profile or b"sRGB" in chunks:
        return True
    gamma = int.from_bytes(chunks.get(b"gAMA", b""), "big")
    return set(chunks) == {b"gAMA"} and gamma in SRGB_GAMMA


def _without_texts(metadata: Metadata, kind: str) -> tuple[Metadata, list[str]]:
    """Move texts of a PNG, or a comment, to their places in another format; name the rest."""
    tags = _exif.tags_of(metadata.exif)
    added: dict[int, Value] = {}
    lost = []
    comment = metadata.comment
    for key, text, *_ in metadata.texts:
        tag = TEXTS.get(key)
        if tag is not None and tag not in tags.values:
            added[tag] = Value(2, text + b"\0")
        elif key == b"Comment" and comment is None:
            comment = text
        elif tag is None or tags.values[tag].data.rstrip(b"\0") != text:
            lost.append(f"the text {key.decode('utf-8', 'replace')!r}")
    if kind == "TIFF" and comment is not None:
        if {270} & {*tags.values, *added}:
            lost.append("a comment")
        else:
            added[270] = Value(2, comment.rstrip(b"\0") + b"\0")
        comment = None
    exif = metadata.exif
    if added:
        exif = _ifd.pack_block(replace(tags, values=tags.values | added))
    return replace(metadata, exif=exif, comment=comment, texts=()), lost


def without_foreign_profile(metadata: Metadata) -> Metadata:
    """Leave out a profile of another color space than that of the pixels, and report it."""
    profile = metadata.profile
    space = (profile or b"")[16:20]
    if profile is None or space == b"RGB " or (space == b"GRAY" and metadata.gray):
        return metadata
    problem = f"its profile, which is one of {space.decode('ascii', 'replace').strip()!r}"
    return replace(metadata, profile=None, problems=(*metadata.problems, problem))


def cut(metadata: Metadata) -> Metadata:
    """Leave out the regions in XMP, which would need the position of the cut."""
    return replace(metadata, xmp=metadata.xmp and _xmp.without_regions(metadata.xmp))


def upright(
    metadata: Metadata, orientation: int, before: tuple[int, int], size: tuple[int, int]
) -> Metadata:
    """Update metadata for pixels that were turned upright and perhaps cut.

    Parameters
    ----------
    metadata : Metadata
    orientation : int
        Orientation of the pixels before they were turned, from 1 to 8.
    before, size : (int, int)
        Width and height of the pixels as stored, and of the result.
    """
    resolution, resources = metadata.resolution, metadata.resources
    if orientation >= 5:
        if resolution is not None:
            x, y, unit = resolution
            resolution = (y, x, unit)
        resources = tuple(pair for pair in resources if pair[0] != RESOLUTION_INFO)
    exif, xmp = metadata.exif, metadata.xmp
    return replace(
        metadata,
        exif=_exif.upright(exif, orientation, before, size) if exif else None,
        xmp=_xmp.upright(xmp, orientation, size) if xmp else None,
        resolution=resolution,
        resources=resources,
    )


def photoshop(metadata: Metadata) -> bytes | None:
    """Encode Photoshop's resources, including IPTC, for JPEG and PNG."""
    parts = dict(metadata.resources)
    if metadata.iptc:
        parts[IPTC] = metadata.iptc
    if not parts:
        return None
    return PHOTOSHOP_HEAD + b"".join(
        b"8BIM"
        + key.to_bytes(2, "big")
        + b"\0\0"
        + len(data).to_bytes(4, "big")
        + data
        + bytes(len(data) % 2)
        for key, data in sorted(parts.items())
    )


def read_photoshop(data: bytes) -> tuple[bytes | None, tuple[tuple[int, bytes], ...]]:
    """Read IPTC and the other resources to keep from Photoshop's data."""
    found: dict[int, bytes] = {}
    at = len(PHOTOSHOP_HEAD) if data.startswith(PHOTOSHOP_HEAD) else 0
    while data[at : at + 4] == b"8BIM" and at + 12 <= len(data):
        key = int.from_bytes(data[at + 4 : at + 6], "big")
        name = 1 + data[at + 6]
        at += 6 + name + name % 2
        size = int.from_bytes(data[at : at + 4], "big")
        found.setdefault(key, data[at + 4 : at + 4 + size])
        at += 4 + size + size % 2
    return found.get(IPTC), tuple((key, found[key]) for key in RESOURCES if key in found)
