"""Lamps: what is clipped to white may be brighter, and frames out of focus tell by how much."""

from __future__ import annotations

import numpy as np

from skdefocus._grids import Area, cell_means, mirrored_positions
from skdefocus._typing import BoolArray, Float32Array
from skdefocus.fusion._wide import CELL
from skdefocus.fusion._windows import twice

#: Radius in cells of the boxes that light is averaged over, twice, to σ of 8 pixels: about as wide
#: as discs of lamps. Within wider ones, the detail of what is around differs by as much as lamps.
AROUND = 2
#: Part of the light by which frames differ without any lamp.
ALIKE = 0.02
#: Light beyond white that does not make a lamp yet, and that of the brightest lamps.
HARDLY, BRIGHTEST = 0.5, 100.0
#: Light that is as good as none.
NONE = 1e-7


def light_of(gray: Float32Array) -> Float32Array:
    """Give the light of an image in cells, the mean square of its encoded values."""
    return cell_means(gray * gray, CELL)


def around(light: Float32Array) -> Float32Array:
    """Average light in cells over the surroundings that lamps spread their light to."""
    return twice(light, AROUND)


def beyond_white(light: Float32Array, lit: Float32Array, most: Float32Array) -> Float32Array:
    """Measure the light that what is clipped in an image has beyond white.

    Blur moves light and neither adds nor takes any. If another frame has more of it around, that
    is what the image was clipped by.

    Parameters
    ----------
    light : ndarray of shape (rows, columns)
        Of the image, in cells.
    lit : ndarray of shape (rows, columns), in [0, 1]
        Share of a cell that is clipped.
    most : ndarray of shape (rows, columns)
        The most that any frame has around.

    Returns
    -------
    ndarray of shape (rows, columns), float32
        How much more light than white the clipped pixels of a cell have, in multiples of white; 0
        in cells without a lamp.
    """
    lost = np.maximum(most - np.float32(1 + ALIKE) * around(light), 0)
    clipped = around(lit) + np.float32(NONE)
    # The first step of a deconvolution by Richardson and Lucy, of light that comes from what is
    # clipped alone. What is clipped side by side shares it, or the outermost would have most of it.
    found = around(lit * around(lost / clipped)) / clipped
    found *= lit > 0
    found -= np.float32(HARDLY)
    return np.asarray(np.clip(found, 0, BRIGHTEST, out=found))


def lamps_in(lit: BoolArray, light: Float32Array, area: Area, halo: int) -> Float32Array:
    """Give the light beyond white in an area and around; `light` is in cells.

    Beyond the image's border it is mirrored.
    """
    rows, columns = (
        mirrored_positions(part.start - halo, part.stop + halo, n)
        for part, n in zip(area, lit.shape, strict=True)
    )
    return lit[np.ix_(rows, columns)] * light[np.ix_(rows // CELL, columns // CELL)]
