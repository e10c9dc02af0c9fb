"""Test data: scenes with known σ, photographs with masks or depth, evenly blurred photographs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image
from scipy import ndimage

from benchmarks.accuracy.scenes import DATA, photographs, scenes
from skdefocus import synthesis
from skdefocus.training.photographs import BLOCK, edge_blur_blocks

#: Every second photograph of a folder, by name, is for choosing, the others are for reporting.
Half = Literal["choose", "report"]
HALVES = {"choose": slice(0, None, 2), "report": slice(1, None, 2)}
#: σ in pixels of the evenly blurred photographs.
SWEEP = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 40.0)


@dataclass(frozen=True)
class Case:
    """A photograph and what is true of it: σ, or a mask that is 1 in focus (NaN: undecided)."""

    name: str
    image: np.ndarray
    sigma: np.ndarray | None = None
    near: np.ndarray | None = None
    flat: np.ndarray | None = None
    mask: np.ndarray | None = None


def near_borders(index: np.ndarray, distance: int = 10) -> np.ndarray:
    """Pixels within `distance` of a border between layers."""
    inner = ndimage.minimum_filter(index, 3) == ndimage.maximum_filter(index, 3)
    if inner.all():
        return np.zeros(index.shape, bool)
    return np.asarray(ndimage.distance_transform_edt(inner) <= distance)


def pixels_of_blocks(image: np.ndarray, state: int) -> np.ndarray:
    """Pixels of the blocks that have a state: 1, a sharp edge, or 0, no strong edge."""
    found = np.repeat(np.repeat(edge_blur_blocks(image) == state, BLOCK, 0), BLOCK, 1)
    short = [(0, a - b) for a, b in zip(image.shape, found.shape, strict=True)]
    return np.pad(found, short)


def scene_cases(half: str, count: int, strength: str) -> Iterator[Case]:
    for i, (kind, scene) in enumerate(scenes(half, count, strength)):
        near = near_borders(scene.index)
        flat = pixels_of_blocks(np.asarray(scene.sharp, np.float32), 0)
        yield Case(f"{i:02d} {kind}", scene.photograph, sigma=scene.sigma, near=near, flat=flat)


def lytro_cases(part: slice = slice(None), kind: str = "lytro") -> Iterator[Case]:
    """Both photographs of every pair; `kind` "stand" are others, which are for choosing only."""
    for folder in sorted((DATA / "fusion").glob(f"{kind}_*"))[part]:
        share = np.asarray(Image.open(folder / "focus_in_A.png").convert("L")) / 255
        mask = np.where(share > 0.9, 1.0, np.where(share < 0.1, 0.0, np.nan))
        for name in "AB":
            image = np.asarray(Image.open(folder / f"{name}.jpg").convert("RGB"))
            yield Case(f"{folder.name}{name}", image, mask=mask if name == "A" else 1 - mask)


def cuhk_cases(folder: str = "cuhk", part: slice = slice(None)) -> Iterator[Case]:
    """Photographs of the CUHK set, with the masks that were drawn by hand."""
    for path in sorted((DATA / folder).glob("*_defocused.png"))[part]:
        stem = path.name.removesuffix("_defocused.png")
        source = next(p for p in path.parent.glob(f"{stem}.*"))
        image = np.asarray(Image.open(source).convert("RGB"))
        mask = np.asarray(Image.open(path).convert("L")) < 128
        yield Case(stem, image, mask=mask.astype(float))


def bird_case() -> Case:
    """The paper's own example, of which nobody knows the truth."""
    return Case("bird", np.asarray(Image.open(DATA / "bird" / "bird.png").convert("RGB")))


def more_cuhk_cases(half: Half) -> Iterator[Case]:
    """Half of the other photographs of the CUHK set."""
    return cuhk_cases("cuhk_more", HALVES[half])


def indoor_cases(half: Half) -> Iterator[Case]:
    """Photographs with σ from measured depth, NaN where that is unknown."""
    for path in sorted((DATA / "dfd_indoor").glob("*_sigma.npy"))[HALVES[half]]:
        stem = path.name.removesuffix("_sigma.npy")
        source = next(p for p in path.parent.glob(f"{stem}.*"))
        image = np.asarray(Image.open(source).convert("RGB"))
        yield Case(stem, image, sigma=np.load(path).astype(np.float32))


def blurred_cases(half: Half, sigma: float, *, camera: bool, count: int = 8) -> Iterator[Case]:
    """In-focus photographs blurred evenly; with `camera` also noise of 0.006 and JPEG 95."""
    for i, image in enumerate(photographs(half)[:count]):
        shape = ("gaussian", "disc")[i % 2]
        seen = synthesis.blur(image, sigma, shape=shape, linear_light=True)
        if camera:
            seen = synthesis.jpeg(synthesis.add_noise(seen, 0.006, random_state=i), 95)
        textured = pixels_of_blocks(image, 1).astype(float)
        yield Case(f"{i}", seen.astype(np.float32), mask=textured)
