"""Magnification and sharpening beside the truth, on scenes from sharp photographs.

``python -m benchmarks.accuracy.applications`` reads photographs from ``SKDEFOCUS_DATA``, or from a
folder given by ``--images``, or takes the samples that come with scikit-image where there are none,
and writes a section of RESULTS.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

import skdefocus as sd
from benchmarks import report
from benchmarks.accuracy.scenes import photographs
from skdefocus.datasets import make_scene, sample_photographs
from skdefocus.effects import magnify, paper_magnify, sharpen
from skdefocus.synthesis import Layer, add_noise, blur, render_layers

NOISE = 2 / 255
FACTORS = (1.5, 2.0, 3.0)


def read(folder: Path) -> list[np.ndarray]:
    names = sorted(folder.glob("*.png"))
    return [np.asarray(Image.open(p).convert("L"), np.float32) / 255 for p in names]


def blob(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Coverage of a subject in the middle, and its distance from the outline (inside negative)."""
    y, x = np.indices(size)
    center = rng.uniform(0.4, 0.6, 2) * size
    wave = 1 + 0.2 * np.sin(rng.integers(2, 7) * np.arctan2(y - center[0], x - center[1]))
    return np.hypot(y - center[0], x - center[1]) - 0.28 * min(size) * wave


def cut(images: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    chosen = [images[i] for i in rng.choice(len(images), 2, replace=False)]
    size = np.min([im.shape for im in chosen], axis=0)
    return [im[: size[0], : size[1]] for im in chosen]


def by_mask(image: np.ndarray, sigma: np.ndarray, k: float) -> np.ndarray:
    """The simplest that people do: blur the photograph, and mix by a soft mask."""
    if not (sigma > 1).any():
        return image
    away = np.clip(ndimage.gaussian_filter((sigma > 1).astype(np.float32), 2), 0, 1)
    blurred = blur(image, float(np.median(sigma[sigma > 1])) * np.sqrt(k**2 - 1))
    return away * blurred + (1 - away) * image


WAYS = {
    "layers": magnify,
    "the paper's formula": paper_magnify,
    "blurred by a mask": by_mask,
}


def magnification(images: list[np.ndarray], count: int) -> list[list[object]]:
    rows: dict[tuple[str, float], list[float]] = {}
    for number in range(count):
        rng = np.random.default_rng(number)
        back, front = cut(images, rng)
        away = blob(back.shape, rng)
        alpha = np.clip(0.5 - away, 0, 1).astype(np.float32)
        low, high = rng.uniform(1.2, 2.0), rng.uniform(2.5, 3.5)
        ramp = np.linspace(low, high, back.shape[0])[:, None] * np.ones(back.shape)

        def scene(k: float, back=back, front=front, alpha=alpha, ramp=ramp) -> sd.synthesis.Scene:
            return render_layers([Layer(back, k * ramp), Layer(front, 0.0, alpha)], shape="disc")

        compare(rows, scene)
    names = dict.fromkeys(name for name, _ in rows)
    return [[n, *(float(np.mean(rows[n, k])) for k in FACTORS)] for n in names]


def compare(
    rows: dict[tuple[str, float], list[float]],
    scene: Callable[[float], sd.synthesis.Scene],
    factors: tuple[float, ...] = FACTORS,
) -> None:
    """Add every way's PSNR to the scene rendered with σ times k."""
    seen = scene(1.0)
    photo = np.clip(seen.photograph, 0, 1).astype(np.float32)
    estimated = sd.defocus_map(photo)
    for k in factors:
        truth = np.clip(scene(k).photograph, 0, 1)
        for kind, sigma in (("true", seen.sigma), ("estimated", estimated)):
            for name, f in WAYS.items():
                quality = sd.metrics.psnr(f(photo, sigma, k), truth)
                rows.setdefault((f"{name}, {kind} σ", k), []).append(quality)
        rows.setdefault(("(the photograph itself)", k), []).append(sd.metrics.psnr(photo, truth))


def kinds(images: list[np.ndarray], count: int) -> list[list[object]]:
    """At twice the blur, by the kind of scene; who is blurred matters where there are layers."""
    columns: dict[str, dict[tuple[str, float], list[float]]] = {}
    for number in range(count):
        rng = np.random.default_rng(number)
        chosen = cut(images, rng)
        for kind in ("plane", "layers", "soft", "thin"):

            def scene(k: float, kind=kind, chosen=chosen, number=number) -> sd.synthesis.Scene:
                return make_scene(chosen, kind, max_sigma=3 * k, shape="disc", random_state=number)

            seen = scene(1.0)
            near = seen.index > 0
            title = kind
            if near.any():
                blurred_near = seen.sigma[near].mean() > seen.sigma[~near].mean()
                title += ", blurred in front" if blurred_near else ", blurred behind"
            compare(columns.setdefault(title, {}), scene, (2.0,))
    titles = sorted(columns)
    names = dict.fromkeys(name for name, _ in columns[titles[0]])
    return [
        ["", *titles],
        *([n, *(float(np.mean(columns[t][n, 2.0])) for t in titles)] for n in names),
    ]


def sharpening(images: list[np.ndarray], count: int) -> list[list[object]]:
    rows: dict[str, list[tuple[float, float]]] = {}
    unsharp: Callable[[np.ndarray], np.ndarray] = lambda x: np.clip(  # noqa: E731
        x + (x - ndimage.gaussian_filter(x, 1.0)), 0, 1
    )
    for number in range(count):
        rng = np.random.default_rng(100 + number)
        back, front = cut(images, rng)
        away = blob(back.shape, rng)
        alpha = np.clip(0.5 - away, 0, 1).astype(np.float32)
        scene = render_layers([Layer(back, 4.0), Layer(front, 0.7, alpha)])
        clean = np.clip(scene.photograph, 0, 1)
        seen = np.clip(add_noise(clean, NOISE, random_state=number), 0, 1)
        subject, ground = away < -12, away > 30
        for name, f in (
            ("(the photograph itself)", lambda x, _: x),
            ("AdaptiveSharpener", lambda x, _: sd.AdaptiveSharpener().transform([x])[0]),
            ("sharpen, true σ", lambda x, s: sharpen(x, s)),
            ("sharpen by unsharp masking, true σ", lambda x, s: sharpen(x, s, method="unsharp")),
            ("plain unsharp masking", lambda x, _: unsharp(x)),
        ):
            found, without = f(seen, scene.sigma), f(clean, scene.sigma)
            quality = -10 * np.log10(float(np.mean((found - scene.sharp)[subject] ** 2)))
            noise = (found - without)[ground].std() / (seen - clean)[ground].std()
            rows.setdefault(name, []).append((quality, float(noise)))
    return [[name, *np.mean(values, axis=0).tolist()] for name, values in rows.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--images", type=Path, help="folder of PNG in focus everywhere")
    args = parser.parse_args()
    images = read(args.images) if args.images else photographs("report") or sample_photographs()
    by_kind = kinds(images, args.count)
    body = f"""## Magnification and sharpening

`python -m benchmarks.accuracy.applications`; {report.machine()}. A subject in focus before a
background on a tilted plane (disc PSF); PSNR in dB of the magnified photograph to a render with σ
times k, mean of {args.count} scenes of {len(images)} photographs:

{report.table(["", "k = 1.5", "k = 2", "k = 3"], magnification(images, args.count))}

The same for k = 2 by kind of scene (``make_scene``, σ up to 3):

{report.table([str(title) for title in by_kind[0]], by_kind[1:])}

A subject at σ = 0.7 before a background at σ = 4, noise of 2/255: PSNR of the subject to the sharp
truth, and the background's noise as ratio to the photograph's:

{report.table(["", "PSNR, dB", "noise"], sharpening(images, args.count))}
"""
    report.write("applications", body)


if __name__ == "__main__":
    main()
