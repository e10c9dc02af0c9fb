"""Tiles, cells and mirrored borders."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skdefocus._grids import (
    cell_means,
    enlarge,
    enlarged_in,
    full_area,
    mirrored_crop,
    tiles,
    twice,
    twice_in,
)
from skdefocus._images import to_gray


@given(st.tuples(st.integers(1, 90), st.integers(1, 90)), st.integers(1, 9), st.integers(0, 40))
def test_tiles_cover_every_pixel_once(shape, step, halo):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skdefocus._grids.TILE", 24)
        seen = np.zeros(shape, int)
        for inner, outer in tiles(shape, step, halo):
            seen[inner] += 1
            for i, o, n in zip(inner, outer, shape, strict=True):
                assert i.start % step == o.start % step == 0
                assert 0 <= o.start <= i.start < i.stop <= o.stop <= n
                assert i.start - o.start >= min(halo, i.start)
                assert o.stop - i.stop >= min(halo, n - i.stop)
    assert np.all(seen == 1)


@pytest.mark.parametrize("size", [(16, 24), (17, 23), (1, 1), (20, 5)])
def test_cells_and_pixels(size):
    image = np.random.default_rng(0).random((*size, 3)).astype(np.float32)
    cells = cell_means(image, 8)
    assert cells.shape == (-(-size[0] // 8), -(-size[1] // 8), 3)
    assert_allclose(
        cells[0, 0], image[:8, :8].mean(axis=(0, 1)) if min(size) >= 8 else cells[0, 0], rtol=1e-5
    )
    assert enlarge(cells[..., 0], 8, full_area(size)).shape == size
    assert_array_equal(
        enlarge(np.full(cells.shape[:2], 0.25), 8, full_area(size)), np.float32(0.25)
    )


@given(st.integers(1, 20), st.integers(0, 60), st.integers(0, 60))
def test_an_image_is_mirrored_without_end(length, before, after):
    image = np.random.default_rng(0).random((length, 3), np.float32)
    rows = np.arange(-before, length + after)
    found = mirrored_crop(image, slice(-before, length + after), slice(1, 3))
    there_and_back = np.concatenate([image, image[::-1]])
    assert_array_equal(found, there_and_back[rows % (2 * length), 1:])


@given(st.tuples(st.integers(1, 20), st.integers(1, 20)), st.integers(1, 7))
def test_parts_of_enlarged_cells_are_those_of_the_whole(shape, side):
    small = tuple(-(-n // 2) for n in shape)
    planes = np.random.default_rng(0).random((3, *small), np.float32)
    whole = twice(planes, shape)
    for area, _ in tiles(shape, 1, 0, side):
        assert_array_equal(twice_in(planes, area), whole[:, area[0], area[1]])


@given(st.tuples(st.integers(1, 40), st.integers(1, 40)), st.sampled_from([1, 2, 4, 8]))
def test_parts_of_cells_enlarged_again_and_again_are_those_of_the_whole(shape, times):
    small = tuple(-(-n // times) for n in shape)
    planes = np.random.default_rng(times).random((2, *small), np.float32)
    whole, factor = planes, times
    while factor > 1:
        factor //= 2
        whole = twice(whole, tuple(-(-n // factor) for n in shape))
    for area, _ in tiles(shape, 1, 0, 9):
        part = enlarged_in(planes, times, shape, area)
        assert_allclose(part, whole[:, area[0], area[1]], atol=1e-6)


@pytest.mark.parametrize("shape", [(20, 33, 3), (5, 8)])
def test_gray_means_are_means_of_gray_values(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert_allclose(cell_means(image, 4, gray=True), cell_means(to_gray(image), 4), rtol=1e-6)
