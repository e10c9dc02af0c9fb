"""The contract of a fuser as an estimator of scikit-learn: its inputs, errors and outputs."""

import pickle

import numpy as np
import pytest
from helpers.stack_cases import GRASS, GRAVEL, PLAIN, frames, halves
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid

import skdefocus as sd


def test_types_of_frames_agree():
    eight = [np.round(f * 255).astype(np.uint8) for f in halves()]
    expected = PLAIN.transform([eight])[0]
    assert expected.dtype == np.float32
    for stack in (
        np.stack(eight),
        tuple(eight),
        [f.astype(np.uint16) * 257 for f in eight],
        [f.astype(np.float64) / 255 for f in eight],
    ):
        assert_allclose(PLAIN.transform([stack])[0], expected, atol=1e-5)


def test_color_and_alpha():
    stack = [np.stack([f, f, f], axis=-1) for f in halves()]
    fused = PLAIN.transform([stack])[0]
    assert fused.shape == (96, 96, 3)
    assert_allclose(fused[..., 0], PLAIN.transform([halves()])[0], atol=1e-3)
    with_alpha = [np.dstack([f, np.ones((96, 96))]) for f in stack]
    assert_allclose(PLAIN.transform([with_alpha])[0], fused, atol=1e-6)


def test_stacks_of_different_sizes_in_order_and_in_parallel():
    stacks = [halves(), [f[:50, :60] for f in halves(GRASS)], frames(3, 0)]
    one = PLAIN.transform(stacks)
    two = sd.FocusFuser(sigma_weight=0, n_jobs=2).transform(stacks)
    assert [f.shape for f in one] == [(96, 96), (50, 60), (24, 30)]
    for a, b in zip(one, two, strict=True):
        assert_array_equal(a, b)


def test_an_array_gives_an_array():
    stacks = np.stack([np.stack(halves()), np.stack(halves(GRASS))])
    found = PLAIN.transform(stacks)
    assert isinstance(found, np.ndarray)
    assert found.shape == (2, 96, 96)
    assert_array_equal(found[1], PLAIN.transform([halves(GRASS)])[0])


@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)])
def test_one_stack_is_no_list_of_stacks(channels):
    stack = np.random.default_rng(0).random((2, 20, 24, *channels))
    for wrong in (list(stack), stack):
        with pytest.raises(ValueError, match=r"pass \[stack\] or use fuse\(stack\)"):
            PLAIN.transform(wrong)
    expected = PLAIN.transform([list(stack)])[0]
    for right in ([stack], stack[None]):
        assert_array_equal(PLAIN.transform(right)[0], expected)
    for width in (24, 3):
        assert PLAIN.fuse(stack[:, :, :width]).index.shape == (20, width)


def test_small_numbers_of_numpy():
    stack, plain = halves(), sd.FocusFuser(1, 6.0, noise=5e-3, sigma_weight=0, slab=(0, 2))
    small = sd.FocusFuser(
        np.int8(1), np.int8(6), noise=np.float64(5e-3), sigma_weight=np.int8(0),
        slab=(np.int8(0), np.int8(2)),
    )  # fmt: skip
    assert_array_equal(small.transform([stack])[0], plain.transform([stack])[0])


def test_inputs_are_not_written_to():
    stack = [f.astype(np.float32) for f in halves()]
    for f in stack:
        f.flags.writeable = False
    before = [f.copy() for f in stack]
    PLAIN.transform([stack])
    for a, b in zip(before, stack, strict=True):
        assert_array_equal(a, b)


def test_clone_pickle_and_parameters():
    fuser = sd.FocusFuser(radius=3, align="affine")
    assert clone(fuser).get_params() == fuser.get_params()
    assert pickle.loads(pickle.dumps(fuser)).get_params() == fuser.get_params()
    grid = ParameterGrid({"radius": [1, 4], "feather": [0, 1]})
    scores = [
        sd.metrics.psnr(clone(PLAIN).set_params(**p).transform([halves()])[0], GRAVEL) for p in grid
    ]
    assert len(set(scores)) > 1


def test_repr_of_a_result():
    assert repr(PLAIN.fuse(halves())) == "FusionResult(image 96x96, of 2 frames)"


@pytest.mark.parametrize(
    ("stacks", "error", "message"),
    [
        (3, TypeError, "X must be a list of stacks"),
        ([], ValueError, "X is empty"),
        ([3], TypeError, r"X\[0\] must be a stack"),
        (np.array(None), TypeError, "X must be a list of stacks"),
        ([np.array(None)], TypeError, r"X\[0\] must be a stack"),
        ([[GRAVEL]], ValueError, r"X\[0\] must hold at least 2"),
        ([[GRAVEL, GRAVEL[:50]]], ValueError, r"X\[0\]\[1\] must have the shape"),
        ([[GRAVEL, GRAVEL * np.nan]], ValueError, r"X\[0\]\[1\] must be finite"),
        ([[GRAVEL, GRAVEL.astype(int)]], TypeError, r"X\[0\]\[1\] must be bool"),
    ],
)
def test_wrong_stacks(stacks, error, message):
    with pytest.raises(error, match=message):
        PLAIN.transform(stacks)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"radius": -1}, "radius must be"),
        ({"feather": -1}, "feather must be"),
        ({"min_area": -1}, "min_area must be"),
        ({"min_area": 1.5}, "min_area must be an integer"),
        ({"match_exposure": 1}, "match_exposure must be"),
        ({"reference": -1}, "reference must be"),
        ({"outliers": "skip"}, "outliers must be one of"),
        ({"noise": 0}, "noise must be"),
        ({"sigma_weight": -1}, "sigma_weight must be"),
        ({"align": "warp"}, "align must be one of"),
        ({"slab": (2, 2)}, r"slab\[1\] must be"),
        ({"slab": 2}, "slab must be None or"),
    ],
)
def test_wrong_parameters(parameters, message):
    with pytest.raises((TypeError, ValueError), match=message):
        sd.FocusFuser(**parameters).fit([])


def test_messages_name_the_frames():
    with pytest.raises(ValueError, match=r"^frames\[1\] must have the shape"):
        PLAIN.fuse([GRAVEL, GRAVEL[:50]])
    with pytest.raises(ValueError, match=r"^'b\.jpg' must be finite"):
        PLAIN.fuse([GRAVEL, GRAVEL * np.nan], names=["'a.jpg'", "'b.jpg'"])
    with pytest.raises(ValueError, match="names must hold 2 names"):
        PLAIN.fuse([GRAVEL, GRAVEL], names=["a"])
    with pytest.raises(ValueError, match="reference must be from 0 to 1"):
        sd.FocusFuser(reference=2).fuse([GRAVEL, GRAVEL])


def test_tiles_change_nothing(monkeypatch):
    """Large frames are worked on tile by tile."""
    whole = PLAIN.fuse(halves())
    monkeypatch.setattr("skdefocus.fusion._comparison.LARGEST_KEPT", 0)
    monkeypatch.setattr("skdefocus.fusion._tiles.SIDE", 24)
    tiled = PLAIN.fuse(halves())
    assert np.mean(tiled.index == whole.index) > 0.995
    assert_allclose(tiled.image, whole.image, atol=0.02)
    assert_allclose(tiled.depth, whole.depth, atol=0.05)
