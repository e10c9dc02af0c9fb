"""The commands that make maps: demo, map."""

from __future__ import annotations

import argparse
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skdefocus._typing import AnyArray, Float32Array
from skdefocus.cli._arguments import (
    UsageError,
    add_existing,
    add_jobs,
    add_limit,
    add_model,
    command,
    number,
    path_argument,
)
from skdefocus.cli._outputs import Output, add_output, check_file, check_outputs
from skdefocus.cli._photos import map_source, photographs_in, run_batch
from skdefocus.cli._report import open_report, row_file, row_of

#: Folder of `demo` without --out. It belongs to `demo`, which may replace the files in it.
DEMO_FOLDER = Path("skdefocus-demo")
DEMO_PHOTO = "flower.jpg"
#: Ratio of the apertures of the demo's shallower depth of field.
DEMO_STRENGTH = 3.0
#: Options that are parameters of the pipeline.
PARAMETERS = {
    "step": "patches__step",
    "octaves": "levels__octaves",
    "radius": "refine__radius",
    "eps": "refine__eps",
}
#: Endings of a file that --out may name.
FILES = (".tif", ".tiff", ".npy", ".png")


def _need_matplotlib(without: str) -> None:
    """Check that matplotlib is installed."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise UsageError(
            f'the picture needs matplotlib: pip install "skdefocus[plot]" (or: {without})'
        )


def add_demo(commands: Any) -> None:
    """Add the command ``demo``."""
    parser = command(
        commands,
        "demo",
        _run_demo,
        "Map a photograph that comes with scikit-learn.",
        "It writes three files: flower_overview.png shows the photograph, its map, a shallower "
        "depth of field and the confidence; flower_sigma.tif holds σ in pixels as float32; "
        "flower_sigma.png is the map as a 16-bit image. Earlier files in the default folder are "
        "replaced.",
    )
    add_output(parser, default=Output(DEMO_FOLDER))
    add_existing(parser)


def _run_demo(args: argparse.Namespace) -> int:
    """Map the photograph of the demo, and print its blur."""
    _need_matplotlib("skdefocus map --no-picture")
    import numpy as np
    from skimage.filters import threshold_otsu

    from skdefocus.cli import _batch
    from skdefocus.io import read_map
    from skdefocus.pipeline import make_defocus_pipeline

    args.out.file(())
    work = DemoWork(args.out.path, None, make_defocus_pipeline())
    overwrite = not args.skip_existing and args.out.path == DEMO_FOLDER
    batch = _batch.Batch(work, args.overwrite or overwrite, args.skip_existing)
    with ExitStack() as stack:
        try:
            targets = batch.pending(DEMO_PHOTO)
            scratch = stack.enter_context(_batch.scratch_folder(work.out))
        except OSError as error:
            raise UsageError(_batch.describe_error(error)) from None
        _batch.make_all(DEMO_PHOTO, targets, batch, scratch)
    print("\n".join(f"wrote {str(target)!r}" for target in reversed(targets.values())))
    sigma = read_map(work.targets(DEMO_PHOTO)["map"])
    # In levels, which are evenly spaced in the logarithm of the total blur.
    level = np.log(sigma + 0.5)
    in_focus = level <= threshold_otsu(level)
    for label, where in (("subject:   ", in_focus), ("background:", ~in_focus)):
        median = np.median(sigma[where])
        print(f"{label} {where.mean():.0%} of the picture, median σ {median:.2f} pixels")
    return 0


def add_map(commands: Any) -> None:
    """Add the command ``map``."""
    parser = command(
        commands,
        "map",
        _run_map,
        "Make defocus maps of photographs.",
        "A map holds σ, the standard deviation of the blur in pixels; 0 is in focus. For NAME.jpg "
        "the command writes NAME_sigma.tif (σ as float32), NAME_sigma.png (16 bits; σ is the value "
        "divided by the text sigma_scale in the file) and NAME_overview.png (photograph, map and "
        "confidence). A file that cannot be read is reported, and the rest go on. Put names that "
        "begin with a dash after a double dash. Name the folder of very many photographs.",
    )
    _add_files(parser)
    add_existing(parser)
    parser.add_argument(
        "--format",
        choices=("tiff", "npy"),
        default="tiff",
        help="format of the map in float32 (default: tiff)",
    )
    parser.add_argument(
        "--no-picture",
        dest="picture",
        action="store_false",
        help="do not write the overview picture; matplotlib is then not needed",
    )
    parser.add_argument(
        "--confidence",
        action="store_true",
        help="also write NAME_confidence: how sure the network is, from 0 to 1, as float32",
    )
    _add_appearance(parser)
    _add_refinement(parser)
    add_model(parser)
    add_limit(parser)
    add_jobs(parser)


def _add_files(parser: argparse.ArgumentParser) -> None:
    """Add the photographs and the outputs."""
    parser.add_argument(
        "photos",
        nargs="+",
        metavar="PHOTO",
        help="PNG, JPEG, TIFF, WebP, …; HEIC and raw files with their extras; or a folder of them",
    )
    add_output(
        parser,
        "for one photograph, a file: .tif or .npy for the map, .png for a picture; not needed with "
        "--html",
        required=False,
    )
    parser.add_argument(
        "--html",
        type=path_argument,
        metavar="FILE",
        help="write a page with thumbnails, maps, blur scores and failures, to sort and to choose "
        "from in a browser; it is written when all photographs are done",
    )


def _add_appearance(parser: argparse.ArgumentParser) -> None:
    """Add the options for the appearance of NAME_sigma.png."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--scale",
        type=number(float, 1e-9),
        metavar="X",
        help="gray levels of NAME_sigma.png per pixel of σ, the same for all photographs (default: "
        "a scale per photograph that makes its largest σ, or at least 1, white)",
    )
    group.add_argument(
        "--color",
        action="store_true",
        help="write NAME_sigma.png in color with 8 bits, for viewing; the text sigma_max in the "
        "file is the σ of the brightest color",
    )


def _add_refinement(parser: argparse.ArgumentParser) -> None:
    """Add the parameters of the pipeline."""
    parser.add_argument(
        "--step",
        type=number(int, 1),
        metavar="N",
        help="side in pixels of the cells that get one answer of the network, a multiple of 4 up "
        "to 32; a larger step gives a coarser map (default: 4)",
    )
    parser.add_argument(
        "--octaves",
        type=number(int, 0),
        metavar="N",
        help="how often the photograph is also seen at half its size to recognize strong blur; "
        "the largest σ is 8 pixels with 0, and doubles with each (default: 3)",
    )
    parser.add_argument(
        "--radius",
        type=number(int, 1),
        metavar="N",
        help="radius of the refinement in pixels: how far edges of the map can move to meet those "
        "of the photograph (default: 4)",
    )
    parser.add_argument(
        "--eps",
        type=number(float, 0),
        metavar="X",
        help="regularization of the refinement in squared intensity, above 0; with a smaller value "
        "the map follows fainter edges of the photograph (default: 0.0003)",
    )


def _run_map(args: argparse.Namespace) -> int:
    """Map photographs."""
    if args.out is None and args.html is None:
        raise UsageError("name what to write: --out, --html or both (see skdefocus map --help)")
    args.photos = photographs_in(args.photos)
    file = None if args.out is None else args.out.file_of_one(FILES, len(args.photos))
    if args.picture and file is None and args.out is not None:
        _need_matplotlib("skdefocus map --no-picture")
    if args.confidence and file is not None:
        raise UsageError(f"--confidence needs a folder for --out, {str(file)!r} is a file")
    given = {
        parameter: value
        for name, parameter in PARAMETERS.items()
        if (value := getattr(args, name)) is not None
    }
    pipeline = map_source(args, **given).pipeline
    goals = [file or (args.out and args.out.path), args.html]
    done = f"mapped to {' and '.join(repr(str(goal)) for goal in goals if goal)}"
    if args.html is None:
        return run_batch(args, _map_work(args, file, pipeline), done)
    check_file(args.html, (".html", ".htm"))
    if args.skip_existing and os.path.lexists(args.html):
        print(f"{str(args.html)!r} is there already")
        return 0 if args.out is None else run_batch(args, _map_work(args, file, pipeline), done)
    check_outputs([args.html], args.photos, args.overwrite)
    with open_report(args.html, args.overwrite) as report:
        work = _map_work(args, file, pipeline, report.folder)
        return run_batch(args, work, done, report=report)


def _map_work(
    args: argparse.Namespace, file: Path | None, pipeline: Any, rows: Path | None = None
) -> MapWork:
    """Build the work from the options; `rows` is the folder for the rows of the page."""
    from skdefocus.io import MAX_PIXELS

    out = rows if args.out is None else args.out.folder(file)
    assert out is not None
    return MapWork(
        out,
        file,
        pipeline,
        suffix=".tif" if args.format == "tiff" else ".npy",
        maps=args.out is not None,
        picture=args.picture,
        confidence=args.confidence,
        scale=args.scale,
        color=args.color,
        max_pixels=args.max_pixels or MAX_PIXELS,
        page=args.html,
        rows=rows,
    )


@dataclass(frozen=True)
class MapWork:
    """Maps of photographs, see :class:`skdefocus.cli._batch.Work`.

    Attributes
    ----------
    out : Path
        Folder of the outputs.
    file : Path or None
        The only output, whose ending selects its kind; None writes all of them.
    pipeline : Pipeline
    suffix : str
        Ending of the map in float32: ``".tif"`` or ``".npy"``.
    maps : bool
        Whether anything but the rows of the page is written.
    picture, confidence : bool
        True for those of these outputs that are written.
    scale : float or None
        Scale of the PNG; None uses its full range.
    color : bool
        True for a PNG in color.
    max_pixels : int or None
        See :func:`skdefocus.io.read_image`.
    page, rows : Path or None
        The page about all photographs and the folder for its rows; None writes no row.
    """

    out: Path
    file: Path | None
    pipeline: Any
    suffix: str = ".tif"
    maps: bool = True
    picture: bool = True
    confidence: bool = False
    scale: float | None = None
    color: bool = False
    max_pixels: int | None = None
    page: Path | None = None
    rows: Path | None = None

    def targets(self, photo: str) -> dict[str, Path]:
        """Return the outputs, and the row of the page."""
        row = {} if self.rows is None else {"row": row_file(self.rows, photo)}
        return (self._maps(photo) if self.maps else {}) | row

    def _maps(self, photo: str) -> dict[str, Path]:
        """Return the outputs, or the only one that was named."""
        if self.file is not None:
            return {"png" if self.file.suffix.lower() == ".png" else "map": self.file}
        stem = Path(photo).stem
        names = {"map": f"{stem}_sigma{self.suffix}", "png": f"{stem}_sigma.png"}
        if self.confidence:
            names["confidence"] = f"{stem}_confidence{self.suffix}"
        if self.picture:
            names["picture"] = f"{stem}_overview.png"
        return {kind: self.out / name for kind, name in names.items()}

    def warning(self, photo: str) -> str:
        return ""

    def read(self, photo: str) -> AnyArray:
        from skdefocus.io import MAX_PIXELS, read_image

        return read_image(photo, max_pixels=self.max_pixels or MAX_PIXELS, mapped=True)

    def make(self, photo: str, files: dict[str, Path]) -> None:
        """Write the outputs of a photograph."""
        from skdefocus._grids import repeated
        from skdefocus.io import write_map, write_scaled_png, write_values
        from skdefocus.plotting import write_colored

        levels = self.pipeline[:-1].transform([self.read(photo)])
        grid = levels[0]
        sigma: Float32Array = self.pipeline[-1].transform(levels)[0]
        if "map" in files:
            write_map(files["map"], sigma)
        if "png" in files and self.color:
            write_colored(files["png"], sigma)
        elif "png" in files:
            write_scaled_png(files["png"], sigma, scale=self.scale)
        if "confidence" in files:
            confidence = repeated(grid.confidence, grid.step, sigma.shape)
            write_values(files["confidence"], confidence, "Confidence: 0 cannot tell, 1 is sure")
        if "row" in files and self.page is not None:
            text = row_of(photo, self.page, grid, sigma)
            files["row"].write_text(text, "utf-8", errors="backslashreplace")
        if "picture" in files:
            self.draw(grid.image, sigma, grid.confidence).savefig(files["picture"])

    def draw(self, image: AnyArray, sigma: Float32Array, confidence: Float32Array) -> Any:
        """Draw the picture of a photograph."""
        from skdefocus.plotting import overview

        return overview(image, sigma, confidence)


class DemoWork(MapWork):
    """Work of ``demo``: the map of a photograph that comes with scikit-learn."""

    def read(self, photo: str) -> AnyArray:
        from sklearn.datasets import load_sample_image

        found: AnyArray = load_sample_image(photo)
        return found

    def draw(self, image: AnyArray, sigma: Float32Array, confidence: Float32Array) -> Any:
        """Draw the picture of the demo, with an effect."""
        from skdefocus.effects import magnify
        from skdefocus.plotting import showcase

        shallow = magnify(image, sigma, strength=DEMO_STRENGTH)
        return showcase(image, sigma, confidence, shallow, "Shallower depth of field")
