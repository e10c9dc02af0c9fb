"""The parameters of a fuser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from skdefocus._estimators import JOBS, Settings, choice, integer, optional, real
from skdefocus._validation import MAX_NOISE, MAX_SIGMA, check_int

#: Least standard deviation of the noise: not much below this, its square is 0.
LEAST_NOISE = 1e-9
#: Largest weight of σ maps, in nats per pixel: products with any σ stay in the range of float32.
MAX_SIGMA_WEIGHT = 1e6


def _match(value: Any, name: str) -> bool | str:
    if isinstance(value, str) and value == "auto":
        return value
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise ValueError(f"{name} must be 'auto', True or False, got {value!r}")


def _slab(value: Any, name: str) -> tuple[int, int]:
    if not isinstance(value, Sequence) or len(value) != 2:
        raise ValueError(f"{name} must be None or (start, stop), got {value!r}")
    start = check_int(value[0], f"{name}[0]", 0)
    return start, check_int(value[1], f"{name}[1]", start + 1)


@dataclass(frozen=True)
class FuserSettings(Settings):
    """Checked parameters of :class:`skdefocus.FocusFuser`."""

    radius: Annotated[int, integer(0)]
    feather: Annotated[float, real(0, MAX_SIGMA)]
    min_area: Annotated[int, integer(0)]
    noise: Annotated[float, real(LEAST_NOISE, MAX_NOISE)]
    sigma_weight: Annotated[float, real(0, MAX_SIGMA_WEIGHT)]
    align: Annotated[str, choice("none", "translation", "affine")]
    match_exposure: Annotated[bool | str, _match]
    slab: Annotated[tuple[int, int] | None, optional(_slab)]
    reference: Annotated[int | None, optional(integer(0))]
    outliers: Annotated[str, choice("drop", "raise", "keep")]
    n_jobs: Annotated[int | None, JOBS]
