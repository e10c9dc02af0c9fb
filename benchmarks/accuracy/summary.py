"""Put the most telling figures of results.csv into the README, and where others are ahead first.

``python -m benchmarks.accuracy.summary`` after ``python -m benchmarks.accuracy``.
"""

from __future__ import annotations

import csv
from pathlib import Path

from benchmarks import report

HERE = Path(__file__).parent
README = HERE.parents[1] / "README.md"
METHODS = {
    "skdefocus, refined": "**skdefocus**",
    "EdgeReblurEstimator": "skdefocus' edge re-blur, no network",
    "blur-detector": "blur-detector",
    "OpenCV Laplacian": "energy of OpenCV's Laplacian",
}
#: Data set and measure in the file, and the column's title.
COLUMNS = {
    ("Lytro, 40 photographs", "AUC"): "Lytro, mean AUC",
    ("Lytro, 40 photographs", "AUC, worst"): "worst",
    ("CUHK, 10 photographs", "best F"): "CUHK, best F",
    ("Scenes with true σ, clean", "Spearman"): "scenes, Spearman",
    ("Scenes with true σ, clean", "MAE after fit"): "error after a linear fit, px",
    ("Lytro, 40 photographs", "s/MP"): "s/MP",
}


#: Measures of which less is better; times and the error without a fit are no contest.
LESS = ("MAE", "RMSE", "MAE after fit", "MAE near borders", "MAE in flat places")
IN_PIXELS = ("skdefocus", "EdgeReblur")


#: Why something else is ahead, by data set; said only where it is.
REASONS = {
    "Scenes": "The raw map is ahead in some measures where σ is known: the scenes join unrelated "
    "photographs, so that edges of texture and of depth have nothing to do with each other, and "
    "what the refinement takes from the photograph's edges and from the surroundings of flat "
    "places misleads there. On real photographs it is what helps most.",
    "CUHK": "On CUHK the least AUC comes of a strip of dark smooth background beside a face in "
    "focus.",
}


def ahead(values: dict[tuple[str, str, str], str]) -> str:
    """Name every data set and measure in which something is ahead of the refined map."""
    ours = "skdefocus, refined"
    lines = []
    for (data, method, measure), text in values.items():
        if method == ours or measure == "s/MP" or data.startswith("Ablation"):
            continue
        # Only maps in pixels can be off by pixels.
        if measure in LESS and measure != "MAE after fit" and not method.startswith(IN_PIXELS):
            continue
        mine, other = float(values[data, ours, measure]), float(text)
        if other < mine if measure in LESS else other > mine:
            lines.append(f"- {data}: {method}, {measure} {other:.3f} against {mine:.3f}")
    return "\n\n".join(
        [
            "Ahead of the refined map, the default, are:",
            "\n".join(lines),
            *(why for data, why in REASONS.items() if any(data in line for line in lines)),
            "Spearman's correlation cannot reach 1: pixels of one layer have one true σ and no "
            "order. The row of the truth with a little noise shows what can be reached.",
        ]
    )


def main() -> None:
    with (HERE / "results.csv").open(encoding="utf-8", newline="") as stream:
        next(stream)
        values = {(row[0], row[1], row[2]): row[3] for row in csv.reader(stream)}
    rows: list[list[object]] = []
    for method, title in METHODS.items():
        row: list[object] = [title]
        for data, measure in COLUMNS:
            text = values.get((data, method, measure))
            digits = 2 if measure == "s/MP" else 3
            row.append("–" if text is None else f"{float(text):.{digits}f}")
        rows.append(row)
    body = (
        f"{report.table(['', *COLUMNS.values()], rows)}\n\n"
        "Written by `python -m benchmarks.accuracy` and `python -m benchmarks.accuracy.summary`; "
        "all figures, data and machine are in "
        "[benchmarks/accuracy/RESULTS.md](benchmarks/accuracy/RESULTS.md), those of fusion, "
        "filters and speed in [benchmarks/RESULTS.md](benchmarks/RESULTS.md)."
    )
    report.write("accuracy", body, README)
    report.write("ahead", ahead(values), HERE / "RESULTS.md")


if __name__ == "__main__":
    main()
