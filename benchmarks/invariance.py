"""How maps change when a photograph is turned, mirrored or blurred more.

python -m benchmarks.invariance --photos data/sharp-validation
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.report import machine, table
from skdefocus import defocus_map
from skdefocus._images import check_image
from skdefocus._typing import Float32Array
from skdefocus.io import read_image
from skdefocus.synthesis import blur

SIGMAS = (0, 0.5, 1, 1.5, 2, 3, 4, 6, 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, default=Path("data/sharp-validation"))
    parser.add_argument("--size", type=int, default=512, help="of the middle that is taken")
    args = parser.parse_args()
    turned, steps = [], []
    for path in sorted(args.photos.iterdir()):
        photo = middle(check_image(read_image(path)), args.size)
        turned.append(turns(photo))
        steps.append(np.diff([defocus_map(blur(photo, s)).mean() for s in SIGMAS]))
    print(machine("onnxruntime"))
    print(f"{len(turned)} photographs, the middle {args.size} × {args.size} pixels\n")
    mean, high, image_mean = np.array(turned).T
    print(table(["Turned or mirrored, 7 ways", "median", "worst"], [
        ["mean absolute change of σ, px", float(np.median(mean)), float(mean.max())],
        ["99th percentile of it, px", float(np.median(high)), float(high.max())],
        ["change of the mean σ, px", float(np.median(image_mean)), float(image_mean.max())],
    ]), "\n")  # fmt: skip
    rows: list[list[object]] = [
        [f"{a:g} → {b:g}", float(np.median(s)), float(s.min()), int((s < 0).sum())]
        for (a, b), s in zip(pairwise(SIGMAS), np.array(steps).T, strict=True)
    ]
    print(table(["Blurred by σ", "mean σ rises by (median)", "least", "falls in"], rows))


def middle(photo: Float32Array, size: int) -> Float32Array:
    """The middle, with sides that hold whole cells of the grid: else a cut cell changes its end."""
    height, width = (min(n, size) // 8 * 8 for n in photo.shape[:2])
    top, left = (photo.shape[0] - height) // 2, (photo.shape[1] - width) // 2
    return photo[top : top + height, left : left + width]


def turns(photo: Float32Array) -> tuple[float, float, float]:
    """Worst of the seven: mean and 99th percentile of the absolute change, change of the mean."""
    sigma = defocus_map(photo)
    found = []
    for mirror in (False, True):
        for quarter in range(4):
            if mirror or quarter:
                other = np.rot90(photo[:, ::-1] if mirror else photo, quarter)
                back = np.rot90(defocus_map(other), -quarter)
                change = np.abs((back[:, ::-1] if mirror else back) - sigma)
                shift = abs(float(back.mean() - sigma.mean()))
                found.append((float(change.mean()), float(np.quantile(change, 0.99)), shift))
    worst = np.max(found, axis=0)
    return float(worst[0]), float(worst[1]), float(worst[2])


if __name__ == "__main__":
    main()
