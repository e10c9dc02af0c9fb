"""The networks, in PyTorch: an encoder of a well-known architecture, and one decoder for all.

A network maps (N, 1, H, W) gray values in [0, 1], H and W multiples of its `multiple`, to
(N, 20, H / 4, W / 4) logits: one answer for every cell of 4 × 4 pixels, from the cell and
its surroundings. A patch classifier, as in the paper, maps (N, 1, 32, 32) to (N, 20, 1, 1).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skdefocus.training import encoders
from skdefocus.training.encoders import Encoder, InvertedResidual, mobilenetv2
from skdefocus.training.levels import N_LEVELS

#: Width of the decoder.
DECODER = 64
#: Stride of the encoders' first stage, and so of the answers.
FINEST = 4


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


class Network(nn.Module):
    """An encoder, and a decoder that joins its outputs from coarse to fine.

    At every stride, a 1 × 1 projection of the encoder's output is added to the enlarged result of
    the coarser strides, and the sum goes through one inverted residual.

    Attributes
    ----------
    multiple : int
        Unit of the images' height and width, which must be multiples of it.
    """

    def __init__(self, encoder: Encoder, n_levels: int = N_LEVELS, width: int = DECODER) -> None:
        super().__init__()
        self.contrast = Contrast()
        self.encoder = encoder
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in encoder.channels)
        self.join = nn.ModuleList(InvertedResidual(width, width, 1, 2) for _ in encoder.channels)
        self.levels = nn.Conv2d(width, n_levels, 1)
        self.multiple = FINEST * 2 ** (len(encoder.channels) - 1)

    def features(self, x: Tensor) -> Tensor:
        """Compute the input (N, width, H / 4, W / 4) of the last layer."""
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


class PatchClassifier(nn.Module):
    """An encoder, the mean of its last output over the patch, and a linear layer."""

    def __init__(self, encoder: Encoder, n_levels: int = N_LEVELS) -> None:
        super().__init__()
        self.contrast = Contrast()
        self.encoder = encoder
        self.levels = nn.Conv2d(encoder.channels[-1], n_levels, 1)

    def forward(self, x: Tensor) -> Tensor:
        last = self.encoder(self.contrast(x))[-1]
        return self.levels(last.mean((2, 3), keepdim=True))


ENCODERS: dict[str, Callable[[], Encoder]] = {
    "mobilenetv2": mobilenetv2,
    "mobilenetv2-stem5": partial(mobilenetv2, stem=5),
    "mobilenetv2-stem5-whole": partial(mobilenetv2, stride_32=True, stem=5),
    "mobilenetv2-0.5": partial(mobilenetv2, 0.5),
    "mobilenetv2-1.4": partial(mobilenetv2, 1.4),
    "mobilenetv2-whole": partial(mobilenetv2, stride_32=True),
    "vgg": encoders.vgg,
    "resnet18": encoders.resnet18,
    "shufflenetv2": encoders.shufflenetv2,
    "efficientnet": encoders.efficientnet,
}


def _network(name: str) -> Network:
    return Network(ENCODERS[name]())


def _classifier(name: str) -> PatchClassifier:
    return PatchClassifier(ENCODERS[name]())


NETWORKS: dict[str, Callable[[], Network]] = {name: partial(_network, name) for name in ENCODERS}
CLASSIFIERS: dict[str, Callable[[], PatchClassifier]] = {
    name: partial(_classifier, name) for name in ENCODERS
}
