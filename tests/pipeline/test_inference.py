"""What a record of levels is made of: cells that are averaged, answers that are remembered."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import skdefocus as sd
from skdefocus import network
from skdefocus._grids import block_means
from skdefocus.datasets import sample_photographs
from skdefocus.pipeline import _inference, _records
from skdefocus.pipeline._octaves import octaves_of

PHOTO = sample_photographs(256)[2][:72, :100]


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 7))
def test_block_means(rows, columns, side):
    cells = np.random.default_rng(rows).random((rows, columns, 2), np.float32)
    expected = [
        [cells[i : i + side, j : j + side].mean(axis=(0, 1)) for j in range(0, columns, side)]
        for i in range(0, rows, side)
    ]
    found = block_means(cells, side)
    assert found.dtype == np.float32
    assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("octaves", [0, 3])
def test_larger_steps_average_the_answers_of_the_smallest(octaves):
    classifier = sd.BlurLevelClassifier(octaves=octaves, n_threads=1)
    fine, coarse = (
        classifier.transform(sd.PatchExtractor(step=step).transform([PHOTO]))[0] for step in (4, 16)
    )
    assert coarse.shape == (5, 7)
    assert_allclose(coarse.proba, block_means(fine.proba, 4), atol=1e-6)


@pytest.fixture
def calls(monkeypatch):
    found = []

    def counted(run):
        return lambda *a, **k: found.append(1) or run(*a, **k)

    for name in ("run", "run_patches"):
        monkeypatch.setattr(network, name, counted(getattr(network, name)))
    return found


def test_what_is_remembered_belongs_to_its_settings(tmp_path, calls):
    grids = sd.PatchExtractor(step=8).transform([PHOTO])
    patches = np.array(grids[0].patches.reshape(-1, 32, 32))
    labels = np.arange(len(patches)) % 2

    def answers(fit=False, step=8, **settings):
        classifier = sd.BlurLevelClassifier(memory=str(tmp_path), n_threads=1, **settings)
        if fit:
            classifier.fit(patches, labels)
        return classifier.transform(sd.PatchExtractor(step=step).transform([PHOTO]))[0].proba

    different = [
        {}, {"octaves": 0}, {"octaves": 1}, {"inference": "patches"}, {"step": 16}, {"fit": True},
    ]  # fmt: skip
    found = []
    for settings in different:
        before = len(calls)
        found.append(answers(**settings))
        assert len(calls) > before
    for settings, proba in zip(different[:-1], found, strict=False):
        before = len(calls)
        assert_array_equal(answers(**settings), proba)
        assert len(calls) == before
    shapes = {proba.shape for proba in found}
    assert len(shapes) == 4  # three numbers of levels, and another step
    assert np.abs(found[0] - found[-1]).max() > 0.01
    assert np.abs(found[0] - found[3]).max() > 0.01


def test_remembered_answers_are_shared_and_bounded(tmp_path, monkeypatch):
    grids = sd.PatchExtractor(step=8).transform([PHOTO, PHOTO[:64]])
    monkeypatch.setattr(_inference, "_recent", {})
    classifier = sd.BlurLevelClassifier(memory=str(tmp_path))
    first, again = classifier.transform(grids), classifier.transform(grids)
    for one, other in zip(first, again, strict=True):
        assert np.shares_memory(one.proba, other.proba)
        assert not one.proba.flags.writeable
    monkeypatch.setattr(_inference, "RECENT", first[0].proba.nbytes)
    classifier.transform(grids[:1])
    assert sum(kept.nbytes for kept in _inference._recent.values()) <= _inference.RECENT
    # A folder of its own is a cache of its own, and without one nothing is remembered.
    assert len(_inference._recent) == 1
    sd.BlurLevelClassifier().transform(grids)
    assert len(_inference._recent) == 1
    monkeypatch.setattr(_inference, "RECENT", 0)
    assert_array_equal(classifier.transform(grids)[0].proba, first[0].proba)
    assert not _inference._recent


def test_the_number_of_threads_is_no_part_of_what_is_remembered(tmp_path, calls):
    grids = sd.PatchExtractor(step=8).transform([PHOTO])
    for threads in (1, 2):
        sd.BlurLevelClassifier(memory=str(tmp_path), n_threads=threads).transform(grids)
    assert len(calls) == 1


def test_lone_patches_have_no_levels_beyond_the_network_s():
    grids = sd.PatchExtractor(step=32).transform([PHOTO])
    classifier = sd.BlurLevelClassifier(inference="patches", n_threads=1)
    grid = classifier.transform(grids)[0]
    n = len(classifier.sigmas_)
    assert len(grid.sigmas) > n
    assert_array_equal(grid.proba[..., n:], 0)
    patches = np.array(grids[0].patches.reshape(-1, 32, 32))
    assert_allclose(
        grid.proba[..., :n].reshape(-1, n), classifier.predict_proba(patches), atol=1e-5
    )


def test_large_photographs_keep_fewer_digits_and_get_the_same_map(monkeypatch):
    def run():
        grid = sd.BlurLevelClassifier(n_threads=1).transform(sd.PatchExtractor().transform([PHOTO]))
        return grid[0].__dict__["proba"].dtype, sd.WeightedGuidedRefiner().transform(grid)[0]

    exact, expected = run()
    monkeypatch.setattr(_records, "MANY", 0)
    fewer, found = run()
    assert (exact, fewer) == (np.float32, np.uint16)
    assert_allclose(found, expected, atol=1e-3, rtol=2e-3)


def test_memory_is_given_back_after_every_size_of_a_large_photograph(monkeypatch):
    released, release = [], network.release_memory
    monkeypatch.setattr(network, "release_memory", lambda *a: released.append(a) or release(*a))
    grids = sd.PatchExtractor().transform([np.tile(PHOTO, (3, 3))])
    classifier = sd.BlurLevelClassifier(n_threads=1)
    small = classifier.transform(grids)[0]
    assert not released
    monkeypatch.setattr(_inference, "LARGE", 0)
    assert_array_equal(classifier.transform(grids)[0].proba, small.proba)
    assert len(released) == 1 + octaves_of((216, 300), 3) == 2
