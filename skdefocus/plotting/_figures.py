"""Figures of maps with matplotlib (extra ``plot``), without the global state of pyplot."""

from __future__ import annotations

import math
import os
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from skdefocus._images import check_map, check_photograph, scaled, to_gray
from skdefocus._typing import AnyArray, Float32Array
from skdefocus._validation import check_real
from skdefocus.plotting._colors import colored

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Perceptually uniform, and suitable for color-blind readers; dark is in focus.
CMAP = "inferno"
DPI = 120
#: Opacity of a map over its photograph.
ALPHA = 0.55
#: Color below that of a map over a photograph, on average; color bars are drawn over it.
BELOW = "gray"
GRAY: dict[str, Any] = {"cmap": "gray", "vmax": 1}
#: Largest width and height of a panel in inches, in an overview and in a showcase.
PANEL, SMALL_PANEL = (5.3, 4.6), (3.6, 3.2)
#: Space around the panels in inches.
LEFT, RIGHT, TOP, BOTTOM, GAP, BAR, TICKS = 0.1, 0.05, 0.36, 0.1, 0.16, 0.13, 0.36


def new_figure(width: float, height: float) -> Figure:
    """Make a figure of a size in inches; without matplotlib, say how to install it."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            'figures need matplotlib, which is not installed: pip install "skdefocus[plot]"'
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
    """Draw a defocus map, alone or over its photograph.

    Parameters
    ----------
    sigma : array_like of shape (H, W)
        σ in pixels, ≥ 0; NaN is left empty.
    image : array_like of shape (H, W) or (H, W, C), or None
        The photograph, drawn in gray below the map.
    ax : matplotlib.axes.Axes or None, default=None
        Axes to draw into. None makes a new figure (``result.figure``) that pyplot does not know,
        with only as many pixels as it can show.
    vmax : float or None, default=None
        σ at the upper end of the colors in pixels, > 0. None means the 99.5th percentile, rounded
        up to half a pixel, but at least 1: maps of sharp photographs should not show mere noise.
    cmap : str or matplotlib.colors.Colormap, default="inferno"
        Colors of the map. With the default, dark is in focus.
    colorbar : bool, default=True
        Draw a color bar in pixels next to the map. Its end is pointed if some σ are larger.
    alpha : float or None, default=None
        Opacity of the map, from 0 to 1. None means 0.55 over a photograph and 1 otherwise.

    Returns
    -------
    matplotlib.axes.Axes
        In an interactive window, the status bar tells σ under the cursor.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError, TypeError
        If `sigma` is not a map, `image` is not an image of the same size, or a number is out of
        range.

    Examples
    --------
    >>> import numpy as np
    >>> ax = show_map(np.linspace(0, 4, 48).reshape(6, 8))
    >>> ax.images[0].get_clim()
    (0.0, 4.0)
    """
    values = check_map(sigma)
    photograph = None if image is None else check_photograph_of(image, values)
    if alpha is None:
        alpha = 1.0 if image is None else ALPHA
    alpha = check_real(alpha, "alpha", 0, 1)
    size, factor = values.shape, 1
    extent = (-0.5, size[1] - 0.5, size[0] - 0.5, -0.5)
    if ax is None:
        factor = _factor(size)
        values = shrink(values, factor)
        photograph = None if photograph is None else shrink(photograph, factor)
        width, height = _panel_size(size, PANEL)
        figure = new_figure(width + (0.78 if colorbar else 0.1), height + 0.1)
        figure.set_layout_engine("constrained")
        ax = figure.add_subplot()
    top = upper_end(values) if vmax is None else check_real(vmax, "vmax", 0, above=True)
    ax.set_axis_off()
    if photograph is not None:
        ax.imshow(to_gray(photograph), vmin=0, extent=extent, **GRAY)
    drawn = ax.imshow(values, cmap=cmap, vmin=0, vmax=top, alpha=alpha, extent=extent)
    if colorbar:
        bar = add_bar(ax.figure, drawn, values, top, ax=ax, pad=0.02)
        if photograph is not None:
            bar.ax.set_facecolor(BELOW)
    _tell_sigma(ax, partial(sigma_text, values=values, factor=factor, size=size))
    return ax


def add_bar(figure: Any, drawn: Any, sigma: Float32Array, top: float, **options: Any) -> Any:
    """Add the color bar of maps that end at `top`; its end is pointed if some σ are larger."""
    bar = figure.colorbar(drawn, extend=_extend(sigma, top), **options)
    bar.set_label("blur σ (pixels)")
    bar.outline.set_visible(False)
    return bar


def _tell_sigma(ax: Axes, text: partial[str]) -> None:
    """Let the status bar of a window tell σ; a partial, unlike a local function, is pickled."""
    ax.format_coord = text  # type: ignore[method-assign]
    for picture in ax.images:
        picture.mouseover = False  # else matplotlib adds the value of the topmost picture


def sigma_text(
    x: float, y: float, *, values: Float32Array, factor: int, size: tuple[int, ...]
) -> str:
    """Describe a point of a map: its column and row, and σ.

    Parameters
    ----------
    x, y : float
        In pixels of the map; the center of the first is (0, 0).
    values : ndarray of shape (h, w), float32
        The map, of which every `factor`-th row and column was kept.
    factor : int
    size : (int, int)
        Height and width of the map before.
    """
    column, row = math.floor(x + 0.5), math.floor(y + 0.5)
    if not (0 <= row < size[0] and 0 <= column < size[1]):
        return ""
    sigma = values[row // factor, column // factor]
    return f"x={column} y={row}  σ = {sigma:.2f} px"


def overview(image: ArrayLike, sigma: ArrayLike, confidence: ArrayLike | None = None) -> Figure:
    """Draw a photograph, its map over it in gray, and the confidence in one figure.

    Parameters
    ----------
    image : array_like of shape (H, W) or (H, W, C)
        The photograph.
    sigma : array_like of shape (H, W)
        The map, σ in pixels.
    confidence : array_like of shape (H, W) or (rows, columns), or None
        From 0 to 1, per pixel or per cell as in :attr:`skdefocus.LevelGrid.confidence`. None omits
        the third picture.

    Returns
    -------
    matplotlib.figure.Figure
        Save it with ``figure.savefig(path)``. Wide pictures are one below the other.

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
    >>> len(figure.axes)  # three pictures, two color bars
    5
    """
    values = check_map(sigma)
    panels = _panels(values, check_photograph_of(image, values), confidence)
    width, height = _panel_size(values.shape, PANEL)
    vertical = width > 1.9 * height
    return _arrange(panels, values, (width, height), 1 if vertical else len(panels))


def showcase(
    image: AnyArray, sigma: Float32Array, confidence: Float32Array, effect: AnyArray, title: str
) -> Figure:
    """Draw a photograph, its map, an effect and the confidence two by two, for small screens.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, C)
        The photograph.
    sigma : ndarray of shape (H, W)
        The map, σ in pixels.
    confidence : ndarray of shape (H, W) or (rows, columns)
        From 0 to 1.
    effect : ndarray of shape (H, W) or (H, W, C)
        What was made of the photograph by the map.
    title : str
        Title of the effect.

    Returns
    -------
    matplotlib.figure.Figure
    """
    photograph, blur, sure = _panels(sigma, image, confidence)
    made = photograph._replace(title=title, layers=_photograph_layers(effect, sigma.shape))
    size = _panel_size(sigma.shape, SMALL_PANEL)
    return _arrange([photograph, blur, made, sure], sigma, size, 2)


def write_colored(path: str | os.PathLike[str], sigma: Float32Array) -> None:
    """Write a map as a PNG in the colors of :func:`show_map`; the text ``sigma_max`` is their end.

    Parameters
    ----------
    path : str or path
        File to create.
    sigma : ndarray of shape (H, W), float32
        σ in pixels, finite and ≥ 0.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    top = upper_end(sigma)
    text = PngInfo()
    text.add_text("sigma_max", f"{top:g}")
    text.add_text(
        "Description", f"Blur: standard deviation sigma, from 0 to {top:g} pixels ({CMAP})"
    )
    Image.fromarray(colored(sigma, top)).save(path, format="PNG", pnginfo=text)


class _Panel(NamedTuple):
    """One picture of a figure.

    `layers` are drawn over each other, each with its style for matplotlib's ``imshow``. `bar` is
    the shape of the color bar's ends; it belongs to the last layer.
    """

    title: str
    layers: list[tuple[AnyArray, dict[str, Any]]]
    bar: str | None


def _panels(
    sigma: Float32Array, photograph: AnyArray, confidence: ArrayLike | None
) -> list[_Panel]:
    """List the pictures of an overview, with as many pixels as it can show."""
    factor = _factor(sigma.shape)
    small = shrink(sigma, factor)
    top = upper_end(small)
    seen = _photograph_layers(photograph, sigma.shape)
    # A brighter gray photograph keeps its detail visible below the dark end of the colors.
    below = (np.sqrt(to_gray(seen[0][0])), GRAY)
    color: dict[str, Any] = {"cmap": CMAP, "vmax": top, "alpha": ALPHA}
    panels = [
        _Panel("Photograph", seen, None),
        _Panel("Blur σ in pixels", [below, (small, color)], _extend(small, top)),
    ]
    if confidence is not None:
        cells = check_map(confidence, "confidence")
        style = GRAY | {"interpolation": "nearest"}
        panels.append(_Panel("Confidence (1 is sure)", [(cells, style)], "neither"))
    return panels


def _photograph_layers(
    photograph: AnyArray, shape: tuple[int, ...]
) -> list[tuple[AnyArray, dict[str, Any]]]:
    """Return a photograph with as many pixels as a panel can show, and its style."""
    return [(scaled(shrink(photograph, _factor(shape))), GRAY)]


def _arrange(
    panels: list[_Panel], sigma: Float32Array, size: tuple[float, float], columns: int
) -> Figure:
    """Draw panels of a size in inches in a grid of so many columns."""
    width, height = size
    bars = [0.0 if panel.bar is None else BAR + TICKS for panel in panels]
    space = [max(bars[column::columns]) for column in range(columns)]
    rows = math.ceil(len(panels) / columns)
    total = (
        LEFT + columns * width + sum(space) + GAP * (columns - 1) + RIGHT,
        rows * (TOP + height) + BOTTOM,
    )
    figure = new_figure(*total)
    for k, panel in enumerate(panels):
        row, column = divmod(k, columns)
        x = LEFT + column * (width + GAP) + sum(space[:column])
        y = total[1] - (row + 1) * (TOP + height)
        _draw_panel(figure, panel, (x, y, width, height), sigma)
    return figure


def _draw_panel(
    figure: Figure,
    panel: _Panel,
    position: tuple[float, float, float, float],
    sigma: Float32Array,
) -> None:
    """Draw a picture and its color bar; `position` is left, bottom, width, height in inches."""
    x, y, width, height = position
    ax = figure.add_axes(_box(x, y, width, height, figure))
    ax.set_axis_off()
    ax.set_title(panel.title, loc="left", fontsize=12, pad=5)
    for pixels, style in panel.layers:
        # With one extent for all, cells are drawn on their pixels whatever the size of the array.
        extent = _extent(pixels, sigma)
        drawn = ax.imshow(pixels, extent=extent, aspect="auto", vmin=0, **style)
    ax.set(xlim=(0, sigma.shape[1]), ylim=(sigma.shape[0], 0))
    if panel.bar is not None:
        bar = figure.add_axes(_box(x + width + 0.06, y, BAR, height, figure))
        scale = figure.colorbar(drawn, cax=bar, extend=panel.bar, extendfrac=0.03)
        scale.outline.set_visible(False)
        bar.set_facecolor(BELOW)
        bar.tick_params(labelsize=10, length=2, pad=2)


def _box(x: float, y: float, w: float, h: float, figure: Figure) -> Any:
    """Convert inches to fractions of the figure."""
    width, height = figure.get_size_inches()
    return x / width, y / height, w / width, h / height


def _panel_size(shape: tuple[int, ...], largest: tuple[float, float]) -> tuple[float, float]:
    """Return the width and height of a picture in inches; narrow strips are widened."""
    height, width = shape
    scale = min(largest[0] / width, largest[1] / height)
    return max(width * scale, 1.6), max(height * scale, 1.2)


def _extent(pixels: Any, sigma: Float32Array) -> tuple[float, float, float, float]:
    """Return left, right, bottom and top in pixels of the map; cells may extend beyond it."""
    rows, columns = pixels.shape[:2]
    height, width = sigma.shape
    step = max(math.ceil(height / rows), math.ceil(width / columns))
    return 0, max(width, columns * step), max(height, rows * step), 0


def _factor(shape: tuple[int, ...]) -> int:
    """Return the divisor that leaves at most two pixels of a picture per pixel of its panel."""
    return max(1, math.ceil(max(shape[0] / PANEL[1], shape[1] / PANEL[0]) / (2 * DPI)))


def shrink(pixels: AnyArray, factor: int) -> AnyArray:
    """Keep every n-th pixel: matplotlib would store the colors of all of them in float64."""
    return pixels if factor == 1 else pixels[::factor, ::factor]


def upper_end(sigma: Float32Array) -> float:
    """Return the σ at the end of the colors: nearly the largest, rounded up."""
    finite = sigma[np.isfinite(sigma)]
    high = float(np.percentile(finite, 99.5)) if finite.size else 0.0
    return max(1.0, math.ceil(2 * high - 1e-6) / 2)


def _extend(sigma: Float32Array, top: float) -> str:
    """Tell matplotlib if the color bar is pointed, because some σ are beyond its end."""
    return "max" if float(np.nanmax(sigma, initial=0)) > top * 1.001 else "neither"


def check_photograph_of(
    image: ArrayLike, sigma: Float32Array, name: str = "image", map_name: str = "sigma"
) -> AnyArray:
    """Check a photograph of the size of its map."""
    photograph = check_photograph(image, name)
    if photograph.shape[:2] != sigma.shape:
        raise ValueError(
            f"{name} must have the map's size, {map_name}'s {sigma.shape}, got "
            f"{photograph.shape[:2]}"
        )
    return photograph
