"""The blur levels: their spacing, and targets whose expectation is σ."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

from skdefocus.training.levels import (
    CAMERA_SIGMA,
    MAX_SIGMA,
    N_LEVELS,
    level_sigmas,
    sigma_of_level,
    soft_targets,
)

SIGMAS = level_sigmas()


def test_twenty_levels_from_nothing_to_eight_pixels():
    assert SIGMAS.shape == (20,)
    assert SIGMAS.dtype == np.float64
    assert (np.diff(SIGMAS) > 0).all()
    assert SIGMAS[0] == 0
    assert SIGMAS[-1] == pytest.approx(8, abs=1e-12)
    assert (N_LEVELS, MAX_SIGMA) == (20, 8.0)


@given(st.integers(2, 60), st.floats(0.5, 30))
def test_levels_are_even_in_the_logarithm_of_the_total_blur(n, largest):
    sigmas = level_sigmas(n, largest)
    assert len(sigmas) == n
    assert sigmas[0] == 0
    assert sigmas[-1] == pytest.approx(largest, rel=1e-9)
    steps = np.diff(np.log(np.hypot(sigmas, CAMERA_SIGMA)))
    assert_allclose(steps, steps.mean(), rtol=1e-6)


@given(hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(0, N_LEVELS - 1)))
def test_sigma_of_level_is_monotone_and_passes_through_the_levels(level):
    sigma = sigma_of_level(level)
    assert sigma.shape == level.shape
    order = np.argsort(level)
    assert (np.diff(sigma[order]) >= 0).all()
    below, above = SIGMAS[np.floor(level).astype(int)], SIGMAS[np.ceil(level).astype(int)]
    assert (below - 1e-9 <= sigma).all()
    assert (sigma <= above + 1e-9).all()
    assert_allclose(sigma_of_level(np.arange(N_LEVELS)), SIGMAS, atol=1e-12)


@given(
    hnp.arrays(
        np.float64,
        hnp.array_shapes(min_dims=0, max_dims=3, max_side=5),
        elements=st.floats(0, MAX_SIGMA),
    )
)
def test_soft_targets_expect_sigma_from_two_neighbours(sigma):
    p = soft_targets(sigma, SIGMAS)
    assert p.shape == (*sigma.shape, 20)
    assert p.dtype == np.float32
    assert p.min() >= 0
    assert_allclose(p.sum(-1), 1, atol=1e-6)
    assert_allclose(p @ SIGMAS, sigma, atol=2e-6)
    assert ((p > 0).sum(-1) <= 2).all()
    gap = 19 - p[..., ::-1].argmax(-1) if sigma.size else np.zeros(0)
    assert (np.abs(gap - np.searchsorted(SIGMAS, sigma)) <= 1).all()


def test_soft_targets_of_the_levels_are_certain():
    assert_array_equal(soft_targets(SIGMAS, SIGMAS), np.eye(20))
    float32 = soft_targets(SIGMAS.astype(np.float32), SIGMAS)
    assert_allclose(float32, np.eye(20), atol=1e-5)


def test_soft_targets_beyond_the_ends_stay_at_the_ends():
    assert_array_equal(soft_targets(np.array([-1.0, 9.0]), SIGMAS), np.eye(20)[[0, 19]])
