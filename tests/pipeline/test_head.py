"""A last layer of one's own: learned, weighed, saved, and never lost without a word."""

import json
import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score

import skdefocus as sd
from skdefocus import network
from skdefocus.datasets import sample_photographs
from skdefocus.pipeline import _cells, _dense
from skdefocus.synthesis import add_noise, blur

PHOTO = sample_photographs(128)[2]
LEVELS = (0, 5, 10, 15)


@pytest.fixture(scope="module")
def camera():
    """Noisy patches of some levels."""
    sigmas = sd.BlurLevelClassifier().sigmas_
    seen = [add_noise(blur(PHOTO, sigmas[k]).clip(0, 1), 0.05, random_state=k) for k in LEVELS]
    grids = sd.PatchExtractor(step=32).transform(seen)
    patches = [np.array(grid.patches.reshape(-1, 32, 32)) for grid in grids]
    return np.concatenate(patches), np.repeat(LEVELS, len(patches[0]))


@pytest.fixture(scope="module")
def fitted(camera):
    return sd.BlurLevelClassifier(n_threads=1).fit(*camera)


@pytest.fixture
def saved(fitted, tmp_path):
    path = tmp_path / "mine.onnx"
    fitted.save(path, note="a noisy camera")
    return path


def test_a_saved_layer_gives_the_same_maps(fitted, saved, camera):
    again = sd.BlurLevelClassifier(model=saved, n_threads=1)
    assert_allclose(again.predict_proba(camera[0]), fitted.predict_proba(camera[0]), atol=1e-4)
    pipe = sd.make_defocus_pipeline().set_params(levels=fitted)
    image = [np.hstack([PHOTO, blur(PHOTO, 3)])]
    expected = pipe.transform(image)[0]
    pipe = sd.make_defocus_pipeline().set_params(levels__model=saved)
    assert_allclose(pipe.fit_transform(image)[0], expected, atol=1e-3)
    assert np.abs(sd.make_defocus_pipeline().transform(image)[0] - expected).mean() > 0.02


def test_a_saved_layer_is_a_parameter_and_survives(saved, camera):
    classifier = sd.BlurLevelClassifier(model=str(saved), n_threads=1)
    expected = classifier.predict_proba(camera[0])
    for copy in (clone(classifier), pickle.loads(pickle.dumps(classifier)), classifier.fit([])):
        assert_array_equal(copy.predict_proba(camera[0]), expected)
    scenes = sd.datasets.load_sample_scenes(64)[:2]
    search = GridSearchCV(
        sd.make_defocus_pipeline(), {"levels__model": [None, str(saved)]}, cv=2,
        error_score="raise",
    ).fit([s.photograph for s in scenes], [s.sigma for s in scenes])  # fmt: skip
    assert len(set(search.cv_results_["mean_test_score"])) == 2


def test_a_saved_file_tells_where_it_comes_from(saved, camera):
    base = network.load_facts(network.model_path(None))
    facts = network.load_facts(str(saved))
    told = json.loads(facts.metadata["head"])
    assert told["base"] == base.digest
    assert told["note"] == "a noisy camera"
    assert told["skdefocus"] == sd.__version__
    assert told["patches"] == np.bincount(camera[1], minlength=20).tolist()
    assert "held_out" not in facts.metadata
    assert facts.sigmas == base.sigmas
    assert_allclose(facts.prior, (np.array(told["patches"]) + 1) / (len(camera[1]) + 20))


def test_a_file_is_not_written_over_by_chance(fitted, saved):
    before = saved.read_bytes()
    with pytest.raises(FileExistsError):
        fitted.save(saved)
    assert saved.read_bytes() == before
    fitted.save(saved, overwrite=True)
    assert saved.read_bytes() != before
    assert [path.name for path in saved.parent.iterdir()] == ["mine.onnx"]


def test_there_must_be_something_to_save(tmp_path, camera):
    for classifier in (sd.BlurLevelClassifier(), sd.BlurLevelClassifier().fit(camera[0])):
        with pytest.raises(NotFittedError, match="no re-fitted last layer"):
            classifier.save(tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


def test_a_layer_of_a_saved_file_can_be_fitted_again(saved, camera, tmp_path):
    second = sd.BlurLevelClassifier(model=saved, n_threads=1).fit(*camera)
    second.save(tmp_path / "second.onnx")
    first = sd.BlurLevelClassifier(model=saved, n_threads=1)
    again = sd.BlurLevelClassifier(model=tmp_path / "second.onnx", n_threads=1)
    assert_allclose(again.predict_proba(camera[0]), first.predict_proba(camera[0]), atol=1e-4)


def test_what_was_learned_is_not_lost_without_a_warning(camera):
    model = sd.BlurLevelClassifier(n_threads=1).fit(*camera)
    with pytest.warns(UserWarning, match=r"clone drops the last layer .* save\(path\)"):
        copy = clone(model)
    assert not hasattr(copy, "head_")
    pipe = sd.make_defocus_pipeline().set_params(levels=model)
    with pytest.warns(UserWarning, match="fit without labels drops the last layer"):
        pipe.fit([PHOTO])
    assert model.head_ is None
    assert not hasattr(model, "label_counts_")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clone(model.fit(camera[0]))
        model.fit(*camera).fit(*camera)  # learning anew is no loss
        pickle.loads(pickle.dumps(model)).transform(sd.PatchExtractor().transform([PHOTO]))


def test_weights_of_patches(camera):
    X, y = camera
    noise = np.random.default_rng(0).normal(0, 0.1, X.shape)
    X = np.clip(X + noise, 0, 1)  # so that some answers are wrong
    keep = np.arange(len(y)) % 3 > 0
    some = sd.BlurLevelClassifier(n_threads=1).fit(X[keep], y[keep])
    scale_of_all = sd.BlurLevelClassifier(n_threads=1).fit(X, y, sample_weight=keep)
    agree = some.predict(X) == scale_of_all.predict(X)
    assert agree.mean() > 0.9
    assert not np.allclose(scale_of_all.head_[0], sd.BlurLevelClassifier().fit(X, y).head_[0])
    with config_context(enable_metadata_routing=True):
        model = sd.BlurLevelClassifier(n_threads=1).set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        routed = cross_val_score(model, X, y, cv=2, params={"sample_weight": keep})
        plain = cross_val_score(model, X, y, cv=2, params={"sample_weight": None})
    assert routed.tolist() != plain.tolist()


def test_the_prior_is_that_of_the_labels(fitted, camera):
    assert_array_equal(fitted.label_counts_, np.bincount(camera[1], minlength=20))
    facts = fitted._facts
    assert sum(facts.prior) == pytest.approx(1)
    assert facts.prior[5] == pytest.approx((fitted.label_counts_[5] + 1) / (len(camera[1]) + 20))


@pytest.fixture(scope="module")
def scenes():
    """Photographs, one of several shapes and one with unknown σ, and their maps."""
    made = [sd.datasets.make_scene([PHOTO], "plane", random_state=k) for k in range(4)]
    images, maps = [s.photograph for s in made], [s.sigma.copy() for s in made]
    images[0], maps[0] = images[0][:101, :90], maps[0][:101, :90]
    maps[1][:30] = np.nan
    return images, maps


LEARNS = {"levels__fit_head": True, "levels__n_threads": 1}


def test_a_pipeline_learns_a_layer_from_true_maps(scenes):
    images, maps = scenes
    plain = sd.make_defocus_pipeline(step=8)
    pipe = clone(plain).set_params(**LEARNS)
    with pytest.raises(NotFittedError):
        pipe.transform(images)
    pipe.fit(images, maps)
    assert pipe["levels"].head_ is not None
    assert pipe["levels"].label_counts_.sum() == pytest.approx(26 * 23 + 3 * 32 * 32 - 32 * 8, 9)
    assert pipe.score(images[2:], maps[2:]) > plain.score(images[2:], maps[2:]) + 0.05
    # Without the parameter, maps are the truth for later stages alone.
    assert plain.fit(images, maps)["levels"].head_ is None


def test_a_layer_that_is_learned_in_every_fold_is_no_loss(scenes):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipe = sd.make_defocus_pipeline(step=8).set_params(**LEARNS).fit(*scenes)
        assert not hasattr(clone(pipe)["levels"], "head_")
        pipe.fit(*scenes)
        search = GridSearchCV(
            pipe, {"levels__fit_head": [False, True]}, cv=2, error_score="raise"
        )  # fmt: skip
        search.fit(*scenes)
    assert search.best_params_ == {"levels__fit_head": True}
    assert search.best_estimator_["levels"].head_ is not None


def test_cells_are_learned_alone_and_in_tiles(scenes, monkeypatch):
    images, maps = scenes
    grids = sd.PatchExtractor(step=32).transform(images)
    alone = sd.BlurLevelClassifier(fit_head=True, inference="patches").fit(grids, maps)
    known = sum(-(-m.shape[0] // 32) * -(-m.shape[1] // 32) for m in maps) - 4
    assert alone.label_counts_.sum() == known
    whole = sd.BlurLevelClassifier(fit_head=True).fit(grids, maps)
    monkeypatch.setattr(_dense, "TILE", 64)
    tiled = sd.BlurLevelClassifier(fit_head=True).fit(grids, maps)
    assert_array_equal(tiled.label_counts_, whole.label_counts_)
    assert_allclose(tiled.head_[0], whole.head_[0], atol=3e-2)
    monkeypatch.setattr(_cells, "CELLS", 10)
    assert sd.BlurLevelClassifier(fit_head=True).fit(grids, maps).label_counts_.sum() == 40


def test_a_layer_of_maps_serves_patches_too(scenes):
    """Cells are also seen as patches by themselves, of the network's stride whatever the step."""
    grids = sd.PatchExtractor(step=32).transform(scenes[0])
    model = sd.BlurLevelClassifier(fit_head=True, n_threads=1).fit(grids, scenes[1])
    patches = np.concatenate([g.patches.reshape(-1, 32, 32) for g in grids[2:]])
    sigma = np.concatenate([_cells.cell_means(m, 32).ravel() for m in scenes[1][2:]])
    shipped = sd.BlurLevelClassifier(n_threads=1)
    error = {c: np.abs(c.predict_sigma(patches) - sigma).mean() for c in (model, shipped)}
    assert error[model] < error[shipped]


def test_photographs_of_unknown_blur_teach_nothing(scenes):
    images, maps = [scenes[0][2]] * 2, [scenes[1][2], np.full_like(scenes[1][2], np.nan)]
    grids = sd.PatchExtractor(step=8).transform(images)
    for inference in ("dense", "patches"):
        model = sd.BlurLevelClassifier(fit_head=True, inference=inference, n_threads=1)
        both = model.fit(grids, maps).label_counts_
        assert_array_equal(both, model.fit(grids[:1], maps[:1]).label_counts_)


def test_images_are_weighed(scenes):
    grids, maps = sd.PatchExtractor(step=8).transform(scenes[0][2:]), scenes[1][2:]
    model = sd.BlurLevelClassifier(fit_head=True, n_threads=1)
    equal = model.fit(grids, maps).head_[0]
    assert not np.allclose(model.fit(grids, maps, sample_weight=[1, 0]).head_[0], equal)
    with pytest.raises(ValueError, match="sample_weight must be 2 finite numbers"):
        model.fit(grids, maps, sample_weight=[1, 2, 3])


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (None, ValueError, "y must hold the true σ maps if fit_head=True"),
        ([np.zeros((64, 64))], ValueError, "y must hold one map per image, 2"),
        ([np.zeros((64, 64)), np.zeros((8, 8))], ValueError, r"y\[1\] must have the photograph's"),
        ([np.zeros((64, 64)), -np.ones((64, 64))], ValueError, r"y\[1\] must be finite and >= 0"),
        ([np.zeros((64, 64)), np.full((64, 64), np.inf)], ValueError, r"y\[1\] must be finite"),
        ([np.zeros((64, 64))] * 2, ValueError, "at least two different levels"),
        ([np.full((64, 64), np.nan)] * 2, ValueError, "at least two different levels"),
        ([np.zeros((64, 64), bool)] * 2, TypeError, r"y\[0\] must hold real numbers"),
    ],
)
def test_wrong_maps(y, error, message):
    grids = sd.PatchExtractor(step=8).transform([PHOTO[:64, :64]] * 2)
    with pytest.raises(error, match=message):
        sd.BlurLevelClassifier(fit_head=True, n_threads=1).fit(grids, y)


def test_a_layer_does_not_serve_another_network(saved, camera):
    model = sd.BlurLevelClassifier(n_threads=1).fit(*camera).set_params(model=saved)
    with pytest.raises(ValueError, match=r"mine.onnx' is another one; call fit again"):
        model.predict(camera[0])
    model.fit(*camera).predict(camera[0])
