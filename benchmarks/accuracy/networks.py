"""Well-known networks, all trained alike: as patch classifiers, and with the decoder.

``python -m benchmarks.accuracy.networks --images DIR --out DIR`` makes two data sets of the
photographs in ``--images`` (patches with one blur each, as in the paper, and scenes), trains every
encoder on both for the same number of steps, measures it on photographs held out and on those with
focus masks (see README.md), and writes a section of RESULTS.md. What is there already is not
repeated; a killed run goes on where it was.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from joblib import cpu_count
from tqdm import tqdm

import skdefocus as sd
from benchmarks import report
from benchmarks.accuracy.cases import Case, lytro_cases, more_cuhk_cases
from skdefocus._grids import enlarge, full_area
from skdefocus.training import dataset
from skdefocus.training.batches import Pool
from skdefocus.training.config import Config
from skdefocus.training.evaluation import evaluate, held_out
from skdefocus.training.export import export, to_onnx
from skdefocus.training.networks import CLASSIFIERS, NETWORKS
from skdefocus.training.train import Run, learn_from

#: Names of the encoders, and what the tables call them.
TITLES = {
    "mobilenetv2": "MobileNetV2",
    "mobilenetv2-stem5": "MobileNetV2, first filters 5×5",
    "mobilenetv2-stem5-whole": "MobileNetV2, first filters 5×5, whole",
    "mobilenetv2-0.5": "MobileNetV2 at width 0.5",
    "mobilenetv2-1.4": "MobileNetV2 at width 1.4",
    "mobilenetv2-whole": "MobileNetV2, whole",
    "vgg": "VGG-16 at half the width",
    "resnet18": "ResNet-18",
    "shufflenetv2": "ShuffleNetV2",
    "efficientnet": "EfficientNet-B0",
}
#: Sides of the images on which speed and memory are measured, and how many of them at a time.
PATCHES, PHOTOGRAPH = (256, 1, dataset.PATCH, dataset.PATCH), (1, 1, 1024, 1024)


def data(
    images: Path, out: Path, size: int, count: int, checked: int, seed: int
) -> tuple[Pool, np.ndarray]:
    """A pool to learn from, and records of photographs held out."""
    conditions = dataset.Conditions()
    if size == dataset.PATCH:
        conditions = dataset.plain(conditions)
    learn, held = dataset.split(images)
    recipe = dataset.Recipe(learn, size, seed, conditions)
    with dataset.Makers(recipe, out, -(-count // dataset.SHARD), cpu_count()) as makers:
        makers.wait()
    pool = Pool(out, count)
    pool.look()
    recipe = dataset.Recipe(held, size, seed + 1, conditions)
    return pool, held_out(recipe, out / "held_out", checked, cpu_count())


def trained(run: Run, pool: Pool, check: np.ndarray) -> Run:
    """Train up to the end, from the checkpoint if there is one."""
    run.out.mkdir(parents=True, exist_ok=True)
    run.restore()
    if run.done < 1:
        learn_from(run, pool, check)
    if run.done < 1:
        raise SystemExit("stopped; the same command goes on from there")
    return run


def classifier_row(name: str, out: Path, steps: int, pool: Pool, check: np.ndarray) -> dict:
    """Train a patch classifier; its figures."""
    config = Config(
        network=name, steps=steps, small=0, alone=0, batch=128, rate=2e-3, size=dataset.PATCH
    )
    run = trained(Run(config, out / name, CLASSIFIERS[name]), pool, check)
    net, model = run.average.cpu(), out / name / "model.onnx"
    if not model.exists():
        to_onnx(net, model, torch.rand(*PATCHES), ["logits"])
    figures = evaluate(net, check)
    return {
        "top-1": figures["top_one"],
        "within one": figures["within_one"],
        "σ error, px": figures["mae"],
        **size_of(net, model),
        "M MACs": macs(net, (1, *PATCHES[1:])) / 1e6,
        "memory, MB": peak_memory(model, PATCHES),
    }


def network_row(name: str, out: Path, steps: int, pool: Pool, check: np.ndarray) -> dict:
    """Train a network with the decoder; its figures."""
    config = Config(network=name, steps=steps, small=1, alone=0, batch=2, rate=1.5e-3)
    run = trained(Run(config, out / name), pool, check)
    net, model = run.average.cpu(), out / name / "model.onnx"
    if not model.exists():
        export(out / name, model, check=check)
    row = {"σ error, px": evaluate(net, check)["mae"]}
    for title, cases in (("Lytro", lytro_cases()), ("CUHK", more_cuhk_cases("report"))):
        found = aucs(model, tqdm(cases, desc=f"{name}, {title}", leave=False))
        row |= {f"{title} AUC": float(np.mean(found)), f"{title}, least": min(found)}
    return {
        **row,
        **size_of(net, model),
        "G MACs/MP": macs(net, PHOTOGRAPH) / np.prod(PHOTOGRAPH) / 1e3,
        "memory, MB": peak_memory(model, PHOTOGRAPH),
    }


def aucs(model: Path, cases: Iterable[Case]) -> list[float]:
    """AUC of the raw mean level of each photograph against its mask."""
    classifier = sd.BlurLevelClassifier(model)
    found = []
    for case in cases:
        grid = classifier.transform(sd.PatchExtractor().transform([case.image]))[0]
        level = enlarge(grid.level, grid.step, full_area(case.image.shape))
        found.append(sd.metrics.focus_auc(case.mask, level))
    return found


def size_of(net: torch.nn.Module, model: Path) -> dict[str, float]:
    weights = sum(p.numel() for p in net.parameters())
    return {"M weights": weights / 1e6, "file, MB": model.stat().st_size / 1e6}


@torch.no_grad()
def macs(net: torch.nn.Module, shape: tuple[int, ...]) -> int:
    """Multiply-accumulates of the convolutions for one batch."""
    total = 0

    def count(layer: torch.nn.Conv2d, _: object, out: torch.Tensor) -> None:
        nonlocal total
        total += out.numel() * layer.weight[0].numel()

    hooks = [
        layer.register_forward_hook(count)
        for layer in net.modules()
        if isinstance(layer, torch.nn.Conv2d)
    ]
    net.eval()(torch.rand(*shape))
    for hook in hooks:
        hook.remove()
    return total


def session_of(model: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def peak_memory(model: Path, shape: tuple[int, ...]) -> float:
    """Megabytes that a process grows by while it runs a model."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_growth, (model, shape))


def _growth(model: Path, shape: tuple[int, ...]) -> float:
    session, x = session_of(model), np.random.default_rng(0).random(shape, np.float32)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the earlier peak
    before = _peak()
    session.run(["logits"], {"image": x})
    return (_peak() - before) * 1024 / 1e6


def _peak() -> int:
    """Peak memory of this process so far, in kB (Linux)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def seconds(models: list[Path], shape: tuple[int, ...], times: int = 9) -> list[float]:
    """Seconds that each takes on one thread, in turns: the medians."""
    sessions = [session_of(m) for m in models]
    x = np.random.default_rng(0).random(shape, np.float32)
    spent: list[list[float]] = [[] for _ in sessions]
    for _ in range(times + 1):  # the first run reserves memory
        for session, mine in zip(sessions, spent, strict=True):
            start = time.perf_counter()
            session.run(["logits"], {"image": x})
            mine.append(time.perf_counter() - start)
    return [float(np.median(s[1:])) for s in spent]


def table(rows: dict[str, dict[str, float]]) -> str:
    names = list(next(iter(rows.values())))
    cells: list[list[object]] = [[TITLES.get(n, n), *row.values()] for n, row in rows.items()]
    return report.table(["", *names], cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3000, help="of training, for each")
    parser.add_argument("--patches", type=int, default=200_000)
    parser.add_argument("--scenes", type=int, default=20_000)
    parser.add_argument("--checked", type=int, default=512, help="scenes held out")
    parser.add_argument("--only", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    parts = []
    for kind, size, count, checked, row_of, shape in (
        ("patches", dataset.PATCH, args.patches, 8 * args.checked, classifier_row, PATCHES),
        ("scenes", 256, args.scenes, args.checked, network_row, PHOTOGRAPH),
    ):
        pool, check = data(args.images, args.out / kind, size, count, checked, args.seed)
        runs = args.out / f"runs-{kind}"
        rows = {name: row_of(name, runs, args.steps, pool, check) for name in args.only}
        times = seconds([runs / name / "model.onnx" for name in args.only], shape)
        for row, taken in zip(rows.values(), times, strict=True):
            if kind == "patches":
                row["patches/s"] = round(shape[0] / taken)
            else:
                row["s/MP"] = taken / np.prod(shape) * 1e6
        parts.append(table(rows))
    write(args, *parts)


def write(args: argparse.Namespace, patches: str, scenes: str) -> None:
    report.write(
        "networks",
        f"""## Networks, trained alike

`python -m benchmarks.accuracy.networks`; {report.machine("torch", "onnxruntime")}. {args.steps}
steps for each, the same data in the same order. Speed in ONNX Runtime on one thread; memory is what
the process grows by.

As patch classifiers, as in the paper: {args.patches} patches of 32×32 with one blur each, 128 a
step; figures on patches of photographs held out, with noise, JPEG and flat places; MACs for one
patch, memory for 256.

{patches}

With the decoder: {args.scenes} scenes of 256×256, random quarters of them, 8 a step; σ error on
whole scenes of photographs held out, under all conditions of training; AUC of the raw mean level
against focus masks; memory for one megapixel.

{scenes}
""",
    )


if __name__ == "__main__":
    # Workers unpickle functions by their module's name, which must not be "__main__".
    from benchmarks.accuracy import networks

    networks.main()
