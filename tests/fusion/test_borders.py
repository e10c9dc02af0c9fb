"""Black borders of frames that another program has aligned."""

import io
import warnings

import numpy as np
import pytest
from helpers.stack_cases import CHINA, PLAIN, halves
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

import skdefocus as sd
from skdefocus.fusion._borders import SIDES, Borders, black_along, black_borders, of_their_own
from skdefocus.synthesis import blur

HEIGHT, WIDTH = CHINA.shape[:2]


def bordered(image, matrix):
    """Resample a photograph as programs do that align it, and tell where it is black then."""
    planes = [
        ndimage.affine_transform(plane, matrix[:, :2], matrix[:, 2], order=1)
        for plane in (*np.moveaxis(image, 2, 0), np.ones(image.shape[:2]))
    ]
    return np.clip(np.stack(planes[:-1], axis=2), 0, 1), planes[-1] < 1


def as_jpeg(image):
    file = io.BytesIO()
    Image.fromarray(np.uint8(np.round(255 * image))).save(file, "JPEG", quality=90)
    return np.asarray(Image.open(file))


@settings(max_examples=30)
@given(
    st.integers(-9, 9), st.integers(-9, 9), st.floats(-0.02, 0.02), st.floats(0.98, 1.02),
    st.booleans(),
)  # fmt: skip
def test_borders_are_found_and_little_else(down, right, angle, scale, jpeg):
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array([HEIGHT, WIDTH]) / 2
    matrix = np.column_stack([turn, middle - turn @ middle + (down, right)])
    frame, black = bordered(0.1 + 0.9 * CHINA, matrix)
    found = black_borders(as_jpeg(frame) if jpeg else frame.astype(np.float32))
    where = np.zeros(black.shape, bool) if found.where is None else found.where
    # Wedges that are shorter than half of a side, and borders of a pixel, may be missed.
    near = ndimage.binary_dilation(black, np.ones((3, 3)), iterations=6, border_value=1)
    assert not (where & ~near).any()
    for turns, side in enumerate(SIDES):
        depths = np.rot90(black, turns)[: HEIGHT // 2].sum(axis=0)
        if np.quantile(depths, 0.1) > 3 and depths.max() < 30:
            assert side in found.sides


@pytest.mark.parametrize("dark", [0.0, 0.02])
def test_dark_photographs_have_no_borders(dark):
    """A black corner, a round black field, and a dark side whose edge is not straight."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    for black in (
        (rows < 60) & (columns < 60),
        np.hypot(rows - HEIGHT / 2, columns - WIDTH / 2) > HEIGHT / 2,
        rows < 12 + 8 * np.sin(columns / 15),
    ):
        assert black_borders(np.where(black[..., None], dark, 0.2 + 0.8 * CHINA)).sides == set()


@settings(max_examples=8)
@given(st.sampled_from(SIDES), st.integers(2, 20), st.booleans(), st.sampled_from(["u1", "f4"]))
def test_black_borders_have_no_say(side, depth, first, dtype):
    stack = halves(CHINA)
    black = np.zeros((HEIGHT, WIDTH), bool)
    np.rot90(black, SIDES.index(side))[:depth] = True
    stack[first] = np.where(black[..., None], 0, stack[first])
    if dtype == "u1":
        stack = [np.uint8(np.round(255 * frame)) for frame in stack]
    with pytest.warns(UserWarning, match=rf"is overruled: it is black along its {side} edge,"):
        result = PLAIN.fuse(stack)
    assert list(result.overruled) == [first]
    assert np.all(result.index[black] == (not first))
    assert np.all(result.alpha == 1)
    kept = sd.FocusFuser(sigma_weight=0, outliers="keep").fuse(stack)
    assert not kept.overruled


def test_what_is_black_at_the_side_of_all_frames_belongs_to_the_scene():
    stack = halves(CHINA)
    for frame, depth in zip(stack, (12, 16), strict=True):
        frame[:depth] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = PLAIN.fuse(stack)
    assert np.all(result.image[:12] == 0)
    assert np.all(result.alpha == 1)


def test_sides_that_are_not_dark_in_some_frame():
    def frame(sides, dark=""):
        sides = frozenset(sides.split())
        return Borders(sides, sides | frozenset(dark.split()), None)

    left, both, none = frame("left"), frame("left top"), frame("")
    assert of_their_own({0: left, 1: both, 2: left}) == {1: {"top"}}
    assert of_their_own({0: none, 1: left}) == {1: {"left"}}
    assert of_their_own({0: left, 1: left}) == {}
    assert of_their_own({0: left, 1: frame("", "left")}) == {}
    assert of_their_own({}) == {}
    assert black_along(both.sides) == (
        "is black along its top and left edges, where other frames are not"
    )


@settings(max_examples=20)
@given(st.floats(0, 12), st.floats(0, 12), st.integers(2, 60), st.floats(0.2, 1))
def test_a_dark_thing_at_the_side_is_no_border(one, two, depth, light):
    """Its edge is straight, and at most one of the frames shows it in focus."""
    scene = light * (np.arange(192) >= depth)[:, None] * np.ones((1, 288))
    frames = [blur(scene, sigma).astype(np.float32) for sigma in (one, two)]
    found = dict(enumerate(map(black_borders, frames)))
    assert found[0].sides <= {"top"}
    if min(one, two) > 1.5 or max(one, two) < depth / 2:
        assert of_their_own(found) == {}
