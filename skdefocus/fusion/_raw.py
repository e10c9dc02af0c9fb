"""A frame as it is read: checked, its alpha apart from its pixels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from skdefocus._images import OTHER_MODES, check_photograph, scaled
from skdefocus._typing import AnyArray, Float32Array
from skdefocus._validation import as_array, refuse_path

#: Alpha below this part of the largest is not opaque.
OPAQUE = 0.99


class Raw(NamedTuple):
    """A checked photograph and its alpha, None if it is opaque everywhere."""

    pixels: AnyArray
    alpha: Float32Array | None


def checked(image: Any, name: str) -> Raw:
    """Check one frame and take its alpha apart."""
    refuse_path(image, name, "read_image")
    if getattr(image, "mode", None) not in OTHER_MODES:
        image = as_array(image, name)
    if getattr(image, "ndim", 0) != 3 or image.shape[2] not in (2, 4):
        return Raw(check_photograph(image, name), None)
    image, alpha = image[..., :-1], image[..., -1]
    alpha = scaled(check_photograph(alpha, f"alpha of {name}"))
    if alpha.min() >= OPAQUE:
        return Raw(check_photograph(image, name), None)
    if image.dtype.kind == "f":  # what is beneath transparent pixels may be anything
        image = np.where(alpha[..., None] > 0, image, 0)
    return Raw(check_photograph(image, name), alpha)


def filled(raw: Raw, least: float) -> AnyArray:
    """Give a frame whose transparent pixels are those of the nearest others.

    Parameters
    ----------
    least : float
        Part of the largest alpha below which a pixel counts as transparent; 0 means alpha 0.
    """
    if raw.alpha is None or not raw.alpha.any():
        return raw.pixels
    empty = raw.alpha < max(least * float(raw.alpha.max()), 1e-6)
    nearest = ndimage.distance_transform_edt(empty, return_distances=False, return_indices=True)
    return np.asarray(raw.pixels[tuple(nearest)])
