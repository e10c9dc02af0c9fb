"""Noise that is measured in the frames."""

import numpy as np
import pytest
from helpers.stack_cases import CHINA, PLAIN, halves
from hypothesis import given, settings
from hypothesis import strategies as st

import skdefocus as sd
from skdefocus.fusion._noise import noise_of
from skdefocus.synthesis import blur

GRAY = (CHINA @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.float32)
ONE, TWO = halves(CHINA, 3.0)


def noisy(image, sigma, seed=0):
    noise = np.random.default_rng(seed).normal(0, sigma, image.shape)
    return np.clip(image + noise, 0, 1).astype(np.float32)


@settings(max_examples=30)
@given(st.floats(0.02, 0.15), st.floats(1, 4), st.integers(0, 2**32 - 1))
def test_white_noise_is_measured(sigma, defocus, seed):
    image = 0.25 + 0.5 * blur(GRAY, defocus)
    found = noise_of(noisy(image, sigma, seed))
    assert 0.7 * sigma <= found <= 1.1 * sigma


@settings(max_examples=30)
@given(st.floats(0, 5), st.floats(0.2, 1), st.sampled_from(["u1", "u2", "f4"]))
def test_what_is_shown_is_not_noise(defocus, contrast, dtype):
    image = contrast * (blur(CHINA, defocus) if defocus else CHINA)
    if dtype != "f4":
        image = np.round(image * np.iinfo(dtype).max)
    assert noise_of(image.astype(dtype)) < 0.003


def test_clipped_and_transparent_parts_are_not_used():
    image = noisy(np.full((192, 288), 0.5), 0.05)
    image[:, :200] = 1
    assert noise_of(image) == pytest.approx(0.05, rel=0.15)
    image[:, :200] = 0.5
    assert noise_of(image) == 0
    opaque = np.zeros(image.shape, bool)
    opaque[:, 200:] = True
    assert noise_of(image, opaque) == pytest.approx(0.05, rel=0.15)


def test_nothing_to_measure_in():
    assert noise_of(np.ones((192, 288), np.float32)) == 0
    assert noise_of(noisy(np.full((31, 300), 0.5), 0.05)) == 0


def test_some_rows_of_a_large_frame_are_used():
    image = np.full((4000, 3000), 0.5, np.float32)
    image[: 32 * 110] = noisy(image[: 32 * 110], 0.05)
    assert noise_of(image) == pytest.approx(0.05, rel=0.15)


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("sigma", [0.05, 0.1])
def test_noise_is_no_detail(sigma, position):
    frames = [ONE, TWO]
    frames.insert(position, noisy(blur(CHINA, 2.0), sigma))
    result = PLAIN.fuse(frames)
    assert (result.index == position).mean() < 0.02
    assert sd.metrics.psnr(result.image, CHINA) > 38


def test_a_noisy_frame_still_wins_by_its_detail():
    frames = [ONE, noisy(TWO, 0.02)]
    result = PLAIN.fuse(frames)
    detailed = np.zeros((192, 288), bool)
    detailed[80:170, 150:220] = True
    assert (result.index[detailed] == 1).mean() > 0.6
