"""The mathematics of synthetic defocus: PSFs, linear light, blur."""

import numpy as np
import pytest
from helpers.blur_cases import dtypes, each_shape, images, noise, shapes
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from skimage import data

from skdefocus.synthesis import blur, blur_varying, from_linear, psf, to_linear

CAMERA = data.camera()[100:228, 150:278] / 255

sigmas = st.floats(0, 6)


# Uniform blur


@given(images(-3, 5), sigmas, shapes, dtypes)
def test_blur_keeps_mean_range_shape_and_type(x, sigma, shape, dtype):
    x = x.astype(dtype)
    y = blur(x, sigma, shape=shape)
    assert y.shape == x.shape
    assert y.dtype == dtype
    assert y.min() >= x.min()
    assert y.max() <= x.max()
    atol = 1e-12 if dtype is np.float64 else 1e-6
    assert_allclose(y.mean((0, 1), np.float64), x.mean((0, 1), np.float64), rtol=0, atol=atol)


@given(st.floats(-5, 5), sigmas, shapes, st.integers(1, 15), st.integers(1, 15))
def test_blur_leaves_a_constant_alone(value, sigma, shape, height, width):
    x = np.full((height, width), value)
    assert_array_equal(blur(x, sigma, shape=shape), x)


@given(images(), shapes)
def test_blur_of_zero_is_a_copy(x, shape):
    y = blur(x, 0, shape=shape)
    assert_array_equal(y, x)
    assert not np.shares_memory(x, y)


@given(images(-1, 1), sigmas, shapes, st.floats(-3, 3), st.integers(0, 99))
def test_blur_is_linear(x, sigma, shape, factor, seed):
    other = np.random.default_rng(seed).random(x.shape)
    both = blur(factor * x + other, sigma, shape=shape)
    parts = factor * blur(x, sigma, shape=shape) + blur(other, sigma, shape=shape)
    assert_allclose(both, parts, rtol=0, atol=1e-12)


@given(images(), sigmas, shapes)
def test_blur_commutes_with_flips_and_transposition(x, sigma, shape):
    y = blur(x, sigma, shape=shape)
    for turn in (np.flipud, np.fliplr, lambda a: a.swapaxes(0, 1)):
        assert_allclose(blur(turn(x), sigma, shape=shape), turn(y), rtol=0, atol=1e-12)


@given(images(channels=(3,)), sigmas, shapes)
def test_blur_treats_channels_alike(x, sigma, shape):
    alone = [blur(x[..., c], sigma, shape=shape) for c in range(3)]
    assert_allclose(blur(x, sigma, shape=shape), np.stack(alone, -1), rtol=0, atol=1e-12)


@given(st.floats(0, 4), shapes, st.integers(-9, 9), st.integers(-9, 9))
def test_blur_is_shift_equivariant_away_from_borders(sigma, shape, dy, dx):
    x = noise(80)
    moved = blur(np.roll(x, (dy, dx), (0, 1)), sigma, shape=shape)
    m = len(psf(sigma, shape)) // 2 + 9
    inner = (slice(m, -m), slice(m, -m))
    expected = np.roll(blur(x, sigma, shape=shape), (dy, dx), (0, 1))
    assert_allclose(moved[inner], expected[inner], rtol=0, atol=1e-12)


@given(st.floats(0.01, 4), shapes)
def test_blur_of_a_point_is_the_psf(sigma, shape):
    k = psf(sigma, shape)
    point = np.zeros((len(k) + 4, len(k) + 6))
    point[len(k) // 2 + 2, len(k) // 2 + 3] = 1
    assert_allclose(blur(point, sigma, shape=shape)[2:-2, 3:-3], k, rtol=0, atol=1e-14)


def quadrature_error(image, one, two):
    """Largest difference away from borders, relative to the range of the image."""
    m = int(4 * (one + two) + np.hypot(one, two) + 4)
    twice = blur(blur(image, one), two)
    return np.abs(twice - blur(image, np.hypot(one, two)))[m:-m, m:-m].max() / np.ptp(image)


@given(st.floats(1, 4), st.floats(1, 4), st.integers(0, 99))
def test_blurs_add_in_quadrature(one, two, seed):
    for image in (noise(128, seed), np.round(noise(128, seed)), CAMERA):
        assert quadrature_error(image, one, two) < 0.0003


@given(st.floats(0, 1), st.floats(0, 4))
def test_blurs_below_a_pixel_add_in_quadrature_as_far_as_documented(one, two):
    bound = 0.006 if two >= 1 else 0.07
    assert quadrature_error(np.round(noise(128)), one, two) < bound
    assert quadrature_error(CAMERA, one, two) < bound


@each_shape
@given(st.floats(0.05, 3), st.floats(0.05, 3))
def test_second_moments_add_exactly_for_every_shape(shape, one, two):
    # Away from borders, blurring n² adds σ² to it.
    m = 32
    parabola = np.broadcast_to((np.arange(-m, m + 1) / m) ** 2, (2 * m + 1, 2 * m + 1))
    twice = blur(blur(parabola, one, shape=shape), two, shape=shape)
    assert twice[m, m] * m**2 == pytest.approx(one**2 + two**2, abs=1e-7)


@given(images(), st.floats(0.1, 4), shapes)
def test_blur_in_linear_light_is_blur_between_decoding_and_encoding(x, sigma, shape):
    y = blur(x, sigma, shape=shape, linear_light=True)
    assert_array_equal(y, from_linear(blur(to_linear(x), sigma, shape=shape)))
    assert to_linear(y).mean() == pytest.approx(to_linear(x).mean(), abs=1e-7)


def test_blur_in_linear_light_keeps_highlights_brighter():
    x = np.zeros((31, 31))
    x[15, 15] = 1
    assert (blur(x, 2.0, linear_light=True) >= blur(x, 2.0)).all()


# Varying blur


@given(images(), st.floats(0, 4), shapes, st.integers(2, 30))
def test_blur_varying_of_a_constant_map_is_blur(x, sigma, shape, n_steps):
    y = blur_varying(x, np.full(x.shape[:2], sigma), shape=shape, n_steps=n_steps)
    assert_array_equal(y, blur(x, sigma, shape=shape))


@given(images(-2, 2), shapes, dtypes, st.integers(0, 99), st.booleans())
def test_blur_varying_stays_within_range(x, shape, dtype, seed, binary):
    x = (np.sign(x) if binary else x).astype(dtype)
    sigma = np.random.default_rng(seed).uniform(0, 4, x.shape[:2])
    y = blur_varying(x, sigma, shape=shape, n_steps=5)
    assert (y.shape, y.dtype) == (x.shape, dtype)
    assert y.min() >= x.min()
    assert y.max() <= x.max()


@given(st.floats(-5, 5), shapes, st.integers(0, 99))
def test_blur_varying_leaves_a_constant_alone(value, shape, seed):
    x = np.full((9, 11), value)
    sigma = np.random.default_rng(seed).uniform(0, 3, x.shape)
    assert_array_equal(blur_varying(x, sigma, shape=shape), x)


@each_shape
@pytest.mark.parametrize("n_steps", [2, 7, 24])
def test_blur_varying_has_the_second_moment_of_every_pixel(shape, n_steps):
    n = np.arange(-40, 41)
    parabola = np.broadcast_to((n / 40) ** 2, (60, 81))
    sigma = np.random.default_rng(0).uniform(0, 3, (60, 81))
    added = (blur_varying(parabola, sigma, shape=shape, n_steps=n_steps) - parabola) * 40**2
    inner = (slice(14, -14), slice(14, -14))
    assert_allclose(added[inner], sigma[inner] ** 2, atol=1e-7)


def test_blur_varying_mixes_the_two_nearest_blurs_only():
    x = noise(40)
    sigma = np.zeros((40, 40))
    sigma[:, 20:] = 3.0
    y = blur_varying(x, sigma, n_steps=9)
    assert_allclose(y[:, :20], x[:, :20], rtol=0, atol=1e-15)
    assert_allclose(y[:, 20:], blur(x, 3.0)[:, 20:], rtol=0, atol=1e-15)


def test_blur_varying_in_linear_light():
    x, sigma = noise(24), np.linspace(0, 2, 24 * 24).reshape(24, 24)
    expected = from_linear(blur_varying(to_linear(x), sigma))
    assert_allclose(blur_varying(x, sigma, linear_light=True), expected, rtol=0, atol=1e-15)
