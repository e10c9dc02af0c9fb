"""Threads that share the pieces of one image, and the buffers that they keep."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from skdefocus._typing import FloatArray
from skdefocus._validation import check_int

#: Below so many pixels one thread is as fast as two: handing over takes longer than it saves.
SMALL = 5 * 10**5


def workers(n_threads: int, planes: FloatArray) -> int:
    """How many threads to use for (H, W, C)."""
    n_threads = check_int(n_threads, "n_threads", 1)
    return n_threads if planes.shape[0] * planes.shape[1] >= SMALL else 1


class Scratch:
    """One worker's buffers, kept from piece to piece."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, np.dtype[Any]], FloatArray] = {}

    def __call__(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> FloatArray:
        """Give an array with any content; the same memory for the same name and dtype."""
        size, key = math.prod(shape), (name, np.dtype(dtype))
        held = self._held.get(key)
        if held is None or held.size < size:
            held = self._held[key] = np.empty(size, dtype)
        return held[:size].reshape(shape)


#: Workers' buffers that wait for the next filter: fresh memory costs more than the sums.
_spare: list[Scratch] = []

#: As many are kept, of some megabytes each.
SPARE = 4

#: Likewise for whole planes of small images: one, and its bytes at most.
spare_planes: list[Scratch] = []

SPARE_BYTES = 1 << 25


@contextmanager
def borrowed(spare: list[Scratch], most: int) -> Iterator[Scratch]:
    """Take buffers from those that are spare, or new ones; leave them there if there is room."""
    try:
        scratch = spare.pop()
    except IndexError:
        scratch = Scratch()
    yield scratch
    if len(spare) < most:
        spare.append(scratch)


class Crew:
    """Workers that share pieces of work; as a context, their threads live as long as it.

    Parameters
    ----------
    n_threads : int
        How many, the caller's thread included.
    """

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def share(self, work: Callable[[Any, Scratch], None], pieces: Sequence[Any]) -> None:
        """Call ``work(piece, scratch)`` for each piece."""
        todo = iter(pieces)

        def worker() -> None:
            with borrowed(_spare, SPARE) as scratch:
                for piece in todo:
                    work(piece, scratch)

        others = min(self.n_threads, len(pieces)) - 1
        if others > 0 and self._pool is None:
            self._pool = ThreadPoolExecutor(self.n_threads - 1)
        running = [self._pool.submit(worker) for _ in range(others)] if self._pool else []
        worker()
        for other in running:
            other.result()


def spans(n: int, size: int) -> list[tuple[int, int]]:
    """Cut ``range(n)`` into equal pieces of at most `size`, as many as `even` says."""
    size = -(-n // even(-(-n // size)))
    return [(i, min(i + size, n)) for i in range(0, n, size)]


def even(pieces: int) -> int:
    """Give a number of pieces that two workers can share evenly; a single one stays."""
    return pieces + pieces % 2 if pieces > 1 else 1
