"""The methods that are compared: a name, and a function from photographs to maps."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy import ndimage

import skdefocus as sd
from skdefocus._grids import enlarge, full_area
from skdefocus._images import check_image, to_gray
from skdefocus.pipeline._filling import mean_and_evidence
from skdefocus.pipeline._records import sigma_at

Map = np.ndarray
Method = Callable[[np.ndarray], Map]


def raw(image: np.ndarray) -> Map:
    """Mean levels of the cells, interpolated, as σ: no refinement."""
    grid = levels_of(image)
    return sigma_at(enlarge(grid.level, grid.step, full_area(grid.image.shape)), grid.sigmas)


def one(estimator: object) -> Method:
    return lambda image: estimator.transform([image])[0]  # type: ignore[attr-defined]


def laplacian_opencv(image: np.ndarray) -> Map:
    """Local energy of OpenCV's Laplacian in windows of 15 pixels, as -log."""
    import cv2

    edges = cv2.Laplacian(to_gray(check_image(image)), cv2.CV_32F)
    return -np.log(cv2.blur(edges**2, (15, 15), borderType=cv2.BORDER_REFLECT) + 1e-8)


def blur_detector(image: np.ndarray) -> Map:
    """The package blur-detector with the settings of its own example."""
    import blur_detector as peer

    gray = np.round(to_gray(check_image(image)) * 255).astype(np.uint8)
    found = np.asarray(
        peer.detectBlur(
            gray, downsampling_factor=4, num_scales=4, scale_start=2, num_iterations_RF_filter=3
        ),
        np.float32,
    )
    scale = np.divide(gray.shape, found.shape)
    return -ndimage.zoom(found, scale, order=1, mode="nearest", grid_mode=True)


def methods() -> dict[str, Method]:
    """All methods that can run here; ours first."""
    found: dict[str, Method] = {
        "skdefocus, refined": sd.defocus_map,
        "skdefocus, raw": raw,
        "EdgeReblurEstimator": one(sd.EdgeReblurEstimator()),
    }
    for name in ("laplacian_energy", "modified_laplacian", "tenengrad", "local_binary_patterns"):
        try:
            found[f"FocusMeasure, {name}"] = one(sd.FocusMeasure(name).fit([np.zeros((8, 8))]))
        except ValueError:
            continue
    if importlib.util.find_spec("cv2"):
        found["OpenCV Laplacian"] = laplacian_opencv
    if importlib.util.find_spec("blur_detector"):
        found["blur-detector"] = blur_detector
    return found


def levels_of(image: np.ndarray) -> sd.LevelGrid:
    return sd.make_defocus_pipeline()[:-1].transform([image])[0]


def most_probable(image: np.ndarray) -> Map:
    """Each cell counts by its most probable level alone."""
    grid = levels_of(image)
    certain = np.eye(len(grid.sigmas), dtype=np.float32)[grid.proba.argmax(axis=-1)]
    return sd.WeightedGuidedRefiner().transform([replace(grid, proba=certain)])[0]


def unweighted(image: np.ndarray) -> Map:
    """The weighted guided filter over mean levels, every cell with the same weight."""
    grid = levels_of(image)
    area = full_area(grid.image.shape)
    level = enlarge(grid.level, grid.step, area)
    defaults = sd.WeightedGuidedRefiner()
    level = sd.filters.weighted_guided_filter(
        level, check_image(grid.image), defaults.radius, defaults.eps, alpha=defaults.alpha,
        edge_aware=False, n_iter=defaults.n_iter,
    )  # fmt: skip
    return sigma_at(level, grid.sigmas)


def box(image: np.ndarray) -> Map:
    """A box mean by evidence in place of all guided filters."""
    grid = levels_of(image)
    level, evidence = mean_and_evidence(grid.proba)
    area, radius = full_area(grid.image.shape), sd.WeightedGuidedRefiner().radius
    level = sd.filters.box_mean(
        enlarge(level, grid.step, area), radius, weights=enlarge(evidence + 0.1, grid.step, area)
    )
    return sigma_at(level, grid.sigmas)


def changed(**parameters: object) -> Method:
    """The default with other parameters."""
    pipe = sd.make_defocus_pipeline().set_params(**parameters)
    return lambda image: pipe.transform([image])[0]


def with_networks(files: dict[str, str]) -> dict[str, Method]:
    """The default with other networks."""
    return {name: changed(levels__model=path) for name, path in files.items()}


def ablations() -> dict[str, Method]:
    """The default with one part changed."""
    return {
        "default": changed(),
        "step 8": changed(patches__step=8),
        "step 16": changed(patches__step=16),
        "no octaves": changed(levels__octaves=0),
        "no surroundings": changed(refine__context=0.0),
        "most probable level": most_probable,
        "no confidence": unweighted,
        "box instead of guided": box,
        "surroundings only": changed(refine__n_iter=0),
        "two iterations": changed(refine__n_iter=2),
        "plain aggregation": changed(refine__alpha=0.0),
        "gray guide": changed(refine__guide="gray"),
    }
