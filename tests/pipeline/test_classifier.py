"""The classifier over records and over arrays of patches."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import skdefocus as sd
from skdefocus import network
from skdefocus.datasets import sample_photographs
from skdefocus.pipeline import _dense
from skdefocus.synthesis import blur

PHOTO = sample_photographs(256)[2]  # grass: texture everywhere


def patches_of(image, step=32):
    grid = sd.PatchExtractor(step=step).transform([image])[0]
    return np.array(grid.patches.reshape(-1, 32, 32))


@pytest.fixture(scope="module")
def shipped():
    return sd.BlurLevelClassifier(n_threads=1)


def test_levels_come_from_the_model_file(shipped):
    facts = network.load_facts(network.model_path(None))
    assert_array_equal(shipped.sigmas_, facts.sigmas)
    assert_array_equal(shipped.classes_, np.arange(len(facts.sigmas)))
    assert shipped.sigmas_[0] == 0
    assert np.all(np.diff(shipped.sigmas_) > 0)


def test_probabilities(shipped):
    proba = shipped.predict_proba(patches_of(PHOTO))
    assert proba.dtype == np.float32
    assert_allclose(proba.sum(axis=1), 1, atol=1e-5)
    assert_array_equal(shipped.predict(patches_of(PHOTO)), proba.argmax(axis=1))


def test_sigma_follows_the_blur(shipped):
    found = [
        np.median(shipped.predict_sigma(patches_of(blur(PHOTO, s)))) for s in (0.0, 1.0, 2.0, 4.0)
    ]
    assert np.all(np.diff(found) > 0.5)
    assert found[0] < 0.5
    assert_allclose(found[1:], [1, 2, 4], rtol=0.35)


def test_a_flat_patch_says_that_it_cannot_tell(shipped):
    flat = [np.full((64, 64), 0.5, np.float32)]
    grid = shipped.transform(sd.PatchExtractor().transform(flat))[0]
    texture = shipped.transform(sd.PatchExtractor().transform([PHOTO]))[0]
    assert grid.confidence.max() < 0.35
    assert np.median(texture.confidence) > 0.7


@pytest.mark.parametrize("step", [8, 16, 32])
def test_dense_is_about_what_patches_say(step):
    image = [np.clip(blur(PHOTO[:96, :128], 1.5), 0, 1)]
    grids = sd.PatchExtractor(step=step).transform(image)
    dense, alone = (
        sd.BlurLevelClassifier(inference=inference, octaves=0, n_threads=1).transform(grids)[0]
        for inference in ("dense", "patches")
    )
    assert dense.proba.shape == alone.proba.shape == (-(-96 // step), -(-128 // step), 20)
    assert np.abs(dense.sigma - alone.sigma).mean() < 0.6
    assert_allclose(dense.sigma.mean(), 1.5, atol=0.5)


@pytest.mark.parametrize("step", [4, 8, 16])
def test_tiles_equal_the_whole(monkeypatch, step):
    image = [np.hstack([PHOTO, blur(PHOTO, 2.0)])]
    grids = sd.PatchExtractor(step=step).transform(image)
    whole = sd.BlurLevelClassifier(n_threads=1).transform(grids)[0]
    monkeypatch.setattr(_dense, "TILE", 128)
    tiled = sd.BlurLevelClassifier(n_threads=1).transform(grids)[0]
    assert_allclose(tiled.proba, whole.proba, atol=1e-5)


def test_threads_and_batches_change_nothing():
    grids = sd.PatchExtractor(step=16).transform([PHOTO[:100, :90]])
    for inference in ("dense", "patches"):
        one = sd.BlurLevelClassifier(inference=inference, n_threads=1, batch_size=7)
        two = sd.BlurLevelClassifier(inference=inference, n_threads=2, batch_size=512)
        a, b = one.transform(grids)[0], two.transform(grids)[0]
        assert_allclose(a.proba, b.proba, atol=1e-5)


def test_patches_do_not_depend_on_their_batch(shipped):
    patches = patches_of(PHOTO)[:9]
    together = shipped.predict_proba(patches)
    for size in (1, 4):
        by_batch = sd.BlurLevelClassifier(n_threads=1, batch_size=size).predict_proba(patches)
        assert_allclose(by_batch, together, atol=1e-5)
    assert_allclose(shipped.predict_proba(patches[3:4]), together[3:4], atol=1e-5)


def test_records_carry_the_image_and_the_step(shipped):
    grids = sd.PatchExtractor(step=16).transform([PHOTO[:50, :70]])
    out = shipped.transform(grids)[0]
    assert out.image is grids[0].image
    assert (out.step, out.shape) == (16, (4, 5))
    levels = np.arange(len(out.sigmas))
    assert_allclose(out.sigma, np.interp(out.proba @ levels, levels, out.sigmas), rtol=1e-4)
    assert_array_equal(out.sigmas[: len(shipped.sigmas_)], shipped.sigmas_)
    assert 0 <= out.confidence.min() <= out.confidence.max() <= 1


def test_memory_runs_the_network_once_per_image(tmp_path, monkeypatch):
    calls = []
    run = network.run
    monkeypatch.setattr(network, "run", lambda *a, **k: calls.append(1) or run(*a, **k))
    grids = sd.PatchExtractor().transform([PHOTO[:64, :64], PHOTO[64:128, :64]])
    cached = sd.BlurLevelClassifier(memory=str(tmp_path), n_threads=1)
    first = cached.transform(grids)
    assert len(calls) == 2
    again = sd.BlurLevelClassifier(memory=str(tmp_path), n_threads=2).transform(grids)
    assert len(calls) == 2
    assert_array_equal(first[1].proba, again[1].proba)
    other = sd.PatchExtractor().transform([PHOTO[:64, 64:128]])
    cached.transform(other)
    assert len(calls) == 3


def test_fit_with_labels_refits_the_last_layer(shipped):
    # A camera whose lens the network never saw: a box blur of 9 pixels along one axis.
    from scipy.ndimage import uniform_filter1d

    levels = [2, 12]
    first, other, last = sample_photographs(256)
    seen = [first, last, *(uniform_filter1d(p, 9, axis=1) for p in (first, last))]
    X = np.concatenate([patches_of(photo, 16) for photo in seen])
    y = np.repeat(levels, len(X) // 2)
    X_test = np.concatenate([patches_of(other), patches_of(uniform_filter1d(other, 9, axis=1))])
    y_test = np.repeat(levels, len(X_test) // 2)
    model = sd.BlurLevelClassifier(n_threads=1).fit(X, y)
    assert model.score(X_test, y_test) > 0.8 > shipped.score(X_test, y_test)
    proba = model.predict_proba(X_test)
    assert proba.shape == (len(X_test), 20)
    assert_allclose(proba[:, levels].sum(axis=1), 1, atol=1e-4)
    # It also serves records, and fit without labels goes back to the network's own layer.
    grids = sd.PatchExtractor(step=32).transform([other])
    in_patches = model.set_params(inference="patches").transform(grids)[0]
    assert_allclose(
        in_patches.proba[..., :20].reshape(-1, 20),
        model.predict_proba(patches_of(other)),
        atol=1e-5,
    )
    with pytest.warns(UserWarning, match="save"):
        model.fit(X)
    assert_allclose(model.predict_proba(X_test), shipped.predict_proba(X_test), atol=1e-6)


def test_fit_refits_several_levels():
    X = np.concatenate([patches_of(blur(PHOTO, s)) for s in (0, 1, 3)])
    y = np.repeat([0, 6, 12], len(X) // 3)
    assert sd.BlurLevelClassifier(n_threads=1).fit(X, y).score(X, y) > 0.9


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"inference": "fast"}, "inference must be one of"),
        ({"octaves": -1}, "octaves must be from 0 to 6"),
        ({"octaves": 7}, "octaves must be from 0 to 6"),
        ({"batch_size": 0}, "batch_size must be >= 1"),
        ({"n_threads": 0}, "n_threads must be >= 1"),
        ({"model": "nowhere.onnx"}, "model must be a readable ONNX file"),
    ],
)
def test_wrong_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        sd.BlurLevelClassifier(**parameters).fit([])


def test_wrong_inputs(shipped):
    with pytest.raises(ValueError, match=r"X must have shape \(n, 32, 32\)"):
        shipped.predict(np.zeros((2, 16, 16)))
    with pytest.raises(ValueError, match="X must be within"):
        shipped.predict(np.full((1, 32, 32), 255.0))
    with pytest.raises(ValueError, match=r"y must have shape"):
        shipped.fit(np.zeros((3, 32, 32)), [1, 2])
    with pytest.raises(ValueError, match="at least two different levels"):
        shipped.fit(np.zeros((3, 32, 32)), [1, 1, 1])
    with pytest.raises(ValueError, match="at least two different levels"):
        shipped.fit(np.zeros((2, 32, 32)), [1, 99])
    with pytest.raises(ValueError, match="patch_size must be 32"):
        shipped.transform(sd.PatchExtractor(16).transform([PHOTO]))
    for step in (2, 6):
        with pytest.raises(ValueError, match="step must be a multiple of 4"):
            shipped.transform(sd.PatchExtractor(step=step).transform([PHOTO]))


def test_a_stranger_is_not_taken_for_a_model(tmp_path):
    text = tmp_path / "text.onnx"
    text.write_text("not a model")
    with pytest.raises(ValueError, match="model must be an ONNX file"):
        sd.BlurLevelClassifier(text).fit([])
    folder = tmp_path / "folder.onnx"
    folder.mkdir()
    with pytest.raises(ValueError, match="model"):
        sd.BlurLevelClassifier(folder).fit([])


def test_a_copy_of_the_model_by_path(tmp_path, shipped):
    copy = tmp_path / "größer model.onnx"
    with open(network.model_path(None), "rb") as stream:
        copy.write_bytes(stream.read())
    X = patches_of(PHOTO)[:5]
    assert_array_equal(sd.BlurLevelClassifier(copy).predict_proba(X), shipped.predict_proba(X))


@pytest.mark.parametrize("labels", [[2.0, 12.0], [False, True], ["2", "12"]])
def test_labels_are_integers(shipped, labels):
    with pytest.raises(TypeError, match="y must hold integers"):
        shipped.fit(np.zeros((2, 32, 32)), labels)


@pytest.mark.parametrize("inference", ["dense", "patches"])
def test_integers_may_be_small_ones(shipped, inference):
    grids = sd.PatchExtractor(step=8).transform([PHOTO[:96, :160]])
    small = sd.BlurLevelClassifier(
        inference=inference, batch_size=np.int8(100), n_threads=np.int8(1)
    )
    plain = sd.BlurLevelClassifier(inference=inference, batch_size=100, n_threads=1)
    assert_array_equal(small.transform(grids)[0].proba, plain.transform(grids)[0].proba)
    patches = np.array(grids[0].patches.reshape(-1, 32, 32))
    assert len(small.predict(patches)) == len(patches) > 127
