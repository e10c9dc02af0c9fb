"""Measure a model file on photographs that it was not trained on, and write its card.

``python -m skdefocus.training.card --images DIR --out MODEL_CARD.md`` blurs the in-focus ones among
the photographs at every level and beyond, selects places with and without texture, and compares the
answers with the truth: for places in their surroundings, as in a map, and for patches alone.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from tqdm import tqdm

from skdefocus import network, synthesis
from skdefocus._typing import Float32Array, Float64Array, IndexArray, PSFShape
from skdefocus.metrics import expected_calibration_error
from skdefocus.pipeline import BlurLevelClassifier, PatchExtractor
from skdefocus.training.dataset import PATCH
from skdefocus.training.levels import drawn_levels
from skdefocus.training.photographs import (
    BLOCK,
    edge_blur_blocks,
    is_in_focus,
    photographs,
    read_gray,
)
from skdefocus.training.scenes import CELL

#: Title, PSF, noise (standard deviation, full scale is 1), JPEG quality.
CONDITIONS: list[tuple[str, PSFShape, float, int | None]] = [
    ("clean", "gaussian", 0.0, None),
    ("noise 2/255 and JPEG 85", "gaussian", 2 / 255, 85),
    ("noise 6/255 and JPEG 70", "gaussian", 6 / 255, 70),
    ("disc PSF", "disc", 0.0, None),
]
#: Largest number of places of either kind from one photograph.
MOST = 40
#: σ in pixels, and noise, of the table of strong blur.
STRONG, FAINT_NOISE = (3.0, 5.0, 8.0, 12.0, 20.0, 30.0), 0.006

#: Probabilities (n, levels) and true levels (n,), fractional.
Answers = tuple[Float32Array, Float64Array]


def places(image: Float32Array, textured: bool) -> IndexArray:
    """Find places of 32 pixels with texture or without strong edges; return rows and columns.

    None of the four blocks of a place is soft, and at least two of them or none are sharp. Places
    at the rim of the photograph are left out. If there are more than `MOST`, they are thinned
    evenly.
    """
    state = edge_blur_blocks(image)
    half = PATCH // BLOCK
    rows, columns = state.shape[0] // half, state.shape[1] // half
    four = state[: half * rows, : half * columns].reshape(rows, half, columns, half)
    sharp, soft = (four == 1).sum((1, 3)), (four == -1).sum((1, 3))
    found = (soft == 0) & ((sharp >= 2) if textured else (sharp == 0))
    found[[0, -1]] = found[:, [0, -1]] = False
    at = np.argwhere(found)
    return at[np.linspace(0, len(at) - 1, min(len(at), MOST)).astype(int)]


def surrounded(
    classifier: BlurLevelClassifier, image: Float32Array, at: IndexArray
) -> Float32Array:
    """Compute the probabilities (n, levels) in the middle of places, as in a map."""
    grid = classifier.transform(PatchExtractor(step=CELL).transform([image]))[0]
    last = at * (PATCH // CELL) + PATCH // CELL // 2
    four = [grid.proba[last[:, 0] - i, last[:, 1] - j] for i in (0, 1) for j in (0, 1)]
    return np.asarray(np.mean(four, axis=0))


def alone(classifier: BlurLevelClassifier, image: Float32Array, at: IndexArray) -> Float32Array:
    """Compute the probabilities (n, levels) of places without their surroundings."""
    if not len(at):
        return np.empty((0, len(classifier.sigmas_)), np.float32)
    corners = at * PATCH
    return classifier.predict_proba(
        np.stack([image[i : i + PATCH, j : j + PATCH] for i, j in corners])
    )


def photographed(
    image: Float32Array, sigma: float, shape: PSFShape, noise: float, quality: int | None, seed: int
) -> Float32Array:
    """Blur in linear light, add noise and compress."""
    seen = synthesis.blur(image, sigma, shape=shape, linear_light=True)
    if noise:
        seen = synthesis.add_noise(seen, noise, noise, random_state=seed)
    if quality is not None:
        seen = synthesis.jpeg(seen, quality)
    return np.clip(seen, 0, 1)


def answers(model: Path | None, images: list[Float32Array]) -> dict[str, Answers]:
    """Compute the answers for the places, for every row of the first table."""
    classifier = BlurLevelClassifier(model)
    ways = {"in surroundings": surrounded, "alone": alone}
    kinds = {"texture": True, "no strong edge": False}
    found: dict[str, list[Answers]] = {
        f"{way}, {kind}, {title}": [] for way in ways for kind in kinds for title, *_ in CONDITIONS
    }
    for number, image in enumerate(tqdm(images, unit="photo")):
        chosen = {kind: places(image, textured) for kind, textured in kinds.items()}
        for step, level in enumerate(true_levels(len(classifier.sigmas_), number)):
            sigma = float(sigma_of(level, classifier.sigmas_))
            for title, *condition in CONDITIONS:
                seen = photographed(image, sigma, *condition, seed=number * 100 + step)
                for way, ask in ways.items():
                    for kind, at in chosen.items():
                        row = ask(classifier, seen, at), np.full(len(at), level)
                        found[f"{way}, {kind}, {title}"].append(row)
    return {
        title: (np.concatenate([p for p, _ in rows]), np.concatenate([t for _, t in rows]))
        for title, rows in found.items()
    }


def sigma_of(level: ArrayLike, sigmas: Float64Array) -> Float64Array:
    """Interpolate σ in pixels at fractional levels."""
    return np.asarray(np.interp(level, np.arange(len(sigmas)), sigmas))


def true_levels(count: int, seed: int) -> Float64Array:
    """Draw one fractional level around each of the network's, as scenes for training do."""
    off = np.random.default_rng(seed).uniform(-0.5, 0.5, count)
    return np.clip(np.arange(count) + off, 0, count - 1)


def figures(proba: Float32Array, truth: Float64Array, sigmas: Float64Array) -> dict[str, float]:
    """Compute a row of the table from probabilities over `sigmas` and fractional true levels."""
    levels = np.arange(len(sigmas))
    true_sigma = sigma_of(truth, sigmas)
    error = np.abs(sigma_of(proba @ levels, sigmas) - true_sigma)
    nearest = np.round(truth)
    spread = proba @ levels**2 - (proba @ levels) ** 2
    sure = spread <= np.median(spread)
    guess = proba.argmax(axis=1)
    return {
        "places": len(truth),
        "top-1": float((guess == nearest).mean()),
        "within one": float((np.abs(guess - nearest) <= 1).mean()),
        "error, σ ≤ 5": float(error[true_sigma <= 5].mean()),
        "error, all": float(error.mean()),
        "sure half": float(error[sure].mean()),
        "unsure half": float(error[~sure].mean()) if not sure.all() else 0.0,
        "ECE": expected_calibration_error(proba, drawn_levels(truth, np.random.default_rng(0))),
    }


def level_sigmas_of(model: Path | None, image: Float32Array) -> tuple[Float64Array, ...]:
    """Return σ of the levels of the answers in surroundings, and of those alone."""
    classifier = BlurLevelClassifier(model)
    grid = classifier.transform(PatchExtractor(step=CELL).transform([image[:64, :64]]))[0]
    return np.asarray(grid.sigmas, np.float64), classifier.sigmas_


def measure(model: Path | None, images: list[Float32Array]) -> dict[str, dict[str, float]]:
    """Compute all rows of the first table."""
    extended, own = level_sigmas_of(model, images[0])
    return {
        title: figures(*row, own if title.startswith("alone") else extended)
        for title, row in answers(model, images).items()
        if len(row[1])
    }


def strong(model: Path | None, images: list[Float32Array]) -> dict[str, dict[str, float]]:
    """Compute medians of σ, and shares below 1 px, of textured places with strong blur."""
    classifier, sigmas = BlurLevelClassifier(model), level_sigmas_of(model, images[0])[0]
    rows: dict[str, dict[str, float]] = {}
    for sigma in STRONG:
        row: dict[str, float] = {}
        for noise in (0.0, FAINT_NOISE):
            found = np.concatenate(list(_strong_sigmas(classifier, images, sigmas, sigma, noise)))
            title = "noise .006" if noise else "clean"
            row |= {
                f"{title}: median": float(np.median(found)),
                f"{title}: below 1 px": float((found < 1).mean()),
            }
        rows[f"σ = {sigma:g} px"] = row
    return rows


def _strong_sigmas(
    classifier: BlurLevelClassifier,
    images: list[Float32Array],
    sigmas: Float64Array,
    sigma: float,
    noise: float,
) -> Iterator[Float64Array]:
    """Yield the answers for textured places of photographs blurred by `sigma`."""
    for number, image in enumerate(images):
        shape: PSFShape = "disc" if number % 2 else "gaussian"
        seen = photographed(image, sigma, shape, noise, None, number)
        proba = surrounded(classifier, seen, places(image, True))
        yield sigma_of(proba @ np.arange(len(sigmas)), sigmas)


def table(rows: dict[str, dict[str, float]]) -> str:
    """Format rows as a Markdown table."""
    names = list(next(iter(rows.values())))
    lines = [f"| | {' | '.join(names)} |", "|---|" + "---|" * len(names)]
    for title, row in rows.items():
        values = [f"{v:d}" if isinstance(v, int) else f"{v:.3f}" for v in row.values()]
        lines.append(f"| {title} | {' | '.join(values)} |")
    return "\n".join(lines)


CARD = """# Model card: {network}

A convolutional network that tells how blurred a photograph is by defocus, in pixels, for every
cell of {stride}×{stride} pixels, with {levels} levels from 0 to {largest:g} px. It is an encoder of
a well-known architecture with a decoder that brings its answers back to fine cells
(`skdefocus/training/networks.py`); MobileNetV2 is that of Sandler et al. (CVPR 2018). A cell's
answer depends on at most {reach} pixels beyond it.{license}

**Use.** For blur by a lens out of focus, of gray values as cameras encode them. The package shows
it the photograph at smaller sizes as well, which takes it beyond {largest:g} px. It is not meant
for motion blur, and not for photographs that were strongly enlarged, sharpened or smoothed.

**Training.** {training_data}. {training_steps} steps, {training_crops} crops in all,
{training_minutes} minutes.{history} Digest of the recipe: `{digest}`.
Scenes are made of photographs that are in focus, so that their blur is known: cut along their own
outlines, pasted over each other, tilted, with one surface in focus or none, blurred by up to
24 px with Gaussian and disc PSFs, in linear light and as encoded, with lamps brighter than white;
then noise, sharpening, JPEG and exposure are drawn at random.{photographs}
{patches}
**Levels.** σ in pixels: {sigmas}.

## How good it is

`python -m skdefocus.training.card --images DIR --half {half} --out MODEL_CARD.md` measured
{count} photographs, other ones than those for training, in focus all over, blurred in linear light
{levels} times, by a σ near each of the levels. Of places with texture, seen in their surroundings,
the error is {clean_5:.3f} px for σ up to 5 px and {clean:.3f} px over all levels; with some noise
and JPEG {noisy:.3f} px, with a lot of them {noisier:.3f} px. Where there is no strong edge it is
{flat:.3f} px.

Errors are mean absolute errors of σ at the mean level, in pixels. The sure half are the places of
least variance. The most probable level is right (top-1) if it is the nearest to the true one. ECE
is its expected calibration error against a level drawn from the two around the true one by their
shares, which is what the network is trained to predict. "Alone" are patches of 32×32 pixels,
{alone_by}; "no strong edge" are places in
which hardly anything can be seen but faint structure and noise.

{table}

Strong blur of places with texture, beyond the last level too: the median of the answers, and the
share that calls it sharper than 1 px, which would be a mistake of the worst kind:

{strong}

{held_out}

## Where it fails

- Surfaces without texture look the same at any blur. Their answers come from the surroundings,
  or are spread over many levels; the confidence says so ({flat:.3f} px against {clean:.3f} px).
- Texture that is soft by nature (clouds, smoke, skin, still water) looks like a sharper one
  blurred.
- Noise hides fine detail, and with it the difference between a small blur and none.
- A patch by itself tells less than one in its surroundings ({alone:.3f} px against {clean:.3f} px).
- Within a few pixels of a depth edge, and at things thinner than a cell, a cell shows two surfaces
  and its answer may be that of either.
"""


#: Paragraph for files whose training measured these errors.
HELD_OUT = """\
On scenes made of photographs that the training held out, under all its conditions, the network by
itself errs by {mae:.3f} px (σ beyond the last level counting as that), with a mean of {bias:+.3f}
px; {within_one:.0%} of its most probable levels are at most one off, and their expected calibration
error is {ece:.3f}."""

#: Paragraph for files with a patch network, and the two ways to answer patches.
PATCHES = """
**Patches by themselves** go to a second network in the file: two encoders of the same kind, one for
the patch and one for it at half its size, and a hidden layer that joins the statistics of their
outputs (`PatchNetwork` in the same module). The last layer is that of the first network. Its data:
{patch_training_data}.
A scene has one blur, and patches are cut from it at random. {patch_training_steps} steps,
{patch_training_minutes} minutes, beginning with the encoder of the first network. On patches of
held-out photographs under all conditions of the training, many of them without any texture, it
errs by {mae:.3f} px, and the expected calibration error is {ece:.3f}.
"""
BY_ITSELF, SURROUNDED = (
    "answered by the network for patches",
    "shown to the network with mirrored surroundings",
)

#: Sentences that hold only for the shipped network.
LICENSE = " It ships under the license of the package (BSD-3-Clause)."
PHOTOGRAPHS = """
The photographs are under CC0, CC BY-SA 4.0 (CID22) and the Unsplash license; none of them is part
of the package."""


def card(model: Path | None, rows: dict[str, dict[str, float]], **more: object) -> str:
    """Write the card's text from the file's metadata and the rows of the first table."""
    facts = network.load_facts(network.model_path(model))
    known = facts.metadata
    errors = json.loads(known.get("held_out", "{}"))
    history = known.get("history", "")

    def error(title: str, column: str = "error, all") -> float:
        return rows.get(title, {}).get(column, np.nan)

    return CARD.format(
        **{
            k: known.get(k, "not recorded")
            for k in (
                "network",
                "training_data",
                "training_steps",
                "training_crops",
                "training_minutes",
            )
        },
        stride=facts.stride,
        levels=len(facts.sigmas),
        largest=facts.sigmas[-1],
        reach=facts.reach,
        digest=known.get("training_data_digest", "")[:16],
        history=f" {history}" if history else "",
        license=LICENSE if model is None else "",
        photographs=PHOTOGRAPHS if model is None else "",
        sigmas=", ".join(f"{s:.2f}" for s in facts.sigmas),
        table=table(rows),
        clean=error("in surroundings, texture, clean"),
        clean_5=error("in surroundings, texture, clean", "error, σ ≤ 5"),
        noisy=error("in surroundings, texture, noise 2/255 and JPEG 85"),
        noisier=error("in surroundings, texture, noise 6/255 and JPEG 70"),
        flat=error("in surroundings, no strong edge, clean"),
        alone=error("alone, texture, clean"),
        held_out=HELD_OUT.format(**errors) if "ece" in errors else "",
        alone_by=BY_ITSELF if facts.has_patch_network else SURROUNDED,
        patches=_patch_paragraph(facts),
        **more,
    )


def _patch_paragraph(facts: network.ModelFacts) -> str:
    """Write the card's paragraph on the patch network, if it is known how it was trained."""
    known = facts.metadata
    if "patch_held_out" not in known:
        return ""
    return PATCHES.format(**known, **json.loads(known["patch_held_out"]))


def write(model: Path | None, folder: Path, half: str, out: Path | None) -> None:
    """Measure on one half of a folder's in-focus photographs; print the tables, write the card."""
    images = [im for im in map(read_gray, photographs(folder)) if is_in_focus(im)]
    images = images[{"choose": 0, "report": 1}[half] :: 2]
    if not images:
        raise SystemExit(f"no photograph of the half to {half} in {folder} is in focus")
    rows, beyond = measure(model, images), table(strong(model, images))
    print(f"{table(rows)}\n\n{beyond}")
    if out:
        text = card(model, rows, half=half, count=len(images), strong=beyond)
        out.write_text(text, encoding="utf-8")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--model", type=Path, help="ONNX file (default: the shipped one)")
    parser.add_argument("--out", type=Path, help="the card; without it only tables are printed")
    parser.add_argument("--half", choices=["choose", "report"], default="report")
    args = parser.parse_args()
    write(args.model, args.images, args.half, args.out)


if __name__ == "__main__":
    main()
