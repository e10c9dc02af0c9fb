"""Base of the effects: checks of photographs and maps, dtypes, and the estimators' base class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skdefocus._estimators import ImageTransformer, map_samples, restack
from skdefocus._images import check_images, check_photograph, check_sigma_map, scaled
from skdefocus._typing import AnyArray, Float32Array
from skdefocus.pipeline import MAP, check_mapper, defocus_map, map_of, mapper_of

#: Function that makes a photograph from a checked photograph and its checked map.
Effect = Callable[[AnyArray, Float32Array], AnyArray]


def mapper(value: Any, name: str) -> Any:
    """Check for an estimator that makes maps, or None."""
    check_mapper(value)
    return value


class MapEffect(ImageTransformer):
    """Base of the transformers from photographs to photographs that follow σ maps."""

    estimator: Any
    n_jobs: int | None

    def _effect(self) -> Effect:
        """Return the function that is applied to each photograph and its map."""
        raise NotImplementedError

    def transform(self, X: Any) -> Any:
        """Map the photographs and apply the effect.

        Parameters
        ----------
        X : ndarray of shape (n, H, W) or (n, H, W, C), or list of images of different sizes
            Gray, RGB or RGBA (alpha is dropped); bool, uint8, uint16 or float in [0, 1].

        Returns
        -------
        list of ndarray of shape (H, W) or (H, W, 3)
            With the photographs' dtypes, integers rounded, and float32 for bool; one array if `X`
            is an array.

        Raises
        ------
        TypeError, ValueError
            If `X` is not a batch of images or a parameter is wrong; the message names it.
        """
        self._check_params()
        samples, stacked = check_images(X)
        images = [check_effect_image(x, f"X[{i}]") for i, x in enumerate(samples)]
        mapper = mapper_of(self.estimator, self.n_jobs)
        results = map_samples(self.n_jobs, _map_and_apply, images, mapper, self._effect())
        return restack(results, stacked)


def _map_and_apply(image: AnyArray, mapper: Any, effect: Effect) -> AnyArray:
    """Map a checked photograph and apply an effect to it."""
    return effect(image, check_sigma_map(map_of(image, mapper), MAP, image.shape[:2]))


def check_effect_image(image: Any, name: str = "image") -> AnyArray:
    """Check a photograph and keep its dtype, except that bool becomes float32 to hold shades."""
    pixels = check_photograph(image, name)
    return scaled(pixels) if pixels.dtype == np.bool_ else pixels


def check_image_and_map(image: Any, sigma: ArrayLike | None) -> tuple[AnyArray, Float32Array]:
    """Check a photograph and its map, which is estimated if `sigma` is None."""
    pixels = check_effect_image(image)
    if sigma is None:
        return pixels, defocus_map(pixels)
    return pixels, check_sigma_map(sigma, size=pixels.shape[:2])


def to_dtype(values: Float32Array, dtype: np.dtype[Any]) -> AnyArray:
    """Clip values to [0, 1] and convert them to a photograph's dtype, integers by rounding."""
    values = np.clip(values, 0, 1)
    if np.issubdtype(dtype, np.unsignedinteger):
        return np.rint(values * np.float32(np.iinfo(dtype).max)).astype(dtype)
    return values.astype(dtype, copy=False)
