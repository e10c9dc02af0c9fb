"""Levels beyond the network's last one, and how the answers for all sizes become one."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import skdefocus as sd
from skdefocus import network
from skdefocus._grids import tiles, twice
from skdefocus.datasets import sample_photographs
from skdefocus.network import ModelFacts
from skdefocus.pipeline._octaves import DENSITY, extended, joined, octaves_of, softmax
from skdefocus.synthesis import blur

SIGMAS = (0.0, *np.geomspace(0.5, 8, 13).tolist())
PRIOR = (0.3, *[0.05] * 12, 0.1)
FACTS = ModelFacts("", "", SIGMAS, PRIOR, 32, 4, 16, 0, {})


def cells_of(shape):
    return -(-shape[0] // 4), -(-shape[1] // 4)


# --- levels ------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1024), min_size=2, max_size=30, unique=True), st.integers(0, 6))
def test_levels_go_on_ascending(sigmas, octaves):
    sigmas = tuple(sorted(sigmas))
    levels = extended(sigmas, octaves)
    assert levels[: len(sigmas)] == sigmas
    more = levels[len(sigmas) - 1 :]
    assert all(a < b for a, b in pairwise(more))
    assert more[-1] == pytest.approx(sigmas[-1] * 2**octaves)
    assert DENSITY[0] * octaves <= len(more) - 1 <= DENSITY[1] * octaves


def test_levels_go_on_as_they_ended():
    levels = np.array(extended(SIGMAS, 3))
    assert_allclose(levels[1:], 0.5 * 2 ** (np.arange(22) / 3), rtol=1e-6)


def test_levels_of_the_shipped_network():
    sigmas = network.load_facts(network.model_path(None)).sigmas
    levels = extended(sigmas, 3)
    assert levels[-1] == pytest.approx(64)
    ratios = np.diff(np.log(levels[-14:]))
    assert_allclose(ratios, np.log(sigmas[-1] / sigmas[-2]), rtol=0.05)


@pytest.mark.parametrize(
    ("shape", "most", "octaves"),
    [
        ((96, 96), 6, 0), ((191, 5000), 6, 0), ((192, 192), 6, 1), ((192, 192), 0, 0),
        ((5000, 384), 6, 2), ((100_000, 100_000, 3), 3, 3), ((1, 1), 3, 0),
    ],
)  # fmt: skip
def test_halvings(shape, most, octaves):
    assert octaves_of(shape, most) == octaves


# --- enlarging ---------------------------------------------------------------------------------


def twice_naively(cells, shape):
    """Every new cell is 3/4 of the one that it lies in and 1/4 of the nearest other one."""
    for axis in (0, 1):
        cells = np.moveaxis(cells, axis, 0)
        out = []
        for i in range(shape[axis]):
            other = i // 2 + (1 if i % 2 else -1)
            other = min(max(other, 0), len(cells) - 1)
            out.append(0.75 * cells[i // 2] + 0.25 * cells[other])
        cells = np.moveaxis(np.array(out), 0, axis)
    return cells


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 1), st.integers(0, 1))
def test_twice(rows, columns, odd_rows, odd_columns):
    cells = np.random.default_rng(rows).random((rows, columns, 3), np.float32)
    before = cells.copy()
    shape = (2 * rows - odd_rows, 2 * columns - odd_columns)
    found = twice(np.moveaxis(cells, 2, 0), shape)
    assert found.dtype == np.float32
    assert_allclose(np.moveaxis(found, 0, 2), twice_naively(cells, shape), atol=1e-6)
    assert_array_equal(cells, before)


# --- pooling -----------------------------------------------------------------------------------


def in_parts(answer, side=64):
    """Answers for an image, as those of tiles of some cells."""

    def parts(image):
        found = answer(image)
        for area, _ in tiles(found.shape[:2], 1, 0, side):
            yield area, found[area]

    return parts


def test_without_octaves_it_is_the_network_s_own_answer():
    answer = np.random.default_rng(0).dirichlet(np.ones(14), cells_of((400, 500)))
    found = joined(np.zeros((400, 500)), FACTS, 0, in_parts(lambda image: answer))
    assert_array_equal(found, answer.astype(np.float32))


@given(
    st.integers(1, 420), st.integers(150, 420), st.integers(1, 4), st.sampled_from([0.01, 0.3, 9])
)
def test_pooled_answers_are_distributions(height, width, octaves, peaked):
    rng = np.random.default_rng(height)
    shapes = []

    def answer(image):
        shapes.append(image.shape)
        return rng.dirichlet(np.full(14, peaked), cells_of(image.shape)).astype(np.float32)

    image = rng.random((height, width, 3)).astype(np.float32)
    found = joined(image, FACTS, octaves, in_parts(answer))
    assert found.dtype == np.float32
    assert found.shape == (*cells_of(image.shape), len(extended(SIGMAS, octaves)))
    assert found.min() >= 0
    assert_allclose(found.sum(axis=-1), 1, atol=1e-5)
    halved = [
        (-(-height // 2**k), -(-width // 2**k))
        for k in range(1, octaves_of(image.shape, octaves) + 1)
    ]
    assert sorted(shapes) == sorted([image.shape, *halved])


def test_who_sees_nothing_says_what_is_common():
    found = joined(
        np.zeros((400, 400)),
        FACTS,
        2,
        in_parts(
            lambda image: np.broadcast_to(np.float32(PRIOR), (*cells_of(image.shape), 14)).copy()
        ),
    )
    beyond = [PRIOR[-1] / 7] * 7  # three levels per octave, and the network's last one
    assert_allclose(found, np.broadcast_to([*PRIOR[:-1], *beyond], found.shape), rtol=1e-4)


def certain(sigma):
    """A network that never errs, on a photograph of 800 × 800 pixels blurred by σ."""

    def answer(image):
        reduced = sigma * len(image) / 800
        level = np.interp(reduced, SIGMAS, np.arange(14.0))
        found = np.maximum(1 - np.abs(np.arange(14) - level), 0).astype(np.float32)
        return np.broadcast_to(found, (*cells_of(image.shape), 14)).copy()

    return answer


@pytest.mark.parametrize("level", range(0, 23, 2))
def test_certain_answers_are_found_at_every_level(level):
    levels = np.array(extended(SIGMAS, 3))
    found = joined(np.zeros((800, 800), np.float32), FACTS, 3, in_parts(certain(levels[level])))
    assert np.all(found.argmax(axis=-1) == level)


def test_one_wrong_size_does_not_outvote_the_others():
    right = certain(16.0)

    def answer(image):
        if len(image) < 800:
            return right(image)
        return certain(2.0)(image)

    found = joined(np.zeros((800, 800), np.float32), FACTS, 3, in_parts(answer))
    assert np.all(np.array(extended(SIGMAS, 3))[found.argmax(axis=-1)] > 8)


@given(st.integers(1, 30), st.floats(0, 1e4))
def test_softmax(n, spread):
    logits = (spread * np.random.default_rng(n).standard_normal((3, n))).astype(np.float32)
    exact = np.exp(logits.astype(float) - logits.max(axis=-1, keepdims=True).astype(float))
    exact /= exact.sum(axis=-1, keepdims=True)
    assert_allclose(softmax(logits.copy()), exact, atol=1e-6)
    assert_allclose(softmax(logits.T.copy(), axis=0).T, exact, atol=1e-6)


# --- with the shipped network ------------------------------------------------------------------


@pytest.fixture(scope="module")
def grass():
    photo = sample_photographs(400)[2]
    return sd.PatchExtractor(step=8).transform([np.clip(blur(photo, 16.0), 0, 1)])


def test_strong_blur_is_told_from_less(grass):
    octaves = sd.BlurLevelClassifier(octaves=3, n_threads=1).transform(grass)[0]
    assert octaves.sigmas[-1] == pytest.approx(64)
    assert np.median(octaves.sigma) > 8
    assert octaves.sigma.min() > 1


def test_without_octaves_levels_end_with_the_network_s(grass):
    own = sd.BlurLevelClassifier(octaves=0, n_threads=1)
    found = own.transform(grass)[0]
    assert_array_equal(found.sigmas, own.sigmas_)
    assert found.sigma.max() <= own.sigmas_[-1]
