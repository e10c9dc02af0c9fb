"""What a command has around it: signals, standard streams, what libraries print."""

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
    """A SIGTERM came, as from `kill`, `timeout` and the schedulers of clusters."""


@contextmanager
def orderly_end() -> Iterator[None]:
    """Let a SIGTERM end this as Ctrl-C does: unfinished files and workers go away."""

    def stop(*_: object) -> NoReturn:
        raise TerminatedError

    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield  # only the main thread may set it, and what a caller set stays
        return
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Leave out what Pillow and tifffile say of damaged files: what matters is raised as well."""
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def prepare_streams() -> None:
    """Make the standard streams ready for anything.

    Where one is closed, as by a shell's ``>&-``, the null device takes its place. Else the next
    file opened would have that stream's number, and what is printed would end up in it.
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
    """What could not be printed is not tried again, and complained about, at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
