"""Train a network on the data set of :mod:`skdefocus.training.patches`.

``python -m skdefocus.training.train --data FILE --out DIR`` writes ``DIR/checkpoint.pt`` as it
goes (a killed run resumes from it) and ``DIR/log.csv`` with one row per evaluation.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from skdefocus.training.levels import SPACINGS, soft_targets
from skdefocus.training.networks import NETWORKS

#: Steps from one checkpoint to the next.
CHECKPOINT = 500


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(logits, target)


def smoothed(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy with a fifth of each target moved to the neighbours on either side."""
    spread = F.pad(target, (0, 0, 0, 0, 1, 1))
    spread = 0.8 * target + 0.1 * (spread[:, :-2] + spread[:, 2:])
    return F.cross_entropy(logits, spread / spread.sum(1, keepdim=True))


def ordinal(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy, and the squared distance of the cumulative distributions beside it."""
    apart = torch.softmax(logits, 1).cumsum(1) - target.cumsum(1)
    return F.cross_entropy(logits, target) + 0.5 * apart.square().sum(1).mean()


def regression(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy, and the absolute error of the expected level beside it."""
    levels = torch.arange(logits.shape[1], dtype=logits.dtype, device=logits.device)[:, None, None]
    error = ((torch.softmax(logits, 1) - target) * levels).sum(1).abs().mean()
    return F.cross_entropy(logits, target) + 0.2 * error


def learned_variance(logits: Tensor, target: Tensor) -> Tensor:
    """The likelihood of a normal level whose mean and variance are those of the answer."""
    levels = torch.arange(logits.shape[1], dtype=logits.dtype, device=logits.device)[:, None, None]
    p = torch.softmax(logits, 1)
    mean = (p * levels).sum(1)
    variance = (p * (levels - mean[:, None]).square()).sum(1) + 0.1
    off = (target * levels).sum(1) - mean
    return 0.5 * (off.square() / variance + variance.log()).mean()


LOSSES = {f.__name__: f for f in (cross_entropy, smoothed, ordinal, regression, learned_variance)}


def flat_windows(crop: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which 32×32 windows (every 8 pixels) of (N, S, S) crops span less than 8/255 over 4×4 means.

    The means take most of the noise away.
    """
    n, size, _ = crop.shape
    means = crop.reshape(n, size // 4, 4, size // 4, 4).mean(axis=(2, 4))
    windows = np.lib.stride_tricks.sliding_window_view(means, (8, 8), (1, 2))[:, ::2, ::2]
    return np.asarray(np.ptp(windows, axis=(3, 4)) < 8)


def split(data: Path) -> tuple[NDArray[Any], NDArray[np.intp], NDArray[np.intp]]:
    """The memory-mapped records and the indices for training and validation, by photograph."""
    records = np.load(data, mmap_mode="r")
    facts = json.loads(data.with_suffix(".json").read_text())
    held = np.asarray(facts["validation"])[records["photo"]]
    return records, np.flatnonzero(~held), np.flatnonzero(held)


def batches(
    records: NDArray[Any],
    index: NDArray[np.intp],
    size: int,
    rng: np.random.Generator,
    sigmas: NDArray[np.float64],
    flips: bool = True,
    even_flat: bool = False,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Shuffled batches of (N, 1, S, S) crops and (N, 20, n, n) targets, flipped and transposed.

    Three batches in ten are cut into 32×32 patches, so that the network answers a patch alone as
    well as a window with its surroundings. With `even_flat`, the target of flat windows is even
    over all levels instead of their true σ.
    """
    order = rng.permutation(index)
    for start in range(0, len(order) - size + 1, size):
        chosen = records[np.sort(order[start : start + size])]
        crop, sigma = chosen["crop"], chosen["sigma"]
        for axis in (1, 2):
            if flips and rng.random() < 0.5:
                crop, sigma = np.flip(crop, axis), np.flip(sigma, axis)
        if flips and rng.random() < 0.5:
            crop, sigma = crop.swapaxes(1, 2), sigma.swapaxes(1, 2)
        if rng.random() < 0.3:
            last = sigma.shape[1] - 1
            corners = [(i, j) for i in (0, last) for j in (0, last)]
            crop = np.concatenate(
                [crop[:, 8 * i : 8 * i + 32, 8 * j : 8 * j + 32] for i, j in corners]
            )
            sigma = np.concatenate([sigma[:, i : i + 1, j : j + 1] for i, j in corners])
        x = torch.from_numpy(np.ascontiguousarray(crop))[:, None].float() / 255
        target = soft_targets(sigma, sigmas)
        if even_flat:
            target[flat_windows(crop)] = 1 / len(sigmas)
        y = torch.from_numpy(np.ascontiguousarray(np.moveaxis(target, -1, 1)))
        yield x.contiguous(memory_format=torch.channels_last), y


@torch.no_grad()
def evaluate(
    net: torch.nn.Module,
    records: NDArray[Any],
    index: NDArray[np.intp],
    sigmas: NDArray[np.float64],
    patches: bool = False,
) -> dict[str, float]:
    """Errors on held-out photographs; with `patches`, of the middle patch without surroundings."""
    net.eval()
    device = next(net.parameters()).device
    logits, truth, rich = [], [], []
    for start in range(0, len(index), 100):
        chosen = records[index[start : start + 100]]
        crop, sigma = chosen["crop"], chosen["sigma"]
        if patches:
            i = sigma.shape[1] // 2
            crop = crop[:, 8 * i : 8 * i + 32, 8 * i : 8 * i + 32]
            sigma = sigma[:, i : i + 1, i : i + 1]
        x = torch.from_numpy(np.ascontiguousarray(crop))[:, None].to(device)
        out = net(x.float() / 255).cpu()
        logits.append(out.movedim(1, -1).reshape(-1, len(sigmas)))
        truth.append(sigma.reshape(-1))
        rich.append(np.repeat(chosen["textured"], sigma[0].size))
    z, s = torch.cat(logits), np.concatenate(truth)
    target = torch.from_numpy(soft_targets(s, sigmas))
    p = torch.softmax(z, 1).numpy()
    error = np.abs(p @ sigmas - s)
    apart = np.abs(p.argmax(1) - target.numpy().argmax(1))
    near = apart <= 1
    spread = np.sqrt(np.maximum(p @ sigmas**2 - (p @ sigmas) ** 2, 0)) / (0.5 + p @ sigmas)
    sure = spread <= np.median(spread)
    textured = np.concatenate(rich)
    return {
        "loss": float(F.cross_entropy(z, target)),
        "mae": float(error.mean()),
        "mae_textured": float(error[textured].mean()),
        "mae_sure": float(error[sure].mean()),
        "mae_unsure": float(error[~sure].mean()),
        "top_one": float((apart == 0).mean()),
        "within_one": float(near.mean()),
        "within_one_textured": float(near[textured].mean()),
    }


def train(
    data: Path, out: Path, *, network: str, epochs: int = 8, batch: int = 64, rate: float = 3e-3,
    seed: int = 0, threads: int = 2, start: Path | None = None, loss: str = "cross_entropy",
    spacing: str = "visible", steps: int | None = None, only: NDArray[np.bool_] | None = None,
    flips: bool = True, even_flat: bool = False, averaged: bool = True, log: bool = True,
    bfloat16: bool = False,
) -> None:  # fmt: skip
    """AdamW, one warm-up and one cosine over the whole run, weights averaged exponentially.

    Runs on a GPU where PyTorch finds one. `bfloat16` multiplies in that type, which is faster where
    the processor can: 1.3 times for `vgg-0.5` and twice for `vgg` with AVX-512, slower for
    MobileNetV2's depthwise layers.

    With `steps` an epoch has so many, on that part of the crops; `only` tells which crops may be
    used at all; `log` writes log.csv, twice per epoch. What `flips`, `even_flat` and `averaged` are
    worth, `benchmarks.accuracy.networks` measures.
    """
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    records, learn, check = split(data)
    check = check[:: max(1, len(check) // 3000)]
    sigmas, measure = SPACINGS[spacing], LOSSES[loss]
    if only is not None:
        learn = learn[only[learn]]
    if steps:
        learn = np.random.default_rng(seed).permutation(learn)[: steps * batch]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = NETWORKS[network]().to(device, memory_format=torch.channels_last)
    decay = [p for p in net.parameters() if p.ndim > 1]
    rest = [p for p in net.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.02}, {"params": rest, "weight_decay": 0.0}], lr=rate
    )
    per_epoch = len(learn) // batch
    total = per_epoch * epochs
    warm = min(500, total // 10)
    # A short run must forget where it began.
    decay_rate = min(0.998, 1 - 10 / max(total, 20)) if averaged else 0.0
    average = torch.optim.swa_utils.AveragedModel(
        net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(decay_rate), use_buffers=True
    )

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(total - warm, 1))) + 1e-3

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    if start:  # another run's averaged weights, on new data or at a new rate
        saved = torch.load(start, map_location=device, weights_only=True)["average"]
        average.load_state_dict(saved)
        net.load_state_dict(average.module.state_dict())
    state, step, first = out / "checkpoint.pt", 0, 0
    if state.exists():
        saved = torch.load(state, map_location=device, weights_only=True)
        for key, thing in (
            ("net", net),
            ("average", average),
            ("optimizer", optimizer),
            ("scheduler", scheduler),
        ):
            thing.load_state_dict(saved[key])
        step, first = saved["step"], saved["step"] // per_epoch
        torch.set_rng_state(saved["rng"].cpu())  # of dropout
    started = time.time()
    for epoch in range(first, epochs):
        net.train()
        rng = np.random.default_rng([seed, epoch])
        losses: list[float] = []
        bar = tqdm(
            batches(records, learn, batch, rng, sigmas, flips, even_flat),
            total=per_epoch,
            desc=f"epoch {epoch}",
            mininterval=20,
        )
        for i, (x, y) in enumerate(bar):
            if epoch * per_epoch + i < step:  # resumed within this epoch
                continue
            with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
                logits = net(x.to(device))
            value = measure(logits.float(), y.to(device))
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
            optimizer.step()
            scheduler.step()
            average.update_parameters(net)
            losses.append(value.item())
            step += 1
            if step % CHECKPOINT == 0 or step == total:
                bar.set_postfix(loss=f"{np.mean(losses[-500:]):.3f}")
                _save(state, net=net.state_dict(), average=average.state_dict(),
                      optimizer=optimizer.state_dict(), scheduler=scheduler.state_dict(),
                      step=step, network=network, spacing=spacing, rng=torch.get_rng_state(),
                      digest=_digest(data))  # fmt: skip
            if log and (step % (per_epoch // 2) == 0 or step == total):
                row = {"step": step, "minutes": round((time.time() - started) / 60, 1),
                       "train_loss": float(np.mean(losses[-500:])),
                       **evaluate(average.module, records, check, sigmas)}  # fmt: skip
                row |= {
                    f"patch_{k}": v
                    for k, v in evaluate(average.module, records, check, sigmas, True).items()
                }
                _log(out / "log.csv", row)
                net.train()


def _digest(data: Path) -> str:
    return str(json.loads(data.with_suffix(".json").read_text())["digest"])


def _save(path: Path, **state: Any) -> None:
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def _log(path: Path, row: dict[str, float]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, row)
        if new:
            writer.writeheader()
        writer.writerow({k: round(v, 4) for k, v in row.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--network", choices=NETWORKS, default="vgg-0.5")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--loss", choices=LOSSES, default="cross_entropy")
    parser.add_argument("--spacing", choices=SPACINGS, default="visible")
    parser.add_argument("--steps", type=int, help="per epoch, on so many crops only")
    parser.add_argument("--bfloat16", action="store_true", help="multiply in half precision")
    parser.add_argument("--start", type=Path, help="checkpoint.pt of a run to go on from")
    args = vars(parser.parse_args())
    train(args.pop("data"), args.pop("out"), **args)


if __name__ == "__main__":
    main()
