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


class Network(nn.Module):
    """What all have in common: contrast planes, a body of total stride 8, the pooling, the levels.

    The mean over the last feature map is a learned 4×4 depthwise window instead, so that the
    middle of a patch can count for more than its rim; the wide 1×1 layer comes after it, where
    it is sixteen times cheaper.

    Parameters
    ----------
    layers : list of Module
        From 2 channels to `channels`, with a total stride of 8.
    channels : int
    n_levels : int
        Number of logits.
    head : int
        Number of features.
    abstains : bool
        Whether one more output says how much of the probability is spread evenly over all levels
        (with cross-entropy this is the loss of Liu et al., "Deep gamblers", NeurIPS 2019, at a
        payoff of `n_levels`).
    """

    def __init__(
        self,
        layers: list[nn.Module],
        channels: int,
        n_levels: int = 20,
        head: int = 512,
        abstains: bool = False,
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(Contrast(), *layers)
        self.pool = nn.Sequential(
            nn.Conv2d(channels, channels * 2, 4, groups=channels, bias=False),
            nn.BatchNorm2d(channels * 2),
            conv(channels * 2, head, 1),
        )
        self.dropout = nn.Dropout2d(0.1)
        self.abstains = abstains
        self.levels = nn.Conv2d(head, n_levels + abstains, 1)

    def features(self, x: Tensor) -> Tensor:
        return self.pool(self.body(x))

    def logits(self, features: Tensor) -> Tensor:
        z = self.levels(features)
        if not self.abstains:
            return z
        p = torch.softmax(z, 1)
        return torch.log(p[:, :-1] + p[:, -1:] / (z.shape[1] - 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.logits(self.dropout(self.features(x)))


#: MobileNetV2's expansion, channels, repeats and stride, cut off where the stride is 8.
MOBILE_BLOCKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 1),
    (6, 96, 3, 1),
    (6, 160, 1, 1),
)


def mobilenetv2(width: float, abstains: bool = False) -> Network:
    """MobileNetV2 (Sandler et al. 2018) with its channels times `width`."""

    def scaled(channels: int) -> int:
        return max(16, int(channels * width + 4) // 8 * 8)

    channels = 32
    layers: list[nn.Module] = [conv(2, channels, 3, 2)]
    for expand, out, repeats, stride in MOBILE_BLOCKS:
        for i in range(repeats):
            layers.append(InvertedResidual(channels, scaled(out), stride if i == 0 else 1, expand))
            channels = scaled(out)
    return Network(layers, channels, abstains=abstains)


def vgg(widths: tuple[int, ...] = (32, 64, 128), last: int = 128) -> Network:
    """Plain 3×3 convolutions, two before each halving (Simonyan and Zisserman 2015)."""
    layers: list[nn.Module] = []
    channels = 2
    for out in widths:
        layers += [conv(channels, out, 3), conv(out, out, 3), nn.MaxPool2d(2)]
        channels = out
    return Network([*layers, conv(channels, last, 3), conv(last, last, 3)], last)


class Basic(nn.Module):
    """ResNet's basic block (He et al. 2016)."""

    def __init__(self, inp: int, out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(inp, out, 3, stride),
            nn.Conv2d(out, out, 3, padding=1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.skip = (
            nn.Identity()
            if stride == 1 and inp == out
            else nn.Sequential(nn.Conv2d(inp, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.skip(x) + self.body(x))


def resnet18() -> Network:
    """ResNet-18's plan, half as wide, cut off where the stride is 8."""
    layers: list[nn.Module] = [conv(2, 32, 3, 2)]
    channels = 32
    for out, stride in ((32, 1), (32, 1), (64, 2), (64, 1), (128, 2), (128, 1)):
        layers.append(Basic(channels, out, stride))
        channels = out
    return Network(layers, channels)


class Shuffle(nn.Module):
    """ShuffleNetV2's unit (Ma et al. 2018): half of the channels pass by, then all are mixed."""

    def __init__(self, inp: int, out: int, stride: int) -> None:
        super().__init__()
        half = out // 2
        self.stride = stride

        def depthwise(channels: int) -> list[nn.Module]:
            return [
                nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False),
                nn.BatchNorm2d(channels),
            ]

        worked = inp if stride > 1 else half
        self.work = nn.Sequential(conv(worked, half, 1), *depthwise(half), conv(half, half, 1))
        self.passed = nn.Sequential(*depthwise(inp), conv(inp, half, 1)) if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        a, b = (x, x) if self.passed is not None else x.chunk(2, dim=1)
        both = torch.stack([a if self.passed is None else self.passed(a), self.work(b)], dim=2)
        return both.flatten(1, 2)


def shufflenetv2() -> Network:
    """ShuffleNetV2 at width 1.0, cut off where the stride is 8."""
    layers: list[nn.Module] = [conv(2, 24, 3, 2)]
    channels = 24
    for out, repeats in ((116, 4), (232, 8)):
        for i in range(repeats):
            layers.append(Shuffle(channels, out, 2 if i == 0 else 1))
            channels = out
    return Network(layers, channels)


NETWORKS = {
    "mobilenetv2": lambda: mobilenetv2(1.0),
    "mobilenetv2-0.5": lambda: mobilenetv2(0.5),
    "mobilenetv2-0.5-abstains": lambda: mobilenetv2(0.5, abstains=True),
    "vgg": vgg,
    "vgg-0.5": lambda: vgg((16, 32, 64)),
    "resnet18": resnet18,
    "shufflenetv2": shufflenetv2,
}
