"""A contact sheet: many photographs and their maps in one figure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from skdefocus._images import check_map, scaled
from skdefocus._typing import AnyArray, Float32Array
from skdefocus._validation import check_int, check_numbers, check_real, check_sequence
from skdefocus.plotting._colors import thumbnail
from skdefocus.plotting._figures import (
    CMAP,
    GRAY,
    add_bar,
    check_photograph_of,
    new_figure,
    upper_end,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Largest width and height of a picture, in pixels of the data.
SIDE = 360
#: Width and height in inches of a picture, of the title above it, and of the color bar.
CELL, TITLE, BAR = (1.7, 1.3), 0.4, 0.8
#: Pairs of pictures in a row, at most, if that is not given.
COLUMNS = 3


def contact_sheet(
    images: Iterable[ArrayLike],
    maps: Iterable[ArrayLike],
    *,
    names: Sequence[str] | None = None,
    scores: ArrayLike | None = None,
    columns: int | None = None,
    vmax: float | None = None,
    cmap: Any = CMAP,
    figure: Figure | None = None,
) -> Figure:
    """Draw photographs and their maps in one figure, with one scale of colors for all.

    Parameters
    ----------
    images : iterable of n array_like of shape (H, W) or (H, W, C)
        The photographs, of any sizes. They are taken one at a time and only thumbnails are kept,
        so that a generator can read those of a folder.
    maps : iterable of n array_like of shape (H, W)
        Their maps, σ in pixels, ≥ 0; NaN is left empty.
    names : sequence of n str, or None
        Titles, such as the names of the files; shortened to the width of the pictures.
    scores : array_like of shape (n,), or None
        Numbers to print after the names, such as those of :func:`skdefocus.metrics.blur_score`.
    columns : int or None, default=None
        Photographs in a row, ≥ 1, each next to its map. None means at most three.
    vmax : float or None, default=None
        σ at the upper end of the colors in pixels, > 0. None means the 99.5th percentile over all
        maps, rounded up to half a pixel, but at least 1.
    cmap : str or matplotlib.colors.Colormap, default="inferno"
        Colors of the maps. With the default, dark is in focus.
    figure : matplotlib.figure.Figure or None, default=None
        Empty figure to draw into, such as one of pyplot. None makes one of fitting size that pyplot
        does not know.

    Returns
    -------
    matplotlib.figure.Figure
        Save it with ``figure.savefig(path)``. Each photograph has two axes, and the last axes are
        the color bar's.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError, TypeError
        If a photograph and its map do not fit, there are none, `names` or `scores` are not as many,
        or a number is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> photographs = [np.zeros((60, 80)), np.zeros((80, 60))]
    >>> figure = contact_sheet(photographs, [np.ones_like(p) for p in photographs])
    >>> len(figure.axes)
    5
    """
    pairs = list(_pairs(images, maps))
    if not pairs:
        raise ValueError("images is empty; at least one photograph is needed")
    titles = _titles(len(pairs), names, scores)
    wanted = COLUMNS if columns is None else check_int(columns, "columns", 1)
    count = min(wanted, len(pairs))
    every = np.concatenate([sigma.ravel() for _, sigma in pairs])
    top = upper_end(every) if vmax is None else check_real(vmax, "vmax", 0, above=True)
    rows = math.ceil(len(pairs) / count)
    if figure is None:
        figure = new_figure(2 * count * CELL[0] + BAR, rows * (CELL[1] + TITLE))
    figure.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    axes = figure.subplots(rows, 2 * count, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
        ax.set_anchor("NW")  # titles of a row are at one height
    for k, ((picture, sigma), title) in enumerate(zip(pairs, titles, strict=True)):
        left, right = axes[k // count, 2 * (k % count) : 2 * (k % count) + 2]
        left.imshow(picture, vmin=0, **GRAY)
        left.set_title(title, fontsize=8, loc="left")
        drawn = right.imshow(sigma, cmap=cmap, vmin=0, vmax=top)
    for ax in list(axes.flat)[2 * len(pairs) :]:
        ax.remove()
    add_bar(figure, drawn, every, top, ax=figure.axes, pad=0.01, aspect=30)
    return figure


def _pairs(
    images: Iterable[ArrayLike], maps: Iterable[ArrayLike]
) -> Iterator[tuple[AnyArray, Float32Array]]:
    """Check photographs and maps and shrink them, one pair at a time."""
    end: Any = object()
    both = zip_longest(_iterator(images, "images"), _iterator(maps, "maps"), fillvalue=end)
    for number, (image, sigma) in enumerate(both):
        if image is end or sigma is end:
            more, fewer = ("maps", "images") if image is end else ("images", "maps")
            raise ValueError(f"{more} has more than the {number} of {fewer}; give one map each")
        yield _thumbnails(image, sigma, number)


def _iterator(values: Iterable[ArrayLike], name: str) -> Iterator[Any]:
    """Iterate over values that belong to a parameter of that name."""
    try:
        return iter(values)
    except TypeError:
        raise TypeError(
            f"{name} must be a list, an array or another iterable of arrays, "
            f"got {type(values).__name__}"
        ) from None


def _thumbnails(image: ArrayLike, sigma: ArrayLike, number: int) -> tuple[AnyArray, Float32Array]:
    """Check a photograph and its map and shrink both."""
    values = check_map(sigma, f"maps[{number}]")
    photograph = check_photograph_of(image, values, f"images[{number}]", f"maps[{number}]")
    return scaled(thumbnail(photograph, SIDE)), thumbnail(values, SIDE)


def _titles(count: int, names: Sequence[str] | None, scores: ArrayLike | None) -> list[str]:
    """Combine names and scores to the titles of the photographs."""
    titles = [""] * count if names is None else [str(n) for n in check_sequence(names, "names")]
    numbers = None if scores is None else check_numbers(scores, "scores")
    for name, values in (("names", titles), ("scores", numbers)):
        if values is not None and np.shape(values) != (count,):
            raise ValueError(f"{name} must hold {count} values, one a photograph")
    titles = [name if len(name) <= 28 else f"{name[:13]}…{name[-13:]}" for name in titles]
    if numbers is None:
        return titles
    return [f"{t}  {x:.3f}".strip() for t, x in zip(titles, numbers, strict=True)]
