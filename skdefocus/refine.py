"""From a coarse grid of levels to a map whose edges are the photograph's edges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from skdefocus._base import ImageTransformer, each, restack, threads_each
from skdefocus._validation import check_choice, check_int, check_real, scaled, to_grey
from skdefocus.filters import guided_filter, weighted_guided_filter
from skdefocus.records import LevelGrid

__all__ = ["WeightedGuidedRefiner"]

Float = NDArray[np.float32]

#: Variance of a level that no patch falls below, in squared levels: what a patch says is never
#: exact, and a few patches must not outvote all others.
FLOOR = 0.3
#: Pixels that are refined at a time, so that memory does not grow with the image.
STRIP = 1 << 22


class WeightedGuidedRefiner(ImageTransformer):
    """Turn level probabilities per cell into σ per pixel, guided by the photograph.

    Works in two parts, both guided filters in which every cell counts by its evidence:

    1. *Fill*, on the grid of cells: from windows as large as the image down to `fill_radius`,
       a guided filter carries the level of cells that can tell to those that cannot (flat
       walls, skies); each size starts from what the larger one found, as a prior of weight
       `prior`.
    2. *Refine*, on the pixels: `n_iter` iterations of the weighted guided filter, so that the
       map's edges move to the photograph's.

    Both parts average *levels*, which are evenly spaced in what can be told apart, and not σ: the
    mean of "in focus" and "σ = 8" is then a slight blur and not σ = 4.

    Parameters
    ----------
    radius : int, default=16
        Radius of the window of the refinement in pixels, ≥ 1.
    eps : float, default=1e-3
        Regularisation of the guided filters in squared intensity (of a range of 1), > 0: edges of
        the photograph of a contrast well below ``sqrt(eps)`` do not show in the map.
    alpha : float, default=1.0
        Exponent of the variance in the weighted aggregation, ≥ 0, see
        :func:`skdefocus.filters.weighted_guided_filter`.
    n_iter : int, default=1
        Iterations of the refinement, ≥ 0; 0 only interpolates the filled grid.
    prior : float, default=0.1
        Weight of what the surroundings say against a cell's own evidence, > 0, in inverse squared
        levels (the most that a cell can say is about 3).
    fill_radius : int, default=16
        Smallest radius of the filling in pixels, ≥ 1.
    guide : {"color", "grey"}, default="color"
        Which values of the photograph guide the refinement; ``"color"`` also sees edges
        between colours of equal brightness, ``"grey"`` takes half the time.
    n_jobs : int or None, default=None
        Images worked on at once, see :class:`joblib.Parallel`.

    References
    ----------
    .. [1] A. Galetto and G. Deng, "Single image deep defocus estimation and its applications",
       arXiv:2107.14443.
    .. [2] K. He, J. Sun and X. Tang, "Guided image filtering", IEEE TPAMI 35(6), 2013.
    .. [3] Z. Li et al., "Weighted guided image filtering", IEEE TIP 24(1), 2015.
    .. [4] C. N. Ochotorena and Y. Yamashita, "Anisotropic guided filtering", IEEE TIP 29, 2020.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> import skdefocus as sd
    >>> scene = sd.datasets.load_sample_scenes(96)[1]
    >>> pipe = make_pipeline(
    ...     sd.PatchExtractor(), sd.BlurLevelClassifier(), sd.WeightedGuidedRefiner(radius=8)
    ... )
    >>> pipe.fit_transform([scene.photograph])[0].shape
    (96, 96)
    """

    def __init__(
        self,
        radius: int = 16,
        eps: float = 1e-3,
        *,
        alpha: float = 1.0,
        n_iter: int = 1,
        prior: float = 0.1,
        fill_radius: int = 16,
        guide: str = "color",
        n_jobs: int | None = None,
    ) -> None:
        self.radius = radius
        self.eps = eps
        self.alpha = alpha
        self.n_iter = n_iter
        self.prior = prior
        self.fill_radius = fill_radius
        self.guide = guide
        self.n_jobs = n_jobs

    def _check_params(self) -> None:
        check_int(self.radius, "radius", 1)
        check_real(self.eps, "eps", 0, above=True)
        check_real(self.alpha, "alpha", 0)
        check_int(self.n_iter, "n_iter", 0)
        check_real(self.prior, "prior", 0, above=True)
        check_int(self.fill_radius, "fill_radius", 1)
        check_choice(self.guide, "guide", ("color", "grey"))

    def transform(self, X: Sequence[LevelGrid]) -> Any:
        """Refine.

        Parameters
        ----------
        X : sequence of LevelGrid
            As made by :class:`BlurLevelClassifier`.

        Returns
        -------
        list of ndarray of shape (H, W), float32
            σ in pixels, within the range of the model's levels; one array of shape (n, H, W) if
            the images came as an array.

        Raises
        ------
        TypeError
            If `X` holds anything but records.
        """
        self._check_params()
        if not isinstance(X, Sequence) or not X or not all(isinstance(g, LevelGrid) for g in X):
            raise TypeError("X must be a list of LevelGrid as made by BlurLevelClassifier")
        maps = each(
            self.n_jobs, refine, X, self.radius, self.eps, self.alpha, self.n_iter, self.prior,
            self.fill_radius, self.guide, threads_each(self.n_jobs),
        )  # fmt: skip
        return restack(maps, X[0].stacked)


def refine(
    grid: LevelGrid,
    radius: int,
    eps: float,
    alpha: float,
    n_iter: int,
    prior: float,
    fill_radius: int,
    guide: str,
    n_threads: int = 1,
) -> Float:
    """σ per pixel of one record; see :class:`WeightedGuidedRefiner`."""
    level, evidence = belief(grid)
    level = fill(level, evidence, cell_means(grid.image, grid.step), eps, prior,
                 max(1, fill_radius // grid.step))  # fmt: skip
    weights = evidence + np.float32(prior)
    levels = np.arange(len(grid.sigmas), dtype=np.float32)
    height, width = grid.image.shape[:2]
    out = np.empty((height, width), np.float32)
    # A fit looks `radius` far and is averaged over as much.
    for inner, outer in strips(height, width, grid.step, 2 * radius * n_iter):
        size = outer.stop - outer.start, width
        dense = enlarge(level, grid.step, size, outer.start)
        if n_iter:
            part = grid.image[outer]
            dense = weighted_guided_filter(
                dense, to_grey(part) if guide == "grey" else scaled(part), radius, eps,
                alpha=alpha, edge_aware=False, n_iter=n_iter, n_threads=n_threads,
                weights=enlarge(weights, grid.step, size, outer.start),
            )  # fmt: skip
        kept = slice(inner.start - outer.start, inner.stop - outer.start)
        out[inner] = np.interp(dense[kept], levels, grid.sigmas)
    return out


def strips(height: int, width: int, step: int, halo: int) -> Iterator[tuple[slice, slice]]:
    """Rows to make at a time, and with `halo` more on either side, from whole cells on."""
    rows = -(-max(STRIP // width, 4 * halo, 1) // step) * step
    for start in range(0, height, rows):
        stop = min(start + rows, height)
        yield (
            slice(start, stop),
            slice(max(start - halo, 0) // step * step, min(stop + halo, height)),
        )


def belief(grid: LevelGrid) -> tuple[Float, Float]:
    """Mean level of every cell, and its evidence: how much it narrows the level down.

    The evidence is the precision (inverse variance) of the level beyond that of a uniform
    distribution, so that a flat patch has none.
    """
    n = len(grid.sigmas)
    levels = np.arange(n, dtype=np.float32)
    mean = grid.proba @ levels
    variance = np.maximum(grid.proba @ levels**2 - mean**2, 0)
    evidence = np.maximum(1 / (variance + FLOOR) - 12 / (n**2 - 1), 0)
    return mean, evidence.astype(np.float32)


def fill(
    level: Float, evidence: Float, guide: Float, eps: float, prior: float, smallest: int
) -> Float:
    """Carry the level of cells with evidence to those without, along the guide."""
    weights = evidence + np.float32(prior)
    total = float(evidence.sum())
    start = float((evidence * level).sum()) / total if total > 0 else float(level.mean())
    found = np.full_like(level, start)
    radius = max(level.shape)
    while radius > smallest:
        radius = max(radius // 2, smallest)
        found = guided_filter(
            (evidence * level + np.float32(prior) * found) / weights, guide, radius, eps,
            weights=weights,
        )  # fmt: skip
    return (evidence * level + np.float32(prior) * found) / weights


def cell_means(image: NDArray[Any], step: int) -> Float:
    """Mean of the image over each cell; those cut off by the border repeat its last pixels."""
    height, width = image.shape[:2]
    rows, columns = -(-height // step), -(-width // step)
    out = np.empty((rows, columns, *image.shape[2:]), np.float32)
    for inner, _ in strips(height, width, step, 0):
        part = scaled(image[inner])
        short = [(0, -part.shape[0] % step), (0, -width % step), (0, 0)][: image.ndim]
        if any(end for _, end in short):
            part = np.pad(part, short, mode="edge")
        cells = part.reshape(-1, step, columns, step, *image.shape[2:])
        first = inner.start // step
        out[first : first + len(cells)] = cells.mean(axis=(1, 3))
    return out


def enlarge(cells: Float, step: int, size: tuple[int, int], start: int = 0) -> Float:
    """Interpolate values at the cells' centres linearly to pixels.

    Parameters
    ----------
    cells : ndarray of shape (rows, columns), float32
    step : int
        Side of a cell in pixels.
    size : tuple of two int
        Rows and columns of the result.
    start : int
        The row of the whole image that the result begins with.

    Returns
    -------
    ndarray of shape `size`, float32
    """
    first = max(start // step - 1, 0)
    last = min(-(-(start + size[0]) // step) + 1, len(cells))
    picture = Image.fromarray(np.ascontiguousarray(cells[first:last], np.float32))
    whole = picture.resize(
        (cells.shape[1] * step, (last - first) * step), Image.Resampling.BILINEAR
    )
    top = start - first * step
    return np.asarray(whole, np.float32)[top : top + size[0], : size[1]]
