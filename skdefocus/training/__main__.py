"""Everything in one command: data set, training, export with its checks, model card.

``python -m skdefocus.training --images DIR --check DIR --out DIR`` makes ``crops.npy``,
``checkpoint.pt``, ``model.onnx`` and ``MODEL_CARD.md`` in ``--out``. What is there already is kept,
and a killed training goes on where it was.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from skdefocus.training import card, export, patches, train
from skdefocus.training.crops import Conditions
from skdefocus.training.networks import NETWORKS


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m skdefocus.training", description=__doc__)
    parser.add_argument("--images", type=Path, required=True, help="photographs to learn from")
    parser.add_argument("--check", type=Path, required=True, help="other photographs, for the card")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=100_000, help="crops of 64 px")
    parser.add_argument("--network", choices=NETWORKS, default="vgg-0.5")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bfloat16", action="store_true", help="multiply in half precision")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    crops, model = args.out / "crops.npy", args.out / "model.onnx"
    if not crops.with_suffix(".json").exists():
        patches.make(
            args.images, crops, count=args.count, size=64, seed=args.seed, n_jobs=args.threads,
            conditions=Conditions(),
        )  # fmt: skip
    train.train(
        crops, args.out, network=args.network, epochs=args.epochs, seed=args.seed,
        threads=args.threads, bfloat16=args.bfloat16,
    )  # fmt: skip
    export.export(args.out, crops, model)
    card.write(model, args.check, "report", args.out / "MODEL_CARD.md")


if __name__ == "__main__":
    main()
