"""Gray values in which edges in color alone show: channels weigh more where they have contrast."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from scipy import ndimage

from skdefocus._grids import Area, all_cells, enlarge
from skdefocus._images import LUMA, scaled, to_gray
from skdefocus._typing import AnyArray, Float32Array, Float64Array
from skdefocus.fusion._odd import Picture
from skdefocus.fusion._thumbnails import block_size, moved
from skdefocus.fusion._tiles import by_tiles, tiled
from skdefocus.fusion._windows import twice

#: Radii, in pixels of the small pictures, of the boxes that contrast is measured in, and of those
#: that weights are averaged over: next to the pixels of one blur, they hardly vary.
AROUND, SMOOTH = 1, 2
#: Contrast, as a standard deviation of encoded values, that is nothing.
NOTHING = 0.01
#: Share of weights below which they are the luma's.
NONE = 1e-3
#: Contrasts of the channel that has most, in those of the luma, from which it weighs more than in
#: the luma, and from which it is all of the gray value.
MORE, ALL = 4.0, 8.0


class Palette:
    """Weights of the channels in the gray values of a stack, the luma's but for edges in color.

    Parameters
    ----------
    pictures : collection of Picture
        Small pictures of the frames, which coincide.
    """

    def __init__(self, pictures: Collection[Picture]) -> None:
        self._more: Float32Array | None = None
        if pictures and all(p.colors.shape[2] == len(LUMA) for p in pictures):
            self._more = _more_than_luma(pictures)

    def gray(self, image: AnyArray, matrix: Float64Array | None) -> Float32Array:
        """Convert a frame to gray.

        Parameters
        ----------
        image : ndarray of shape (H, W) or (H, W, 3)
            A checked photograph.
        matrix : ndarray of shape (3, 3), or None
            The frame's, see :func:`skdefocus.fusion._warping.warp`; None if it stays as it is.
        """
        if self._more is None or image.ndim == 2:
            return to_gray(image)
        height, width = image.shape[:2]
        block = block_size((height, width))
        planes = list(self._more)
        if matrix is not None:
            back = np.asarray(np.linalg.inv(matrix), np.float64)
            planes = [moved(plane, back, block) for plane in planes]
        planes = [all_cells(plane, block, (height, width)) for plane in planes]

        def of_area(area: Area) -> Float32Array:
            """Convert a tile."""
            gray = to_gray(image[area])
            more = [enlarge(plane, block, area) for plane in planes]
            if any(plane.any() for plane in more):
                part = scaled(image[area])
                for c, plane in enumerate(more):
                    gray += plane * part[..., c]
            return gray

        return by_tiles(of_area, (height, width), tiled((height, width)))


def _more_than_luma(pictures: Collection[Picture]) -> Float32Array | None:
    """Channels' weights less the luma's, shape (3, h, w); None where they are the luma's."""
    # In any frame, as what is small cannot be seen in the others.
    gray, *channels = np.maximum.reduce([_contrasts(picture) for picture in pictures])
    ratio = np.sqrt((np.max(channels, axis=0) + NOTHING**2) / (gray + NOTHING**2))
    share = np.clip(np.log(ratio / MORE) * np.float32(1 / np.log(ALL / MORE)), 0, 1)
    if not share.any():
        return None
    # The same channel for all of an edge, or those that rise and those that fall would cancel.
    most = np.stack([twice(plane * share, SMOOTH) for plane in channels]).argmax(axis=0)
    share = ndimage.maximum_filter(share, 2 * SMOOTH + 1)
    weights = (np.arange(len(LUMA))[:, None, None] == most) - LUMA[:, None, None]
    more = np.stack([twice(plane * share, SMOOTH) for plane in weights])
    return np.where(twice(share, SMOOTH) > NONE, more, np.float32(0))


def _contrasts(picture: Picture) -> Float32Array:
    """Variances of the luma and of the channels in small windows, averaged, shape (4, h, w)."""
    colors = picture.colors.astype(np.float32)
    planes = [to_gray(colors), *np.moveaxis(colors, 2, 0)]
    return np.stack([twice((p - twice(p, AROUND)) ** 2, AROUND) for p in planes])
