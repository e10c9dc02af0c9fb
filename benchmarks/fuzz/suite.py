"""PngSuite, read as Pillow reads it, and its corrupt files refused.

The files of http://www.schaik.com/pngsuite/ in ``$SKDEFOCUS_DATA/png-suite``; the corrupt ones
have names that begin with an x. Ends with 1 if one is read otherwise.

    python -m benchmarks.fuzz.suite
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from skdefocus.io import ReadError, read_image


def expected(path: Path, pixels: np.ndarray) -> np.ndarray:
    """Pillow's values, of the depth that it keeps: of 16 bits in color the upper 8."""
    with Image.open(path) as image:
        if pixels.dtype == np.uint16 and image.mode.startswith("I"):
            return np.asarray(image)
        if pixels.ndim == 2:
            return np.asarray(image.convert("L"))
        return np.asarray(image.convert("RGBA"))[..., :3]


def main() -> int:
    warnings.simplefilter("ignore")
    folder = Path(os.environ.get("SKDEFOCUS_DATA", "data")) / "png-suite"
    same = refused = 0
    wrong = []
    for path in sorted(folder.glob("*.png")):
        try:
            pixels = read_image(path)
        except ReadError:
            refused += path.name.startswith("x")
            wrong += [path.name] * (not path.name.startswith("x"))
            continue
        known = expected(path, pixels)
        found = pixels >> 8 if known.dtype == np.uint8 and pixels.dtype == np.uint16 else pixels
        is_same = np.array_equal(found, known) and not path.name.startswith("x")
        same += is_same
        wrong += [path.name] * (not is_same)
    print(f"{same} read as by Pillow, {refused} corrupt ones refused, wrong: {wrong or 'none'}")
    return 1 if wrong or not same else 0


if __name__ == "__main__":
    sys.exit(main())
