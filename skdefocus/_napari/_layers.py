"""Layers of maps and fused stacks, computed from the data of layers; knows nothing of napari."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import starmap
from typing import Any

import numpy as np

from skdefocus._typing import AnyArray, Float32Array
from skdefocus.fusion import FocusFuser
from skdefocus.pipeline import make_defocus_pipeline
from skdefocus.plotting import upper_end
from skdefocus.synthesis import from_linear

#: A layer as plugins give it to napari: data, parameters and kind.
LayerData = tuple[AnyArray, dict[str, Any], str]
#: Mark in the metadata of the layers that are made here.
MADE_BY = "skdefocus"


@dataclass(frozen=True)
class Source:
    """Data of an image layer, and where they lie.

    Attributes
    ----------
    data : array_like of shape (…, Y, X) or, if `rgb`, (…, Y, X, C)
        NumPy, Dask or Zarr; planes are computed or read when they are needed.
    rgb : bool
    name : str
    space : dict of str to ndarray or tuple
        ``scale``, ``translate`` and the like of the layer, with one value for each axis without
        color; ``rotate`` and ``affine`` are matrices.
    """

    data: Any
    rgb: bool
    name: str
    space: dict[str, Any]

    @property
    def stacked(self) -> tuple[int, ...]:
        """Lengths of the axes before the last two, over which planes are stacked."""
        return tuple(self.data.shape[: -3 if self.rgb else -2])

    def plane(self, index: tuple[int, ...]) -> AnyArray:
        """Return a plane as an array of its own type."""
        return np.asarray(self.data[index])

    def layer(self, data: AnyArray, name: str, **parameters: Any) -> LayerData:
        """Make a layer with the calibration of the source, of its last axes if it has more."""
        dropped = len(self.stacked) + 2 - data.ndim + parameters.get("rgb", False)
        space = {key: _of_last_axes(key, value, dropped) for key, value in self.space.items()}
        about = {"name": f"{name} of {self.name}", "metadata": {MADE_BY: name}}
        return data, about | space | parameters, "image"


def _of_last_axes(key: str, value: Any, dropped: int) -> Any:
    """Drop the first axes of a scale, a translation, a matrix and the like."""
    return value[dropped:, dropped:] if key in ("rotate", "affine") else value[dropped:]


def map_layers(
    source: Source, index: tuple[int, ...] | None, linear: bool, tick: Callable[[], None]
) -> list[LayerData]:
    """Map planes.

    Parameters
    ----------
    source : Source
    index : tuple of int or None
        Plane to map; None maps all and stacks the maps.
    linear : bool
        Whether intensities without color are proportional to the light. They are then encoded like
        those of photographs, which the network knows: else it takes blur for less.
    tick : callable
        Called after each plane.

    Returns
    -------
    list of one layer
        σ in pixels, float32 of shape (Y, X), or (…, Y, X) for all planes.
    """
    pipeline = make_defocus_pipeline()

    def sigma(position: tuple[int, ...]) -> Float32Array:
        """Map the plane at a position."""
        pixels = in_range(source.plane(position), source.rgb)
        if linear and not source.rgb:
            pixels = from_linear(pixels)
        made: Float32Array = pipeline.transform([pixels])[0]
        tick()
        return made

    if index is None:
        planes = [sigma(position) for position in np.ndindex(source.stacked)]
        values = np.stack(planes).reshape(*source.stacked, *planes[0].shape)
        name = "blur σ"
    else:
        values = sigma(index)
        name = "blur σ" + "".join(f"[{i}]" for i in index)
    limits = 0.0, upper_end(values)
    return [source.layer(values, name, colormap="inferno", contrast_limits=limits)]


def fused_layers(source: Source, align: str, tick: Callable[[], None]) -> list[LayerData]:
    """Fuse the planes of a stack.

    Parameters
    ----------
    source : Source
        Of shape (Z, Y, X) or, in color, (Z, Y, X, C).
    align : str
        See :class:`skdefocus.FocusFuser`.
    tick : callable
        Called after each reading of a plane, up to seven times for each.

    Returns
    -------
    list of two layers
        The index of the plane that each pixel comes from, and the fused image in the units and the
        type of the stack (without alpha).

    Raises
    ------
    ValueError
        If the layer is not a stack; see also :class:`skdefocus.FocusFuser`.
    """
    if len(source.stacked) != 1 or source.stacked[0] < 2:
        raise ValueError(
            f"{source.name!r} has shape {tuple(source.data.shape)}; a fusion needs the planes of "
            "one z-stack, (Z, Y, X), or in color (Z, Y, X, 3)"
        )
    count = source.stacked[0]
    limits = _range(source)

    def frame(k: int) -> AnyArray:
        """Read a plane."""
        pixels = in_range(source.plane((k,)), source.rgb, limits)
        tick()
        return pixels

    names = [f"plane {k} of {source.name!r}" for k in range(count)]
    frames = list(starmap(partial, ((frame, k) for k in range(count))))
    result = FocusFuser(align=align).fuse(frames, names=names)
    image = _in_units(result.image, source.data.dtype, source.rgb, limits)
    index = result.index.astype(np.uint16)
    style = {"colormap": "viridis", "contrast_limits": (0, count - 1), "visible": False}
    fused = {"rgb": True} if source.rgb else {"contrast_limits": _limits(image)}
    return [
        source.layer(index, "plane index", **style),
        source.layer(image, "all in focus", **fused),
    ]


def in_range(pixels: AnyArray, rgb: bool, limits: tuple[float, float] | None = None) -> AnyArray:
    """Scale a plane to values from 0 to 1, which the estimators take.

    Cameras of microscopes fill only a part of 16 bits, and floats may have any unit. Color is taken
    as it is, as in photographs.

    Parameters
    ----------
    pixels : ndarray of shape (Y, X) or (Y, X, C)
    rgb : bool
    limits : (float, float) or None
        Values that become 0 and 1; None means the smallest and the largest.
    """
    if rgb or pixels.dtype == np.bool_:
        return pixels
    low, high = limits or (float(pixels.min()), float(pixels.max()))
    shifted = pixels.astype(np.float64) - low
    return (shifted / (high - low if high > low else 1)).astype(np.float32)


def _range(source: Source) -> tuple[float, float]:
    """Return the smallest and the largest value of a stack, plane by plane."""
    if source.rgb or source.data.dtype == np.bool_:
        return 0.0, 1.0
    planes = (source.plane((k,)) for k in range(source.stacked[0]))
    ends = [(float(plane.min()), float(plane.max())) for plane in planes]
    return min(low for low, _ in ends), max(high for _, high in ends)


def _in_units(image: Float32Array, dtype: Any, rgb: bool, limits: tuple[float, float]) -> AnyArray:
    """Undo :func:`in_range`: values from 0 to 1 to the units and type of the stack."""
    kind = np.dtype(dtype)
    if kind == np.bool_:
        return image
    if rgb:
        limits = 0.0, 1.0 if kind.kind == "f" else float(np.iinfo(kind).max)
    low, high = limits
    values = image.astype(np.float64) * (high - low) + low
    return (values.round() if kind.kind in "iu" else values).astype(kind)


def _limits(image: AnyArray) -> tuple[float, float]:
    """Return limits of contrast, which must differ."""
    low, high = float(image.min()), float(image.max())
    return low, high if high > low else low + 1
