"""Pictures of maps, with matplotlib (extra ``plot``) and without pyplot's global state."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skdefocus._images import check_map, check_photograph, scaled, to_gray
from skdefocus._typing import Float32Array
from skdefocus._validation import check_real

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["overview", "show_map"]


#: Perceptually uniform and safe for colour-blind readers; dark is in focus.
CMAP = "inferno"
DPI = 120
#: Largest width and height of a panel of an overview, and the space around it, in inches.
PANEL = (5.3, 4.6)
LEFT, RIGHT, TOP, BOTTOM, GAP, BAR, TICKS = 0.1, 0.05, 0.36, 0.1, 0.16, 0.13, 0.36


def _figure(width: float, height: float) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            'pictures need matplotlib, which is not installed: pip install "skdefocus[plot]"'
        ) from error
    return Figure(figsize=(width, height), dpi=DPI)


def show_map(
    sigma: ArrayLike,
    image: ArrayLike | None = None,
    *,
    ax: Axes | None = None,
    vmax: float | None = None,
    cmap: Any = CMAP,
    colorbar: bool = True,
    alpha: float | None = None,
) -> Axes:
    """Draw a defocus map, by itself or over its photograph.

    Parameters
    ----------
    sigma : array_like of shape (H, W)
        σ in pixels, ≥ 0; NaN is left empty.
    image : array_like of shape (H, W) or (H, W, C), or None
        The photograph, drawn below in grey.
    ax : matplotlib.axes.Axes or None, default=None
        Where to draw; None makes a new figure (``result.figure``), which pyplot does not know, and
        draws no more pixels than it has room for.
    vmax : float or None, default=None
        σ at the upper end of the colours, in pixels, > 0. None takes the 99.5th percentile rounded
        up to half a pixel, at least 1, so that maps of sharp photographs do not show mere noise.
    cmap : str or matplotlib.colors.Colormap, default="inferno"
        Dark is in focus with the default.
    colorbar : bool, default=True
        Whether to draw a colour bar in pixels beside it. Its end is pointed where σ goes on.
    alpha : float or None, default=None
        Opacity of the map, from 0 to 1; None is 0.65 over a photograph and 1 without.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError, TypeError
        If `sigma` is no map, `image` is no image or of another size, or a number is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> ax = show_map(np.linspace(0, 4, 48).reshape(6, 8))
    >>> ax.images[0].get_clim()
    (0.0, 4.0)
    """
    values = check_map(sigma)
    photograph = None if image is None else _check_photograph(image, values)
    if alpha is None:
        alpha = 1.0 if image is None else 0.65
    alpha = check_real(alpha, "alpha", 0, 1)
    height, width = values.shape
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    if ax is None:
        factor = _factor(values.shape)
        values = _shrink(values, factor)
        photograph = None if photograph is None else _shrink(photograph, factor)
        width, height = _panel((height, width))
        figure = _figure(width + (0.78 if colorbar else 0.1), height + 0.1)
        figure.set_layout_engine("constrained")
        ax = figure.add_subplot()
    top = _upper_end(values) if vmax is None else check_real(vmax, "vmax", 0, above=True)
    ax.set_axis_off()
    if photograph is not None:
        ax.imshow(to_gray(photograph), cmap="gray", vmin=0, vmax=1, extent=extent)
    drawn = ax.imshow(values, cmap=cmap, vmin=0, vmax=top, alpha=alpha, extent=extent)
    if colorbar:
        bar = ax.figure.colorbar(drawn, ax=ax, extend=_extend(values, top), pad=0.02)
        bar.set_label("blur σ (pixels)")
        bar.outline.set_visible(False)
    return ax


def overview(image: ArrayLike, sigma: ArrayLike, confidence: ArrayLike | None = None) -> Figure:
    """Photograph, map and confidence beside each other.

    Parameters
    ----------
    image : array_like of shape (H, W) or (H, W, C)
        The photograph.
    sigma : array_like of shape (H, W)
        Its map, σ in pixels.
    confidence : array_like of shape (H, W) or (rows, columns), or None
        From 0 to 1, per pixel or per cell as in :attr:`skdefocus.LevelGrid.confidence`; None leaves
        the third picture out.

    Returns
    -------
    matplotlib.figure.Figure
        To be saved with ``figure.savefig(path)``. Wide pictures are below each other.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError, TypeError
        See :func:`show_map`.

    Examples
    --------
    >>> import numpy as np
    >>> figure = overview(np.zeros((60, 80)), np.ones((60, 80)), np.zeros((8, 10)))
    >>> len(figure.axes)  # three pictures, two colour bars
    5
    """
    values = check_map(sigma)
    photograph = _check_photograph(image, values)
    height, width = values.shape
    shrink = _factor(values.shape)
    small = _shrink(values, shrink)
    top = _upper_end(small)
    panels: list[tuple[str, Float32Array, dict[str, Any], str | None]] = [
        ("Photograph", scaled(_shrink(photograph, shrink)), {"cmap": "gray", "vmax": 1}, None),
        (
            "Blur σ (pixels, 0 is in focus)",
            small,
            {"cmap": CMAP, "vmax": top},
            _extend(small, top),
        ),
    ]
    if confidence is not None:
        cells = check_map(confidence, "confidence")
        look: dict[str, Any] = {"cmap": "gray", "vmax": 1, "interpolation": "nearest"}
        panels.append(("Confidence (0 cannot tell, 1 sure)", cells, look, "neither"))

    w, h = _panel(values.shape)
    stacked = w > 1.9 * h
    bars = [0.0 if bar is None else BAR + TICKS for *_, bar in panels]
    if stacked:
        size = (LEFT + w + max(bars) + RIGHT, len(panels) * (TOP + h) + BOTTOM)
    else:
        space = GAP * (len(panels) - 1)
        size = (LEFT + len(panels) * w + sum(bars) + space + RIGHT, TOP + h + BOTTOM)
    figure = _figure(*size)
    x, y = LEFT, size[1] - TOP - h
    for (name, pixels, look, bar), room in zip(panels, bars, strict=True):
        ax = figure.add_axes(_box(x, y, w, h, size))
        ax.set_axis_off()
        ax.set_title(name, loc="left", fontsize=11, pad=5)
        # One extent for all, so that cells lie on their pixels whatever the size of the array.
        drawn = ax.imshow(pixels, extent=_extent(pixels, values), aspect="auto", vmin=0, **look)
        ax.set(xlim=(0, width), ylim=(height, 0))
        if bar is not None:
            where = figure.add_axes(_box(x + w + 0.06, y, BAR, h, size))
            scale = figure.colorbar(drawn, cax=where, extend=bar, extendfrac=0.03)
            scale.outline.set_visible(False)
            where.tick_params(labelsize=9, length=2, pad=2)
        if stacked:
            y -= TOP + h
        else:
            x += w + room + GAP
    return figure


def write_colored(path: str | os.PathLike[str], sigma: Float32Array) -> None:
    """Write a map as PNG in the colors of :func:`show_map`; its text ``sigma_max`` is their end.

    Parameters
    ----------
    path : str or path
        A file that is not there yet.
    sigma : ndarray of shape (H, W), float32
        σ in pixels, finite and ≥ 0.
    """
    from matplotlib import colormaps
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    top = _upper_end(sigma)
    table = (colormaps[CMAP](np.arange(256))[:, :3] * 255).round().astype(np.uint8)
    text = PngInfo()
    text.add_text("sigma_max", f"{top:g}")
    text.add_text(
        "Description", f"Blur: standard deviation sigma, from 0 to {top:g} pixels ({CMAP})"
    )
    level = np.clip(sigma * np.float32(255 / top), 0, 255).round().astype(np.uint8)
    Image.fromarray(table[level]).save(path, format="PNG", pnginfo=text)


def _box(x: float, y: float, w: float, h: float, size: tuple[float, float]) -> Any:
    return x / size[0], y / size[1], w / size[0], h / size[1]


def _panel(shape: tuple[int, ...]) -> tuple[float, float]:
    """Width and height of a picture in inches; a strip is widened so that one can see it."""
    height, width = shape
    scale = min(PANEL[0] / width, PANEL[1] / height)
    return max(width * scale, 1.6), max(height * scale, 1.2)


def _extent(pixels: Any, sigma: Float32Array) -> tuple[float, float, float, float]:
    """Left, right, bottom and top in pixels of the map; cells may reach over its border."""
    rows, columns = pixels.shape[:2]
    height, width = sigma.shape
    step = max(math.ceil(height / rows), math.ceil(width / columns))
    return 0, max(width, columns * step), max(height, rows * step), 0


def _factor(shape: tuple[int, ...]) -> int:
    """By how much a picture shrinks to at most two pixels for each of its panel's."""
    return max(1, math.ceil(max(shape[0] / PANEL[1], shape[1] / PANEL[0]) / (2 * DPI)))


def _shrink(pixels: NDArray[Any], factor: int) -> NDArray[Any]:
    """Every n-th pixel: matplotlib would otherwise hold the colours of all of them in float64."""
    return pixels if factor == 1 else pixels[::factor, ::factor]


def _upper_end(sigma: Float32Array) -> float:
    finite = sigma[np.isfinite(sigma)]
    high = float(np.percentile(finite, 99.5)) if finite.size else 0.0
    return max(1.0, math.ceil(2 * high - 1e-6) / 2)


def _extend(sigma: Float32Array, top: float) -> str:
    return "max" if float(np.nanmax(sigma, initial=0)) > top * 1.001 else "neither"


def _check_photograph(image: ArrayLike, sigma: Float32Array) -> NDArray[Any]:
    photograph = check_photograph(image)
    if photograph.shape[:2] != sigma.shape:
        raise ValueError(
            f"image must have the map's size, sigma's {sigma.shape}, got {photograph.shape[:2]}"
        )
    return photograph
