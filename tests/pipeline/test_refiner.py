"""The refinement from a grid of levels to a map."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import uniform_filter

import skdefocus as sd
from skdefocus._grids import enlarge, full_area, tiles
from skdefocus.datasets import sample_photographs
from skdefocus.pipeline import LevelGrid, _refiner
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


def test_cells_that_cannot_tell_take_their_neighbors_value():
    proba = np.full((12, 12, 5), 0.2)
    proba[:, :2] = certain(1)
    out = sd.WeightedGuidedRefiner(context=1, prior=0.01).transform([grid_of(proba)])[0]
    assert_allclose(out, 0.5, atol=0.05)
    far = [
        np.abs(sd.WeightedGuidedRefiner(context=c).transform([grid_of(proba)])[0] - 0.5).mean()
        for c in (0, 0.3, 0.6, 1)
    ]
    assert np.all(np.diff(far) < 0)


def test_without_context_the_fill_is_left_out():
    proba = np.random.default_rng(0).dirichlet(np.full(5, 0.3), (6, 7))
    out = sd.WeightedGuidedRefiner(context=0, n_iter=0).transform([grid_of(proba)])[0]
    levels = enlarge(np.float32(proba @ np.arange(5)), 8, full_area(out.shape))
    assert_allclose(out, np.interp(levels, np.arange(5), SIGMAS), atol=1e-5)


@pytest.mark.parametrize("prior", [1e-300, 1e-30, 1e6])
def test_any_prior(prior):
    proba = np.full((6, 7, 5), 0.2)
    for cell in (0.2, certain(2)):
        proba[2, 3] = cell
        out = sd.WeightedGuidedRefiner(prior=prior).transform([grid_of(proba)])[0]
        assert np.isfinite(out).all()


def test_the_older_spelling_of_gray():
    image = np.random.default_rng(0).random((48, 56, 3), np.float32)
    grid = grid_of(np.random.default_rng(1).dirichlet(np.full(5, 0.3), (6, 7)), image=image)
    older, gray = (sd.WeightedGuidedRefiner(guide=guide) for guide in ("grey", "gray"))
    with pytest.warns(FutureWarning, match="guide='grey' was renamed to guide='gray'"):
        found = older.transform([grid])[0]
    assert_array_equal(found, gray.transform([grid])[0])
    assert np.abs(found - sd.WeightedGuidedRefiner().transform([grid])[0]).max() > 1e-3


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


def disc_scene(radius, behind, front):
    """A disc before a background, and the distance of every pixel from its outline."""
    _, gravel, grass = sample_photographs(192)
    distance = np.hypot(*(np.mgrid[:192, :192] - 96.0)) - radius
    disc = Layer(0.6 + 0.4 * grass, front, np.clip(0.5 - distance, 0, 1))
    return render_layers([Layer(0.4 * gravel, behind), disc]), distance


def errors(scene, grid):
    """Absolute errors of σ by cell and after the refinement, in pixels."""
    by_cell = np.kron(grid.sigma, np.ones((grid.step, grid.step)))
    refined = sd.WeightedGuidedRefiner(radius=8).transform([grid])[0]
    return np.abs(by_cell - scene.sigma), np.abs(refined - scene.sigma)


SCENES = pytest.mark.parametrize(
    ("radius", "behind", "front"), [(60, 3, 0), (50, 0, 3), (70, 4, 0.5)]
)


@SCENES
@pytest.mark.parametrize("step", [4, 8])
def test_finds_depth_edges_that_show_in_the_photograph(radius, behind, front, step):
    # As a network would that sees patches of 24 pixels and nothing else wrong.
    scene, distance = disc_scene(radius, behind, front)
    sigmas = sd.BlurLevelClassifier().sigmas_
    level = np.interp(scene.sigma, sigmas, np.arange(len(sigmas)))
    exact = np.maximum(1 - np.abs(level[..., None] - np.arange(len(sigmas))), 0)
    seen = uniform_filter(exact, (24, 24, 0), mode="nearest")
    n = 192 // step
    proba = seen.reshape(n, step, n, step, -1).mean(axis=(1, 3)).astype(np.float32)
    coarse, fine = errors(scene, LevelGrid(scene.photograph, proba, sigmas, step))
    near = np.abs(distance) < 10
    assert fine.mean() < 0.9 * coarse.mean()
    assert fine[near].mean() < 0.7 * coarse[near].mean()


@SCENES
def test_depth_edges_gain_from_the_refinement_of_the_network_s_answers(radius, behind, front):
    scene, distance = disc_scene(radius, behind, front)
    grids = sd.PatchExtractor().transform([scene.photograph])
    coarse, fine = errors(scene, sd.BlurLevelClassifier(n_threads=1).transform(grids)[0])
    near = np.abs(distance) < 10
    assert fine[near].mean() < coarse[near].mean()


@pytest.mark.parametrize("n_iter", [0, 1, 2])
@pytest.mark.parametrize("subsample", [1, 2, 3])
@pytest.mark.parametrize("guide", ["color", "gray"])
def test_tiles_equal_the_whole(monkeypatch, n_iter, guide, subsample):
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.full(5, 0.3), (27, 16))
    image = rng.integers(0, 256, (27 * 8 - 3, 16 * 8 - 1, 3), np.uint8)
    refiner = sd.WeightedGuidedRefiner(radius=4, n_iter=n_iter, guide=guide, subsample=subsample)
    at_once = refiner.transform([grid_of(proba, image=image)])[0]
    monkeypatch.setattr(_refiner, "TILE", 48)
    monkeypatch.setattr(_refiner, "REACHES", 0)
    assert len(list(tiles(image.shape, 8, 8, 48))) == 5 * 3
    parts = refiner.transform([grid_of(proba, image=image)])[0]
    assert_allclose(parts, at_once, atol=1e-4)
    settings = _refiner.RefineSettings.of(refiner)
    for n_threads in (1, 3):
        assert_array_equal(_refiner.refine(grid_of(proba, image=image), settings, n_threads), parts)


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
        ({"context": -0.1}, ValueError, "context must be"),
        ({"context": 1.1}, ValueError, "context must be"),
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
