"""The parameters of a fuser, checked and as plain numbers."""

from __future__ import annotations

from typing import NamedTuple

from sklearn.pipeline import Pipeline


class Settings(NamedTuple):
    """Parameters of a fuser, checked and as plain numbers, and what makes the maps of frames."""

    radius: int
    feather: float
    min_area: int
    noise: float
    sigma_weight: float
    align: str
    match_exposure: bool | str
    slab: tuple[int, int] | None
    reference: int | None
    outliers: str
    mapper: Pipeline
