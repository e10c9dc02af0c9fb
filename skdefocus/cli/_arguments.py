"""What all commands are made with."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any


class UsageError(Exception):
    """What the user has to change before anything can start: one line, exit code 2."""


def complain(message: str) -> None:
    """Say what is wrong, in one line."""
    with suppress(OSError):  # where nobody can be told, the work still goes on
        print("skdefocus:", " ".join(message.splitlines()), file=sys.stderr)


def command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], text: str, more: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=f"{text} {more}", allow_abbrev=False
    )
    parser.set_defaults(run=run)
    return parser


def path_argument(text: str) -> Path:
    """A type for argparse: a path. Empty ones, as of an unset variable, would be this folder."""
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return Path(text)


def number(kind: type, low: float, extra: float = math.nan) -> Callable[[str], Any]:
    """A type for argparse: at least `low`, or `extra`."""

    def parse(text: str) -> Any:
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
    parser.add_argument(
        "photos",
        nargs="+",
        metavar="PHOTO",
        help="PNG, JPEG, TIFF, WebP, …; HEIC and raw files with their extras",
    )


def add_existing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there")
    parser.add_argument(
        "--skip-existing",
        action="store_true",
        help="leave files alone that are there and make those that are missing: resumes a run",
    )


def add_limit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-pixels",
        type=number(int, 1),
        metavar="N",
        help="refuse photographs with more pixels (default: 250 million)",
    )


def add_jobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--jobs",
        "-j",
        type=number(int, 1, -1),
        default=1,
        metavar="N",
        help="photographs worked on at once, each with its own process and memory; -1 is one per "
        "core (default: 1, which uses all cores)",
    )
    parser.add_argument("--quiet", "-q", action="store_true", help="no progress bar, no summary")


def add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        type=Path,
        metavar="FILE",
        help="another network as an ONNX file (default: the one in the package)",
    )


def add_given_map(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--map",
        dest="given",
        type=path_argument,
        metavar="FILE",
        help="a map that is there already, perhaps corrected by hand: TIFF, NPY or 16-bit PNG as "
        "`skdefocus map` writes them, or the folder they are in",
    )
