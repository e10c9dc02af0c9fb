"""The blur levels: their spacing, and the way between level and σ."""

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
    drawn_levels,
    level_of_sigma,
    level_sigmas,
    sigma_of_level,
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


@given(st.floats(0, 40), st.integers(2, 60), st.floats(0.5, 30))
def test_level_of_sigma_is_the_inverse_beyond_the_last_level_too(sigma, n, largest):
    level = level_of_sigma(sigma, n, largest)
    assert sigma_of_level(level, n, largest) == pytest.approx(sigma, rel=1e-9, abs=1e-6)
    assert (level > n - 1 + 1e-9) == (sigma > largest * (1 + 1e-12)) or abs(sigma - largest) < 1e-6


def test_drawn_levels_are_the_two_around_in_their_shares():
    rng = np.random.default_rng(0)
    drawn = drawn_levels(np.full(4000, 3.25), rng)
    assert set(drawn) == {3, 4}
    assert abs(drawn.mean() - 3.25) < 0.03
    assert_array_equal(drawn_levels([0.0, 7.0, 19.0], rng), [0, 7, 19])
