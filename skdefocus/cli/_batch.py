"""What the command line does with photographs, one at a time; knows nothing of arguments."""

from __future__ import annotations

import errno
import multiprocessing
import os
import secrets
import signal
import tempfile
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

from skdefocus.cli._process import quiet_decoders
from skdefocus.io import MAX_PIXELS, ReadError, move, read_image, write_map, write_scaled_png

#: After these every further photograph would fail as well.
FATAL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


@dataclass(frozen=True)
class Options:
    """Where the outputs go and which they are.

    Attributes
    ----------
    out : Path
        Folder of the outputs; it exists.
    suffix : str
        ``".tif"`` or ``".npy"``, of the map in float32.
    picture : bool
        Whether there is an overview picture.
    overwrite, skip_existing : bool
        What happens to files that are there: replaced, or left alone; an error if neither.
    max_pixels : int
        See :func:`skdefocus.io.read_image`.
    """

    out: Path
    suffix: str = ".tif"
    picture: bool = True
    overwrite: bool = False
    skip_existing: bool = False
    max_pixels: int = MAX_PIXELS

    def targets(self, photo: str) -> dict[str, Path]:
        """Outputs of a photograph, by kind."""
        stem = Path(photo).stem
        names = {"map": f"{stem}_sigma{self.suffix}", "png": f"{stem}_sigma.png"}
        if self.picture:
            names["picture"] = f"{stem}_overview.png"
        return {kind: self.out / name for kind, name in names.items()}

    def there(self, photo: str) -> frozenset[str]:
        """Kinds of output that exist."""
        targets = self.targets(photo)
        return frozenset(kind for kind, target in targets.items() if os.path.lexists(target))

    def missing(self, photo: str) -> dict[str, Path]:
        """Those to be written; FileExistsError if one may not be replaced."""
        targets = self.targets(photo)
        there = self.there(photo)
        if self.skip_existing:
            return {kind: target for kind, target in targets.items() if kind not in there}
        if there and not self.overwrite:
            name = str(next(target for kind, target in targets.items() if kind in there))
            raise FileExistsError(errno.EEXIST, "exists, and --overwrite was not given", name)
        return targets


@dataclass(frozen=True)
class Result:
    """What became of a photograph: written, failed, or nothing had to be done."""

    photo: str
    written: bool = False
    failure: str = ""
    fatal: bool = False


def make_folder(out: Path) -> None:
    """Make a folder for outputs, if it is missing."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        text = "it is no folder; name another one to write to"
        raise NotADirectoryError(errno.ENOTDIR, text, str(out)) from None


@contextmanager
def scratch_folder(out: Path) -> Iterator[Path]:
    """Make the folder `out`, and one in it for unfinished files that goes away at the end.

    It also takes along what a worker left that was killed.
    """
    make_folder(out)
    with tempfile.TemporaryDirectory(
        prefix=".skdefocus-", dir=out, ignore_cleanup_errors=True
    ) as name:
        yield Path(name)


def plan(photos: Sequence[str], options: Options) -> tuple[list[str], list[Result]]:
    """Photographs to work on, each once, and failures: outputs that would hit something else."""
    tasks: list[str] = []
    failures: list[Result] = []
    owners: dict[str, str] = {}
    inputs = {os.path.realpath(photo) for photo in photos}
    for photo in photos:
        stem = os.path.normcase(Path(photo).stem)
        targets = options.targets(photo).values()
        hit = [target for target in targets if os.path.realpath(target) in inputs]
        if owner := owners.get(stem):
            if os.path.abspath(owner) != os.path.abspath(photo):
                text = f"its outputs would have the names of those of {owner!r}; use another --out"
                failures.append(Result(photo, failure=text))
        elif hit:
            text = f"its output {str(hit[0])!r} is also an input; use another --out"
            failures.append(Result(photo, failure=text))
        else:
            owners[stem] = photo
            tasks.append(photo)
    return tasks, failures


def run(
    photos: Iterable[str], pipeline: Any, scratch: Path, options: Options, n_jobs: int
) -> Iterator[Result]:
    """Map photographs in parallel; results come in order, and memory does not grow.

    When a process dies, the photographs that were handed out are done again, each alone, so that
    it shows which of them it dies of; the others go on.
    """
    todo = iter(photos)
    given: deque[tuple[str, frozenset[str]]] = deque()

    def hand_out() -> Iterator[str]:
        for photo in todo:
            given.append((photo, options.there(photo)))
            yield photo

    while True:
        try:
            for result in _parallel(hand_out(), pipeline, scratch, options, n_jobs):
                given.popleft()
                yield result
            return
        except BrokenExecutor:
            while given:
                yield _map_alone(*given.popleft(), pipeline, scratch, options, n_jobs)


def _parallel(
    photos: Iterable[str], pipeline: Any, scratch: Path, options: Options, n_jobs: int
) -> Iterator[Result]:
    parallel = joblib.Parallel(
        n_jobs=n_jobs, return_as="generator", batch_size=1, pre_dispatch="2*n_jobs"
    )
    work = joblib.delayed(map_file)
    return iter(parallel(work(photo, pipeline, scratch, options) for photo in photos))


def _map_alone(
    photo: str, before: frozenset[str], pipeline: Any, scratch: Path, options: Options, n_jobs: int
) -> Result:
    """Map a photograph that a process has had in hand, which may have finished it or a part."""
    refused = before and not options.skip_existing
    again = options if options.overwrite or refused else replace(options, skip_existing=True)
    try:
        (result,) = _parallel([photo], pipeline, scratch, again, n_jobs)  # to its end
    except BrokenExecutor:
        text = "its process died; if of want of memory, use fewer --jobs or a smaller photograph"
        return Result(photo, failure=text)
    finished = not result.failure and before != options.there(photo)
    return replace(result, written=result.written or finished)


def leave_ctrl_c_to_the_main_process() -> None:
    """In a worker, ignore SIGINT, which a terminal sends to all: the main process ends the workers.

    Else it may hit a worker between two photographs, which then prints a traceback.
    """
    in_worker = multiprocessing.current_process().name != "MainProcess"
    if in_worker and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def map_file(photo: str, pipeline: Any, scratch: Path, options: Options) -> Result:
    """Map one file; never raises, because the others are to go on."""
    leave_ctrl_c_to_the_main_process()
    try:
        missing = options.missing(photo)
        if not missing:
            return Result(photo)
        with quiet_decoders():
            image = read_image(photo, max_pixels=options.max_pixels, mapped=True)
        map_image(image, missing, pipeline, scratch, options.overwrite, options.skip_existing)
    except ReadError as error:
        return Result(photo, failure=str(error).removeprefix(f"cannot read {photo!r}: "))
    except Exception as error:
        return Result(photo, failure=say(error), fatal=getattr(error, "errno", None) in FATAL)
    return Result(photo, written=True)


def map_image(
    image: NDArray[Any],
    targets: dict[str, Path],
    pipeline: Any,
    scratch: Path,
    overwrite: bool,
    skip_existing: bool = False,
) -> NDArray[np.float32]:
    """Map one photograph; all its files are finished before the first gets its name."""
    levels = pipeline[:-1].transform([image])
    sigma: NDArray[np.float32] = pipeline[-1].transform(levels)[0]
    # Of a name of its own: what a killed worker left may be there.
    unfinished = {
        kind: scratch / f"{secrets.token_hex(8)}{target.suffix}" for kind, target in targets.items()
    }
    try:
        if "map" in targets:
            write_map(unfinished["map"], sigma)
        if "png" in targets:
            write_scaled_png(unfinished["png"], sigma)
        if "picture" in targets:
            from skdefocus.plotting import overview

            figure = overview(levels[0].image, sigma, levels[0].confidence)
            figure.savefig(unfinished["picture"])
        for kind, target in targets.items():
            # Another process may have been faster.
            with suppress(FileExistsError) if skip_existing else nullcontext():
                move(unfinished[kind], target, overwrite)
    finally:
        for path in unfinished.values():
            path.unlink(missing_ok=True)
    return sigma


def say(error: Exception) -> str:
    """One line for an error."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename!r}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, MemoryError):
        return "not enough memory; use --jobs 1 or a smaller photograph"
    text = " ".join(str(error).split())
    if isinstance(error, ValueError | TypeError | ImportError) and text:
        return text
    return f"{type(error).__name__}: {text}"
