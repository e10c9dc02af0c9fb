"""The commands that make maps: demo, map."""

from __future__ import annotations

import argparse
import sys
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from skdefocus.cli._arguments import UsageError, add_model, command, complain, number, place

#: What `demo` writes to without --out; its own, so that it may replace what is there.
DEMO_FOLDER = Path("skdefocus-demo")


def _add_output(parser: argparse.ArgumentParser, default: Path | None = None) -> None:
    parser.add_argument(
        "--out", "-o", type=place, metavar="DIR", required=default is None, default=default,
        help="folder to write to, made if missing" + (f" (default: {default})" if default else ""),
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there")


def _need_matplotlib() -> None:
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise UsageError(
            'the picture needs matplotlib: pip install "skdefocus[plot]" '
            "(or: skdefocus map --no-picture)"
        )


def add_demo(commands: Any) -> None:
    parser = command(
        commands, "demo", _run_demo, "Map a photograph that comes with scikit-learn.",
        "Writes flower_overview.png (photograph, map and confidence), flower_sigma.tif (σ in "
        "pixels, float32) and flower_sigma.png (16 bits, value = 1000 σ); in the default folder "
        "it replaces those of the last time.",
    )  # fmt: skip
    _add_output(parser, default=DEMO_FOLDER)


def _run_demo(args: argparse.Namespace) -> int:
    _need_matplotlib()
    import numpy as np
    from skimage.filters import threshold_otsu
    from sklearn.datasets import load_sample_image

    from skdefocus.cli import _batch
    from skdefocus.pipeline import make_defocus_pipeline

    overwrite = args.overwrite or args.out == DEMO_FOLDER
    options = _batch.Options(args.out, overwrite=overwrite)
    name = "flower.jpg"
    with ExitStack() as stack:
        try:
            targets = options.missing(name)
            scratch = stack.enter_context(_batch.scratch_folder(args.out))
        except OSError as error:
            raise UsageError(_batch.say(error)) from None
        sigma = _batch.map_image(
            load_sample_image(name), targets, make_defocus_pipeline(), scratch, overwrite
        )
    print("\n".join(f"wrote {str(target)!r}" for target in reversed(targets.values())))
    # By levels, which are even in the logarithm of the total blur.
    level = np.log(sigma + 0.5)
    in_focus = level <= threshold_otsu(level)
    for label, where in (("subject:   ", in_focus), ("background:", ~in_focus)):
        median = np.median(sigma[where])
        print(f"{label} {where.mean():.0%} of the picture, median σ {median:.2f} pixels")
    return 0


def add_map(commands: Any) -> None:
    parser = command(
        commands, "map", _run_map, "Make defocus maps of photographs.",
        "For NAME.jpg it writes NAME_sigma.tif (σ in pixels, float32), NAME_sigma.png (16 bits, "
        "value = 1000 σ) and NAME_overview.png (photograph, map and confidence). A bad file is "
        "reported and the rest go on. Names that begin with a dash go behind a double dash; "
        "very many names go through xargs.",
    )  # fmt: skip
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help="PNG, JPEG, TIFF, WebP, …")
    _add_output(parser)
    parser.add_argument(
        "--skip-existing", action="store_true",
        help="leave files alone that are there and make those that are missing: resumes a run",
    )  # fmt: skip
    parser.add_argument(
        "--format", choices=("tiff", "npy"), default="tiff",
        help="of the map in float32 (default: tiff)",
    )  # fmt: skip
    parser.add_argument(
        "--no-picture", dest="picture", action="store_false",
        help="no overview picture; matplotlib is then not needed",
    )  # fmt: skip
    parser.add_argument(
        "--step", type=number(int, 1), default=4, metavar="N",
        help="side of the cells that are classified in pixels, a multiple of 4 up to 32: more is "
        "coarser (default: 4)",
    )  # fmt: skip
    parser.add_argument(
        "--radius", type=number(int, 1), metavar="N",
        help="radius of the refinement in pixels: from how far the map's edges move to the "
        "photograph's (default: that of WeightedGuidedRefiner)",
    )  # fmt: skip
    parser.add_argument(
        "--eps", type=number(float, 0), metavar="X",
        help="regularisation of the refinement in squared intensity, above 0: less follows fainter "
        "edges of the photograph (default: that of WeightedGuidedRefiner)",
    )  # fmt: skip
    add_model(parser)
    parser.add_argument(
        "--max-pixels", type=number(int, 1), metavar="N",
        help="refuse photographs with more pixels (default: 250 million)",
    )  # fmt: skip
    parser.add_argument(
        "--jobs", "-j", type=number(int, 1, -1), default=1, metavar="N",
        help="photographs worked on at once, each with its own process and memory; -1 is one per "
        "core (default: 1, which uses all cores)",
    )  # fmt: skip
    parser.add_argument("--quiet", "-q", action="store_true", help="no progress bar, no summary")


def _run_map(args: argparse.Namespace) -> int:
    if args.overwrite and args.skip_existing:
        raise UsageError("--overwrite and --skip-existing exclude each other")
    if args.picture:
        _need_matplotlib()
    import joblib
    import numpy as np

    from skdefocus.cli import _batch
    from skdefocus.io import MAX_PIXELS
    from skdefocus.pipeline import pipeline_of_worker

    n_jobs = joblib.effective_n_jobs(args.jobs)
    refine = {key: v for key in ("radius", "eps") if (v := getattr(args, key)) is not None}
    pipeline = pipeline_of_worker(n_jobs, step=args.step, **refine)
    pipeline.set_params(levels__model=args.model)
    try:  # wrong options show before any work
        pipeline.transform([np.zeros((1, 1), np.float32)])
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from None
    options = _batch.Options(
        args.out, ".tif" if args.format == "tiff" else ".npy", args.picture, args.overwrite,
        args.skip_existing, args.max_pixels or MAX_PIXELS,
    )  # fmt: skip
    with ExitStack() as stack:
        try:
            scratch = stack.enter_context(_batch.scratch_folder(args.out))
        except OSError as error:
            raise UsageError(_batch.say(error)) from None
        return _map_all(args, pipeline, scratch, options, n_jobs)


def _map_all(
    args: argparse.Namespace, pipeline: Any, scratch: Path, options: Any, n_jobs: int
) -> int:
    from tqdm import tqdm

    from skdefocus.cli import _batch

    tasks, failures = _batch.plan(args.photos, options)
    for failure in failures:
        complain(f"{failure.photo!r}: {failure.failure}")
    silent = args.quiet or not sys.stderr.isatty()
    done = written = skipped = 0
    stopped = ""
    with (
        warnings.catch_warnings(),
        tqdm(total=len(tasks), unit="photo", leave=False, disable=silent) as bar,
    ):
        # After a stop, joblib would say that work was left undone.
        warnings.filterwarnings("ignore", category=UserWarning, module="joblib")
        try:
            for result in _batch.run(tasks, pipeline, scratch, options, n_jobs):
                done += 1
                written += result.written
                skipped += not result.written and not result.failure
                if result.failure:
                    failures.append(result)
                    with tqdm.external_write_mode(file=sys.stderr):
                        complain(f"{result.photo!r}: {result.failure}")
                bar.update()
                if result.fatal:
                    stopped = "nothing more can be written"
                    break
        except Exception as error:  # no photograph's own, which are results
            stopped = f"the workers failed ({_batch.say(error)})"
    if stopped:
        complain(f"stopped, {len(tasks) - done} photographs not done: {stopped}")
    if not args.quiet:
        _summary(written, skipped, [failure.photo for failure in failures], args.out)
    return 1 if failures or stopped else 0


def _summary(written: int, skipped: int, failed: list[str], out: Path) -> None:
    parts = [f"{written} mapped to {str(out)!r}"]
    if skipped:
        parts.append(f"{skipped} there already")
    if failed:
        parts.append(f"{len(failed)} failed: {', '.join(map(repr, failed))}")
    print("; ".join(parts))
