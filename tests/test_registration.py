"""Registration: motions are found, also between frames that are defocused in different places."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_sample_image

from skdefocus import _registration as registration
from skdefocus._images import to_gray
from skdefocus.fusion._warping import warp
from skdefocus.synthesis import blur

GRAY = to_gray(load_sample_image("flower.jpg"))
HEIGHT, WIDTH = GRAY.shape


def off_at_corners(found, true):
    corners = np.array([[0, 0, HEIGHT, HEIGHT], [0, WIDTH, 0, WIDTH], [1, 1, 1, 1]])
    return np.abs((found - true) @ corners).max()


def moved(image, matrix):
    return warp(image.astype(np.float32), np.linalg.inv(matrix))


@settings(max_examples=8)
@given(
    st.lists(st.floats(-0.015, 0.015), min_size=4, max_size=4),
    st.tuples(st.floats(-20, 20), st.floats(-20, 20)), st.floats(0.7, 1.0),
)  # fmt: skip
# A good step was refused here for what the frame shows beyond the border of the reference.
@example([0.011062869101741948, 0, 0, 0], (-0.875, 0), 0.75)
def test_affine_motions(slopes, shift, gain):
    true = np.eye(3)
    true[:2, :2] += np.reshape(slopes, (2, 2))
    true[:2, 2] = shift
    pair = [registration.pyramid(f) for f in (GRAY, np.float32(gain) * moved(GRAY, true))]
    assert off_at_corners(registration.register(*pair, "affine"), true) < 0.3


@pytest.mark.parametrize("sigma", [2.0, 5.0])
def test_motions_between_frames_that_are_defocused_differently(sigma):
    left = np.arange(WIDTH) < WIDTH // 2
    soft = blur(GRAY, sigma)
    true = np.array([[1.008, 0.003, -4], [-0.004, 1.01, 6], [0, 0, 1]])
    one, two = np.where(left, GRAY, soft), moved(np.where(left, soft, GRAY), true)
    found = registration.register(registration.pyramid(one), registration.pyramid(two), "affine")
    assert off_at_corners(found, true) < 0.12


@pytest.mark.parametrize("kind", ["translation", "affine"])
def test_defocus_alone_is_no_motion(kind):
    left = np.arange(WIDTH) < WIDTH // 2
    soft = blur(GRAY, 4.0)
    pair = [registration.pyramid(np.where(left == k, GRAY, soft)) for k in (True, False)]
    assert np.array_equal(registration.register(*pair, kind), np.eye(3))


def test_a_guess_reaches_far_motions():
    true = np.eye(3)
    true[:2, 2] = 150, 0
    pair = [registration.pyramid(f) for f in (GRAY[:400, :400], GRAY[:400, :400])]
    shifted = registration.pyramid(moved(GRAY, true)[:400, :400])
    found = registration.register(pair[0], shifted._replace(guess=true), "translation")
    assert np.abs(found - true).max() < 0.5


def test_finest_levels_of_large_frames_are_left_out(monkeypatch):
    """The motion is in the frame's pixels all the same."""
    true = np.array([[1.006, 0.002, -5], [-0.003, 1.008, 7], [0, 0, 1]])
    monkeypatch.setattr(registration, "FINEST", 256)
    pair = [registration.pyramid(f) for f in (GRAY, moved(GRAY, true))]
    assert pair[0].skipped == 1
    assert off_at_corners(registration.register(*pair, "affine"), true) < 0.3


@settings(max_examples=6)
@given(st.integers(0, 3), st.floats(0.05, 0.3), st.booleans())
def test_what_a_frame_does_not_show_takes_no_part(side, share, first):
    """The pixels that fill it look like content that does not move, or moves otherwise."""
    true = np.array([[1.008, 0.003, -4], [-0.004, 1.01, 6], [0, 0, 1]])
    opaque = np.rot90(np.ones((HEIGHT, WIDTH), bool), side).copy()
    opaque[: int(share * len(opaque))] = False
    opaque = np.rot90(opaque, -side)
    pair = [GRAY, moved(GRAY, true)]
    filled = np.where(opaque, pair[not first], GRAY[::-1, ::-1])
    pyramids = [registration.pyramid(frame) for frame in pair]
    pyramids[not first] = registration.pyramid(filled, opaque)
    assert off_at_corners(registration.register(*pyramids, "affine"), true) < 0.5


def test_a_frame_that_shows_nothing_is_not_moved():
    pair = [registration.pyramid(GRAY, np.full(GRAY.shape, shown)) for shown in (True, False)]
    assert np.array_equal(registration.register(*pair, "affine"), np.eye(3))
