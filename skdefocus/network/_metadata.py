"""The facts of a blur-level network, from the metadata of its model file."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

FORMAT = "skdefocus-blur-levels-2"
#: Limits of a sensible blur-level network; larger numbers are mistakes or bad intent.
MAX_SIDE = 1024
MAX_LEVELS = 1000


@dataclass(frozen=True)
class ModelFacts:
    """Facts of a network, from its model file's metadata.

    Attributes
    ----------
    path : str
    digest : str
        SHA-256 of the file.
    sigmas : tuple of float
        σ of the levels in pixels, ascending.
    prior : tuple of float
        How common the levels were in training, summing to 1; uniform if the file does not say.
    patch_size, stride, multiple, reach : int
        In pixels: side of a patch, side of the cells that have one answer each, what height and
        width of an image must be multiples of, and how far beyond its cell an answer can depend
        on the image.
    metadata : dict
        All entries, as written at export.
    has_patch_network : bool
        Whether the file has a second network, for patches by themselves.
    """

    path: str
    digest: str
    sigmas: tuple[float, ...]
    prior: tuple[float, ...]
    patch_size: int
    stride: int
    multiple: int
    reach: int
    metadata: dict[str, str]
    has_patch_network: bool = False


def read_facts(path: str, digest: str, metadata: dict[str, str]) -> ModelFacts:
    """Read the facts from a model file's metadata; ValueError if they are wrong."""
    if metadata.get("format") != FORMAT:
        raise ValueError(f"metadata 'format' is {metadata.get('format')!r}, expected {FORMAT!r}")
    sigmas = _sigmas(metadata)
    prior = _prior(metadata, len(sigmas))
    patch_size = _integer(metadata, "patch_size", 1, MAX_SIDE)
    stride = _integer(metadata, "stride", 1, patch_size)
    multiple = _integer(metadata, "multiple", stride, MAX_SIDE)
    if patch_size % stride or multiple % stride:
        raise ValueError(
            f"metadata 'patch_size' and 'multiple' must be multiples of the stride {stride}, "
            f"got {patch_size} and {multiple}"
        )
    reach = _integer(metadata, "reach", 0, MAX_SIDE)
    return ModelFacts(path, digest, sigmas, prior, patch_size, stride, multiple, reach, metadata)


def _numbers(metadata: dict[str, str], key: str) -> list[float]:
    """Read a list of numbers from the metadata."""
    text = metadata.get(key, "")
    try:
        values = json.loads(text, parse_int=float)  # no integers too large for a float
    except (ValueError, RecursionError):
        values = None
    if not (isinstance(values, list) and all(type(value) is float for value in values)):
        raise ValueError(f"metadata {key!r} must be a list of numbers, got {text[:80]!r}")
    return values


def _sigmas(metadata: dict[str, str]) -> tuple[float, ...]:
    """Read the σ of the levels from the metadata."""
    values = _numbers(metadata, "sigmas")
    if not (
        2 <= len(values) <= MAX_LEVELS
        and values[0] >= 0
        and np.all(np.diff(values) > 0)
        and values[-1] <= MAX_SIDE
    ):
        raise ValueError(
            f"metadata 'sigmas' must hold 2 to {MAX_LEVELS} numbers that ascend from 0 or more "
            f"to at most {MAX_SIDE}, got {metadata['sigmas'][:80]!r}"
        )
    return tuple(values)


def _prior(metadata: dict[str, str], levels: int) -> tuple[float, ...]:
    """Read how common the levels were in training, or return a uniform distribution."""
    if "prior" not in metadata:
        return (1 / levels,) * levels
    values = _numbers(metadata, "prior")
    total = sum(values)
    if len(values) != levels or not min(values) > 0 or not abs(total - 1) < 1e-3:
        raise ValueError(
            f"metadata 'prior' must hold {levels} positive numbers that sum to 1, "
            f"got {metadata['prior'][:80]!r}"
        )
    return tuple(value / total for value in values)


def _integer(metadata: dict[str, str], key: str, low: int, high: int) -> int:
    """Read an integer in a range from the metadata."""
    text = metadata.get(key, "")
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise ValueError(
            f"metadata {key!r} must be a whole number from {low} to {high}, got {text[:80]!r}"
        )
    return value
