"""Sensor noise and JPEG."""

import numpy as np
import pytest
from helpers.blur_cases import noise
from numpy.testing import assert_allclose, assert_array_equal
from skimage import data

from skdefocus.synthesis import (
    add_noise,
    jpeg,
)


@pytest.mark.parametrize("level", [0.3, 0.5, 0.7])
@pytest.mark.parametrize(("read", "shot"), [(0.02, 0.0), (0.0, 0.04), (0.02, 0.04)])
def test_noise_has_the_stated_variance_and_is_white(level, read, shot):
    x = np.full((400, 400), level)
    error = add_noise(x, read, shot, random_state=0) - x
    variance = read**2 + shot**2 * level
    # Standard errors for 160,000 pixels: 0.35 % of the variance, 0.25 % of σ for the mean.
    assert error.var() == pytest.approx(variance, rel=0.015)
    assert abs(error.mean()) < 0.011 * np.sqrt(variance)
    assert abs((error[:, 1:] * error[:, :-1]).mean()) < 0.011 * variance


def test_noise_is_reproducible_clipped_and_absent_at_zero():
    x = noise(50).astype(np.float32)
    one, two, other = (add_noise(x, 0.2, 0.1, random_state=s) for s in (1, 1, 2))
    assert_array_equal(one, two)
    assert not np.array_equal(one, other)
    assert (one.min(), one.max()) == (0, 1)
    assert_array_equal(add_noise(x, 0, 0), x)
    assert_allclose(add_noise(x.astype(float), 0.2, 0.1, random_state=1), one, atol=1e-6)


def test_noise_comes_from_the_seeded_generator_and_has_no_shot_noise_by_default():
    x = np.full((30, 40), 0.5)
    deviates = np.random.default_rng(7).standard_normal(x.shape)
    assert_allclose(add_noise(x, 0.01, random_state=7), x + 0.01 * deviates, atol=1e-12)


@pytest.mark.parametrize("level", [0, 51, 128, 255])
def test_jpeg_keeps_flat_levels(level):
    x = np.full((16, 16), level / 255)
    assert_allclose(jpeg(x, 100), x, atol=1e-12)


@pytest.mark.parametrize("color", [False, True])
def test_jpeg_error_falls_as_quality_rises(color):
    x = data.astronaut()[:128, 100:260] / 255 if color else data.camera()[100:228, 150:278] / 255
    decoded = [jpeg(x, q) for q in (5, 15, 40, 70, 90, 100)]
    errors = [np.sqrt(((y - x) ** 2).mean()) for y in decoded]
    assert (np.diff(errors) < 0).all()
    assert errors[-1] < 0.02
    assert all(y.shape == x.shape and y.min() >= 0 and y.max() <= 1 for y in decoded)
