"""The networks, in PyTorch: an encoder of a well-known architecture, and one decoder for all.

A network maps (N, 1, H, W) gray values in [0, 1], H and W multiples of its `multiple`, to
(N, 20, H / 4, W / 4) logits: one answer for every cell of 4 × 4 pixels, from the cell and
its surroundings. A patch classifier, as in the paper, maps (N, 1, 32, 32) to (N, 20, 1, 1); the
shipped model file holds a network and a patch network, with the same last layer.
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
#: Width of the hidden layer of a patch network, and share of it that is dropped in training.
HIDDEN, DROPPED = 256, 0.1


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


class PatchNetwork(nn.Module):
    """Two encoders, one for a patch and one for it at half its size, and layers that join them.

    Mean, standard deviation and maximum of the encoders' outputs over the patch go through a hidden
    layer to `width` features. The last layer is that of the dense network and stays as it is, so
    that both networks have features of the same meaning, and one re-fitted last layer serves both.
    """

    def __init__(
        self, encoder: Callable[[], Encoder], n_levels: int = N_LEVELS, width: int = DECODER
    ) -> None:
        super().__init__()
        self.contrast = Contrast()
        self.full, self.reduced = encoder(), encoder()
        count = 3 * sum(self.full.channels + self.reduced.channels)
        self.join = nn.Sequential(
            nn.BatchNorm2d(count, affine=False),
            nn.Conv2d(count, HIDDEN, 1, bias=False),
            nn.BatchNorm2d(HIDDEN),
            nn.ReLU(inplace=True),
            nn.Dropout(DROPPED),
            nn.Conv2d(HIDDEN, width, 1),
        )
        self.levels = nn.Conv2d(width, n_levels, 1).requires_grad_(False)

    def begin_with(self, dense: dict[str, Tensor]) -> None:
        """Take the weights of a dense network's encoder and last layer."""
        encoder, levels = (
            {k.removeprefix(name): v for k, v in dense.items() if k.startswith(name)}
            for name in ("encoder.", "levels.")
        )
        self.full.load_state_dict(encoder)
        self.reduced.load_state_dict(encoder)
        self.levels.load_state_dict(levels)

    def statistics(self, x: Tensor) -> Tensor:
        """Compute the statistics (N, channels, 1, 1) of the encoders' outputs."""
        outputs = self.full(self.contrast(x)) + self.reduced(self.contrast(F.avg_pool2d(x, 2)))
        return torch.cat([statistics(z) for z in outputs], dim=1)

    def features(self, x: Tensor) -> Tensor:
        """Compute the input (N, width, 1, 1) of the last layer."""
        return self.join(self.statistics(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.levels(self.features(x))


def statistics(x: Tensor) -> Tensor:
    """Compute mean, standard deviation and maximum (N, 3 C, 1, 1) of planes (N, C, h, w)."""
    x = x.float()
    mean = x.mean((2, 3), keepdim=True)
    variance = ((x - mean) ** 2).mean((2, 3), keepdim=True)
    return torch.cat([mean, (variance + 1e-4).sqrt(), x.amax((2, 3), keepdim=True)], dim=1)


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
