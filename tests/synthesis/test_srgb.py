"""The transfer function of sRGB."""

import numpy as np
import pytest
from helpers.blur_cases import dtypes, images
from hypothesis import given
from numpy.testing import assert_allclose

from skdefocus.synthesis import from_linear, to_linear


@given(images(channels=(0,)), dtypes)
def test_linear_light_there_and_back(x, dtype):
    x = x.astype(dtype)
    atol = 3e-8 if dtype is np.float64 else 1e-6
    assert to_linear(x).dtype == from_linear(x).dtype == dtype
    assert_allclose(from_linear(to_linear(x)), x, atol=atol, rtol=0)
    assert_allclose(to_linear(from_linear(x)), x, atol=atol, rtol=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("function", [to_linear, from_linear])
def test_linear_light_is_monotone_with_exact_ends(function, dtype):
    y = function(np.linspace(0, 1, 2**16, dtype=dtype))
    assert (np.diff(y) > 0).all()
    assert (y[0], y[-1]) == (0, 1)


def test_linear_light_values_of_the_standard():
    assert_allclose(to_linear([0.02, 0.5, 0.735357]), [0.00154799, 0.21404114, 0.5], atol=1e-6)


def test_linear_light_continues_outside_the_range_without_nan():
    y = to_linear(np.array([-0.5, -0.06, 1.2]))
    assert (np.diff(y) > 0).all()
    assert y[-1] > 1
    assert_allclose(from_linear(y), [-0.5, -0.06, 1.2], atol=1e-12)
