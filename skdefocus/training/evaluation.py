"""Errors of a network on the records of held-out photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skdefocus._typing import AnyArray
from skdefocus.training import dataset
from skdefocus.training.batches import in_parts
from skdefocus.training.levels import N_LEVELS, sigma_of_level
from skdefocus.training.losses import LOSSES


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
    for x, y in in_parts(records, device):
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
            sums.setdefault(key, []).append(float(value) * len(x))
    return {k: sum(v) / len(records) for k, v in sums.items()}


def held_out(recipe: dataset.Recipe, folder: Path, count: int, jobs: int) -> AnyArray:
    """Make or read the records of held-out photographs."""
    with dataset.Makers(recipe, folder, -(-count // dataset.SHARD), jobs) as makers:
        makers.wait()
    records = np.concatenate(list(dataset.read_shards(folder)))[:count]
    if not len(records):
        raise SystemExit("none of the held-out photographs is in focus; add some")
    return records
