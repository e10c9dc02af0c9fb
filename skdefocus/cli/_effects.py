"""The commands that follow a defocus map and write photographs: magnify, sharpen."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from skdefocus._typing import AnyArray, Float32Array
from skdefocus.cli._arguments import (
    UsageError,
    add_existing,
    add_given_map,
    add_jobs,
    add_limit,
    add_model,
    add_photos,
    command,
    number,
    path_argument,
)
from skdefocus.cli._outputs import add_output, as_floats, check_file, write_preview
from skdefocus.cli._photos import MapSource, check_same_size, map_source, run_batch

#: Function that makes a photograph in floats from a photograph and its map.
FloatEffect = Callable[[AnyArray, Float32Array], Float32Array]


@dataclass(frozen=True)
class EffectCommand:
    """A command that applies an effect.

    Attributes
    ----------
    text : str
        Description of the command.
    ending : str
        Ending of the stem of its outputs' names.
    add_options : callable
        Adds its own options to a parser.
    effect : callable
        Makes the effect from parsed arguments.
    masks_blur : bool
        True if a mask first reduces the blur in the map, so that protected parts do not spill.
    """

    text: str
    ending: str
    add_options: Callable[[argparse.ArgumentParser], None]
    effect: Callable[[argparse.Namespace], FloatEffect]
    masks_blur: bool


def _magnify_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``magnify``."""
    parser.add_argument(
        "--strength",
        type=number(float, 1),
        default=2.0,
        metavar="X",
        help="factor by which the blur grows: 2 leads from f/4 to f/2 (default: 2)",
    )
    parser.add_argument(
        "--aperture",
        choices=("disc", "polygon", "gaussian"),
        help="shape of highlights (default: disc, or polygon with --blades)",
    )
    parser.add_argument(
        "--blades", type=number(int, 3), metavar="N", help="corners of the polygon (default: 6)"
    )


def _magnify(args: argparse.Namespace) -> FloatEffect:
    from skdefocus.effects import magnify

    aperture = args.aperture or ("polygon" if args.blades else "disc")
    if args.blades and aperture != "polygon":
        raise UsageError(f"--blades is for the aperture polygon, not {aperture}")
    return partial(magnify, strength=args.strength, aperture=aperture, blades=args.blades or 6)


def _sharpen_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``sharpen``."""
    parser.add_argument(
        "--amount",
        type=number(float, 0),
        default=1.0,
        metavar="X",
        help="strength of the sharpening; 1 undoes the blur in full (default: 1)",
    )


def _sharpen(args: argparse.Namespace) -> FloatEffect:
    from skdefocus.effects import sharpen

    return partial(sharpen, amount=args.amount)


COMMANDS = {
    "magnify": EffectCommand(
        "Blur the background more: a shallower depth of field.",
        "_magnified",
        _magnify_options,
        _magnify,
        True,
    ),
    "sharpen": EffectCommand(
        "Sharpen what is nearly in focus, and nothing else.",
        "_sharpened",
        _sharpen_options,
        _sharpen,
        False,
    ),
}


def add_effects(commands: Any) -> None:
    """Add the commands of effects."""
    for name, entry in COMMANDS.items():
        parser = command(
            commands,
            name,
            partial(_run_effect, entry),
            entry.text,
            f"For NAME.jpg the command writes NAME{entry.ending}.jpg, with the bit depth, alpha, "
            "color profile, EXIF and other metadata of the photograph. HEIC and AVIF become JPEG, "
            "raw files become 16-bit TIFF, and formats other than PNG, JPEG and TIFF become PNG. "
            "Metadata that the format cannot hold are reported. A file that cannot be read is "
            "reported, and the rest go on.",
        )
        add_photos(parser)
        add_output(parser, "for one photograph, a file: PNG, JPEG or TIFF")
        add_existing(parser)
        entry.add_options(parser)
        add_given_map(parser)
        parser.add_argument(
            "--mask",
            type=path_argument,
            metavar="FILE",
            help="a picture of the photograph's size: black keeps the photograph as it is, gray "
            "weakens the effect",
        )
        parser.add_argument(
            "--preview",
            type=path_argument,
            metavar="FILE",
            help="also write a picture of before and after, side by side",
        )
        add_model(parser)
        add_limit(parser)
        add_jobs(parser)


def _run_effect(entry: EffectCommand, args: argparse.Namespace) -> int:
    """Apply an effect to photographs."""
    from skdefocus.io import FORMATS, MAX_PIXELS

    file = args.out.file_of_one(FORMATS, len(args.photos))
    if args.preview is not None:
        if len(args.photos) > 1:
            raise UsageError("--preview is for a single photograph")
        check_file(args.preview, FORMATS)
    if args.mask is not None and not args.mask.is_file():
        raise UsageError(f"--mask: {str(args.mask)!r} is not a file")
    work = EffectWork(
        args.out.folder(file),
        file,
        entry,
        entry.effect(args),
        map_source(args),
        args.mask,
        args.preview,
        args.max_pixels or MAX_PIXELS,
    )
    return run_batch(args, work, f"written to {str(file or work.out)!r}", [args.preview])


@dataclass(frozen=True)
class EffectWork:
    """An effect on photographs, see :class:`skdefocus.cli._batch.Work`."""

    out: Path
    file: Path | None
    entry: EffectCommand
    effect: FloatEffect
    maps: MapSource
    mask: Path | None
    preview: Path | None
    max_pixels: int

    def targets(self, photo: str) -> dict[str, Path]:
        from skdefocus.io import output_suffix

        name = f"{Path(photo).stem}{self.entry.ending}{output_suffix(photo)}"
        found = {"photo": self.file or self.out / name}
        return found if self.preview is None else found | {"preview": self.preview}

    def warning(self, photo: str) -> str:
        from skdefocus.io import left_out, read_metadata

        return left_out(self.targets(photo)["photo"], read_metadata(photo, self.max_pixels))

    def make(self, photo: str, files: dict[str, Path]) -> None:
        """Write the result and the preview."""
        from skdefocus.io import read_photograph, write_photograph

        like = read_photograph(photo, self.max_pixels)
        found = self._applied(photo, like.pixels)
        if "photo" in files:
            write_photograph(files["photo"], found, like)
        if "preview" in files:
            write_preview(files["preview"], [like.pixels, found])

    def _applied(self, photo: str, pixels: AnyArray) -> Float32Array:
        """Apply the effect, as far as the mask allows."""
        sigma = self.maps.sigma(photo, pixels)
        pixels = as_floats(pixels)  # from integers, an effect makes rounded integers
        if self.mask is None:
            return self.effect(pixels, sigma)
        from skdefocus._images import to_gray
        from skdefocus.io import read_image

        share = to_gray(read_image(self.mask, max_pixels=self.max_pixels))
        check_same_size("mask", self.mask, share, pixels)
        if self.entry.masks_blur:
            found = self.effect(pixels, sigma * share)
            share = (share > 0).astype(share.dtype)
        else:
            found = self.effect(pixels, sigma)
        share = share.reshape(share.shape + (1,) * (found.ndim - 2))
        return found * share + pixels * (1 - share)
