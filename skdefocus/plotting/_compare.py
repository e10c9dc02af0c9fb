"""A photograph and its map under a slider, as a page in HTML for notebooks."""

from __future__ import annotations

import base64
import html
import zlib

import numpy as np
from numpy.typing import ArrayLike

from skdefocus._images import check_map
from skdefocus._typing import AnyArray, Float32Array
from skdefocus._validation import check_int, check_real
from skdefocus.plotting._colors import as_jpeg_uri, colored, filled_page, gradient, thumbnail
from skdefocus.plotting._figures import check_photograph_of, upper_end

#: Largest width and height of the pictures, and of the values under the cursor, in pixels.
PICTURE_SIDE, VALUE_SIDE = 1280, 480
#: Height in CSS pixels of what is below the picture.
CONTROLS = 56
#: σ is stored as round(STEPS · log2(1 + 2 σ)) in 8 bits: up to 90 px, in steps of 2 to 3 %.
STEPS = 34.0
NO_VALUE = 255


class MapComparison:
    """Comparison of a photograph with its map, which notebooks show as a picture with a slider.

    The slider moves the border between the photograph and the map, and σ under the cursor is told
    in pixels. :func:`compare` makes it.

    Parameters
    ----------
    page : str
        A complete page in HTML that needs no other file. Written to one, any browser opens it.
    size : (int, int)
        Width in CSS pixels at which the page is shown, and the height that it then needs.

    See Also
    --------
    compare : Makes one from a photograph and its map.
    """

    def __init__(self, page: str, size: tuple[int, int]) -> None:
        self.page = page
        self.size = size

    def _repr_html_(self) -> str:
        """Return the page in a frame, so that its style and script do not mix with a notebook's."""
        width, height = self.size
        return (
            f'<iframe title="Photograph and defocus map" sandbox="allow-scripts" '
            f'srcdoc="{html.escape(self.page)}" '
            f'style="width:100%;max-width:{width}px;height:{height}px;border:0"></iframe>'
        )

    def __repr__(self) -> str:
        return f"MapComparison({self.size[0]} x {self.size[1]} pixels, {len(self.page)} characters)"


def compare(
    image: ArrayLike, sigma: ArrayLike, *, vmax: float | None = None, width: int = 720
) -> MapComparison:
    """Compare a photograph with its map under a slider, in a notebook or a browser.

    Parameters
    ----------
    image : array_like of shape (H, W) or (H, W, C)
        The photograph: bool, uint8, uint16 or float in [0, 1].
    sigma : array_like of shape (H, W)
        σ in pixels, ≥ 0; NaN is gray.
    vmax : float or None, default=None
        σ at the upper end of the colors in pixels, > 0. None chooses it as :func:`show_map` does.
    width : int, default=720
        Width in CSS pixels, from 160 to 4000; less where the notebook or window is narrower.

    Returns
    -------
    MapComparison
        A notebook shows it as the result of a cell. Elsewhere write its ``page`` to a file:
        ``pathlib.Path("flower.html").write_text(comparison.page, "utf-8")``.

    Raises
    ------
    ValueError, TypeError
        If `sigma` is not a map, `image` is not an image of the same size, or a number is out of
        range.

    Notes
    -----
    The page makes no requests. It holds both pictures with at most 1280 pixels per side, and σ
    for at most 480, in steps of about 2 %: some 300 kB for a photograph with much detail. The
    mouse, a finger and the arrow keys move the slider.

    Examples
    --------
    >>> import numpy as np
    >>> compare(np.zeros((60, 80)), np.ones((60, 80)), width=400)  # doctest: +ELLIPSIS
    MapComparison(400 x 356 pixels, ... characters)
    """
    values = check_map(sigma)
    photograph = check_photograph_of(image, values)
    top = upper_end(values) if vmax is None else check_real(vmax, "vmax", 0, above=True)
    width = check_int(width, "width", 160, 4000)
    rows, columns = values.shape
    small = thumbnail(values, PICTURE_SIDE)
    codes = _codes(thumbnail(values, VALUE_SIDE))
    fields = {
        "photograph": as_jpeg_uri(thumbnail(photograph, PICTURE_SIDE), 85),
        "map": as_jpeg_uri(colored(small, top), 85),
        "gradient": gradient(),
        "vmax": f"{top:g}",
        "columns": str(columns),
        "rows": str(rows),
        "value_columns": str(codes.shape[1]),
        "value_rows": str(codes.shape[0]),
        "steps": f"{STEPS:g}",
        "values": base64.b64encode(zlib.compress(codes.tobytes(), 9)).decode("ascii"),
    }
    page = filled_page("skdefocus.plotting", "compare.html", fields)
    return MapComparison(page, (width, round(width * rows / columns) + CONTROLS))


def _codes(sigma: Float32Array) -> AnyArray:
    """Encode σ in 8 bits; the largest code stands for NaN."""
    unknown = np.isnan(sigma)
    codes = (STEPS * np.log2(1 + 2 * np.where(unknown, 0, sigma))).round()
    return np.where(unknown, NO_VALUE, np.clip(codes, 0, NO_VALUE - 1)).astype(np.uint8)
