"""A file that must be refused, and how; a raw file."""

import pytest
import tifffile

from skdefocus.io import ReadError, read_image


def refused(path, why, **options):
    with pytest.raises(ReadError, match=why) as caught:
        read_image(path, **options)
    assert repr(str(path)) in str(caught.value)
    assert "\n" not in str(caught.value)


#: What the sensor of this camera sees of white.
WHITE = 4000


def write_dng(path, values, more=()):
    """A raw file in the open format DNG: one value a pixel, below red, green and blue filters."""
    matrix = [3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570]
    rationals = [part for v in matrix for part in (round(v * 10000), 10000)]
    model = "skdefocus test camera"
    tags = [
        (271, 2, None, "Maker", True),
        (272, 2, None, model, True),
        (33421, 3, 2, (2, 2), True),  # CFARepeatPatternDim
        (33422, 1, 4, b"\0\1\1\2", True),  # CFAPattern: RGGB
        (50706, 1, 4, b"\1\4\0\0", True),  # DNGVersion
        (50708, 2, None, model, True),
        (50714, 4, 1, 0, True),  # BlackLevel
        (50717, 4, 1, WHITE, True),  # WhiteLevel
        (50721, 10, 9, rationals, True),  # ColorMatrix1: the camera sees linear sRGB
        (50728, 5, 3, (1, 1, 1, 1, 1, 1), True),  # AsShotNeutral
        (50778, 3, 1, 21, True),  # CalibrationIlluminant1: D65
        *more,
    ]
    tifffile.imwrite(
        path, values, photometric="cfa", metadata=None, software=None, extratags=tags,
        subfiletype=0,
    )  # fmt: skip
