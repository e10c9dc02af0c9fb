"""The error that readers raise, and the limit of pixels."""

from __future__ import annotations

#: Largest photograph in pixels that is read by default.
MAX_PIXELS = 250_000_000


class ReadError(ValueError):
    """Error of a file that cannot be read as a photograph; the message names it and says why."""


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse more pixels than are allowed, before they are decoded."""
    if width * height > max_pixels:
        raise ReadError(
            f"it has {width} x {height} pixels, more than max_pixels = {max_pixels}; "
            "raise the limit if you trust the file"
        )
