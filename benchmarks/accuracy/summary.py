"""Put the most telling figures of results.csv into the README.

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


def main() -> None:
    with (HERE / "results.csv").open(encoding="utf-8", newline="") as stream:
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


if __name__ == "__main__":
    main()
