"""Light beyond white, measured by what other frames have more around."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skdefocus._grids import cell_means
from skdefocus.fusion import _lamps as lamps
from skdefocus.fusion._wide import CELL
from skdefocus.synthesis import blur

SIZE = 160


def frames(radiance, side, sigma, ground=0.1):
    """Encoded values, with a square for their gamma, of a lamp in focus and out of focus."""
    spot = np.zeros((SIZE, SIZE))
    at = slice(80 - side // 2, 80 - side // 2 + side)
    spot[at, at] = radiance
    light = np.stack([spot, blur(spot, sigma, shape="disc")]) + ground
    return np.sqrt(np.clip(light, 0, 1)).astype(np.float32)


def measured(frame, others):
    share = cell_means(frame >= 0.99, CELL)
    most = np.maximum.reduce([lamps.around(lamps.light_of(f)) for f in (frame, *others)])
    return lamps.beyond_white(lamps.light_of(frame), share, most), share


@pytest.mark.parametrize(
    ("radiance", "side", "sigma"), [(8, 3, 4), (30, 3, 6), (60, 3, 6), (4, 8, 4)]
)
def test_light_is_that_of_the_lamp(radiance, side, sigma):
    sharp, soft = frames(radiance, side, sigma)
    light, share = measured(sharp, [soft])
    total = float((light * share).sum()) * CELL**2
    assert 0.4 < total / float((soft**2 - sharp**2).sum()) < 1.1


def test_a_frame_without_rivals_has_no_lamps():
    sharp, soft = frames(30, 3, 6)
    assert not measured(sharp, [])[0].any()
    assert not measured(soft, [sharp])[0].any()


def test_what_is_just_white_is_no_lamp():
    sharp, soft = frames(1, 40, 6, 0)
    assert not measured(sharp, [soft])[0].any()


@given(st.integers(0, 99), st.integers(0, 12), st.integers(4, 25), st.integers(4, 25))
def test_lamps_in_an_area_are_mirrored_beyond_the_border(seed, halo, height, width):
    rng = np.random.default_rng(seed)
    lit = rng.random((height, width)) > 0.5
    cells = rng.random((-(-height // CELL), -(-width // CELL))).astype(np.float32)
    plane = lit * cells.repeat(CELL, 0).repeat(CELL, 1)[:height, :width]
    area = slice(height // 2, height), slice(0, width // 2)
    padded = np.pad(plane, halo, mode="symmetric")
    rows, columns = (slice(part.start, part.stop + 2 * halo) for part in area)
    assert_array_equal(lamps.lamps_in(lit, cells, area, halo), padded[rows, columns])
