"""Train a network within a budget of minutes, on scenes that are made meanwhile.

``python -m skdefocus.training.train --images DIR --out DIR --minutes 8`` starts processes that make
scenes, trains on those that are there, and writes ``checkpoint.pt`` as it goes (a killed run goes
on from it) and ``log.csv`` with the error on photographs held out.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from skdefocus.training import dataset
from skdefocus.training.levels import N_LEVELS, sigma_of_level
from skdefocus.training.losses import LOSSES
from skdefocus.training.networks import NETWORKS
from skdefocus.training.scenes import CELL, TENTHS


@dataclass(frozen=True)
class Config:
    """Settings of a run.

    Attributes
    ----------
    minutes : float
        Of training, those of runs before an interruption included.
    small : float
        Share of the minutes that trains on quarters of crops, four times as many: more scenes a
        minute, with less around them.
    batch : int
        Crops per step.
    rate : float
        Highest learning rate.
    scenes : int
        Number of crops to be made at most.
    pool : int
        Crops kept in memory (74 kB each), the latest.
    makers : int
        Processes that make scenes.
    """

    network: str = "mobilenetv2"
    minutes: float = 8.0
    small: float = 0.4
    batch: int = 8
    rate: float = 1.5e-3
    loss: str = "cross_entropy"
    scenes: int = 1_000_000
    pool: int = 60_000
    makers: int = 2
    size: int = 256
    seed: int = 0
    threads: int = 1
    checkpoint: float = 5.0
    checked: int = 512


class Pool:
    """The latest shards, and random batches of them."""

    def __init__(self, folder: Path, largest: int) -> None:
        self.folder, self.largest = folder, largest // dataset.SHARD
        self.shards: list[NDArray[Any]] = []
        self.names: set[str] = set()

    def look(self) -> None:
        """Take up shards that have appeared."""
        new = sorted({p.name for p in self.folder.glob("[0-9]*.npy")} - self.names)
        for name in new[-self.largest :]:
            shard = np.load(self.folder / name)
            if len(shard):
                self.shards.append(shard)
        self.names.update(new)
        self.shards = self.shards[-self.largest :]

    def __len__(self) -> int:
        return len(self.shards) * dataset.SHARD

    def batch(
        self, count: int, size: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Random crops of `size` pixels, flipped and transposed, and their cells' levels."""
        crops = np.empty((count, size, size), np.uint8)
        levels = np.empty((count, size // CELL, size // CELL), np.uint8)
        for k, n in enumerate(rng.integers(0, len(self), count)):
            record = self.shards[n // dataset.SHARD][n % dataset.SHARD]
            crop, level = record["crop"], record["level"]
            i, j = rng.integers(0, (crop.shape[0] - size) // CELL + 1, 2)
            crop = crop[i * CELL : i * CELL + size, j * CELL : j * CELL + size]
            level = level[i : i + size // CELL, j : j + size // CELL]
            turn = int(rng.integers(8))
            crops[k], levels[k] = turned(crop, turn), turned(level, turn)
        return crops, levels


def turned(x: NDArray[Any], turn: int) -> NDArray[Any]:
    """One of the eight flips and turns of a square."""
    x = x[::-1] if turn & 1 else x
    x = x[:, ::-1] if turn & 2 else x
    return x.T if turn & 4 else x


def tensors(
    crops: NDArray[np.uint8], levels: NDArray[np.uint8], device: torch.device
) -> tuple[Tensor, Tensor]:
    x = torch.from_numpy(crops).to(device)[:, None].float() / 255
    y = torch.from_numpy(levels).to(device).float() / TENTHS
    return x.contiguous(memory_format=torch.channels_last), y


class Run:
    """The state of a training: network, its running average, optimizer and time spent."""

    def __init__(self, config: Config, out: Path) -> None:
        self.config, self.out = config, out
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(config.seed)
        self.net = NETWORKS[config.network]().to(self.device, memory_format=torch.channels_last)
        matrices = [p for p in self.net.parameters() if p.ndim > 1]
        rest = [p for p in self.net.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": 0.02}, {"params": rest, "weight_decay": 0.0}],
            lr=config.rate,
        )
        self.average = NETWORKS[config.network]().to(self.device)
        self.average.load_state_dict(self.net.state_dict())
        self.average.eval()
        self.step = 0
        self.crops = 0.0
        self.seconds = 0.0

    @property
    def path(self) -> Path:
        return self.out / "checkpoint.pt"

    def restore(self) -> None:
        """Go on from the checkpoint, if there is one."""
        if self.path.exists():
            saved = torch.load(self.path, map_location=self.device, weights_only=True)
            for key in ("net", "average", "optimizer"):
                getattr(self, key).load_state_dict(saved[key])
            self.step, self.crops, self.seconds = saved["step"], saved["crops"], saved["seconds"]

    def checkpoint(self) -> None:
        part = self.path.with_suffix(".part")
        state = {k: getattr(self, k).state_dict() for k in ("net", "average", "optimizer")}
        state |= {k: getattr(self, k) for k in ("step", "crops", "seconds")}
        torch.save(state | {"config": asdict(self.config)}, part)
        part.replace(self.path)

    @property
    def done(self) -> float:
        """Share of the budget that is spent."""
        return min(1.0, self.seconds / (60 * self.config.minutes))

    def rate(self) -> float:
        """Learning rate: a short rise, then half a cosine down to zero at the end."""
        warm = min(1.0, (self.step + 1) / 300)
        return self.config.rate * warm * (0.5 * (1 + math.cos(math.pi * self.done)) + 1e-3)

    def advance(self, crops: NDArray[np.uint8], levels: NDArray[np.uint8]) -> Tensor:
        """One step of the optimizer."""
        x, y = tensors(crops, levels, self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        with torch.autocast(self.device.type, torch.bfloat16):
            logits = self.net(x)
        loss = LOSSES[self.config.loss](logits.float(), y)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 2.0)
        self.optimizer.step()
        self.step += 1
        self.crops += len(crops) * (crops.shape[1] / self.config.size) ** 2
        self.follow()
        return loss.detach()

    @torch.no_grad()
    def follow(self) -> None:
        """Let the average follow the network; the more slowly the longer the run."""
        share = 1 - min(0.999, (1 + self.step) / (20 + self.step))
        pairs = zip(self.average.state_dict().values(), self.net.state_dict().values(), strict=True)
        for kept, new in pairs:
            if kept.dtype.is_floating_point:
                kept.lerp_(new, share)
            else:
                kept.copy_(new)


@torch.no_grad()
def evaluate(net: torch.nn.Module, records: NDArray[Any]) -> dict[str, float]:
    """Cross-entropy and errors of σ in pixels over records, at most 8 px counting."""
    device = next(net.parameters()).device
    sums: dict[str, list[float]] = {"loss": [], "mae": [], "bias": []}
    grid = torch.arange(N_LEVELS, device=device, dtype=torch.float32)[:, None, None]
    for start in range(0, len(records), 16):
        part = records[start : start + 16]
        x, y = tensors(part["crop"], part["level"], device)
        logits = net(x).float()
        mean = (torch.softmax(logits, 1) * grid).sum(1)
        off = sigma_of_level(mean.cpu().numpy()) - sigma_of_level(y.cpu().numpy())
        sums["loss"].append(float(LOSSES["cross_entropy"](logits, y)))
        sums["mae"].append(float(np.abs(off).mean()))
        sums["bias"].append(float(off.mean()))
    return {k: float(np.mean(v)) for k, v in sums.items()}


def held_out(recipe: dataset.Recipe, folder: Path, count: int, jobs: int) -> NDArray[Any]:
    """Records of the photographs that are held out."""
    shards = -(-count // dataset.SHARD)
    dataset.Makers(recipe, folder, shards, jobs).wait()
    return np.concatenate(list(dataset.read_shards(folder)))[:count]


def training_steps(run: Run, pool: Pool) -> Iterator[Tensor]:
    """Losses of the steps, until the budget is spent."""
    c = run.config
    rng = np.random.default_rng([c.seed, run.step])
    looked = time.monotonic()
    while run.done < 1:
        started = time.monotonic()
        if started - looked > 10:
            pool.look()
            looked = started
        if run.done < c.small:
            crops, levels = pool.batch(4 * c.batch, c.size // 2, rng)
        else:
            crops, levels = pool.batch(c.batch, c.size, rng)
        loss = run.advance(crops, levels)
        run.seconds += time.monotonic() - started
        yield loss


def train(images: Path, out: Path, config: Config, scenes: Path | None = None) -> Run:
    """Make scenes, train, write checkpoints and the log; returns the finished run."""
    torch.set_num_threads(config.threads)
    out.mkdir(parents=True, exist_ok=True)
    scenes = scenes or out / "scenes"
    learn, held = dataset.split(images)
    check = held_out(
        dataset.Recipe(held, config.size, config.seed + 1), out / "held_out", config.checked,
        config.makers,
    )  # fmt: skip
    makers = dataset.Makers(
        dataset.Recipe(learn, config.size, config.seed), scenes,
        config.scenes // dataset.SHARD, config.makers, niceness=5,
    )  # fmt: skip
    run = Run(config, out)
    run.restore()
    pool = Pool(scenes, config.pool)
    try:
        while len(pool) < 16 * config.batch:
            time.sleep(0.5)
            makers.check()
            pool.look()
        _loop(run, pool, makers, check)
    finally:
        makers.stop()
    return run


def _loop(run: Run, pool: Pool, makers: dataset.Makers, check: NDArray[Any]) -> None:
    minutes, losses, saved = run.config.minutes, [], run.seconds
    run.net.train()
    with tqdm(total=round(60 * minutes), unit="s", mininterval=20) as bar:
        for loss in training_steps(run, pool):
            losses.append(float(loss))
            bar.update(int(run.seconds) - bar.n)
            bar.set_postfix(loss=f"{np.mean(losses[-200:]):.3f}", crops=int(run.crops),
                            pool=len(pool), refresh=False)  # fmt: skip
            if run.seconds - saved > 60 * run.config.checkpoint or run.done >= 1:
                saved = run.seconds
                makers.check()
                run.checkpoint()
                row = {"step": run.step, "crops": run.crops, "scenes": len(pool.names) * 32,
                       "minutes": run.seconds / 60, "train_loss": float(np.mean(losses[-500:])),
                       **evaluate(run.average, check)}  # fmt: skip
                _log(run.out / "log.csv", row)


def _log(path: Path, row: dict[str, float]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, row)
        if new:
            writer.writeheader()
        writer.writerow({k: round(v, 4) for k, v in row.items()})


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Options for all settings of a run."""
    choices = {"network": list(NETWORKS), "loss": list(LOSSES)}
    for field in fields(Config):
        default = field.default
        parser.add_argument(f"--{field.name}", type=type(default), default=default,
                            choices=choices.get(field.name))  # fmt: skip


def settings(args: argparse.Namespace) -> Config:
    return Config(**{field.name: getattr(args, field.name) for field in fields(Config)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--folder", type=Path, help="of the scenes; one in --out if left out")
    add_settings(parser)
    args = parser.parse_args()
    train(args.images, args.out, settings(args), args.folder)


if __name__ == "__main__":
    main()
