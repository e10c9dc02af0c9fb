"""Blur of edges, estimated from how much a further blur weakens them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, NamedTuple

import numpy as np
from scipy import ndimage

from skdefocus._estimators import (
    JOBS,
    ImageTransformer,
    Settings,
    integer,
    map_samples,
    real,
    restack,
    threads_per_worker,
)
from skdefocus._grids import cell_means, enlarge, full_area
from skdefocus._images import check_image, check_images, to_gray
from skdefocus._typing import AnyArray, Float32Array
from skdefocus._validation import MAX_SIGMA
from skdefocus.filters import box_mean, guided_filter, weighted_guided_filter
from skdefocus.metrics import SigmaScoreMixin
from skdefocus.synthesis import blur, psf

#: Scales of the gradients in units of σ₀; adjacent scales are compared.
SCALES = (0.5, 1.0, 2.0, 4.0)
#: Variance that the central difference adds to a step between two pixels: (0, ½, ½, 0).
DIFFERENCE = 0.25
#: Gradients are compared with this quantile of their local energy, which is due to noise, JPEG
#: compression or soft shades.
NOISE_QUANTILE = 0.1
#: Radius in pixels of the windows for the local energy.
NOISE_RADIUS = 8
#: Relative error of a gradient without noise: edges are neither isolated nor perfect steps.
MODEL_ERROR = 0.05
#: σ in pixels below which blurs can hardly be told from 0.
SOFT = 0.5
#: Smallest variance of log σ of an edge, so that no single edge decides.
MIN_VARIANCE = 0.02
#: Side in pixels of the cells that collect the evidence of edges.
CELL = 4
#: Weight of a cell's surroundings relative to its own evidence (at most 1 / MIN_VARIANCE).
PRIOR = 0.02
#: Smallest unit of the scales in pixels. Below it, a blur by half of it has no effect.
MIN_SIGMA0 = 0.1
#: Steps across an edge, by the angle of its gradient in units of 45°.
DOWN, RIGHT = np.array([0, 1, 1, 1]), np.array([1, 1, 0, -1])


@dataclass(frozen=True)
class ReblurSettings(Settings):
    """Checked parameters of :class:`EdgeReblurEstimator`."""

    sigma0: Annotated[float, real(MIN_SIGMA0, MAX_SIGMA)]
    threshold: Annotated[float, real(0, 1e6)]
    radius: Annotated[int, integer(1)]
    eps: Annotated[float, real(0, above=True)]
    max_sigma: Annotated[float, real(0, MAX_SIGMA, above=True)]
    n_jobs: Annotated[int | None, JOBS]


class Gradient(NamedTuple):
    """Gradient of an image at one scale.

    `variance` is the σ² of all smoothing before it, in squared pixels. `noise` is the variance that
    `y` and `x` each have from noise alone.
    """

    variance: float
    y: Float32Array
    x: Float32Array
    energy: Float32Array
    noise: float


class Edges(NamedTuple):
    """Pixels on edges, with σ² and the variance of log σ."""

    rows: AnyArray
    columns: AnyArray
    variance: AnyArray
    log_variance: AnyArray


def reblur_map(image: Float32Array, settings: ReblurSettings, n_threads: int = 1) -> Float32Array:
    """Estimate σ in each pixel of a checked image; see :class:`EdgeReblurEstimator`."""
    gray = to_gray(image)
    radius, eps, max_sigma = settings.radius, settings.eps, settings.max_sigma
    log_sigma, evidence = edge_evidence(gray, settings.sigma0, settings.threshold, max_sigma)
    cells = spread(log_sigma, evidence, cell_means(gray, CELL), eps, max(1, radius // CELL))
    area = full_area(gray.shape)
    dense = weighted_guided_filter(
        enlarge(cells, CELL, area),
        gray,
        radius,
        eps,
        n_iter=2,
        weights=enlarge(evidence + np.float32(PRIOR), CELL, area),
        n_threads=n_threads,
    )
    return np.sqrt(np.clip(np.exp(2 * dense) - SOFT**2, 0, max_sigma**2)).astype(np.float32)


def spread(
    log_sigma: Float32Array,
    evidence: Float32Array,
    guide: Float32Array,
    eps: float,
    min_radius: int,
) -> Float32Array:
    """Spread the log σ of cells with evidence to all others, along the guide.

    The windows shrink from the size of the image to a radius of `min_radius` cells. The result with
    one size is the prior for the next one.
    """
    prior = np.float32(PRIOR)
    weights = evidence + prior
    total = float(evidence.sum())
    known = evidence * log_sigma
    result = np.full_like(log_sigma, float(known.sum()) / total if total else log_sigma.mean())
    radius = max(log_sigma.shape)
    while radius > min_radius:
        radius = max(radius // 2, min_radius)
        mixed = (known + prior * result) / weights
        result = guided_filter(mixed, guide, radius, eps, weights=weights)
    return (known + prior * result) / weights


def edge_evidence(
    gray: Float32Array, sigma0: float, threshold: float, max_sigma: float
) -> tuple[Float32Array, Float32Array]:
    """Average log σ of the edges in each cell; also return their evidence, inverse variances.

    The average is that of log √(σ² + SOFT²), because the relative error of a blur is known rather
    than the absolute one. Cells without edges get the middle of the range and no evidence.
    """
    total, evidence = np.zeros_like(gray), np.zeros_like(gray)
    scales = gradients(gray, sigma0)
    for fine, coarse in pairwise(scales):
        edges = compare_scales(fine, coarse, threshold, max_sigma)
        at = edges.rows, edges.columns
        # Near an edge at a fine scale, a coarse scale mixes several edges.
        reach = int(np.ceil(2 * np.sqrt(coarse.variance)))
        nearby = box_mean(evidence, reach, n_threads=1)[at] * (2 * reach + 1)
        weight = 1 / ((edges.log_variance + MIN_VARIANCE) * (1 + nearby * MIN_VARIANCE))
        evidence[at] += weight
        total[at] += weight * np.log(edges.variance + SOFT**2) / 2
    weights, sums = cell_means(evidence, CELL), cell_means(total, CELL)
    middle = np.full_like(sums, np.log((max_sigma**2 + SOFT**2) * SOFT**2) / 4)
    return np.divide(sums, weights, out=middle, where=weights > 0), weights


def gradients(gray: Float32Array, sigma0: float) -> list[Gradient]:
    """Compute the gradients at all scales, from fine to coarse."""
    result = []
    smooth, sigma_before = gray, 0.0
    for scale in SCALES:
        sigma = scale * sigma0
        smooth = np.asarray(blur(smooth, float(np.sqrt(sigma**2 - sigma_before**2))), np.float32)
        sigma_before = sigma
        y, x = (
            ndimage.correlate1d(smooth, [-0.5, 0, 0.5], axis, mode="reflect") for axis in (0, 1)
        )
        energy = y * y + x * x
        # Noise of rounding to 8 bits, smoothed along one axis and differentiated along the other.
        kernel = psf(sigma).sum(axis=0)
        slope = np.convolve(kernel, [0.5, 0, -0.5])
        rounding = float((kernel @ kernel) * (slope @ slope)) / (12 * 255**2)
        flat = float(np.quantile(box_mean(energy, NOISE_RADIUS, n_threads=1), NOISE_QUANTILE)) / 2
        result.append(Gradient(sigma**2 + DIFFERENCE, y, x, energy, max(flat, rounding)))
    return result


def compare_scales(fine: Gradient, coarse: Gradient, threshold: float, max_sigma: float) -> Edges:
    """Find edges and their σ by comparing two scales.

    At a step of height A, blurred by σ and smoothed by variance t, the gradient is
    ``A / sqrt(2 pi (σ² + t))``. The squared ratio of two such gradients is
    ``R² = (σ² + t₂) / (σ² + t₁)``, so that ``σ² = (t₂ - R² t₁) / (R² - 1)``.
    """
    t1, t2 = fine.variance, coarse.variance
    rows, columns, down, right = ridges(fine, coarse, threshold)

    def logs(energy: Float32Array) -> list[AnyArray]:
        return [np.log(energy[rows + k * down, columns + k * right] + 1e-20) for k in (-1, 0, 1)]

    # Edges are between pixels, at the peak of the parabola through the coarse log energies.
    before, here, after = logs(coarse.energy)
    bend = np.maximum(2 * here - before - after, 1e-6)
    shift = np.clip((after - before) / (2 * bend), -0.5, 0.5)

    def at_edge(energy: Float32Array) -> AnyArray:
        before, here, after = logs(energy)
        return here + shift * (after - before) / 2 - shift**2 * (2 * here - before - after) / 2

    ratio = np.exp(at_edge(fine.energy) - at_edge(coarse.energy))
    variance = np.full_like(ratio, max_sigma**2)
    np.divide(t2 - ratio * t1, ratio - 1, out=variance, where=ratio > 1 + 1e-6)
    variance = np.clip(variance, 0, max_sigma**2)
    # First-order propagation of the relative error of the gradients to log σ.
    relative = fine.noise / fine.energy[rows, columns] + MODEL_ERROR**2
    ratio = (variance + t2) / (variance + t1)
    slope = ratio * (t2 - t1) / (ratio - 1) ** 2 / (2 * (variance + SOFT**2))
    return Edges(rows, columns, variance, 4 * relative * slope**2)


def ridges(
    fine: Gradient, coarse: Gradient, threshold: float
) -> tuple[AnyArray, AnyArray, AnyArray, AnyArray]:
    """Find strong gradients that are maxima across the edge; also return steps across the edge.

    Maxima are those of the coarse scale. On the fine one, noise would favor gradients that are too
    large.
    """
    strong = coarse.energy > threshold**2 * coarse.noise
    strong &= fine.energy > threshold**2 * fine.noise
    rows, columns = (index + 1 for index in np.nonzero(strong[1:-1, 1:-1]))
    angle = np.arctan2(coarse.y[rows, columns], coarse.x[rows, columns])
    sector = np.round(angle / (np.pi / 4)).astype(np.intp) % 4
    down, right = DOWN[sector], RIGHT[sector]
    here = coarse.energy[rows, columns]
    top = here > coarse.energy[rows - down, columns - right]
    top &= here >= coarse.energy[rows + down, columns + right]
    return rows[top], columns[top], down[top], right[top]


class EdgeReblurEstimator(SigmaScoreMixin, ImageTransformer):
    """Estimate σ at edges by blurring them again, and spread it to all pixels.

    The more blurred an edge is, the less a further blur weakens it: the ratio of the gradients
    before and after gives its σ in pixels [1]_. Gradients are taken at four scales, and each edge
    is weighted by the precision of its σ, which depends on its contrast relative to the noise.
    Weighted guided filters then spread σ to all other pixels. Their windows shrink from the size of
    the image to `radius`, and they stop at the edges of the photograph.

    Parameters
    ----------
    sigma0 : float, default=1.0
        Unit of the scales in pixels, from 0.1 to 1000. Gradients are compared at 0.5, 1, 2 and 4
        times this. Large values are robust to noise; small ones tell slight blurs apart, and edges
        that are close together.
    threshold : float, default=5.0
        Smallest gradient of an edge, ≥ 0, in standard deviations of the gradient in the flattest
        tenth of the photograph.
    radius : int, default=16
        Radius of the smallest windows of the guided filters in pixels, ≥ 1.
    eps : float, default=1e-3
        Regularization of the guided filters in squared intensities (for a range of 1), > 0. Edges
        with a contrast well below ``sqrt(eps)`` do not appear in the map.
    max_sigma : float, default=8.0
        Largest σ in pixels, > 0; stronger blurs get this value.
    n_jobs : int or None, default=None
        Number of images to process in parallel, see :class:`joblib.Parallel`.

    Attributes
    ----------
    units_ : str
        ``"pixels"``.

    See Also
    --------
    FocusMeasure : Map blur faster, but not in pixels.

    Notes
    -----
    σ is that of edges in the photograph. The optics and the sampling of a camera blur edges in
    focus too, and the edge of a shadow or of a round surface is never sharp. Edges have to be
    steps: two edges closer than about twice σ disturb each other, as in fine texture. An image
    without edges has a constant map in the geometric middle of the range, which means nothing. For
    a single straight step without noise, the error is 5 % for σ from 0.5 to 8, and a perfect step
    gets 0 to 0.35, depending on its direction.

    The cost is linear in the number of pixels: about 1 s on one core per megapixel, and 80 to 130
    bytes of memory per pixel in addition to the image.

    References
    ----------
    .. [1] S. Zhuo and T. Sim, "Defocus map estimation from a single image", Pattern
       Recognition 44(9), 2011. (They spread σ by matting instead.)

    Examples
    --------
    >>> import numpy as np
    >>> from skdefocus.classical import EdgeReblurEstimator
    >>> from skdefocus.synthesis import blur
    >>> step = np.repeat([[0.2, 0.8]], 32, axis=1).repeat(64, axis=0)
    >>> maps = EdgeReblurEstimator().fit_transform([step, blur(step, 2)])
    >>> [round(float(np.median(m)), 1) for m in maps]
    [0.1, 2.0]
    """

    units_ = "pixels"
    _table = ReblurSettings

    def __init__(
        self,
        sigma0: float = 1.0,
        *,
        threshold: float = 5.0,
        radius: int = 16,
        eps: float = 1e-3,
        max_sigma: float = 8.0,
        n_jobs: int | None = None,
    ) -> None:
        self.sigma0 = sigma0
        self.threshold = threshold
        self.radius = radius
        self.eps = eps
        self.max_sigma = max_sigma
        self.n_jobs = n_jobs

    def transform(self, X: Any) -> Any:
        """Map each image.

        Parameters
        ----------
        X : ndarray of shape (n, H, W) or (n, H, W, C), or list of images of different sizes
            Gray, RGB or RGBA (alpha is ignored); bool, uint8, uint16 (scaled by their range) or
            float in [0, 1].

        Returns
        -------
        list of ndarray of shape (H, W), float32
            σ in pixels, from 0 to `max_sigma`; one array of shape (n, H, W) if `X` is an array.

        Raises
        ------
        TypeError, ValueError
            If `X` is not a batch of images or a parameter is wrong; the message names it.
        """
        settings = ReblurSettings.of(self)
        images, stacked = check_images(X)
        named = [(image, f"X[{i}]") for i, image in enumerate(images)]
        maps = map_samples(
            self.n_jobs, edge_reblur, named, settings, threads_per_worker(self.n_jobs)
        )
        return restack(maps, stacked)


def edge_reblur(named: tuple[Any, str], settings: ReblurSettings, n_threads: int) -> Float32Array:
    """Estimate the σ map of one image, given with its name."""
    return reblur_map(check_image(*named), settings, n_threads)
