"""Everything in one command: data sets, training, export with its checks, model card.

``python -m skdefocus.training --images DIR --check DIR --out DIR`` trains a network for windows on
crops of 64 pixels (in ``--out``/windows), on top of it one for their surroundings on crops of 256
pixels (in ``--out``/surroundings), then both together, and makes ``model.onnx`` and
``MODEL_CARD.md`` in ``--out``. What is there already is kept, and a killed training goes on where
it was.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from skdefocus.training import card, export, patches, train
from skdefocus.training.networks import NETWORKS


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m skdefocus.training", description=__doc__)
    parser.add_argument("--images", type=Path, required=True, help="photographs to learn from")
    parser.add_argument("--check", type=Path, required=True, help="other photographs, for the card")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=150_000, help="crops of 64 px")
    parser.add_argument("--scenes", type=int, default=24_000, help="crops of 256 px")
    parser.add_argument("--windows", choices=NETWORKS, default="vgg-0.5")
    parser.add_argument("--epochs", type=int, nargs=3, default=(10, 4, 24), help="of each training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bfloat16", action="store_true", help="multiply in half precision")
    args = parser.parse_args()

    def data(path: Path, count: int, size: int) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.with_suffix(".json").exists():
            patches.make(
                args.images, path, count=count, size=size, seed=args.seed, n_jobs=args.threads,
                conditions=patches.Conditions(),
            )  # fmt: skip
        return path

    def stage(run: Path, crops: Path, **options: Any) -> Path:
        train.train(
            crops, run, seed=args.seed, threads=args.threads, bfloat16=args.bfloat16, **options
        )
        export.export(run, crops, run / "model.onnx")
        return run / "model.onnx"

    windows = stage(
        args.out / "windows", data(args.out / "windows" / "crops.npy", args.count, 64),
        network=args.windows, epochs=args.epochs[0], batch=64,
    )  # fmt: skip
    scenes = data(args.out / "scenes.npy", args.scenes, 256)
    alone = args.out / "surroundings"
    stage(alone, scenes, network="surroundings", epochs=args.epochs[1], start=windows)
    model = stage(
        args.out, scenes, network="surroundings", epochs=args.epochs[2],
        start=alone / "checkpoint.pt", rate=1e-3, base_rate=3e-4,
    )  # fmt: skip
    card.write(model, args.check, "report", args.out / "MODEL_CARD.md")


if __name__ == "__main__":
    main()
