"""How a crop is made: the blur that is promised is the blur that is there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import fft
from skimage import data

from skdefocus import synthesis
from skdefocus.training.crops import Conditions, Crop, window_sigma
from skdefocus.training.levels import N_LEVELS, sigma_of_level

GRAVEL = (data.gravel() / np.float32(255)).astype(np.float32)


@pytest.mark.parametrize("shape", ["gaussian", "disc"])
@pytest.mark.parametrize("level", [0, 3.5, 9, 15, 19])
def test_blur_through_the_spectrum_is_blur(shape, level):
    maker = Crop(64, Conditions(), np.random.default_rng(0))
    scene = GRAVEL[: maker.window, : maker.window]
    fast = maker.blur(fft.rfft2(scene), level, shape)
    assert fast.dtype == np.float32
    m = (maker.window - maker.inner) // 2
    sigma = float(sigma_of_level(level))
    slow = synthesis.blur(scene, sigma, shape=shape)[m:-m, m:-m]
    # The window is periodic and the margin 3 σ of the largest Gaussian: less than 0.3 % leaks in.
    atol = 1e-6 if len(synthesis.psf(sigma, shape)) // 2 <= m else 3e-3
    assert_allclose(fast, slow, rtol=0, atol=atol)


def maker_of_levels(*levels, **conditions):
    """A maker of crops whose draws of a level are known."""
    maker = Crop(64, Conditions(**conditions), np.random.default_rng(0))
    draws = iter(levels)
    maker.level = lambda: next(draws)
    return maker


@pytest.mark.parametrize(("front", "back"), [(0, 12), (12, 0), (5, 5)])
def test_at_an_occluding_edge_sigma_is_that_of_what_is_seen(front, back):
    maker = maker_of_levels(back, front, gradient=0, soft=0, thin=0)
    white = np.ones((maker.window, maker.window), np.float32)
    black = np.zeros_like(white)
    half = black.copy()
    half[:, : maker.window // 2] = 1
    maker.silhouette = lambda: half
    x, sigma = maker.layers([black, white], "gaussian")
    near, far = sigma_of_level([front, back])
    # The grey level tells which of the two is seen, but for a band along a blurred edge.
    assert 0.02 < (x > 0.98).mean() < 0.98
    assert_allclose(sigma[x > 0.98], near, rtol=1e-6)
    assert_allclose(sigma[x < 0.02], far, rtol=1e-6)


def test_half_of_the_thin_things_are_as_sharp_as_what_is_behind_is_blurred():
    makers = [maker_of_levels(3, 5, gradient=0, thin=1) for _ in range(60)]
    white = np.ones((makers[0].window, makers[0].window), np.float32)
    front, sharp = [], sigma_of_level([3, 5, N_LEVELS - 1 - 3])
    for i, maker in enumerate(makers):
        maker.rng = np.random.default_rng(i)
        _, sigma = maker.layers([white, white], "gaussian")
        front += [k for k in (1, 2) if np.isclose(sigma, sharp[k]).any()]
        assert np.isclose(sigma[..., None], sharp).any(-1).all()
    assert 0.3 < np.mean(np.array(front) == 2) < 0.7


@pytest.mark.parametrize("shape", ["gaussian", "disc"])
def test_on_a_slope_every_pixel_has_the_second_moment_of_its_sigma(shape):
    maker = maker_of_levels(8.0, 2.0)
    n = np.linspace(-1, 1, maker.window, dtype=np.float32)
    parabola = np.broadcast_to(n**2, (maker.window, maker.window))
    x, sigma = maker.slope(parabola, shape)
    m = (maker.window - maker.inner) // 2
    added = (x - parabola[m:-m, m:-m]) / (n[1] - n[0]) ** 2
    assert_allclose([sigma.min(), sigma.max()], sigma_of_level([2, 8]), rtol=1e-5)
    assert_allclose(added, sigma**2, atol=0.01)


def test_surfaces_are_drawn_from_back_to_front_and_as_many_as_there_are():
    """Crops without depth edges show one surface, others two to four."""
    counts = []
    for edge in (0, 1):
        maker = Crop(64, Conditions(edge=edge), np.random.default_rng(0))
        scene = np.full((maker.window, maker.window), 0.5, np.float32)
        for _ in range(60):
            drawn = []
            maker.draw(lambda drawn=drawn, scene=scene: drawn.append(1) or scene)
            counts.append((edge, len(drawn)))
    assert {n for edge, n in counts if not edge} == {1}
    assert {n for edge, n in counts if edge} == {2, 3, 4}


def test_a_wall_shows_hardly_anything():
    maker = Crop(64, Conditions(), np.random.default_rng(0))
    scene = GRAVEL[: maker.window, : maker.window]
    walls = [maker.wall(scene) for _ in range(20)]
    assert all(w.dtype == np.float32 and w.min() >= 0 and w.max() <= 1 for w in walls)
    detail = [np.abs(np.diff(w)).mean() / np.abs(np.diff(scene)).mean() for w in walls]
    assert max(detail) < 0.2
    assert min(detail) < 0.02
    assert_allclose([w.mean() for w in walls], scene.mean(), atol=0.02)


def test_soft_edges_are_wider():
    def outline(soft):
        maker = Crop(64, Conditions(soft=soft), np.random.default_rng(0))
        veils = np.stack([maker.coverage(thin=False) for _ in range(20)])
        return ((veils > 0.1) & (veils < 0.9)).mean()

    assert outline(1) > 2 * outline(0)


@given(st.integers(0, 999))
def test_silhouette_is_a_coverage(seed):
    maker = Crop(64, Conditions(), np.random.default_rng(seed))
    alpha = maker.coverage(thin=bool(seed % 2))
    assert alpha.shape == (maker.window, maker.window)
    assert alpha.dtype == np.float32
    assert alpha.min() >= 0
    assert alpha.max() <= 1


@pytest.mark.parametrize(("size", "n"), [(32, 1), (48, 5), (64, 9), (70, 10)])
def test_window_sigma_is_the_median_over_the_middle_of_the_window(size, n):
    sigma = np.random.default_rng(0).random((size, size)).astype(np.float32)
    result = window_sigma(sigma)
    assert result.dtype == np.float32
    assert result.shape == (n, n)
    for i in range(n):
        for j in range(n):
            window = sigma[4 * i : 4 * i + 32, 4 * j : 4 * j + 32]
            assert result[i, j] == np.sort(window[14:18, 14:18], axis=None)[8]


def test_thin_structures_cover_little_but_cross_the_crop():
    """The background has most of every window, but lines in front of it."""
    maker = Crop(64, Conditions(), np.random.default_rng(0))
    veils = np.stack([maker.thin_things() for _ in range(40)])
    shares = veils.mean(axis=(1, 2))
    assert np.all(shares < 0.6)
    assert 0.01 < np.median(shares) < 0.3
    crossed = (veils > 0.5).any(axis=1) | (veils > 0.5).any(axis=2)
    assert (crossed.mean(axis=1) > 0.3).mean() > 0.8
