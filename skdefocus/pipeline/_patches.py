"""Grids of patches over photographs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from skdefocus._estimators import ImageTransformer, Settings, integer
from skdefocus._images import check_images, check_photograph
from skdefocus.pipeline._records import PatchGrid


@dataclass(frozen=True)
class PatchSettings(Settings):
    """Checked parameters of :class:`PatchExtractor`."""

    patch_size: Annotated[int, integer(1)]
    step: Annotated[int, integer(1)]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.step > self.patch_size:
            raise ValueError(
                f"step must be from 1 to {self.patch_size}, got {self.step}; patch_size is the "
                "largest step"
            )


class PatchExtractor(ImageTransformer):
    """Cover every photograph with a grid of overlapping gray patches, without copying them.

    Not to be confused with :class:`sklearn.feature_extraction.image.PatchExtractor`, which turns
    n images into many more rows: here one sample in is one record out.

    Parameters
    ----------
    patch_size : int, default=32
        Side of a patch in pixels. The shipped network takes 32.
    step : int, default=4
        Distance of neighboring patches in pixels, the side of a cell of the resulting grid; from
        1 to `patch_size`. The shipped network answers every 4; larger steps average its answers.

    See Also
    --------
    BlurLevelClassifier : The stage that takes the records.

    Notes
    -----
    Borders are symmetric (``cba|abc|cba``) and never end, so that an image may be smaller
    than a patch. A patch is centered on its cell, or half a pixel toward the end of the image if
    `patch_size` - `step` is odd. Memory is that of the image and its gray values, whatever the
    step.

    Examples
    --------
    >>> import numpy as np
    >>> from skdefocus import PatchExtractor
    >>> grids = PatchExtractor(step=8).fit_transform([np.zeros((48, 64)), np.zeros((20, 20))])
    >>> grids
    [PatchGrid(6x8 patches of 32x32, every 8 px, image 48x64),
     PatchGrid(3x3 patches of 32x32, every 8 px, image 20x20)]
    >>> grids[0].patches.shape
    (6, 8, 32, 32)
    """

    _table = PatchSettings

    def __init__(self, patch_size: int = 32, step: int = 4) -> None:
        self.patch_size = patch_size
        self.step = step

    def transform(self, X: Any) -> list[PatchGrid]:
        """Make one record per image.

        Parameters
        ----------
        X : ndarray of shape (n, H, W) or (n, H, W, C), or list of images of different sizes
            Gray, RGB or RGBA (alpha is ignored); bool, uint8, uint16 (scaled by their range) or
            float in [0, 1].

        Returns
        -------
        list of PatchGrid, one per image, in order

        Raises
        ------
        TypeError
            If `X` is not a batch, an image has another dtype, or a parameter is not an
            integer; the message names the image or parameter.
        ValueError
            If `X` is empty or a single image, an image has no pixels, another number of channels
            or values outside [0, 1], or a parameter is out of range.
        """
        settings = PatchSettings.of(self)
        images, stacked = check_images(X)
        return [
            PatchGrid(
                check_photograph(image, f"X[{i}]"), settings.patch_size, settings.step, stacked
            )
            for i, image in enumerate(images)
        ]
