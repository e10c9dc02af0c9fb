"""Layered scenes, and the types and errors of all functions of synthesis."""

import dataclasses

import numpy as np
import pytest
from helpers.blur_cases import SHAPES, each_shape, images, noise, shapes
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

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
    assert (scene.photograph[:, 28:32] < 1).all()  # and the background shows through the rim
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
def test_surfaces_of_one_color_show_no_edge_at_any_blur(color, blurs, shape):
    rng = np.random.default_rng(0)
    flat = np.full((20, 20, 3), color)
    layers = [Layer(flat, blurs[0])] + [Layer(flat, s, rng.random((20, 20))) for s in blurs[1:]]
    assert_allclose(render_layers(layers, shape=shape).photograph, color, rtol=0, atol=1e-7)


@given(images(), st.floats(0, 3), shapes, st.booleans())
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


def test_a_sigma_per_pixel_is_blurred_by_the_shape_asked_for():
    image, sigma = noise(40), np.linspace(0, 3, 1600).reshape(40, 40)
    for shape in SHAPES:
        scene = render_layers([Layer(image, sigma)], shape=shape, linear_light=False)
        assert_array_equal(scene.photograph, blur_varying(image, sigma, shape=shape))


def test_a_surface_is_shown_where_it_covers_more_than_half():
    alpha = np.array([[0.0, 0.49, 0.5, 0.51, 1.0]])
    scene = render_layers([Layer(np.zeros((1, 5)), 2.0), Layer(np.ones((1, 5)), 1.0, alpha)])
    assert_array_equal(scene.index, [[0, 0, 0, 1, 1]])
    assert_array_equal(scene.sigma, [[2, 2, 2, 1, 1]])


def test_layers_are_mixed_in_linear_light_unless_told_otherwise():
    layers = [Layer(np.zeros((4, 4)), 0.0), Layer(np.ones((4, 4)), 0.0, np.full((4, 4), 0.5))]
    half = from_linear(np.full((4, 4), 0.5))
    assert_allclose(render_layers(layers).photograph, half, atol=1e-12)
    assert_allclose(render_layers(layers).sharp, half, atol=1e-12)
    assert_allclose(render_layers(layers, linear_light=False).photograph, 0.5, atol=1e-12)


@pytest.mark.parametrize("linear_light", [False, True])
def test_rounding_errors_of_the_input_do_not_leave_the_range(linear_light):
    below, above = np.full((3, 3), -9e-5), np.full((3, 3), 1 + 9e-5)
    for image in (below, above):
        for layers in ([Layer(image, 0.0)], [Layer(image, 0.0), Layer(image, 0.0, above)]):
            scene = render_layers(layers, linear_light=linear_light)
            for picture in (scene.photograph, scene.sharp):
                assert picture.min() >= 0
                assert picture.max() <= 1
        noisy = add_noise(image, 0.0, 0.1, random_state=0)
        assert noisy.min() >= 0
        assert noisy.max() <= 1
        assert_array_equal(jpeg(image, 100), np.round(image))


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


# All functions


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
def test_other_types_are_rejected(call, dtype):
    with pytest.raises(TypeError, match=r"image must be float, got dtype"):
        call(np.zeros((10, 13, 3)).astype(dtype))


X = np.full((6, 7), 0.5)
WIDE = Layer(X, 1.0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: psf(-1), ValueError, "sigma must be finite and >= 0.*, got -1"),
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
        (lambda: blur_varying(X, 1.0), ValueError, "sigma must have shape"),
        (lambda: blur_varying(X, X - 1), ValueError, "sigma must be >= 0 everywhere, got -0.5"),
        (lambda: blur_varying(X, X * np.nan), ValueError, "sigma must be finite"),
        (lambda: blur_varying(X, X.astype(str)), TypeError, "sigma must hold real numbers"),
        (lambda: blur_varying(X, X, n_steps=1), ValueError, "n_steps must be >= 2, got 1"),
        (lambda: blur_varying(X, X, n_steps=2.5), TypeError, "n_steps must be an integer"),
        (lambda: blur_varying(X, X, shape="box"), ValueError, "shape must be one of"),
        (lambda: blur_varying(X[0], X[0]), ValueError, "image must have shape"),
        (lambda: render_layers([]), ValueError, "^layers must hold at least one Layer$"),
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
        (lambda: add_noise(X, 1.1e6), ValueError, "^read must be .*, got 1100000"),
        (lambda: add_noise(X, 0, 1.1e6), ValueError, "^shot must be .*, got 1100000"),
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
