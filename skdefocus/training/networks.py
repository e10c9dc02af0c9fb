"""The networks, in PyTorch: an encoder of a well-known architecture, and one decoder for all.

A network maps (N, 1, H, W) gray values in [0, 1], H and W multiples of 16, to (N, 20, H / 4, W / 4)
logits: one answer for every cell of 4 × 4 pixels, which knows its surroundings.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skdefocus.training.levels import N_LEVELS

#: Height and width of the images must be multiples of it.
MULTIPLE = 16
#: Width of the decoder.
DECODER = 64


class Contrast(nn.Module):
    """Turn gray values into two planes: the values, and their local contrast compressed.

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


class _StridedDepthwise(torch.autograd.Function):
    """A depthwise 3 × 3 convolution of stride 2 whose gradient is that of one of stride 1.

    On CPUs the gradient of a strided one in bfloat16 takes five times as long.
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, None, 2, 1, 1, x.shape[1])

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[no-untyped-def]
        x, weight = ctx.saved_tensors
        spread = torch.zeros_like(x)
        spread[:, :, ::2, ::2] = grad
        dx, dw, _ = torch.ops.aten.convolution_backward(
            spread, x, weight, None, [1, 1], [1, 1], [1, 1], False, [0, 0], x.shape[1],
            [True, True, False],
        )  # fmt: skip
        return dx, dw


class Depthwise(nn.Conv2d):
    """A depthwise 3 × 3 convolution."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__(channels, channels, 3, stride, 1, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == (2, 2) and self.training and x.device.type == "cpu":
            weight = self.weight
            if torch.is_autocast_enabled("cpu"):
                kind = torch.get_autocast_dtype("cpu")
                x, weight = x.to(kind), weight.to(kind)
            return _StridedDepthwise.apply(x, weight)
        return super().forward(x)


def conv(inp: int, out: int, kernel: int, stride: int = 1, depthwise: bool = False) -> nn.Module:
    layer = (
        Depthwise(out, stride)
        if depthwise
        else nn.Conv2d(inp, out, kernel, stride, kernel // 2, bias=False)
    )
    return nn.Sequential(layer, nn.BatchNorm2d(out), nn.ReLU(inplace=True))


class InvertedResidual(nn.Module):
    """MobileNetV2's block: expand, filter depthwise, project linearly (Sandler et al. 2018)."""

    def __init__(self, inp: int, out: int, stride: int, expand: int) -> None:
        super().__init__()
        hidden = inp * expand
        layers: list[nn.Module] = [conv(inp, hidden, 1)] if expand > 1 else []
        layers += [
            conv(hidden, hidden, 3, stride, depthwise=True),
            nn.Conv2d(hidden, out, 1, bias=False),
            nn.BatchNorm2d(out),
        ]
        self.body = nn.Sequential(*layers)
        self.residual = stride == 1 and inp == out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.residual else self.body(x)


class Encoder(nn.Module):
    """Stages whose outputs have strides 4, 8, 16 and their numbers of channels."""

    def __init__(self, stages: list[nn.Module], channels: list[int]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.channels = channels

    def forward(self, x: Tensor) -> list[Tensor]:
        out = []
        for stage in self.stages:
            x = stage(x)
            out.append(x)
        return out


class Network(nn.Module):
    """An encoder, and a decoder that joins its outputs from coarse to fine.

    At every stride a 1 × 1 projection of the encoder's output plus what the coarser strides say,
    enlarged, goes through one inverted residual.
    """

    def __init__(self, encoder: Encoder, n_levels: int = N_LEVELS, width: int = DECODER) -> None:
        super().__init__()
        self.contrast = Contrast()
        self.encoder = encoder
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in encoder.channels)
        self.join = nn.ModuleList(InvertedResidual(width, width, 1, 2) for _ in encoder.channels)
        self.levels = nn.Conv2d(width, n_levels, 1)

    def features(self, x: Tensor) -> Tensor:
        """(N, width, H / 4, W / 4), before the last layer."""
        y: Tensor | None = None
        stages = zip(self.encoder(self.contrast(x)), self.lateral, self.join, strict=True)
        for z, lateral, join in reversed(list(stages)):
            z = lateral(z)
            if y is not None:
                z = z + F.interpolate(y, scale_factor=2.0, mode="bilinear", align_corners=False)
            y = join(z)
        assert y is not None
        return y

    def forward(self, x: Tensor) -> Tensor:
        return self.levels(self.features(x))


#: MobileNetV2's expansion, channels, repeats and stride; the last two rows go beyond stride 16.
MOBILE_BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1))
MOBILE_ENDS = (2, 3, 5)  # rows after which the stride is 4, 8, 16


def mobilenetv2(width: float = 1.0, stem: int = 3) -> Encoder:
    """MobileNetV2 (Sandler et al. 2018) up to stride 16, its channels times `width`."""

    def scaled(channels: int) -> int:
        return max(16, int(channels * width + 4) // 8 * 8)

    channels = 32
    layers: list[nn.Module] = [conv(2, channels, stem, 2)]
    stages: list[nn.Module] = []
    outs: list[int] = []
    for row, (expand, out, repeats, stride) in enumerate(MOBILE_BLOCKS, start=1):
        for i in range(repeats):
            layers.append(InvertedResidual(channels, scaled(out), stride if i == 0 else 1, expand))
            channels = scaled(out)
        if row in MOBILE_ENDS:
            stages.append(nn.Sequential(*layers))
            outs.append(channels)
            layers = []
    return Encoder(stages, outs)


NETWORKS: dict[str, Callable[[], Network]] = {
    "mobilenetv2": lambda: Network(mobilenetv2()),
    "mobilenetv2-stem5": lambda: Network(mobilenetv2(stem=5)),
}
