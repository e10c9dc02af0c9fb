"""The mathematics of synthetic defocus: PSFs, blur, layers, noise, compression."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from skimage import data

from skdefocus.synthesis import (
    Layer,
    add_noise,
    blur,
    blur_varying,
    from_linear,
    jpeg,
    psf,
    render_layers,
    to_linear,
)

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
    before = psf(1.3, shape)
    psf(1.3, shape)[:] = 7
    assert_array_equal(psf(1.3, shape), before)


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


# Layers


@given(st.permutations(range(4)), st.booleans(), st.integers(0, 99))
def test_opaque_sharp_layers_are_pasted_in_any_order(order, linear_light, seed):
    rng = np.random.default_rng(seed)
    pictures = rng.random((4, 12, 15))
    masks = rng.random((4, 12, 15)) < 0.4
    layers = [Layer(rng.random((12, 15)), 0.0)]
    layers += [Layer(pictures[k], 0.0, masks[k].astype(float)) for k in order]
    expected, index = layers[0].image.copy(), np.zeros((12, 15), int)
    for i, k in enumerate(order, start=1):
        expected[masks[k]], index[masks[k]] = pictures[k][masks[k]], i
    scene = render_layers(layers, linear_light=linear_light)
    assert_allclose(scene.photograph, expected, rtol=0, atol=4e-8)
    assert_allclose(scene.sharp, expected, rtol=0, atol=4e-8)
    assert_array_equal(scene.index, index)
    assert_array_equal(scene.sigma, 0)


@given(st.permutations(range(3)), shapes)
def test_order_of_layers_that_never_meet_does_not_matter(order, shape):
    base = np.full((20, 90), 0.3)
    layers = []
    for k in range(3):
        alpha = np.zeros((20, 90))
        alpha[:, 30 * k + 12 : 30 * k + 18] = 1
        layers.append(Layer(noise(90, k)[:20], 0.5 * k + 0.5, alpha))
    straight = render_layers([Layer(base, 0.0), *layers], shape=shape)
    other = render_layers([Layer(base, 0.0), *(layers[k] for k in order)], shape=shape)
    assert_allclose(other.photograph, straight.photograph, rtol=0, atol=1e-7)
    assert_array_equal(other.sigma, straight.sigma)


@each_shape
def test_blurred_foreground_spills_over_sharp_background(shape):
    background = 0.2 * noise(64)
    left = np.zeros((64, 64))
    left[:, :32] = 1
    scene = render_layers(
        [Layer(background, 0.0), Layer(np.ones((64, 64)), 3.0, left)],
        shape=shape,
        linear_light=False,
    )
    veil = blur(left, 3.0, shape=shape)
    assert_allclose(scene.photograph, veil + (1 - veil) * background, rtol=0, atol=1e-12)
    assert (scene.photograph[:, 32:35] > background[:, 32:35] + 0.1).all()  # light outside
    assert (scene.photograph[:, 28:32] < 1).all()  # and the wall shines through its rim
    assert_allclose(scene.photograph[:, 46:], background[:, 46:], rtol=0, atol=1e-12)
    assert_array_equal(scene.sigma, np.where(left, np.float32(3), np.float32(0)))
    assert_array_equal(scene.index, left)
    assert_allclose(scene.sharp, np.where(left, 1, background), rtol=0, atol=1e-12)


@each_shape
def test_blurred_background_does_not_spill_over_sharp_foreground(shape):
    foreground = 0.2 * noise(64)
    left = np.zeros((64, 64))
    left[:, :32] = 1
    bright = np.round(noise(64, seed=1))
    scene = render_layers(
        [Layer(bright, 3.0), Layer(foreground, 0.0, left)], shape=shape, linear_light=False
    )
    assert_array_equal(scene.photograph[:, :32], foreground[:, :32])
    assert_array_equal(scene.photograph[:, 32:], blur(bright, 3.0, shape=shape)[:, 32:])
    assert_array_equal(scene.sigma, np.where(left, np.float32(0), np.float32(3)))


@given(st.floats(0, 1), st.lists(st.floats(0, 4), min_size=2, max_size=4), shapes)
def test_surfaces_of_one_colour_show_no_edge_at_any_blur(colour, blurs, shape):
    rng = np.random.default_rng(0)
    flat = np.full((20, 20, 3), colour)
    layers = [Layer(flat, blurs[0])] + [Layer(flat, s, rng.random((20, 20))) for s in blurs[1:]]
    assert_allclose(render_layers(layers, shape=shape).photograph, colour, rtol=0, atol=1e-7)


@given(images(channels=(0, 3)), st.floats(0, 3), shapes, st.booleans())
def test_one_layer_is_blur_and_a_layer_without_coverage_nothing(x, sigma, shape, linear_light):
    one = render_layers([Layer(x, sigma)], shape=shape, linear_light=linear_light)
    expected = blur(x, sigma, shape=shape, linear_light=linear_light)
    assert_allclose(one.photograph, expected, rtol=0, atol=1e-7)
    nothing = Layer(1 - x, 2.0, np.zeros(x.shape[:2]))
    two = render_layers([Layer(x, sigma), nothing], shape=shape, linear_light=linear_light)
    assert_allclose(two.photograph, one.photograph, rtol=0, atol=1e-7)
    assert_array_equal(two.sigma, one.sigma)
    assert_array_equal(two.index, 0)


def test_layers_may_have_a_sigma_per_pixel():
    x, ramp = noise(32), np.linspace(0, 3, 32 * 32).reshape(32, 32)
    alpha = np.zeros((32, 32))
    alpha[:, 16:] = 1
    scene = render_layers([Layer(x, ramp), Layer(x, 3 - ramp, alpha)], linear_light=False)
    assert_allclose(scene.photograph[:, 0], blur_varying(x, ramp)[:, 0], rtol=0, atol=1e-12)
    assert_array_equal(scene.sigma, np.where(alpha, 3 - ramp, ramp).astype(np.float32))


def test_scene_types():
    x = noise(16).astype(np.float32)
    alpha = np.zeros((16, 16), np.float32)
    scene = render_layers([Layer(x, 1), Layer(x, np.float64(2), alpha)])
    assert scene.photograph.dtype == scene.sharp.dtype == scene.sigma.dtype == np.float32
    assert scene.index.dtype == np.intp
    mixed = render_layers([Layer(x, 1), Layer(x.astype(float), 2, alpha)])
    assert mixed.photograph.dtype == mixed.sharp.dtype == np.float64
    with pytest.raises(dataclasses.FrozenInstanceError):
        scene.sigma = None


# Noise and compression


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


@pytest.mark.parametrize("colour", [False, True])
def test_jpeg_error_falls_as_quality_rises(colour):
    x = data.astronaut()[:128, 100:260] / 255 if colour else CAMERA
    decoded = [jpeg(x, q) for q in (5, 15, 40, 70, 90, 100)]
    errors = [np.sqrt(((y - x) ** 2).mean()) for y in decoded]
    assert (np.diff(errors) < 0).all()
    assert errors[-1] < 0.02
    assert all(y.shape == x.shape and y.min() >= 0 and y.max() <= 1 for y in decoded)


# All of them


CALLS = {
    "to_linear": to_linear,
    "from_linear": from_linear,
    "blur": lambda x: blur(x, 1.2),
    "blur disc": lambda x: blur(x, 1.2, shape="disc"),
    "blur linear": lambda x: blur(x, 1.2, linear_light=True),
    "blur_varying": lambda x: blur_varying(x, np.linspace(0, 2, 130).reshape(10, 13)),
    "render_layers": lambda x: render_layers([Layer(x, 1), Layer(x, 2, x[..., 0])]).photograph,
    "add_noise": lambda x: add_noise(x, 0.1, 0.1, random_state=0),
    "jpeg": lambda x: jpeg(x, 80),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_type_and_memory_layout(call, dtype):
    x = np.random.default_rng(0).random((10, 13, 3)).astype(dtype)
    before = x.copy()
    x.flags.writeable = False
    y = call(x)
    assert y.dtype == dtype
    assert y.shape == x.shape
    assert not np.shares_memory(x, y)
    assert_array_equal(x, before)
    assert_array_equal(call(np.asfortranarray(x)), y)
    assert_array_equal(call(x[::-1].copy()[::-1]), y)
    swapped = x.astype(x.dtype.newbyteorder())
    assert_allclose(call(swapped).astype(dtype), y, rtol=0, atol=1e-6)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, complex, object, str])
def test_what_is_not_float_is_refused(call, dtype):
    with pytest.raises(TypeError, match=r"image must be float, got dtype"):
        call(np.zeros((10, 13, 3)).astype(dtype))


X = np.full((6, 7), 0.5)
WIDE = Layer(X, 1.0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: psf(-1), ValueError, "sigma must be finite and >= 0, got -1"),
        (lambda: psf(np.nan), ValueError, "sigma must be finite"),
        (lambda: psf(np.inf), ValueError, "sigma must be finite"),
        (lambda: psf("2"), TypeError, "sigma must be a number, got '2'"),
        (lambda: psf(None), TypeError, "sigma must be a number"),
        (lambda: psf(1, "square"), ValueError, "shape must be one of 'gaussian', 'disc'"),
        (lambda: blur(X, -0.1), ValueError, "sigma"),
        (lambda: blur(X, np.ones(1)), TypeError, "sigma"),
        (lambda: blur(X, 0, shape="box"), ValueError, "shape must be one of .* got 'box'"),
        (lambda: blur(X[0], 1), ValueError, r"image must have shape .* got \(7,\)"),
        (lambda: blur(X[None, None], 1), ValueError, "image must have shape"),
        (lambda: blur(np.zeros((0, 4)), 1), ValueError, "image must have shape"),
        (lambda: blur(X * np.nan, 1), ValueError, "image must be finite"),
        (lambda: blur(X + np.inf, 0), ValueError, "image must be finite"),
        (lambda: blur(X * 255, 1, linear_light=True), ValueError, r"image must be within \[0, 1\]"),
        (lambda: blur_varying(X, np.ones((7, 6))), ValueError, r"sigma must have .*\(6, 7\)"),
        (lambda: blur_varying(X, 1.0), ValueError, "sigma must have the image's shape"),
        (lambda: blur_varying(X, X - 1), ValueError, "sigma must be >= 0 everywhere, got -0.5"),
        (lambda: blur_varying(X, X * np.nan), ValueError, "sigma must be finite"),
        (lambda: blur_varying(X, X.astype(str)), TypeError, "sigma must be float"),
        (lambda: blur_varying(X, X, n_steps=1), ValueError, "n_steps must be >= 2, got 1"),
        (lambda: blur_varying(X, X, n_steps=2.5), TypeError, "n_steps must be an integer"),
        (lambda: blur_varying(X, X, shape="box"), ValueError, "shape must be one of"),
        (lambda: blur_varying(X[0], X[0]), ValueError, "image must have shape"),
        (lambda: render_layers([]), ValueError, "layers must hold at least one"),
        (lambda: render_layers([X]), TypeError, r"layers\[0\] must be a Layer, got ndarray"),
        (lambda: render_layers([Layer(X, 1, X)]), ValueError, r"layers\[0\] is the background"),
        (lambda: render_layers([WIDE, WIDE]), ValueError, r"layers\[1\] .* must not have alpha=No"),
        (lambda: render_layers([WIDE, Layer(X[1:], 1, X[1:])]), ValueError, "images of one shape"),
        (lambda: render_layers([WIDE, Layer(X, 1, X[1:])]), ValueError, r"layers\[1\].alpha must"),
        (lambda: render_layers([WIDE, Layer(X, 1, X * 3)]), ValueError, r"layers\[1\].alpha must"),
        (lambda: render_layers([WIDE, Layer(X, -1, X)]), ValueError, r"layers\[1\].sigma must"),
        (lambda: render_layers([Layer(X, X[1:])]), ValueError, r"layers\[0\].sigma must have"),
        (lambda: render_layers([Layer(X, None)]), TypeError, r"layers\[0\].sigma must be a number"),
        (lambda: render_layers([Layer(X * 255, 1)]), ValueError, r"layers\[0\].image must be with"),
        (lambda: render_layers([Layer(X[0], 1)]), ValueError, r"layers\[0\].image must have"),
        (lambda: render_layers([WIDE], shape="box"), ValueError, "shape must be one of"),
        (lambda: add_noise(X, -0.1), ValueError, "read must be finite and >= 0"),
        (lambda: add_noise(X, 0.1, -0.1), ValueError, "shot must be finite and >= 0"),
        (lambda: add_noise(X, np.nan), ValueError, "read must be finite"),
        (lambda: add_noise(X * 255, 0.1), ValueError, r"image must be within \[0, 1\]"),
        (lambda: jpeg(X, 0), ValueError, "quality must be from 1 to 100, got 0"),
        (lambda: jpeg(X, 101), ValueError, "quality"),
        (lambda: jpeg(X, 50.5), TypeError, "quality must be an integer"),
        (lambda: jpeg(X[0], 50), ValueError, "image must have shape"),
        (lambda: jpeg(np.zeros((4, 4, 4)), 50), ValueError, "image must have shape"),
        (lambda: jpeg(np.zeros((0, 4)), 50), ValueError, "image must have shape"),
        (lambda: jpeg(X - 1, 50), ValueError, r"image must be within \[0, 1\]"),
        (lambda: jpeg(X * np.nan, 50), ValueError, "image must be finite"),
    ],
)
def test_wrong_parameters_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
