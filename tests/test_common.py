"""What holds for every estimator: versions for images of scikit-learn's checks, and more."""

import inspect
import pickle
from dataclasses import fields

import numpy as np
import pytest
from helpers.estimator_cases import ESTIMATORS, each_estimator
from joblib import parallel_config
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

import skdefocus as sd
from skdefocus.datasets import sample_photographs

GRAY = sample_photographs(64)[0]
IMAGES = [GRAY, GRAY[:40, ::-1], np.stack([GRAY[5:60]] * 3, axis=-1)]


def records(images):
    """What the stages before an estimator make of images, by the estimator's name."""
    grids = sd.PatchExtractor(step=16).transform(images)
    return {
        "PatchExtractor": images,
        "BlurLevelClassifier": grids,
        "WeightedGuidedRefiner": sd.BlurLevelClassifier(n_threads=1).transform(grids),
        "FocusFuser": [[image, image[::-1]] for image in images],
    }


INPUTS = records(IMAGES)


def inputs_of(estimator):
    return INPUTS.get(type(estimator).__name__, IMAGES)


def array_of(result):
    """The array that stands for one sample's result, whatever the stage."""
    if isinstance(result, sd.PatchGrid):
        return result.patches
    return result.proba if isinstance(result, sd.LevelGrid) else result


def assert_same(one, other, **tolerance):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(
            array_of(a), array_of(b), **(tolerance or {"rtol": 0, "atol": 0})
        )


@each_estimator
def test_samples_in_samples_out_in_order(estimator):
    X = inputs_of(estimator)
    whole = clone(estimator).fit(X).transform(X)
    assert len(whole) == len(X)
    for i in (2, 0):
        assert_same(clone(estimator).fit([X[i]]).transform([X[i]]), [whole[i]], atol=1e-5)
    assert_same(clone(estimator).fit(X).transform(X[::-1]), whole[::-1], atol=1e-5)


@each_estimator
def test_fit_is_idempotent_and_fit_transform_is_both(estimator):
    X = inputs_of(estimator)
    model = clone(estimator)
    once = model.fit(X).transform(X)
    assert_same(model.fit(X).transform(X), once)
    assert_same(clone(estimator).fit_transform(X), once)


@each_estimator
def test_pickles_after_use(estimator):
    X = inputs_of(estimator)
    model = clone(estimator).fit(X)
    before = model.transform(X)
    again = pickle.loads(pickle.dumps(model))
    assert_same(again.transform(X), before)
    assert repr(again) == repr(model)


@each_estimator
def test_sets_nothing_but_fitted_attributes(estimator):
    model = clone(estimator)
    parameters = model.get_params()
    model.fit(inputs_of(estimator)).transform(inputs_of(estimator))
    assert model.get_params() == parameters
    extra = set(vars(model)) - set(parameters)
    assert all(name.endswith("_") for name in extra), extra


@each_estimator
def test_parallel_equals_serial(estimator):
    if "n_jobs" not in inspect.signature(type(estimator)).parameters:
        pytest.skip("one image is no work for it")
    X = inputs_of(estimator)
    serial = clone(estimator).fit(X).transform(X)
    with parallel_config(backend="threading"):
        threads = clone(estimator).set_params(n_jobs=2).fit(X).transform(X)
    assert_same(threads, serial, atol=1e-6)


@each_estimator
def test_input_is_left_alone(estimator):
    X = inputs_of(estimator)
    before = [np.array(array_of(x)) for x in X]
    clone(estimator).fit(X).transform(X)
    for x, copy in zip(X, before, strict=True):
        assert_array_equal(array_of(x), copy)


@pytest.mark.parametrize(
    "estimator",
    [
        e
        for e in ESTIMATORS
        if type(e).__name__ not in ("BlurLevelClassifier", "WeightedGuidedRefiner", "FocusFuser")
    ],
    ids=lambda e: type(e).__name__,
)
def test_what_is_no_batch_is_refused(estimator):
    for wrong, error in [
        ([], ValueError),
        (np.zeros((0, 8, 8)), ValueError),
        ([np.zeros((0, 0))], ValueError),
        ([np.full((8, 8), np.nan)], ValueError),
        ([np.full((8, 8), 255.0)], ValueError),
        ([np.zeros((8, 8), np.int64)], TypeError),
        ([np.zeros((8, 8, 5))], ValueError),
        (np.zeros((8, 8)), ValueError),
        ("photo.jpg", TypeError),
    ]:
        with pytest.raises(error, match="X"):
            clone(estimator).fit([GRAY]).transform(wrong)


@pytest.mark.parametrize("estimator", ESTIMATORS[1:3], ids=lambda e: type(e).__name__)
def test_records_of_another_stage_are_refused(estimator):
    with pytest.raises(TypeError, match="X must be a list of"):
        estimator.transform([GRAY])


@each_estimator
def test_survives_skops(estimator):
    skops = pytest.importorskip("skops.io")
    data = skops.dumps(clone(estimator).fit(inputs_of(estimator)))
    names = skops.get_untrusted_types(data=data)
    assert all(name.startswith("skdefocus.") for name in names)
    again = skops.loads(data, trusted=names)
    X = inputs_of(estimator)
    assert_same(again.transform(X), clone(estimator).fit(X).transform(X))


@each_estimator
def test_one_table_declares_all_parameters(estimator):
    declared = {field.name for field in fields(type(estimator)._table)}
    assert declared == estimator.get_params(deep=False).keys()


@each_estimator
def test_set_output_changes_tables_only(estimator):
    X = inputs_of(estimator)
    plain = clone(estimator).fit_transform(X)
    asked = clone(estimator).set_output(transform="pandas").fit_transform(X)
    with config_context(transform_output="pandas"):
        everywhere = clone(estimator).fit_transform(X)
    for result in (asked, everywhere):
        if isinstance(estimator, sd.DefocusFeatures):
            assert list(result.columns) == list(estimator.get_feature_names_out())
            assert_array_equal(result.to_numpy(), plain)
        else:
            assert type(result) is type(plain)
            assert_same(result, plain)


@each_estimator
def test_samples_become_as_many_columns_as_are_named(estimator):
    names = clone(estimator).fit(inputs_of(estimator)).get_feature_names_out()
    assert names.dtype == object
    if not isinstance(estimator, sd.DefocusFeatures):
        assert names.tolist() == [f"{type(estimator).__name__.lower()}0"]


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_a_pipeline_from_images_to_columns_makes_data_frames(container):
    pytest.importorskip(container)
    pipe = make_pipeline(sd.EdgeReblurEstimator(), sd.DefocusFeatures("passthrough"))
    frame = pipe.set_output(transform=container).fit_transform(IMAGES)
    assert list(frame.columns) == list(pipe.get_feature_names_out())
    assert frame.shape == (len(IMAGES), len(sd.DefocusFeatures("x").get_feature_names_out()))


def column(container, values):
    """A column of a data frame; its labels, if it has any, differ from the positions."""
    frames = pytest.importorskip(container)
    if container == "pandas":
        return frames.Series(values, index=range(10, 10 + len(values)))
    return frames.Series("images", values, dtype=frames.Object)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_a_data_frame_of_one_column_is_a_batch(container):
    """By a list of names, a ColumnTransformer selects a data frame, also of one column."""
    photos, expected = column(container, IMAGES), sd.DefocusFeatures().fit_transform(IMAGES)
    frame = pytest.importorskip(container).DataFrame({"photo": photos})
    for columns in ("photo", ["photo"]):
        chosen = ColumnTransformer([("blur", sd.DefocusFeatures(), columns)])
        assert_same(chosen.fit_transform(frame), expected)
    two = pytest.importorskip(container).DataFrame({"a": [1], "b": [2]})
    with pytest.raises(TypeError, match="X must be an array"):
        sd.DefocusFeatures().fit_transform(two)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_a_column_of_a_data_frame_is_a_batch(container):
    maps = [np.linspace(0, 3, x.shape[0] * x.shape[1]).reshape(x.shape[:2]) for x in IMAGES]
    X, y = column(container, IMAGES), column(container, maps)
    for pipe in (
        sd.make_defocus_pipeline(step=16).set_params(levels__fit_head=True),
        sd.FocusMeasure(calibrate=True),
    ):
        assert_same(clone(pipe).fit(X, y).transform(X), clone(pipe).fit(IMAGES, maps).transform(X))
        assert clone(pipe).fit(X, y).score(X, y) == pipe.fit(IMAGES, maps).score(IMAGES, maps)
    if container == "pandas":
        parts = cross_val_score(sd.make_defocus_pipeline(step=16), X, y, cv=3)
        assert np.isfinite(parts).all()
