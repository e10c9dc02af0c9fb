"""Mean level and evidence of cells, and what their surroundings add."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skdefocus.pipeline import LevelGrid
from skdefocus.pipeline._filling import RARE, filled, mean_and_evidence


def certain(levels, n=5):
    return np.eye(n, dtype=np.float32)[np.asarray(levels)]


def fill(proba, weights=1.0, *, step=16, radius=16, context=1.0, image=None):
    proba = np.asarray(proba, np.float32)
    rows, columns, n = proba.shape
    if image is None:
        image = np.full((rows * step, columns * step), 0.5, np.float32)
    grid = LevelGrid(image, proba, np.arange(float(n)), step)
    weights = np.array(np.broadcast_to(np.float32(weights), (rows, columns)))
    return filled(grid, weights, 1e-3, radius, context)


def mean_level(proba):
    return proba @ np.arange(proba.shape[-1])


def test_mean_and_evidence():
    proba = np.stack([certain([2, 0]), np.full((2, 5), 0.2, np.float32)])
    mean, evidence = mean_and_evidence(proba)
    assert mean.dtype == evidence.dtype == np.float32
    assert_allclose(mean, [[2, 0], [2, 2]], atol=1e-6)
    assert_allclose(evidence[0], 1 / 0.3 - 12 / 24, rtol=1e-5)
    assert_allclose(evidence[1], 0, atol=1e-6)


@given(st.integers(2, 40), st.sampled_from([0.02, 0.3, 1.0, 20.0]), st.integers(0, 999))
def test_mean_and_evidence_are_those_of_the_distribution(n, peaked, seed):
    proba = np.random.default_rng(seed).dirichlet(np.full(n, peaked), (2, 3))
    mean, evidence = mean_and_evidence(proba.astype(np.float32))
    exact = proba @ np.arange(n)
    variance = proba @ np.arange(n) ** 2 - exact**2
    assert_allclose(mean, exact, atol=1e-4 * n)
    expected = np.maximum(1 / (variance + 0.3) - 12 / (n**2 - 1), 0)
    assert_allclose(evidence, expected, rtol=0.02, atol=1e-4)


@pytest.mark.parametrize("step", [1, 3, 4, 16, 32])
def test_without_context_every_cell_has_its_own_mean_level(step):
    proba = np.random.default_rng(0).dirichlet(np.full(5, 0.3), (7, 9))
    assert_allclose(fill(proba, step=step, context=0), mean_level(proba), atol=1e-5)


@pytest.mark.parametrize("context", [0.3, 1])
def test_certain_cells_keep_their_level(context):
    level = np.array([[1, 4], [4, 1]])
    assert_allclose(fill(certain(level), 3.0, context=context), level, atol=1e-4)


def undecided():
    """Level 3 all over, but for one cell between two levels and one that cannot tell at all."""
    proba = certain(np.full((9, 9), 3))
    proba[4, 4] = [0.5, 0, 0, 0.5, 0]
    proba[0, 0] = 0.2
    return proba


def test_surroundings_decide():
    assert_allclose(fill(undecided()), 3, atol=0.05)


def test_more_context_decides_more():
    found = np.stack([fill(undecided(), context=c) for c in (0, 0.1, 0.3, 0.6, 1)])
    assert np.all(np.diff(found[:, 4, 4]) > 0)
    assert np.all(np.diff(found[:, 0, 0]) > 0)
    assert_allclose(found[0, 4, 4], 1.5, atol=1e-5)
    assert_allclose(found[:, 1:4, 1:4], 3, atol=1e-4)


@pytest.mark.parametrize("context", [0.4, 1.0])
@pytest.mark.parametrize("shape", [(1, 2), (5, 6), (3, 1)])
@pytest.mark.parametrize("cut", [0, 3])
def test_by_hand_where_the_window_is_the_whole_image(shape, cut, context):
    # Blocks of 4 by 4 cells, those at the border smaller; cells of 4 px, or the last ones of one.
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.ones(4), shape)
    weights = rng.uniform(0.1, 3, shape)
    image = np.full((4 * shape[0] - cut, 4 * shape[1] - cut, 3), 0.5, np.float32)
    common = np.tensordot(weights, proba, 2) / weights.sum()
    together = proba * (common + RARE / 4) ** context
    expected = mean_level(together / together.sum(axis=-1, keepdims=True))
    found = fill(proba, weights, step=4, radius=1000, context=context, image=image)
    assert_allclose(found, expected, rtol=1e-4)


def test_blocks_at_the_border_count_what_they_hold():
    # 9 columns of cells make blocks of eight and of one; only the last one counts for much.
    proba = certain(np.tile([1] * 8 + [3], (8, 1)))
    proba[0, 8] = 0.2
    weights = np.tile([1e-4] * 8 + [1], (8, 1))
    found = fill(proba, weights, step=4, radius=32)
    assert found[0, 8] == pytest.approx(3, abs=0.1)
    assert_allclose(found[:, :8], 1, atol=1e-3)


def test_surroundings_count_by_their_weights():
    proba = certain(np.tile([1, 3, 1, 3, 1, 3, 1, 3, 1], (9, 1)))
    proba[4, 4] = 0.2
    for kept, level in ((0, 1), (1, 3)):
        weights = np.full((9, 9), 1e-6)
        weights[:, kept::2] = 1
        assert fill(proba, weights)[4, 4] == pytest.approx(level, abs=0.1)


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 8, 16, 20, 32])
@pytest.mark.parametrize("size", [(1, 1), (1, 70), (33, 50), (64, 64)])
def test_any_step_and_size(step, size):
    shape = tuple(-(-n // step) for n in size)
    proba = np.random.default_rng(0).dirichlet(np.full(5, 0.3), shape)
    found = fill(proba, step=step, image=np.random.default_rng(1).random((*size, 3), np.float32))
    assert found.shape == shape
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 4
