"""Raw files of cameras, developed by LibRaw through rawpy (extra ``raw``).

A raw file holds the sensor's values, and there are many ways to make a picture of them. The one
chosen here is the same for every camera: demosaicing by LibRaw's default (AHD), the white balance
that the camera has recorded, conversion to the colors of sRGB, highlights clipped at white, no
brightening, and finally the curve of sRGB on linear light, in 16 bits. Linear light is
therefore known and not guessed.
"""

from __future__ import annotations

import io
import os
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from skdefocus.io import _ifd
from skdefocus.io._errors import ReadError
from skdefocus.io._exif import MAKER_NOTE, PREFIX, orientation_of
from skdefocus.io._metadata import Metadata

#: Endings of the names of raw files.
SUFFIXES = {
    ".3fr",
    ".arw",
    ".cr2",
    ".cr3",
    ".crw",
    ".dng",
    ".erf",
    ".iiq",
    ".kdc",
    ".mef",
    ".mos",
    ".mrw",
    ".nef",
    ".nrw",
    ".orf",
    ".pef",
    ".raf",
    ".raw",
    ".rw2",
    ".rwl",
    ".sr2",
    ".srf",
    ".srw",
    ".x3f",
}
#: Tags of a raw file's first directory that describe the photograph and not its storage.
KEPT = (270, 271, 272, 282, 283, 296, 305, 306, 315, 33432)
#: Tag of EXIF that may state Adobe RGB, as the interoperability directory does.
COLOR_SPACE = 0xA001
#: The curve of sRGB, in LibRaw's terms: power and slope of its straight part.
SRGB = (2.4, 12.92)


def open_raw(path: str | os.PathLike[str]) -> Any:
    """Open a raw file without developing it."""
    try:
        import rawpy
    except ImportError:
        raise ReadError(
            'raw files need rawpy: pip install "skdefocus[raw]"; or develop it to TIFF first'
        ) from None
    try:
        return rawpy.imread(os.fspath(path))
    except rawpy.LibRawError as error:
        raise ReadError(f"LibRaw cannot read it as a camera raw file ({_text(error)})") from error


def develop(raw: Any) -> NDArray[np.uint16]:
    """Develop an opened file to RGB of 16 bits, turned upright."""
    import rawpy

    try:
        pixels: NDArray[np.uint16] = raw.postprocess(
            use_camera_wb=True,
            no_auto_bright=True,
            output_bps=16,
            gamma=SRGB,
            output_color=rawpy.ColorSpace.sRGB,
        )
    except rawpy.LibRawError as error:
        raise ReadError(f"LibRaw cannot develop it ({_text(error)})") from error
    return pixels


def _text(error: Exception) -> str:
    """Return LibRaw's message, which rawpy passes on as bytes."""
    message = error.args[0] if error.args else ""
    return message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)


def read_raw(path: str | os.PathLike[str]) -> Metadata:
    """Read the metadata of a raw file from its own tags, or from the JPEG in it.

    Maker notes are left out, because they are large and describe the raw data.
    """
    try:
        with open(path, "rb") as file:
            tags = _ifd.read_directory(file)
    except _ifd.TagError:
        tags = _tags_of_thumbnail(path)
    children = dict(tags.children)
    if below := children.get(_ifd.EXIF):
        children[_ifd.EXIF] = _developed(below)
    kept = {tag: value for tag, value in tags.values.items() if tag in KEPT}
    block = _ifd.pack_block(_ifd.Directory(tags.order, kept, children))
    return Metadata(exif=block if kept or children else None, bits=16, turned=orientation_of(tags))


def _developed(tags: _ifd.Directory) -> _ifd.Directory:
    """Leave out what describes the raw data, and state the colors of sRGB."""
    values = {tag: value for tag, value in tags.values.items() if tag != MAKER_NOTE}
    if COLOR_SPACE in values:
        values[COLOR_SPACE] = _ifd.integer(tags.order, _ifd.SHORT, 1)
    children = {tag: below for tag, below in tags.children.items() if tag != _ifd.INTEROPERABILITY}
    return replace(tags, values=values, children=children)


def _tags_of_thumbnail(path: str | os.PathLike[str]) -> _ifd.Directory:
    """Read the tags of the JPEG in a raw file; none if there is no such JPEG."""
    import rawpy

    try:
        with open_raw(path) as raw:
            thumb = raw.extract_thumb()
        if thumb.format == rawpy.ThumbFormat.JPEG:
            with Image.open(io.BytesIO(thumb.data), formats=["JPEG"]) as image:
                block = image.info.get("exif", b"")
            return _ifd.read_block(block.removeprefix(PREFIX))
    except Exception:  # the file has none
        pass
    return _ifd.Directory("<")
