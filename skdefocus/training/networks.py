"""The networks, in PyTorch. All are fully convolutional with a total stride of 8.

A network maps (N, 1, H, W) grey values in [0, 1] to (N, 20, (H - 32) // 8 + 1, (W - 32) // 8 + 1)
logits: one answer for a 32×32 patch, a grid of answers, one per window, for anything larger.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Contrast(nn.Module):
    """Turn grey values into two planes: the values, and their local contrast compressed.

    Blur shows in the shape of small differences as well as of large ones; ``d / (|d| + 0.02)``
    brings textures of 1/255 and edges of 1/2 into one range.
    """

    def __init__(self, window: int = 5, knee: float = 0.02) -> None:
        super().__init__()
        self.window, self.knee = window, knee

    def forward(self, x: Tensor) -> Tensor:
        mean = F.avg_pool2d(
            x, self.window, stride=1, padding=self.window // 2, count_include_pad=False
        )
        d = x - mean
        return torch.cat([2 * x - 1, d / (d.abs() + self.knee)], dim=1)


def conv(inp: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inp, out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """MobileNetV2's block: expand, filter depthwise, project linearly (Sandler et al. 2018)."""

    def __init__(self, inp: int, out: int, stride: int, expand: int) -> None:
        super().__init__()
        hidden = inp * expand
        layers: list[nn.Module] = [conv(inp, hidden, 1)] if expand > 1 else []
        layers += [
            conv(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, out, 1, bias=False),
            nn.BatchNorm2d(out),
        ]
        self.body = nn.Sequential(*layers)
        self.residual = stride == 1 and inp == out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.residual else self.body(x)


class MobileNetV2(nn.Module):
    """MobileNetV2 for small patches: its blocks, with a total stride of 8 instead of 32.

    The mean over the last feature map is a learned 4×4 depthwise window instead, so that the
    middle of a patch can count for more than its rim; the wide 1×1 layer comes after it, where
    it is sixteen times cheaper.

    Parameters
    ----------
    width : float
        Multiplier of the channels.
    n_levels : int
        Number of logits.
    """

    #: expansion, channels, repeats, stride
    blocks = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 1),
        (6, 96, 3, 1),
        (6, 160, 1, 1),
    )

    def __init__(self, width: float = 0.5, n_levels: int = 20, head: int = 512) -> None:
        super().__init__()

        def scaled(channels: int) -> int:
            return max(16, int(channels * width + 4) // 8 * 8)

        channels = 32
        layers: list[nn.Module] = [Contrast(), conv(2, channels, 3, 2)]
        for expand, out, repeats, stride in self.blocks:
            for i in range(repeats):
                layers.append(
                    InvertedResidual(channels, scaled(out), stride if i == 0 else 1, expand)
                )
                channels = scaled(out)
        self.body = nn.Sequential(*layers)
        self.pool = nn.Sequential(
            nn.Conv2d(channels, channels * 2, 4, groups=channels, bias=False),
            nn.BatchNorm2d(channels * 2),
            conv(channels * 2, head, 1),
        )
        self.dropout = nn.Dropout2d(0.1)
        self.levels = nn.Conv2d(head, n_levels, 1)

    def features(self, x: Tensor) -> Tensor:
        return self.pool(self.body(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.levels(self.dropout(self.features(x)))


NETWORKS = {
    "mobilenetv2": lambda: MobileNetV2(1.0),
    "mobilenetv2-0.5": lambda: MobileNetV2(0.5),
}
