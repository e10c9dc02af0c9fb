"""Compare methods on scenes with true σ and on real photographs with focus masks.

``python -m benchmarks.accuracy`` reads photographs from ``SKDEFOCUS_DATA`` and writes RESULTS.md,
results.csv and contact sheets to benchmarks/accuracy/, and the most telling figures to README.md.
``--out`` writes elsewhere and leaves README.md alone.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

import skdefocus as sd
from benchmarks import report
from benchmarks.accuracy.cases import (
    SWEEP,
    Case,
    Half,
    bird_case,
    blurred_cases,
    cuhk_cases,
    indoor_cases,
    lytro_cases,
    more_cuhk_cases,
    scene_cases,
)
from benchmarks.accuracy.methods import Method, ablations, levels_of, methods, with_networks
from benchmarks.accuracy.scenes import DATA, STRENGTHS
from benchmarks.accuracy.summary import IN_PIXELS, Line, ahead, highlights
from skdefocus import metrics
from skdefocus._grids import enlarge, full_area

HERE = Path(__file__).parent
#: Packages that decide figures.
PEERS = ("scipy", "scikit-image", "onnxruntime", "opencv-contrib-python-headless", "blur-detector")
CLEAN, MIDDLE = "Scenes with true σ, clean", "Scenes with true σ, middle"
LYTRO = "Lytro, 20 photographs"
CUHK = "CUHK, 88 photographs"
INDOOR = "Indoor, σ from depth, 13 photographs"
SWEPT = "Evenly blurred photographs"
#: Shares of the pixels, the surest ones, on which errors are measured.
SHARES = (1.0, 0.9, 0.7, 0.5, 0.3)


def published_bird() -> dict[str, list[np.ndarray]]:
    """The paper's maps of it."""
    return {
        f"the paper, {kind}": [np.asarray(Image.open(DATA / "bird" / f"paper_{kind}_map.png"))]
        for kind in ("coarse", "refined")
    }


def published_hifst(cases: list[Case]) -> dict[str, float]:
    """HiFST's published sharpness maps, for the CUHK photographs that have one."""
    maps = []
    for case in cases:
        with Image.open(DATA / "cuhk" / f"{case.name}_hifst.png") as image:
            small = image.convert("L").resize(case.image.shape[1::-1], Image.Resampling.BILINEAR)
            maps.append(-np.asarray(small, np.float64))
    return {**mask_row(maps, cases), "s/MP": float("nan")}


def pooled(maps: list[np.ndarray]) -> np.ndarray:
    """Every second pixel in both directions of all maps, as one map."""
    return np.concatenate([m[::2, ::2].ravel() for m in maps])[None]


def sigma_row(maps: list[np.ndarray], cases: list[Case]) -> dict[str, float]:
    """Errors in pixels; those after a linear fit also rate maps that have no unit."""
    true = [c.sigma for c in cases]
    pairs = [(m, c) for m, c in zip(maps, cases, strict=True) if c.near.any()]
    near = [np.abs(m - c.sigma)[c.near].mean() for m, c in pairs]
    return {
        "MAE": metrics.sigma_mae(true, maps),
        "RMSE": metrics.sigma_rmse(true, maps),
        "MAE after fit": metrics.linear_fit_mae(true, maps),
        "Spearman": metrics.spearman(true, maps),
        "Spearman, all pixels": metrics.spearman([pooled(true)], [pooled(maps)]),
        "MAE near borders": float(np.mean(near)),
        "MAE in flat places": float(
            np.mean([np.abs(m - c.sigma)[c.flat].mean() for m, c in zip(maps, cases, strict=True)])
        ),
    }


def depth_row(maps: list[np.ndarray], cases: list[Case]) -> dict[str, float]:
    """Errors where σ is known from depth; the spread of σ differs, so that medians stand beside."""
    known = [np.isfinite(c.sigma) for c in cases]
    true = [c.sigma[k][None] for c, k in zip(cases, known, strict=True)]
    found = [m[k][None] for m, k in zip(maps, known, strict=True)]
    ranks = [metrics.spearman([t], [f]) for t, f in zip(true, found, strict=True)]
    return {
        "MAE": metrics.sigma_mae(true, found),
        "MAE after fit": metrics.linear_fit_mae(true, found),
        "Spearman": float(np.mean(ranks)),
        "Spearman, median": float(np.median(ranks)),
    }


def attainable(cases: list[Case]) -> dict[str, float]:
    """Measures of the truth with a little noise: ties in the truth keep ranks from agreeing."""
    rng = np.random.default_rng(0)
    maps = [c.sigma + 0.05 * rng.standard_normal(c.sigma.shape) for c in cases]
    return {**sigma_row(maps, cases), "s/MP": float("nan")}


def mask_row(maps: list[np.ndarray], cases: list[Case]) -> dict[str, float]:
    auc = [metrics.focus_auc(c.mask, m) for m, c in zip(maps, cases, strict=True)]
    best = [metrics.max_f_measure(1 - c.mask, m) for m, c in zip(maps, cases, strict=True)]
    return {
        "AUC": float(np.mean(auc)),
        "AUC, median": float(np.median(auc)),
        "AUC, worst": float(np.min(auc)),
        "below .8": float(np.mean(np.array(auc) < 0.8)),
        "best F": float(np.mean(best)),
    }


def table(rows: dict[str, dict[str, float]]) -> str:
    names = list(next(iter(rows.values())))
    cells: list[list[object]] = [[m, *(f"{row[n]:.3f}" for n in names)] for m, row in rows.items()]
    return report.table(["method", *names], cells)


def sheet(cases: list[Case], maps: dict[str, list[np.ndarray]], path: Path) -> None:
    """Photograph, truth and every method's map in one picture, the maps on one color scale."""
    from matplotlib.figure import Figure

    chosen = range(0, len(cases), max(1, len(cases) // 6))[:6]
    known = cases[0].sigma is not None or cases[0].mask is not None
    titles = ["photograph", *(["truth"] if known else []), *maps]
    figure = Figure(figsize=(1.7 * len(titles), 1.8 * len(chosen)), layout="constrained")
    axes = figure.subplots(len(chosen), len(titles), squeeze=False)
    for row, i in zip(axes, chosen, strict=True):
        case = cases[i]
        for axis, title in zip(row, titles, strict=True):
            axis.axis("off")
            if title == "photograph":
                axis.imshow(case.image, cmap="gray")
            elif title == "truth" and case.sigma is not None:
                axis.imshow(case.sigma, vmin=0, vmax=5, cmap="magma")
            elif title == "truth":
                axis.imshow(1 - case.mask, vmin=0, vmax=1, cmap="magma")
            else:
                found = maps[title][i]
                unit = title.startswith(IN_PIXELS)
                limits = (0, 5) if unit else np.quantile(found, [0.02, 0.98])
                axis.imshow(found, vmin=limits[0], vmax=limits[1], cmap="magma")
            if i == chosen[0]:
                axis.set_title(title.replace(", ", "\n"), fontsize=7)
    figure.savefig(path, dpi=110)


def kept_shares(cases: list[Case]) -> dict[str, dict[str, float]]:
    """Error of the raw and the refined map on the pixels of the surest cells."""
    errors: dict[str, list[np.ndarray]] = {"raw": [], "refined": []}
    sure: dict[str, list[np.ndarray]] = {"expected error": [], "confidence": []}
    for case in cases:
        grid = levels_of(case.image)
        area = full_area(case.image.shape)
        for kind, values in zip(sure, (-grid.sigma_error, grid.confidence), strict=True):
            sure[kind].append(enlarge(values, grid.step, area).ravel()[::7])
        for name, found in (
            ("raw", enlarge(grid.sigma, grid.step, area)),
            ("refined", sd.WeightedGuidedRefiner().transform([grid])[0]),
        ):
            errors[name].append(np.abs(found - case.sigma).ravel()[::7])
    rows = {}
    for name, error in errors.items():
        for kind, values in sure.items():
            curve = metrics.risk_coverage_curve(
                np.concatenate(error), np.concatenate(values), SHARES
            )
            rows[f"{name}, by {kind}"] = {
                f"{share:.0%} kept": float(e) for share, e in zip(SHARES, curve, strict=True)
            }
    return rows


def by_kind(maps: dict[str, list[np.ndarray]], cases: list[Case]) -> dict[str, dict[str, float]]:
    """MAE of the methods whose maps are in pixels, by kind of scene."""
    kinds = list(dict.fromkeys(c.name.split()[1] for c in cases))
    return {
        method: {
            kind: metrics.sigma_mae(
                [c.sigma for c in cases if c.name.endswith(kind)],
                [m for m, c in zip(found, cases, strict=True) if c.name.endswith(kind)],
            )
            for kind in kinds
        }
        for method, found in maps.items()
        if method.startswith(IN_PIXELS)
    }


def score_of(case: Case) -> Callable[[list[np.ndarray], list[Case]], dict[str, float]]:
    """The measures for cases like this one."""
    if case.sigma is None:
        return mask_row
    return depth_row if case.near is None else sigma_row


def sweep(tried: dict[str, Method], half: Half = "report") -> dict[str, dict[str, float]]:
    """Median σ on textured surfaces that are blurred evenly, and the share called below 1 px."""
    rows: dict[str, dict[str, float]] = {}
    for camera in (False, True):
        for sigma in tqdm(SWEEP, desc="sweep", leave=False):
            cases = list(blurred_cases(half, sigma, camera=camera))
            row = rows.setdefault(f"{sigma:g}", {})
            for name, method in tried.items():
                maps = [method(c.image) for c in cases]
                on_texture = [np.median(m[c.mask > 0]) for m, c in zip(maps, cases, strict=True)]
                kind = ", noise and JPEG" if camera else ""
                row[f"{name}{kind}"] = float(np.median(on_texture))
                row[f"{name}{kind}, below 1 px"] = float(np.mean([np.mean(m < 1) for m in maps]))
    return rows


def run(
    cases: list[Case], name: str, tried: dict[str, Method], *, timed: bool = True
) -> tuple[dict[str, dict[str, float]], dict[str, list[np.ndarray]]]:
    """Measures and maps of every method."""
    rows, maps = {}, {}
    megapixels = sum(c.image.shape[0] * c.image.shape[1] for c in cases) / 1e6
    for method, function in tried.items():
        start = time.perf_counter()
        found = [
            np.asarray(function(c.image), np.float64)
            for c in tqdm(cases, desc=f"{name}: {method}", leave=False)
        ]
        seconds = (time.perf_counter() - start) / megapixels
        rows[method] = score_of(cases[0])(found, cases) | ({"s/MP": seconds} if timed else {})
        maps[method] = found
        print(name, method, {k: round(v, 3) for k, v in rows[method].items()}, flush=True)
    return rows, maps


def as_lines(data: str, rows: dict[str, dict[str, float]]) -> list[Line]:
    """Lines of the CSV file."""
    return [(data, method, key, x) for method, row in rows.items() for key, x in row.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=60)
    parser.add_argument("--only", default="", help="methods whose name contains this")
    parser.add_argument("--out", type=Path, help="another folder than benchmarks/accuracy")
    parser.add_argument(
        "--network",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="an ONNX file of `skdefocus.training.export` for the ablation; may be repeated",
    )
    args = parser.parse_args()
    out = args.out or HERE
    tried = {name: method for name, method in methods().items() if args.only in name}
    sets = {
        f"Scenes with true σ, {s}": list(scene_cases("report", args.scenes, s)) for s in STRENGTHS
    }
    sets[LYTRO] = list(lytro_cases(slice(10, None)))
    sets[CUHK] = list(more_cuhk_cases("report"))
    sets[INDOOR] = list(indoor_cases("report"))
    five = "CUHK, 5 photographs with HiFST's maps"
    hifst = [c for c in cuhk_cases() if (DATA / "cuhk" / f"{c.name}_hifst.png").exists()]
    sets[five] = hifst
    parts, lines = [], []
    for number, (name, cases) in enumerate(sets.items()):
        rows, maps = run(cases, name, tried)
        lines += as_lines(name, rows)
        if name == five:
            extra = {"HiFST (published maps)": published_hifst(cases)}
            rows |= extra
            lines += as_lines(name, extra)
        made = cases[0].near is not None
        if made:
            rows["(the truth with noise of 0.05 px)"] = attainable(cases)
        sheet(cases, maps, out / f"sheet{number}.jpg")
        parts.append(f"## {name}\n\n{table(rows)}\n\n![{name}](sheet{number}.jpg)\n")
        if made:
            parts.append(f"MAE by kind of scene:\n\n{table(by_kind(maps, cases))}\n")
    blurred = sweep({k: v for k, v in tried.items() if k.startswith(IN_PIXELS)})
    lines += as_lines(SWEPT, blurred)
    parts.append(
        f"## {SWEPT}\n\nThe first column is the true σ, the others what is found: the median over "
        "textured places, and the share of all pixels that is called sharper than 1 px.\n\n"
        f"{table(blurred)}\n"
    )
    bird = bird_case()
    maps = {name: [np.asarray(method(bird.image))] for name, method in tried.items()}
    sheet([bird], {**maps, **published_bird()}, out / "bird.jpg")
    parts.append(
        "## The paper's bird\n\nNobody knows its truth, so that there is nothing to measure. The "
        "paper's maps are as its authors published them.\n\n![The paper's bird](bird.jpg)\n"
    )
    clean, middle, lytro = ((n, sets[n]) for n in (CLEAN, MIDDLE, LYTRO))
    parts.append(
        "## What the confidence is worth\n\nMAE in pixels over the clean scenes, on the pixels of "
        "the surest cells: by the expected error in pixels (`LevelGrid.sigma_error`) and by the "
        f"confidence, which is about levels.\n\n{table(kept_shares(clean[1]))}\n"
    )
    for name, cases in (clean, lytro):
        rows, _ = run(cases, f"Ablation, {name}", ablations(), timed=False)
        parts.append(f"## What each part is worth: {name}\n\n{table(rows)}\n")
        lines += as_lines(f"Ablation, {name}", rows)
    networks = dict(text.split("=", 1) for text in args.network)
    for name, cases in (clean, middle, lytro) if networks else ():
        tried = with_networks(networks)
        rows, _ = run(cases, f"Other networks, {name}", tried, timed=False)
        parts.append(f"## Other networks, refined: {name}\n\n{table(rows)}\n")
        lines += as_lines(f"Other networks, {name}", rows)
    head = (
        "# Accuracy of defocus maps\n\n"
        "Written by `python -m benchmarks.accuracy`. Scenes are made from photographs that "
        "neither training nor any choice of parameters has seen, scene number i from seed i. Of "
        "every set of photographs one half was used to choose parameters; these are the others. σ "
        "in pixels; AUC and best F (β² = 0.3) against focus masks.\n\n"
        f"{report.machine(*PEERS)}; seconds per megapixel are those of this run.\n\n"
        f"{ahead(lines)}\n\n"
    )
    (out / "RESULTS.md").write_text(head + "\n".join(parts), encoding="utf-8")
    with (out / "results.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["data", "method", "measure", "value"], *lines])
    if args.out is None:
        report.write("accuracy", highlights(lines), HERE.parents[1] / "README.md")


if __name__ == "__main__":
    main()
