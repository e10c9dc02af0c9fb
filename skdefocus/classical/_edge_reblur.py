"""How blurred an edge is, from how much it weakens when it is blurred a little more."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from skdefocus._grids import cell_means, enlarge, whole
from skdefocus._images import to_gray
from skdefocus._typing import AnyArray, Float32Array
from skdefocus.filters import box_mean, guided_filter, weighted_guided_filter
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
#: Pixels' four directions, by the angle of the gradient in steps of 45°.
DOWN, RIGHT = np.array([0, 1, 1, 1]), np.array([1, 1, 0, -1])


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


def reblur_map(
    image: Float32Array,
    sigma0: float,
    threshold: float,
    radius: int,
    eps: float,
    max_sigma: float,
    n_threads: int = 1,
) -> Float32Array:
    """σ per pixel of a checked image; see :class:`skdefocus.EdgeReblurEstimator`."""
    grey = to_gray(image)
    level, evidence = edge_evidence(grey, sigma0, threshold, max_sigma)
    cells = fill(level, evidence, cell_means(grey, CELL), eps, max(1, radius // CELL))
    dense = weighted_guided_filter(
        enlarge(cells, CELL, whole(grey.shape)), grey, radius, eps, n_iter=2, n_threads=n_threads,
        weights=enlarge(evidence + np.float32(PRIOR), CELL, whole(grey.shape)),
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
