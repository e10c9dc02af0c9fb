"""What the effects that follow a defocus map have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from skdefocus._estimators import ImageTransformer, each, restack
from skdefocus._images import check_images, check_photograph, check_sigma_map
from skdefocus._typing import Float32Array
from skdefocus._validation import check_sequence
from skdefocus.pipeline import pipeline_of_worker

#: How messages call what an effect's `estimator` makes.
MAP = "estimator's map"


class MapEffect(ImageTransformer):
    """Base of transformers from photographs to photographs that follow their σ maps."""

    estimator: Any
    n_jobs: int | None

    def _effect(self) -> Callable[[Any, ArrayLike], Float32Array]:
        """What is done with a photograph and its map."""
        raise NotImplementedError

    def transform(self, X: Any) -> Any:
        """Map the photographs and apply the effect.

        Parameters
        ----------
        X : ndarray of shape (n, H, W) or (n, H, W, C), or list of images of different sizes
            Grey, RGB or RGBA (alpha is dropped); bool, uint8, uint16 (scaled by their range) or
            float in [0, 1].

        Returns
        -------
        list of ndarray of shape (H, W) or (H, W, 3), float32 in [0, 1]
            One array if `X` is an array.

        Raises
        ------
        TypeError, ValueError
            If `X` is no batch of images or a parameter is wrong; the message names it.
        """
        self._check_params()
        samples, stacked = check_images(X)
        images = [check_photograph(x, f"X[{i}]") for i, x in enumerate(samples)]
        mapper = mapper_of(self.estimator, self.n_jobs)
        return restack(each(self.n_jobs, _apply, images, mapper, self._effect()), stacked)


def _apply(
    image: NDArray[Any], mapper: Any, effect: Callable[[Any, ArrayLike], Float32Array]
) -> Float32Array:
    return effect(image, check_sigma_map(map_of(image, mapper), MAP, image.shape[:2]))


def check_mapper(estimator: Any) -> None:
    """Check that a parameter `estimator` can make maps."""
    usable = hasattr(estimator, "transform") and not isinstance(estimator, type)
    if estimator is not None and not usable:
        raise TypeError(
            "estimator must be a transformer from photographs to maps, such as "
            f"make_defocus_pipeline(), or None, got {estimator!r}"
        )


def mapper_of(estimator: Any, n_jobs: int | None) -> Any:
    """What makes the maps in each of `n_jobs` workers: the estimator, or the pipeline for None."""
    return pipeline_of_worker(n_jobs) if estimator is None else estimator


def map_of(image: NDArray[Any], mapper: Any) -> Any:
    """What a mapper makes of one photograph."""
    maps = check_sequence(mapper.transform([image]), "what estimator makes")
    if len(maps) != 1:
        raise ValueError(f"estimator must make one map per photograph, got {len(maps)} of one")
    return maps[0]


def between(values: Float32Array, knots: NDArray[np.float64], k: int) -> Float32Array:
    """Share of knot `k` in the linear interpolation of `values` between ascending knots."""
    return np.interp(values, knots, np.eye(len(knots))[k]).astype(np.float32)


class Mirrored:
    """Planes (..., H, W) that go on mirrored, to be convolved with one kernel after another."""

    def __init__(self, planes: Float32Array, reach: int) -> None:
        height, width = planes.shape[-2:]
        self._cut = (..., slice(reach, reach + height), slice(reach, reach + width))
        self.shape = tuple(fft.next_fast_len(n + 2 * reach, real=True) for n in (height, width))
        ends = [(reach, m - n - reach) for n, m in zip((height, width), self.shape, strict=True)]
        padded = np.pad(planes, [(0, 0)] * (planes.ndim - 2) + ends, mode="symmetric")
        self._spectrum = fft.rfft2(padded)

    def times(self, transfer: NDArray[Any]) -> Float32Array:
        """Convolve by multiplying with a transfer function on the padded planes."""
        out = fft.irfft2(self._spectrum * transfer, s=self.shape)
        return np.asarray(out[self._cut], np.float32)

    def convolved(self, kernel: NDArray[Any]) -> Float32Array:
        """Convolve with a small centred kernel that is no larger than `reach` allows."""
        if kernel.size == 1:
            return self.times(kernel.ravel()[0])
        plane = np.zeros(self.shape, np.float32)
        plane[: kernel.shape[0], : kernel.shape[1]] = kernel
        middle = [-(n // 2) for n in kernel.shape]
        return self.times(fft.rfft2(np.roll(plane, middle, (0, 1))))
