"""Construction of the pipeline from photographs to maps."""

from __future__ import annotations

from typing import Any

from joblib import effective_n_jobs
from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline

from skdefocus import network
from skdefocus._estimators import threads_per_worker
from skdefocus._images import check_photograph
from skdefocus._typing import Float32Array
from skdefocus.pipeline._classifier import BlurLevelClassifier
from skdefocus.pipeline._patches import PatchExtractor
from skdefocus.pipeline._refiner import WeightedGuidedRefiner


def make_defocus_pipeline(
    *,
    step: int = 4,
    memory: Any = None,
    n_jobs: int | None = None,
    **refine: Any,
) -> Pipeline:
    """Build the pipeline photographs → patches → levels → refined σ maps.

    Parameters
    ----------
    step : int, default=4
        Distance of neighboring patches in pixels, see :class:`PatchExtractor`.
    memory : None, str or object with the joblib.Memory interface, default=None
        Cache of the network's answers, see :class:`BlurLevelClassifier`. (The Pipeline's own
        ``memory`` caches only fitting, which is not needed here.)
    n_jobs : int or None, default=None
        Number of images that each stage works on at once.
    **refine
        Parameters of :class:`WeightedGuidedRefiner`.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Steps ``"patches"``, ``"levels"`` and ``"refine"``. It can be cloned, searched over and
        taken apart like any other. Nothing has to be fitted before ``transform``.

    Raises
    ------
    TypeError
        If one of `refine` is not a parameter of :class:`WeightedGuidedRefiner`. Values are checked
        by ``fit`` and ``transform``.

    Examples
    --------
    >>> from sklearn.datasets import load_sample_image
    >>> from skdefocus import make_defocus_pipeline
    >>> flower = load_sample_image("flower.jpg")[::2, ::2]
    >>> maps = make_defocus_pipeline(step=16).fit_transform([flower])
    >>> maps[0].shape, maps[0].dtype
    ((214, 320), dtype('float32'))
    """
    return Pipeline(
        [
            ("patches", PatchExtractor(step=step)),
            ("levels", BlurLevelClassifier(memory=memory, n_jobs=n_jobs)),
            ("refine", WeightedGuidedRefiner(n_jobs=n_jobs, **refine)),
        ]
    )


def pipeline_of_worker(n_jobs: int | None) -> Pipeline:
    """Build the pipeline for each of `n_jobs` workers, with its share of the cores.

    Call it where the workers are started: only there is their number known.
    """
    jobs = int(effective_n_jobs(n_jobs))
    # The refinement shares the cores among its `n_jobs`, however few photographs it gets.
    return make_defocus_pipeline().set_params(
        levels__n_threads=threads_per_worker(jobs), refine__n_jobs=jobs
    )


def release_memory(pipeline: Pipeline) -> None:
    """Give the memory that the network of a pipeline of a worker keeps back to the system."""
    levels = pipeline["levels"]
    facts = network.load_facts(network.model_path(levels.model))
    network.release_memory(facts, levels.n_threads)


def defocus_map(image: ArrayLike, *, step: int = 4, **refine: Any) -> Float32Array:
    """Estimate how blurred each pixel of a photograph is.

    Parameters
    ----------
    image : array_like of shape (H, W) or (H, W, C)
        Gray, RGB or RGBA; bool, uint8, uint16 or float in [0, 1]. Images smaller than a patch
        still get a map.
    step : int, default=4
        Distance of neighboring patches in pixels, see :class:`PatchExtractor`.
    **refine
        Parameters of :class:`WeightedGuidedRefiner`.

    Returns
    -------
    ndarray of shape (H, W), float32
        σ of the equivalent Gaussian PSF in pixels of this image: 0 is in focus, 64 is the largest
        value, see `octaves` of :class:`BlurLevelClassifier`.

    Raises
    ------
    TypeError, ValueError
        If `image` is not an image or a parameter is wrong.

    Notes
    -----
    Linear in the number of pixels. For several images use :func:`make_defocus_pipeline`.

    Examples
    --------
    >>> import numpy as np
    >>> import skdefocus as sd
    >>> sd.defocus_map(np.full((40, 50), 0.5)).shape
    (40, 50)
    """
    photograph = check_photograph(image)
    pipeline = make_defocus_pipeline(step=step, **refine)
    result: Float32Array = pipeline.transform([photograph])[0]
    return result
