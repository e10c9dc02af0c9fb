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
