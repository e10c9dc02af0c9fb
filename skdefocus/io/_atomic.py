"""Files that are written completely or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skdefocus._typing import StrPath

#: Errors of file systems that do not support fsync.
CANNOT_FLUSH = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}


@contextmanager
def atomic_path(path: StrPath, overwrite: bool = False) -> Iterator[Path]:
    """Write a file completely or not at all.

    Parameters
    ----------
    path : str or path
        Path of the file. Its folder must exist.
    overwrite : bool, default=False
        Replace an existing file.

    Yields
    ------
    Path
        An empty temporary file in the same folder, with the same suffix. When the block ends it is
        renamed to `path`; when it raises, it is removed and `path` is as it was. A reader never
        sees half a file, and of two processes without `overwrite` only one succeeds.

    Raises
    ------
    FileExistsError
        If `path` exists and `overwrite` is False; before the block, or after it if another process
        was faster.
    OSError
        If the folder cannot be written to.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> with atomic_path(folder / "note.txt") as temporary:
    ...     _ = temporary.write_text("whole")
    >>> [p.name for p in folder.iterdir()]
    ['note.txt']
    """
    target = Path(path)
    if not overwrite:
        _refuse_existing(target)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder", str(target))
    temporary = target.with_name(f".{secrets.token_hex(6)}.tmp{target.suffix}")
    with _named(target):
        # Not tempfile: it makes files that only their owner may read.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield temporary
        move(temporary, target, overwrite)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _named(target: Path) -> Iterator[None]:
    """Make errors name the target and not the temporary file."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error


def move(temporary: Path, target: Path, overwrite: bool = False) -> None:
    """Give a finished file its name in one step; FileExistsError if that is taken.

    The file is flushed to the disk before it gets its name. Otherwise a power cut could leave an
    empty file of that name, which a resumed batch would take for done. Some file systems also
    report only then that they are full.
    """
    with _named(target):
        _flush(temporary)
        if overwrite:
            os.replace(temporary, target)
            return
        try:
            os.link(temporary, target)  # unlike a rename, fails if the target is there
            temporary.unlink()
        except FileExistsError:
            _refuse_existing(target)
            raise
        except OSError:  # a file system without hard links
            _refuse_existing(target)
            os.replace(temporary, target)


def _flush(path: Path) -> None:
    """Flush a file to the disk, where the file system can."""
    file = os.open(path, os.O_RDWR)
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in CANNOT_FLUSH:
            raise
    finally:
        os.close(file)


def _refuse_existing(target: Path) -> None:
    """Raise FileExistsError if a file exists."""
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "exists; set overwrite to replace it", str(target))
