"""What the effects share: maps, dtypes, one map for each photograph, cores, wrong estimators."""

import numpy as np
import pytest
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, TransformerMixin

import skdefocus as sd
from skdefocus import _estimators, network
from skdefocus.datasets import sample_photographs
from skdefocus.effects import paper_magnify
from skdefocus.pipeline import _refiner

GRAY = sample_photographs(64)[0]
ONE = np.ones(GRAY.shape)
each_effect = pytest.mark.parametrize("effect", [sd.DefocusMagnifier, sd.AdaptiveSharpener])
each_mapper = pytest.mark.parametrize(
    "effect", [sd.DefocusMagnifier, sd.AdaptiveSharpener, sd.DefocusFeatures]
)


class Mapper(TransformerMixin, BaseEstimator):
    def __init__(self, answer):
        self.answer = answer

    def transform(self, X):
        return self.answer(X)


@each_effect
def test_photographs_are_mapped_one_by_one_where_they_are_worked_on(effect):
    """All maps were made at once, before any of the workers began."""
    counts = []

    def answer(X):
        counts.append(len(X))
        return [np.ones(x.shape) for x in X]

    with parallel_config(backend="threading"):
        effect(estimator=Mapper(answer), n_jobs=2).transform([GRAY] * 6)
    assert counts == [1] * 6


@each_mapper
def test_workers_share_the_cores(effect, monkeypatch):
    """Each had as many threads as there are cores."""
    threads = []

    def spy(module, name, n_threads):
        function = getattr(module, name)

        def called(*args, **more):
            threads.append(n_threads(args, more))
            return function(*args, **more)

        monkeypatch.setattr(module, name, called)

    spy(network, "run", lambda args, more: args[3])
    spy(_refiner, "in_threads", lambda args, more: args[0])
    monkeypatch.setattr(_estimators, "cpu_count", lambda: 8)
    with parallel_config(backend="threading"):
        effect(n_jobs=4).transform([GRAY] * 2)
    assert threads == [2] * 4


@each_mapper
@pytest.mark.parametrize("estimator", [sd.EdgeReblurEstimator, 5, ["passthrough"]])
def test_what_is_no_estimator(effect, estimator):
    for call in (effect(estimator=estimator).fit, effect(estimator=estimator).transform):
        with pytest.raises(TypeError, match="estimator must be a transformer"):
            call([GRAY])


@each_effect
def test_effects_need_photographs(effect):
    with pytest.raises(TypeError, match=r"estimator must be a transformer .* got 'passthrough'"):
        effect(estimator="passthrough").fit([GRAY])


@each_mapper
@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (None, TypeError, "the output of estimator must be a list or an array"),
        ([], ValueError, "estimator must make one map per photograph, got 0"),
        ([ONE, ONE], ValueError, "estimator must make one map per photograph, got 2"),
        ([ONE[:9]], ValueError, "estimator's map must have the photograph's size"),
        ([np.ones(9)], ValueError, "estimator's map must have shape"),
    ],
)
def test_what_are_no_maps(effect, answer, error, message):
    with pytest.raises(error, match=message):
        effect(estimator=Mapper(lambda X: answer)).transform([GRAY])


each_function = pytest.mark.parametrize("function", [sd.magnify, sd.sharpen])


@each_function
def test_a_map_is_estimated_where_none_is_given(function):
    assert_array_equal(function(GRAY), function(GRAY, sd.defocus_map(GRAY)))


@pytest.mark.parametrize("function", [sd.magnify, sd.sharpen, paper_magnify])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64])
def test_the_dtype_stays(function, dtype):
    scale = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    rgb = np.stack([GRAY, GRAY[::-1], GRAY.T], axis=-1)
    image = (np.rint(rgb * scale) if scale > 1 else rgb).astype(dtype)
    sigma = np.linspace(0, 6, 64) * np.ones((64, 1))
    found = function(image, sigma)
    assert found.dtype == dtype
    assert not np.shares_memory(found, image)
    expected = function((image / scale).astype(np.float32), sigma) * scale
    assert_allclose(found, expected, atol=0.501 if scale > 1 else 1e-3)
    assert np.abs(found.astype(float) - image).max() > 0.005 * scale


@pytest.mark.parametrize("function", [sd.magnify, sd.sharpen, paper_magnify])
def test_shades_do_not_fit_into_bool(function):
    found = function(GRAY > 0.5, np.linspace(0, 6, 64) * np.ones((64, 1)))
    assert found.dtype == np.float32
    assert len(np.unique(found)) > 2


@each_effect
def test_a_batch_of_bytes_gives_a_batch_of_bytes(effect):
    batch = np.rint(255 * np.stack([GRAY] * 2)).astype(np.uint8)
    found = effect(estimator=Mapper(lambda X: [np.full(x.shape, 0.7) for x in X])).transform(batch)
    assert found.dtype == np.uint8
    assert found.shape == batch.shape


@each_effect
@pytest.mark.parametrize("value", [-1, np.nan])
def test_maps_that_are_not_of_sigma(effect, value):
    with pytest.raises(ValueError, match=r"estimator's map must be (finite|>= 0)"):
        effect(estimator=Mapper(lambda X: [value * ONE])).transform([GRAY])
