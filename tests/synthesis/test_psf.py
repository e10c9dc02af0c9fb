"""Point spread functions."""

import tracemalloc

import numpy as np
import pytest
from helpers.blur_cases import each_shape, offsets, shapes
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skdefocus.synthesis import psf


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
def test_writing_to_a_psf_does_not_change_later_ones(shape):
    before = psf(1.3, shape).copy()
    psf(1.3, shape)[:] = 7
    assert_array_equal(psf(1.3, shape), before)


def test_large_psfs_are_not_cached():
    tracemalloc.start()
    try:
        for i in range(20):
            psf(50 + i / 10, "disc")
        assert tracemalloc.get_traced_memory()[0] < psf(50, "disc").nbytes
    finally:
        tracemalloc.stop()
