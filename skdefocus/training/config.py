"""Settings of a training, and the values of them that fit the machine."""

from __future__ import annotations

import argparse
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
from joblib import cpu_count

from skdefocus.training import dataset
from skdefocus.training.losses import LOSSES
from skdefocus.training.networks import NETWORKS

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
    alone : float
        Share of the steps that train on patches of 32 pixels by themselves.
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
    alone: float = 0.1
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


def parser_of(
    program: str, description: str | None, defaults: Mapping[str, object] = {}
) -> argparse.ArgumentParser:
    """Make a command's parser: photographs in, a folder out, and every setting of a run.

    Some settings may have other `defaults`.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {program}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--images", type=Path, required=True, help="photographs to learn from")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scenes-in", type=Path, help="scenes (default: a folder in --out)")
    choices = {"network": list(NETWORKS), "loss": list(LOSSES)}
    group = parser.add_argument_group("settings of the training (see config.Config)")
    for field in fields(Config):
        group.add_argument(
            f"--{field.name}",
            type=type(field.default),
            default=defaults.get(field.name, field.default),
            choices=choices.get(field.name),
            help="default: %(default)s",
        )
    return parser


def settings(args: argparse.Namespace) -> Config:
    """Collect the settings from the command line."""
    return Config(**{f.name: getattr(args, f.name) for f in fields(Config)})
