"""Sharpening that follows σ: it helps the subject, spares the background, and stays in bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

import skdefocus as sd
from skdefocus import _grids
from skdefocus.datasets import sample_photographs
from skdefocus.effects import noise_level, sharpen
from skdefocus.synthesis import Layer, add_noise, render_layers

_, GRAVEL, GRASS = sample_photographs(160)
NOISE = 2 / 255


def mixed():
    y, x = np.mgrid[:160, :160] - 80.0
    away = np.hypot(x, y) - 50
    layers = [Layer(0.8 * GRAVEL, 4.0), Layer(0.2 + 0.8 * GRASS, 0.7, np.clip(0.5 - away, 0, 1))]
    scene = render_layers(layers)
    clean = np.clip(scene.photograph, 0, 1)
    seen = np.clip(add_noise(clean, NOISE, random_state=0), 0, 1)
    return scene, clean, seen, away < -8, away > 16


@pytest.mark.parametrize("method", ["deconvolution", "unsharp"])
def test_helps_the_subject_and_leaves_the_background_s_noise(method):
    scene, clean, seen, subject, ground = mixed()

    def error(x):
        return float(np.mean((x - scene.sharp)[subject] ** 2))

    def noise(f):
        return (f(seen) - f(clean))[ground].std() / (seen - clean)[ground].std()

    def ours(x):
        return sharpen(x, scene.sigma, method=method)

    def plain(x):
        return np.clip(2 * x - ndimage.gaussian_filter(x, 1), 0, 1)

    assert error(ours(seen)) < 0.8 * error(seen)
    assert noise(ours) < 1.02
    assert noise(plain) > 1.3


def test_with_an_estimated_map_too():
    scene, _, seen, subject, ground = mixed()
    found = sd.AdaptiveSharpener().transform([seen])[0]
    assert np.mean((found - scene.sharp)[subject] ** 2) < np.mean(
        (seen - scene.sharp)[subject] ** 2
    )
    assert np.abs(found - seen)[ground].max() < 0.02


@settings(max_examples=20)
@given(st.floats(0, 0.1), st.floats(0, 3), st.sampled_from(["deconvolution", "unsharp"]))
def test_the_overshoot_is_bounded(overshoot, amount, method):
    image = GRASS[:48, :48].astype(np.float32)
    sigma = np.random.default_rng(0).uniform(0, 3, image.shape)
    found = sharpen(image, sigma, amount, method, overshoot=overshoot)
    low, high = ndimage.minimum_filter(image, 3), ndimage.maximum_filter(image, 3)
    room = np.minimum(overshoot, (high - low) / 2) + 1e-6
    assert np.all(found <= high + room)
    assert np.all(found >= low - room)
    assert found.min() >= 0
    assert found.max() <= 1


def test_what_changes_nothing():
    image = GRASS.astype(np.float32)
    sigma = np.full(image.shape, 1.0)
    assert_array_equal(sharpen(image, sigma, amount=0), image)
    assert_array_equal(sharpen(image, 2 * sigma), image)
    half = np.where(np.arange(160) < 80, 0.5, 3.0) * np.ones_like(sigma)
    assert_array_equal(sharpen(image, half)[:, 80:], image[:, 80:])
    flat = np.full((40, 50), 0.25, np.float32)
    assert_allclose(sharpen(flat, np.full((40, 50), 0.7)), 0.25, atol=1e-5)


@pytest.mark.parametrize("sigma", [2.0, 8.0, 20.0, 60.0])
def test_backgrounds_of_any_blur_stay(sigma):
    image = GRASS.astype(np.float32)
    away = np.arange(160) >= 80
    amounts = np.where(away, sigma, 0.7) * np.ones((160, 1))
    found = sharpen(image, amounts)
    assert_array_equal(found[:, away], image[:, away])
    assert np.abs(found - image)[:, :60].max() > 0.02


def test_tiles_do_not_show(monkeypatch):
    scene, _, seen, *_ = mixed()
    at_once = sharpen(seen, scene.sigma, noise=NOISE)
    monkeypatch.setattr(_grids, "TILE", 50)
    assert_allclose(sharpen(seen, scene.sigma, noise=NOISE), at_once, atol=4e-3)


def test_colors_change_together():
    rgb = np.stack([GRASS, 0.5 * GRASS, 0.25 + 0.5 * GRASS], axis=-1).astype(np.float32)
    found = sharpen(rgb, np.full((160, 160), 0.7))
    inside = (found > 0) & (found < 1)
    change = np.where(inside.all(axis=-1, keepdims=True), found - rgb, 0)
    assert_allclose(change[..., 0], change[..., 1], atol=1e-6)
    assert np.abs(change).max() > 0.02


@pytest.mark.parametrize("sigma", [2 / 255, 5 / 255, 0.05])
def test_noise_level(sigma):
    noisy = 0.5 + np.random.default_rng(0).normal(0, sigma, (200, 200))
    assert noise_level(noisy) == pytest.approx(sigma, rel=0.03)
    assert noise_level(np.zeros((5, 5))) == noise_level(np.zeros((1, 9))) == 1 / 255


def test_texture_is_no_noise_where_the_map_shows_blur():
    scene, _, seen, *_ = mixed()
    seen = np.where(scene.sigma > 1, seen, scene.sharp)  # noise in the background only
    assert noise_level(seen, scene.sigma) == pytest.approx(NOISE, rel=0.05)
    assert noise_level(seen) > noise_level(seen, scene.sigma)
    assert noise_level(seen, np.zeros_like(seen)) == noise_level(seen)


def test_no_rings_beside_an_outline():
    step = ndimage.gaussian_filter(np.where(np.arange(60) < 30, 0.2, 0.8) * np.ones((40, 1)), 0.8)
    found = sharpen(step, np.full(step.shape, 0.9), noise=0.001)
    flat = np.abs(np.arange(60) - 29.5) > 6
    assert np.abs(found - step)[:, flat].max() < 0.002
    assert np.abs(found - step).max() > 0.05


def test_estimator():
    rgb = np.stack([GRAVEL] * 3, axis=-1)[:80]
    found = sd.AdaptiveSharpener().fit_transform([GRAVEL, np.round(rgb * 255).astype(np.uint8)])
    assert [f.shape for f in found] == [(160, 160), (80, 160, 3)]
    assert [f.dtype for f in found] == [GRAVEL.dtype, np.uint8]
    fixed = sd.EdgeReblurEstimator()
    one = sd.AdaptiveSharpener(0.5, estimator=fixed).fit_transform([GRAVEL])[0]
    assert_array_equal(one, sharpen(GRAVEL, fixed.transform([GRAVEL])[0], 0.5))


def test_a_limit_of_few_bits():
    """Twice of it was beyond them."""
    image, sigma = GRASS[:12, :12].astype(np.float32), np.full((12, 12), 0.7)
    assert_array_equal(sharpen(image, sigma, limit=np.int8(100)), sharpen(image, sigma, limit=100))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"amount": -1}, "amount must be"),
        ({"method": "x"}, "method must be one of"),
        ({"limit": 0}, "limit must be"),
        ({"overshoot": -1}, "overshoot must be"),
        ({"noise": -1}, "noise must be"),
    ],
)
def test_wrong_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        sharpen(GRASS, np.zeros((160, 160)), **options)
    with pytest.raises(ValueError, match=message):
        sd.AdaptiveSharpener(**options).fit([])
