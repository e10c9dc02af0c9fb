"""Threads that share the work on one image, and buffers that are used again."""

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

#: On images with fewer pixels, one thread is as fast as two: handing over costs what it saves.
SMALL = 5 * 10**5


def effective_threads(n_threads: int, planes: FloatArray) -> int:
    """Return how many threads to use on an image (H, W, C)."""
    n_threads = check_int(n_threads, "n_threads", 1)
    return n_threads if planes.shape[0] * planes.shape[1] >= SMALL else 1


class Scratch:
    """Named buffers that one worker uses for one piece of work after another."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, np.dtype[Any]], FloatArray] = {}

    def __call__(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> FloatArray:
        """Return an uninitialized array; equal names and dtypes share memory."""
        size, key = math.prod(shape), (name, np.dtype(dtype))
        buffer = self._buffers.get(key)
        if buffer is None or buffer.size < size:
            buffer = self._buffers[key] = np.empty(size, dtype)
        return buffer[:size].reshape(shape)


#: Buffers of workers, kept for the next filter: fresh memory costs more than the sums.
_spare: list[Scratch] = []

#: How many of these are kept, at some megabytes each.
MAX_SPARE = 4

#: Buffers for all planes of a small image, of which one is kept.
spare_planes: list[Scratch] = []

#: Size up to which the planes of an image count as small.
MAX_SPARE_BYTES = 1 << 25


@contextmanager
def borrow(spare: list[Scratch], limit: int) -> Iterator[Scratch]:
    """Take spare buffers, or new ones, and return them unless there are `limit` already."""
    try:
        scratch = spare.pop()
    except IndexError:
        scratch = Scratch()
    yield scratch
    if len(spare) < limit:
        spare.append(scratch)


class WorkerPool:
    """Threads that share pieces of work; they end with the pool's ``with`` block.

    Parameters
    ----------
    n_threads : int
        Number of threads, including the caller's.
    """

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        self._executor: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._executor is not None:
            self._executor.shutdown()

    def run(self, work: Callable[[Any, Scratch], None], pieces: Sequence[Any]) -> None:
        """Call ``work(piece, scratch)`` for each piece."""
        queue = iter(pieces)

        def worker() -> None:
            with borrow(_spare, MAX_SPARE) as scratch:
                for piece in queue:
                    work(piece, scratch)

        others = min(self.n_threads, len(pieces)) - 1
        if others > 0 and self._executor is None:
            self._executor = ThreadPoolExecutor(self.n_threads - 1)
        running = [self._executor.submit(worker) for _ in range(others)] if self._executor else []
        worker()
        for other in running:
            other.result()


def split_range(n: int, size: int) -> list[tuple[int, int]]:
    """Cut ``range(n)`` into a balanced number of equal pieces of at most `size`."""
    size = -(-n // balanced(-(-n // size)))
    return [(i, min(i + size, n)) for i in range(0, n, size)]


def balanced(count: int) -> int:
    """Round a number of pieces up so that two workers get the same number; 1 stays 1."""
    return count + count % 2 if count > 1 else 1
