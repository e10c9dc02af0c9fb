"""Sections of RESULTS.md, each written by one command and replaced by its next run."""

from __future__ import annotations

import os
import platform
import re
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")
HEAD = "# Results\n\nEvery section was written by the command that it names.\n"


def machine(*packages: str) -> str:
    """One line on what a run was made with; `packages` that are not installed are left out."""
    versions = {}
    for name in ("skdefocus", "numpy", *packages):
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        kind = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        kind = platform.processor() or platform.machine()
    return (
        f"{kind}, {os.cpu_count()} cores, {platform.system()}, Python "
        f"{platform.python_version()}, " + ", ".join(f"{n} {v}" for n, v in versions.items())
    )


def table(titles: list[str], rows: list[list[object]]) -> str:
    """A Markdown table; floats with three significant digits."""

    def text(value: object) -> str:
        return f"{value:.3g}" if isinstance(value, float) else str(value)

    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    return "\n".join(lines + [f"| {' | '.join(map(text, row))} |" for row in rows])


def write(section: str, body: str, path: Path = RESULTS) -> None:
    """Put a section into the file in place of the one of that name, or at the end; print it."""
    start, end = f"<!-- {section} -->", f"<!-- /{section} -->"
    block = f"{start}\n{body.strip()}\n{end}"
    old = path.read_text(encoding="utf-8") if path.exists() else HEAD
    pattern = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
    new, found = pattern.subn(lambda _: block, old)
    path.write_text(new if found else f"{old.rstrip()}\n\n{block}\n", encoding="utf-8")
    print(body)
