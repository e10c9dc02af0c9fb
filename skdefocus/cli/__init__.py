"""The command line."""

from skdefocus.cli._main import main

__all__ = [
    "main",
]
