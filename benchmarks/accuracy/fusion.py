"""Fusion beside others: thirty published results on real pairs, and stacks whose truth is known.

``python -m benchmarks.accuracy.fusion`` reads photographs from ``SKDEFOCUS_DATA`` and writes a
section of RESULTS.md and pictures of the fused pairs to benchmarks/accuracy/fused/.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import joblib
import numpy as np
from PIL import Image
from scipy.stats import rankdata
from tqdm import tqdm

import skdefocus as sd
from benchmarks import report
from benchmarks.accuracy.scenes import DATA, photographs
from skdefocus.fusion import FocusFuser
from skdefocus.synthesis import Layer, render_layers, through_jpeg

HERE = Path(__file__).parent
METRICS = {
    "Q_G": sd.metrics.gradient_preservation,
    "Q_MI": sd.metrics.source_mutual_information,
    "Q_CB": sd.metrics.contrast_preservation,
}
OURS = "skdefocus"
cache = joblib.Memory(HERE / ".cache", verbose=0)


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@cache.cache
def score(name: str, fused: np.ndarray, sources: list[np.ndarray]) -> float:
    return float(METRICS[name](fused, sources))


def as_published(fused: np.ndarray, like: Path) -> np.ndarray:
    """The same JPEG rounding as a published result went through."""
    with Image.open(like) as other:
        options = {"qtables": other.quantization, "subsampling": "keep"}
        options["subsampling"] = {(1, 1): 0, (2, 1): 1, (2, 2): 2}[sampling(other)]
        return through_jpeg(np.round(fused * 255).astype(np.uint8), **options)


def sampling(image: Image.Image) -> tuple[int, int]:
    """Ratio of the gray values of a JPEG to its color values, along both axes."""
    layers = image.layer  # type: ignore[attr-defined]
    return layers[0][1] // layers[1][1], layers[0][2] // layers[1][2]


def published(fuser: FocusFuser, folders: list[Path]) -> dict[str, np.ndarray]:
    """Metrics (pairs, 3) of every method."""
    scores: dict[str, list[list[float]]] = {}
    (HERE / "fused").mkdir(exist_ok=True)
    for folder in tqdm(folders, desc="pairs"):
        sources = [read(folder / f"{name}.jpg") for name in "AB"]
        others = sorted((folder / "published").glob("*.jpg"))
        fused = as_published(fuser.fit_transform([sources])[0], others[0])
        Image.fromarray(fused).save(HERE / "fused" / f"{folder.name}.jpg", quality=92)
        found = {OURS: fused} | {p.stem: read(p) for p in others}
        for name, image in found.items():
            row = [
                score(m, image, sources) if image.shape == sources[0].shape else np.nan
                for m in METRICS
            ]
            scores.setdefault(name, []).append(row)
    return {name: np.array(rows) for name, rows in scores.items()}


def ranking(scores: dict[str, np.ndarray], pairs: slice) -> list[list[object]]:
    """Methods by mean rank over the metrics' means."""
    names = list(scores)
    means = np.array([np.nanmean(scores[n][pairs], axis=0) for n in names])
    ranks = np.stack([rankdata(-column) for column in means.T], axis=1)
    order = np.argsort(ranks.mean(axis=1), kind="stable")
    return [
        [names[i], *(f"{m:.4f} ({r:.0f})" for m, r in zip(means[i], ranks[i], strict=True)),
         float(ranks[i].mean())]
        for i in order
    ]  # fmt: skip


def stacks(count: int, frames: int) -> list[tuple[list[np.ndarray], np.ndarray]]:
    """Frames (H, W) uint8 of layered scenes, focused from back to front, and their truth."""
    images, made = photographs("report"), []
    for number in range(count):
        rng = np.random.default_rng([frames, number])
        # As many surfaces as two frames can show in focus, three otherwise.
        chosen = [images[i] for i in rng.choice(len(images), min(frames, 3), replace=False)]
        size = tuple(np.min([im.shape for im in chosen], axis=0))
        cuts = [im[: size[0], : size[1]] for im in chosen]
        y, x = np.indices(size)
        alphas = []
        for _ in cuts[1:]:
            center = rng.uniform(0.25, 0.75, 2) * size
            radius = rng.uniform(0.15, 0.3) * min(size)
            wave = 1 + 0.2 * np.sin(rng.integers(2, 7) * np.arctan2(y - center[0], x - center[1]))
            away = np.hypot(y - center[0], x - center[1]) - radius * wave
            alphas.append(np.clip(0.5 - away, 0, 1).astype(np.float32))
        places = np.linspace(0, 1, len(cuts))
        spread = rng.uniform(4, 8)
        stack = []
        for focus in np.linspace(0, 1, frames):
            sigmas = spread * np.abs(places - focus)
            layers = [Layer(cuts[0], sigmas[0])]
            layers += [Layer(c, s, a) for c, s, a in zip(cuts[1:], sigmas[1:], alphas, strict=True)]
            scene = render_layers(layers, linear_light=False)
            stack.append(np.round(np.clip(scene.photograph, 0, 1) * 255).astype(np.uint8))
        made.append((stack, np.round(np.clip(scene.sharp, 0, 1) * 255).astype(np.uint8)))
    return made


#: Peers with a command line: arguments for the frames (or their folder) and the output.
COMMANDS = {
    "enfuse": "enfuse --exposure-weight=0 --saturation-weight=0 --contrast-weight=1 --hard-mask "
    "-o {out} {frames}",
    "focusweave": "focusweave {folder} --no-align --output {out}",
    "openfocus gfgfgf": "openfocus -i {frames} -o {out} -m gfgfgf --no-exposure-match --cpu",
    "openfocus stackmffv3": "openfocus -i {frames} -o {out} -m stackmffv3 --no-exposure-match "
    "--cpu",
}


def by_command(command: str, stack: list[np.ndarray]) -> np.ndarray:
    """Fuse with another program; its own start counts in its time."""
    with tempfile.TemporaryDirectory() as folder:
        frames = []
        (Path(folder) / "frames").mkdir()
        for k, frame in enumerate(stack):
            frames.append(f"{folder}/frames/{k}.png")
            Image.fromarray(np.stack([frame] * 3, -1)).save(frames[-1])
        out = f"{folder}/out.png"
        arguments: list[str] = []
        for word in command.split():
            arguments += (
                frames if word == "{frames}" else [word.format(out=out, folder=f"{folder}/frames")]
            )
        subprocess.run(arguments, check=True, capture_output=True, cwd=folder)
        with Image.open(out) as image:
            return np.asarray(image.convert("L")) / 255


def fusers(fuser: FocusFuser) -> dict[str, Callable[[list[np.ndarray]], np.ndarray]]:
    found: dict[str, Callable[[list[np.ndarray]], np.ndarray]] = {
        OURS: lambda stack: fuser.transform([stack])[0],
        "skdefocus, no maps": lambda stack: FocusFuser(sigma_weight=0).transform([stack])[0],
        "sharpest frame by Laplacian": sharpest,
    }
    for name, command in COMMANDS.items():
        if shutil.which(command.split()[0]):
            found[name] = partial(by_command, command)
        else:
            print(f"{name} is not on the path and left out")
    return found


def sharpest(stack: list[np.ndarray]) -> np.ndarray:
    """The textbook's: from each pixel's frame of most Laplacian energy in 15×15 pixels."""
    from scipy import ndimage

    energy = [ndimage.uniform_filter(ndimage.laplace(f.astype(np.float32)) ** 2, 15) for f in stack]
    return np.choose(np.argmax(energy, axis=0), stack) / 255


def synthetic(fuser: FocusFuser, count: int, frames: int) -> list[list[object]]:
    made = stacks(count, frames)
    rows: list[list[object]] = []
    # No choice of pixels can do better: where a blurred surface hides a sharp one's edge, no frame
    # shows the truth.
    best = []
    for stack, truth in made:
        nearest = np.abs(np.stack(stack).astype(int) - truth).argmin(axis=0)
        best.append(sd.metrics.psnr(np.choose(nearest, stack) / 255, truth / 255))
    rows.append([frames, "(nearest to the truth)", np.mean(best), np.min(best), "-", "-", "-"])
    ours = None
    for name, method in fusers(fuser).items():
        start = time.perf_counter()
        fused = [method(stack) for stack, _ in made]
        seconds = (time.perf_counter() - start) / count
        quality = np.array(
            [
                sd.metrics.psnr(np.round(image * 255) / 255, truth / 255)
                for image, (_, truth) in zip(fused, made, strict=True)
            ]
        )
        lead = ["-", "-"]
        if ours is None:  # the first one
            ours = quality
        else:
            lead = [f"{np.sum(ours > quality)} of {count}", f"{np.min(ours - quality):+.2f}"]
        rows.append([frames, name, quality.mean(), quality.min(), *lead, seconds])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--stacks", type=int, default=5, help="of five frames")
    args = parser.parse_args()
    fuser = FocusFuser()
    folders = sorted((DATA / "fusion").glob("lytro_*"))
    scores = published(fuser, folders)
    titles = ["method", *METRICS, "mean rank"]
    made = synthetic(fuser, args.pairs, 2) + synthetic(fuser, args.stacks, 5)
    body = f"""## Fusion

`python -m benchmarks.accuracy.fusion`; {report.machine()}. The 20 Lytro pairs beside published
results of {len(scores) - 1} methods; ours went through the same JPEG rounding. Means, and ranks in
parentheses. Versions of the decision rule were compared on these pairs while it was written.

{report.table(titles, ranking(scores, slice(None)))}

The best ten on the last ten pairs alone:

{report.table(titles, ranking(scores, slice(10, 20))[:10])}

Scenes of two (for two frames) or three layers with occlusion, made from sharp photographs; PSNR to
the all-in-focus truth in dB, on how many ours is ahead and by how many dB where it is least so,
seconds per stack (of other programs with their start). Nearest to the truth is the choice of pixels
that comes nearest; a mixture of pixels can come nearer still:

{
        report.table(
            ["frames", "method", "mean PSNR", "least", "ours ahead", "least lead", "seconds"], made
        )
    }
"""
    report.write("fusion", body)


if __name__ == "__main__":
    main()
