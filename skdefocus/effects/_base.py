"""What the effects that follow a defocus map have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import ArrayLike, NDArray

from skdefocus._estimators import ImageTransformer, each, restack
from skdefocus._images import check_images, check_photograph, check_sigma_map
from skdefocus._typing import Float32Array
from skdefocus.pipeline import MAP, map_of, mapper_of


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
