"""Outputs of the commands that write photographs, checked before any work."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from skdefocus.cli._arguments import UsageError, number, place


def add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there")
    parser.add_argument(
        "--preview", type=place, metavar="FILE", help="also write before and after side by side"
    )
    parser.add_argument(
        "--max-pixels", type=number(int, 1), metavar="N",
        help="refuse photographs with more pixels (default: 250 million)",
    )  # fmt: skip


def check_outputs(outputs: list[Path], inputs: list[str], overwrite: bool) -> None:
    # By os.path, which answers even for links that lead in a circle and names that are too long.
    taken = dict.fromkeys(map(os.path.realpath, inputs), "an input")
    for path in outputs:
        real = os.path.realpath(path)
        if real in taken:
            raise UsageError(f"the output {str(path)!r} is also {taken[real]}")
        taken[real] = "another output"
        if os.path.lexists(path) and not overwrite:
            raise UsageError(f"{str(path)!r} exists, and --overwrite was not given")


def check_file(path: Path | None, suffixes: Iterable[str]) -> None:
    """Say before any work what could not be written after it."""
    if path is None:
        return
    if path.suffix.lower() not in suffixes:
        raise UsageError(f"{str(path)!r} must end in {', '.join(suffixes)}")
    if not path.parent.is_dir():
        raise UsageError(f"{str(path.parent)!r} is no folder; make it first")
    if path.is_dir():
        raise UsageError(f"{str(path)!r} is a folder; name a file in it")


def progress_bar(total: int) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, leave=False, disable=not sys.stderr.isatty())


def unit(pixels: Any) -> Any:
    from skdefocus._images import check_image

    return check_image(pixels)


def write_preview(path: Path, picture: Any, overwrite: bool) -> None:
    from skdefocus.io import Photograph, write_photograph

    write_photograph(path, picture / 255, Photograph(picture), overwrite)
