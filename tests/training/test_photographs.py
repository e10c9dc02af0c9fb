"""Photographs that scenes are made of: in focus, where, held out or not, and their outlines."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from skimage import data

from skdefocus import synthesis
from skdefocus.training import photographs
from skdefocus.training.photographs import (
    BLOCK,
    crop_places,
    edge_blur_blocks,
    is_in_focus,
    is_validation,
    outlines,
    read_gray,
    views,
)

NAMES = ("camera.png", "china.png", "gravel.png")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", ["gaussian", "disc"])
def test_edges_are_sharp_in_a_sharp_photograph_and_not_after_two_pixels_of_blur(
    folder, name, shape
):
    image = read_gray(folder / name)
    blurred = synthesis.blur(image, 2.0, shape=shape)
    sharp, soft = edge_blur_blocks(image), edge_blur_blocks(blurred)
    assert sharp.dtype == np.int8
    assert set(np.unique(sharp)) <= {-1, 0, 1}
    assert (sharp == 1).mean() > 0.5
    assert (sharp == -1).mean() < 0.05
    # A disc's own edge is sharp, so its blur is a little harder to see.
    assert (soft == 1).mean() < (0.005 if shape == "gaussian" else 0.02)
    assert (soft == -1).mean() > 0.25
    assert is_in_focus(image)
    assert not is_in_focus(blurred)


@pytest.mark.parametrize(("sigma", "verdict"), [(0.0, 1), (0.6, 1), (1.4, -1), (3.0, -1)])
def test_an_edge_is_judged_by_its_own_blur(sigma, verdict):
    step = np.zeros((64, 64), np.float32)
    step[:, 36:] = 0.8
    state = edge_blur_blocks(synthesis.blur(step, sigma))
    assert state.shape == (4, 4)
    assert (state[:, 2] == verdict).all()
    assert (state[:, 0] == 0).all()


def test_where_there_is_no_strong_edge_nothing_is_said():
    faint = np.tile(np.linspace(0, 1, 128, dtype=np.float32), (70, 1))
    state = edge_blur_blocks(faint)
    assert state.shape == (4, 8)  # what is left of a block is not looked at
    assert_array_equal(state, 0)


def test_windows_lie_within_the_photograph_near_sharp_edges():
    image = (data.astronaut() @ [0.299, 0.587, 0.114] / 255).astype(np.float32)
    rich, flat, anywhere = crop_places(image, 96)
    assert 0 < len(rich) < len(anywhere)
    assert {tuple(c) for c in rich} <= {tuple(c) for c in anywhere}
    assert {tuple(c) for c in flat} <= {tuple(c) for c in anywhere}
    assert (anywhere >= 0).all()
    assert (anywhere + 96 <= image.shape).all()
    assert (anywhere % BLOCK == 0).all()
    state = edge_blur_blocks(image)
    for i, j in anywhere // BLOCK:
        block = state[i : i + 6, j : j + 6]
        assert (block == -1).mean() <= 0.1
        around = state[max(0, i - 3) : i + 9, max(0, j - 3) : j + 9]
        assert (around == 1).any()


@pytest.mark.parametrize("size", [(40, 300), (15, 15)])
def test_a_photograph_smaller_than_a_window_has_no_places(folder, size):
    image = read_gray(folder / "gravel.png")[: size[0], : size[1]]
    for corners in crop_places(image, 96):
        assert corners.shape == (0, 2)


def test_photographs_are_found_by_suffix_in_order_of_names(folder):
    names = [p.name for p in photographs.photographs(folder)]
    assert names == sorted(names)
    assert set(names) > {*NAMES, "smooth.png"}
    assert "notes.txt" not in names


def test_read_gray_is_luma_in_the_unit_range(folder, pictures, tmp_path):
    image = read_gray(folder / "china.png")
    assert image.dtype == np.float32
    assert_allclose(image, pictures["china.png"] @ [0.299, 0.587, 0.114] / 255, atol=1.01 / 255)
    deep = (np.arange(64).reshape(8, 8) * 1040).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert_allclose(read_gray(tmp_path / "deep.png"), deep / 65535, rtol=1e-6)


def test_one_photograph_in_ten_is_for_validation_whatever_its_folder(tmp_path):
    paths = [tmp_path / f"photo{i:05d}.jpg" for i in range(5000)]
    chosen = np.array([is_validation(p) for p in paths])
    assert 0.08 < chosen.mean() < 0.12
    elsewhere = [is_validation(tmp_path / "deeper" / p.name) for p in paths[:200]]
    assert_array_equal(elsewhere, chosen[:200])
    # By name, so for ever: these must not change between runs or versions.
    assert_array_equal(np.flatnonzero(chosen[:60]), [18, 19, 50, 54])


def test_segments_end_at_outlines():
    """Two flat halves with some noise are two segments."""
    rng = np.random.default_rng(0)
    image = np.full((80, 100), 0.2, np.float32)
    image[:, 50:] = 0.8
    image += rng.normal(0, 0.01, image.shape).astype(np.float32)
    found = outlines(image)
    assert found.dtype == np.uint16
    assert found.shape == image.shape
    left, right = np.unique(found[:, :48]), np.unique(found[:, 52:])
    assert len(left) == len(right) == 1
    assert left != right


def test_a_photograph_is_seen_at_two_sizes_and_segmented_once(folder, tmp_path, monkeypatch):
    whole, half = views(folder / "gravel.png", 96, tmp_path)
    monkeypatch.setattr(photographs, "outlines", None)  # would fail if it were called
    again, _ = views(folder / "gravel.png", 96, tmp_path)
    assert_array_equal(again.regions, whole.regions)
    assert half.image.shape == tuple(n // 2 for n in whole.image.shape)
    blocks = whole.image.reshape(256, 2, 256, 2).mean((1, 3))
    assert_allclose(half.image, blocks, atol=1e-6)
    assert half.regions.shape == half.image.shape
    for view in (whole, half):
        assert view.image.dtype == np.float32
        for corners in view.places:
            assert (corners + 96 <= view.image.shape).all()
    assert not list(tmp_path.glob("*.part"))
