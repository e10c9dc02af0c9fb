"""A data set of crops with known blur, made from in-focus photographs.

``python -m skdefocus.training.patches --images DIR --out FILE`` writes one ``.npy`` file of
records (memory-mapped, so memory stays bounded) and ``FILE.json`` with how it was made. A record
is a crop and the σ of each 32×32 window in it, every 8 pixels; ``--size 32`` gives plain patches.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from tqdm import tqdm

from skdefocus.training.crops import BLOCK, PATCH, STRIDE, Conditions, Crop, Float
from skdefocus.training.levels import level_sigmas


def edge_blur_blocks(image: Float, block: int = BLOCK) -> NDArray[np.int8]:
    """Tell in which blocks of a photograph the sharpest strong edge is really sharp.

    An edge's own σ follows from how much its gradient falls when it is blurred by σ = 1 more
    (Zhuo and Sim, Pattern Recognition 2011): with ratio R, σ = 1 / √(R² − 1).

    Parameters
    ----------
    image : ndarray of shape (H, W), float32 in [0, 1]
    block : int
        Side of the blocks in pixels.

    Returns
    -------
    ndarray of shape (H // block, W // block), int8
        1: the strongest edge has σ below 1 px; -1: it is softer than that; 0: there is no edge
        strong enough to tell (gradient below 0.03 per pixel).
    """
    again = ndimage.gaussian_filter(image, 1.0)

    def slope(x: Float) -> Float:
        return np.hypot(ndimage.sobel(x, 0), ndimage.sobel(x, 1)) / 8

    before, after = slope(image), slope(again)
    rows, cols = image.shape[0] // block, image.shape[1] // block

    def blocks(x: Float) -> Float:
        x = x[: rows * block, : cols * block].reshape(rows, block, cols, block)
        return x.swapaxes(1, 2).reshape(rows, cols, block * block)

    before, after = blocks(before), blocks(after)
    at = before.argmax(axis=-1)[..., None]
    top = np.take_along_axis(before, at, -1)[..., 0]
    ratio = top / np.maximum(np.take_along_axis(after, at, -1)[..., 0], 1e-6)
    sharp = ratio > np.sqrt(2.0)  # σ < 1
    return np.where(top < 0.03, 0, np.where(sharp, 1, -1)).astype(np.int8)


def is_in_focus(image: Float) -> bool:
    """Whether a photograph is sharp all over, so that a blur added to it is all that it has.

    Of the blocks with a strong edge at most a tenth may be soft, and four blocks in ten must be
    sharp.
    """
    state = edge_blur_blocks(image)
    sharp, soft = float((state == 1).mean()), float((state == -1).mean())
    return sharp >= 0.4 and soft <= 0.1 * (sharp + soft)


Places = NDArray[np.intp]


def crop_places(image: Float, window: int) -> tuple[Places, Places, Places]:
    """Top-left corners of the windows that may be used, on the grid of blocks.

    A window may be used if no more than one in ten of its blocks has a soft strong edge and a
    sharp block lies in it or within three blocks of it, so that a flat window is (most probably)
    a flat part of something in focus and not a blurred background.

    Returns
    -------
    textured, flat, any : ndarray of shape (n, 2)
        Corners of windows of which a fifth of the blocks or more is sharp, of those without a
        strong edge in the middle, and of all.
    """
    state = edge_blur_blocks(image)
    n = window // BLOCK
    if min(state.shape) < n:
        none = np.empty((0, 2), np.intp)
        return none, none, none
    view = np.lib.stride_tricks.sliding_window_view
    soft = view(state == -1, (n, n)).mean(axis=(2, 3))
    sharp = view(state == 1, (n, n)).mean(axis=(2, 3))
    near = view(ndimage.binary_dilation(state == 1, np.ones((7, 7))), (n, n)).any(axis=(2, 3))
    usable = (soft <= 0.1) & near
    rim = n // 4
    middle = view(state != 0, (n, n))[:, :, rim : n - rim, rim : n - rim]
    flat = usable & ~middle.any(axis=(2, 3))
    textured = usable & (sharp >= 0.2)
    return tuple(np.argwhere(where) * BLOCK for where in (textured, flat, usable))


def photographs(folder: Path) -> list[Path]:
    """The image files of a folder, in the order of their names."""
    kinds = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in kinds)


def read_grey(path: Path) -> Float:
    with Image.open(path) as image:
        if image.mode.startswith("I;16"):
            return np.asarray(image, np.float32) / 65535
        return np.asarray(image.convert("L"), np.float32) / 255


def is_validation(path: Path) -> bool:
    """One photograph in ten, by a hash of its name: the same in every run and folder."""
    return hashlib.sha256(path.name.encode()).digest()[0] < 26


def record_type(size: int) -> np.dtype[Any]:
    n = (size - PATCH) // STRIDE + 1
    return np.dtype(
        [("crop", "u1", (size, size)), ("sigma", "f4", (n, n)), ("photo", "i4"), ("textured", "?")]
    )


def crops_of(
    path: Path, other: Path, number: int, count: int, size: int, conditions: Conditions, seed: int
) -> NDArray[Any]:
    """`count` records from one photograph (`other` lends backgrounds); empty if it is soft."""
    rng = np.random.default_rng([seed, number])
    maker = Crop(size, conditions, rng)
    views = []
    for p in (path, other):
        image = read_grey(p)
        # Half size is as sharp as can be and shows the same things at another scale.
        small = ndimage.uniform_filter(image, 2)[1::2, 1::2]
        views.append([(im, *crop_places(im, maker.window)) for im in (image, small)])
    own, lent = views
    if not len(own[0][3]):
        return np.empty(0, record_type(size))

    def pick(pair: list[Any], kind: int) -> Float:
        reduced = rng.random() < conditions.reduced and len(pair[1][3]) > 0
        image, *places = pair[1 if reduced else 0]
        if not len(places[2]):
            return pick(own, kind)
        corners = places[kind] if len(places[kind]) else places[2]
        i, j = corners[rng.integers(len(corners))] + rng.integers(0, BLOCK, 2)
        i, j = min(i, image.shape[0] - maker.window), min(j, image.shape[1] - maker.window)
        return np.asarray(image[i : i + maker.window, j : j + maker.window])

    out = np.empty(count, record_type(size))
    shares = np.cumsum([conditions.textured, conditions.flat])
    for k in range(count):
        kind = int(np.searchsorted(shares, rng.random(), side="right"))
        crop, sigma = maker.draw(pick(own, kind), pick(lent, kind))
        out[k] = (crop, sigma, number, kind == 0)
    return out


def make(
    images: Path,
    out: Path,
    *,
    count: int,
    size: int,
    seed: int,
    n_jobs: int,
    conditions: Conditions,
) -> dict[str, Any]:
    """Write the data set; returns (and writes beside it) the facts of how it was made."""
    paths = photographs(images)
    if not paths:
        raise SystemExit(f"no photographs in {images}")
    each = -(-count // len(paths))
    jobs = (
        delayed(crops_of)(p, paths[(i * 7 + 3) % len(paths)], i, each, size, conditions, seed)
        for i, p in enumerate(paths)
    )
    part = out.with_suffix(".part")
    kept, digest = [], hashlib.sha256()
    with part.open("wb") as stream:
        for records in tqdm(
            Parallel(n_jobs=n_jobs, return_as="generator")(jobs), total=len(paths), unit="photo"
        ):
            kept.append(len(records))
            digest.update(records.tobytes())
            stream.write(records.tobytes())
    total = sum(kept)
    if not total:
        part.unlink()
        raise SystemExit(f"no photograph in {images} is in focus")
    target = np.lib.format.open_memmap(out, "w+", record_type(size), (total,))
    source = np.memmap(part, record_type(size), "r", shape=(total,))
    for start in range(0, total, 4096):
        target[start : start + 4096] = source[start : start + 4096]
    target.flush()
    part.unlink()
    facts = {
        "records": total,
        "windows": total * int(np.prod(record_type(size)["sigma"].shape)),
        "size": size,
        "seed": seed,
        "sigmas": level_sigmas().tolist(),
        "conditions": asdict(conditions),
        "photographs": [p.name for p in paths],
        "validation": [is_validation(p) for p in paths],
        "dropped": [p.name for p, k in zip(paths, kept, strict=True) if not k],
        "digest": digest.hexdigest(),
    }
    out.with_suffix(".json").write_text(json.dumps(facts, indent=1))
    return facts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=100_000, help="crops")
    parser.add_argument("--size", type=int, default=64, help="side of a crop in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    shares = parser.add_argument_group("shares of the crops to which these happen")
    for name, share in asdict(Conditions()).items():
        shares.add_argument(f"--{name.replace('_', '-')}", type=float, default=share)
    args = parser.parse_args()
    facts = make(
        args.images, args.out, count=args.count, size=args.size, seed=args.seed, n_jobs=args.jobs,
        conditions=Conditions(**{name: getattr(args, name) for name in asdict(Conditions())}),
    )  # fmt: skip
    print(f"{facts['records']} crops, {facts['windows']} windows, dropped {facts['dropped']}")


if __name__ == "__main__":
    # Workers unpickle functions by their module's name, which must not be "__main__".
    from skdefocus.training import patches

    patches.main()
