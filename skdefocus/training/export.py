"""Export a trained network to ONNX with its facts in the metadata.

``python -m skdefocus.training.export --run DIR --out MODEL.onnx`` calibrates the temperature on
photographs held out, checks ONNX Runtime against PyTorch and writes the figures that it measured
into the file.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from torch import Tensor, nn

from skdefocus.network import FORMAT
from skdefocus.training import dataset
from skdefocus.training.levels import N_LEVELS, level_sigmas
from skdefocus.training.losses import cross_entropy
from skdefocus.training.networks import MULTIPLE, NETWORKS
from skdefocus.training.scenes import CELL, TENTHS
from skdefocus.training.train import evaluate, tensors

#: Largest difference between ONNX Runtime's and PyTorch's answers.
TOLERANCE = 1e-4


class Shipped(nn.Module):
    """The network as it is called at run time: calibrated logits, and features."""

    def __init__(self, net: nn.Module, temperature: float) -> None:
        super().__init__()
        self.net = net
        self.temperature = temperature

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features = self.net.features(image)
        return self.net.levels(features) / self.temperature, features


def load(checkpoint: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The averaged network of a checkpoint, ready for inference, and the checkpoint."""
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    net = NETWORKS[saved["config"]["network"]]()
    net.load_state_dict(saved["average"])
    return net.eval(), saved


@torch.no_grad()
def temperature_of(net: nn.Module, records: NDArray[Any]) -> float:
    """The temperature of least cross-entropy (Guo et al., ICML 2017)."""
    grid = np.exp(np.linspace(-0.5, 0.5, 41))
    losses = np.zeros(len(grid))
    for start in range(0, len(records), 16):
        part = records[start : start + 16]
        x, y = tensors(part["crop"], part["level"], torch.device("cpu"))
        logits = net(x)
        losses += [float(cross_entropy(logits / float(t), y)) for t in grid]
    return float(grid[int(np.argmin(losses))])


def prior_of(records: NDArray[Any]) -> NDArray[np.float64]:
    """How common the levels are, smoothed over five of them but for the first and the last."""
    level = np.round(records["level"] / TENTHS).astype(int)
    counts = np.bincount(level.ravel(), minlength=N_LEVELS) / level.size
    counts[1:-1] = uniform_filter1d(counts[1:-1], 5, mode="nearest")
    return np.asarray((counts + 1e-4) / (counts + 1e-4).sum())


def reach_of(net: nn.Module, side: int = 640) -> int:
    """How far beyond a cell its answer depends on pixels: where the gradient ends."""
    image = torch.rand(1, 1, side, side, requires_grad=True)
    net.double()
    out = net(image.double())
    middle = out.shape[-1] // 2
    out[0, :, middle, middle].sum().backward()
    net.float()
    assert image.grad is not None
    used = np.flatnonzero(image.grad[0, 0].abs().sum(0).numpy() > 0)
    start = middle * CELL
    return int(max(start - used[0], used[-1] + 1 - (start + CELL)))


def export(run: Path, out: Path, history: str = "") -> dict[str, float]:
    """Write the ONNX file; returns the figures on held-out crops that are written into it.

    `history` is what else the model card should tell of the training.
    """
    torch.manual_seed(0)
    net, saved = load(run / "checkpoint.pt")
    check = np.concatenate(list(dataset.read_shards(run / "held_out")))
    # Odd records set the temperature, even ones are measured.
    temperature = temperature_of(net, check[1::2])
    figures = evaluate(net, check[::2])
    model = Shipped(net, temperature).eval()
    axes = {0: "n", 2: "h", 3: "w"}
    grid = {0: "n", 2: "rows", 3: "columns"}
    torch.onnx.export(
        model, (torch.rand(2, 1, 64, 96),), str(out), input_names=["image"],
        output_names=["logits", "features"], opset_version=17, dynamo=False,
        dynamic_axes={"image": axes, "logits": grid, "features": grid},
    )  # fmt: skip
    facts = metadata(saved, temperature, reach_of(net), figures, history)
    _describe(out, facts | {"prior": json.dumps(prior_of(check).tolist())})
    compare(model, out)
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB, temperature {temperature:.3f}, {figures}")
    return figures


def metadata(
    saved: dict[str, Any], temperature: float, reach: int, figures: dict[str, float], history: str
) -> dict[str, str]:
    """The facts that travel with the network."""
    return {
        "format": FORMAT,
        "network": str(saved["config"]["network"]),
        "sigmas": json.dumps(level_sigmas().tolist()),
        "patch_size": str(dataset.PATCH),
        "stride": str(CELL),
        "multiple": str(MULTIPLE),
        "reach": str(reach),
        "normalisation": "gray (Rec. 601 luma) in [0, 1]; contrast normalization in the graph",
        "temperature": f"{temperature:.4f}",
        "training": json.dumps(saved["config"]),
        "training_steps": str(saved["step"]),
        "training_crops": str(round(saved["crops"])),
        "training_minutes": f"{saved['seconds'] / 60:.0f}",
        "scenes_digest": str(saved.get("digest", "")),
        "history": history,
        "held_out": json.dumps({k: round(v, 4) for k, v in figures.items()}),
    }


def _describe(path: Path, facts: dict[str, str]) -> None:
    file = onnx.load(path)
    file.metadata_props.clear()
    for key, value in facts.items():
        entry = file.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.checker.check_model(file)
    onnx.save(file, path)


def compare(model: nn.Module, path: Path) -> None:
    """Exit if ONNX Runtime's answers differ from PyTorch's."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for shape in ((3, 1, 96, 96), (1, 1, 208, 320)):
        x = torch.rand(shape)
        with torch.no_grad():
            expected = [t.numpy() for t in model(x)]
        got = session.run(["logits", "features"], {"image": x.numpy()})
        worst = max(float(np.abs(e - g).max()) for e, g in zip(expected, got, strict=True))
        if worst > TOLERANCE:
            raise SystemExit(f"ONNX differs from PyTorch by {worst}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--history", default="", help="what else the card should tell")
    export(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
