"""Scenes of several layers, photographed by a lens with a finite depth of field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skdefocus._images import check_sigma_map
from skdefocus._typing import Float32Array, FloatArray, IndexArray, PSFShape
from skdefocus._validation import MAX_SIGMA, as_array, check_sequence, check_sigma
from skdefocus.synthesis._blur import blur, blur_varying
from skdefocus.synthesis._srgb import from_linear, to_linear
from skdefocus.synthesis._values import as_float, unit


@dataclass(frozen=True)
class Layer:
    """One surface of a scene: its picture, its outline and its blur.

    Attributes
    ----------
    image : ndarray of shape (H, W) or (H, W, C), float in [0, 1]
        The sharp picture on the surface.
    sigma : float or ndarray of shape (H, W)
        σ of the defocus in pixels.
    alpha : ndarray of shape (H, W), float in [0, 1], or None
        Coverage before blurring; None covers everything (a background).

    See Also
    --------
    render_layers : checks layers and makes a photograph of them.
    """

    image: FloatArray
    sigma: float | FloatArray
    alpha: FloatArray | None = None


@dataclass(frozen=True)
class Scene:
    """A synthetic photograph and the truth about it.

    Attributes
    ----------
    photograph : ndarray of shape (H, W) or (H, W, C), float
        The picture that the camera takes.
    sigma : ndarray of shape (H, W), float32
        True σ, in pixels, of the surface at each pixel.
    sharp : ndarray, shape of `photograph`
        The all-in-focus picture.
    index : ndarray of shape (H, W), intp
        Number of the layer at each pixel (0 is the rearmost). It changes at depth edges.
    """

    photograph: FloatArray
    sigma: Float32Array
    sharp: FloatArray
    index: IndexArray


def render_layers(
    layers: Sequence[Layer], *, shape: PSFShape = "gaussian", linear_light: bool = True
) -> Scene:
    """Photograph a stack of surfaces with a lens that has a finite depth of field.

    From back to front, the light and the coverage of each layer are blurred by its own PSF and
    composited over the layers behind: a blurred foreground spills over a sharp background, but not
    the other way around.

    Parameters
    ----------
    layers : sequence of Layer
        Rearmost first, which must cover everything (``alpha=None``).
    shape : {"gaussian", "disc"}
        The PSF, see :func:`psf`.
    linear_light : bool
        Blur and mix linear light, as a lens does. False uses the values as they are.

    Returns
    -------
    Scene
        The photograph is float32 if all images and alphas are, and float64 otherwise.

    Raises
    ------
    TypeError
        If `layers` holds anything but layers, or a layer anything but numbers.
    ValueError
        If there are no layers, their shapes differ, the first one has an alpha or another one has
        none, a σ is negative or not finite, or values are not in [0, 1].

    Notes
    -----
    A real lens sees a little of the background behind the edge of a blurred object. Here that
    part is known: the background layer has a full picture.

    Examples
    --------
    >>> import numpy as np
    >>> wall, card = np.zeros((8, 8)), np.ones((8, 8))
    >>> left = np.tile(np.arange(8) < 4, (8, 1)).astype(float)
    >>> scene = render_layers([Layer(wall, 0), Layer(card, 1.0, left)])
    >>> scene.photograph[0].round(2)  # the blurred card spills over the wall
    array([1.  , 1.  , 0.97, 0.85, 0.58, 0.27, 0.06, 0.  ])
    >>> scene.sigma[0]
    array([1., 1., 1., 1., 0., 0., 0., 0.], dtype=float32)
    """
    if len(check_sequence(layers, "layers")) == 0:
        raise ValueError("layers must hold at least one Layer")
    checked = [_check_layer(layer, f"layers[{i}]", i == 0) for i, layer in enumerate(layers)]
    shapes = {layer.image.shape for layer in checked}
    if len(shapes) > 1:
        raise ValueError(f"layers must have images of one shape, got {sorted(shapes)}")
    arrays = [a for layer in checked for a in (layer.image, layer.alpha) if a is not None]
    dtype = np.result_type(*arrays)

    def blurred(x: FloatArray, sigma: float | FloatArray) -> FloatArray:
        if isinstance(sigma, float):
            return blur(x, sigma, shape=shape)
        return blur_varying(x, sigma, shape=shape)

    decode: Callable[[ArrayLike], FloatArray] = to_linear if linear_light else as_float
    encode: Callable[[ArrayLike], FloatArray] = from_linear if linear_light else as_float
    back, *others = checked
    sharp = decode(back.image.astype(dtype))
    seen = blurred(sharp, back.sigma)
    size = sharp.shape[:2]
    sigma = np.broadcast_to(back.sigma, size)
    index = np.zeros(size, np.intp)
    for i, layer in enumerate(others, start=1):
        alpha = np.asarray(layer.alpha, dtype)
        cover = alpha.reshape(size + (1,) * (sharp.ndim - 2))
        light = decode(layer.image.astype(dtype)) * cover
        veil = blurred(alpha, layer.sigma).reshape(cover.shape)
        seen = blurred(light, layer.sigma) + (1 - veil) * seen
        sharp = light + (1 - cover) * sharp
        on_top = alpha > 0.5
        sigma = np.where(on_top, layer.sigma, sigma)
        index[on_top] = i
    seen, sharp = encode(np.clip(seen, 0, 1)), encode(np.clip(sharp, 0, 1))
    return Scene(seen, sigma.astype(np.float32), sharp, index)


def _check_layer(layer: Any, name: str, rearmost: bool) -> Layer:
    """Check one layer and return it with floating-point arrays."""
    if not isinstance(layer, Layer):
        raise TypeError(f"{name} must be a Layer, got {type(layer).__name__}")
    if rearmost != (layer.alpha is None):
        what = "is the background and must have" if rearmost else "covers others and must not have"
        raise ValueError(f"{name} {what} alpha=None")
    image, sigma, alpha = unit(layer.image, f"{name}.image"), layer.sigma, layer.alpha
    size = image.shape[:2]
    if image.ndim not in (2, 3) or image.size == 0:
        raise ValueError(f"{name}.image must have shape (H, W) or (H, W, C), got {image.shape}")
    if alpha is not None and (alpha := unit(alpha, f"{name}.alpha")).shape != size:
        raise ValueError(f"{name}.alpha must have the image's shape {size}, got {alpha.shape}")
    sigma_name = f"{name}.sigma"
    if as_array(sigma, sigma_name).ndim == 0:
        return Layer(image, check_sigma(sigma, sigma_name), alpha)
    sigma = check_sigma_map(sigma, sigma_name, size, limit=MAX_SIGMA, dtype=np.float64)
    return Layer(image, sigma, alpha)
