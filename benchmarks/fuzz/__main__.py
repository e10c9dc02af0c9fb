"""Fuzz the readers of photographs and the checks of networks from strangers.

    python -m benchmarks.fuzz --minutes 5 --out DIR

Each target runs for that long, under atheris (libFuzzer with the coverage of skdefocus, Pillow's
and tifffile's Python code), beginning with the seeds of ``seeds.py`` or, if DIR has been used
before, with the corpus there. What is not as docs/inputs.md promises is a finding and is saved in
DIR/<target>/findings: another exception, a crash, more than 5 seconds, more than 1 GiB.
"""

from __future__ import annotations

import argparse
import json
import struct
import subprocess
import sys
import time
from pathlib import Path

TARGETS = ("files", "models")


def main() -> int:
    """Run the targets one after the other and say what came of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5, help="for each target (default: 5)")
    parser.add_argument("--out", type=Path, required=True, help="folder of corpora and findings")
    parser.add_argument("--target", choices=TARGETS, action="append", help="only this one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        from benchmarks.fuzz.targets import fuzz

        fuzz(args.target[0], args.out, round(args.minutes * 60), args.seed)
    results = [
        run(name, args.out / name, args.minutes, args.seed) for name in args.target or TARGETS
    ]
    (args.out / "summary.json").write_text(json.dumps(results, indent=2) + "\n")
    return int(any(result["findings"] for result in results))


def run(target: str, folder: Path, minutes: float, seed: int) -> dict[str, object]:
    """Fuzz one target in processes of its own, as a crash ends the process."""
    for name in ("corpus", "findings"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "counts").unlink(missing_ok=True)
    end, processes = time.monotonic() + minutes * 60, 0
    with open(folder / "log.txt", "wb") as log:
        while (left := end - time.monotonic()) > 1:
            command = [
                sys.executable, "-m", "benchmarks.fuzz", "--inside", "--target", target,
                "--out", str(folder), "--minutes", str(left / 60), "--seed", str(seed + processes),
            ]  # fmt: skip
            subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False)
            processes += 1
    tried, accepted, refused = struct.unpack("<QQQ", (folder / "counts").read_bytes())
    corpus = [path.stat().st_size for path in (folder / "corpus").iterdir()]
    found = sorted(p.name for p in (folder / "findings").iterdir() if p.suffix != ".txt")
    print(
        f"{target}: {tried} inputs in {minutes:g} minutes ({accepted} read, {refused} refused), "
        f"corpus of {len(corpus)} files ({sum(corpus)} bytes), {processes} process(es), "
        f"{len(found)} finding(s)"
    )
    for name in found:
        print(f"  {folder / 'findings' / name}")
    return {
        "target": target, "minutes": minutes, "tried": tried, "accepted": accepted,
        "refused": refused, "corpus_files": len(corpus), "corpus_bytes": sum(corpus),
        "processes": processes, "findings": found,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
