"""What a case for a public function or estimator is: its call, its arguments, its promise."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from helpers.strategies import photograph_shapes, photographs
from hypothesis import strategies as st

#: Parameters of which large values are honest work.
LONG = {
    "n_iter", "n_steps", "n_threads", "n_bins", "n_jobs", "size", "blades", "batch_size",
    "quantiles", "step", "patch_size", "max_pixels",
}  # fmt: skip


@dataclass
class Case:
    """What is called with what, and what must hold of the result."""

    call: Callable[..., Any]
    arguments: Callable[[Any], dict[str, Any]]
    check: Callable[[Any, dict[str, Any]], Any]
    #: Parameters that are somebody else's to check, or not looked at, each with the reason.
    foreign: dict[str, str] = field(default_factory=dict)


CASES: dict[str, Case] = {}


def case(name, call, check, foreign=None):
    """Register the decorated function, which draws good arguments."""

    def register(arguments):
        CASES[name] = Case(call, arguments, check, foreign or {})
        return arguments

    return register


# --- what results promise ------------------------------------------------------------------------


def finite(result, low=-np.inf, high=np.inf):
    result = np.asarray(result)
    assert np.isfinite(result).all()
    if result.size == 0:
        return
    assert low - 1e-6 <= result.min()
    assert result.max() <= high + 1e-6


def like_image(result, given):
    """The shape and dtype of the image, finite."""
    image = np.asarray(given["image"])
    assert result.shape == image.shape
    assert result.dtype.isnative
    finite(result)


def photograph_of(result, given):
    """float32 in [0, 1], of the photograph's size, without alpha."""
    shape = np.shape(given["image"])
    channels = () if len(shape) == 2 or shape[2] == 1 else (3,)
    assert result.shape == (*shape[:2], *channels)
    assert result.dtype == np.float32
    finite(result, 0, 1)


def effect_of(result, given):
    """Of the photograph's dtype (float32 for bool) and size, without alpha, within its range."""
    dtype = np.asarray(given["image"]).dtype.newbyteorder("=")
    assert result.dtype == (np.float32 if dtype == np.bool_ else dtype)
    scale = np.iinfo(dtype).max if dtype.kind == "u" else 1
    photograph_of((result / scale).astype(np.float32), given)


def map_of(result, given):
    assert result.shape == np.shape(given["image"])[:2]
    assert result.dtype == np.float32
    finite(result, 0, 100)


def number(low=0.0, high=np.inf):
    def check(result, given):
        assert type(result) is float
        finite(result, low, high)

    return check


def kernel(result, given):
    assert result.ndim == 2
    assert result.shape[0] == result.shape[1]
    finite(result, 0, 1)
    np.testing.assert_allclose(result.sum(), 1)


def one_per_sample(check):
    def each(results, given):
        X = given["X"]
        assert len(results) == len(X)
        assert isinstance(results, np.ndarray) == (isinstance(X, np.ndarray) and X.dtype != object)
        for result, image in zip(results, X, strict=True):
            check(result, {"image": image})

    return each


# --- drawing -------------------------------------------------------------------------------------


def pick(draw, *values):
    return draw(st.sampled_from(values))


def optional(draw, strategy):
    return draw(strategy) if draw(st.booleans()) else None


def batch(draw):
    """One to two photographs of their own sizes, or an array of them."""
    if draw(st.booleans()):
        return [draw(photographs(draw(photograph_shapes))) for _ in range(pick(draw, 1, 2))]
    shape = draw(photograph_shapes)
    return np.stack([np.asarray(draw(photographs(shape)))] * 2)
