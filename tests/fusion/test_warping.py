"""Resampling: two passes give what splines in two dimensions give."""

import numpy as np
import pytest
from scipy import ndimage
from sklearn.datasets import load_sample_image

from skdefocus._images import to_gray
from skdefocus.fusion import _warping as warping
from skdefocus.synthesis import blur

GRAY = to_gray(load_sample_image("flower.jpg"))
HEIGHT, WIDTH = GRAY.shape

#: Slopes and shifts of frames: a breathing lens, one that was turned slightly, and one more so.
MOTIONS = {
    "still": ([[1, 0], [0, 1]], [3, -2]),
    "shift": ([[1, 0], [0, 1]], [2.3, -0.6]),
    "breathing": ([[1.008, 0], [0, 1.008]], [-4, 6]),
    "turned": ([[1.002, 0.0015], [-0.0015, 0.997]], [-4, 6]),
    "steep": ([[1.006, 0.02], [-0.03, 0.99]], [-5, 7]),
}


def motion(name):
    true = np.eye(3)
    true[:2, :2], true[:2, 2] = MOTIONS[name]
    return true


@pytest.mark.parametrize("lobes", [1, 3])
@pytest.mark.parametrize("name", MOTIONS)
def test_two_passes_give_what_splines_give(name, lobes):
    soft, true = blur(GRAY, 1.0), motion(name)
    order = 1 if lobes == 1 else 3
    expected = ndimage.affine_transform(
        soft, true[:2, :2], true[:2, 2], order=order, mode="nearest"
    )
    found = warping.warp(soft, true, lobes)
    away = np.abs(found - expected)
    assert away.max() < 0.03
    assert np.sqrt(np.mean(away**2)) < 1e-3


def test_shifts_by_pixels_change_no_value():
    found = warping.warp(GRAY, motion("still"))
    assert np.abs(found[:-3, 2:] - GRAY[3:, :-2]).max() < 1e-6
    color = np.stack([GRAY, 1 - GRAY], axis=-1)
    assert np.array_equal(warping.warp(color, motion("still"))[..., 0], found)


@pytest.mark.parametrize("name", MOTIONS)
def test_the_result_stays_within_the_range(name):
    steps = (GRAY > 0.4).astype(np.float32)
    found = warping.warp(steps, motion(name))
    assert (found.min(), found.max()) == (0, 1)


@pytest.mark.parametrize("name", MOTIONS)
def test_tiles_change_next_to_nothing(name, monkeypatch):
    true = motion(name)
    expected = warping.warp(GRAY, true)
    monkeypatch.setattr("skdefocus.fusion._tiles.SIDE", 96)
    assert np.abs(warping.warp(GRAY, true) - expected).max() < 0.01
    where = np.arange(WIDTH) < WIDTH // 3
    partial = warping.warp(GRAY, true, where=np.broadcast_to(where, GRAY.shape))
    assert np.abs(partial - expected)[:, where].max() < 0.01


@pytest.mark.parametrize("name", MOTIONS)
def test_pixels_inside_are_those_whose_position_is(name):
    true = motion(name)
    rows, columns = np.indices((40, 60))
    y, x = (m[0] * rows + m[1] * columns + m[2] for m in true[:2])
    expected = (y >= 0) & (y <= 39) & (x >= 0) & (x <= 59)
    assert np.array_equal(warping.inside(true, (40, 60)), expected)


def test_of_a_frame_that_is_elsewhere_nothing_is_inside():
    true = np.eye(3)
    true[:2, 2] = 100, -100
    assert not warping.inside(true, (40, 60)).any()
