"""Train a network within a budget of minutes, on scenes that are made meanwhile.

`train` starts processes that make scenes, trains on the finished ones, and writes
``checkpoint.pt``, from which a killed run continues, and ``log.csv`` with the error on held-out
photographs.
"""

from __future__ import annotations

import csv
import math
import os
import shutil
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import cpu_count
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from skdefocus._typing import AnyArray
from skdefocus.training import dataset
from skdefocus.training.batches import Feeder, Pool, tensors
from skdefocus.training.levels import N_LEVELS, sigma_of_level
from skdefocus.training.losses import LOSSES
from skdefocus.training.networks import NETWORKS

#: Columns of the log.
LOGGED = ("step", "crops", "scenes", "minutes", "train_loss", "loss", "mae", "bias")
#: Crops per step on a CPU and on a GPU, and the learning rate that goes with the former; that of
#: other batches grows with the square root of their size.
CPU_BATCH, GPU_BATCH, CPU_RATE = 8, 64, 1.5e-3
#: Share of the machine's memory and of the free disk that scenes may take.
MEMORY_SHARE, DISK_SHARE = 0.25, 0.5


@dataclass(frozen=True)
class Config:
    """Settings of a run. Where stated, 0 stands for a value that fits the machine.

    Attributes
    ----------
    network : str
        One of `NETWORKS`.
    minutes : float
        Duration of the training, including that before an interruption.
    steps : int
        Number of steps of the optimizer, instead of minutes; 0: the minutes decide.
    small : float
        Share of the budget for training on quarters of crops, four times as many: more scenes per
        minute, with less around them.
    batch : int
        Crops per step; 0: 8 on a CPU, 64 on a GPU. It is halved when memory runs out.
    rate : float
        Highest learning rate; 0: 0.0015 times the square root of a batch's eighth.
    loss : str
        One of `LOSSES`.
    scenes : int
        Largest number of crops to make; 0: a million, or what half of the free disk holds.
    pool : int
        Number of the latest crops that are kept in memory; 0: what a quarter of the memory holds.
    makers : int
        Number of processes that make scenes; 0: one for each core that does not train, or one for
        every core if a GPU trains.
    size : int
        Side of the crops in pixels.
    seed : int
    start : str
        File of weights to begin with, such as another run's checkpoint; by default random ones.
    threads : int
        Number of threads of PyTorch on the CPU.
    checkpoint : float
        Minutes between two checkpoints, at which the error on held-out photographs is measured.
    checked : int
        Number of crops of held-out photographs.
    """

    network: str = "mobilenetv2-stem5"
    minutes: float = 8.0
    steps: int = 0
    small: float = 0.4
    batch: int = 0
    rate: float = 0.0
    loss: str = "cross_entropy"
    scenes: int = 0
    pool: int = 0
    makers: int = 0
    size: int = 256
    seed: int = 0
    start: str = ""
    threads: int = 1
    checkpoint: float = 5.0
    checked: int = 512


def fitted(config: Config, device: torch.device, disk: Path) -> Config:
    """Replace the zeros in the settings by values that fit the machine."""
    gpu = device.type == "cuda"
    record_bytes = dataset.record_type(config.size).itemsize
    batch = config.batch or (GPU_BATCH if gpu else CPU_BATCH)
    return replace(
        config,
        batch=batch,
        rate=config.rate or CPU_RATE * math.sqrt(batch / CPU_BATCH),
        scenes=config.scenes
        or min(1_000_000, int(DISK_SHARE * shutil.disk_usage(disk).free) // record_bytes),
        pool=config.pool or int(MEMORY_SHARE * _memory()) // record_bytes,
        makers=config.makers or max(1, cpu_count() - (0 if gpu else config.threads)),
    )


def _memory() -> int:
    """Return the bytes of the machine's memory, or 8 GB if it is unknown."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 * 2**30


def find_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Run:
    """The state of a training: network, its running average, optimizer and time spent.

    Parameters
    ----------
    config : Config
        Without zeros that stand for something else, see `fitted`.
    out : path
        Folder of the checkpoint and the log.
    build : callable
        Makes the network; by default the one that `config` names.

    Attributes
    ----------
    best : dict or None
        Weights of the average that had the least loss on held-out photographs.
    facts : dict
        Facts about the data for the model file.
    """

    def __init__(
        self, config: Config, out: Path, build: Callable[[], nn.Module] | None = None
    ) -> None:
        self.config, self.out, self.batch = config, out, config.batch
        self.device = find_device()
        build = build or NETWORKS[config.network]
        torch.manual_seed(config.seed)
        self.net = build().to(self.device, memory_format=torch.channels_last)
        self.average = build().to(self.device, memory_format=torch.channels_last)
        self.average.load_state_dict(self.net.state_dict())
        self.average.eval()
        matrices = [p for p in self.net.parameters() if p.ndim > 1]
        rest = [p for p in self.net.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": 0.02}, {"params": rest, "weight_decay": 0.0}],
            lr=config.rate,
        )
        self.step, self.crops, self.seconds = 0, 0.0, 0.0
        self.best: dict[str, Tensor] | None = None
        self.best_loss = math.inf
        self.facts: dict[str, Any] = {}

    @property
    def path(self) -> Path:
        return self.out / "checkpoint.pt"

    def restore(self) -> None:
        """Continue from the checkpoint if there is one, else begin with the given weights."""
        if not self.path.exists():
            if self.config.start:
                self.begin_with(Path(self.config.start))
            return
        saved = torch.load(self.path, map_location=self.device, weights_only=True)
        network = saved["config"]["network"]
        if network != self.config.network:
            raise SystemExit(
                f"{self.path} has the network {network!r}, not {self.config.network!r}; "
                "choose another folder"
            )
        for key in ("net", "average", "optimizer"):
            getattr(self, key).load_state_dict(saved[key])
        self.step, self.crops, self.seconds = saved["step"], saved["crops"], saved["seconds"]
        self.best, self.best_loss = saved.get("best"), saved.get("best_loss", math.inf)

    def begin_with(self, weights: Path) -> None:
        """Take the averaged weights of another run, and nothing else of it."""
        saved = torch.load(weights, map_location=self.device, weights_only=True)
        for network in (self.net, self.average):
            network.load_state_dict(saved["average"])

    def checkpoint(self) -> None:
        """Write the checkpoint."""
        part = self.path.with_suffix(".part")
        state = {k: getattr(self, k).state_dict() for k in ("net", "average", "optimizer")}
        kept = ("step", "crops", "seconds", "best", "best_loss", "facts")
        state |= {k: getattr(self, k) for k in kept}
        torch.save(state | {"config": asdict(self.config)}, part)
        part.replace(self.path)

    @property
    def done(self) -> float:
        """Spent share of the budget."""
        c = self.config
        return min(1.0, self.step / c.steps if c.steps else self.seconds / (60 * c.minutes))

    def shape_at(self, step: int) -> tuple[int, int]:
        """Number and side of the crops of a step."""
        c = self.config
        if (step / c.steps if c.steps else self.done) < c.small:
            return 4 * self.batch, c.size // 2
        return self.batch, c.size

    def rate(self) -> float:
        """Learning rate: a short rise, then half a cosine down to zero at the end."""
        warm = min(1.0, (self.step + 1) / 300)
        return self.config.rate * warm * (0.5 * (1 + math.cos(math.pi * self.done)) + 1e-3)

    def advance(self, crops: Tensor, levels: Tensor) -> Tensor:
        """Take one step of the optimizer; return the loss, which is still on the device."""
        x, y = tensors(crops, levels, self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        with torch.autocast(self.device.type, torch.bfloat16):
            logits = self.net(x)
        loss = LOSSES[self.config.loss](logits.float(), matched(y, logits))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 2.0)
        self.optimizer.step()
        self.step += 1
        self.crops += len(crops) * (crops.shape[1] / self.config.size) ** 2
        self.follow()
        return loss.detach()

    def advance_within_memory(self, crops: Tensor, levels: Tensor) -> Tensor:
        """Call `advance` with ever smaller batches until the GPU's memory holds them."""
        while True:
            # Batches that were prepared before the last halving are still larger.
            most = max(1, self.batch * (self.config.size // crops.shape[1]) ** 2)
            try:
                return self.advance(crops[:most], levels[:most])
            except torch.cuda.OutOfMemoryError:
                if self.batch == 1:
                    raise
                self.batch //= 2
                torch.cuda.empty_cache()

    @torch.no_grad()
    def follow(self) -> None:
        """Update the average of the weights, ever more slowly as the run goes on."""
        share = 1 - min(0.999, (1 + self.step) / (20 + self.step))
        pairs = zip(self.average.state_dict().values(), self.net.state_dict().values(), strict=True)
        floating = [p for p in pairs if p[0].dtype.is_floating_point]
        torch._foreach_lerp_(*map(list, zip(*floating, strict=True)), share)

    def measure(self, check: AnyArray) -> dict[str, float]:
        """Measure the average on held-out photographs, and keep it if it is the best so far."""
        found = evaluate(self.average, check)
        if found["loss"] < self.best_loss:
            self.best_loss = found["loss"]
            self.best = {k: v.clone() for k, v in self.average.state_dict().items()}
        return found


def matched(level: Tensor, logits: Tensor) -> Tensor:
    """Average true levels (N, h, w) over the grid of the answers: unchanged, or one per patch."""
    return F.adaptive_avg_pool2d(level, logits.shape[-2:])


@torch.no_grad()
def evaluate(net: nn.Module, records: AnyArray) -> dict[str, float]:
    """Measure answers on records.

    Returns
    -------
    dict
        Cross-entropy (loss), mean absolute error and mean error of σ in pixels (mae, bias; 8 px
        stands for all beyond), and shares of the most probable levels that are right (top_one) or
        next to it (within_one).
    """
    device = next(net.parameters()).device
    sums: dict[str, list[float]] = {}
    grid = torch.arange(N_LEVELS, device=device, dtype=torch.float32)[:, None, None]
    for start in range(0, len(records), 16):
        part = records[start : start + 16]
        x, y = tensors(*(torch.from_numpy(part[k].copy()) for k in ("crop", "level")), device)
        logits = net(x).float()
        y = matched(y, logits)
        mean = (torch.softmax(logits, 1) * grid).sum(1)
        off = sigma_of_level(mean.cpu().numpy()) - sigma_of_level(y.cpu().numpy())
        apart = (logits.argmax(1) - y.round()).abs()
        for key, value in {
            "loss": LOSSES["cross_entropy"](logits, y),
            "mae": np.abs(off).mean(),
            "bias": off.mean(),
            "top_one": (apart == 0).float().mean(),
            "within_one": (apart <= 1).float().mean(),
        }.items():
            sums.setdefault(key, []).append(float(value) * len(part))
    return {k: sum(v) / len(records) for k, v in sums.items()}


def held_out(recipe: dataset.Recipe, folder: Path, count: int, jobs: int) -> AnyArray:
    """Make or read the records of held-out photographs."""
    with dataset.Makers(recipe, folder, -(-count // dataset.SHARD), jobs) as makers:
        makers.wait()
    records = np.concatenate(list(dataset.read_shards(folder)))[:count]
    if not len(records):
        raise SystemExit("none of the held-out photographs is in focus; add some")
    return records


def train(images: Path, out: Path, config: Config, scenes: Path | None = None) -> Run:
    """Make scenes, train, write checkpoints and the log.

    It ends when the budget is spent, or after the step in which it is asked to (SIGINT, SIGTERM).
    Whatever ends it, it leaves a checkpoint.

    Parameters
    ----------
    images : path
        Photographs in focus; one in ten is held out.
    out : path
    config : Config
    scenes : path or None
        Folder of the scenes; by default one in `out`.

    Returns
    -------
    Run
        The run at its end, with `done` below 1 if it was interrupted.
    """
    torch.set_num_threads(config.threads)
    out.mkdir(parents=True, exist_ok=True)
    config = fitted(config, find_device(), out)
    scenes = scenes or out / "scenes"
    learn, validation = dataset.split(images)
    recipe = dataset.Recipe(learn, config.size, config.seed)
    check = held_out(
        dataset.Recipe(validation, config.size, config.seed + 1),
        out / "held_out",
        config.checked,
        config.makers,
    )
    run = Run(config, out)
    run.restore()
    run.facts = {"digest": recipe.digest, "photographs": len(learn), "held_out": len(validation)}
    if run.done >= 1:
        return run
    count = -(-config.scenes // dataset.SHARD)
    with dataset.Makers(recipe, scenes, count, config.makers, niceness=5) as makers:
        pool = Pool(scenes, config.pool)
        wait_for(pool, min(16 * config.batch, config.scenes // 2), makers)
        learn_from(run, pool, check, makers.check)
    return run


def wait_for(pool: Pool, count: int, makers: dataset.Makers) -> None:
    """Wait until the pool has `count` records."""
    pool.look()
    while len(pool) < count:
        ended = not makers.working
        makers.check()
        pool.look()
        if ended and len(pool) < count:
            raise SystemExit(
                f"the photographs gave only {len(pool)} scenes; add more that are in focus"
            )
        time.sleep(0.2)


def learn_from(
    run: Run, pool: Pool, check: AnyArray, watch: Callable[[], None] = lambda: None
) -> None:
    """Train on a pool until the budget is spent or a signal asks to stop.

    Parameters
    ----------
    run : Run
    pool : Pool
        It must have some records.
    check : ndarray
        Held-out records.
    watch : callable
        Called at every checkpoint, to raise errors of other processes.
    """
    rng = np.random.default_rng([run.config.seed, run.step])
    first = run.step
    if run.device.type == "cuda":
        torch.backends.cudnn.benchmark = True
    feeder = Feeder(pool, lambda n: run.shape_at(first + n), rng, run.device.type == "cuda")
    with feeder, asked_to_stop() as asked:
        try:
            _steps(run, feeder, asked, check, watch)
        except Exception:
            with suppress(Exception):
                run.checkpoint()
            raise


def _steps(
    run: Run,
    feeder: Feeder,
    asked: threading.Event,
    check: AnyArray,
    watch: Callable[[], None],
) -> None:
    """Take steps, with a checkpoint at intervals and at the end."""
    run.net.train()
    losses: deque[Tensor] = deque(maxlen=200)
    before, started = run.seconds, time.monotonic()
    saved = shown = run.seconds
    with tqdm(total=100, unit="%", bar_format="{l_bar}{bar}| {elapsed}{postfix}") as bar:
        while True:
            losses.append(run.advance_within_memory(*feeder.next()))
            run.seconds = before + time.monotonic() - started
            ended = run.done >= 1 or asked.is_set()
            if ended or run.seconds - shown > 5:
                shown = run.seconds
                bar.update(int(100 * run.done) - bar.n)
                bar.set_postfix(
                    loss=f"{_mean(losses):.3f}",
                    step=run.step,
                    crops=int(run.crops),
                    scenes=feeder.pool.seen,
                )
            if ended or run.seconds - saved > 60 * run.config.checkpoint:
                saved = run.seconds
                _record(run, _mean(losses), feeder.pool.seen, check)
                if ended:
                    return
                watch()


def _mean(losses: deque[Tensor]) -> float:
    return float(torch.stack(list(losses)).mean())


def _record(run: Run, loss: float, scenes: int, check: AnyArray) -> None:
    """Measure the network, write a checkpoint, and add a row to the log."""
    run.facts["scenes"] = scenes
    found = run.measure(check)
    run.checkpoint()
    row = {
        "step": run.step,
        "crops": run.crops,
        "scenes": scenes,
        "minutes": run.seconds / 60,
        "train_loss": loss,
        **found,
    }
    path = run.out / "log.csv"
    new = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.writer(stream)
        if new:
            writer.writerow(LOGGED)
        writer.writerow([round(row[k], 4) for k in LOGGED])


@contextmanager
def asked_to_stop() -> Iterator[threading.Event]:
    """Yield an event that SIGINT and SIGTERM set; a second signal acts as usual."""
    asked, signals = threading.Event(), (signal.SIGINT, signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread():
        yield asked  # only the main thread can catch signals
        return
    usual = {s: signal.getsignal(s) for s in signals}

    def ask(number: int, _: object) -> None:
        asked.set()
        signal.signal(number, usual[number])

    for s in signals:
        signal.signal(s, ask)
    try:
        yield asked
    finally:
        for s in signals:
            signal.signal(s, usual[s])
