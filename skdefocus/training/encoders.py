"""Well-known architectures, in PyTorch, as encoders: planes in, features at strides 4, 8, 16 out.

Each ends before its stride would become 32, unless its docstring says otherwise.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Number of planes that a network gets of a gray image; see `networks.Contrast`.
PLANES = 2


class Encoder(nn.Module):
    """Stages whose outputs have strides 4, 8, 16 (and 32), with their numbers of channels."""

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


class _StridedDepthwise(torch.autograd.Function):
    """A depthwise convolution of stride 2 with the gradient of one of stride 1.

    On CPUs, PyTorch's own gradient of a strided convolution in bfloat16 takes five times as long.
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, None, 2, weight.shape[-1] // 2, 1, x.shape[1])

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[no-untyped-def]
        """Compute the gradients of the image and of the weight."""
        x, weight = ctx.saved_tensors
        spread = torch.zeros_like(x)
        spread[:, :, ::2, ::2] = grad
        rim = weight.shape[-1] // 2
        dx, dw, _ = torch.ops.aten.convolution_backward(
            spread,
            x,
            weight,
            None,
            [1, 1],
            [rim, rim],
            [1, 1],
            False,
            [0, 0],
            x.shape[1],
            [True, True, False],
        )
        return dx, dw


class Depthwise(nn.Conv2d):
    """A depthwise convolution."""

    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        super().__init__(
            channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, with the faster gradient where it applies."""
        if self.stride == (2, 2) and self.training and x.device.type == "cpu":
            weight = self.weight
            if torch.is_autocast_enabled("cpu"):
                kind = torch.get_autocast_dtype("cpu")
                x, weight = x.to(kind), weight.to(kind)
            return _StridedDepthwise.apply(x, weight)
        return super().forward(x)


def conv(
    inp: int,
    out: int,
    kernel: int,
    stride: int = 1,
    depthwise: bool = False,
    activation: type[nn.Module] = nn.ReLU,
) -> nn.Module:
    """Convolution, batch normalization, activation."""
    layer = (
        Depthwise(out, kernel, stride)
        if depthwise
        else nn.Conv2d(inp, out, kernel, stride, kernel // 2, bias=False)
    )
    return nn.Sequential(layer, nn.BatchNorm2d(out), activation(inplace=True))


class Bottleneck(nn.Module):
    """Base of the blocks with a body and, where the shapes allow it, a shortcut around it."""

    def __init__(self, body: list[nn.Module], shortcut: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(*body)
        self.residual = shortcut

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.residual else self.body(x)


class InvertedResidual(Bottleneck):
    """MobileNetV2's block: expand, filter depthwise, project linearly (Sandler et al. 2018)."""

    def __init__(self, inp: int, out: int, stride: int, expand: int) -> None:
        hidden = inp * expand
        layers: list[nn.Module] = [conv(inp, hidden, 1)] if expand > 1 else []
        layers += [
            conv(hidden, hidden, 3, stride, depthwise=True),
            nn.Conv2d(hidden, out, 1, bias=False),
            nn.BatchNorm2d(out),
        ]
        super().__init__(layers, stride == 1 and inp == out)


#: Expansion, channels, repeats and stride of MobileNetV2's bottlenecks, and the rows that end at
#: strides 4, 8, 16 and 32.
MOBILE_BLOCKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
MOBILE_ENDS = (2, 3, 5, 7)


def mobilenetv2(width: float = 1.0, stem: int = 3, stride_32: bool = False) -> Encoder:
    """MobileNetV2 (Sandler et al., CVPR 2018), with `width` times its channels.

    `stride_32` adds its last two rows, which have stride 32.
    """

    def scaled(channels: int) -> int:
        return max(16, int(channels * width + 4) // 8 * 8)

    channels = 32
    layers: list[nn.Module] = [conv(PLANES, channels, stem, 2)]
    stages: list[nn.Module] = []
    outs: list[int] = []
    rows = MOBILE_BLOCKS if stride_32 else MOBILE_BLOCKS[: MOBILE_ENDS[2]]
    for row, (expand, out, repeats, stride) in enumerate(rows, start=1):
        for i in range(repeats):
            layers.append(InvertedResidual(channels, scaled(out), stride if i == 0 else 1, expand))
            channels = scaled(out)
        if row in MOBILE_ENDS:
            stages.append(nn.Sequential(*layers))
            outs.append(channels)
            layers = []
    return Encoder(stages, outs)


def vgg() -> Encoder:
    """VGG-16 (Simonyan and Zisserman, ICLR 2015) at half the width, with batch normalization.

    Halvings come before the convolutions of the next size.
    """

    def block(inp: int, out: int, repeats: int) -> nn.Module:
        return nn.Sequential(*(conv(inp if i == 0 else out, out, 3) for i in range(repeats)))

    def half() -> nn.Module:
        return nn.MaxPool2d(2)

    return Encoder(
        [
            nn.Sequential(
                block(PLANES, 32, 2), half(), block(32, 64, 2), half(), block(64, 128, 3)
            ),
            nn.Sequential(half(), block(128, 256, 3)),
            nn.Sequential(half(), block(256, 256, 3)),
        ],
        [128, 256, 256],
    )


class BasicBlock(nn.Module):
    """Two 3 × 3 convolutions and a shortcut around them (He et al., CVPR 2016)."""

    def __init__(self, inp: int, out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(inp, out, 3, stride), nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        )
        self.shortcut = (
            nn.Identity()
            if stride == 1 and inp == out
            else nn.Sequential(nn.Conv2d(inp, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


def resnet18() -> Encoder:
    """ResNet-18 (He et al., CVPR 2016)."""

    def layer(inp: int, out: int, stride: int) -> nn.Module:
        return nn.Sequential(BasicBlock(inp, out, stride), BasicBlock(out, out, 1))

    stem = nn.Sequential(conv(PLANES, 64, 7, 2), nn.MaxPool2d(3, 2, 1))
    return Encoder(
        [nn.Sequential(stem, layer(64, 64, 1)), layer(64, 128, 2), layer(128, 256, 2)],
        [64, 128, 256],
    )


class ShuffleUnit(nn.Module):
    """ShuffleNetV2's unit: half of the channels pass unchanged, then all are shuffled."""

    def __init__(self, inp: int, out: int, stride: int) -> None:
        super().__init__()
        half = out // 2
        self.stride = stride
        self.body = nn.Sequential(
            conv(inp if stride == 2 else half, half, 1),
            Depthwise(half, 3, stride),
            nn.BatchNorm2d(half),
            conv(half, half, 1),
        )
        self.side = (
            nn.Sequential(Depthwise(inp, 3, stride), nn.BatchNorm2d(inp), conv(inp, half, 1))
            if stride == 2
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        side, body = (x, x) if self.stride == 2 else x.chunk(2, dim=1)
        both = torch.stack([self.side(side), self.body(body)], dim=2)
        return both.flatten(1, 2)  # shuffled: channels of both in turns


def shufflenetv2() -> Encoder:
    """ShuffleNetV2 at width 1 (Ma et al., ECCV 2018)."""

    def layer(inp: int, out: int, repeats: int) -> nn.Module:
        units = (
            ShuffleUnit(inp if i == 0 else out, out, 2 if i == 0 else 1) for i in range(repeats)
        )
        return nn.Sequential(*units)

    stem = nn.Sequential(conv(PLANES, 24, 3, 2), nn.MaxPool2d(3, 2, 1))
    return Encoder([stem, layer(24, 116, 4), layer(116, 232, 8)], [24, 116, 232])


class SqueezeExcite(nn.Module):
    """Weights of the channels from their means (Hu et al., CVPR 2018)."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.excite = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.excite(F.silu(self.squeeze(mean))))


class MBConv(Bottleneck):
    """EfficientNet's block: an inverted residual with squeeze-and-excitation (Tan and Le 2019)."""

    def __init__(self, inp: int, out: int, kernel: int, stride: int, expand: int) -> None:
        hidden, smooth = inp * expand, partial(conv, activation=nn.SiLU)
        layers: list[nn.Module] = [smooth(inp, hidden, 1)] if expand > 1 else []
        layers += [
            smooth(hidden, hidden, kernel, stride, depthwise=True),
            SqueezeExcite(hidden, max(1, inp // 4)),
            nn.Conv2d(hidden, out, 1, bias=False),
            nn.BatchNorm2d(out),
        ]
        super().__init__(layers, stride == 1 and inp == out)


def efficientnet() -> Encoder:
    """EfficientNet-B0 (Tan and Le, ICML 2019).

    Its squeeze takes the mean over the whole image that it gets.
    """

    def layer(inp: int, out: int, repeats: int, kernel: int, stride: int, expand: int) -> nn.Module:
        rest = (MBConv(out, out, kernel, 1, expand) for _ in range(repeats - 1))
        return nn.Sequential(MBConv(inp, out, kernel, stride, expand), *rest)

    stem = conv(PLANES, 32, 3, 2, activation=nn.SiLU)
    return Encoder(
        [
            nn.Sequential(stem, layer(32, 16, 1, 3, 1, 1), layer(16, 24, 2, 3, 2, 6)),
            layer(24, 40, 2, 5, 2, 6),
            nn.Sequential(layer(40, 80, 3, 3, 2, 6), layer(80, 112, 3, 5, 1, 6)),
        ],
        [24, 40, 112],
    )
