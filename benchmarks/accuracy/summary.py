"""The README's table, and a list of where others are ahead."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import report

METHODS = {
    "skdefocus, refined": "**skdefocus**",
    "EdgeReblurEstimator": "skdefocus' edge re-blur, no network",
    "blur-detector": "blur-detector",
    "OpenCV Laplacian": "energy of OpenCV's Laplacian",
}
#: Data set and measure in the measurements, and the column's title.
COLUMNS = {
    ("CUHK, 88 photographs", "AUC"): "CUHK, AUC",
    ("CUHK, 88 photographs", "best F"): "CUHK, best F",
    ("Lytro, 20 photographs", "AUC"): "Lytro, AUC",
    ("Lytro, 20 photographs", "AUC, worst"): "Lytro, worst AUC",
    ("Indoor, σ from depth, 13 photographs", "Spearman"): "indoor, Spearman",
    ("Scenes with true σ, clean", "MAE after fit"): "scenes, error after a linear fit, px",
    ("Lytro, 20 photographs", "s/MP"): "s/MP (Lytro)",
}

#: Measures of which less is better; times and the error without a fit are no contest.
LESS = ("below .8", "MAE", "RMSE", "MAE after fit", "MAE near borders", "MAE in flat places")
IN_PIXELS = ("skdefocus", "EdgeReblur")

#: Data set, method, measure and value.
Line = tuple[str, str, str, float]


def ahead(lines: Sequence[Line]) -> str:
    """Name every data set and measure in which something is ahead of the refined map."""
    ours = "skdefocus, refined"
    values, found = {(d, m, what): x for d, m, what, x in lines}, []
    for (data, method, measure), other in values.items():
        mine = values.get((data, ours, measure))
        if mine is None or method == ours or measure == "s/MP":
            continue
        # Only maps in pixels can be off by pixels.
        if measure in LESS and measure != "MAE after fit" and not method.startswith(IN_PIXELS):
            continue
        if other < mine if measure in LESS else other > mine:
            found.append(f"- {data}: {method}, {measure} {other:.3f} against {mine:.3f}")
    return "\n\n".join(
        [
            "Ahead of the refined map, the default, are:",
            "\n".join(found),
            "Spearman's correlation hardly reaches 1: pixels of one layer have one true σ and no "
            "order, so that errors of any size cost. The row of the truth with a little noise "
            "shows what can be expected.",
        ]
    )


def highlights(lines: Sequence[Line]) -> str:
    """The README's table."""
    values, rows = {(d, m, what): x for d, m, what, x in lines}, []
    for method, title in METHODS.items():
        row: list[object] = [title]
        for data, measure in COLUMNS:
            value = values.get((data, method, measure))
            digits = 2 if measure == "s/MP" else 3
            row.append("–" if value is None else f"{value:.{digits}f}")
        rows.append(row)
    return (
        f"{report.table(['', *COLUMNS.values()], rows)}\n\n"
        "CUHK and Lytro are photographs with masks of what is in focus; AUC and best F say how "
        "well a map separates it from the rest. *Indoor* photographs have measured depth, from "
        "which σ follows. *Scenes* are synthetic, so their σ is known exactly. No photograph of "
        "the table was used to train the network or to choose parameters. "
        "The command `python -m benchmarks.accuracy` writes the table; "
        "[benchmarks/accuracy/RESULTS.md](benchmarks/accuracy/RESULTS.md) holds all figures, the "
        "data and the machine, and [benchmarks/RESULTS.md](benchmarks/RESULTS.md) those of fusion, "
        "filters and speed."
    )
