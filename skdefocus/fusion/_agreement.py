"""Agreement of two frames on the scene that they show, measured on small pictures of them."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from skdefocus._typing import AnyArray, Float32Array
from skdefocus.fusion._thumbnails import thumbnail

#: Bands that are compared, as σ of the two Gaussian blurs in pixels of the small picture. Detail
#: that is finer differs by defocus, and what is coarser is alike in many scenes (bright above).
BANDS = ((1.0, 4.0), (2.0, 8.0), (4.0, 16.0))
#: Least correlation in the best band. Neighbors in real stacks have .9 and more, of pairs of
#: different photographs 99 % have less than .33.
LEAST_AGREEMENT = 0.4
#: Standard deviation of a band below which it shows nothing.
NOTHING = 1e-3


def agreement_of_photographs(one: AnyArray, other: AnyArray) -> float:
    """Correlation of two checked photographs in the band in which they agree best; -1 for none."""
    if one.shape != other.shape:
        return -1.0
    found = agreement(*(thumbnail(image).gray for image in (one, other)))
    return -1.0 if found is None else found


def agreement(one: Float32Array, other: Float32Array) -> float | None:
    """Correlation of two small gray pictures in the band in which they agree best.

    Returns
    -------
    float or None
        From -1 to 1; 0 if one of them shows nothing; None if both show nothing.
    """
    found: list[float] = []
    for narrow, wide in BANDS:
        a, b = (
            ndimage.gaussian_filter(x, narrow) - ndimage.gaussian_filter(x, wide)
            for x in (one, other)
        )
        strengths = float(a.std()), float(b.std())
        if min(strengths) > 0 and max(strengths) > NOTHING:
            found.append(float(np.mean(a * b) / np.sqrt(np.mean(a * a) * np.mean(b * b))))
        elif max(strengths) > NOTHING:
            found.append(0.0)
    return max(found, default=None)
