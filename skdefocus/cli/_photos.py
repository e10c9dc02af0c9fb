"""Parts that the commands for many photographs share."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skdefocus._typing import AnyArray, Float32Array
from skdefocus.cli._arguments import UsageError, complain
from skdefocus.cli._outputs import check_outputs

if TYPE_CHECKING:
    from skdefocus.cli._report import Report

#: Endings of the names that `map` gives to maps.
MAP_NAMES = ("_sigma.tif", "_sigma.npy", "_sigma.png")


@dataclass(frozen=True)
class MapSource:
    """Source of the maps of photographs: the network, or files.

    Attributes
    ----------
    pipeline : Pipeline
    given : Path or None
        A map, or a folder of maps with the names that `map` gives them.
    """

    pipeline: Any
    given: Path | None = None

    def sigma(self, photo: str, pixels: AnyArray) -> Float32Array:
        """Make or read the map; ValueError that names the file if it does not fit."""
        if self.given is None:
            made: Float32Array = self.pipeline.transform([pixels])[0]
            return made
        from skdefocus.io import read_map

        path = self._file(photo)
        found = read_map(path, max_pixels=max(pixels.shape[0] * pixels.shape[1], 1))
        check_same_size("map", path, found, pixels)
        return found

    def _file(self, photo: str) -> Path:
        """Find the map of a photograph."""
        given = self.given
        assert given is not None
        if not given.is_dir():
            return given
        names = [Path(photo).stem + ending for ending in MAP_NAMES]
        found = next((given / name for name in names if (given / name).exists()), None)
        if found is None:
            raise ValueError(f"its map is not in {str(given)!r}, where it may be called {names[0]}")
        return found


def check_same_size(kind: str, path: Path, values: AnyArray, pixels: AnyArray) -> None:
    """Check that a map or mask belongs to a photograph."""
    if values.shape[:2] != pixels.shape[:2]:
        height, width = pixels.shape[:2]
        raise ValueError(
            f"the {kind} {str(path)!r} has {values.shape[1]} x {values.shape[0]} pixels and the "
            f"photograph, turned upright, {width} x {height}"
        )


def map_source(args: argparse.Namespace, **parameters: Any) -> MapSource:
    """Make the source of maps for each worker; check the options before any work.

    `parameters` are those of the pipeline, by the names that its ``set_params`` takes.
    """
    given = getattr(args, "given", None)
    if given is not None:
        if not given.exists():
            raise UsageError(f"--map: {str(given)!r} does not exist")
        if len(args.photos) > 1 and not given.is_dir():
            raise UsageError("--map: one map is for one photograph; name a folder with the maps")
    import joblib
    import numpy as np

    from skdefocus.pipeline import pipeline_of_worker

    pipeline = pipeline_of_worker(joblib.effective_n_jobs(args.jobs))
    pipeline.set_params(levels__model=args.model, **parameters)
    if given is None:
        try:
            pipeline.transform([np.zeros((1, 1), np.float32)])
        except (TypeError, ValueError) as error:
            raise UsageError(str(error)) from None
    return MapSource(pipeline, given)


def photographs_in(names: Iterable[str]) -> list[str]:
    """Replace folders by the photographs in them, in the order of their names.

    Photographs are told by the ending of their names; hidden files and folders inside are left out.
    A folder without any stays, so that it is reported like other files that cannot be read.
    """
    from skdefocus.io import PHOTOGRAPHS

    photos: list[str] = []
    for name in names:
        found = []
        if Path(name).is_dir():
            with os.scandir(name) as entries:
                found = sorted(
                    entry.path
                    for entry in entries
                    if Path(entry.name).suffix.lower() in PHOTOGRAPHS
                    and not entry.name.startswith(".")
                    and not entry.is_dir()
                )
        photos += found or [name]
    return photos


def run_batch(
    args: argparse.Namespace,
    work: Any,
    done: str,
    extra: Iterable[Path | None] = (),
    report: Report | None = None,
) -> int:
    """Work on all photographs, report errors, and print a summary.

    Parameters
    ----------
    args : Namespace
    work : skdefocus.cli._batch.Work
        It also has ``file``, the output that was named, or None.
    done : str
        Words for the summary: what was done to the photographs.
    extra : iterable of Path or None
        Other outputs that were named.
    report : Report or None
        Page to which the results are added.

    Returns
    -------
    int
        The exit code.
    """
    from skdefocus.cli import _batch

    if args.overwrite and args.skip_existing:
        raise UsageError("--overwrite and --skip-existing exclude each other")
    named = [path for path in (work.file, *extra) if path is not None]
    check_outputs(named, args.photos, args.overwrite or args.skip_existing)
    batch = _batch.Batch(work, args.overwrite, args.skip_existing)
    with ExitStack() as stack:
        try:
            scratch = stack.enter_context(_batch.scratch_folder(work.out))
        except OSError as error:
            raise UsageError(_batch.describe_error(error)) from None
        return _run_all(args, batch, scratch, done, report)


def _run_all(
    args: argparse.Namespace, batch: Any, scratch: Path, done: str, report: Report | None
) -> int:
    """Work on all photographs with a progress bar; return the exit code."""
    import joblib
    from tqdm import tqdm

    from skdefocus.cli import _batch

    tasks, failures = _batch.plan(args.photos, batch.work)
    for failure in failures:
        _tell(failure, report)
    silent = args.quiet or not sys.stderr.isatty()
    finished = written = skipped = 0
    stopped = ""
    with (
        warnings.catch_warnings(),
        tqdm(total=len(tasks), unit="photo", leave=False, disable=silent) as bar,
    ):
        # After a stop, joblib would warn about unfinished work.
        warnings.filterwarnings("ignore", category=UserWarning, module="joblib")
        try:
            jobs = joblib.effective_n_jobs(args.jobs)
            for result in _batch.run(_warned(tasks, batch), batch, scratch, jobs):
                finished += 1
                written += result.written
                skipped += not result.written and not result.failure
                failures += [result] if result.failure else []
                _tell(result, report)
                bar.update()
                if result.fatal:
                    stopped = "nothing more can be written"
                    break
        except Exception as error:  # errors of photographs are results, so this is another
            stopped = f"the workers failed ({_batch.describe_error(error)})"
    if stopped:
        complain(f"stopped, {len(tasks) - finished} photographs not done: {stopped}")
    if not args.quiet:
        _sum_up(f"{written} {done}", skipped, [failure.photo for failure in failures])
    return 1 if failures or stopped else 0


def _tell(result: Any, report: Report | None) -> None:
    """Print a failure, and add the result to the page."""
    from tqdm import tqdm

    if result.failure:
        with tqdm.external_write_mode(file=sys.stderr):
            complain(f"{result.photo!r}: {result.failure}")
    if report is not None:
        report.add(result)


def _warned(tasks: list[str], batch: Any) -> Any:
    """Yield photographs, after a warning about what their outputs cannot hold."""
    from tqdm import tqdm

    for photo in tasks:
        warning = batch.work.warning(photo)
        if warning:
            with tqdm.external_write_mode(file=sys.stderr):
                complain(f"{photo!r}: {warning}")
        yield photo


def _sum_up(written: str, skipped: int, failed: list[str]) -> None:
    """Print a summary."""
    parts = [written]
    if skipped:
        parts.append(f"{skipped} existed already")
    if failed:
        parts.append(f"{len(failed)} failed: {', '.join(map(repr, failed))}")
    print("; ".join(parts))
