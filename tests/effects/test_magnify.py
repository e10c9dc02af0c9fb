"""Magnified defocus: apertures, the renderer against true renders, the paper's formula."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

import skdefocus as sd
from skdefocus import _grids
from skdefocus.datasets import sample_photographs
from skdefocus.effects import _layers, aperture_psf, magnify, paper_magnify, paper_weight
from skdefocus.effects._map_edges import steepen_edges
from skdefocus.synthesis import Layer, blur, render_layers

_, GRAVEL, GRASS = sample_photographs(128)
APERTURES = ("disc", "polygon", "gaussian")


def scene(k, shape="disc"):
    y, x = np.mgrid[:128, :128] - 64.0
    alpha = np.clip(30.5 - np.hypot(x, y), 0, 1)
    ramp = np.linspace(1.5, 3, 128)[:, None] * np.ones((128, 128))
    layers = [Layer(0.7 * GRAVEL, k * ramp), Layer(0.3 + 0.7 * GRASS, 0.0, alpha)]
    return render_layers(layers, shape=shape)


@given(st.floats(0, 12), st.sampled_from(APERTURES), st.integers(3, 12))
def test_apertures_are_psfs_of_that_sigma(sigma, aperture, blades):
    kernel = aperture_psf(sigma, aperture, blades)
    assert kernel.shape[0] == kernel.shape[1]
    assert len(kernel) % 2 == 1
    assert kernel.min() >= 0
    assert_allclose(kernel.sum(), 1)
    n = np.arange(len(kernel)) - len(kernel) // 2
    if sigma > 0.8:
        for axis in (0, 1):
            profile = kernel.sum(axis=axis)
            assert_allclose(profile @ n, 0, atol=0.05 * sigma)
            assert_allclose(profile @ n**2, sigma**2, rtol=0.05, atol=0.12)


def test_a_square_aperture_has_corners_and_even_light():
    kernel = aperture_psf(6, "polygon", 4)
    lit = kernel > 0.99 * kernel.max()
    assert lit.sum() == pytest.approx((6 * np.sqrt(12)) ** 2, rel=0.2)


def peak(function, *args):
    """Most memory in bytes that a call needs."""
    tracemalloc.start()
    try:
        function(*args)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("blades", [3, 6])
def test_a_large_polygon_needs_little_more_memory_than_it_has(blades):
    """It was drawn eight times as large in both directions."""
    size = aperture_psf(40, "polygon", blades).nbytes
    assert peak(aperture_psf, 40, "polygon", blades) < 5 * size


@pytest.mark.parametrize("k", [1.5, 2.0, 3.0])
def test_matches_the_true_render_better_than_the_alternatives(k):
    seen, truth = scene(1), np.clip(scene(k).photograph, 0, 1)
    photo = np.clip(seen.photograph, 0, 1)
    ours = sd.metrics.psnr(magnify(photo, seen.sigma, k), truth)
    paper = sd.metrics.psnr(paper_magnify(photo, seen.sigma, k), truth)
    away = (seen.sigma > 1).astype(float)
    mixed = away * blur(photo, 2.2 * np.sqrt(k**2 - 1)) + (1 - away) * photo
    assert ours > paper + 3
    assert ours > sd.metrics.psnr(mixed, truth) + 3


def test_the_subject_stays_and_does_not_bleed():
    seen = scene(1)
    photo = np.clip(seen.photograph, 0, 1).astype(np.float32)
    found = magnify(photo, seen.sigma, 3)
    assert_array_equal(found[seen.sigma == 0], photo[seen.sigma == 0])
    # A white subject on black: the background stays black.
    white = np.where(seen.sigma == 0, 1.0, 0.0).astype(np.float32)
    assert magnify(white, seen.sigma, 4)[seen.sigma > 0].max() < 0.02


def test_tiles_do_not_show(monkeypatch):
    seen = scene(1)
    photo = np.clip(seen.photograph, 0, 1).astype(np.float32)
    whole = magnify(photo, seen.sigma, 2)
    monkeypatch.setattr(_grids, "TILE", 50)
    assert_allclose(magnify(photo, seen.sigma, 2), whole, atol=2e-3)
    assert np.abs(magnify(photo, seen.sigma, 2) - whole).mean() < 1e-5


def test_memory_beside_the_tiles(monkeypatch):
    monkeypatch.setattr(_grids, "TILE", 64)
    sigma = np.where(np.arange(768) < 384, 0.3, 2.0) * np.ones((768, 1), np.float32)
    photo = np.zeros((768, 768, 3), np.float32)
    magnify(photo[:99, :99], sigma[:99, :99])
    assert peak(magnify, photo, sigma.astype(np.float32)) < 40 * sigma.size


@pytest.mark.parametrize("sigma", [4.0, 10.0, 30.0, 60.0])
def test_blurs_of_any_size_add_in_quadrature(sigma):
    """At full size, and reduced by up to eight."""
    photo = np.kron(GRASS[::4, ::4], np.ones((16, 16))).astype(np.float32)
    found = magnify(photo, np.full(photo.shape, sigma), 2)
    expected = blur(photo, sigma * np.sqrt(3), shape="disc", linear_light=True)
    assert np.abs(found - expected).max() < 0.012
    assert sd.metrics.psnr(found, expected) > 50


@pytest.mark.parametrize("sigma", [10.0, 20.0, 50.0])
def test_a_strongly_blurred_background_near_the_subject(sigma):
    """It had less blur there, down to none beside the subject: more than 0.43 of the error."""
    seen, truth = large_scene(sigma), large_scene(2 * sigma)
    photo = np.clip(seen.photograph, 0, 1).astype(np.float32)
    found = magnify(photo, seen.sigma, 2)
    distance = ndimage.distance_transform_edt(seen.sigma > 0)
    for low, high in ((2, 20), (20, 60), (60, 999)):
        ring = (distance > low) & (distance <= high)
        error, before = (np.mean((x - truth.photograph)[ring] ** 2) for x in (found, photo))
        assert error < 0.32 * before


def large_scene(sigma):
    y, x = np.mgrid[:256, :256] - 128.0
    alpha = np.clip(50.5 - np.hypot(x, y), 0, 1)
    back = np.kron(GRAVEL[::2, ::2], np.ones((4, 4)))
    front = np.kron(GRASS[::2, ::2], np.ones((4, 4)))
    layers = [Layer(0.7 * back, sigma), Layer(0.3 + 0.7 * front, 0.0, alpha)]
    return render_layers(layers, shape="disc")


def test_reduced_layers_look_like_those_at_full_size(monkeypatch):
    """On a floor from the subject to 40 px; the largest additional blur is 69 px."""
    photo = np.kron(GRASS[::2, ::2], np.ones((5, 4))).astype(np.float32)[:300, :250]
    sigma = np.linspace(0, 40, 300)[:, None] * np.ones((300, 250))
    found = magnify(photo, sigma, 2)
    monkeypatch.setattr(_layers, "REDUCED_SIGMA", 1e9)
    assert_allclose(found, magnify(photo, sigma, 2), atol=0.02)


def test_no_tiles_show_where_blur_is_strong(monkeypatch):
    seen = large_scene(30)
    photo = np.clip(seen.photograph, 0, 1).astype(np.float32)
    at_once = magnify(photo, seen.sigma, 2)
    monkeypatch.setattr(_grids, "TILE", 100)
    assert_allclose(magnify(photo, seen.sigma, 2), at_once, atol=5e-3)


@pytest.mark.parametrize("sigma", [2.0, 20.0, 60.0, 400.0])
def test_memory_does_not_grow_with_blur(monkeypatch, sigma):
    """The tiles and their borders alone took more than this."""
    monkeypatch.setattr(_grids, "TILE", 64)
    amount = np.where(np.arange(512) < 256, 0.3, sigma) * np.ones((512, 1))
    photo = np.zeros((512, 512, 3), np.float32)
    magnify(photo[:99, :99], amount[:99, :99])
    assert peak(magnify, photo, amount.astype(np.float32)) < 60 * amount.size


def test_highlights_become_discs():
    dots = np.zeros((64, 64), np.float32)
    dots[32, 32] = 1
    found = sd.synthesis.to_linear(magnify(dots, np.full((64, 64), 2.0), 3, in_focus=0))
    lit = found > 0.5 * found.max()
    radius = 2 * 2 * np.sqrt(8)  # a disc of radius R has σ = R / 2
    assert lit.sum() == pytest.approx(np.pi * radius**2, rel=0.1)
    assert found[32, 32] == pytest.approx(found[32, 38], rel=0.05)


@given(st.integers(0, 1000), st.integers(1, 20))
def test_edges_stay_within_their_windows(seed, radius):
    sigma = ndimage.gaussian_filter(np.random.default_rng(seed).normal(2, 30, (40, 50)), 6)
    sigma = np.abs(sigma).astype(np.float32)
    found = steepen_edges(sigma, radius)
    size = 2 * radius + 1
    assert np.all(found >= ndimage.minimum_filter(sigma, size) - 1e-5)
    assert np.all(found <= ndimage.maximum_filter(sigma, size) + 1e-5)


def test_slopes_become_steep_and_the_rest_stays():
    step = np.where(np.arange(60) < 30, 0.3, 3.5) * np.ones((20, 60))
    assert_allclose(steepen_edges(step, 12), step, atol=1e-6)
    slope = ndimage.gaussian_filter1d(step, 4, axis=1)
    found = steepen_edges(slope, 12)
    between = [np.count_nonzero((x[10] > 0.8) & (x[10] < 3.0)) for x in (slope, found)]
    assert between[1] <= between[0] // 3
    floor = np.linspace(20, 30, 60) * np.ones((20, 60))  # of a pixel or two, but no outline
    assert_allclose(steepen_edges(floor, 12), floor, atol=1e-6)
    plane = np.linspace(0, 2, 60) * np.ones((20, 60))  # less than a pixel within any window
    assert_allclose(steepen_edges(plane, 12), plane, atol=1e-6)
    assert_array_equal(steepen_edges(slope, 0), slope.astype(np.float32))


def test_a_subject_survives_a_soft_map():
    seen = scene(1)
    photo = np.clip(seen.photograph, 0, 1).astype(np.float32)
    soft = ndimage.gaussian_filter(seen.sigma, 4)
    inside = seen.sigma == 0

    def harm(radius):
        found = magnify(photo, soft, 3, edge_radius=radius)
        return float(np.mean((found - photo)[inside] ** 2))

    assert harm(12) < 0.5 * harm(0)


@pytest.mark.parametrize("in_levels", [False, True])
def test_no_glow_around_the_subject_where_the_map_is_soft(in_levels):
    """Smoothed in σ or in levels; the subject's rim went into a background of 20 px."""
    seen, truth = large_scene(20), large_scene(40)
    photo = np.clip(seen.photograph, 0, 1).astype(np.float32)
    if in_levels:
        level = ndimage.gaussian_filter(np.log(np.hypot(seen.sigma, 0.5)), 4)
        soft = np.sqrt(np.maximum(np.exp(2 * level) - 0.25, 0))
    else:
        soft = ndimage.gaussian_filter(seen.sigma, 4)
    found = magnify(photo, soft, 2)
    exact = magnify(photo, seen.sigma, 2)
    quality, best = (sd.metrics.psnr(x, truth.photograph) for x in (found, exact))
    assert quality > best - 4


def test_what_changes_nothing():
    photo = GRAVEL.astype(np.float32)
    assert_array_equal(magnify(photo, np.full((128, 128), 3.0), 1.0), photo)
    assert_array_equal(magnify(photo, np.zeros((128, 128)), 5.0), photo)
    flat = np.full((40, 40), 0.3, np.float32)
    sigma = np.random.default_rng(0).uniform(0, 4, (40, 40))
    assert_allclose(magnify(flat, sigma, 3), 0.3, atol=1e-5)


@given(st.floats(0.01, 4), st.floats(0.1, 5))
def test_the_weight_s_anchors(low, step):
    high = low + step
    weights = paper_weight([low / 10, high / 10, 0.0, 1.0], (low, high))
    assert_allclose(weights[:2], [0.999, 0.001], rtol=1e-6)
    assert weights[2] >= 0.999
    assert weights[3] == 0


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_weight_falls_with_blur(a, b):
    assert (paper_weight(a) >= paper_weight(b)) == (a <= b) or paper_weight(a) == paper_weight(b)


def test_estimator():
    rgb = np.stack([GRAVEL] * 3, axis=-1)[:80]
    batch = [GRAVEL, np.round(rgb * 255).astype(np.uint8)]
    for method in ("layers", "paper"):
        found = sd.DefocusMagnifier(method=method).fit_transform(batch)
        assert [f.shape for f in found] == [(128, 128), (80, 128, 3)]
        assert [f.dtype for f in found] == [GRAVEL.dtype, np.uint8]
        assert 0 <= found[0].min() <= found[0].max() <= 1
    fixed = sd.EdgeReblurEstimator()
    one = sd.DefocusMagnifier(3, estimator=fixed).fit_transform([GRAVEL])[0]
    assert_array_equal(one, magnify(GRAVEL, fixed.transform([GRAVEL])[0], 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": 0.5}, "strength must be"),
        ({"aperture": "star"}, "aperture must be one of"),
        ({"blades": 2}, "blades must be"),
        ({"in_focus": -1}, "in_focus must be"),
        ({"edge_radius": -1}, "edge_radius must be"),
    ],
)
def test_wrong_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        magnify(GRAVEL, np.zeros((128, 128)), **options)
    with pytest.raises(ValueError, match=message):
        sd.DefocusMagnifier(**options).fit([])


@pytest.mark.parametrize(
    ("name", "small", "value"), [("edge_radius", np.int8(100), 100), ("strength", np.int8(12), 12)]
)
def test_numbers_of_few_bits(name, small, value):
    """Twice the radius, or the strength squared, was beyond them."""
    photo, sigma = GRAVEL[:8].astype(np.float32), np.linspace(0, 4, 128) * np.ones((8, 1))
    found = magnify(photo, sigma, **{name: small})
    assert_array_equal(found, magnify(photo, sigma, **{name: value}))


def test_blurs_that_are_too_large():
    """The message was of a σ that nobody had passed."""
    sigma = np.where(np.arange(16) < 8, 0.0, 20.0) * np.ones((16, 1))
    message = "strength times sigma must be at most 1000 pixels, got 100 times 20; lower strength"
    for function in (magnify, paper_magnify):
        with pytest.raises(ValueError, match=message):
            function(GRAVEL[:16, :16], sigma, 100)
    with pytest.raises(ValueError, match="strength times sigma"):
        magnify(GRAVEL[:16, :16], 1e37 * sigma, 100)  # beyond float32


def test_wrong_maps_and_anchors():
    for sigma, error in (
        (np.zeros((3, 3)), ValueError),
        (np.full((128, 128), -1.0), ValueError),
        (np.full((128, 128), np.nan), ValueError),
        (np.full((128, 128), "a"), TypeError),
    ):
        with pytest.raises(error, match="sigma must"):
            magnify(GRAVEL, sigma)
    with pytest.raises(ValueError, match="anchors must ascend"):
        paper_weight(0.5, (2, 1))
    with pytest.raises(ValueError, match="method must be one of"):
        sd.DefocusMagnifier(method="x").fit([])
