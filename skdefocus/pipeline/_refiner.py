"""Refinement of a coarse grid of levels to a map with the edges of the photograph."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import lcm
from typing import Annotated, Any

import numpy as np

from skdefocus._estimators import (
    JOBS,
    ImageTransformer,
    Settings,
    in_threads,
    integer,
    map_samples,
    real,
    restack,
    threads_per_worker,
)
from skdefocus._grids import Area, enlarge, seen_from, strips, tiles
from skdefocus._images import planes_of, to_gray
from skdefocus._typing import Float32Array
from skdefocus._validation import MAX_ALPHA, check_choice
from skdefocus.filters import weighted_guided_filter
from skdefocus.metrics import SigmaScoreMixin
from skdefocus.pipeline._filling import filled, mean_and_evidence
from skdefocus.pipeline._records import LevelGrid, sigma_at

#: Least weight of a cell: smaller ones have no inverse in float32.
LEAST = 1e-30

#: Side of a tile in pixels, each of which is the work of one thread, and the least ratio of it to
#: the distance over which the refinement averages. What a tile needs stays in memory for the next
#: one: larger arrays are given back to the system, and asking for them again takes longer.
TILE, REACHES = 512, 12

#: Values of the parameter `guide`; "grey" is the older spelling.
GUIDES = {"color": "color", "gray": "gray", "grey": "gray"}


def _guide(value: Any, name: str) -> str:
    """Check the name of a guide, and translate an older one."""
    guide = GUIDES[check_choice(value, name, tuple(GUIDES))]
    if guide != value:
        warnings.warn(
            f"guide={value!r} was renamed to guide={guide!r}; the old name will be removed in "
            "version 0.3",
            FutureWarning,
            stacklevel=2,
        )
    return guide


@dataclass(frozen=True)
class RefineSettings(Settings):
    """Checked parameters of :class:`WeightedGuidedRefiner`."""

    radius: Annotated[int, integer(1)]
    eps: Annotated[float, real(0, above=True)]
    alpha: Annotated[float, real(0, MAX_ALPHA)]
    n_iter: Annotated[int, integer(0)]
    prior: Annotated[float, real(0, 1e6, above=True)]
    fill_radius: Annotated[int, integer(1)]
    context: Annotated[float, real(0, 1)]
    guide: Annotated[str, _guide]
    subsample: Annotated[int, integer(1)]
    n_jobs: Annotated[int | None, JOBS]

    @property
    def reach(self) -> int:
        """Distance in pixels over which the refinement averages, with room for interpolation."""
        return (2 * self.radius + 4 * self.subsample) * self.n_iter


class WeightedGuidedRefiner(SigmaScoreMixin, ImageTransformer):
    """Turn level probabilities per cell into σ per pixel, guided by the photograph.

    Works in two parts, both guided filters in which every cell counts by its evidence:

    1. *Fill*, on the grid of cells: the probabilities of a cell are multiplied by how common the
       levels are around it, to the power of `context` (Bayes' rule). Guided filters average the
       surroundings in windows from the whole image down to `fill_radius`. A cell with a clear
       answer keeps its level; one without (flat walls, skies) leans toward its surroundings; one
       between two levels leans toward the one that occurs around it.
    2. *Refine*, on the pixels: `n_iter` iterations of the weighted guided filter, so that the
       map's edges move to the photograph's.

    Both parts average *levels*, which are evenly spaced in what can be told apart, and not σ: the
    mean of "in focus" and "σ = 8" is then a slight blur and not σ = 4.

    Parameters
    ----------
    radius : int, default=4
        Radius of the window of the refinement in pixels, ≥ 1.
    eps : float, default=3e-4
        Regularization of the guided filters in squared intensity (of a range of 1), > 0: edges of
        the photograph of a contrast well below ``sqrt(eps)`` do not show in the map.
    alpha : float, default=1.0
        Exponent of the variance in the weighted aggregation, from 0 to 30, see
        :func:`skdefocus.filters.weighted_guided_filter`.
    n_iter : int, default=1
        Iterations of the refinement, ≥ 0; 0 only interpolates the filled grid.
    prior : float, default=0.5
        Weight in the averages of a cell without evidence, > 0, in inverse squared levels (that of
        a cell with a clear answer is about 3).
    fill_radius : int, default=128
        Smallest radius of the filling in pixels, ≥ 1.
    context : float, default=0.1
        Power of how common the levels are in a cell's surroundings, from 0 to 1: 0 leaves every
        cell its own mean level, 1 is Bayes' rule as if the surroundings were independent of what
        the cell shows. The default is below 1, because the network has seen some of them already.
    guide : {"color", "gray"}, default="color"
        Which values of the photograph guide the refinement; ``"color"`` also sees edges
        between colors of equal brightness, ``"gray"`` saves time. ``"grey"`` is the older
        spelling of ``"gray"``.
    subsample : int, default=2
        Distance in pixels of the refinement's windows that are fitted, ≥ 1; the fits are
        interpolated between them. 2 takes less than half the time of 1 and changes σ by a few
        thousandths of a pixel.
    n_jobs : int or None, default=None
        Number of images that are worked on at once, see :class:`joblib.Parallel`.

    References
    ----------
    .. [1] F. J. Galetto and G. Deng, "Single image deep defocus estimation and its applications",
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

    _table = RefineSettings

    def __init__(
        self,
        radius: int = 4,
        eps: float = 3e-4,
        *,
        alpha: float = 1.0,
        n_iter: int = 1,
        prior: float = 0.5,
        fill_radius: int = 128,
        context: float = 0.1,
        guide: str = "color",
        subsample: int = 2,
        n_jobs: int | None = None,
    ) -> None:
        self.radius = radius
        self.eps = eps
        self.alpha = alpha
        self.n_iter = n_iter
        self.prior = prior
        self.fill_radius = fill_radius
        self.context = context
        self.guide = guide
        self.subsample = subsample
        self.n_jobs = n_jobs

    def transform(self, X: Sequence[LevelGrid]) -> Any:
        """Refine the levels of cells to σ per pixel.

        Parameters
        ----------
        X : sequence of LevelGrid
            From :class:`BlurLevelClassifier`.

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
        settings = RefineSettings.of(self)
        if not isinstance(X, Sequence) or not X or not all(isinstance(g, LevelGrid) for g in X):
            raise TypeError("X must be a list of LevelGrid as made by BlurLevelClassifier")
        maps = map_samples(self.n_jobs, refine, X, settings, threads_per_worker(self.n_jobs))
        alike = len({m.shape for m in maps}) == 1
        return restack(maps, alike and all(grid.stacked for grid in X))


def refine(grid: LevelGrid, settings: RefineSettings, n_threads: int = 1) -> Float32Array:
    """Compute σ per pixel of one record; see :class:`WeightedGuidedRefiner`."""
    s = settings
    found = [mean_and_evidence(grid.rows(part)) for part in strips(grid.shape[0])]
    level, evidence = (np.concatenate(parts) for parts in zip(*found, strict=True))
    weights = evidence + np.float32(max(s.prior, LEAST))
    if s.context:
        level = filled(grid, weights, s.eps, s.fill_radius, s.context)
    out = np.empty(grid.image.shape[:2], np.float32)
    work = partial(_refine_tile, grid, level, weights, s, out)
    side = max(TILE, REACHES * s.reach)
    in_threads(n_threads, work, tiles(out.shape, lcm(grid.step, s.subsample), s.reach, side))
    return out


def _refine_tile(
    grid: LevelGrid,
    level: Float32Array,
    weights: Float32Array,
    settings: RefineSettings,
    out: Float32Array,
    areas: tuple[Area, Area],
) -> None:
    """Write σ of one tile into `out`, from the levels of the cells and their weights."""
    inner, outer = areas
    s, dense = settings, enlarge(level, grid.step, outer)
    if s.n_iter:
        part = grid.image[outer]
        dense = weighted_guided_filter(
            dense,
            to_gray(part) if s.guide == "gray" else planes_of(part),
            s.radius,
            s.eps,
            alpha=s.alpha,
            edge_aware=False,
            n_iter=s.n_iter,
            subsample=s.subsample,
            n_threads=1,
            weights=enlarge(weights, grid.step, outer),
        )
    out[inner] = sigma_at(dense[seen_from(outer, inner)], grid.sigmas)
