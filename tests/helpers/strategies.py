"""Hypothesis strategies: photographs and maps in every form that NumPy knows, and what is none.

Contents are drawn by a seed and not pixel by pixel: what matters is type, shape and layout.
"""

import tempfile
from decimal import Decimal
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

SHAPES = [(1, 1), (1, 9), (9, 1), (2, 2), (3, 17), (16, 16), (20, 33), (40, 24)]
CONTENTS = ["noise", "constant", "two values", "ramp", "extremes"]
LAYOUTS = [
    "C", "Fortran", "reversed", "every second", "read-only", "memory-mapped", "other byte order",
    "matrix", "masked array",
]  # fmt: skip

shapes = st.sampled_from(SHAPES)
photograph_shapes = st.builds(
    lambda size, channels: size + channels, shapes, st.sampled_from([(), (), (1,), (3,), (4,)])
)


def contents(kind, shape, seed):
    """Values of float64 in [0, 1]."""
    rng = np.random.default_rng(seed)
    if kind == "noise":
        return rng.random(shape)
    if kind == "constant":
        return np.full(shape, rng.choice([0, 1, rng.random()]), np.float64)
    if kind == "two values":
        return rng.choice(rng.random(2), shape)
    if kind == "extremes":
        return rng.choice([0.0, 1.0, np.finfo(np.float32).tiny, 5e-324], shape)
    return np.linspace(0, 1, int(np.prod(shape))).reshape(shape)


def laid_out(array, layout):
    """The same values, another way to store them."""
    if layout == "Fortran":
        return np.asfortranarray(array)
    if layout == "reversed":
        return np.ascontiguousarray(array[::-1, ::-1])[::-1, ::-1]
    if layout == "every second":
        return np.repeat(np.repeat(array, 2, axis=0), 3, axis=1)[::2, ::3]
    if layout == "read-only":
        array = array.copy()
        array.setflags(write=False)
        return array
    if layout == "memory-mapped":
        with tempfile.TemporaryFile() as file:
            file.write(array.tobytes())
            file.flush()
            return np.memmap(file, array.dtype, "r", shape=array.shape)
    if layout == "other byte order":
        return array.astype(array.dtype.newbyteorder("S"))
    if layout == "matrix" and array.ndim == 2:
        return array.view(np.matrix)
    return array.view(np.ma.MaskedArray) if layout == "masked array" else array


@st.composite
def arrays(draw, shape, dtypes, low=0.0, high=1.0):
    """Arrays of one shape with values from `low` to `high` (integers: of their whole range)."""
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    unit = contents(draw(st.sampled_from(CONTENTS)), shape, draw(st.integers(0, 2**32 - 1)))
    if dtype.kind == "u":
        values = np.rint(unit * np.iinfo(dtype).max)
    elif dtype.kind == "b":
        values = unit >= 0.5
    else:
        values = np.clip(unit * (high - low) + low, low, high)
    return laid_out(values.astype(dtype), draw(st.sampled_from(LAYOUTS)))


def photographs(shape):
    """What every function takes that takes photographs."""
    return arrays(shape, ["?", "u1", "u2", "f2", "f4", "f8"])


def floats(shape, low=0.0, high=1.0):
    """Arrays of floats."""
    return arrays(shape, ["f4", "f8"], low, high)


def maps(shape):
    """Maps of σ in pixels."""
    return floats(shape, 0.0, 6.0)


# --- what is wrong, or at least unusual ----------------------------------------------------------


def spoilt(array, value):
    """An array of floats with one value in it that should not be there."""
    array = np.array(array, np.float64)
    array.flat[array.size // 2 : array.size // 2 + 1] = value
    return array


class Broken:
    def __array__(self, dtype=None, copy=None):
        raise ValueError("no pixels today")


BAD_DTYPES = ["i1", "i4", "i8", "u4", "u8", "c8", "c16", "O", "S2", "U2", "M8[s]", "m8[s]", "V3"]
BAD_SHAPES = [
    (), (0,), (5,), (0, 0), (0, 5), (5, 0), (5, 6, 0), (5, 6, 2), (5, 6, 5), (2, 5, 6, 3),
    (1, 1, 1, 1, 1),
]  # fmt: skip
bad_arrays = st.one_of(
    st.builds(lambda d, s: np.zeros(s, d), st.sampled_from(BAD_DTYPES), shapes),
    st.builds(np.zeros, st.sampled_from(BAD_SHAPES), st.sampled_from(["f4", "f8", "u1", "?"])),
    st.builds(
        lambda shape, value: spoilt(np.full(shape, 0.5), value),
        photograph_shapes,
        st.sampled_from([np.nan, np.inf, -np.inf, -1e-3, 1.001, 255.0, 1e300, -1e300]),
    ),
    st.builds(lambda shape: np.ma.masked_less(np.linspace(0, 1, 12), 0.5).reshape(shape),
              st.sampled_from([(3, 4), (12, 1)])),
    st.builds(lambda shape: np.array(np.full(shape, 0.5), object), photograph_shapes),
    st.sampled_from([
        [], [[]], [[0.5, 0.2], [0.1]], [[0.1, "a"]], [None], [[None, 1]], [[1j]], {0.5}, {"a": 1},
        Broken(), [np.zeros((4, 4)), np.zeros((5, 5))], [np.zeros((4, 4)), "b.jpg"],
        np.array([np.zeros((4, 4)), np.zeros((5, 5))], object), range(4), memoryview(b"abcd"),
        np.zeros((3, 4), [("r", "f4"), ("g", "f4")]), [[10**400]], [Decimal("0.5")],
        iter([np.zeros((4, 4))]),
    ]),
)  # fmt: skip
SMALL = [
    None, True, False, 0, 1, -1, 2, 0.5, -0.5, 1.0, np.float32(0.5), np.int8(3), np.bool_(True),
    "", "text", b"bytes", "a\0b", 1j, Fraction(1, 2), Decimal("0.5"), [], [1], (), {}, (1, 2),
    (2, 1), object(), int, np.array(2), np.array([1.0]), np.nan, np.inf, -np.inf,
    float("1e-300"), [1, "a"], (0.5, None),
]  # fmt: skip
LARGE = [10**30, -(10**30), 2**31, 2**63, 1e300, -1e300, 10**400, np.float64(1e38)]
small_values = st.sampled_from(SMALL)
values = st.sampled_from(SMALL + LARGE)
