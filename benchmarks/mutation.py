"""Mutants of the filters and of synthesis, and how many of them the tests kill.

``python -m benchmarks.mutation`` (extra ``mutation``; half an hour on one core) copies the project
into a temporary folder, has mutmut change one thing at a time there, and prints a table and every
mutant that survives. What is changed and which tests are asked stands in pyproject.toml.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks import report

ROOT = Path(__file__).parents[1]
#: Exit codes of the tests of a mutant that lives: they passed, there are none, they did not run.
ALIVE = (0, 33, None)


def prepare(folder: Path) -> None:
    """Copy what mutmut needs; it leaves decorated functions alone, so the cache of one goes."""
    for name in ("skdefocus", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder)
    sums = folder / "skdefocus" / "filters" / "_window_sums.py"
    sums.write_text(sums.read_text(encoding="utf-8").replace("@cache\n", ""), encoding="utf-8")


def results(folder: Path) -> dict[str, dict[str, int | None]]:
    """Exit codes of the mutants' tests, by file and mutant."""
    made = folder / "mutants" / "skdefocus"
    return {
        str(path.relative_to(made).with_suffix("")): json.loads(path.read_text())[
            "exit_code_by_key"
        ]
        for path in sorted(made.rglob("*.meta"))
    }


def table(found: dict[str, dict[str, int | None]]) -> str:
    """Markdown: mutants, killed and share per file."""
    rows: list[list[object]] = []
    total: Counter[str] = Counter()
    for name, codes in found.items():
        killed = sum(code not in ALIVE for code in codes.values())
        total.update(mutants=len(codes), killed=killed)
        rows.append([f"`{name}`", len(codes), killed, f"{killed / len(codes):.1%}"])
    share = total["killed"] / total["mutants"]
    rows.append(["all", total["mutants"], total["killed"], f"{share:.1%}"])
    return report.table(["file", "mutants", "killed", "share"], rows)


def main() -> None:
    """Run mutmut on a copy and print what it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="of an earlier run, to print again or finish")
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp(prefix="mutants-"))
    print(f"in {folder}", flush=True)
    if not (folder / "skdefocus").exists():
        folder.mkdir(parents=True, exist_ok=True)
        prepare(folder)
    env = os.environ | {"CI": "1", "OMP_NUM_THREADS": "1"}
    mutmut = [sys.executable, "-m", "mutmut"]
    subprocess.run(
        [*mutmut, "run", "--max-children", str(args.jobs)], cwd=folder, env=env, check=True
    )
    found = results(folder)
    for codes in found.values():
        for key, code in codes.items():
            if code in ALIVE:
                shown = subprocess.run(
                    [*mutmut, "show", key], cwd=folder, env=env, capture_output=True, text=True
                ).stdout
                changed = re.findall(r"^[-+](?![-+]).*", shown, re.M)
                print("\n".join([f"\n{key}", *changed]))
    print("\n" + table(found))


if __name__ == "__main__":
    main()
