"""Surroundings of a command: signals, standard streams, and messages of libraries."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


class TerminatedError(BaseException):
    """Error on SIGTERM, which `kill`, `timeout` and the schedulers of clusters send."""


@contextmanager
def orderly_end() -> Iterator[None]:
    """Handle SIGTERM like Ctrl-C, so that unfinished files and workers are removed."""

    def stop(*_: object) -> NoReturn:
        raise TerminatedError

    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield  # only the main thread may set it; a caller's handler stays
        return
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Suppress warnings of Pillow and tifffile about damaged files; real problems raise errors."""
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def prepare_streams() -> None:
    """Make the standard streams ready for anything.

    A closed one, as by a shell's ``>&-``, is replaced by the null device. Otherwise the next file
    to be opened would get its number, and printed text would end up in that file.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            file = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(file, True)  # for the workers as well
            setattr(sys, name, os.fdopen(file, mode, encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):  # not every terminal can show a σ
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def forget_output() -> None:
    """Discard text that could not be printed, so that it causes no error at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
