"""Outputs of the commands: files or folders, told apart in the same way by all."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skdefocus._typing import AnyArray, Float32Array
from skdefocus.cli._arguments import UsageError, path_argument

#: Endings that mean a file, though no such file is written.
OTHER_FILES = {
    ".avif",
    ".bmp",
    ".gif",
    ".heic",
    ".heif",
    ".jp2",
    ".npz",
    ".pbm",
    ".pdf",
    ".pgm",
    ".pnm",
    ".ppm",
    ".psd",
    ".webp",
}


#: End of the message about an existing output.
EXISTS = "exists; --skip-existing keeps it, and --overwrite replaces it"


@dataclass(frozen=True)
class Output:
    """The file or folder that ``--out`` names.

    Attributes
    ----------
    path : Path
    slash : bool
        True if it ends with a slash, as only folders do.
    """

    path: Path
    slash: bool = False

    def file(self, suffixes: Collection[str]) -> Path | None:
        """Return the file that is named, or None for a folder.

        A folder is an existing one, or a name with a slash at its end or without the ending of a
        file. Other names must end in one of `suffixes`; UsageError if not.
        """
        suffix = self.path.suffix.lower()
        if self.slash or self.path.is_dir():
            return None
        if suffix in suffixes:
            if not self.path.parent.is_dir():
                raise UsageError(f"{str(self.path.parent)!r} is not a folder; make it first")
            return self.path
        if suffix in OTHER_FILES | {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy"}:
            files = f"must end in {', '.join(suffixes)}, or be" if suffixes else "must be"
            raise UsageError(f"{str(self.path)!r} {files} a folder's name")
        return None

    def file_of_one(self, suffixes: Collection[str], count: int) -> Path | None:
        """Return :meth:`file`; raise UsageError if several photographs would go to one file."""
        path = self.file(suffixes)
        if path is not None and count > 1:
            raise UsageError(
                f"{str(path)!r} names a file, but there are {count} photographs; name a folder"
            )
        return path

    def folder(self, file: Path | None) -> Path:
        """Return the folder of all outputs."""
        return self.path if file is None else file.parent


def output_argument(text: str) -> Output:
    """Parse ``--out``."""
    return Output(path_argument(text), text.endswith(("/", os.sep)))


def add_output(
    parser: argparse.ArgumentParser,
    files: str = "",
    default: Output | None = None,
    required: bool = True,
) -> None:
    """Add ``--out``; `files` describes the files that it may name."""
    text = f"folder to write to, created if necessary{'; or ' if files else ''}{files}"
    parser.add_argument(
        "--out",
        "-o",
        type=output_argument,
        metavar="PATH" if files else "DIR",
        required=required and default is None,
        default=default,
        help=text + (f" (default: {default.path})" if default else ""),
    )


def check_outputs(outputs: list[Path], inputs: list[str], overwrite: bool) -> None:
    """Check that outputs differ from inputs and each other, and may be written."""
    # os.path also handles circular links and names that are too long.
    taken = dict.fromkeys(map(os.path.realpath, inputs), "an input")
    for path in outputs:
        real = os.path.realpath(path)
        if real in taken:
            raise UsageError(f"the output {str(path)!r} is also {taken[real]}")
        taken[real] = "another output"
        if os.path.lexists(path) and not overwrite:
            raise UsageError(f"{str(path)!r} {EXISTS}")


def check_file(path: Path | None, suffixes: Iterable[str]) -> None:
    """Raise UsageError before any work if a file could not be written after it."""
    if path is None:
        return
    if path.suffix.lower() not in suffixes:
        raise UsageError(f"{str(path)!r} must end in {', '.join(suffixes)}")
    if not path.parent.is_dir():
        raise UsageError(f"{str(path.parent)!r} is not a folder; make it first")
    if path.is_dir():
        raise UsageError(f"{str(path)!r} is a folder; name a file in it")


def progress_bar(total: int) -> Any:
    """Make a progress bar that is shown only on a terminal."""
    from tqdm import tqdm

    return tqdm(total=total, leave=False, disable=not sys.stderr.isatty())


def as_floats(pixels: AnyArray) -> Float32Array:
    """Return the values of a photograph as float32 in [0, 1]."""
    from skdefocus._images import check_image

    return check_image(pixels)


def write_preview(path: Path, pictures: list[AnyArray], overwrite: bool = False) -> None:
    """Write pictures side by side."""
    from skdefocus.io import Photograph, side_by_side, write_photograph

    picture = side_by_side([as_floats(pixels) for pixels in pictures])
    write_photograph(path, as_floats(picture), Photograph(picture), overwrite)
