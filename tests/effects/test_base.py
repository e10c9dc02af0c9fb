"""What the effects have in common: one map for each photograph, cores shared, wrong estimators."""

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.base import BaseEstimator, TransformerMixin

import skdefocus as sd
from skdefocus import _estimators, network
from skdefocus.datasets import sample_photographs
from skdefocus.pipeline import _refiner

GREY = sample_photographs(64)[0]
ONE = np.ones(GREY.shape)
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
        effect(estimator=Mapper(answer), n_jobs=2).transform([GREY] * 6)
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
    spy(_refiner, "weighted_guided_filter", lambda args, more: more["n_threads"])
    monkeypatch.setattr(_estimators, "cpu_count", lambda: 8)
    with parallel_config(backend="threading"):
        effect(n_jobs=4).transform([GREY] * 2)
    assert threads == [2] * 4


@each_mapper
@pytest.mark.parametrize("estimator", [sd.EdgeReblurEstimator, 5, ["passthrough"]])
def test_what_is_no_estimator(effect, estimator):
    for call in (effect(estimator=estimator).fit, effect(estimator=estimator).transform):
        with pytest.raises(TypeError, match="estimator must be a transformer"):
            call([GREY])


@each_effect
def test_effects_need_photographs(effect):
    with pytest.raises(TypeError, match=r"estimator must be a transformer .* got 'passthrough'"):
        effect(estimator="passthrough").fit([GREY])


@each_mapper
@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (None, TypeError, "what estimator makes must be a list or an array"),
        ([], ValueError, "estimator must make one map per photograph, got 0"),
        ([ONE, ONE], ValueError, "estimator must make one map per photograph, got 2"),
        ([ONE[:9]], ValueError, "estimator's map must have the photograph's size"),
        ([np.ones(9)], ValueError, "estimator's map must have shape"),
    ],
)
def test_what_are_no_maps(effect, answer, error, message):
    with pytest.raises(error, match=message):
        effect(estimator=Mapper(lambda X: answer)).transform([GREY])


@each_effect
@pytest.mark.parametrize("value", [-1, np.nan])
def test_maps_that_are_not_of_sigma(effect, value):
    with pytest.raises(ValueError, match=r"estimator's map must be (finite|>= 0)"):
        effect(estimator=Mapper(lambda X: [value * ONE])).transform([GREY])
