"""Records that travel between the stages of a pipeline: a small frozen one per image.

Metadata routing does not reach ``transform`` and cannot carry a grid that is computed inside the
pipeline, so the image and the grid travel with the sample itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from skdefocus._grids import Area, mirrored_crop, strips
from skdefocus._typing import AnyArray, Float32Array, Float64Array, FloatArray

#: Tolerance by which probabilities may be below 0 and their sum may differ from 1.
ROUNDING = 1e-3

#: Number of probabilities beyond which they are kept as uint16: those of a photograph of some 8
#: megapixels at the default step. Four digits are more than a network can promise, and those of 100
#: megapixels take 400 MiB instead of 800. float16 would take a sixth more time for a map, because
#: NumPy reports every probability that is too small for it.
MANY = 2**24

#: Probability 1 as uint16, as white in a photograph.
UNITS = np.iinfo(np.uint16).max


@dataclass(frozen=True, eq=False, repr=False)
class PatchGrid:
    """An image and the grid of patches over it; no pixel is copied per patch.

    The image is divided into cells of `step` × `step` pixels, the last ones cut off by its
    border; the patch of a cell is centered on it.

    Attributes
    ----------
    image : ndarray of shape (H, W) or (H, W, 3)
        As it came, without alpha: bool, uint8, uint16, or float in [0, 1].
    patch_size, step : int
        In pixels.
    stacked : bool
        True if the image was a row of an array; its map then becomes one too.
    """

    image: AnyArray
    patch_size: int
    step: int
    stacked: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        height, width = self.image.shape[:2]
        return -(-height // self.step), -(-width // self.step)

    @property
    def before(self) -> int:
        """Pixels by which the first patch begins before the image, above and to the left."""
        return (self.patch_size - self.step) // 2

    @cached_property
    def padded(self) -> Float32Array:
        """Gray values with symmetric borders, computed at first use.

        Patch (i, j) begins at row ``i * step`` and column ``j * step``; shape (H', W').
        """
        ends = ((n - 1) * self.step + self.patch_size - self.before for n in self.shape)
        rows, columns = (slice(-self.before, end) for end in ends)
        return mirrored_crop(self.image, rows, columns)

    @property
    def patches(self) -> Float32Array:
        """Read-only view of shape (rows, columns, patch_size, patch_size)."""
        return windows(self.padded, self.shape, self.patch_size, self.step)

    def __repr__(self) -> str:
        rows, columns = self.shape
        return (
            f"PatchGrid({rows}x{columns} patches of {self.patch_size}x{self.patch_size}, "
            f"every {self.step} px, image {'x'.join(map(str, self.image.shape))})"
        )


def mean_level(proba: Float32Array) -> Float32Array:
    """Sum the levels (…,) weighted by their probabilities (…, n_levels): their mean."""
    levels = np.arange(proba.shape[-1], dtype=np.float32)
    return np.asarray(proba @ levels, np.float32)


def moments(proba: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Compute the mean level of every cell and the variance of its level.

    Parameters
    ----------
    proba : ndarray of shape (..., n_levels)
        Probabilities of the levels.

    Returns
    -------
    mean, variance : ndarray of shape (...), float32
    """
    mean, squares = mean_level(proba), np.arange(proba.shape[-1], dtype=np.float32) ** 2
    return mean, np.asarray(np.maximum(proba @ squares - mean**2, 0), np.float32)


def sigma_at(level: FloatArray, sigmas: Float64Array) -> Float32Array:
    """Interpolate σ in pixels at fractional levels."""
    return np.interp(level, np.arange(len(sigmas)), sigmas).astype(np.float32)


def mean_error(proba: Float32Array, sigmas: Float64Array) -> Float32Array:
    """Compute the expected absolute error of the σ of the mean level, (...) in pixels."""
    at = sigma_at(mean_level(proba), sigmas)
    error = np.zeros_like(at)
    for k, sigma in enumerate(sigmas.astype(np.float32)):
        error += proba[..., k] * np.abs(at - sigma)
    return error


def totals(proba: AnyArray) -> Float32Array:
    """Sum over the last axis; a product is several times as fast as NumPy's sum."""
    ones = np.ones(proba.shape[-1], np.float32)
    return np.asarray(proba.astype(np.float32, copy=False) @ ones)


def empty_cells(shape: tuple[int, int, int]) -> AnyArray:
    """Make room for as many probabilities as a record keeps of that many: see :data:`MANY`."""
    return np.empty(shape, np.uint16 if math.prod(shape) > MANY else np.float32)


def keep(proba: Float32Array, kept: AnyArray, area: Area) -> None:
    """Write the probabilities of some cells; they are overwritten."""
    if kept.dtype == np.uint16:
        proba *= np.float32(UNITS)
        np.rint(proba, out=proba)
    np.copyto(kept[area], proba, casting="unsafe")


def as_float32(kept: AnyArray) -> Float32Array:
    """Return probabilities as float32; those of fewer digits sum to 1 again.

    The variance of a level is a small difference of large numbers, so it would show that they do
    not.
    """
    proba: Float32Array = kept.astype(np.float32, copy=False)
    if kept.dtype == np.uint16:
        proba /= totals(proba)[..., None]
    return proba


@dataclass(frozen=True, eq=False, repr=False)
class LevelGrid:
    """An image and the probabilities of the blur levels of its cells.

    Attributes
    ----------
    image : ndarray of shape (H, W) or (H, W, 3)
        As it came, without alpha: bool, uint8, uint16, or float in [0, 1].
    proba : ndarray of shape (rows, columns, n_levels), float32
        Probabilities of the blur levels, summing to 1; anything else is a ValueError. If it is made
        with uint16, of which 65535 is 1, as the classifier does for photographs of more than some 8
        megapixels, that is what is kept; it is read as a float32 copy then, see :meth:`rows`.
    sigmas : ndarray of shape (n_levels,), float64
        σ of the levels in pixels.
    step : int
        Side of a cell in pixels.
    stacked : bool
        See :class:`PatchGrid`.
    """

    image: AnyArray
    proba: Float32Array
    sigmas: Float64Array
    step: int
    stacked: bool = False

    def __post_init__(self) -> None:
        """Check the probabilities."""
        kept, n = self.__dict__["proba"], len(self.sigmas)
        if kept.ndim != 3 or kept.shape[-1] != n or not kept.size:
            raise ValueError(f"proba must have shape (rows, columns, {n}), got {kept.shape}")
        unit = np.float32(1 / UNITS if kept.dtype == np.uint16 else 1)
        found = [(kept[part].min(), totals(kept[part]) * unit) for part in strips(len(kept))]
        low, sums = min(f[0] for f in found), np.concatenate([f[1] for f in found])
        # The comparison is also False for NaN.
        if not (low >= -ROUNDING and np.abs(sums - 1).max() <= ROUNDING):
            raise ValueError(
                "proba must hold probabilities, >= 0 and with a sum of 1 over the levels of each "
                f"cell, got values from {low:g} and sums from {sums.min():g} to {sums.max():g}"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        rows, columns = self.__dict__["proba"].shape[:2]
        return rows, columns

    def rows(self, part: slice) -> Float32Array:
        """Return the probabilities of some rows of cells, without memory for all of them.

        Parameters
        ----------
        part : slice
            Of rows.

        Returns
        -------
        ndarray of shape (rows of the part, columns, n_levels), float32
        """
        kept: AnyArray = self.__dict__["proba"]
        return as_float32(kept[part])

    def _by_strips(self, function: Callable[[Float32Array], Float32Array]) -> Float32Array:
        """Join what a function gives for the probabilities of strips of cells."""
        return np.concatenate([function(self.rows(part)) for part in strips(self.shape[0])])

    @property
    def level(self) -> Float32Array:
        """Mean level of every cell, fractional, shape (rows, columns).

        Levels are evenly spaced in what can be told apart, so rank cells by this.
        """
        return self._by_strips(mean_level)

    @property
    def level_std(self) -> Float32Array:
        """Standard deviation of the level of every cell, shape (rows, columns)."""
        return np.sqrt(self._by_strips(lambda proba: moments(proba)[1]))

    @property
    def sigma(self) -> Float32Array:
        """σ of the mean level of every cell, in pixels, shape (rows, columns).

        It is not the mean of σ, to which a small probability of a large blur adds a lot.
        """
        return sigma_at(self.level, self.sigmas)

    @property
    def sigma_error(self) -> Float32Array:
        """Expected absolute error of `sigma` in pixels, shape (rows, columns).

        The mean over the levels, by their probabilities, of how far they are from `sigma`. It
        ranks cells by their error in pixels; `confidence` does not know of σ, and treats a doubt
        between 8 and 16 pixels as one between 0.5 and 1.
        """
        return self._by_strips(partial(mean_error, sigmas=self.sigmas))

    @property
    def confidence(self) -> Float32Array:
        """Confidence of every cell in its level, in [0, 1], shape (rows, columns).

        1 − s / s₀ with s the standard deviation of the level and s₀ that of a uniform
        distribution: 0 where all levels are equally likely, as on a flat surface, and 1 where a
        single one is left.
        """
        n = len(self.sigmas)
        return np.clip(1 - self.level_std * np.float32((12 / (n**2 - 1)) ** 0.5), 0, 1)

    def __repr__(self) -> str:
        rows, columns = self.shape
        return (
            f"LevelGrid({rows}x{columns} cells of {self.step} px, {len(self.sigmas)} levels, "
            f"image {'x'.join(map(str, self.image.shape))})"
        )


class Probabilities:
    """The field `proba` of a record: kept as it came, and read as float32."""

    def __get__(self, grid: LevelGrid | None, owner: type) -> Any:
        """Read the probabilities; the class itself has none."""
        if grid is None:
            return self
        kept: AnyArray = grid.__dict__["proba"]
        read = as_float32(kept)
        if read is not kept:  # what is written into a copy would be lost
            read.flags.writeable = False
        return read

    def __set__(self, grid: LevelGrid, proba: AnyArray) -> None:
        grid.__dict__["proba"] = proba


# Not in the class: a type checker would take it for the field's default.
LevelGrid.proba = Probabilities()  # type: ignore[assignment]


def windows(padded: Float32Array, shape: tuple[int, int], size: int, step: int) -> Float32Array:
    """Read-only view (rows, columns, size, size) of the windows that begin every `step` pixels."""
    view = np.lib.stride_tricks.sliding_window_view(padded, (size, size))
    return view[::step, ::step][: shape[0], : shape[1]]
