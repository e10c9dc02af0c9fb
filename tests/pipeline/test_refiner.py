"""The refinement from a grid of levels to a map."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import skdefocus as sd
from skdefocus._grids import tiles
from skdefocus.datasets import sample_photographs
from skdefocus.pipeline import LevelGrid
from skdefocus.pipeline._filling import RARE, belief, fill
from skdefocus.synthesis import Layer, render_layers

SIGMAS = np.array([0.0, 0.5, 1.0, 2.0, 4.0])


def grid_of(proba, step=8, image=None):
    rows, columns = proba.shape[:2]
    if image is None:
        image = np.full((rows * step, columns * step), 0.5, np.float32)
    return LevelGrid(image, proba.astype(np.float32), SIGMAS, step)


def certain(levels):
    return np.eye(5)[np.asarray(levels)]


def test_a_certain_constant_stays():
    out = sd.WeightedGuidedRefiner().transform([grid_of(certain(np.full((6, 7), 3)))])[0]
    assert out.shape == (48, 56)
    assert out.dtype == np.float32
    assert_allclose(out, 2.0, atol=1e-3)


def test_no_evidence_at_all_is_finite_and_even():
    out = sd.WeightedGuidedRefiner().transform([grid_of(np.full((6, 7, 5), 0.2))])[0]
    assert_allclose(out, out[0, 0], atol=1e-3)
    assert SIGMAS[0] < out[0, 0] < SIGMAS[-1]


def test_cells_that_cannot_tell_take_their_neighbours_value():
    proba = np.full((12, 12, 5), 0.2)
    proba[:, :2] = certain(1)
    out = sd.WeightedGuidedRefiner().transform([grid_of(proba)])[0]
    assert_allclose(out, 0.5, atol=0.05)


def test_edges_move_to_those_of_the_photograph():
    # The picture changes at column 44, the grid can only say that it does between 40 and 48.
    image = np.full((96, 96), 0.2, np.float32)
    image[:, 44:] = 0.8
    proba = np.broadcast_to(certain([0] * 5 + [2] + [4] * 6), (12, 12, 5))
    grid = grid_of(proba, image=image)
    refined = sd.WeightedGuidedRefiner(radius=8, n_iter=2).transform([grid])[0]
    plain = sd.WeightedGuidedRefiner(n_iter=0).transform([grid])[0]
    truth = np.where(np.arange(96) < 44, 0.0, 4.0) * np.ones((96, 1))
    assert np.abs(refined - truth).mean() < 0.6 * np.abs(plain - truth).mean()


def test_maps_stay_within_the_levels():
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.full(5, 0.3), (9, 11))
    image = rng.random((9 * 8, 11 * 8, 3)).astype(np.float32)
    out = sd.WeightedGuidedRefiner().transform([grid_of(proba, image=image)])[0]
    assert np.isfinite(out).all()
    assert SIGMAS[0] <= out.min() <= out.max() <= SIGMAS[-1]


def test_flips_and_transposition_commute():
    rng = np.random.default_rng(1)
    proba = rng.dirichlet(np.full(5, 0.5), (8, 10))
    image = rng.random((64, 80, 3)).astype(np.float32)
    refiner = sd.WeightedGuidedRefiner(radius=5)
    out = refiner.transform([grid_of(proba, image=image)])[0]
    flipped = refiner.transform([grid_of(proba[:, ::-1], image=image[:, ::-1])])[0]
    turned = refiner.transform(
        [grid_of(proba.swapaxes(0, 1), image=np.ascontiguousarray(image.swapaxes(0, 1)))]
    )[0]
    assert_allclose(flipped[:, ::-1], out, atol=1e-3)
    assert_allclose(turned.T, out, atol=1e-3)


@pytest.mark.parametrize(("radius", "behind", "front"), [(60, 3, 0), (50, 0, 3), (70, 4, 0.5)])
def test_finds_depth_edges_that_show_in_the_photograph(radius, behind, front):
    _, gravel, grass = sample_photographs(192)
    distance = np.hypot(*(np.mgrid[:192, :192] - 96.0)) - radius
    disc = Layer(0.6 + 0.4 * grass, front, np.clip(0.5 - distance, 0, 1))
    scene = render_layers([Layer(0.4 * gravel, behind), disc])
    grids = sd.BlurLevelClassifier(n_threads=1).transform(
        sd.PatchExtractor().transform([scene.photograph])
    )
    coarse = np.abs(np.kron(grids[0].sigma, np.ones((8, 8))) - scene.sigma)
    fine = np.abs(sd.WeightedGuidedRefiner().transform(grids)[0] - scene.sigma)
    near = np.abs(distance) < 10
    assert fine.mean() < 0.9 * coarse.mean()
    assert fine[near].mean() < 0.7 * coarse[near].mean()


@pytest.mark.parametrize("n_iter", [0, 1, 2])
@pytest.mark.parametrize("subsample", [1, 2, 3])
@pytest.mark.parametrize("guide", ["color", "grey"])
def test_tiles_equal_the_whole(monkeypatch, n_iter, guide, subsample):
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.full(5, 0.3), (27, 16))
    image = rng.integers(0, 256, (27 * 8 - 3, 16 * 8 - 1, 3), np.uint8)
    refiner = sd.WeightedGuidedRefiner(radius=4, n_iter=n_iter, guide=guide, subsample=subsample)
    at_once = refiner.transform([grid_of(proba, image=image)])[0]
    monkeypatch.setattr("skdefocus._grids.TILE", 48)
    assert len(list(tiles(image.shape, 8, 8))) == 5 * 3
    parts = refiner.transform([grid_of(proba, image=image)])[0]
    assert_allclose(parts, at_once, atol=1e-4)


def test_belief():
    mean, evidence = belief(grid_of(np.stack([certain([2, 0]), np.full((2, 5), 0.2)])))
    assert_allclose(mean, [[2, 0], [2, 2]], atol=1e-6)
    assert_allclose(evidence[1], 0, atol=1 / 0.3)
    assert np.all(evidence[0] > 2)
    assert np.all(evidence[1] < 0.1)


def filled(proba, weights, smallest=1):
    shape = proba.shape[:2]
    flat = np.full(shape, 0.5, np.float32)
    weights = np.broadcast_to(np.float32(weights), shape)
    return fill(proba.astype(np.float32), weights, flat, 1e-3, smallest)


def test_fill_keeps_what_is_certain():
    level = np.array([[1, 4], [4, 1]])
    assert_allclose(filled(np.eye(5)[level], 3.0), level, atol=1e-4)


def test_fill_decides_by_what_is_around():
    proba = np.zeros((9, 9, 5))
    proba[..., 3] = 1
    proba[4, 4] = [0.5, 0, 0, 0.5, 0]  # cannot decide
    proba[0, 0] = 0.2  # cannot tell at all
    out = filled(proba, 1.0)
    assert_allclose(out, 3, atol=0.05)


def test_fill_by_hand():
    # One window as large as the image on a flat guide: the mean of all, twice.
    proba = np.array([[[0.8, 0.2], [0.4, 0.6]]])
    prior = proba.mean((0, 1)) + RARE / 2
    expected = proba * prior / (proba * prior).sum(-1, keepdims=True)
    assert_allclose(filled(proba, 1.0, smallest=2), expected[..., 1], rtol=1e-5)


def test_surroundings_count_by_their_weights():
    proba = np.zeros((9, 9, 5))
    proba[:, ::2, 1], proba[:, 1::2, 3] = 1, 1
    proba[4, 4] = 0.2
    for kept, level in ((0, 1), (1, 3)):
        weights = np.full((9, 9), 1e-6)
        weights[:, kept::2] = 1
        assert filled(proba, weights)[4, 4] == pytest.approx(level, abs=0.1)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"radius": 0}, ValueError, "radius must be >= 1"),
        ({"radius": 2.5}, TypeError, "radius must be an integer"),
        ({"eps": 0}, ValueError, "eps must be finite and > 0"),
        ({"eps": float("nan")}, ValueError, "eps must be finite"),
        ({"alpha": -1}, ValueError, "alpha must be finite and >= 0"),
        ({"n_iter": -1}, ValueError, "n_iter must be >= 0"),
        ({"prior": 0}, ValueError, "prior must be finite and > 0"),
        ({"fill_radius": 0}, ValueError, "fill_radius must be >= 1"),
        ({"guide": "red"}, ValueError, "guide must be one of"),
        ({"subsample": 0}, ValueError, "subsample must be >= 1"),
    ],
)
def test_wrong_parameters(parameters, error, message):
    with pytest.raises(error, match=message):
        sd.WeightedGuidedRefiner(**parameters).fit([])


def test_integers_may_be_small_ones():
    grid = sd.BlurLevelClassifier().transform(sd.PatchExtractor().transform([np.eye(40)]))
    large, small = ({"radius": kind(100), "fill_radius": kind(70)} for kind in (int, np.int8))
    np.testing.assert_array_equal(
        sd.WeightedGuidedRefiner(**small).transform(grid),
        sd.WeightedGuidedRefiner(**large).transform(grid),
    )


def test_records_of_several_arrays_need_not_be_of_one_size():
    pipe = sd.make_defocus_pipeline()[:-1]
    grids = [*pipe.transform(np.zeros((1, 40, 50))), *pipe.transform(np.zeros((1, 30, 50)))]
    maps = sd.WeightedGuidedRefiner().transform(grids)
    assert [m.shape for m in maps] == [(40, 50), (30, 50)]
