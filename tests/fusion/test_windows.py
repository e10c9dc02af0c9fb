"""Fast windows of tiles beside the filters, which are tested against naive loops."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skdefocus import filters
from skdefocus.fusion import _windows as windows

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))


@given(SIZES, st.integers(0, 12), st.integers(0, 99))
def test_boxes_are_those_of_the_filters(size, radius, seed):
    plane = np.random.default_rng(seed).random(size).astype(np.float32)
    assert_allclose(windows.box(plane, radius), filters.box_mean(plane, radius), atol=2e-6)


def test_large_planes():
    plane = np.random.default_rng(0).random((500, 601)).astype(np.float32)
    assert_allclose(windows.twice(plane, 2), filters.box_mean(filters.box_mean(plane, 2), 2))


@given(SIZES, st.integers(1, 5), st.integers(0, 99))
def test_guided_filters_are_those_of_the_filters(size, radius, seed):
    rng = np.random.default_rng(seed)
    image, guide, weights = (rng.random(size).astype(np.float32) for _ in range(3))
    weights += np.float32(0.03)
    expected = filters.guided_filter(image, guide, radius, 1e-2, weights=weights)
    assert_allclose(windows.guided(image, guide, radius, 1e-2, weights), expected, atol=2e-5)


@given(SIZES, st.integers(0, 5), st.integers(0, 99))
def test_windows_within_mirrored_areas_are_boxes(size, radius, seed):
    plane = np.random.default_rng(seed).random(size).astype(np.float32)
    area = slice(size[0] // 3, size[0]), slice(0, -(-size[1] // 2))
    found = windows.inner_box(windows.mirrored(plane, area, radius), radius)
    assert_allclose(found, filters.box_mean(plane, radius)[area], atol=2e-6)
