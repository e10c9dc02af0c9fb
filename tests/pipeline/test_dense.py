"""Answers for cells: tile by tile, and for patches by themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import uniform_filter

from skdefocus.network import ModelFacts
from skdefocus.pipeline import _dense
from skdefocus.pipeline._dense import dense, surrounded


def facts_of(stride=4, multiple=16, reach=0, patch_size=32):
    return ModelFacts("", "", (0.0, 1.0), (0.5, 0.5), patch_size, stride, multiple, reach, {})


def averages(stride, radius=0):
    """A network: means over cells of a photograph that was smoothed, and their squares."""

    def answer(images):
        assert images.dtype == np.float32
        n, height, width = images.shape
        smooth = uniform_filter(images, (0, 2 * radius + 1, 2 * radius + 1), mode="constant")
        cells = smooth.reshape(n, height // stride, stride, width // stride, stride).mean((2, 4))
        return np.stack([cells, cells**2], axis=-1).astype(np.float32)

    return answer


@st.composite
def networks(draw):
    stride = draw(st.sampled_from([1, 2, 4, 8]))
    multiple = stride * draw(st.integers(1, 6))
    return facts_of(stride, multiple, draw(st.integers(0, 40)), patch_size=4 * stride)


@given(networks(), st.integers(1, 120), st.integers(1, 120), st.integers(8, 60))
def test_tiles_are_parts_of_the_whole(facts, height, width, tile):
    image = np.random.default_rng(height).random((height, width), np.float32)
    answer = averages(facts.stride, facts.reach)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_dense, "TILE", tile)
        parts = list(dense(image, facts, answer))
    rows, columns = (-(-n // facts.multiple) * facts.multiple for n in image.shape)
    whole = np.pad(image, ((0, rows), (0, columns)), mode="symmetric")[:rows, :columns]
    found = np.full((*(-(-n // facts.stride) for n in image.shape), 2), np.nan)
    for area, part in parts:
        found[area] = part
    assert_allclose(found, answer(whole[None])[0][: len(found), : found.shape[1]], atol=1e-5)


def test_tiles_have_one_shape_that_is_no_larger_than_it_has_to_be(monkeypatch):
    seen = []
    answer = averages(4)
    monkeypatch.setattr(_dense, "TILE", 64)
    parts = dense(
        np.zeros((300, 130), np.float32),
        facts_of(reach=20),
        lambda images: seen.append(images.shape) or answer(images),
    )
    assert len(list(parts)) == len(seen) == 4 * 2
    assert set(seen) == {(1, 128, 112)}  # 64 and twice 32, and a little less


@pytest.mark.parametrize(
    ("stride", "size", "middle"),
    [(4, 32, slice(12, 20)), (8, 24, slice(8, 16)), (4, 4, slice(0, 4)), (8, 16, slice(0, 16))],
)
def test_the_answer_for_a_patch_is_that_of_its_middle(stride, size, middle):
    patches = np.random.default_rng(0).random((3, size, size), np.float32)
    found = surrounded(patches, facts_of(stride, 2 * stride, patch_size=size), averages(stride))
    assert_allclose(found[:, 0], patches[:, middle, middle].mean(axis=(1, 2)), atol=1e-6)


def test_patches_are_shown_with_mirrored_surroundings():
    shown = []
    answer = averages(4)
    patches = np.random.default_rng(0).random((2, 32, 32), np.float32)
    surrounded(patches, facts_of(), lambda images: shown.append(images) or answer(images))
    assert_array_equal(shown[0], np.pad(patches, ((0, 0), (32, 32), (32, 32)), mode="symmetric"))


def test_patches_do_not_depend_on_their_company():
    patches = np.random.default_rng(0).random((5, 32, 32), np.float32)
    answer = averages(4, radius=9)
    together = surrounded(patches, facts_of(), answer)
    one_by_one = [surrounded(patches[i : i + 1], facts_of(), answer)[0] for i in range(5)]
    assert_allclose(together, one_by_one, atol=1e-6)
