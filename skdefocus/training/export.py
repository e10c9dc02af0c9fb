"""Export a trained network to ONNX with its facts in the metadata.

``python -m skdefocus.training.export --run DIR --out MODEL.onnx`` calibrates the temperature on
held-out photographs, checks ONNX Runtime against PyTorch and writes the measured figures into the
file.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from scipy.ndimage import uniform_filter1d
from torch import Tensor, nn

from skdefocus._typing import AnyArray, Float64Array
from skdefocus.metrics import expected_calibration_error
from skdefocus.network import FORMAT
from skdefocus.training import dataset
from skdefocus.training.batches import in_parts
from skdefocus.training.evaluation import evaluate
from skdefocus.training.levels import N_LEVELS, drawn_levels, level_sigmas
from skdefocus.training.losses import cross_entropy
from skdefocus.training.networks import NETWORKS, Network
from skdefocus.training.scenes import CELL, TENTHS

#: Largest difference between ONNX Runtime's and PyTorch's answers.
TOLERANCE = 1e-4
CPU = torch.device("cpu")
#: Names of the dimensions that are free, of the input and of its outputs.
FREE = {
    "image": ({0: "n", 2: "h", 3: "w"}, {0: "n", 2: "rows", 3: "columns"}),
    "patches": ({0: "m"}, {0: "m"}),
}


class Shipped(nn.Module):
    """The network for use at run time: calibrated logits, and features."""

    def __init__(self, net: Network, temperature: float) -> None:
        super().__init__()
        self.net = net
        self.temperature = temperature

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features = self.net.features(image)
        return self.net.levels(features) / self.temperature, features


def load(checkpoint: Path) -> tuple[Network, dict[str, Any]]:
    """Load the best averaged network of a checkpoint for inference, and the checkpoint."""
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    net = NETWORKS[saved["config"]["network"]]()
    net.load_state_dict(saved.get("best") or saved["average"])
    return net.eval(), saved


@torch.no_grad()
def answers(net: nn.Module, records: AnyArray) -> tuple[Tensor, Tensor]:
    """Compute logits (N, L, h, w) and true levels (N, h, w) of a sixteenth of the cells."""
    found = []
    for x, y in in_parts(records, CPU):
        found.append((net(x)[:, :, 2::4, 2::4], y[:, 2::4, 2::4]))
    logits, level = zip(*found, strict=True)
    return torch.cat(logits), torch.cat(level)


def temperature_of(logits: Tensor, level: Tensor) -> float:
    """Find the temperature of least cross-entropy (Guo et al., ICML 2017)."""
    grid = np.exp(np.linspace(-0.5, 0.5, 41))
    losses = [float(cross_entropy(logits / float(t), level)) for t in grid]
    return float(grid[int(np.argmin(losses))])


def calibration_error(logits: Tensor, level: Tensor) -> float:
    """Compute the expected calibration error of the most probable level."""
    proba = torch.softmax(logits, 1).movedim(1, -1).reshape(-1, logits.shape[1])
    drawn = drawn_levels(level.reshape(-1).numpy(), np.random.default_rng(0))
    return expected_calibration_error(proba.numpy(), drawn)


def prior_of(records: AnyArray) -> Float64Array:
    """Estimate how common the levels are, smoothed over five except for the first and last."""
    level = np.round(records["level"] / TENTHS).astype(int)
    counts = np.bincount(level.ravel(), minlength=N_LEVELS) / level.size
    counts[1:-1] = uniform_filter1d(counts[1:-1], 5, mode="nearest")
    return np.asarray((counts + 1e-4) / (counts + 1e-4).sum())


def reach_of(net: Network, side: int = 640) -> int:
    """Measure how many pixels beyond a cell affect its answer, by the extent of the gradient.

    Squeeze-and-excitation depends on the whole image; for such a network it is half of `side`.
    """
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


def to_onnx(
    model: nn.Module, path: Path, example: Tensor, outputs: list[str], given: str = "image"
) -> None:
    """Write a module for gray images (N, 1, H, W), or for patches; see `FREE`."""
    free, answered = FREE[given]
    axes = {given: free} | dict.fromkeys(outputs, answered)
    with warnings.catch_warnings():
        # The tracing exporter is deprecated, but the other one needs one more package.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            model,
            (example,),
            str(path),
            input_names=[given],
            output_names=outputs,
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )


def export(
    run: Path, out: Path, history: str = "", check: AnyArray | None = None
) -> dict[str, float]:
    """Calibrate the network of a run, write the ONNX file and check it against PyTorch.

    Parameters
    ----------
    run : path
        Folder of a training, with ``checkpoint.pt`` and ``held_out``.
    out : path
        The file, which appears once it is complete and checked.
    history : str
        Text on the training to add to the model card.
    check : ndarray or None
        Held-out records, in place of those in the run's folder.

    Returns
    -------
    dict
        The figures on held-out crops that are written into the file.
    """
    torch.manual_seed(0)
    net, saved = load(run / "checkpoint.pt")
    if check is None:
        check = np.concatenate(list(dataset.read_shards(run / "held_out")))
    # Odd records set the temperature, even ones are measured.
    temperature = temperature_of(*answers(net, check[1::2]))
    logits, level = answers(net, check[::2])
    ece = calibration_error(logits / temperature, level)
    figures = evaluate(net, check[::2]) | {"ece": ece}
    model = Shipped(net, temperature).eval()
    part = out.with_suffix(".part")
    to_onnx(model, part, torch.rand(2, 1, 64, 96), ["logits", "features"])
    facts = metadata(saved, net, figures, history)
    facts |= {"temperature": f"{temperature:.4f}", "prior": json.dumps(prior_of(check).tolist())}
    describe(part, facts)
    compare(model, part, net.multiple)
    part.replace(out)
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB, temperature {temperature:.3f}, {figures}")
    return figures


def metadata(
    saved: dict[str, Any], net: Network, figures: dict[str, float], history: str
) -> dict[str, str]:
    """Collect the facts that travel with the network."""
    return {
        "format": FORMAT,
        "sigmas": json.dumps(level_sigmas().tolist()),
        "patch_size": str(dataset.PATCH),
        "stride": str(CELL),
        "multiple": str(net.multiple),
        "reach": str(reach_of(net)),
        "normalization": "gray (Rec. 601 luma) in [0, 1]; contrast normalization in the graph",
        "history": history,
        **training_facts(saved, figures),
    }


def training_facts(saved: dict[str, Any], figures: dict[str, float]) -> dict[str, str]:
    """Collect the facts about the training of a checkpoint's network."""
    config, data = saved["config"], saved.get("facts", {})
    return {
        "network": str(config["network"]),
        "training": json.dumps(config | {"start": Path(config.get("start", "")).name}),
        "training_data": (
            f"{data.get('scenes', config['scenes'])} scenes of {config['size']} px, seed "
            f"{config['seed']}, from {data.get('photographs', '?')} photographs; "
            f"{data.get('held_out', '?')} more were held out"
        ),
        "training_data_digest": str(data.get("digest", "")),
        "training_steps": str(saved["step"]),
        "training_crops": str(round(saved["crops"])),
        "training_minutes": f"{saved['seconds'] / 60:.0f}",
        "held_out": json.dumps({k: round(v, 4) for k, v in figures.items()}),
    }


def describe(path: Path, facts: dict[str, str]) -> None:
    """Write facts into the metadata of an ONNX file."""
    file = onnx.load(path)
    file.metadata_props.clear()
    for key, value in facts.items():
        entry = file.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.checker.check_model(file)
    onnx.save(file, path)


def compare(model: nn.Module, path: Path, multiple: int) -> None:
    """Exit if ONNX Runtime's answers differ from PyTorch's, on images of two sizes."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for n, rows, columns in ((3, 3, 3), (1, 7, 10)):
        x = torch.rand(n, 1, rows * multiple, columns * multiple)
        with torch.no_grad():
            expected = [t.numpy() for t in model(x)]
        got = session.run(["logits", "features"], {"image": x.numpy()})
        worst = max(float(np.abs(e - g).max()) for e, g in zip(expected, got, strict=True))
        if not worst <= TOLERANCE:
            raise SystemExit(f"ONNX differs from PyTorch by {worst}, more than {TOLERANCE}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--history", default="", help="text to add to the card")
    export(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
