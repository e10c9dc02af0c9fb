"""A choice of frames is made consistent, and faint ones are not overruled."""

import numpy as np
import pytest
from scipy import ndimage

from skdefocus.fusion import _labels as labels
from skdefocus.fusion._labels import settle


def faint_middle(step, lead):
    """A surface between two frames that hardly differ, before one whose frame leads clearly."""
    rng = np.random.default_rng(0)
    index = np.zeros((200, 200), np.int16)
    evidence = np.full(index.shape, 0.5, np.float32)
    guide = np.full(index.shape, 0.4, np.float32)
    middle = np.s_[80:130, 70:140]
    index[middle] = step + rng.integers(0, 2, index[middle].shape)
    evidence[middle] = lead
    guide[middle] = 0.6
    index[-20:] = 2 * step + 1
    return index, evidence, guide, middle


@pytest.mark.parametrize(("step", "lead"), [(4, 0.03), (9, 0.01)])
def test_frames_that_hardly_lead_over_the_next_are_not_overruled(step, lead):
    index, evidence, guide, middle = faint_middle(step, lead)
    found = settle(index, evidence, guide, 1, 16, lambda k: None, labels.PRIOR / (2 * step + 1))
    assert np.mean((found[middle] == step) | (found[middle] == step + 1)) > 0.8
    assert np.mean(found[:60] == 0) == 1


def test_of_two_frames_the_surroundings_overrule_the_faint():
    index, evidence, guide, middle = faint_middle(1, 0.001)
    index = np.minimum(index, 1)
    index[-20:] = 0
    index[middle] = np.random.default_rng(1).random(index[middle].shape) < 0.3
    found = settle(index, evidence, guide, 1, 16, lambda k: None)
    assert np.mean(found == 0) > 0.99


def test_specks_get_values_from_as_near_as_there_are():
    rng = np.random.default_rng(0)
    empty = rng.random((60, 80)) < 0.4
    empty[20:50, 10:50] = True  # more than is looked at from its middle
    rows, columns = np.indices(empty.shape)
    index = (rows * 100 + columns).astype(np.int16)
    filled = index.copy()
    y, x = labels._filled(filled, empty)
    assert len(y) > 0
    known = empty.copy()
    known[y, x] = False
    distance = ndimage.distance_transform_edt(empty)[known]
    away = np.hypot(filled // 100 - rows, filled % 100 - columns)[known]
    assert np.allclose(away, distance)
    assert np.array_equal(filled[~empty], index[~empty])
