"""EXIF blocks of files, however damaged."""

from __future__ import annotations

import math
import os
import stat
import warnings
from typing import Any

from PIL import ExifTags, Image

from skdefocus._reading import formats


def exif_block(path: str | os.PathLike[str]) -> dict[int, Any]:
    """Tags of a picture's EXIF block; none of them if it is damaged; OSError if it is no picture.

    Decoders raise whatever they like on damaged files.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damaged blocks: what can be read counts
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe could wait for ever
            raise OSError(f"cannot read {os.fspath(path)!r}: it is no file")
        try:
            picture = Image.open(path, formats=formats())
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            why = " ".join(str(error).split())
            raise OSError(f"cannot read {os.fspath(path)!r}: it is no picture ({why})") from error
        with picture:
            try:
                return dict(picture.getexif().get_ifd(ExifTags.IFD.Exif))
            except Exception:
                return {}


def positive(value: Any) -> float | None:
    """Value of a tag, if it is a finite number above 0."""
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if 0 < number < math.inf else None


def exif_distance(value: Any) -> float | None:
    """Metres; a numerator of all ones is infinity by EXIF's definition."""
    if getattr(value, "numerator", None) == 0xFFFFFFFF:
        return math.inf
    return positive(value)
