"""Colors and thumbnails without matplotlib."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdefocus.plotting import colored, gradient, logarithmic_share, thumbnail


def test_colors_are_those_of_matplotlib():
    colormaps = pytest.importorskip("matplotlib").colormaps
    expected = 255 * colormaps["inferno"](np.arange(256))[:, :3]
    found = colored(np.arange(256)[None] / 64, 255 / 64)[0]
    assert np.abs(found - expected).max() < 4
    assert np.abs(found - expected).mean() < 0.6


def test_values_outside_get_the_colors_of_the_ends_and_nan_is_gray():
    found = colored(np.array([[-1.0, 0, 1, 5, np.nan]]), 1.0)[0]
    assert_array_equal(found[0], found[1])
    assert_array_equal(found[2], found[3])
    assert_array_equal(found[4], [128, 128, 128])
    assert gradient().startswith("#000004, #")


@pytest.mark.parametrize("shape", [(7, 5), (40, 90, 3), (1000, 1), (901, 1301, 3)])
@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.uint16, np.float32])
def test_thumbnails_keep_proportions_and_brightness(shape, dtype):
    ramp = np.broadcast_to(np.linspace(0, 1, shape[0]).reshape(-1, *[1] * (len(shape) - 1)), shape)
    full = 1 if np.dtype(dtype).kind in "fb" else np.iinfo(dtype).max
    pixels = (ramp * full).round().astype(dtype) if full > 1 else (ramp).astype(dtype)
    small = thumbnail(pixels, 60)
    assert max(small.shape[:2]) == min(60, max(shape[:2]))
    assert small.shape[0] / small.shape[1] == pytest.approx(shape[0] / shape[1], rel=0.02) or (
        1 in small.shape[:2]
    )
    unit = 255 if small.dtype == np.uint8 else 1
    assert (small / unit).mean() == pytest.approx((pixels / full).mean(), abs=0.02)


def test_the_scale_of_sigma_is_even_in_levels():
    share = logarithmic_share(np.array([0, 0.5, 16.0]), 16.0)
    assert_allclose(share, [0, np.log(2) / np.log(33), 1])
