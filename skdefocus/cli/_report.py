"""A page in HTML about the photographs of a batch, for choosing among them.

Workers write one row per photograph to files of their own. The main process copies them to the page
one after another, so that neither holds more than one row.
"""

from __future__ import annotations

import hashlib
import html
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

import numpy as np

from skdefocus._typing import AnyArray, Float32Array

if TYPE_CHECKING:
    from skdefocus.cli._batch import Result
    from skdefocus.pipeline import LevelGrid

#: Largest width and height of the pictures in pixels.
SIDE = 400
#: Height and width in pixels of the part that is shown as it is.
DETAIL = (184, 240)
#: Quality of the JPEG of thumbnails and maps, and of that part.
QUALITY, DETAIL_QUALITY = 75, 88
#: σ at the bright end of the colors, the same for all photographs, and those that the page names.
TOP = 16.0
TICKS = (0, 0.5, 1, 2, 4, 8, 16)
#: σ in pixels up to which a pixel counts as in focus.
IN_FOCUS = 1.0


@dataclass(frozen=True)
class Figures:
    """Numbers about the map of a photograph.

    Attributes
    ----------
    score : float or None
        Blur score, weighted with the confidence; None if the network is sure of nothing.
    focus : float
        Share of the photograph in focus, from 0 to 1.
    median : float
        Median of σ in pixels.
    sure : float
        Mean confidence, from 0 to 1.
    width, height : int
        Of the photograph in pixels.
    """

    score: float | None
    focus: float
    median: float
    sure: float
    width: int
    height: int

    @classmethod
    def of(cls, grid: LevelGrid, sigma: Float32Array) -> Figures:
        """Measure a map at the center of each cell of its grid."""
        from skdefocus.metrics import blur_score

        height, width = sigma.shape
        cells = in_cells(grid, sigma)
        confidence = grid.confidence
        known = bool(confidence.max() > 0)
        return cls(
            blur_score(cells, confidence=confidence) if known else None,
            float((cells <= IN_FOCUS).mean()),
            float(np.median(cells)),
            float(confidence.mean()),
            width,
            height,
        )


def in_cells(grid: LevelGrid, sigma: Float32Array) -> Float32Array:
    """Return σ at the center of each cell.

    A score of all pixels would sort them, which takes longer than a second for 12 MP.
    """
    rows, columns = (
        np.minimum(np.arange(0, n, grid.step) + grid.step // 2, n - 1) for n in sigma.shape
    )
    return sigma[np.ix_(rows, columns)]


def sharpest_part(grid: LevelGrid, sigma: Float32Array) -> AnyArray:
    """Cut out the part of a photograph that is sharpest and shows something, pixel by pixel.

    Of all windows of the size DETAIL it is the one with the largest mean of confidence / (σ² + ¼).
    """
    from scipy.ndimage import uniform_filter

    weight = grid.confidence / (in_cells(grid, sigma).astype(np.float64) ** 2 + 0.25)
    window = [max(1, side // grid.step) for side in DETAIL]
    mean = uniform_filter(weight, window, mode="constant")
    row, column = np.unravel_index(int(mean.argmax()), mean.shape)
    parts = []
    for cell, side, length in zip((row, column), DETAIL, sigma.shape, strict=True):
        start = int(np.clip(cell * grid.step - side // 2, 0, max(0, length - side)))
        parts.append(slice(start, start + side))
    return grid.image[tuple(parts)]


def row_file(folder: Path, photo: str) -> Path:
    """Return the file for the row of a photograph, in a folder for the rows of all."""
    name = hashlib.sha256(os.fsencode(os.path.abspath(photo))).hexdigest()
    return folder / f"{name}.html"


def row_of(photo: str, page: Path, grid: LevelGrid, sigma: Float32Array) -> str:
    """Make the row of a photograph: thumbnails, its name as a link, and figures."""
    from skdefocus.plotting import as_jpeg_uri, colored, logarithmic_share, thumbnail

    found = Figures.of(grid, sigma)
    name = html.escape(Path(photo).name)
    small = logarithmic_share(thumbnail(sigma, SIDE), TOP)
    detail = sharpest_part(grid, sigma)
    pictures = [
        as_jpeg_uri(thumbnail(grid.image, SIDE), QUALITY),
        as_jpeg_uri(colored(small, 1.0), QUALITY),
        as_jpeg_uri(detail, DETAIL_QUALITY),
    ]
    values = {
        "Blur score": "unknown" if found.score is None else f"{found.score:.3f}",
        "In focus": f"{100 * found.focus:.0f} %",
        "Median σ": f"{found.median:.2f} px",
        "Sure": f"{100 * found.sure:.0f} %",
        "Size": f"{found.width} × {found.height}",
    }
    told = f"{values['In focus']} in focus, median σ {values['Median σ']}"
    cells = "".join(
        f'<td role="cell"><span class="label">{label}</span>{text}</td>'
        for label, text in values.items()
    )
    size = f'width="{found.width}" height="{found.height}"'
    return (
        f'<tr role="row" data-name="{name}" '
        f'data-score="{"" if found.score is None else f"{found.score:.6f}"}" '
        f'data-focus="{found.focus:.6f}" data-median="{found.median:.4f}" '
        f'data-sure="{found.sure:.6f}" data-pixels="{found.width * found.height}">'
        '<td role="cell" class="picture">'
        '<button type="button" class="switch" aria-pressed="false">'
        f'<img {size} src="{pictures[0]}" alt="Photograph {name}">'
        f'<img class="map" src="{pictures[1]}" alt="Map of {name}: {told}"></button></td>'
        f'<td role="cell" class="detail"><img width="{detail.shape[1]}" height="{detail.shape[0]}" '
        f'src="{pictures[2]}" alt="Sharpest part of {name}"></td>'
        f'<th role="rowheader" scope="row"><a href="{_link(photo, page)}"><bdi>{name}</bdi></a>'
        f'<label><input type="checkbox" aria-label="Mark {name}"> mark</label></th>'
        f"{cells}</tr>\n"
    )


def _link(photo: str, page: Path) -> str:
    """Return the address of a photograph relative to the page; none on another drive."""
    try:
        path = os.path.relpath(photo, page.parent)
    except ValueError:
        return "#"
    # The dot keeps a name from being taken for a scheme, as in "javascript:".
    return "./" + quote(path.replace(os.sep, "/").encode("utf-8", "surrogateescape"))


class Report:
    """A page that is being written.

    Parameters
    ----------
    file : file of text
        The page up to its rows is written to it at once.
    folder : Path
        Folder for the rows, see :func:`row_file`.
    """

    def __init__(self, file: IO[str], folder: Path) -> None:
        from skdefocus._version import __version__
        from skdefocus.plotting import filled_page, gradient

        fields = {"version": __version__, "gradient": gradient(), "ticks": _ticks()}
        fields |= {"top": f"{TOP:g}", "in_focus": f"{IN_FOCUS:g}"}
        text = filled_page("skdefocus.cli", "report.html", fields)
        head, rest = text.split("<!-- rows -->\n")
        self._between, self._end = rest.split("<!-- failures -->\n")
        self._file = file
        self._failures: list[tuple[str, str]] = []
        self.folder = folder
        file.write(head)

    def add(self, result: Result) -> None:
        """Add a photograph: the row that a worker has written, or the reason of a failure."""
        if result.failure:
            self._failures.append((result.photo, result.failure))
            return
        path = row_file(self.folder, result.photo)
        self._file.write(path.read_text("utf-8"))
        path.unlink()

    def finish(self) -> None:
        """Write the failures and the end of the page."""
        self._file.write(self._between)
        if self._failures:
            self._file.write('<section id="failures">\n<h2>Failed</h2>\n<ul>\n')
            for photo, why in self._failures:
                name, reason = html.escape(photo), html.escape(why)
                self._file.write(f"<li><strong><bdi>{name}</bdi></strong>: {reason}</li>\n")
            self._file.write("</ul>\n</section>\n")
        self._file.write(self._end)


def _ticks() -> str:
    """Return the labels of the color scale."""
    from skdefocus.plotting import logarithmic_share

    shares = logarithmic_share(np.array(TICKS, float), TOP)
    return "".join(
        f'<i style="left:{100 * share:.1f}%">{tick:g}{"+" * (tick == TOP)}</i>'
        for tick, share in zip(TICKS, shares, strict=True)
    )


@contextmanager
def open_report(page: Path, overwrite: bool) -> Iterator[Report]:
    """Begin a page; it gets its name when the block ends, and nothing is left if it raises."""
    from skdefocus.io import atomic_path

    with (
        atomic_path(page, overwrite) as temporary,
        tempfile.TemporaryDirectory(
            prefix=".skdefocus-", dir=page.parent, ignore_cleanup_errors=True
        ) as folder,
        # Names that are not valid in their encoding are written with backslashes.
        open(temporary, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file,
    ):
        report = Report(file, Path(folder))
        yield report
        report.finish()
