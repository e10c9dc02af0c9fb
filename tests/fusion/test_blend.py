"""Blend of the frames: weighted means, with fine detail from where there is more of it."""

import numpy as np
import pytest
from helpers.stack_cases import GRASS, GRAVEL
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skdefocus.fusion._blend import Mixture, parts
from skdefocus.synthesis import blur

EVERYWHERE = np.ones((96, 96), bool)


def mixed(frames, weights, where=EVERYWHERE, noise=None):
    mixture = Mixture(frames[0].shape, where)
    for k, (frame, weight) in enumerate(zip(frames, weights, strict=True)):
        frame = frame.astype(np.float32)
        weights = np.full(frame.shape[:2], weight, np.float32)
        mixture.add(frame.__getitem__, weights, noise[k] if noise else 0.005)
    return mixture.image


@settings(max_examples=10)
@given(st.integers(0, 40), st.integers(41, 96), st.booleans())
def test_parts_of_an_area_are_those_of_the_image(start, stop, color):
    image = np.dstack([GRAVEL, GRASS]).astype(np.float32) if color else GRASS.astype(np.float32)
    area = slice(start, stop), slice(10, 96)
    found = parts(image.__getitem__, area, (96, 96))
    assert_allclose(found.values, image[area])
    whole = parts(image.__getitem__, (slice(0, 96), slice(0, 96)), (96, 96))
    assert_allclose(found.smooth, whole.smooth[area], atol=1e-6)


@settings(max_examples=10)
@given(st.floats(0, 5), st.floats(1e-3, 1e3), st.booleans())
def test_equal_frames_give_the_frame_and_a_single_one_itself(sigma, weight, color):
    frame = blur(GRAVEL, sigma) if sigma else GRAVEL
    frame = np.dstack([frame, 0.5 * frame, 1 - frame]) if color else frame
    assert_allclose(mixed([frame, frame], [1, weight]), frame, atol=1e-5)
    assert_allclose(mixed([frame, GRASS[..., None] + 0 * frame if color else GRASS], [weight, 0]),
                    frame, atol=1e-5)  # fmt: skip


def test_without_fine_detail_it_is_the_weighted_mean():
    found = mixed([GRAVEL, GRASS], [1, 3], np.zeros((96, 96), bool))
    assert_allclose(found, 0.25 * GRAVEL + 0.75 * GRASS, atol=1e-5)


def test_detail_through_a_veil_is_added_to_the_light_behind_it():
    """One frame shows the background blurred, the other one through a veil."""
    truth = 0.3 + 0.4 * GRASS
    blurred, veiled = blur(truth, 3.0), 0.6 * truth + 0.3
    errors = [
        np.sqrt(np.mean((image - truth) ** 2))
        for image in (mixed([blurred, veiled], [10, 1]), blurred, veiled)
    ]
    assert errors[0] < 0.8 * min(errors[1:])


@pytest.mark.parametrize("noise", [0.03, 0.1])
def test_noise_is_no_fine_detail(noise):
    rng = np.random.default_rng(0)
    clean, noisy = (0.5 + rng.normal(0, s, (96, 96)) for s in (0.005, noise))
    found = mixed([clean, noisy], [1, 1], noise=[0.005, noise])
    assert np.std(found - 0.5) < 0.6 * noise  # half of it by the weights
