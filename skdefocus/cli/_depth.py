"""The command that turns blur into distance: depth."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
)
from skdefocus.cli._outputs import add_output
from skdefocus.cli._photos import MapSource, map_source, run_batch

SIDES = ("front", "behind")
#: Options for facts that are not in a file: the name of the fact, the unit and the help.
FACTS = {
    "focus_distance": ("M", "distance from the lens to what is in focus, in meters"),
    "focal_length": ("MM", "focal length in mm"),
    "f_number": ("N", "f-number"),
    "pixel_pitch": ("UM", "distance between neighboring pixels on the sensor in µm"),
}
TEXT = "Distance from the lens in meters, {side} of what is in focus"


def add_depth(commands: Any) -> None:
    """Add the command ``depth``."""
    parser = command(
        commands,
        "depth",
        _run_depth,
        "Compute distances from the lens, from blur and EXIF.",
        "For NAME.jpg the command writes NAME_front.tif and NAME_behind.tif, in meters as float32. "
        "There are two files because the same blur occurs in front of the focus and behind it, and "
        "a photograph does not show which. The largest distance is infinity. The formula is that "
        "of a thin lens: it does not hold for macro photographs, and the photograph must not have "
        "been cropped or resized. Give the facts of the lens that EXIF lacks; given facts override "
        "EXIF.",
    )
    add_photos(parser)
    add_output(parser, "for one photograph with --side, a file: .tif or .npy")
    add_existing(parser)
    for name, (unit, text) in FACTS.items():
        parser.add_argument(
            "--" + name.replace("_", "-"),
            type=number(float, 1e-6),
            metavar=unit,
            help=f"{text} (default: from EXIF)",
        )
    parser.add_argument("--side", choices=SIDES, help="write only one of the two (default: both)")
    parser.add_argument(
        "--format",
        choices=("tiff", "npy"),
        default="tiff",
        help="format of the files (default: tiff)",
    )
    add_given_map(parser)
    add_model(parser)
    add_limit(parser)
    add_jobs(parser)


def _run_depth(args: argparse.Namespace) -> int:
    """Measure distances in photographs."""
    from skdefocus.io import MAPS, MAX_PIXELS

    file = args.out.file_of_one(MAPS, len(args.photos))
    if file is not None and args.side is None:
        raise UsageError(f"{str(file)!r} is one file; give --side front or --side behind")
    given = {name: value for name in FACTS if (value := getattr(args, name)) is not None}
    work = DepthWork(
        args.out.folder(file),
        file,
        map_source(args),
        given,
        SIDES if args.side is None else (args.side,),
        ".tif" if args.format == "tiff" else ".npy",
        args.max_pixels or MAX_PIXELS,
    )
    return run_batch(args, work, f"measured to {str(file or work.out)!r}")


@dataclass(frozen=True)
class DepthWork:
    """Distances of photographs, see :class:`skdefocus.cli._batch.Work`."""

    out: Path
    file: Path | None
    maps: MapSource
    given: dict[str, float]
    sides: tuple[str, ...]
    suffix: str
    max_pixels: int

    def targets(self, photo: str) -> dict[str, Path]:
        if self.file is not None:
            return {self.sides[0]: self.file}
        stem = Path(photo).stem
        return {side: self.out / f"{stem}_{side}{self.suffix}" for side in self.sides}

    def warning(self, photo: str) -> str:
        return ""

    def make(self, photo: str, files: dict[str, Path]) -> None:
        """Write the distances on the chosen sides."""
        import numpy as np

        from skdefocus.io import read_image, write_values
        from skdefocus.optics import distances_for_coc, sigma_to_coc

        pixels = read_image(photo, max_pixels=self.max_pixels, mapped=True)
        facts = self._facts(photo)
        sigma = self.maps.sigma(photo, pixels)
        distances = distances_for_coc(sigma_to_coc(sigma), **facts)._asdict()
        for side, path in files.items():
            values = np.ascontiguousarray(distances[side], np.float32)
            write_values(path, values, TEXT.format(side=side))

    def _facts(self, photo: str) -> dict[str, float]:
        """Collect the facts of the lens from the options and EXIF."""
        from skdefocus.optics import read_lens_facts

        exif = read_lens_facts(photo)._asdict()
        known = {name: value for name, value in exif.items() if value is not None} | self.given
        unknown = [name for name in FACTS if name not in known]
        if unknown:
            options = " ".join(f"--{name.replace('_', '-')} {FACTS[name][0]}" for name in unknown)
            raise ValueError(f"its EXIF lacks {', '.join(unknown)}; give {options}")
        return known
