"""Wide trials in blocks beside the same of entire planes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skdefocus import filters
from skdefocus._grids import enlarge, full_area
from skdefocus.fusion import _wide as wide
from skdefocus.fusion._windows import mirrored

TOLERANCE = 0.04


def planes(size, seed, lamps):
    """Low, high, light of two trials in cells, what is seen, and differences from elsewhere."""
    rng = np.random.default_rng(seed)
    cells = tuple(-(-n // wide.CELL) for n in size)
    low, high = np.sort(rng.random((2, 2, *cells)).astype(np.float32), axis=0)
    light = high**2 * rng.choice([1, 0.1], high.shape).astype(np.float32) if lamps else None
    seen = rng.random(size).astype(np.float32)
    light = None if light is None else list(light)
    return list(low), list(high), light, seen, (0.2 * rng.random(size)).astype(np.float32)


def plainly(low, high, light, seen, least):
    area = full_area(seen.shape)
    for k in range(len(low)):
        away = np.clip(seen, enlarge(low[k], wide.CELL, area), enlarge(high[k], wide.CELL, area))
        unsure = TOLERANCE * seen**2
        if light is not None:
            share = enlarge(light[k], wide.CELL, area) / (away**2 + 1e-6)
            unsure *= np.minimum(share, 1) ** 2
        least = np.minimum(least, filters.box_mean((away - seen) ** 2, 1) + unsure)
    return least


@pytest.mark.parametrize("lamps", [False, True])
@given(st.tuples(st.integers(1, 12), st.integers(1, 12)), st.integers(0, 99))
def test_blocks_are_those_of_the_planes(lamps, cells, seed):
    # Entire cells: on rows that are not, the mean's border is that of the cells.
    size = (wide.CELL * cells[0], wide.CELL * cells[1])
    low, high, light, seen, least = planes(size, seed, lamps)
    expected = plainly(low, high, light, seen, least)
    wide.Wide(low, high, light, TOLERANCE).refine(
        least, mirrored(seen, full_area(size), 1), full_area(size), None
    )
    assert_allclose(least, expected, atol=1e-5)


@given(st.integers(0, 99))
def test_areas_and_needed_pixels(seed):
    low, high, light, seen, least = planes((52, 61), seed, False)
    both = wide.Wide(low, high, light, TOLERANCE)
    everywhere, part = least.copy(), least[20:45, 8:61].copy()
    full = full_area(seen.shape)
    both.refine(everywhere, mirrored(seen, full, 1), full, None)
    area = slice(20, 45), slice(8, 61)
    where = np.random.default_rng(seed).random(part.shape) > 0.95
    both.refine(part, mirrored(seen, area, 1), area, where)
    assert_allclose(part[where], everywhere[area][where], rtol=1e-5)
    assert (part >= everywhere[area] - 1e-6).all()


def test_nothing_to_explain_stays():
    low, high, light, seen, _ = planes((40, 40), 0, False)
    least = np.zeros_like(seen)
    full = full_area(seen.shape)
    wide.Wide(low, high, light, TOLERANCE).refine(least, mirrored(seen, full, 1), full, None)
    assert not least.any()
