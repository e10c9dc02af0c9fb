"""Everything in one command: scenes, training, calibration, export with its check, model card.

``python -m skdefocus.training --images DIR --check DIR --out DIR --minutes 8`` makes scenes of the
photographs in ``--images`` with all cores while it trains (on a GPU if there is one), and writes
``checkpoint.pt``, ``log.csv``, ``model.onnx`` and ``MODEL_CARD.md`` into ``--out``. The minutes
count training alone; scenes of the held-out photographs are made before it, and calibration, export
and card follow. If an error, Ctrl-C or SIGTERM ends it early, it still exports the best weights so
far, and the same command continues from there. Settings whose default is 0 adapt to the machine.
"""

from __future__ import annotations

from pathlib import Path

from skdefocus.training import card, export, train
from skdefocus.training.config import parser_of, settings


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = parser_of("skdefocus.training", __doc__)
    parser.add_argument("--check", type=Path, help="other photographs; needed for the card")
    parser.add_argument("--history", default="", help="text to add to the card")
    args = parser.parse_args(arguments)
    model = args.out / "model.onnx"
    try:
        run = train.train(args.images, args.out, settings(args), args.scenes_in)
    finally:
        if (args.out / "checkpoint.pt").exists():
            export.export(args.out, model, args.history)
    if run.done < 1:
        print(f"ended at {run.done:.0%} of the budget; the same command continues from there")
    elif args.check:
        card.write(model, args.check, "report", args.out / "MODEL_CARD.md")


if __name__ == "__main__":
    main()
