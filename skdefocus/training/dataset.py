"""The training set: shards of scenes with known blur, made from in-focus photographs.

``python -m skdefocus.training.dataset --images DIR --out DIR --count N`` writes shards
``000000.npy`` … of records, each a crop and the level of every cell of 4 × 4 pixels. A shard
depends on its number, the photographs and the seed alone: any number of processes may make them,
a killed run continues where it stopped, and memory stays bounded. ``--patches`` writes the data
set of the paper instead: plain patches of 32 × 32 pixels with one blur each.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
from joblib import cpu_count
from numpy.typing import NDArray
from tqdm import tqdm

from skdefocus._typing import AnyArray, Float32Array
from skdefocus.training.photographs import BLOCK, View, is_validation, photographs, views
from skdefocus.training.scenes import CELL, Conditions, Pick, SceneMaker

#: Number of records in a shard; they share a photograph.
SHARD = 32
#: Number of photographs that lend a shard other surfaces.
LENDERS = 4
PATCH = 32


@dataclass(frozen=True)
class Recipe:
    """Everything that a shard depends on, apart from its number."""

    images: tuple[Path, ...]
    size: int = 256
    seed: int = 0
    conditions: Conditions = field(default_factory=Conditions)

    def facts(self) -> dict[str, Any]:
        """Facts that are stored with the shards."""
        return {
            "photographs": [p.name for p in self.images],
            "size": self.size,
            "seed": self.seed,
            "conditions": asdict(self.conditions),
        }

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(self.facts(), sort_keys=True).encode()).hexdigest()


def record_type(size: int) -> np.dtype[Any]:
    n = size // CELL
    return np.dtype([("crop", "u1", (size, size)), ("level", "u1", (n, n))])


def split(folder: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Split the photographs of a folder into those to learn from and those held out."""
    paths = photographs(folder)
    learn = tuple(p for p in paths if not is_validation(p))
    validation = tuple(p for p in paths if is_validation(p))
    if not learn or not validation:
        raise SystemExit(
            f"{folder} has {len(learn)} photographs to learn from and {len(validation)} to hold "
            "out (one in ten, by its name); both are needed, so add some"
        )
    return learn, validation


@lru_cache(maxsize=48)
def _views(path: Path, window: int, cache: Path | None) -> list[View]:
    return views(path, window, cache)


def make_shard(recipe: Recipe, number: int, cache: Path | None = None) -> AnyArray:
    """Make the records of one shard; none if its photograph is nowhere in focus."""
    rng = np.random.default_rng([recipe.seed, number])
    maker = SceneMaker(recipe.size, recipe.conditions, rng)
    turn, position = divmod(number, len(recipe.images))
    order = np.random.default_rng([recipe.seed, turn]).permutation(len(recipe.images))
    main = recipe.images[order[position]]
    lenders = [recipe.images[i] for i in rng.choice(len(recipe.images), LENDERS)]
    own = _views(main, maker.window, cache)
    if not len(own[0].places[2]):
        return np.empty(0, record_type(recipe.size))
    lent = [v for p in lenders if len((v := _views(p, maker.window, cache))[0].places[2])]
    pick = picker(own, lent or [own], maker)
    out = np.empty(SHARD, record_type(recipe.size))
    for k in range(SHARD):
        out[k] = maker.draw(pick)
    return out


def picker(own: list[View], lent: list[list[View]], maker: SceneMaker) -> Pick:
    """Make a function that draws windows of the shard's photograph or of those that lend to it."""
    rng, c, window = maker.rng, maker.c, maker.window
    shares = np.cumsum([c.textured, c.flat])

    def pick(other: bool) -> tuple[Float32Array, NDArray[np.uint16]]:
        """Draw a window and its segments, of another photograph if `other`."""
        full, half = lent[rng.integers(len(lent))] if other else own
        view = half if len(half.places[2]) and rng.random() < c.reduced else full
        corners = view.places[int(np.searchsorted(shares, rng.random(), side="right"))]
        if not len(corners):
            corners = view.places[2]
        i, j = corners[rng.integers(len(corners))] + rng.integers(0, BLOCK, 2)
        i, j = min(i, view.image.shape[0] - window), min(j, view.image.shape[1] - window)
        part = np.s_[i : i + window, j : j + window]
        return view.image[part], view.regions[part]

    return pick


def shard_path(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.npy"


def write_shard(recipe: Recipe, folder: Path, number: int) -> Path:
    """Make a shard unless it exists; it gets its name when it is complete."""
    path = shard_path(folder, number)
    if not path.exists():
        part = path.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as stream:
            np.save(stream, make_shard(recipe, number, folder))
        part.replace(path)
    return path


def prepare(recipe: Recipe, folder: Path) -> None:
    """Make the folder for shards of a recipe; refuse one that holds those of another."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = folder / "recipe.json"
    text = json.dumps(recipe.facts(), indent=1)
    if facts.exists() and facts.read_text() != text:
        raise SystemExit(f"{folder} holds shards of another recipe; choose another folder")
    facts.write_text(text)


def _work(recipe: Recipe, folder: Path, numbers: list[int], niceness: int) -> None:
    """Write the shards of given numbers while the parent process lives."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that waits for this one decides
    if hasattr(os, "nice"):
        os.nice(niceness)
    parent = multiprocessing.parent_process()
    for number in numbers:
        if parent is not None and not parent.is_alive():
            return
        write_shard(recipe, folder, number)


class Makers:
    """Processes that write the missing shards; the context ends them.

    Parameters
    ----------
    recipe : Recipe
    folder : path
    count : int
        Number of shards.
    jobs : int
        Number of processes, which take turns by the shards' numbers.
    niceness : int
        Niceness of these processes, so that they yield to the one that waits for them.
    """

    def __init__(
        self, recipe: Recipe, folder: Path, count: int, jobs: int, niceness: int = 0
    ) -> None:
        prepare(recipe, folder)
        self.folder, self.count = folder, count
        numbers = [n for n in range(count) if not shard_path(folder, n).exists()]
        context = multiprocessing.get_context("spawn")
        self.workers = [
            context.Process(
                target=_work, args=(recipe, folder, numbers[k::jobs], niceness), daemon=True
            )
            for k in range(min(jobs, len(numbers)))
        ]

    def __enter__(self) -> Self:
        for worker in self.workers:
            worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.terminate()
            worker.join()
            for part in self.folder.glob(f"*.{worker.pid}.part"):
                part.unlink()

    @property
    def working(self) -> bool:
        """True while any of the processes runs."""
        return any(worker.is_alive() for worker in self.workers)

    def check(self) -> None:
        """Raise if a worker has failed."""
        if any(worker.exitcode for worker in self.workers):
            raise RuntimeError("a process that makes scenes has failed; see its error above")

    def wait(self) -> None:
        """Wait for all shards, with a progress bar."""
        with tqdm(total=self.count, unit="shard") as bar:
            working = True
            while working:
                working = self.working
                made = sum(shard_path(self.folder, n).exists() for n in range(self.count))
                bar.update(made - bar.n)
                self.check()
                time.sleep(0.2 * working)


def read_shards(folder: Path) -> Iterator[AnyArray]:
    for path in sorted(folder.glob("[0-9]*.npy")):
        yield np.load(path)


def plain(conditions: Conditions) -> Conditions:
    """Change conditions to one uniform blur per crop, as in the paper."""
    return replace(
        conditions, outline=0, layers=0, plane=0, wide=0, highlights=0, lamps=0, enlarged=0
    )


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=100_000, help="crops")
    parser.add_argument("--size", type=int, default=256, help="side of a crop in pixels")
    parser.add_argument("--patches", action="store_true", help="plain patches of 32 x 32 pixels")
    parser.add_argument("--held-out", action="store_true", help="use the held-out photographs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=cpu_count())
    shares = parser.add_argument_group("shares of the scenes to which these happen")
    for name, share in asdict(Conditions()).items():
        shares.add_argument(f"--{name.replace('_', '-')}", type=float, default=share)
    args = parser.parse_args()
    conditions = Conditions(**{name: getattr(args, name) for name in asdict(Conditions())})
    size = args.size
    if args.patches:
        conditions, size = plain(conditions), PATCH
    learn, validation = split(args.images)
    recipe = Recipe(validation if args.held_out else learn, size, args.seed, conditions)
    with Makers(recipe, args.out, -(-args.count // SHARD), args.jobs) as makers:
        makers.wait()


if __name__ == "__main__":
    # Workers unpickle functions by their module's name, which must not be "__main__".
    from skdefocus.training import dataset

    dataset.main()
