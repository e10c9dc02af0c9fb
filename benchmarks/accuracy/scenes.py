"""Scenes with true σ from photographs that the network was not trained on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np
from PIL import Image

from skdefocus.datasets import SceneKind, make_scene
from skdefocus.synthesis import Scene
from skdefocus.training.photographs import is_in_focus

DATA = Path(os.environ.get("SKDEFOCUS_DATA", "data"))

#: Noise (standard deviation, full scale is 1) and JPEG quality of the strengths of degradation.
STRENGTHS = {"clean": (0.0, None), "middle": (2 / 255, 85), "strong": (6 / 255, 70)}


def photographs(half: str) -> list[np.ndarray]:
    """In-focus photographs of the validation folder: every other one, to choose or to report."""
    names = sorted((DATA / "sharp-validation").glob("*.png"))
    if not names:
        raise SystemExit(f"no photographs in {DATA}/sharp-validation; set SKDEFOCUS_DATA")
    images = [np.asarray(Image.open(p).convert("L"), np.float32) / 255 for p in names]
    kept = [im for im in images if is_in_focus(im)]
    return kept[{"choose": 0, "report": 1}[half] :: 2]


def scenes(half: str, count: int, strength: str = "clean") -> Iterator[tuple[str, Scene]]:
    """Yield (kind, scene), the same ones in every run; kinds and PSFs take turns."""
    images = photographs(half)
    noise, quality = STRENGTHS[strength]
    kinds = get_args(SceneKind)
    for i in range(count):
        rng = np.random.default_rng(i)
        chosen = [images[j] for j in rng.choice(len(images), 3, replace=False)]
        yield (
            kinds[i % len(kinds)],
            make_scene(
                chosen,
                kinds[i % len(kinds)],
                shape=("gaussian", "disc")[i // len(kinds) % 2],
                noise=noise,
                quality=quality,
                random_state=i,
            ),
        )
