"""The networks, in PyTorch. All are fully convolutional with a stride of 8 or 4.

A network maps (N, 1, H, W) grey values in [0, 1] to (N, 20, (H - 32) // s + 1, (W - 32) // s + 1)
logits, s being its stride: one answer for a 32×32 patch, a grid of answers, one per window, for
anything larger.
"""

from __future__ import annotations

from pathlib import Path

import onnx
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
        self.stride = 8
        self.body = nn.Sequential(Contrast(), *layers)
        self.pool = nn.Sequential(
            nn.Conv2d(channels, channels * 2, 4, groups=channels, bias=False),
            nn.BatchNorm2d(channels * 2),
            conv(channels * 2, head, 1),
        )
        self.dropout = nn.Dropout2d(0.1)
        self.abstains = abstains
        self.levels = nn.Conv2d(head, n_levels + abstains, 1)

    def answers(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, and the features of which they, but for the dropout, are a linear function."""
        features = self.pool(self.body(x))
        z = self.levels(self.dropout(features))
        if self.abstains:
            p = torch.softmax(z, 1)
            z = torch.log(p[:, :-1] + p[:, -1:] / (z.shape[1] - 1))
        return z, features

    def forward(self, x: Tensor) -> Tensor:
        return self.answers(x)[0]


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


class Dilated(nn.Module):
    """Adds to every cell what a 3×3 window of cells `apart` from each other says of it."""

    def __init__(self, channels: int, narrow: int, apart: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, narrow, 3, padding=apart, dilation=apart, bias=False),
            nn.BatchNorm2d(narrow),
            nn.ReLU6(inplace=True),
            nn.Conv2d(narrow, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x))


class Surroundings(nn.Module):
    """A network for windows, and on top of it one that looks at their surroundings.

    The first answers for every window alone, every 8 pixels. The second corrects its logits and
    answers every 4 pixels: dilated convolutions over the first one's features see 140 pixels far,
    so that a place that shows nothing takes part in what the surface around it shows; laid over
    the first one's stage at a quarter of the size (as in Ronneberger et al., "U-Net", MICCAI 2015),
    they know to four pixels where surfaces end. The first is trained before and stays as it is,
    until :meth:`release`.

    Parameters
    ----------
    widths : tuple of int
        Channels of the stages of the first network, see :func:`vgg`.
    last, n_features : int
        Channels of its last stage, and its number of features.
    wide, narrow : int
        Channels of the dilated blocks, outside and inside.
    n_levels : int
        Number of logits.
    head : int
        Number of features of the second network.
    """

    def __init__(
        self,
        widths: tuple[int, int, int] = (16, 32, 64),
        last: int = 128,
        n_features: int = 512,
        wide: int = 96,
        narrow: int = 48,
        n_levels: int = 20,
        head: int = 64,
    ) -> None:
        super().__init__()
        self.stride = 4
        self.base = vgg(widths, last)
        # Half a cell more where the size is no multiple of 8, so that every pixel counts.
        *stages, self.base_pool, deep1, deep2 = self.base.body
        self.base_pool.ceil_mode = True
        self.stages, self.deep = nn.Sequential(*stages), nn.Sequential(self.base_pool, deep1, deep2)
        self.around = nn.Sequential(
            conv(n_features + n_levels, wide, 1),
            *(Dilated(wide, narrow, apart) for apart in (1, 2, 4, 8, 2)),
            conv(wide, narrow, 1),
        )
        # A window's middle is a corner of four cells of the map.
        self.corner = nn.Sequential(
            nn.Conv2d(widths[-1], narrow, 2, bias=False),
            nn.BatchNorm2d(narrow),
            nn.ReLU6(inplace=True),
        )
        self.join = conv(2 * narrow, head, 3)
        self.dropout = nn.Dropout2d(0.05)
        self.correction = nn.Conv2d(head, n_levels, 1)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)
        self.base.requires_grad_(False)
        self.fixed = [self.base]

    def release(self) -> None:
        """Let the first network learn as well, but for its stages at full and at half size.

        What these see is of use as it is, and they take most of a step's time.
        """
        self.base.requires_grad_(True)
        self.fixed = list(self.stages)[:7]
        for module in self.fixed:
            module.requires_grad_(False)

    def train(self, mode: bool = True) -> Surroundings:
        super().train(mode)
        for module in self.fixed:
            module.eval()
        return self

    def answers(self, x: Tensor) -> tuple[Tensor, Tensor]:
        fine = self.stages(x)
        alone = self.base.pool(self.deep(fine))
        logits = self.base.levels(alone)
        rows, columns = (n // 4 - 7 for n in x.shape[2:])

        def finer(x: Tensor) -> Tensor:
            size = (2 * x.shape[2] - 1, 2 * x.shape[3] - 1)
            x = F.interpolate(x, size=size, mode="bilinear", align_corners=True)
            return x[:, :, :rows, :columns]

        far = finer(self.around(torch.cat([alone, torch.softmax(logits, 1)], dim=1)))
        near = self.corner(fine[:, :, 3:-3, 3:-3])
        both = self.join(torch.cat([near, far], dim=1))
        logits = finer(logits)
        # The first network's features would be five times as many, and are in its logits.
        features = torch.cat([logits, both], dim=1)
        return logits + self.correction(self.dropout(both)), features

    def forward(self, x: Tensor) -> Tensor:
        return self.answers(x)[0]


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


@torch.no_grad()
def warm_start(net: nn.Module, model: Path, images: Tensor) -> None:
    """Begin with the convolutions of an exported network, as far as they have the same shapes.

    An exported network has no batch normalisation any more, it has become part of the convolutions.
    Here every normalisation gets the scale and shift that undo it on `images`, so that it changes
    nothing at first and can be trained as usual.
    """
    exported = onnx.load(model)
    arrays = {a.name: onnx.numpy_helper.to_array(a).copy() for a in exported.graph.initializer}
    given = [[arrays[i] for i in n.input[1:]] for n in exported.graph.node if n.op_type == "Conv"]
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    hooks = []

    def neutral(norm: nn.Module, inputs: tuple[Tensor], bias: Tensor) -> None:
        variance, mean = torch.var_mean(inputs[0], dim=(0, 2, 3))
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(mean + bias)

    convs = (i for i, m in enumerate(layers) if isinstance(m, nn.Conv2d))
    count = 0
    for (weight, bias), i in zip(given, convs, strict=False):
        if weight.shape != tuple(layers[i].weight.shape):
            break
        count += 1
        weight, bias = torch.from_numpy(weight), torch.from_numpy(bias)
        if layers[i].bias is not None:  # the last one, whose logits are divided by a temperature
            weight, bias = (x / temperature_of(exported) for x in (weight, bias))
            layers[i].bias.copy_(bias)
        else:
            hooks.append(
                layers[i + 1].register_forward_pre_hook(lambda m, x, b=bias: neutral(m, x, b))
            )
        layers[i].weight.copy_(weight)
    print(f"the first {count} convolutions are those of {model}")
    net.eval()
    net(images)
    for hook in hooks:
        hook.remove()
    net.train()


def temperature_of(exported: onnx.ModelProto) -> float:
    return float({p.key: p.value for p in exported.metadata_props}["temperature"])


NETWORKS = {
    "mobilenetv2": lambda: mobilenetv2(1.0),
    "mobilenetv2-0.5": lambda: mobilenetv2(0.5),
    "mobilenetv2-0.5-abstains": lambda: mobilenetv2(0.5, abstains=True),
    "vgg": vgg,
    "vgg-0.5": lambda: vgg((16, 32, 64)),
    "resnet18": resnet18,
    "shufflenetv2": shufflenetv2,
    "surroundings": Surroundings,
}
