"""The command that fuses photographs of one scene."""

from __future__ import annotations

import argparse
import os
import warnings
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skdefocus._typing import AnyArray
from skdefocus.cli._arguments import (
    UsageError,
    add_existing,
    add_limit,
    command,
    complain,
    number,
    path_argument,
)
from skdefocus.cli._fuse_outputs import focus_distances, write_fused
from skdefocus.cli._outputs import (
    add_output,
    check_file,
    check_outputs,
    progress_bar,
)

if TYPE_CHECKING:
    from skdefocus.fusion import FusionResult
    from skdefocus.io import Photograph


def add_fuse(commands: Any) -> None:
    """Add the command ``fuse``."""
    parser = command(
        commands,
        "fuse",
        _run_fuse,
        "Fuse photographs of one scene that are focused at different depths.",
        "The result has the bit depth, color profile, EXIF and other metadata of the reference "
        "frame. Frames are read one at a time, each of them up to seven times. A frame that does "
        "not belong to the stack is left out and named.",
    )
    parser.add_argument(
        "frames",
        nargs="+",
        metavar="FRAME",
        help="two or more photographs, in the order of their focus",
    )
    add_output(parser, "the file itself: PNG, JPEG or TIFF (in a folder it is FIRST_fused)")
    add_existing(parser)
    _add_settings(parser)
    _add_choices(parser)
    _add_outputs(parser)
    add_limit(parser)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the settings of the fusion."""
    parser.add_argument(
        "--align",
        choices=("none", "translation", "affine"),
        default="none",
        help="align the frames; affine also undoes focus breathing (default: none)",
    )
    parser.add_argument(
        "--match-exposure",
        action=argparse.BooleanOptionalAction,
        default="auto",
        help="scale the frames to the exposure of the reference (default: if it differs visibly)",
    )
    parser.add_argument(
        "--reference",
        metavar="FRAME",
        help="the frame that the others are aligned with and matched to (default: the first)",
    )
    parser.add_argument(
        "--min-area",
        type=number(int, 0),
        default=16,
        metavar="N",
        help="regions of fewer pixels are given to the frame around them (default: 16)",
    )


def _add_choices(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose frames."""
    parser.add_argument(
        "--slab",
        type=number(int, 1),
        nargs=2,
        metavar=("FIRST", "LAST"),
        help="fuse only the frames from one to another, counted from 1",
    )
    parser.add_argument(
        "--prefer",
        nargs=2,
        action="append",
        default=[],
        metavar=("FRAME", "MASK"),
        help="take FRAME where the picture MASK, of the size of the frames, is white; repeatable",
    )
    parser.add_argument(
        "--keep-all",
        action="store_true",
        help="also fuse frames, and parts of them, that do not seem to belong to the stack",
    )


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    """Add the options for the outputs."""
    parser.add_argument(
        "--crop",
        action="store_true",
        help="cut off borders that some of the aligned frames do not reach",
    )
    parser.add_argument(
        "--depth",
        type=path_argument,
        metavar="FILE",
        help="also write the order in depth in units of frames, 0 for the first (TIFF or NPY)",
    )
    parser.add_argument(
        "--distance",
        type=path_argument,
        metavar="FILE",
        help="also write distances in meters (TIFF or NPY), from the focus distances in EXIF",
    )
    parser.add_argument(
        "--preview",
        type=path_argument,
        metavar="FILE",
        help="also write the first and last frame, the result, and the frames that it was taken "
        "from in colors, from blue for the first to red for the last, side by side",
    )


def _run_fuse(args: argparse.Namespace) -> int:
    """Fuse frames; check the outputs before any work."""
    from skdefocus.cli._batch import describe_error
    from skdefocus.io import MAX_PIXELS, left_out, read_metadata

    args.frames = _slab(args)
    limit = args.max_pixels or MAX_PIXELS
    out = _output(args)
    outputs = [p for p in (out, args.depth, args.distance, args.preview) if p is not None]
    if args.skip_existing and all(os.path.lexists(path) for path in outputs):
        print("\n".join(f"{str(path)!r} exists already" for path in outputs))
        return 0
    _check(args, out, outputs)
    reference = args.reference or args.frames[0]
    if lost := left_out(out, read_metadata(reference, limit)):
        complain(f"{reference!r}: {lost}")
    try:
        distances = None if args.distance is None else focus_distances(args.frames)
        stack = _Stack(args.frames, reference, limit)
        write_fused(args, out, stack.first, _fused(args, stack, limit), distances)
    except Exception as error:
        complain(describe_error(error))
        return 1
    print("\n".join(f"wrote {str(path)!r}" for path in outputs))
    return 0


def _slab(args: argparse.Namespace) -> list[str]:
    """Return the names of the frames to fuse."""
    names: list[str] = args.frames
    if args.slab is not None:
        first, last = args.slab
        if not first < last <= len(names):
            raise UsageError(
                f"--slab must be two numbers from 1 to {len(names)}, the first below the last, "
                f"got {first} {last}"
            )
        names = names[first - 1 : last]
    if len(names) < 2:
        raise UsageError("fuse needs two or more frames")
    return names


def _check(args: argparse.Namespace, out: Path, outputs: list[Path]) -> None:
    """Check the names of files before any work."""
    from skdefocus.io import FORMATS, MAPS

    masks = [mask for _, mask in args.prefer]
    check_outputs(outputs, args.frames + masks, args.overwrite)
    for path in (out, args.preview):
        check_file(path, FORMATS)
    for path in (args.depth, args.distance):
        check_file(path, MAPS)
    for frame, mask in args.prefer:
        if frame not in args.frames:
            raise UsageError(f"--prefer must name one of the frames, got {frame!r}")
        if not os.path.isfile(mask):
            raise UsageError(f"--prefer: {mask!r} is not a file")


def _masks(args: argparse.Namespace, limit: int) -> dict[int, AnyArray]:
    """Read the masks of preferred frames, by the position of the frame."""
    from skdefocus._images import to_gray
    from skdefocus.io import read_image

    masks: dict[int, AnyArray] = {}
    for frame, name in args.prefer:
        position, mask = args.frames.index(frame), to_gray(read_image(name, max_pixels=limit))
        other = masks.pop(position, mask)
        if other.shape != mask.shape:
            raise ValueError(f"{name!r} must have the size of the other masks of {frame!r}")
        masks[position] = np.maximum(mask, other)
    return masks


def _fused(args: argparse.Namespace, stack: _Stack, limit: int) -> FusionResult:
    """Fuse the frames of a stack with a progress bar, and report the changes to them."""
    from skdefocus.fusion import READS, FocusFuser

    fuser = FocusFuser(
        align=args.align,
        match_exposure=args.match_exposure,
        min_area=args.min_area,
        reference=stack.reference,
        outliers="keep" if args.keep_all else "drop",
    )
    with progress_bar(READS * len(args.frames)) as bar, warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=".* is (left out|overruled): ", category=UserWarning
        )
        frames = [partial(stack.read, name, bar.update) for name in args.frames]
        names, prefer = [repr(name) for name in args.frames], _masks(args, limit)
        result = fuser.fuse(frames, names=names, prefer=prefer)
    _tell(result, args.frames)
    return result


def _tell(result: FusionResult, names: list[str]) -> None:
    """Report what was done to the frames besides fusing them."""
    for k, why in sorted(result.left_out.items()):
        complain(f"{names[k]!r} is left out: {why}")
    for k, where in sorted(result.overruled.items()):
        complain(f"{names[k]!r} has no say in a part of it: it {where}")
    if result.gains:
        gains = [gain for factors in result.gains.values() for gain in factors]
        count = f"{len(result.gains)} of {len(names)} frames"
        complain(
            f"the exposure of {count} was scaled by {min(gains):.3f} to {max(gains):.3f} "
            "(--no-match-exposure turns this off)"
        )


class _Stack:
    """The files of a stack, turned alike and with one shape.

    Parameters
    ----------
    names : list of str
    reference : str
        One of them.
    limit : int
        Largest number of pixels of a photograph.

    Attributes
    ----------
    reference : int
        Position of the reference.
    first : Photograph
        The reference.
    """

    def __init__(self, names: list[str], reference: str, limit: int) -> None:
        from skdefocus.io import read_orientation, read_photograph

        if reference not in names:
            raise ValueError(f"--reference must be one of the frames, got {reference!r}")
        self._limit, self._name = limit, reference
        self.reference = names.index(reference)
        told = {name: read_orientation(name, limit) for name in names}
        counts = Counter(told.values())
        # The orientation of most frames; of those that are as many, the reference's.
        most = max(counts.values())
        self._orientation = next(o for o in (told[reference], *counts) if counts[o] == most)
        self._turned: dict[str, int] = {}
        like = next(name for name in names if told[name] == self._orientation)
        self._like = read_photograph(like, limit).pixels if len(counts) > 1 else None
        self.first = self._upright(reference)
        self._shape = self.first.pixels.shape

    def read(self, name: str, tick: Callable[[], Any]) -> AnyArray:
        """Read a frame, check that it has the reference's shape, and update the progress bar."""
        frame = self._upright(name)
        if frame.pixels.shape != self._shape:
            raise ValueError(
                f"{name!r} is {_description(frame.pixels.shape)} and {self._name!r} "
                f"{_description(self._shape)}; the frames of a stack have one size and color"
            )
        tick()
        if frame.alpha is None:
            return frame.pixels
        return np.dstack([frame.pixels, frame.alpha])

    def _upright(self, name: str) -> Photograph:
        """Read a frame; if its orientation differs from most, turn it as it fits them better."""
        from skdefocus.io import read_photograph

        frame = read_photograph(name, self._limit)
        if self._like is None or frame.orientation == self._orientation:
            return frame
        if name not in self._turned:
            self._turned[name] = self._better(name, frame, self._like)
        return frame.turned(self._turned[name])

    def _better(self, name: str, frame: Photograph, like: AnyArray) -> int:
        """Choose between a frame's own orientation and that of most frames."""
        from skdefocus.fusion import agreement_of_photographs

        other = frame.turned(self._orientation)
        own, common = (agreement_of_photographs(like, f.pixels) for f in (frame, other))
        if common <= own:
            return frame.orientation
        complain(
            f"{name!r}: its EXIF orientation, {frame.orientation}, is ignored; with that of the "
            f"others, {self._orientation}, it shows the same as they do"
        )
        return self._orientation


def _output(args: argparse.Namespace) -> Path:
    """Return the path of the fused photograph, and make its folder."""
    from skdefocus.cli._batch import describe_error, make_folder
    from skdefocus.io import FORMATS, output_suffix

    file = args.out.file(FORMATS)
    if file is not None:
        return Path(file)
    first = args.frames[0]
    try:
        make_folder(args.out.path)
    except OSError as error:
        raise UsageError(describe_error(error)) from None
    return Path(args.out.path / f"{Path(first).stem}_fused{output_suffix(first)}")


def _description(shape: tuple[int, ...]) -> str:
    kind = "in color" if len(shape) == 3 else "gray"
    return f"{shape[1]} x {shape[0]} pixels, {kind},"
