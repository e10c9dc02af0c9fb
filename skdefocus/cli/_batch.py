"""Work on many photographs, one at a time, independent of the command line's arguments."""

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

from skdefocus.cli._outputs import EXISTS
from skdefocus.cli._process import quiet_decoders
from skdefocus.io import ReadError, move

#: Errors after which every further photograph would fail as well.
FATAL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


class Work(Protocol):
    """Work on a photograph; it is sent to the workers."""

    @property
    def out(self) -> Path:
        """Folder of the outputs."""

    def targets(self, photo: str) -> dict[str, Path]:
        """Return the outputs of a photograph, by kind."""

    def warning(self, photo: str) -> str:
        """Describe in one line what the outputs will lack; it is printed before the work."""

    def make(self, photo: str, files: dict[str, Path]) -> None:
        """Write outputs of some kinds to files that do not exist yet."""


@dataclass(frozen=True)
class Batch:
    """Work on many photographs, and the rule for existing files.

    Attributes
    ----------
    work : Work
    overwrite, skip_existing : bool
        Replace or keep existing files; without either, they are errors.
    """

    work: Work
    overwrite: bool = False
    skip_existing: bool = False

    def existing(self, photo: str) -> frozenset[str]:
        """Return the kinds of outputs that exist."""
        targets = self.work.targets(photo)
        return frozenset(kind for kind, target in targets.items() if os.path.lexists(target))

    def pending(self, photo: str) -> dict[str, Path]:
        """Return the outputs to write; FileExistsError if one may not be replaced."""
        targets = self.work.targets(photo)
        existing = self.existing(photo)
        if self.skip_existing:
            return {kind: target for kind, target in targets.items() if kind not in existing}
        if existing and not self.overwrite:
            name = str(next(target for kind, target in targets.items() if kind in existing))
            raise FileExistsError(errno.EEXIST, EXISTS, name)
        return targets


@dataclass(frozen=True)
class Result:
    """Result for a photograph: written, failed, or nothing had to be done."""

    photo: str
    written: bool = False
    failure: str = ""
    fatal: bool = False


def make_folder(out: Path) -> None:
    """Make a folder for outputs unless it exists."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        text = "it is not a folder; name another one to write to"
        raise NotADirectoryError(errno.ENOTDIR, text, str(out)) from None


@contextmanager
def scratch_folder(out: Path) -> Iterator[Path]:
    """Make the folder `out`, and in it one for unfinished files that is removed at the end.

    Files that a killed worker left are then removed as well.
    """
    make_folder(out)
    with tempfile.TemporaryDirectory(
        prefix=".skdefocus-", dir=out, ignore_cleanup_errors=True
    ) as name:
        yield Path(name)


def plan(photos: Sequence[str], work: Work) -> tuple[list[str], list[Result]]:
    """Return the photographs to work on, each once, and failures: outputs that would collide."""
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

    If a process dies, the photographs that were handed out are done again one by one, which shows
    which of them kills it; the others go on.
    """
    todo = iter(photos)
    given: deque[tuple[str, frozenset[str]]] = deque()

    def hand_out() -> Iterator[str]:
        """Yield photographs and note the outputs they had before."""
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
    """Work on photographs with joblib; results come in order."""
    parallel = joblib.Parallel(
        n_jobs=n_jobs, return_as="generator", batch_size=1, pre_dispatch="2*n_jobs"
    )
    call = joblib.delayed(work_on)
    return iter(parallel(call(photo, batch, scratch) for photo in photos))


def _alone(photo: str, before: frozenset[str], batch: Batch, scratch: Path, n_jobs: int) -> Result:
    """Work again on a photograph that a dead process may have finished, or partly finished."""
    refused = before and not batch.skip_existing
    again = batch if batch.overwrite or refused else replace(batch, skip_existing=True)
    try:
        (result,) = _parallel([photo], again, scratch, n_jobs)  # until it ends
    except BrokenExecutor:
        text = "its process died; if memory ran out, use fewer --jobs or a smaller photograph"
        return Result(photo, failure=text)
    finished = not result.failure and before != batch.existing(photo)
    return replace(result, written=result.written or finished)


def leave_ctrl_c_to_the_main_process() -> None:
    """Ignore SIGINT in a worker: a terminal sends it to all, but the main process ends the workers.

    Otherwise it could hit a worker between two photographs, which then prints a traceback.
    """
    in_worker = multiprocessing.current_process().name != "MainProcess"
    if in_worker and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def work_on(photo: str, batch: Batch, scratch: Path) -> Result:
    """Make the outputs of one photograph; never raise, so that the others go on."""
    leave_ctrl_c_to_the_main_process()
    try:
        targets = batch.pending(photo)
        if not targets:
            return Result(photo)
        with quiet_decoders():
            make_all(photo, targets, batch, scratch)
    except ReadError as error:
        return Result(photo, failure=str(error).removeprefix(f"cannot read {photo!r}: "))
    except Exception as error:
        return Result(
            photo, failure=describe_error(error), fatal=getattr(error, "errno", None) in FATAL
        )
    return Result(photo, written=True)


def make_all(photo: str, targets: dict[str, Path], batch: Batch, scratch: Path) -> None:
    """Make outputs; all are finished before the first gets its name."""
    # Unique names, because a killed worker may have left files. An output elsewhere is begun in its
    # own folder, because it could not be moved there from another disk.
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


def describe_error(error: Exception) -> str:
    """Describe an error in one line."""
    if isinstance(error, OSError) and error.strerror:
        if error.strerror == EXISTS:
            return f"{error.filename!r} {EXISTS}"
        return f"{error.filename!r}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, MemoryError):
        return "not enough memory; use --jobs 1 or a smaller photograph"
    text = " ".join(str(error).split())
    if isinstance(error, ValueError | TypeError | ImportError) and text:
        return text
    return f"{type(error).__name__}: {text}"
