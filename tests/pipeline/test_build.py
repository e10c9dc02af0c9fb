"""Photograph to map, and the pipeline under scikit-learn's tools."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline

import skdefocus as sd
from skdefocus import network
from skdefocus.datasets import load_sample_scenes, sample_photographs

GRAY = np.round(sample_photographs(128)[0] * 255).astype(np.uint8)


def test_the_same_map_whatever_the_type():
    expected = sd.defocus_map(GRAY)
    assert expected.shape == GRAY.shape
    assert expected.dtype == np.float32
    for image in (
        GRAY.astype(np.uint16) * 257,
        GRAY.astype(np.float32) / 255,
        GRAY / 255,
        np.asfortranarray(GRAY),
        GRAY[..., None],
    ):
        assert_allclose(sd.defocus_map(image), expected, atol=1e-4)
    pipe = sd.make_defocus_pipeline()
    assert_allclose(pipe.transform(GRAY[None])[0], expected, atol=1e-4)
    assert_allclose(pipe.transform([GRAY])[0], expected, atol=1e-4)
    assert_allclose(sd.defocus_map(GRAY.tolist() / np.array(255.0)), expected, atol=1e-4)


def test_color_and_alpha():
    rgb = np.stack([GRAY] * 3, axis=-1)
    rgba = np.dstack([rgb, np.full_like(GRAY, 255)])
    # Three equal channels vary three times as much as one, which eps is compared with.
    assert_allclose(sd.defocus_map(rgb, eps=9e-4), sd.defocus_map(GRAY, eps=3e-4), atol=1e-4)
    assert_allclose(sd.defocus_map(rgba), sd.defocus_map(rgb), atol=1e-6)


def test_an_array_gives_an_array_and_a_list_a_list():
    pipe = sd.make_defocus_pipeline(step=16)
    stacked = pipe.fit_transform(np.stack([GRAY, GRAY[::-1]]))
    assert isinstance(stacked, np.ndarray)
    assert stacked.shape == (2, 128, 128)
    ragged = pipe.fit_transform([GRAY, GRAY[:50, :70]])
    assert isinstance(ragged, list)
    assert [m.shape for m in ragged] == [(128, 128), (50, 70)]


@pytest.mark.parametrize("size", [(20, 20), (1, 1), (1, 40), (33, 7)])
def test_images_smaller_than_a_patch_get_a_map(size):
    out = sd.defocus_map(GRAY[: size[0], : size[1]])
    assert out.shape == size
    assert np.isfinite(out).all()


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (np.zeros((0, 0)), ValueError),
        (np.full((40, 40), np.nan), ValueError),
        (np.full((40, 40), 2.0), ValueError),
        (np.zeros((40, 40), np.int32), TypeError),
        (np.zeros((40, 40, 5)), ValueError),
        (np.zeros(40), ValueError),
    ],
)
def test_what_is_no_image(image, error):
    with pytest.raises(error, match="image"):
        sd.defocus_map(image)


def test_is_an_ordinary_pipeline():
    pipe = sd.make_defocus_pipeline(step=16, radius=5, memory=None)
    assert isinstance(pipe, Pipeline)
    assert list(pipe.named_steps) == ["patches", "levels", "refine"]
    assert pipe.get_params()["refine__radius"] == 5
    before = pipe.transform([GRAY])[0]
    assert_allclose(clone(pipe).fit([GRAY]).transform([GRAY])[0], before)
    assert_allclose(pickle.loads(pickle.dumps(pipe)).transform([GRAY])[0], before)
    assert_allclose(clone(pipe).fit_transform([GRAY])[0], before)


def test_grid_search_over_ragged_images_runs_the_network_once_per_image(tmp_path, monkeypatch):
    calls = []
    run = network.run
    monkeypatch.setattr(network, "run", lambda *a, **k: calls.append(1) or run(*a, **k))
    scenes = load_sample_scenes(96)
    images = [s.photograph[: 96 - 8 * i] for i, s in enumerate(scenes)]
    truth = [s.sigma[: 96 - 8 * i] for i, s in enumerate(scenes)]
    search = GridSearchCV(
        sd.make_defocus_pipeline(memory=str(tmp_path)),
        {"refine__radius": [2, 12], "refine__eps": [1e-4, 1e-2], "refine__n_iter": [0, 1]},
        scoring=sd.metrics.get_scorer("neg_sigma_mae"),
        cv=2,
        error_score="raise",
    )
    search.fit(images, truth)
    assert len(calls) == len(images)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert len(set(np.round(scores, 6))) > 4  # the parameters matter
    assert search.best_estimator_.transform(images[:1])[0].shape == images[0].shape


def test_the_score_needs_no_scorer():
    scenes = load_sample_scenes(64)[:4]
    images, truth = [s.photograph for s in scenes], [s.sigma for s in scenes]
    pipe = sd.make_defocus_pipeline()
    by_scorer = sd.metrics.get_scorer("neg_sigma_mae")(pipe, images, truth)
    assert pipe.score(images, truth) == pytest.approx(by_scorer)
    parts = cross_val_score(pipe, images, truth, cv=2)
    assert np.mean(parts) == pytest.approx(by_scorer)
    assert by_scorer < 0


def test_grid_search_on_focus_masks():
    scenes = load_sample_scenes(96)[1:3]
    search = GridSearchCV(
        sd.make_defocus_pipeline(),
        {"refine__radius": [2, 12]},
        scoring=sd.metrics.get_scorer("focus_auc"),
        cv=2,
        error_score="raise",
    )
    search.fit([s.photograph for s in scenes], [(s.sigma < 0.5).astype(float) for s in scenes])
    assert search.best_score_ > 0.7


def test_blurring_more_raises_the_map():
    from skdefocus.synthesis import blur

    image = sample_photographs(128)[2]
    means = [sd.defocus_map(blur(image, s)).mean() for s in (0, 0.7, 1.5, 3)]
    assert np.all(np.diff(means) > 0.2)


def test_repeated_runs_agree():
    assert_allclose(sd.defocus_map(GRAY), sd.defocus_map(GRAY), atol=1e-6)


@pytest.mark.parametrize("truth", ["sigma", "mask"])
def test_a_search_over_the_refinement_runs_the_network_once_per_image(tmp_path, monkeypatch, truth):
    scenes = sd.datasets.load_sample_scenes(64)[:4]
    X = [s.photograph for s in scenes]
    if truth == "sigma":
        y, scorer = [s.sigma for s in scenes], sd.metrics.get_scorer("neg_sigma_mae")
    else:
        y = [s.sigma < np.median(s.sigma) for s in scenes]
        scorer = sd.metrics.get_scorer("focus_auc")
    calls = []
    run = network.run
    monkeypatch.setattr(network, "run", lambda *a, **k: calls.append(1) or run(*a, **k))
    grid = {"refine__radius": [2, 8], "refine__eps": [1e-4, 1e-2], "refine__n_iter": [0, 2]}
    search = GridSearchCV(
        sd.make_defocus_pipeline(memory=str(tmp_path)), grid, scoring=scorer, cv=2, refit=False,
        error_score="raise",
    ).fit(X, y)  # fmt: skip
    assert len(calls) == len(X)
    scores = search.cv_results_["mean_test_score"]
    assert len(set(scores)) >= 4
    assert search.best_score_ == scores.max()
