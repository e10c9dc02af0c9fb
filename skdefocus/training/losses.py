"""Losses over cells: logits (N, L, h, w) and true levels (N, h, w), fractional, in float32."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def cross_entropy(logits: Tensor, level: Tensor) -> Tensor:
    """Cross-entropy against the two levels around the true one, with that as their mean."""
    return _nll(logits, level).mean()


def _nll(logits: Tensor, level: Tensor) -> Tensor:
    """Compute the cross-entropy of every cell."""
    lower = level.floor().clamp(max=logits.shape[1] - 2)
    share = (level - lower)[:, None]
    at = lower.long()[:, None]
    log = F.log_softmax(logits, dim=1)
    return -((1 - share) * log.gather(1, at) + share * log.gather(1, at + 1))[:, 0]


def near_edges(logits: Tensor, level: Tensor) -> Tensor:
    """Cross-entropy in which cells next to another blur count three times."""
    top = F.max_pool2d(level[:, None], 5, 1, 2)
    bottom = -F.max_pool2d(-level[:, None], 5, 1, 2)
    weight = 1 + 2 * (top - bottom > 1).float()[:, 0]
    return (_nll(logits, level) * weight).sum() / weight.sum()


LOSSES = {f.__name__: f for f in (cross_entropy, near_edges)}
