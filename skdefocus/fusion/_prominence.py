"""Small and crisp things amid blur: what stands out from its surroundings counts for more."""

from __future__ import annotations

import numpy as np

from skdefocus._grids import Area, cell_means, repeated
from skdefocus._typing import BoolArray, Float32Array
from skdefocus.fusion._wide import CELL, cells_of
from skdefocus.fusion._windows import box, core, inner_box, mirrored

#: Radius in cells of the boxes that are looked at around a pixel.
AROUND = 20
#: Lead over the mean around, in nats, that counts at most, and nats of a score for each of these.
MOST, GAIN = 4.0, 1.5
#: Share of lamps around, in windows of about 16 pixels, up to which they explain nothing.
FEW_LAMPS = 0.01
#: Lead of detail over what is around, in nats, from which a frame is judged there, and radius in
#: the cells of that choice of the boxes that tell what is around.
OUTSTANDING, WINDOW = 2.5, 3
#: Radius in pixels of the boxes that tell fine contrast, all contrast, and those both are averaged
#: over.
FINE, COARSE, MEAN = 1, 5, 2
#: Shares of fine contrast of what is not crisp and of what is; a step blurred by σ of
#: .5 px has .17, of 1 px .04.
BLURRED, CRISP = 0.05, 0.15


def crispness(gray: Float32Array, area: Area, noise: float) -> Float32Array:
    """Tell how crisp the contrast in an area of an image is, from 0 to 1, whatever its strength."""
    halo = COARSE + 2 * MEAN
    wide = mirrored(gray, area, halo)
    inner = core(wide, COARSE)
    fine, all_of_it = (
        inner_box(inner_box((inner - core(inner_box(wide, r), COARSE - r)) ** 2, MEAN), MEAN)
        for r in (FINE, COARSE)
    )
    least = np.float32(noise**2)
    share = np.maximum(fine - least, 0) / (all_of_it + least)
    return np.clip((share - np.float32(BLURRED)) * np.float32(1 / (CRISP - BLURRED)), 0, 1)


class Prominence:
    """Nats by which what stands out in an image counts for more.

    Parameters
    ----------
    gray : ndarray of shape (H, W)
    unexplained : ndarray of shape (H, W)
        Squared differences of the image from all that should explain it, above 0.
    where : ndarray of shape (H, W), bool, or None
        The pixels for which it is known.
    lamps : ndarray of shape (rows, columns), or None
        Share of lamps around, in cells; the rims of their discs are crisp, too.
    noise : float
    """

    def __init__(
        self,
        gray: Float32Array,
        unexplained: Float32Array,
        where: BoolArray | None,
        lamps: Float32Array | None,
        noise: float,
    ) -> None:
        self._gray, self._lamps, self._noise = gray, lamps, noise
        self._around = np.log(_mean_around(unexplained, where))

    def __call__(self, area: Area, unexplained: Float32Array) -> Float32Array:
        """Compute it in an area, of the logarithm of what is unexplained there."""
        cells = cells_of(area)
        # The means are over so many cells that there is no need to interpolate between them.
        lead = unexplained - repeated(self._around[cells], CELL, unexplained.shape)
        np.clip(lead, 0, np.float32(MOST), out=lead)
        if self._lamps is not None:
            few = self._lamps[cells] <= np.float32(FEW_LAMPS)
            lead *= repeated(few, CELL, lead.shape)
        if lead.any():
            lead *= np.float32(GAIN) * crispness(self._gray, area, self._noise)
        return np.asarray(lead)


def _mean_around(plane: Float32Array, where: BoolArray | None) -> Float32Array:
    """Average a plane (H, W) over wide windows of the pixels that count, in cells."""
    if where is None:
        return _wide(cell_means(plane, CELL))
    total = np.maximum(_wide(cell_means(where, CELL)), np.float32(1e-6))
    return np.maximum(_wide(cell_means(plane * where, CELL)) / total, np.float32(1e-12))


def _wide(cells: Float32Array) -> Float32Array:
    return box(box(cells, AROUND), AROUND)


def outstanding(detail: Float32Array, step: int) -> BoolArray:
    """Find the cells in which detail stands out from what is around.

    Parameters
    ----------
    detail : ndarray of shape (H, W)
        Log energies.
    step : int
        Side of the cells in pixels.
    """
    tops = [np.arange(0, n, step) for n in detail.shape]
    most = np.maximum.reduceat(np.maximum.reduceat(detail, tops[0], axis=0), tops[1], axis=1)
    mean = cell_means(np.exp(detail), step)
    return most - np.log(box(box(mean, WINDOW), WINDOW)) > OUTSTANDING
