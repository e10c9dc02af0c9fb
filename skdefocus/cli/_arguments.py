"""Arguments and messages that the commands share."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any


class UsageError(Exception):
    """Error of usage, found before any work: a message of one line, exit code 2."""


def complain(message: str) -> None:
    """Print an error in one line."""
    with suppress(OSError):  # if it cannot be printed, the work still goes on
        print("skdefocus:", " ".join(message.splitlines()), file=sys.stderr)


def command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], text: str, more: str
) -> argparse.ArgumentParser:
    """Add a command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=f"{text} {more}", allow_abbrev=False
    )
    parser.set_defaults(run=run)
    return parser


def path_argument(text: str) -> Path:
    """Parse a path; refuse an empty one, which would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return Path(text)


def number(kind: type, low: float, extra: float = math.nan) -> Callable[[str], Any]:
    """Make a parser of numbers of at least `low`, or equal to `extra`."""

    def parse(text: str) -> Any:
        """Parse a number."""
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if low <= value < math.inf or value == extra:
            return value
        name = "an integer" if kind is int else "a number"
        also = "" if math.isnan(extra) else f" or {extra}"
        raise argparse.ArgumentTypeError(f"must be {name} of at least {low:g}{also}, got {text!r}")

    return parse


def add_photos(parser: argparse.ArgumentParser) -> None:
    """Add the photographs."""
    parser.add_argument(
        "photos",
        nargs="+",
        metavar="PHOTO",
        help="photographs: PNG, JPEG, TIFF, WebP, …; HEIC and raw files with their extras",
    )


def add_existing(parser: argparse.ArgumentParser) -> None:
    """Add ``--overwrite`` and ``--skip-existing``."""
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    parser.add_argument(
        "--skip-existing",
        action="store_true",
        help="keep existing files and make only missing ones, such as to resume a run",
    )


def add_limit(parser: argparse.ArgumentParser) -> None:
    """Add ``--max-pixels``."""
    parser.add_argument(
        "--max-pixels",
        type=number(int, 1),
        metavar="N",
        help="refuse photographs with more pixels (default: 250 million)",
    )


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """Add ``--jobs`` and ``--quiet``."""
    parser.add_argument(
        "--jobs",
        "-j",
        type=number(int, 1, -1),
        default=1,
        metavar="N",
        help="number of photographs to process at once, each in a process of its own; -1 means one "
        "per core (default: 1, which also uses all cores)",
    )
    parser.add_argument(
        "--quiet", "-q", action="store_true", help="print no progress bar and no summary"
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add ``--model``."""
    parser.add_argument(
        "--model",
        type=Path,
        metavar="FILE",
        help="another network as an ONNX file (default: the one in the package)",
    )


def add_given_map(parser: argparse.ArgumentParser) -> None:
    """Add ``--map``."""
    parser.add_argument(
        "--map",
        dest="given",
        type=path_argument,
        metavar="FILE",
        help="use this map, for example one corrected by hand: TIFF, NPY or 16-bit PNG as written "
        "by `skdefocus map`, or a folder with such maps",
    )
