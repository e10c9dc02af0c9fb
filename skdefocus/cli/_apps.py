"""The commands that make photographs: fuse, magnify, sharpen."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from skdefocus._cli_parts import UsageError, command, complain, number, place

EFFECTS: dict[str, tuple[str, str]] = {
    "magnify": ("Blur what is out of focus even more.", "_magnified"),
    "sharpen": ("Sharpen what is nearly in focus and nothing else.", "_sharpened"),
}


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
    _add_common(parser)


def add_effects(commands: Any) -> None:
    for name, (text, suffix) in EFFECTS.items():
        parser = command(
            commands, name, partial(_run_effect, name), text,
            f"For NAME.jpg it writes NAME{suffix}.jpg, with the photograph's depth, colour profile "
            "and EXIF. A bad file is reported and the rest go on.",
        )  # fmt: skip
        parser.add_argument("photos", nargs="+", metavar="PHOTO", help="PNG, JPEG or TIFF")
        parser.add_argument("--out", "-o", type=place, metavar="DIR", required=True, help="folder")
        if name == "magnify":
            parser.add_argument(
                "--strength", type=number(float, 1), default=2.0, metavar="X",
                help="what the blur is multiplied by (default: 2)",
            )  # fmt: skip
            parser.add_argument(
                "--aperture", choices=("disc", "polygon", "gaussian"), default="disc"
            )
        else:
            parser.add_argument(
                "--amount", type=number(float, 0), default=1.0, metavar="X",
                help="share of the correction that is applied (default: 1)",
            )  # fmt: skip
        _add_common(parser)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there")
    parser.add_argument(
        "--preview", type=place, metavar="FILE", help="also write before and after side by side"
    )
    parser.add_argument(
        "--max-pixels", type=number(int, 1), metavar="N",
        help="refuse photographs with more pixels (default: 250 million)",
    )  # fmt: skip


def _run_fuse(args: argparse.Namespace) -> int:
    from skdefocus import FocusFuser
    from skdefocus._batch import say
    from skdefocus._pictures import FORMATS, beside, check_target, read_picture, write_picture
    from skdefocus.io import MAPS, MAX_PIXELS, read_image, write_map

    if len(args.frames) < 2:
        raise UsageError("fuse needs two or more frames")
    limit = args.max_pixels or MAX_PIXELS
    outputs = [p for p in (args.out, args.depth, args.preview) if p is not None]
    _check_outputs(outputs, args.frames, args.overwrite)
    for path, suffixes in ((args.out, FORMATS), (args.preview, FORMATS), (args.depth, MAPS)):
        _check_file(path, suffixes)
    fuser = FocusFuser(align=args.align, match_exposure=args.match_exposure)
    try:
        first = read_picture(args.frames[0], limit)
        check_target(args.out, first)
        count = len(args.frames)
        with _bar(5 * count + (count if args.align != "none" else 0)) as bar:
            result = fuser.fuse([partial(_read, name, limit, bar.update) for name in args.frames])
        kept = result.inner if args.crop else (slice(None), slice(None))
        if not result.image[kept].size:
            raise ValueError("the aligned frames have nothing in common; is it one scene?")
        write_picture(args.out, result.image[kept], first, args.overwrite)
        if args.depth is not None:
            write_map(args.depth, result.depth[kept], overwrite=args.overwrite)
        if args.preview is not None:
            last = read_image(args.frames[-1], max_pixels=limit)
            frames = [_unit(first.pixels), _unit(last), result.image]
            frames = [frame[kept] for frame in frames]
            _write_preview(args.preview, beside(frames), args.overwrite)
    except Exception as error:
        complain(say(error))
        return 1
    print("\n".join(f"wrote {str(path)!r}" for path in outputs))
    return 0


def _run_effect(name: str, args: argparse.Namespace) -> int:
    from skdefocus import AdaptiveSharpener, DefocusMagnifier
    from skdefocus._batch import FATAL, make_folder, say
    from skdefocus._pictures import FORMATS, beside, check_target, read_picture, write_picture
    from skdefocus.io import MAX_PIXELS

    effect = (
        DefocusMagnifier(args.strength, args.aperture)
        if name == "magnify"
        else AdaptiveSharpener(args.amount)
    )
    if args.preview is not None and len(args.photos) > 1:
        raise UsageError("--preview is for a single photograph")
    targets = [
        args.out / f"{Path(p).stem}{EFFECTS[name][1]}{Path(p).suffix.lower()}" for p in args.photos
    ]
    if len(set(targets)) < len(targets):
        raise UsageError("two photographs have the same name; use another --out for one of them")
    _check_outputs([p for p in (*targets, args.preview) if p], args.photos, args.overwrite)
    try:
        make_folder(args.out)
    except OSError as error:
        raise UsageError(say(error)) from None
    _check_file(args.preview, FORMATS)
    written = failed = 0
    with _bar(len(targets)) as bar:
        for photo, target in zip(args.photos, targets, strict=True):
            try:
                picture = read_picture(photo, args.max_pixels or MAX_PIXELS)
                check_target(target, picture)
                found = effect.transform([picture.pixels])[0]
                write_picture(target, found, picture, args.overwrite)
                if args.preview is not None:
                    both = beside([_unit(picture.pixels), found])
                    _write_preview(args.preview, both, args.overwrite)
                written += 1
            except Exception as error:
                failed += 1
                complain(f"{photo!r}: {say(error)}")
                if getattr(error, "errno", None) in FATAL:
                    left = len(targets) - written - failed
                    complain(f"stopped, {left} photographs not done: nothing more can be written")
                    break
            bar.update()
    print(f"{written} written to {str(args.out)!r}; {failed} failed")
    return 1 if failed else 0


def _read(path: str, limit: int, tick: Callable[[], Any]) -> Any:
    """Read a frame, and tell the progress bar."""
    from skdefocus.io import read_image

    pixels = read_image(path, max_pixels=limit)
    tick()
    return pixels


def _check_outputs(outputs: list[Path], inputs: list[str], overwrite: bool) -> None:
    # By os.path, which answers even for links that lead in a circle and names that are too long.
    taken = dict.fromkeys(map(os.path.realpath, inputs), "an input")
    for path in outputs:
        real = os.path.realpath(path)
        if real in taken:
            raise UsageError(f"the output {str(path)!r} is also {taken[real]}")
        taken[real] = "another output"
        if os.path.lexists(path) and not overwrite:
            raise UsageError(f"{str(path)!r} exists, and --overwrite was not given")


def _check_file(path: Path | None, suffixes: Iterable[str]) -> None:
    """Say before any work what could not be written after it."""
    if path is None:
        return
    if path.suffix.lower() not in suffixes:
        raise UsageError(f"{str(path)!r} must end in {', '.join(suffixes)}")
    if not path.parent.is_dir():
        raise UsageError(f"{str(path.parent)!r} is no folder; make it first")
    if path.is_dir():
        raise UsageError(f"{str(path)!r} is a folder; name a file in it")


def _bar(total: int) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, leave=False, disable=not sys.stderr.isatty())


def _unit(pixels: Any) -> Any:
    from skdefocus._images import check_image

    return check_image(pixels)


def _write_preview(path: Path, picture: Any, overwrite: bool) -> None:
    from skdefocus._pictures import Picture, write_picture

    write_picture(path, picture / 255, Picture(picture, None, None), overwrite)
