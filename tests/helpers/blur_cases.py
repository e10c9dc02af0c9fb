"""Images, kernels and parametrizations for the tests of blur."""

import numpy as np
import pytest
from hypothesis import strategies as st

SHAPES = ("gaussian", "disc")


each_shape = pytest.mark.parametrize("shape", SHAPES)


shapes = st.sampled_from(SHAPES)


dtypes = st.sampled_from([np.float32, np.float64])


@st.composite
def images(draw, low=0.0, high=1.0, channels=(0, 1, 3), largest=20):
    """Draw noise of any size, including sizes below that of the PSF."""
    size = draw(st.tuples(st.integers(1, largest), st.integers(1, largest)))
    c = draw(st.sampled_from(channels))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    return rng.uniform(low, high, size + ((c,) if c else ()))


def offsets(kernel):
    return np.arange(len(kernel)) - len(kernel) // 2


def noise(size=96, seed=0):
    return np.random.default_rng(seed).random((size, size))
