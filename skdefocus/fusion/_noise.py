"""Noise of a frame, measured in the frame itself."""

from __future__ import annotations

import numpy as np

from skdefocus._grids import cell_means
from skdefocus._images import to_gray
from skdefocus._typing import AnyArray, BoolArray, Float32Array
from skdefocus.fusion._thumbnails import BLACK, WHITE

#: Side in pixels of the blocks in which noise is measured, and pixels of a frame that are used.
BLOCK, USED = 32, 1_000_000
#: Part of a block that may be clipped, as noise clips some pixels.
CLIPPED = 0.05
#: Part of the blocks that is used, those that show the least.
SMOOTHEST = 0.25


def noise_of(image: AnyArray, opaque: BoolArray | None = None) -> float:
    """Measure the standard deviation that the noise of gray values has at least.

    Halving a photograph leaves a quarter of the variance of white noise, but all of that of what is
    shown, which has as much fine as coarse detail at most. The difference is taken in the blocks
    that show the least, by detail so coarse that hardly any noise is left in it.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, C)
        A checked photograph. Of a large one, some rows are used.
    opaque : ndarray of shape (H, W), bool, or None
        Pixels to use; None uses all.

    Returns
    -------
    float
        In units of full scale; 0 if there is nothing to measure it in.
    """
    height, width = (n // BLOCK * BLOCK for n in image.shape[:2])
    if not height or not width:
        return 0.0
    step = -(-height * width // USED)
    rows = (np.arange(0, height, BLOCK * step)[:, None] + np.arange(BLOCK)).ravel()
    gray = to_gray(image[rows, :width])
    use = cell_means((gray <= BLACK) | (gray >= WHITE), BLOCK) <= CLIPPED
    if opaque is not None:
        use &= cell_means(opaque[rows, :width], BLOCK) == 1
    if not use.any():
        return 0.0
    energies, plane = [], gray
    for side in (BLOCK, BLOCK // 2, BLOCK // 4):
        energies.append(cell_means(_diagonal(plane), side // 2)[use])
        plane = cell_means(plane, 2)
    fine, halved, coarse = energies
    smoothest = coarse <= np.quantile(coarse, SMOOTHEST)
    return float(np.sqrt(max(np.median((fine - halved)[smoothest]) / 3, 0)))


def _diagonal(plane: Float32Array) -> Float32Array:
    """Squares of the diagonal differences of 2×2 pixels, for noise four times its variance."""
    away = plane[::2, ::2] - plane[1::2, ::2] - plane[::2, 1::2] + plane[1::2, 1::2]
    away *= away
    return away
