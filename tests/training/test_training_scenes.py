"""Scenes: the blur that is promised is the blur that is there, and so are the labels of cells."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

from skdefocus import synthesis
from skdefocus.training import scenes
from skdefocus.training.levels import CAMERA_SIGMA, MAX_SIGMA, N_LEVELS, sigma_of_level
from skdefocus.training.scenes import CELL, TENTHS, Conditions, SceneMaker, Surface, cell_labels

TOP = N_LEVELS - 1
#: Nothing happens in a scene, unless it is said.
NOTHING = Conditions(**dict.fromkeys(vars(Conditions()), 0.0))


def maker_of(size=32, seed=0, **shares):
    return SceneMaker(size, replace(NOTHING, **shares), np.random.default_rng(seed))


def noise_window(n, seed=0):
    return np.random.default_rng(seed).random((n, n)).astype(np.float32)


def pick_of(maker, segments=4):
    """Windows of noise, with stripes as segments; the other photograph is another noise."""
    n = maker.window
    regions = np.broadcast_to(np.arange(n) * segments // n, (n, n)).astype(np.uint16)
    return lambda other: (noise_window(n, 1 + other), regions)


# Blur


@pytest.mark.parametrize("shape", ["gaussian", "disc"])
@pytest.mark.parametrize("level", [0.0, 3.5, 9.0, 15.0, 19.0])
def test_blur_through_the_spectrum_is_blur(shape, level):
    image = noise_window(160)
    found = scenes.blur(image, level, shape)
    expected = synthesis.blur(image, float(sigma_of_level(level)), shape=shape)
    inner = slice(48, -48)
    assert found.dtype == np.float32
    assert_allclose(found[inner, inner], expected[inner, inner], atol=1e-5)


@pytest.mark.parametrize("shape", ["gaussian", "disc"])
def test_a_kernel_larger_than_the_window_wraps_around(shape):
    image = noise_window(48)
    level = 24.0  # some 18 pixels
    kernel = synthesis.psf(float(sigma_of_level(level)), shape)
    assert len(kernel) > 48
    tiled = np.tile(image.astype(np.float64), (5, 5))
    r, expected = len(kernel) // 2, np.zeros((48, 48))
    for (i, j), weight in np.ndenumerate(kernel):
        expected += weight * tiled[96 + i - r :, 96 + j - r :][:48, :48]
    assert_allclose(scenes.blur(image, level, shape), expected, atol=1e-5)


@pytest.mark.parametrize("shape", ["gaussian", "disc"])
def test_on_a_slope_every_pixel_has_the_second_moment_of_its_sigma(shape):
    n = 160
    t = np.linspace(-1, 1, n, dtype=np.float64)
    parabola = np.broadcast_to(t**2, (n, n)).astype(np.float64)
    level = np.linspace(2, 8, n, dtype=np.float32)[:, None] * np.ones((1, n), np.float32)
    added = (scenes.blur(parabola, level, shape) - parabola) / (t[1] - t[0]) ** 2
    inner = slice(24, -24)
    assert_allclose(added[inner, inner], (sigma_of_level(level) ** 2)[inner, inner], atol=0.02)


# Which surfaces there are


def test_a_scene_of_one_surface_has_one_level_and_all_of_them_occur():
    levels = []
    for seed in range(300):
        maker = maker_of(seed=seed)
        (surface,) = maker.compose(pick_of(maker))
        assert surface.alpha is None
        levels.append(surface.level)
    tenths = np.array(levels) * TENTHS
    assert_allclose(tenths, np.round(tenths), atol=1e-6)
    assert (min(levels), max(levels)) == (0, TOP)
    counts = np.bincount(np.round(levels).astype(int), minlength=N_LEVELS)
    assert counts.min() >= 3  # of 15 expected
    assert counts.max() <= 35


def test_outlines_cut_one_photograph_in_two():
    for seed in range(20):
        maker = maker_of(seed=seed, outline=1)
        back, front = maker.compose(pick_of(maker))[:2]
        assert set(np.unique(front.alpha)) == {0, 1}
        assert_array_equal(front.image, pick_of(maker)(False)[0])
        # The background shows the photograph where nothing is in front of it.
        behind = front.alpha == 0
        assert_array_equal(back.image[behind], front.image[behind])


def test_pasted_layers_show_another_photograph():
    for seed in range(10):
        maker = maker_of(seed=seed, layers=1)
        back, *front = maker.compose(pick_of(maker))
        assert back.alpha is None
        assert 1 <= len(front) <= 3
        for surface in front:
            assert surface.alpha.shape == (maker.window, maker.window)
            assert_array_equal(surface.image, pick_of(maker)(True)[0])


def test_one_surface_is_exactly_in_focus():
    for seed in range(20):
        maker = maker_of(seed=seed, layers=1, in_focus=1)
        levels = [s.level for s in maker.compose(pick_of(maker))]
        assert any(np.ndim(level) == 0 and level == 0 for level in levels)


def test_wide_blur_is_beyond_the_last_level_and_labelled_with_it():
    maker = maker_of(wide=1)
    sigmas = [sigma_of_level(maker.level()) for _ in range(50)]
    assert min(sigmas) >= MAX_SIGMA - 0.1
    assert max(sigmas) > 16
    assert max(sigmas) <= scenes.WIDEST * 1.02
    _, label = maker_of(wide=1).draw(pick_of(maker))
    assert_array_equal(label, TOP * TENTHS)


def test_sigma_of_a_plane_is_linear_in_the_distance_from_focus():
    kinks = 0
    for seed in range(20):
        maker = maker_of(seed=seed, plane=1)
        sigma = sigma_of_level(maker.plane())
        assert sigma.min() >= 0
        for axis in (0, 1):
            second = np.abs(np.diff(sigma, n=2, axis=axis))
            # Zero but where the plane goes through the focus, at two pixels of a line at most.
            assert (second > 1e-3 + 0.02 * sigma.max()).sum() <= 3 * maker.window
        kinks += sigma.min() < 0.05
    assert kinks > 5


def test_lamps_and_highlights_are_brighter_than_white():
    plain, lit = maker_of(), maker_of(lamps=1)
    white = max(s.image.max() for s in plain.compose(pick_of(plain)))
    assert white <= 1
    assert max(s.image.max() for s in lit.compose(pick_of(lit))) > 1
    bright = maker_of(highlights=1)
    assert max(s.image.max() for s in bright.compose(pick_of(bright))) > 1


# What is seen


def test_at_an_occluding_edge_the_label_is_that_of_what_is_seen():
    maker = maker_of(96)
    n = maker.window
    half = np.broadcast_to((np.arange(n) < n // 2).astype(np.float32), (n, n))
    layers = [
        Surface(np.zeros((n, n), np.float32), None, 12.0),
        Surface(np.ones((n, n), np.float32), half, 3.0),
    ]
    seen, level = maker.render(layers, "gaussian", False)
    inner = slice(48, -48)  # the window is periodic
    seen, level = seen[inner, inner], level[inner, inner]
    assert 0.2 < (seen > 0.98).mean() < 0.8
    assert_array_equal(level[seen > 0.98], 3)
    assert_array_equal(level[seen < 0.02], 12)


def test_a_surface_over_one_of_the_same_blur_does_not_show():
    maker = maker_of(64)
    image = noise_window(maker.window)
    alpha = (noise_window(maker.window, 5) > 0.5).astype(np.float32)
    layers = [Surface(np.full_like(image, 0.5), None, 6.0)]
    alone, _ = maker.render(layers, "disc", False)
    both, level = maker.render([*layers, Surface(layers[0].image, alpha, 6.0)], "disc", False)
    assert_allclose(both, alone, atol=1e-5)
    assert_array_equal(level, 6)


@pytest.mark.parametrize("shares", [{}, {"noise": 1, "jpeg": 1, "sharpened": 1, "denoised": 1}])
def test_a_scene_is_bytes_and_labels_in_tenths(shares):
    maker = maker_of(64, plane=1, **shares)
    crop, label = maker.draw(pick_of(maker))
    assert crop.shape == (64, 64)
    assert crop.dtype == label.dtype == np.uint8
    assert label.shape == (64 // CELL, 64 // CELL)
    assert label.max() <= TOP * TENTHS
    assert len(np.unique(label)) > 3


@pytest.mark.parametrize("kind", ["layers", "outline", "plane", "lamps", "enlarged"])
def test_a_seed_draws_one_scene(kind):
    def draw(seed):
        maker = SceneMaker(32, replace(Conditions(), **{kind: 1}), np.random.default_rng(seed))
        return maker.draw(pick_of(maker))

    for one, other in zip(draw(3), draw(3), strict=True):
        assert_array_equal(one, other)
    assert (draw(3)[0] != draw(4)[0]).any()


def test_enlarged_scenes_have_the_blur_of_the_enlargement_too():
    """Sharp at the camera's pixels is ½ px there; enlarged by up to 2, at most √¾ px more here."""
    labels = []
    for seed in range(40):
        maker = maker_of(seed=seed, enlarged=1, layers=1, in_focus=1)
        labels.append(maker.draw(pick_of(maker))[1].min() / TENTHS)
    sigma = sigma_of_level(np.array(labels))
    assert sigma.min() >= CAMERA_SIGMA * np.sqrt(1.2**2 - 1) - 0.03
    assert np.median(sigma) < CAMERA_SIGMA * np.sqrt(3) + 0.3


def test_enlarge_keeps_the_middle_and_the_segments():
    ramp = np.linspace(0, 1, 60, dtype=np.float32)[:, None] * np.ones((1, 60), np.float32)
    big = scenes.enlarge(ramp, 2.0)
    assert big.shape == ramp.shape
    inner = big[5:-5]
    assert_allclose(np.diff(inner, axis=0), (ramp[1, 0] - ramp[0, 0]) / 2, atol=2e-3)
    regions = (np.arange(60) // 20 * 9).astype(np.uint16) * np.ones((60, 1), np.uint16)
    assert set(np.unique(scenes.enlarge(regions, 1.5))) <= {0, 9, 18}


def test_denoising_keeps_strong_edges_and_smooths_faint_texture():
    image = np.full((40, 40), 0.3, np.float32)
    image[:, 20:] = 0.8
    grain = np.random.default_rng(0).normal(0, 0.01, image.shape).astype(np.float32)
    smooth = scenes.smooth_faint(image + grain, 5, np.float32(0.05) ** 2)
    assert smooth[:, 3:17].std() < 0.4 * grain.std()
    assert smooth[:, 21].mean() - smooth[:, 18].mean() > 0.45


# Labels


@given(
    hnp.arrays(
        np.float32,
        st.integers(CELL, 18).map(lambda n: (n, n)),
        elements=st.floats(0, 30, width=32),
    )
)
def test_a_cell_has_the_upper_median_of_its_pixels_up_to_the_last_level(level):
    found = cell_labels(level)
    n = len(level) // CELL
    assert found.shape == (n, n)
    for i in range(n):
        for j in range(n):
            cell = level[i * CELL : (i + 1) * CELL, j * CELL : (j + 1) * CELL]
            middle = np.sort(cell, axis=None)[CELL * CELL // 2]
            assert abs(found[i, j] - min(middle, TOP) * TENTHS) <= 0.501
