"""Maps of the shipped network as they are now; ``python -m tests.helpers.golden`` writes them anew.

To be run after the network or the refinement was changed on purpose, and the new file committed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skdefocus import defocus_map, network
from skdefocus.datasets import load_sample_scenes, sample_photographs
from skdefocus.synthesis import blur

PATH = Path(__file__).with_name("golden.json")
#: Distance of the pixels that are kept.
EVERY = 16


def images() -> dict[str, NDArray[np.generic]]:
    """Small images that every installation has, by name."""
    from sklearn.datasets import load_sample_image

    flower = load_sample_image("flower.jpg")[100:292, 200:392]
    scenes = dict(
        zip(("plane", "layers", "soft", "thin", "flat"), load_sample_scenes(128), strict=True)
    )
    return {
        "flower": flower,
        "flower_grey": flower.mean(2).astype(np.uint8),
        "brick": sample_photographs(128)[0],
        "brick_blurred": blur(sample_photographs(128)[0], 2.0),
        "noise": np.random.default_rng(0).random((64, 96)).astype(np.float32),
        "tiny": flower[:13, :29],
        **{name: scene.photograph for name, scene in scenes.items()},
    }


def measure() -> dict[str, Any]:
    """Map them; some of σ's pixels and its mean, in pixels, and the network's digest."""
    maps = {name: defocus_map(image) for name, image in images().items()}
    return {
        "model": network.load_facts(network.model_path(None)).digest,
        "mean": {name: round(float(sigma.mean()), 4) for name, sigma in maps.items()},
        "sigma": {
            name: np.round(sigma[4::EVERY, 4::EVERY].astype(float), 3).tolist()
            for name, sigma in maps.items()
        },
    }


def write() -> None:
    """Write the file."""
    found = measure()
    # One image a line, so that a difference shows where it is.
    rows = [f"    {json.dumps(n)}: {json.dumps(s)}" for n, s in found["sigma"].items()]
    text = (
        f'{{\n  "model": "{found["model"]}",\n  "mean": {json.dumps(found["mean"])},\n'
        '  "sigma": {\n' + ",\n".join(rows) + "\n  }\n}\n"
    )
    PATH.write_text(text, encoding="utf-8")
    print(f"wrote {PATH}")


if __name__ == "__main__":
    write()
