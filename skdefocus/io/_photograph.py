"""Photographs in and out with what comes along: depth, colour profile, EXIF."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from skdefocus.io import _read as _reading
from skdefocus.io._write import atomic_path, read_image

#: What a photograph can be written as, and the formats that hold 16 bits of grey or of colour.
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}
DEEP_GREY, DEEP_COLOUR = ("PNG", "TIFF"), ("TIFF",)
ORIENTATION = 0x0112
ICC_TAG = 34675


@dataclass(frozen=True)
class Picture:
    """A photograph, upright, and what its file says beside the pixels."""

    pixels: NDArray[Any]
    profile: bytes | None
    exif: bytes | None


def read_picture(path: str | os.PathLike[str], max_pixels: int) -> Picture:
    """Read a photograph with its colour profile and EXIF, whose orientation is set to upright."""
    pixels = read_image(path, max_pixels=max_pixels)
    profile = exif = None
    try:
        with open(path, "rb") as file, _reading._open(file, max_pixels) as image:
            # A profile of printing inks does not fit the RGB that is read.
            profile = None if image.mode == "CMYK" else image.info.get("icc_profile")
            found = image.getexif()
            if len(found) and image.format != "TIFF":  # a TIFF's tags describe its own pixels
                found[ORIENTATION] = 1
                exif = found.tobytes()
    except Exception:  # metadata that cannot be read are no reason to lose the photograph
        profile = exif = None
    return Picture(pixels, profile, exif)


def write_picture(
    path: str | os.PathLike[str], image: NDArray[np.float32], like: Picture, overwrite: bool = False
) -> None:
    """Write a photograph in [0, 1] with the depth, profile and EXIF of another, or nothing at all.

    Raises
    ------
    ValueError
        If the suffix is none of those, or its format cannot hold 16 bits.
    OSError
        If the file cannot be written.
    """
    kind = check_target(path, like)
    depth = np.uint16 if like.pixels.dtype != np.uint8 else np.uint8
    pixels = np.rint(np.clip(image, 0, 1) * np.iinfo(depth).max).astype(depth)
    # In memory first: on a full disk encoders may not tell that a file is short.
    buffer = io.BytesIO()
    if pixels.ndim == 3 and depth == np.uint16:
        import tifffile

        extra = [(ICC_TAG, 7, len(like.profile), like.profile, True)] if like.profile else []
        tifffile.imwrite(buffer, pixels, photometric="rgb", extratags=extra)
    else:
        options: dict[str, Any] = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
        if like.profile:
            options["icc_profile"] = like.profile
        if like.exif and kind != "TIFF":
            options["exif"] = like.exif
        Image.fromarray(pixels).save(buffer, format=kind, **options)
    with atomic_path(path, overwrite) as temporary:
        temporary.write_bytes(buffer.getvalue())


def check_target(path: str | os.PathLike[str], like: Picture) -> str:
    """Name the format of an output that can hold such a photograph, or raise ValueError."""
    kind = FORMATS.get(Path(path).suffix.lower())
    if kind is None:
        raise ValueError(f"{os.fspath(path)!r} must end in {', '.join(FORMATS)}")
    formats = DEEP_COLOUR if like.pixels.ndim == 3 else DEEP_GREY
    if like.pixels.dtype != np.uint8 and kind not in formats:
        what = "colour" if like.pixels.ndim == 3 else "grey"
        raise ValueError(f"{kind} cannot hold {what} of 16 bits; name the output .tif")
    return kind


def beside(pictures: list[NDArray[Any]], width: int = 640) -> NDArray[np.uint8]:
    """Pictures in [0, 1] side by side, each at most `width` pixels wide, for a preview."""
    shown = []
    for picture in pictures:
        rgb = np.repeat(np.atleast_3d(picture), 3, 2) if picture.ndim == 2 else picture
        small = Image.fromarray(np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8))
        small.thumbnail((width, 4 * width), Image.Resampling.LANCZOS)
        shown.append(np.asarray(small))
    return np.hstack(shown)
