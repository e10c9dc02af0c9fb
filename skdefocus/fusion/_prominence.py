"""Small and crisp things amid blur: what stands out from its surroundings counts for more."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from skdefocus._grids import Area, cell_means, repeated
from skdefocus._typing import BoolArray, Float32Array
from skdefocus.fusion._tiles import tiled
from skdefocus.fusion._wide import CELL, cells_of
from skdefocus.fusion._windows import core, inner_box, mirrored, twice

#: Radius in cells of the boxes that are looked at around a pixel.
AROUND = 20
#: Means around are taken again of what exceeds them by no more than this factor: what stands out
#: is no part of what it stands out from.
TRIM = 3.0
#: Radius in pixels of the boxes whose mean is compared with a pixel: next to a small thing, its
#: blur in other frames is unexplained, too, but less so than the thing.
NEXT = 3
#: Light beyond white of lamps in windows of about 16 pixels, on the mean, up to which they explain
#: nothing.
FEW_LAMPS = 0.01
#: Leads of detail over what is around, in nats, from which a frame is judged there, and is judged
#: there if one frame alone is; and radius in the cells of that choice of the boxes that tell what
#: is around.
CLEARLY, FAINTLY, WINDOW = 2.5, 1.5, 3
#: Times that the means are taken again.
AGAIN = 2
#: Radius in pixels of the boxes that tell fine contrast, all contrast, and those both are averaged
#: over.
FINE, COARSE, MEAN = 1, 5, 2
#: Shares of fine contrast of what is not crisp and of what is; a step blurred by σ of
#: .5 px has .17, of 1 px .04.
BLURRED, CRISP = 0.05, 0.15


class Weighting(NamedTuple):
    """Rules for what stands out, and its weight.

    Attributes
    ----------
    again : int
        Times that the means around are taken again.
    least, most : float
        Lead over the mean around, in nats, from which it counts, and nats that count at most.
    gain : float
        Nats of a score for each of these.
    """

    again: int
    least: float
    most: float
    gain: float


#: In the choice. Noise varies by less than the least lead, also where little is around.
IN_CHOICE = Weighting(AGAIN, 0.5, 6.0, 2.5)
#: In the mean along seams, where what is next to a small thing would suffer from more.
ALONG_SEAMS = Weighting(0, 0.0, 4.0, 1.5)


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
    where : ndarray of shape (H, W), bool
        The pixels for which it is known.
    lamps : ndarray of shape (rows, columns), or None
        Light beyond white of lamps around, in cells; the rims of their discs are crisp, too.
    noise : float
    weighting : Weighting
    """

    def __init__(
        self,
        gray: Float32Array,
        unexplained: Float32Array,
        where: BoolArray,
        lamps: Float32Array | None,
        noise: float,
        weighting: Weighting,
    ) -> None:
        self._gray, self._lamps, self._noise, self._say = gray, lamps, noise, weighting
        self._unexplained = unexplained
        self._around = np.log(_mean_around(unexplained, where, weighting.again))

    def __call__(self, area: Area, logs: Float32Array) -> Float32Array:
        """Compute it in an area, of the logarithm of what is unexplained there."""
        cells = cells_of(area)
        # The means are over so many cells that there is no need to interpolate between them.
        lead = logs - repeated(self._around[cells], CELL, logs.shape)
        lead -= np.float32(self._say.least)
        np.clip(lead, 0, np.float32(self._say.most), out=lead)
        if self._lamps is not None:
            few = self._lamps[cells] <= np.float32(FEW_LAMPS)
            lead *= repeated(few, CELL, lead.shape)
        if lead.any():
            lead *= np.float32(self._say.gain) * crispness(self._gray, area, self._noise)
            near = inner_box(mirrored(self._unexplained, area, NEXT), NEXT)
            lead *= np.minimum(self._unexplained[area] / near, 1)
        return np.asarray(lead)


def _mean_around(plane: Float32Array, where: BoolArray, again: int) -> Float32Array:
    """Average a plane (H, W) over wide windows of the pixels that count, in cells."""
    share = cell_means(where, CELL)
    cells = np.zeros_like(share)
    for area in tiled(plane.shape, where):
        cells[cells_of(area)] = cell_means(plane[area] * where[area], CELL)
    return _trimmed(cells, share, AROUND, TRIM, again)


def _trimmed(
    cells: Float32Array,
    share: Float32Array,
    radius: int,
    factor: float,
    again: int,
) -> Float32Array:
    """Average cells, then again without what exceeds that average by more than a factor.

    Parameters
    ----------
    cells : ndarray of shape (rows, columns)
        Means of values above 0 that are 0 where they do not count.
    share : ndarray of shape (rows, columns)
        Share that counts.
    radius : int
        Of the boxes to average over, twice.
    factor : float
    again : int
        Number of times.
    """
    total = np.maximum(twice(share, radius), np.float32(1e-6))
    around = np.maximum(twice(cells, radius) / total, np.float32(1e-12))
    for _ in range(again):
        most = around * share
        most *= np.float32(factor)
        around = np.maximum(twice(np.minimum(cells, most), radius) / total, np.float32(1e-12))
    return around


class Outstanding(NamedTuple):
    """Cells in which detail stands out from what is around.

    Attributes
    ----------
    clearly, faintly : ndarray of shape (rows, columns), bool
    least : ndarray of shape (rows, columns), float32
        Log energy from which detail stands out faintly.
    """

    clearly: BoolArray
    faintly: BoolArray
    least: Float32Array


def outstanding(detail: Float32Array, step: int) -> Outstanding:
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
    plain, trimmed = (
        np.log(_trimmed(mean, np.ones_like(mean), WINDOW, 1, times)) for times in (0, AGAIN)
    )
    least = np.asarray(trimmed + np.float32(FAINTLY))
    return Outstanding(most - plain > CLEARLY, most > least, least)
