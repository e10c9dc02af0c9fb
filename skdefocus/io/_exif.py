"""EXIF blocks of files, however damaged."""

from __future__ import annotations

import math
import os
import stat
from typing import Any

from PIL import ExifTags

from skdefocus.io import _read as _reading


def exif_block(path: str | os.PathLike[str]) -> dict[int, Any]:
    """Tags of a picture's EXIF block; none of them if it is damaged; OSError if it is no picture.

    Decoders raise whatever they like on damaged files. What they warn of is not held back: warnings
    can only be switched off for all threads at once.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe could wait for ever
        raise OSError(f"cannot read {os.fspath(path)!r}: it is no file")
    with open(path, "rb") as file:
        try:
            picture = _reading._open(file, _reading.MAX_PIXELS)
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            why = f"it is no picture ({' '.join(str(error).split())})"
            if isinstance(error, _reading.ReadError):
                why = f"it has more than {_reading.MAX_PIXELS} pixels"
            raise OSError(f"cannot read {os.fspath(path)!r}: {why}") from error
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
