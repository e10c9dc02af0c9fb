"""The command that fuses photographs of one scene."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from skdefocus.cli._arguments import (
    UsageError,
    add_existing,
    add_limit,
    command,
    complain,
    path_argument,
)
from skdefocus.cli._outputs import (
    add_output,
    check_file,
    check_outputs,
    progress_bar,
    write_preview,
)


def add_fuse(commands: Any) -> None:
    parser = command(
        commands,
        "fuse",
        _run_fuse,
        "Fuse photographs of one scene, focused at different depths.",
        "The result has the depth, alpha, color profile, EXIF and all else of the first frame. "
        "Frames are read one at a time, each five times.",
    )
    parser.add_argument("frames", nargs="+", metavar="FRAME", help="two or more, in order of focus")
    add_output(parser, "the file itself: PNG, JPEG or TIFF (in a folder it is FIRST_fused)")
    add_existing(parser)
    parser.add_argument(
        "--align",
        choices=("none", "translation", "affine"),
        default="none",
        help="bring the frames to coincide; affine undoes focus breathing too (default: none)",
    )
    parser.add_argument(
        "--match-exposure", action="store_true", help="scale the frames to the first one's mean"
    )
    parser.add_argument(
        "--crop",
        action="store_true",
        help="cut off borders that not all frames reach once they are aligned",
    )
    parser.add_argument(
        "--depth",
        type=path_argument,
        metavar="FILE",
        help="also write the order in depth (TIFF or NPY)",
    )
    parser.add_argument(
        "--preview",
        type=path_argument,
        metavar="FILE",
        help="also write frames and result side by side",
    )
    add_limit(parser)


def _run_fuse(args: argparse.Namespace) -> int:
    from skdefocus.cli._batch import say
    from skdefocus.fusion import FocusFuser
    from skdefocus.io import (
        FORMATS,
        MAPS,
        MAX_PIXELS,
        left_out,
        read_image,
        read_metadata,
        read_photograph,
        write_map,
        write_photograph,
    )

    if len(args.frames) < 2:
        raise UsageError("fuse needs two or more frames")
    limit = args.max_pixels or MAX_PIXELS
    out = _output(args)
    outputs = [p for p in (out, args.depth, args.preview) if p is not None]
    if args.skip_existing and all(os.path.lexists(path) for path in outputs):
        print("\n".join(f"{str(path)!r} is there already" for path in outputs))
        return 0
    check_outputs(outputs, args.frames, args.overwrite)
    for path, suffixes in ((out, FORMATS), (args.preview, FORMATS), (args.depth, MAPS)):
        check_file(path, suffixes)
    if lost := left_out(out, read_metadata(args.frames[0], limit)):
        complain(f"{args.frames[0]!r}: {lost}")
    fuser = FocusFuser(align=args.align, match_exposure=args.match_exposure)
    try:
        first = read_photograph(args.frames[0], limit)
        shape = first.pixels.shape
        count = len(args.frames)
        with progress_bar(5 * count + (count if args.align != "none" else 0)) as bar:
            read = partial(_read, args.frames[0], shape, limit, bar.update)
            result = fuser.fuse([partial(read, name) for name in args.frames])
        kept = result.inner if args.crop else (slice(None), slice(None))
        if not result.image[kept].size:
            raise ValueError("the aligned frames have nothing in common; is it one scene?")
        write_photograph(out, result.image[kept], first.cut(kept), args.overwrite)
        if args.depth is not None:
            write_map(args.depth, result.depth[kept], overwrite=args.overwrite)
        if args.preview is not None:
            last = read_image(args.frames[-1], max_pixels=limit)
            pictures = [picture[kept] for picture in (first.pixels, last, result.image)]
            write_preview(args.preview, pictures, args.overwrite)
    except Exception as error:
        complain(say(error))
        return 1
    print("\n".join(f"wrote {str(path)!r}" for path in outputs))
    return 0


def _output(args: argparse.Namespace) -> Path:
    """The file that the fused photograph goes to."""
    from skdefocus.cli._batch import make_folder, say
    from skdefocus.io import FORMATS, output_suffix

    file = args.out.file(FORMATS)
    if file is not None:
        return Path(file)
    first = args.frames[0]
    try:
        make_folder(args.out.path)
    except OSError as error:
        raise UsageError(say(error)) from None
    return Path(args.out.path / f"{Path(first).stem}_fused{output_suffix(first)}")


def _read(
    first: str, shape: tuple[int, ...], limit: int, tick: Callable[[], Any], path: str
) -> Any:
    """Read a frame that is to be of the first one's shape, and tell the progress bar."""
    from skdefocus.io import read_image

    pixels = read_image(path, max_pixels=limit)
    if pixels.shape != shape:
        raise ValueError(
            f"{path!r} is {_description(pixels.shape)} and {first!r} {_description(shape)}; the "
            "frames of a stack have one size and color"
        )
    tick()
    return pixels


def _description(shape: tuple[int, ...]) -> str:
    kind = "in color" if len(shape) == 3 else "gray"
    return f"{shape[1]} x {shape[0]} pixels, {kind},"
