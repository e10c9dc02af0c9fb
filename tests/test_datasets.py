"""Scenes with known σ."""

from typing import get_args

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdefocus.datasets import SceneKind, load_sample_scenes, make_scene, sample_photographs

PHOTOS = sample_photographs(128)


@pytest.mark.parametrize("kind", get_args(SceneKind))
def test_every_kind(kind):
    scene = make_scene(PHOTOS, kind, max_sigma=3.0, random_state=1)
    again = make_scene(PHOTOS, kind, max_sigma=3.0, random_state=1)
    other = make_scene(PHOTOS, kind, max_sigma=3.0, random_state=2)
    for name in ("photograph", "sigma", "sharp"):
        array = getattr(scene, name)
        assert array.shape == (128, 128)
        assert array.dtype == np.float32
        assert_array_equal(array, getattr(again, name))
    assert not np.array_equal(scene.sigma, other.sigma)
    assert 0 <= scene.photograph.min() <= scene.photograph.max() <= 1
    assert 0 <= scene.sigma.min() <= scene.sigma.max() <= 3.0
    assert np.ptp(scene.sigma) > 0.5
    assert set(np.unique(scene.index)) <= {0, 1, 2}


def test_parts_in_focus_are_unchanged():
    scene = make_scene(PHOTOS, "layers", max_sigma=3.0, random_state=0)
    from scipy.ndimage import minimum_filter

    # Far from blurred layers, nothing spills over.
    inner = minimum_filter((scene.sigma == 0).astype(np.uint8), 31) == 1
    assert inner.any()
    assert_allclose(scene.photograph[inner], scene.sharp[inner], atol=1e-3)
    assert np.abs(scene.photograph - scene.sharp)[scene.sigma == 3.0].mean() > 0.02


def test_noise_and_compression():
    clean = make_scene(PHOTOS, "plane", random_state=0).photograph
    noisy = make_scene(PHOTOS, "plane", random_state=0, noise=0.02).photograph
    packed = make_scene(PHOTOS, "plane", random_state=0, quality=60).photograph
    assert 0.02 < (noisy - clean).std() < 0.03
    assert 0.002 < (packed - clean).std() < 0.05


def test_color():
    rgb = [np.stack([p] * 3, axis=-1) for p in PHOTOS]
    scene = make_scene(rgb, "layers", random_state=0)
    gray = make_scene(PHOTOS, "layers", random_state=0)
    assert scene.photograph.shape == (128, 128, 3)
    assert_allclose(scene.photograph[..., 1], gray.photograph, atol=1e-5)


def test_sample_scenes_are_one_of_each_kind():
    scenes = load_sample_scenes(64)
    assert len(scenes) == len(get_args(SceneKind))
    assert all(s.photograph.shape == (64, 64) for s in scenes)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((PHOTOS, "round"), ValueError, "kind must be one of"),
        ((PHOTOS[:1], "layers"), ValueError, "photographs must hold at least 2"),
        (([PHOTOS[0], PHOTOS[1][:50]], "layers"), ValueError, "photographs must have one shape"),
        (([np.zeros((9, 9), int)], "plane"), TypeError, r"photographs\[0\] must be"),
    ],
)
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        make_scene(*arguments)


@pytest.mark.parametrize("kind", get_args(SceneKind))
def test_the_smallest_photographs(kind):
    with pytest.raises(ValueError, match="photographs must have at least two pixels"):
        make_scene([np.zeros((1, 1))] * 2, kind)
    for size in ((1, 2), (2, 1)):
        photographs = list(np.random.default_rng(0).random((2, *size)))
        assert np.isfinite(make_scene(photographs, kind, random_state=0).photograph).all()


def test_small_integers_of_numpy():
    for one, other in zip(
        load_sample_scenes(np.uint8(64), np.int8(125)), load_sample_scenes(64, 125), strict=True
    ):
        assert_array_equal(one.photograph, other.photograph)


def test_wrong_numbers():
    with pytest.raises(ValueError, match="max_sigma"):
        make_scene(PHOTOS, "plane", max_sigma=0)
    with pytest.raises(ValueError, match="noise"):
        make_scene(PHOTOS, "plane", noise=-1)
    with pytest.raises(ValueError, match="size must be from 1 to 512"):
        sample_photographs(600)
