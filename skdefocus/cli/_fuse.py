"""The command that fuses photographs of one scene."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

from skdefocus.cli._arguments import UsageError, command, complain, place
from skdefocus.cli._outputs import (
    add_common,
    check_file,
    check_outputs,
    progress_bar,
    unit,
    write_preview,
)


def add_fuse(commands: Any) -> None:
    parser = command(
        commands, "fuse", _run_fuse, "Fuse photographs of one scene, focused at different depths.",
        "The result has the depth, colour profile and EXIF of the first frame. Frames are read one "
        "at a time, each five times.",
    )  # fmt: skip
    parser.add_argument("frames", nargs="+", metavar="FRAME", help="two or more, in order of focus")
    parser.add_argument(
        "--out", "-o", type=place, metavar="FILE", required=True, help="PNG, JPEG or TIFF"
    )
    parser.add_argument(
        "--align", choices=("none", "translation", "affine"), default="none",
        help="bring the frames to coincide; affine undoes focus breathing too (default: none)",
    )  # fmt: skip
    parser.add_argument(
        "--match-exposure", action="store_true", help="scale the frames to the first one's mean"
    )
    parser.add_argument(
        "--crop", action="store_true",
        help="cut off borders that not all frames reach once they are aligned",
    )  # fmt: skip
    parser.add_argument(
        "--depth", type=place, metavar="FILE", help="also write the order in depth (TIFF or NPY)"
    )
    add_common(parser)


def _run_fuse(args: argparse.Namespace) -> int:
    from skdefocus.cli._batch import say
    from skdefocus.fusion import FocusFuser
    from skdefocus.io import (
        FORMATS,
        MAPS,
        MAX_PIXELS,
        beside,
        read_image,
        read_photograph,
        write_map,
        write_photograph,
    )

    if len(args.frames) < 2:
        raise UsageError("fuse needs two or more frames")
    limit = args.max_pixels or MAX_PIXELS
    outputs = [p for p in (args.out, args.depth, args.preview) if p is not None]
    check_outputs(outputs, args.frames, args.overwrite)
    for path, suffixes in ((args.out, FORMATS), (args.preview, FORMATS), (args.depth, MAPS)):
        check_file(path, suffixes)
    fuser = FocusFuser(align=args.align, match_exposure=args.match_exposure)
    try:
        first = read_photograph(args.frames[0], limit)
        count = len(args.frames)
        with progress_bar(5 * count + (count if args.align != "none" else 0)) as bar:
            result = fuser.fuse([partial(_read, name, limit, bar.update) for name in args.frames])
        kept = result.inner if args.crop else (slice(None), slice(None))
        if not result.image[kept].size:
            raise ValueError("the aligned frames have nothing in common; is it one scene?")
        write_photograph(args.out, result.image[kept], first.cut(kept), args.overwrite)
        if args.depth is not None:
            write_map(args.depth, result.depth[kept], overwrite=args.overwrite)
        if args.preview is not None:
            last = read_image(args.frames[-1], max_pixels=limit)
            frames = [unit(first.pixels), unit(last), result.image]
            frames = [frame[kept] for frame in frames]
            write_preview(args.preview, beside(frames), args.overwrite)
    except Exception as error:
        complain(say(error))
        return 1
    print("\n".join(f"wrote {str(path)!r}" for path in outputs))
    return 0


def _read(path: str, limit: int, tick: Callable[[], Any]) -> Any:
    """Read a frame, and tell the progress bar."""
    from skdefocus.io import read_image

    pixels = read_image(path, max_pixels=limit)
    tick()
    return pixels
