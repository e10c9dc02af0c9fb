"""The records between the stages: shapes, σ, confidence."""

import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skdefocus import LevelGrid, PatchGrid
from skdefocus.pipeline._records import empty_cells, windows

SIGMAS = np.concatenate([[0], np.geomspace(0.3, 8, 19)])


def levels(proba, sigmas=SIGMAS, step=8):
    proba = np.asarray(proba, np.float32)
    size = (proba.shape[0] * step, proba.shape[1] * step)
    return LevelGrid(np.zeros(size, np.float32), proba, np.asarray(sigmas, float), step)


@st.composite
def distributions(draw):
    n = draw(st.integers(2, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    peaked = draw(st.sampled_from([0.02, 0.3, 1.0, 20.0]))
    return rng.dirichlet(np.full(n, peaked), (3, 4))


@given(distributions())
def test_sigma_is_that_of_the_mean_level(proba):
    n = proba.shape[-1]
    sigmas = np.geomspace(0.5, 64, n)
    grid = levels(proba, sigmas)
    assert grid.shape == grid.level.shape == grid.sigma.shape == (3, 4)
    assert grid.level.dtype == grid.sigma.dtype == np.float32
    mean = (proba * np.arange(n)).sum(-1)
    assert_allclose(grid.level, mean, atol=1e-4)
    assert_allclose(grid.sigma, np.interp(mean, np.arange(n), sigmas), atol=1e-2)
    # Levels and σ ascend together, so both rank the cells alike; σ bends upwards.
    assert np.all(np.diff(grid.sigma.ravel()[grid.level.argsort(axis=None)]) >= 0)
    assert np.all(grid.sigma <= (proba * sigmas).sum(-1) + 1e-3)


@given(distributions())
def test_confidence_is_one_minus_the_level_s_spread(proba):
    n = proba.shape[-1]
    confidence = levels(proba, np.linspace(0, 5, n)).confidence
    assert confidence.dtype == np.float32
    assert confidence.min() >= 0
    assert confidence.max() <= 1
    level = np.arange(n)
    mean = (proba * level).sum(-1, keepdims=True)
    spread = np.sqrt((proba * (level - mean) ** 2).sum(-1))
    expected = np.clip(1 - spread / np.std(level), 0, 1)
    assert_allclose(confidence, expected, atol=2e-3)  # float32, and a root of almost nothing


@given(distributions())
def test_level_std_and_sigma_error_are_those_of_the_distribution(proba):
    n = proba.shape[-1]
    sigmas = np.linspace(0, 5, n) ** 2
    grid = levels(proba, sigmas)
    assert grid.level_std.dtype == grid.sigma_error.dtype == np.float32
    level = np.arange(n)
    mean = (proba * level).sum(-1)
    spread = np.sqrt((proba * (level - mean[..., None]) ** 2).sum(-1))
    # float32, and a root of almost nothing
    assert_allclose(grid.level_std, spread, atol=0.03)
    expected = (proba * np.abs(sigmas - np.interp(mean, level, sigmas)[..., None])).sum(-1)
    assert_allclose(grid.sigma_error, expected, atol=0.01)


@given(distributions())
def test_confidence_knows_no_direction_and_no_sigma(proba):
    n = proba.shape[-1]
    grid = levels(proba, np.linspace(0, 5, n))
    turned = levels(proba[..., ::-1], np.geomspace(0.1, 1, n))
    assert_allclose(turned.confidence, grid.confidence, atol=2e-3)


@pytest.mark.parametrize("n", [2, 5, 20])
def test_confidence_at_its_ends(n):
    sigmas = np.linspace(0, 4, n)
    sure = levels(np.eye(n)[None], sigmas)
    assert_array_equal(sure.confidence, 1)
    assert_allclose(sure.sigma[0], sigmas, atol=1e-6)
    unsure = levels(np.full((2, 3, n), 1 / n), sigmas)
    assert_allclose(unsure.confidence, 0, atol=1e-5)
    torn = np.zeros((1, 1, n))
    torn[..., [0, -1]] = 0.5
    assert_array_equal(levels(torn, sigmas).confidence, 0)  # worse than uniform is not below 0


def test_confidence_falls_as_a_distribution_widens():
    level = np.arange(20)
    p = np.stack([np.exp(-0.5 * ((level - 9) / s) ** 2) for s in (0.3, 1, 2, 4, 50)])
    confidence = levels((p / p.sum(-1, keepdims=True))[None]).confidence[0]
    assert (np.diff(confidence) < 0).all()


@given(
    st.integers(1, 30), st.integers(1, 30), st.integers(1, 12), st.integers(1, 12), st.booleans()
)
def test_windows_begin_every_step(height, width, size, step, cut):
    padded = np.random.default_rng(0).random((height + size, width + size), np.float32)
    rows, columns = height // step + 1, width // step + 1
    shape = (max(1, rows - cut), max(1, columns - cut))
    view = windows(padded, shape, size, step)
    assert view.shape == (*shape, size, size)
    assert np.shares_memory(view, padded)
    assert not view.flags.writeable
    i, j = shape[0] - 1, shape[1] - 1
    expected = padded[i * step : i * step + size, j * step : j * step + size]
    assert_array_equal(view[i, j], expected)


@pytest.mark.parametrize("channels", [(), (3,)])
def test_patch_grid_counts_cells_and_not_pixels(channels):
    image = np.zeros((17, 40, *channels), np.float32)
    grid = PatchGrid(image, 24, 8)
    assert grid.shape == (3, 5)
    assert grid.patches.shape == (3, 5, 24, 24)
    assert grid.stacked is False
    size = "x".join(map(str, image.shape))
    assert repr(grid) == f"PatchGrid(3x5 patches of 24x24, every 8 px, image {size})"


def test_level_grid_repr_is_short():
    grid = levels(np.full((4, 6, 20), 0.05))
    assert repr(grid) == "LevelGrid(4x6 cells of 8 px, 20 levels, image 32x48)"


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (np.full(20, 0.06), "sums from 1 to 1.2"),
        (np.full(20, 0.04), "sums from 0.8 to 1"),
        (np.zeros(20), "sums from 0 to 1"),
        ([-0.5, 1.5, *[0.0] * 18], "values from -0.5"),
        ([np.nan] * 20, "must hold probabilities"),
    ],
)
def test_what_is_no_distribution_is_refused(cell, message):
    proba = np.full((2, 3, 20), 0.05)
    proba[1, 2] = cell
    with pytest.raises(ValueError, match=f"proba must hold probabilities.*{message}|{message}"):
        levels(proba)


@pytest.mark.parametrize("shape", [(2, 3, 19), (2, 20), (0, 3, 20)])
def test_probabilities_have_the_shape_of_cells_and_levels(shape):
    with pytest.raises(ValueError, match=r"proba must have shape \(rows, columns, 20\), got"):
        LevelGrid(np.zeros((16, 24)), np.full(shape, 0.05), SIGMAS, 8)


def test_records_are_frozen_and_compared_by_identity():
    grid = levels(np.full((1, 1, 20), 0.05))
    with pytest.raises(dataclasses.FrozenInstanceError):
        grid.step = 4
    assert grid == grid
    assert grid != dataclasses.replace(grid)
    assert len({grid, grid}) == 1


# --- fewer digits ------------------------------------------------------------------------------


def fewer_digits(proba):
    return np.rint(proba * 65535).astype(np.uint16)


@given(distributions())
def test_fewer_digits_are_read_as_float32(proba):
    whole = levels(proba, np.arange(proba.shape[-1]))
    grid = dataclasses.replace(whole, proba=fewer_digits(proba))
    assert grid.proba.dtype == grid.rows(slice(1, 3)).dtype == np.float32
    assert_allclose(grid.proba, proba, atol=1e-4)
    assert_allclose(grid.proba.sum(-1), 1, atol=1e-5)
    assert_array_equal(grid.rows(slice(1, 3)), grid.proba[1:3])
    for name in ("level", "sigma", "level_std", "sigma_error", "confidence"):
        found = getattr(grid, name)
        assert found.dtype == np.float32
        # Four digits, of up to 30 levels; a root of almost nothing.
        assert_allclose(found, getattr(whole, name), atol=0.05 if "std" in name else 0.02)


def test_a_copy_of_the_probabilities_cannot_be_written_to():
    proba = np.full((2, 3, 4), 0.25, np.float32)
    assert levels(proba, np.arange(4)).proba is proba
    grid = dataclasses.replace(levels(proba, np.arange(4)), proba=fewer_digits(proba))
    with pytest.raises(ValueError, match="read-only"):
        grid.proba[0] = 0


def test_fewer_digits_survive_pickle():
    proba = np.full((20, 30, 4), 16384, np.uint16)
    grid = dataclasses.replace(levels(np.eye(4)[[[0, 1]]], np.arange(4)), proba=proba)
    data = pickle.dumps(grid)
    assert len(data) < proba.nbytes + 2000
    assert_array_equal(pickle.loads(data).proba, 0.25)


def test_a_photograph_of_eight_megapixels_has_too_many_probabilities_for_float32():
    assert empty_cells((2048 // 4, 2048 // 4, 33)).dtype == np.float32
    assert empty_cells((4096 // 4, 2304 // 4, 33)).dtype == np.uint16
