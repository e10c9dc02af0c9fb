"""The mathematics of synthetic defocus: PSFs, linear light, blur."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from skimage import data

from skdefocus.synthesis import blur, blur_varying, from_linear, psf, to_linear

SHAPES = ("gaussian", "disc")
CAMERA = data.camera()[100:228, 150:278] / 255

each_shape = pytest.mark.parametrize("shape", SHAPES)
shapes = st.sampled_from(SHAPES)
sigmas = st.floats(0, 6)
dtypes = st.sampled_from([np.float32, np.float64])


@st.composite
def images(draw, low=0.0, high=1.0, channels=(0, 1, 3), largest=20):
    """Noise of any size, also smaller than the PSF."""
    size = draw(st.tuples(st.integers(1, largest), st.integers(1, largest)))
    c = draw(st.sampled_from(channels))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    return rng.uniform(low, high, size + ((c,) if c else ()))


def offsets(kernel):
    return np.arange(len(kernel)) - len(kernel) // 2


def noise(size=96, seed=0):
    return np.random.default_rng(seed).random((size, size))


# PSFs


@given(st.floats(1e-3, 30), shapes)
def test_psf_is_a_symmetric_distribution_of_the_variance_asked_for(sigma, shape):
    k = psf(sigma, shape)
    assert k.dtype == np.float64
    assert k.ndim == 2
    assert k.shape[0] == k.shape[1]
    assert len(k) % 2 == 1
    assert k.min() >= 0
    assert k.sum() == pytest.approx(1, abs=1e-13)
    for other in (k.T, k[::-1], k[:, ::-1]):
        assert_array_equal(k, other)
    n = offsets(k)
    assert_allclose((k.sum(0) * n**2).sum(), sigma**2, rtol=1e-9, atol=1e-11)


@each_shape
def test_psf_of_almost_nothing_is_a_point(shape):
    assert_array_equal(psf(0, shape), [[1]])
    assert_array_equal(psf(5e-5, shape), [[1]])
    k = psf(2e-4, shape)
    assert k[len(k) // 2, len(k) // 2] == pytest.approx(1, abs=1e-6)


@each_shape
def test_psf_peak_falls_as_sigma_grows(shape):
    peaks = [psf(s, shape).max() for s in np.linspace(0, 8, 60)]
    assert (np.diff(peaks) < 0).all()


@pytest.mark.parametrize("sigma", [1.5, 2.0, 4.7, 8.0])
def test_psf_gaussian_is_the_sampled_one_where_that_is_good_enough(sigma):
    k = psf(sigma)
    n = offsets(k)
    formula = np.exp(-(n**2 + n[:, None] ** 2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)
    assert_allclose(k, formula, atol=2e-3 * k.max())


@pytest.mark.parametrize("sigma", [1.0, 2.3, 6.0])
def test_psf_disc_is_flat_within_twice_sigma_and_nothing_outside(sigma):
    k = psf(sigma, "disc")
    distance = np.hypot(*np.meshgrid(offsets(k), offsets(k)))
    assert (k[distance > 2 * sigma + 0.6] == 0).all()
    assert_allclose(k[distance < 2 * sigma - 0.6], k.max())
    assert k.max() == pytest.approx(1 / (np.pi * (2 * sigma) ** 2), rel=0.15)


def test_psf_differ_in_shape_but_not_in_second_moment():
    gaussian, disc = psf(3.0), psf(3.0, "disc")
    moments = [(k.sum(0) * offsets(k) ** 2).sum() for k in (gaussian, disc)]
    kurtosis = [(k.sum(0) * offsets(k) ** 4).sum() / 3.0**4 for k in (gaussian, disc)]
    assert_allclose(moments, 9.0, rtol=1e-9)
    assert kurtosis[0] == pytest.approx(3, abs=0.05)
    assert kurtosis[1] == pytest.approx(2, abs=0.05)


@each_shape
def test_psf_that_is_written_to_spoils_no_later_one(shape):
    before = psf(1.3, shape).copy()
    psf(1.3, shape)[:] = 7
    assert_array_equal(psf(1.3, shape), before)


def test_psf_large_ones_are_not_kept():
    tracemalloc.start()
    try:
        for i in range(20):
            psf(50 + i / 10, "disc")
        assert tracemalloc.get_traced_memory()[0] < psf(50, "disc").nbytes
    finally:
        tracemalloc.stop()


# Linear light


@given(images(channels=(0,)), dtypes)
def test_linear_light_there_and_back(x, dtype):
    x = x.astype(dtype)
    atol = 3e-8 if dtype is np.float64 else 1e-6
    assert to_linear(x).dtype == from_linear(x).dtype == dtype
    assert_allclose(from_linear(to_linear(x)), x, atol=atol, rtol=0)
    assert_allclose(to_linear(from_linear(x)), x, atol=atol, rtol=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("function", [to_linear, from_linear])
def test_linear_light_is_monotone_with_exact_ends(function, dtype):
    y = function(np.linspace(0, 1, 2**16, dtype=dtype))
    assert (np.diff(y) > 0).all()
    assert (y[0], y[-1]) == (0, 1)


def test_linear_light_values_of_the_standard():
    assert_allclose(to_linear([0.02, 0.5, 0.735357]), [0.00154799, 0.21404114, 0.5], atol=1e-6)


def test_linear_light_goes_on_outside_without_nan():
    y = to_linear(np.array([-0.5, -0.06, 1.2]))
    assert (np.diff(y) > 0).all()
    assert y[-1] > 1
    assert_allclose(from_linear(y), [-0.5, -0.06, 1.2], atol=1e-12)


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
    """Largest difference, in units of the image's range, where no border is seen."""
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
    # Blurring n² adds σ² to it wherever the border is not seen.
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


# Blur that varies


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
