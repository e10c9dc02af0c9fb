"""Random batches of the finished shards, prepared by a thread while the device works."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from skdefocus._typing import AnyArray, UInt8Array
from skdefocus.training.dataset import SHARD
from skdefocus.training.scenes import CELL, TENTHS

#: Number of batches that are kept ready, and seconds between two looks for new shards.
READY, LOOK = 6, 5.0
#: A file of this many bytes or fewer is an empty shard.
EMPTY = 4096


class Shape(NamedTuple):
    """Number of a batch's crops, their side, and whether each is seen without its surroundings."""

    count: int
    size: int
    alone: bool = False


class Pool:
    """The latest shards of a folder, in memory, to draw random batches from.

    Parameters
    ----------
    folder : path
    largest : int
        Number of records that are kept.

    Attributes
    ----------
    seen : int
        Number of records in all shards so far, those that are no longer kept included.
    """

    def __init__(self, folder: Path, largest: int) -> None:
        self.folder, self.largest = folder, max(1, largest // SHARD)
        self.shards: list[AnyArray] = []
        self.names: set[str] = set()
        self.seen = 0

    def look(self) -> None:
        """Load the shards that have appeared."""
        new = sorted({p.name for p in self.folder.glob("[0-9]*.npy")} - self.names)
        self.names.update(new)
        full = [name for name in new if (self.folder / name).stat().st_size > EMPTY]
        self.seen += SHARD * len(full)
        for name in full[-self.largest :]:
            self.shards.append(np.load(self.folder / name))
            del self.shards[: -self.largest]

    def __len__(self) -> int:
        return len(self.shards) * SHARD

    def batch(self, shape: Shape, rng: np.random.Generator) -> tuple[UInt8Array, UInt8Array]:
        """Draw crops, randomly flipped and transposed, with their levels.

        Crops that are alone get mirrored surroundings, as a patch has that comes by itself.
        """
        count, size, alone = shape
        crops = np.empty((count, size, size), np.uint8)
        levels = np.empty((count, size // CELL, size // CELL), np.uint8)
        for k, n in enumerate(rng.integers(0, len(self), count)):
            record = self.shards[n // SHARD][n % SHARD]
            crop, level = record["crop"], record["level"]
            i, j = rng.integers(0, (crop.shape[0] - size) // CELL + 1, 2)
            crop = crop[i * CELL : i * CELL + size, j * CELL : j * CELL + size]
            level = level[i : i + size // CELL, j : j + size // CELL]
            turn = int(rng.integers(8))
            crops[k], levels[k] = turned(crop, turn), turned(level, turn)
        return (surrounded(crops), surrounded(levels)) if alone else (crops, levels)


def surrounded(x: UInt8Array) -> UInt8Array:
    """Mirror each of a number of squares into its surroundings, of three times its side."""
    around = ((0, 0), (x.shape[1],) * 2, (x.shape[2],) * 2)
    return np.pad(x, around, mode="symmetric")


def turned(x: AnyArray, turn: int) -> AnyArray:
    """Apply one of the eight flips and turns of a square."""
    x = x[::-1] if turn & 1 else x
    x = x[:, ::-1] if turn & 2 else x
    return x.T if turn & 4 else x


def tensors(crops: Tensor, levels: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Convert bytes to gray values (N, 1, H, W) in [0, 1] and levels (N, h, w), on the device."""
    x = crops.to(device, non_blocking=True)[:, None].float() / 255
    y = levels.to(device, non_blocking=True).float() / TENTHS
    return x.contiguous(memory_format=torch.channels_last), y


def in_parts(
    records: AnyArray, device: torch.device, count: int = 16
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield records as tensors on the device, `count` at a time; the last may be fewer."""
    for start in range(0, len(records), count):
        part = records[start : start + count]
        yield tensors(*(torch.from_numpy(part[k].copy()) for k in ("crop", "level")), device)


class Feeder:
    """A thread that keeps batches of a pool ready; `next` returns one.

    Parameters
    ----------
    pool : Pool
        It belongs to the thread from now on.
    shape_of : callable
        Shape of the n-th batch.
    rng : Generator
    pinned : bool
        Whether batches lie in memory that a GPU can fetch by itself.
    """

    def __init__(
        self,
        pool: Pool,
        shape_of: Callable[[int], Shape],
        rng: np.random.Generator,
        pinned: bool,
    ) -> None:
        self.pool, self.shape_of, self.rng, self.pinned = pool, shape_of, rng, pinned
        self.ready: queue.Queue[tuple[Tensor, Tensor] | Exception] = queue.Queue(READY)
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._fill, daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        while self.thread.is_alive():
            with suppress(queue.Empty):
                self.ready.get(timeout=0.05)

    def next(self) -> tuple[Tensor, Tensor]:
        """Wait for a batch; raise the error of the thread if there is one."""
        found = self.ready.get()
        if isinstance(found, Exception):
            raise found
        return found

    def _fill(self) -> None:
        """Put batches into the queue until asked to stop."""
        number, looked = 0, time.monotonic()
        try:
            while not self.stopping.is_set():
                if time.monotonic() - looked > LOOK:
                    self.pool.look()
                    looked = time.monotonic()
                pair = self.pool.batch(self.shape_of(number), self.rng)
                crops, levels = map(torch.from_numpy, pair)
                if self.pinned:
                    crops, levels = crops.pin_memory(), levels.pin_memory()
                self.ready.put((crops, levels))
                number += 1
        except Exception as error:  # raised again where batches are asked for
            self.ready.put(error)
