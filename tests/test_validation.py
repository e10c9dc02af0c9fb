"""Parameters: which values are accepted, and the messages for all others."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import skdefocus as sd
from skdefocus._validation import check_choice, check_int, check_real


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(0, 50))
def test_check_int_takes_what_is_in_range(value, low, span):
    if low <= value <= low + span:
        assert check_int(value, "k", low, low + span) == value
    else:
        with pytest.raises(ValueError, match=f"k must be from {low} to {low + span}, got {value}"):
            check_int(value, "k", low, low + span)


def test_check_int_types():
    assert type(check_int(np.uint8(3), "k", 0)) is int
    with pytest.raises(ValueError, match="k must be >= 4, got 3"):
        check_int(3, "k", 4)
    for wrong in (3.0, "3", None, True, np.True_, np.float64(3), [3]):
        with pytest.raises(TypeError, match="k must be an integer, got"):
            check_int(wrong, "k", 0)


def test_check_real():
    for value in (2, 2.5, np.float32(2.5), np.int8(3), Fraction(5, 2)):
        result = check_real(value, "r", 2)
        assert type(result) is float
        assert result == value
    for wrong in (1.9, -1, np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match="r must be finite and >= 2, got"):
            check_real(wrong, "r", 2)
    with pytest.raises(ValueError, match="r must be finite and > 2, got 2"):
        check_real(2, "r", 2, above=True)
    for wrong in ("2", None, True, np.True_, 2j, np.ones(1)):
        with pytest.raises(TypeError, match="r must be a number, got"):
            check_real(wrong, "r", 0)


def test_check_choice():
    assert check_choice("b", "kind", ("a", "b")) == "b"
    for wrong in ("c", None, 1, ""):
        with pytest.raises(ValueError, match="kind must be one of 'a', 'b', got"):
            check_choice(wrong, "kind", ("a", "b"))


PATH_CALLS = {
    "defocus_map": sd.defocus_map,
    "pipeline": lambda x: sd.make_defocus_pipeline().transform([x]),
    "magnify": sd.magnify,
    "sharpen": sd.sharpen,
    "fuse": lambda x: sd.FocusFuser().fit_transform([[x, x]]),
    "guided_filter": lambda x: sd.filters.guided_filter(np.zeros((9, 9)), x, radius=2, eps=0.1),
    "blur": lambda x: sd.synthesis.blur(x, 2.0),
    "psnr": lambda x: sd.metrics.psnr(x, x),
}


@pytest.mark.parametrize("name", PATH_CALLS)
@pytest.mark.parametrize("given", ["photo.jpg", Path("photo.jpg"), ["photo.jpg"]])
def test_the_name_of_a_file_is_refused_everywhere_in_the_same_way(name, given):
    with pytest.raises(TypeError, match=r"name of a file; read it first: .*io\.read_"):
        PATH_CALLS[name](given)


def test_the_bytes_of_a_file_are_not_printed():
    with pytest.raises(TypeError, match="the bytes of a file; write them") as caught:
        sd.defocus_map(b"\xff\xd8\0" * 10_000)
    assert len(str(caught.value)) < 200
