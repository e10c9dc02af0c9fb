"""Measure a model file on photographs that it was not trained on, and write its card.

``python -m skdefocus.training.card --images DIR --out MODEL_CARD.md`` blurs the in-focus ones among
the photographs at every level, takes patches with texture and without, and compares the network's
answers with the truth: alone (as patches) and with their surroundings (dense).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from skdefocus import network as _onnx
from skdefocus import synthesis
from skdefocus._typing import PSFShape
from skdefocus.metrics import expected_calibration_error
from skdefocus.pipeline import BlurLevelClassifier, PatchExtractor
from skdefocus.training.crops import BLOCK
from skdefocus.training.patches import edge_blur_blocks, is_in_focus, photographs, read_grey

#: Title, PSF, noise (standard deviation, full scale is 1), JPEG quality.
CONDITIONS: list[tuple[str, PSFShape, float, int | None]] = [
    ("clean", "gaussian", 0.0, None),
    ("noise 2/255 and JPEG 85", "gaussian", 2 / 255, 85),
    ("noise 6/255 and JPEG 70", "gaussian", 6 / 255, 70),
    ("disc PSF", "disc", 0.0, None),
]


def cells(image: NDArray[np.float32], textured: bool) -> NDArray[np.bool_]:
    """The 32-pixel cells whose four blocks hold two sharp ones or more and no soft one, or none.

    The rim of the photograph is left out, where patches see mirrored pixels.
    """
    state = edge_blur_blocks(image)
    rows, columns = state.shape[0] // 2, state.shape[1] // 2
    four = state[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).swapaxes(1, 2)
    four = four.reshape(rows, columns, 4)
    sharp, soft = (four == 1).sum(axis=2), (four == -1).sum(axis=2)
    found = (soft == 0) & ((sharp >= 2) if textured else (sharp == 0))
    found[[0, -1]] = found[:, [0, -1]] = False
    return np.asarray(found)


def answers(
    model: Path | None, images: list[NDArray[np.float32]]
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.intp]]]:
    """Probabilities (n, levels) and true levels (n,) of the cells, for every row of the table."""
    extractor = PatchExtractor(step=2 * BLOCK)
    classifiers = {
        name: BlurLevelClassifier(model, inference=name) for name in ("dense", "patches")
    }
    sigmas = classifiers["dense"].sigmas_
    found: dict[str, list[tuple[NDArray[np.float32], NDArray[np.intp]]]] = {}
    for number, image in enumerate(tqdm(images, unit="photo")):
        chosen = {"texture": cells(image, True), "no strong edge": cells(image, False)}
        for level, sigma in enumerate(sigmas):
            for title, shape, noise, quality in CONDITIONS:
                seen = synthesis.blur(image, float(sigma), shape=shape, linear_light=True)
                if noise:
                    seed = number * 100 + level
                    seen = synthesis.add_noise(seen, noise, noise, random_state=seed)
                if quality is not None:
                    seen = synthesis.jpeg(seen, quality)
                grids = extractor.transform([np.clip(seen, 0, 1)])
                for inference, classifier in classifiers.items():
                    proba = classifier.transform(grids)[0].proba
                    for kind, where in chosen.items():
                        part = proba[: where.shape[0], : where.shape[1]][where]
                        row = (part, np.full(len(part), level))
                        found.setdefault(f"{inference}, {kind}, {title}", []).append(row)
    return {
        title: (np.concatenate([p for p, _ in rows]), np.concatenate([t for _, t in rows]))
        for title, rows in sorted(found.items())
    }


def figures(
    proba: NDArray[np.float32], truth: NDArray[np.intp], sigmas: NDArray[np.float64]
) -> dict[str, float]:
    """What the table shows, from probabilities and true levels."""
    error = np.abs(proba @ sigmas - sigmas[truth])
    levels = np.arange(len(sigmas))
    spread = proba @ levels**2 - (proba @ levels) ** 2
    sure = spread <= np.median(spread)
    guess = proba.argmax(axis=1)
    return {
        "patches": len(truth),
        "top-1": float((guess == truth).mean()),
        "within one": float((np.abs(guess - truth) <= 1).mean()),
        "MAE, σ ≤ 5": float(error[sigmas[truth] <= 5].mean()),
        "MAE, all": float(error.mean()),
        "sure half": float(error[sure].mean()),
        "unsure half": float(error[~sure].mean()),
        "ECE": expected_calibration_error(proba, truth),
    }


def measure(
    model: Path | None, images: list[NDArray[np.float32]]
) -> list[tuple[str, dict[str, float]]]:
    """All rows of the table."""
    sigmas = BlurLevelClassifier(model).sigmas_
    return [(title, figures(*row, sigmas)) for title, row in answers(model, images).items()]


def table(rows: list[tuple[str, dict[str, float]]]) -> str:
    names = list(rows[0][1])
    lines = [f"| | {' | '.join(names)} |", "|---|" + "---|" * len(names)]
    for title, row in rows:
        values = [f"{v:d}" if isinstance(v, int) else f"{v:.3f}" for v in row.values()]
        lines.append(f"| {title} | {' | '.join(values)} |")
    return "\n".join(lines)


CARD = """# Model card: {name}

A fully convolutional network for 32×32 grey patches with {levels} levels of blur, made by
`skdefocus.training` (`networks.py` there describes it).{licence}

**Use.** How blurred a patch is, in pixels, by a lens out of focus. Not for motion blur, and not
for σ above {largest:g} px: shrink the photograph first.

**Training.** {training}; digest `{digest}`; {steps} steps.{history}
Crops come from the parts of the photographs that are in focus, blurred by Gaussian and disc PSFs
(also with gradients, depth edges and thin structures within a crop), in linear light and as
encoded, with noise, JPEG, exposure and contrast drawn at random, and from flat places as well as
from textured ones.{photographs}

**Levels.** σ in pixels: {sigmas}.

## Figures

`python -m skdefocus.training.card --images DIR --half {half} --out MODEL_CARD.md`:
{count} photographs, other ones than those for training, in focus all over (`is_in_focus`), blurred
in linear light at each of the {levels} levels. Errors are of the expectation of σ, in pixels; the
sure half are the patches of least variance; ECE is the expected calibration error of the most
probable level. "Patches" shows the network each patch alone, "dense" with its surroundings.
"No strong edge" are patches in which hardly anything can be seen but faint structure and noise:
their error is that of not knowing, and the confidence says so.

{table}

On the training's held-out photographs, under its conditions (noise, JPEG, flat places, depth
edges): error {mae:.3f} px, {mae_sure:.3f} on the sure half and
{mae_unsure:.3f} on the other; within one level {within_one:.3f}; expected calibration error
{ece:.3f}, each half of the photographs at the temperature of the other half. The conditions of the
table's clean rows are easier than that, and there the network is less sure than it could be.

## Where it fails

- Surfaces without texture: the probabilities are spread over many levels, as they should be. What
  a map shows there comes from the surroundings.
- Texture that is soft by nature (clouds, smoke, skin, still water) looks like a sharper one
  blurred.
- Above 5 px neighbouring levels differ by less than 32 pixels can tell: their mean is right, the
  single answer is often off by one.
- Within some 10 px of a depth edge a patch shows two surfaces, and the answer lies between them
  or follows the more textured one.
"""


#: What holds for the shipped network alone.
LICENCE = " It ships under the licence of the package\n(BSD-3-Clause)."
PHOTOGRAPHS = """
The photographs are under CC0, CC BY-SA 4.0 (CID22) and the Unsplash licence; none of them is part
of the package."""


def write(model: Path | None, folder: Path, half: str, out: Path | None) -> None:
    """Measure on one half of a folder's in-focus photographs; print the table, write the card."""
    images = [im for im in map(read_grey, photographs(folder)) if is_in_focus(im)]
    images = images[{"choose": 0, "report": 1}[half] :: 2]
    if not images:
        raise SystemExit(f"no photograph of the half to {half} in {folder} is in focus")
    rows = table(measure(model, images))
    print(rows)
    if not out:
        return
    facts = _onnx.load_facts(_onnx.model_path(model)).metadata
    sigmas = json.loads(facts["sigmas"])
    held = json.loads(facts["held_out"])
    out.write_text(
        CARD.format(
            name=f"{facts['network']}, version {facts['version']}", largest=sigmas[-1],
            training=facts["training_data"], digest=facts["training_data_digest"][:16],
            steps=facts["training_steps"], history=facts.get("history", ""), count=len(images),
            half=half, table=rows, levels=len(sigmas), licence=LICENCE if model is None else "",
            photographs=PHOTOGRAPHS if model is None else "",
            sigmas=", ".join(f"{s:.2f}" for s in sigmas), **held,
        ),
        encoding="utf-8",
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--model", type=Path, help="ONNX file; the shipped one if left out")
    parser.add_argument("--out", type=Path, help="the card; without it a table only")
    parser.add_argument("--half", choices=["choose", "report"], default="report")
    args = parser.parse_args()
    write(args.model, args.images, args.half, args.out)


if __name__ == "__main__":
    main()
