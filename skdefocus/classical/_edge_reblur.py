"""How blurred an edge is, from how much it weakens when it is blurred a little more."""

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
    each,
    integer,
    real,
    restack,
    threads_each,
)
from skdefocus._grids import cell_means, enlarge, full_area
from skdefocus._images import check_image, check_images, to_gray
from skdefocus._typing import AnyArray, Float32Array
from skdefocus._validation import MAX_SIGMA
from skdefocus.filters import box_mean, guided_filter, weighted_guided_filter
from skdefocus.metrics import SigmaScoreMixin
from skdefocus.synthesis import blur, psf

#: Scales that the gradient is taken at, in units of σ₀; each is compared with the next one.
SCALES = (0.5, 1.0, 2.0, 4.0)
#: Variance that the central difference adds to a step between two pixels: (0, ½, ½, 0).
DIFFERENCE = 0.25
#: Gradients are judged against this quantile of their local energy, which is noise, JPEG's
#: traces or a soft shade.
QUIET = 0.1
#: Radius of what is local there, pixels.
QUIET_RADIUS = 8
#: Relative error of a gradient that is no noise: an edge is never alone nor quite a step.
MODEL_ERROR = 0.05
#: σ below this can hardly be told from 0, pixels.
SOFT = 0.5
#: Variance of log σ that no edge falls below, so that no single one decides.
LEAST_VARIANCE = 0.02
#: Side of the cells that the edges' evidence is collected in, pixels.
CELL = 4
#: Weight of what the surroundings say against a cell's own evidence (at most 1 / LEAST_VARIANCE).
PRIOR = 0.02
#: Smallest unit of the scales in pixels; below it, blurs of half of it and less change nothing.
MIN_SIGMA0 = 0.1
#: Pixels' four directions, by the angle of the gradient in steps of 45°.
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

    `variance` is that of all smoothing in it, squared pixels; `noise` the variance of each of the
    components `y` and `x` where there is nothing to see.
    """

    variance: float
    y: Float32Array
    x: Float32Array
    energy: Float32Array
    noise: float


class Edges(NamedTuple):
    """Pixels that lie on edges, the squares of their σ and the variances of log σ."""

    rows: AnyArray
    columns: AnyArray
    variance: AnyArray
    doubt: AnyArray


def reblur_map(image: Float32Array, settings: ReblurSettings, n_threads: int = 1) -> Float32Array:
    """σ per pixel of a checked image; see :class:`skdefocus.EdgeReblurEstimator`."""
    grey = to_gray(image)
    radius, eps, max_sigma = settings.radius, settings.eps, settings.max_sigma
    level, evidence = edge_evidence(grey, settings.sigma0, settings.threshold, max_sigma)
    cells = fill(level, evidence, cell_means(grey, CELL), eps, max(1, radius // CELL))
    dense = weighted_guided_filter(
        enlarge(cells, CELL, full_area(grey.shape)), grey, radius, eps, n_iter=2, n_threads=n_threads,
        weights=enlarge(evidence + np.float32(PRIOR), CELL, full_area(grey.shape)),
    )  # fmt: skip
    return np.sqrt(np.clip(np.exp(2 * dense) - SOFT**2, 0, max_sigma**2)).astype(np.float32)


def fill(
    level: Float32Array, evidence: Float32Array, guide: Float32Array, eps: float, smallest: int
) -> Float32Array:
    """Carry the level of cells with evidence to those without, along the guide.

    In windows from the image's size down to a radius of `smallest` cells, each size taking what
    the larger one found as a prior.
    """
    prior = np.float32(PRIOR)
    weights = evidence + prior
    total = float(evidence.sum())
    found = np.full_like(level, float((evidence * level).sum()) / total if total else level.mean())
    radius = max(level.shape)
    while radius > smallest:
        radius = max(radius // 2, smallest)
        found = guided_filter(
            (evidence * level + prior * found) / weights, guide, radius, eps, weights=weights
        )
    return (evidence * level + prior * found) / weights


def edge_evidence(
    grey: Float32Array, sigma0: float, threshold: float, max_sigma: float
) -> tuple[Float32Array, Float32Array]:
    """Mean log σ of the edges in each cell, and their evidence: inverse variances of log σ.

    Averages are of log √(σ² + SOFT²), for a blur is known to so many per cent and not pixels.
    Cells without an edge get the middle of the range and no evidence.
    """
    total, evidence = np.zeros_like(grey), np.zeros_like(grey)
    scales = gradients(grey, sigma0)
    for fine, coarse in pairwise(scales):
        edges = measure(fine, coarse, threshold, max_sigma)
        at = edges.rows, edges.columns
        # At a coarse scale, what is near a fine edge is a mixture of several.
        reach = int(np.ceil(2 * np.sqrt(coarse.variance)))
        nearby = box_mean(evidence, reach, n_threads=1)[at] * (2 * reach + 1)
        weight = 1 / ((edges.doubt + LEAST_VARIANCE) * (1 + nearby * LEAST_VARIANCE))
        evidence[at] += weight
        total[at] += weight * np.log(edges.variance + SOFT**2) / 2
    weights, sums = cell_means(evidence, CELL), cell_means(total, CELL)
    middle = np.full_like(sums, np.log((max_sigma**2 + SOFT**2) * SOFT**2) / 4)
    return np.divide(sums, weights, out=middle, where=weights > 0), weights


def gradients(grey: Float32Array, sigma0: float) -> list[Gradient]:
    """Gradients at all scales, from fine to coarse."""
    found = []
    smooth, before = grey, 0.0
    for scale in SCALES:
        sigma = scale * sigma0
        smooth = np.asarray(blur(smooth, float(np.sqrt(sigma**2 - before**2))), np.float32)
        before = sigma
        y, x = (
            ndimage.correlate1d(smooth, [-0.5, 0, 0.5], axis, mode="reflect") for axis in (0, 1)
        )
        energy = y * y + x * x
        # Rounding to 8 bits alone, as noise that is smoothed along one axis and differenced
        # along the other.
        kernel = psf(sigma).sum(axis=0)
        slope = np.convolve(kernel, [0.5, 0, -0.5])
        rounding = float((kernel @ kernel) * (slope @ slope)) / (12 * 255**2)
        quiet = float(np.quantile(box_mean(energy, QUIET_RADIUS, n_threads=1), QUIET)) / 2
        found.append(Gradient(sigma**2 + DIFFERENCE, y, x, energy, max(quiet, rounding)))
    return found


def measure(fine: Gradient, coarse: Gradient, threshold: float, max_sigma: float) -> Edges:
    """Find edges and their σ by comparing two scales.

    A step of height A, blurred by σ and smoothed by variance t, has a gradient of
    ``A / sqrt(2 pi (σ² + t))`` at its place. The ratio of two such gradients, squared, is
    ``R² = (σ² + t₂) / (σ² + t₁)``, whence ``σ² = (t₂ - R² t₁) / (R² - 1)``.
    """
    t1, t2 = fine.variance, coarse.variance
    rows, columns, down, right = ridges(fine, coarse, threshold)

    def logs(energy: Float32Array) -> list[AnyArray]:
        return [np.log(energy[rows + k * down, columns + k * right] + 1e-20) for k in (-1, 0, 1)]

    # The edge lies between pixels: at the top of the parabola through the coarse log energies.
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
    # How far log σ is off if the gradients are, to first order.
    relative = fine.noise / fine.energy[rows, columns] + MODEL_ERROR**2
    ratio = (variance + t2) / (variance + t1)
    slope = ratio * (t2 - t1) / (ratio - 1) ** 2 / (2 * (variance + SOFT**2))
    return Edges(rows, columns, variance, 4 * relative * slope**2)


def ridges(
    fine: Gradient, coarse: Gradient, threshold: float
) -> tuple[AnyArray, AnyArray, AnyArray, AnyArray]:
    """Places of strong gradients that are maxima across the edge, and the steps across it.

    Maxima are those of the coarse scale: noise moves the fine one to where it exaggerates.
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
    """Estimate σ at edges by blurring them again, and carry it to all pixels.

    An edge weakens the less under a further blur the more blurred it is already: the ratio of its
    gradients before and after gives its σ in pixels [1]_. Here the gradients are taken at four
    scales, each edge is weighed by how well its σ can be known from its contrast over what is
    noise, and confidence-weighted guided filters, from windows as large as the image down to
    `radius`, carry σ to where there is no edge, stopping at the photograph's own edges.

    Parameters
    ----------
    sigma0 : float, default=1.0
        Unit of the scales in pixels, from 0.1 to 1000: gradients are compared between 0.5, 1, 2 and
        4 of it. Larger ones suffer less from noise, smaller ones tell slight blurs and close edges
        apart.
    threshold : float, default=5.0
        Least gradient of an edge, ≥ 0, in standard deviations of the gradient in the calmest
        tenth of the photograph.
    radius : int, default=16
        Radius of the smallest windows of the guided filters in pixels, ≥ 1.
    eps : float, default=1e-3
        Their regularisation in squared intensity (of a range of 1), > 0: edges of a contrast well
        below ``sqrt(eps)`` do not show in the map.
    max_sigma : float, default=8.0
        Largest σ in pixels, > 0; what is more blurred gets this one.
    n_jobs : int or None, default=None
        Images worked on at once, see :class:`joblib.Parallel`.

    Attributes
    ----------
    units_ : str
        ``"pixels"``.

    See Also
    --------
    FocusMeasure : faster, and not in pixels.

    Notes
    -----
    σ is that of the photograph's edges, which the camera's optics and sampling blur even in focus,
    and a shadow's edge or a round surface at any focus. Edges must be steps: two that are closer
    than about twice σ disturb each other, as in fine texture. Where an image has no edge at all
    the map is even, at the geometric middle of the range, which means nothing. On a single
    straight step, noise-free, σ from 0.5 to 8 is found to 5 % and a perfect step as 0 to 0.35,
    depending on its direction.

    Linear in the number of pixels: about 1 s of one core per megapixel, and 80 to 130 bytes of
    memory per pixel beside the image.

    References
    ----------
    .. [1] S. Zhuo and T. Sim, "Defocus map estimation from a single image", Pattern
       Recognition 44(9), 2011. (Their map is made dense by matting, ours as said above.)

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
            Grey, RGB or RGBA (alpha is ignored); bool, uint8, uint16 (scaled by their range) or
            float in [0, 1].

        Returns
        -------
        list of ndarray of shape (H, W), float32
            σ in pixels, from 0 to `max_sigma`; one array of shape (n, H, W) if `X` is an array.

        Raises
        ------
        TypeError, ValueError
            If `X` is no batch of images or a parameter is wrong; the message names it.
        """
        settings = ReblurSettings.of(self)
        images, stacked = check_images(X)
        named = [(image, f"X[{i}]") for i, image in enumerate(images)]
        maps = each(self.n_jobs, edge_reblur, named, settings, threads_each(self.n_jobs))
        return restack(maps, stacked)


def edge_reblur(named: tuple[Any, str], settings: ReblurSettings, n_threads: int) -> Float32Array:
    """σ map of one image, which comes with its name."""
    return reblur_map(check_image(*named), settings, n_threads)
