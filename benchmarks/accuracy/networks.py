"""Networks, level spacings, losses and data, all trained alike on the same crops.

``python -m benchmarks.accuracy.networks --data FILE --out DIR`` trains each for the same number of
steps, measures it on held-out photographs and on the Lytro photographs, and writes a section of
RESULTS.md. A run that is there already is not repeated, a killed one goes on where it was.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

import skdefocus as sd
from benchmarks import report
from benchmarks.accuracy.__main__ import lytro_cases
from skdefocus._grids import enlarge, whole
from skdefocus.pipeline._filling import mean_and_evidence
from skdefocus.training.export import export, load
from skdefocus.training.train import split, train

BASE = {"network": "mobilenetv2-0.5", "loss": "cross_entropy", "spacing": "visible"}
#: What each run changes of the base.
RUNS: dict[str, dict[str, Any]] = {
    "base: MobileNetV2 at width 0.5": {},
    "MobileNetV2 at width 1.0": {"network": "mobilenetv2"},
    "VGG-like": {"network": "vgg"},
    "VGG-like, the first three stages half as wide": {"network": "vgg-0.5"},
    "ResNet-18-like": {"network": "resnet18"},
    "ShuffleNetV2": {"network": "shufflenetv2"},
    "levels uniform in σ": {"spacing": "uniform"},
    "levels geometric in σ": {"spacing": "geometric"},
    "targets smoothed over neighbours": {"loss": "smoothed"},
    "ordinal loss beside cross-entropy": {"loss": "ordinal"},
    "regression of the level beside it": {"loss": "regression"},
    "likelihood with a learned variance": {"loss": "learned_variance"},
    "even targets on flat windows": {"even_flat": True},
    "an output that abstains": {"network": "mobilenetv2-0.5-abstains"},
    "textured crops only": {"crops": "textured"},
    "neither flipped nor transposed": {"flips": False},
    "weights not averaged": {"averaged": False},
}


def macs(net: torch.nn.Module) -> float:
    """Millions of multiply-accumulates for one patch of 32×32."""
    total = 0

    def count(layer: torch.nn.Conv2d, _: object, out: torch.Tensor) -> None:
        nonlocal total
        total += out[0].numel() * layer.weight[0].numel()

    for layer in net.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(count)
    net(torch.rand(1, 1, 32, 32))
    return total / 1e6


def rates(models: list[Path]) -> list[float]:
    """Patches per second of each on one thread, timed in turns: the median of nine."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = [
        onnxruntime.InferenceSession(str(m), options, providers=["CPUExecutionProvider"])
        for m in models
    ]
    x = np.random.default_rng(0).random((256, 1, 32, 32), np.float32)
    seconds: list[list[float]] = [[] for _ in sessions]
    for _ in range(10):
        for session, spent in zip(sessions, seconds, strict=True):
            start = time.perf_counter()
            session.run(["logits"], {"image": x})
            spent.append(time.perf_counter() - start)
    return [len(x) / float(np.median(s[1:])) for s in seconds]


def lytro_auc(model: Path) -> list[float]:
    """Mean and least focus AUC of the raw mean level, over all and over the surer half of cells."""
    classifier, found = sd.BlurLevelClassifier(model), []
    for case in lytro_cases():
        grid = classifier.transform(sd.PatchExtractor().transform([case.image]))[0]
        level, sure = (
            enlarge(x, grid.step, whole(case.image.shape)) for x in mean_and_evidence(grid.proba)
        )
        half = sure >= np.median(sure)
        masks = [case.mask, np.where(half, case.mask, np.nan)]
        # Where the surer half is all in focus, or all out of it, there is nothing to rank.
        found.append(
            [
                sd.metrics.focus_auc(mask, level) if {0, 1} <= {*np.unique(mask)} else np.nan
                for mask in masks
            ]
        )
    return [*np.nanmean(found, axis=0), *np.nanmin(found, axis=0)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    records = split(args.data)[0]
    rows, models = [], []
    for name, change in RUNS.items():
        run = args.out / name.replace(" ", "-").replace(":", "")
        settings = BASE | change
        only = records["textured"] if settings.pop("crops", None) else None
        if not (run / "model.onnx").exists():
            train(args.data, run, epochs=1, steps=args.steps, threads=args.threads, only=only,
                  log=False, **settings)  # fmt: skip
        figures = export(run, args.data, run / "model.onnx")
        net = load(run)[0]
        parameters = sum(p.numel() for p in net.parameters())
        rows.append(
            [name, figures["mae"], figures["mae_textured"], figures["mae_sure"],
             figures["mae_unsure"], figures["top_one"], figures["within_one"],
             *lytro_auc(run / "model.onnx"), parameters / 1e6,
             (run / "model.onnx").stat().st_size / 1e6, macs(net)]
        )  # fmt: skip
        models.append(run / "model.onnx")
    write(args.steps, rows, rates(models))


def write(steps: int, rows: list[list], speed: list[float]) -> None:
    titles = ["", "σ MAE", "textured", "sure half", "unsure half", "top-1", "within one",
              "Lytro AUC", "sure half", "least", "sure half",
              "M weights", "MB", "M MACs", "patches/s"]  # fmt: skip
    cells: list[list[object]] = [
        [row[0], *(f"{v:.3f}" for v in row[1:11]), *(f"{v:.2f}" for v in row[11:]), f"{rate:.0f}"]
        for row, rate in zip(rows, speed, strict=True)
    ]
    table = report.table(titles, cells)
    report.write(
        "networks",
        f"""## Networks, levels, losses and data, trained alike

`python -m benchmarks.accuracy.networks`; {report.machine("torch", "onnxruntime")}. {steps} steps of
64 crops each, the same crops in the same order; errors in pixels on held-out photographs under the
conditions of training (noise, JPEG, flat places, depth edges); Lytro AUC of the raw mean level over
40 photographs, over all pixels and over the surer half of them, mean and least; MACs for one 32×32
patch; patches per second in ONNX Runtime on one thread.

{table}
""",
    )


if __name__ == "__main__":
    main()
