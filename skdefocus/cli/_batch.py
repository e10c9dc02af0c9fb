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
from typing import Protocol

import joblib

from skdefocus.cli._process import quiet_decoders
from skdefocus.io import ReadError, move

#: After these every further photograph would fail as well.
FATAL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


class Work(Protocol):
    """What is done with a photograph; travels to the workers."""

    @property
    def out(self) -> Path:
        """Folder of the outputs."""

    def targets(self, photo: str) -> dict[str, Path]:
        """Outputs of a photograph, by kind."""

    def warning(self, photo: str) -> str:
        """What of a photograph its outputs will lack, in one line; told before the work."""

    def make(self, photo: str, files: dict[str, Path]) -> None:
        """Write the outputs of some kinds to files that are not there yet."""


@dataclass(frozen=True)
class Batch:
    """Work on many photographs, and what happens to files that are there.

    Attributes
    ----------
    work : Work
    overwrite, skip_existing : bool
        They are replaced, or left alone; an error if neither.
    """

    work: Work
    overwrite: bool = False
    skip_existing: bool = False

    def existing(self, photo: str) -> frozenset[str]:
        """Kinds of output that are there."""
        targets = self.work.targets(photo)
        return frozenset(kind for kind, target in targets.items() if os.path.lexists(target))

    def missing(self, photo: str) -> dict[str, Path]:
        """Outputs to be written; FileExistsError if one may not be replaced."""
        targets = self.work.targets(photo)
        existing = self.existing(photo)
        if self.skip_existing:
            return {kind: target for kind, target in targets.items() if kind not in existing}
        if existing and not self.overwrite:
            name = str(next(target for kind, target in targets.items() if kind in existing))
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


def plan(photos: Sequence[str], work: Work) -> tuple[list[str], list[Result]]:
    """Photographs to work on, each once, and failures: outputs that would hit something else."""
    tasks: list[str] = []
    failures: list[Result] = []
    owners: dict[str, str] = {}
    inputs = {os.path.realpath(photo) for photo in photos}
    for photo in photos:
        targets = list(work.targets(photo).values())
        name = os.path.normcase(targets[0])
        hit = [target for target in targets if os.path.realpath(target) in inputs]
        if owner := owners.get(name):
            if os.path.abspath(owner) != os.path.abspath(photo):
                text = f"its outputs would have the names of those of {owner!r}; use another --out"
                failures.append(Result(photo, failure=text))
        elif hit:
            text = f"its output {str(hit[0])!r} is also an input; use another --out"
            failures.append(Result(photo, failure=text))
        else:
            owners[name] = photo
            tasks.append(photo)
    return tasks, failures


def run(photos: Iterable[str], batch: Batch, scratch: Path, n_jobs: int) -> Iterator[Result]:
    """Work on photographs in parallel; results come in order, and memory does not grow.

    When a process dies, the photographs that were handed out are done again, each alone, so that
    it shows which of them it dies of; the others go on.
    """
    todo = iter(photos)
    given: deque[tuple[str, frozenset[str]]] = deque()

    def hand_out() -> Iterator[str]:
        for photo in todo:
            given.append((photo, batch.existing(photo)))
            yield photo

    while True:
        try:
            for result in _parallel(hand_out(), batch, scratch, n_jobs):
                given.popleft()
                yield result
            return
        except BrokenExecutor:
            while given:
                yield _alone(*given.popleft(), batch, scratch, n_jobs)


def _parallel(photos: Iterable[str], batch: Batch, scratch: Path, n_jobs: int) -> Iterator[Result]:
    parallel = joblib.Parallel(
        n_jobs=n_jobs, return_as="generator", batch_size=1, pre_dispatch="2*n_jobs"
    )
    call = joblib.delayed(work_on)
    return iter(parallel(call(photo, batch, scratch) for photo in photos))


def _alone(photo: str, before: frozenset[str], batch: Batch, scratch: Path, n_jobs: int) -> Result:
    """Work on a photograph that a process has had in hand, which may have finished it or a part."""
    refused = before and not batch.skip_existing
    again = batch if batch.overwrite or refused else replace(batch, skip_existing=True)
    try:
        (result,) = _parallel([photo], again, scratch, n_jobs)  # to its end
    except BrokenExecutor:
        text = "its process died; if of want of memory, use fewer --jobs or a smaller photograph"
        return Result(photo, failure=text)
    finished = not result.failure and before != batch.existing(photo)
    return replace(result, written=result.written or finished)


def leave_ctrl_c_to_the_main_process() -> None:
    """In a worker, ignore SIGINT, which a terminal sends to all: the main process ends the workers.

    Else it may hit a worker between two photographs, which then prints a traceback.
    """
    in_worker = multiprocessing.current_process().name != "MainProcess"
    if in_worker and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def work_on(photo: str, batch: Batch, scratch: Path) -> Result:
    """Make the outputs of one photograph; never raises, because the others are to go on."""
    leave_ctrl_c_to_the_main_process()
    try:
        missing = batch.missing(photo)
        if not missing:
            return Result(photo)
        with quiet_decoders():
            make_all(photo, missing, batch, scratch)
    except ReadError as error:
        return Result(photo, failure=str(error).removeprefix(f"cannot read {photo!r}: "))
    except Exception as error:
        return Result(photo, failure=say(error), fatal=getattr(error, "errno", None) in FATAL)
    return Result(photo, written=True)


def make_all(photo: str, targets: dict[str, Path], batch: Batch, scratch: Path) -> None:
    """Make outputs; all of them are finished before the first gets its name."""
    # Of a name of its own: what a killed worker left may be there. An output elsewhere is begun
    # beside its place, as it could not be moved there from another disk.
    unfinished = {
        kind: (scratch if target.parent == batch.work.out else target.parent)
        / f".{secrets.token_hex(8)}{target.suffix}"
        for kind, target in targets.items()
    }
    try:
        batch.work.make(photo, unfinished)
        for kind, target in targets.items():
            # Another process may have been faster.
            with suppress(FileExistsError) if batch.skip_existing else nullcontext():
                move(unfinished[kind], target, batch.overwrite)
    finally:
        for path in unfinished.values():
            path.unlink(missing_ok=True)


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
