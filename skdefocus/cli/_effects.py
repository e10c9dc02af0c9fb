"""The commands that follow a defocus map: magnify, sharpen."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from skdefocus.cli._arguments import UsageError, command, complain, number, place
from skdefocus.cli._outputs import (
    add_common,
    check_file,
    check_outputs,
    progress_bar,
    unit,
    write_preview,
)

EFFECTS: dict[str, tuple[str, str]] = {
    "magnify": ("Blur what is out of focus even more.", "_magnified"),
    "sharpen": ("Sharpen what is nearly in focus and nothing else.", "_sharpened"),
}


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
        add_common(parser)


def _run_effect(name: str, args: argparse.Namespace) -> int:
    from skdefocus.cli._batch import FATAL, make_folder, say
    from skdefocus.effects import AdaptiveSharpener, DefocusMagnifier
    from skdefocus.io import FORMATS, MAX_PIXELS, beside, check_target, read_picture, write_picture

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
    check_outputs([p for p in (*targets, args.preview) if p], args.photos, args.overwrite)
    try:
        make_folder(args.out)
    except OSError as error:
        raise UsageError(say(error)) from None
    check_file(args.preview, FORMATS)
    written = failed = 0
    with progress_bar(len(targets)) as bar:
        for photo, target in zip(args.photos, targets, strict=True):
            try:
                picture = read_picture(photo, args.max_pixels or MAX_PIXELS)
                check_target(target, picture)
                found = effect.transform([unit(picture.pixels)])[0]
                write_picture(target, found, picture, args.overwrite)
                if args.preview is not None:
                    both = beside([unit(picture.pixels), found])
                    write_preview(args.preview, both, args.overwrite)
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
