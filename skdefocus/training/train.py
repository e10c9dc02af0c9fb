"""Train a network within a budget of minutes, on scenes that are made meanwhile.

`train` starts processes that make scenes, trains on the finished ones, and writes
``checkpoint.pt``, from which a killed run continues, and ``log.csv`` with the error on held-out
photographs.
"""

from __future__ import annotations

import csv
import math
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from skdefocus._typing import AnyArray
from skdefocus.training import dataset
from skdefocus.training.batches import Feeder, Pool, Shape, tensors
from skdefocus.training.config import Config, fitted
from skdefocus.training.evaluation import evaluate, held_out, matched
from skdefocus.training.losses import LOSSES
from skdefocus.training.networks import NETWORKS
from skdefocus.training.scenes import Conditions

#: Columns of the log.
LOGGED = ("step", "crops", "scenes", "minutes", "train_loss", "loss", "mae", "bias")


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
    conditions : Conditions
        Those of the scenes.
    mixed : bool
        Whether to compute in bfloat16 where its range suffices.
    best : dict or None
        Weights of the average that had the least loss on held-out photographs.
    facts : dict
        Facts about the data for the model file.
    """

    conditions = Conditions()

    def __init__(
        self, config: Config, out: Path, build: Callable[[], nn.Module] | None = None
    ) -> None:
        self.config, self.out, self.batch = config, out, config.batch
        self.device, self.mixed = find_device(), True
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
            fused=self.device.type == "cuda",
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

    def shape_at(self, step: int) -> Shape:
        """Choose the crops of a step: patches alone, quarters or whole ones."""
        c = self.config
        if int((step + 1) * c.alone) > int(step * c.alone):
            seen = 3 * dataset.PATCH  # with their mirrored surroundings
            return Shape(max(1, self.batch * c.size**2 // seen**2), dataset.PATCH, alone=True)
        if (step / c.steps if c.steps else self.done) < c.small:
            return Shape(4 * self.batch, c.size // 2)
        return Shape(self.batch, c.size)

    def rate(self) -> float:
        """Learning rate: a short rise, then half a cosine down to zero at the end."""
        warm = min(1.0, (self.step + 1) / 300)
        return self.config.rate * warm * (0.5 * (1 + math.cos(math.pi * self.done)) + 1e-3)

    def advance(self, crops: Tensor, levels: Tensor) -> Tensor:
        """Take one step of the optimizer; return the loss, which is still on the device."""
        x, y = tensors(crops, levels, self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
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
            most = max(1, self.batch * self.config.size**2 // crops.shape[1] ** 2)
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


def train(
    images: Path, out: Path, config: Config, scenes: Path | None = None, kind: type[Run] = Run
) -> Run:
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
    kind : type
        Class of the run.

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
    recipe = dataset.Recipe(learn, config.size, config.seed, kind.conditions)
    check = held_out(
        replace(recipe, images=validation, seed=config.seed + 1),
        out / "held_out",
        config.checked,
        config.makers,
    )
    run = kind(config, out)
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
