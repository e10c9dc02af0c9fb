"""Mappers for effects and features: the pipeline, or a transformer from the caller."""

from __future__ import annotations

from typing import Any

from skdefocus._typing import AnyArray
from skdefocus._validation import check_sequence
from skdefocus.pipeline._build import pipeline_of_worker

#: Name in messages of the map that an effect's `estimator` makes.
MAP = "estimator's map"


def check_mapper(estimator: Any) -> None:
    """Check that a parameter `estimator` can make maps."""
    usable = hasattr(estimator, "transform") and not isinstance(estimator, type)
    if estimator is not None and not usable:
        raise TypeError(
            "estimator must be a transformer from photographs to maps, such as "
            f"make_defocus_pipeline(), or None, got {estimator!r}"
        )


def mapper_of(estimator: Any, n_jobs: int | None) -> Any:
    """Return the mapper for each of `n_jobs` workers: the estimator, or the pipeline for None."""
    return pipeline_of_worker(n_jobs) if estimator is None else estimator


def map_of(image: AnyArray, mapper: Any) -> Any:
    """Make the map of one photograph."""
    maps = check_sequence(mapper.transform([image]), "the output of estimator")
    if len(maps) != 1:
        raise ValueError(f"estimator must make one map per photograph, got {len(maps)} of one")
    return maps[0]
