"""Edges in color alone, in stacks and in the gray values that frames are compared by."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

import skdefocus as sd
from skdefocus._images import LUMA, to_gray
from skdefocus.fusion._odd import picture
from skdefocus.fusion._palette import Palette
from skdefocus.fusion._thumbnails import thumbnail
from skdefocus.synthesis import blur

SIZE = (240, 320)


def texture(seed):
    fine = ndimage.gaussian_filter(np.random.default_rng(seed).random(SIZE), 1.0)
    return ((fine - fine.mean()) / fine.std()).astype(np.float32)


def colored(seed, rises, falls, luma=0.0):
    """A texture in color, whose luma has a share of it."""
    color = np.zeros(3, np.float32)
    color[rises], color[falls] = 1, -LUMA[rises] / LUMA[falls]
    color = color / np.abs(color).max() + np.float32(luma)
    return np.clip(0.45 + 0.12 * texture(seed)[..., None] * color, 0, 1)


def palette(*images):
    return Palette([picture(thumbnail(image), None) for image in images])


@pytest.mark.parametrize(("rises", "falls"), [(0, 1), (1, 2), (2, 0)])
@pytest.mark.parametrize("turned", [False, True])
def test_textures_in_color_alone_come_from_the_frame_in_focus(rises, falls, turned):
    sharp = colored(0, rises, falls)
    soft, left = blur(sharp, 3.0), np.arange(SIZE[1]) < SIZE[1] // 2
    parts = [np.where(where[:, None], sharp, soft) for where in (left, ~left)]
    rng = np.random.default_rng(1)
    frames = [np.clip(p + rng.normal(0, 0.003, p.shape), 0, 1).astype("f4") for p in parts]
    index = sd.FocusFuser(sigma_weight=0).fuse(frames[::-1] if turned else frames).index
    assert np.mean(index == (left if turned else ~left)) > 0.98


def test_discs_that_differ_in_color_alone_keep_their_outlines():
    rng, size = np.random.default_rng(0), (*SIZE, 1)
    y, x = np.indices(SIZE)
    discs = (np.hypot((y + 40) % 80 - 40, (x + 40) % 80 - 40) <= 8).astype(float)[..., None]
    front, ground = np.array([0.8, 0.3, 0.3]), np.array([0.3, 0.3 + 0.5 * LUMA[0] / LUMA[1], 0.3])
    sharp = discs * front + (1 - discs) * ground
    soft = blur(discs, 3.0).reshape(size) * (front - ground) + ground
    near, far = (np.clip(f + rng.normal(0, 0.003, f.shape), 0, 1) for f in (sharp, soft))
    image = sd.FocusFuser(sigma_weight=0).fuse([far.astype("f4"), near.astype("f4")]).image
    errors = [np.sqrt(np.mean((f - sharp) ** 2)) for f in (image, soft)]
    assert errors[0] < 0.2 * errors[1]


@given(st.integers(0, 99), st.floats(0.4, 1), st.permutations(range(3)))
def test_gray_is_the_luma_where_that_has_contrast(seed, luma, channels):
    image = colored(seed, *channels[:2], luma)
    assert_array_equal(palette(image).gray(image, None), to_gray(image))


@given(st.integers(0, 99), st.permutations(range(3)))
def test_edges_in_color_alone_have_contrast_in_gray(seed, channels):
    image = colored(seed, *channels[:2])
    gray = palette(image).gray(image, None)
    assert to_gray(image).std() < 0.01
    assert gray.std() > 0.5 * image.std(axis=(0, 1)).max()
    # A mean of the channels: white stays white, and black black.
    assert (gray >= image.min(axis=2) - 1e-6).all()
    assert (gray <= image.max(axis=2) + 1e-6).all()


def test_weights_move_with_the_frame():
    image, part = colored(0, 0, 1), np.arange(SIZE[1]) < 160
    image = np.where(part[:, None], image, 0.5 + 0.1 * texture(1)[..., None]).astype(np.float32)
    known = palette(image)
    matrix = np.array([[1, 0, 0], [0, 1, 24], [0, 0, 1.0]])
    moved = np.roll(image, 24, axis=1)
    found = known.gray(moved, matrix)[:, 48:-24]
    assert_allclose(found, np.roll(known.gray(image, None), 24, axis=1)[:, 48:-24], atol=0.02)
    assert np.abs(known.gray(moved, None)[:, 48:-24] - found).max() > 0.1


def test_frames_without_color_are_as_they_are():
    image = np.clip(0.5 + 0.1 * texture(0), 0, 1)
    assert_array_equal(palette(image).gray(image, None), image)
    assert_array_equal(Palette([]).gray(image, None), image)
