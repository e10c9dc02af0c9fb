"""A page in the browser, served to this machine alone: maps, fusion and effects by hand."""

from skdefocus.app._serve import serve

__all__ = [
    "serve",
]
