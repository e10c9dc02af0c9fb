"""Figures that snippets of pages compute, and that the pages state.

``python -m benchmarks.pages`` runs the snippets of ``README.md`` and ``docs/own_classifier.md`` in
an empty folder and writes what they find into the two pages. It takes a minute. The tests run the
same snippets and compare.
"""

from __future__ import annotations

import re
import tempfile
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np

import skdefocus as sd

ROOT = Path(__file__).parents[1]
#: The sentences of the README about its search; the groups are the figures.
SEARCH = re.compile(r"(falls from )[\d.]+( to )[\d.]+( px\..*? has )[\d.]+( px)", re.S)
#: A row of the table of classifiers.
ROW = re.compile(r"^\| ([\w, ]+) \| [\d.]+ \|$", re.M)


def snippets(page: Path, languages: str = "python") -> list[str]:
    """List the code of a page in one or more languages, separated by ``|``."""
    fences = rf"^```(?:{languages})\n(.*?)^```"
    return re.findall(fences, page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def run(page: Path) -> dict[str, Any]:
    """Run a page's snippets in the current folder and return its names."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, snippet in enumerate(snippets(page), start=1):
        exec(compile(snippet, f"{page.relative_to(ROOT)}, snippet {number}", "exec"), names)
    return names


def errors_of_search(names: dict[str, Any]) -> list[float]:
    """Return the errors of the README's default, of its search, and of a constant, in pixels."""
    learned = names["scenes"]([names["brick"], names["grass"]], range(20))[1]
    constant = np.median(np.concatenate([sigma.ravel() for sigma in learned]))
    maps = [np.full_like(sigma, constant) for sigma in names["truth"]]
    return [-names["default"], -names["tuned"], sd.metrics.sigma_mae(names["truth"], maps)]


def with_search(text: str, names: dict[str, Any]) -> str:
    """Write the errors of the search into the README."""
    parts = SEARCH.search(text)
    assert parts is not None
    errors = [f"{error:.2f}" for error in errors_of_search(names)]
    sentences = "".join(a + b for a, b in zip(parts.groups(), [*errors, ""], strict=True))
    return text[: parts.start()] + sentences + text[parts.end() :]


def with_classifiers(text: str, names: dict[str, Any]) -> str:
    """Write the errors of the classifiers into the table."""
    return ROW.sub(lambda row: f"| {row[1]} | {names['errors'][row[1]]:.2f} |", text)


#: What writes the figures of each page.
PAGES = {"README.md": with_search, "docs/own_classifier.md": with_classifiers}


def main() -> None:
    for name, write in PAGES.items():
        page = ROOT / name
        with tempfile.TemporaryDirectory() as folder, chdir(folder):
            names = run(page)
        page.write_text(write(page.read_text("utf-8"), names), "utf-8")


if __name__ == "__main__":
    main()
