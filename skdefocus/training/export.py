"""Export a trained network to ONNX with its facts in the metadata.

``python -m skdefocus.training.export --run DIR --data FILE --out MODEL.onnx`` calibrates the
temperature on held-out photographs, checks ONNX Runtime against PyTorch and writes the figures
that it measured into the file.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skdefocus.metrics import expected_calibration_error
from skdefocus.network import FORMAT
from skdefocus.training.crops import PATCH, STRIDE
from skdefocus.training.levels import SPACINGS, soft_targets
from skdefocus.training.networks import NETWORKS
from skdefocus.training.train import evaluate, split


class Shipped(nn.Module):
    """The network as it is called at run time: calibrated logits, and features."""

    def __init__(self, net: nn.Module, temperature: float) -> None:
        super().__init__()
        self.net = net
        self.temperature = temperature

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features = self.net.features(image)
        return self.net.logits(features) / self.temperature, features


def load(run: Path) -> tuple[nn.Module, dict[str, object]]:
    """The averaged network of a checkpoint, ready for inference, and the checkpoint."""
    saved = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)
    net = NETWORKS[saved["network"]]()
    weights = {
        k.removeprefix("module."): v for k, v in saved["average"].items() if k != "n_averaged"
    }
    net.load_state_dict(weights)
    return net.eval(), saved


@torch.no_grad()
def logits_of(net: nn.Module, crops: np.ndarray) -> Tensor:
    """(windows, levels) of all windows of all crops."""
    parts = np.array_split(crops, max(1, len(crops) // 100))
    z = torch.cat([net(torch.from_numpy(c.copy())[:, None].float() / 255) for c in parts])
    return z.movedim(1, -1).reshape(-1, z.shape[1])


def temperature_of(z: Tensor, target: Tensor) -> float:
    """The temperature of least cross-entropy (Guo et al., ICML 2017)."""
    grid = np.exp(np.linspace(-0.7, 0.7, 57))
    losses = [float(F.cross_entropy(z / t, target)) for t in grid]
    return float(grid[int(np.argmin(losses))])


def calibration_error(z: Tensor, target: Tensor, even: np.ndarray) -> float:
    """Expected calibration error; each half of the photographs at the other half's temperature."""
    proba = torch.empty_like(z)
    for half in (torch.from_numpy(even), torch.from_numpy(~even)):
        proba[half] = torch.softmax(z[half] / temperature_of(z[~half], target[~half]), 1)
    return expected_calibration_error(proba.numpy(), target.argmax(1).numpy())


def reach_of(net: nn.Module) -> int:
    """How far beyond a window its answer depends on pixels: where the gradient ends."""
    side = 512 + PATCH
    image = torch.rand(1, 1, side, side, requires_grad=True)
    out = net(image)
    middle = out.shape[-1] // 2
    out[0, :, middle, middle].sum().backward()
    used = np.flatnonzero(image.grad[0, 0].abs().sum(0).numpy() > 0)
    start = middle * STRIDE
    return int(max(start - used[0], used[-1] + 1 - (start + PATCH)))


def export(
    run: Path, data: Path, out: Path, version: str = "1", history: str = ""
) -> dict[str, float]:
    """Write the ONNX file; returns the figures on held-out crops that stand in it.

    `history` is what else the model card should tell of the training.
    """
    torch.manual_seed(0)
    net, saved = load(run)
    records, _, check = split(data)
    facts = json.loads(data.with_suffix(".json").read_text())
    middle = check[:: max(1, len(check) // 3000)]
    sigmas = SPACINGS[str(saved.get("spacing", "visible"))]
    z = logits_of(net, records["crop"][middle])
    sigma = records["sigma"][middle]
    target = torch.from_numpy(soft_targets(sigma.reshape(-1), sigmas))
    temperature = temperature_of(z, target)
    even = np.repeat(records["photo"][middle] % 2 == 0, sigma[0].size)
    figures = evaluate(net, records, middle, sigmas)
    figures["ece"] = calibration_error(z, target, even)
    model = Shipped(net, temperature).eval()
    example = torch.rand(2, 1, 48, 64)
    axes = {0: "n", 2: "h", 3: "w"}
    grid = {0: "n", 2: "rows", 3: "columns"}
    torch.onnx.export(
        model, (example,), str(out), input_names=["image"], output_names=["logits", "features"],
        dynamic_axes={"image": axes, "logits": grid, "features": grid}, opset_version=17,
        dynamo=False,
    )  # fmt: skip
    file = onnx.load(out)
    file.metadata_props.clear()
    for key, value in {
        "format": FORMAT,
        "version": version,
        "network": str(saved["network"]),
        "sigmas": json.dumps(sigmas.tolist()),
        "patch_size": str(PATCH),
        "stride": str(STRIDE),
        "reach": str(reach_of(net)),
        "normalisation": "grey (Rec. 601 luma) in [0, 1]; contrast normalisation in the graph",
        "temperature": f"{temperature:.4f}",
        "training_data": f"{facts['records']} crops of {facts['size']} px, seed {facts['seed']}, "
        f"{len(facts['photographs'])} photographs ({sum(facts['validation'])} held out)",
        "training_data_digest": str(facts["digest"]),
        "training_steps": str(saved["step"]),
        "history": history,
        "held_out": json.dumps({k: round(v, 4) for k, v in figures.items()}),
    }.items():
        entry = file.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.checker.check_model(file)
    onnx.save(file, out)
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    for shape in ((3, 1, 32, 32), (1, 1, 200, 312)):
        x = torch.rand(shape)
        with torch.no_grad():
            expected = [t.numpy() for t in model(x)]
        got = session.run(["logits", "features"], {"image": x.numpy()})
        worst = max(float(np.abs(e - g).max()) for e, g in zip(expected, got, strict=True))
        if worst > 1e-4:
            raise SystemExit(f"ONNX differs from PyTorch by {worst}")
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB, temperature {temperature:.3f}, {figures}")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--version", default="1")
    parser.add_argument("--history", default="", help="what else the card should tell")
    args = parser.parse_args()
    export(**vars(args))


if __name__ == "__main__":
    main()
