"""Rows of map statistics: what they say, that they fit into scikit-learn, wrong input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import skdefocus as sd
from skdefocus.datasets import sample_photographs
from skdefocus.features import CONFIDENCE, DefocusFeatures
from skdefocus.synthesis import blur

PHOTOGRAPHS = sample_photographs(64)
CLASSICAL = sd.FocusMeasure("tenengrad", radius=4)
FROM_MAPS = DefocusFeatures("passthrough")
maps = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.floats(0, 8, width=32),
)


def row_of(sigma, **params):
    features = DefocusFeatures("passthrough", **params)
    names = features.get_feature_names_out()
    return dict(zip(names, features.transform([sigma])[0], strict=True))


@given(maps)
def test_ranges(sigma):
    before = sigma.copy()
    row = row_of(sigma)
    assert_array_equal(sigma, before)
    assert np.isfinite(list(row.values())).all()
    low, high = float(sigma.min()) - 1e-5, float(sigma.max()) + 1e-5
    for name in ("sigma_mean", "sigma_q05", "sigma_q50", "sigma_q95", "sigma_center"):
        assert low <= row[name] <= high
    for name in ("share_in_focus", "blur_score", "focus_row", "focus_column"):
        assert -1e-9 <= row[name] <= 1 + 1e-9
    assert row["sigma_q05"] <= row["sigma_q25"] <= row["sigma_q75"] <= row["sigma_q95"]


@given(maps)
def test_flipping_a_map_mirrors_what_has_a_direction_and_nothing_else(sigma):
    row, flipped = row_of(sigma), row_of(sigma[::-1])
    assert flipped.pop("tilt_rows") == pytest.approx(-row.pop("tilt_rows"), abs=1e-5)
    assert flipped.pop("focus_row") == pytest.approx(1 - row.pop("focus_row"), abs=1e-6)
    assert flipped == pytest.approx(row, abs=1e-5)


def test_a_map_of_a_known_plane():
    sigma = np.linspace(1, 3, 101)[:, None] + np.zeros((101, 81))
    row = row_of(sigma, in_focus=2.0)
    assert row["tilt_rows"] == pytest.approx(2)
    assert row["tilt_columns"] == pytest.approx(0, abs=1e-6)
    assert row["gradient_mean"] == pytest.approx(0.02, rel=1e-4)
    assert row["sigma_mean"] == pytest.approx(2)
    assert row["share_in_focus"] == pytest.approx(0.5, abs=0.01)
    assert row["focus_column"] == pytest.approx(0.5)
    assert row["focus_row"] < 0.5


def test_a_subject_in_the_middle():
    sigma = np.full((40, 60), 4.0)
    sigma[10:30, 15:45] = 0.0
    row = row_of(sigma)
    assert (row["sigma_center"], row["sigma_border"]) == (0, 4)
    assert row["share_in_focus"] == 0.25


def test_names_and_columns_agree_whatever_the_estimator():
    for estimator in (None, sd.make_defocus_pipeline(step=16), CLASSICAL, clone(FROM_MAPS)):
        features = DefocusFeatures(estimator, quantiles=(0.1, 0.125))
        if isinstance(estimator, DefocusFeatures):
            features.estimator = "passthrough"
        out = features.fit_transform(PHOTOGRAPHS[:1])
        names = features.get_feature_names_out()
        assert out.shape == (1, len(names))
        assert out.dtype == np.float64
        assert len(set(names)) == len(names)
        assert list(names[2:4]) == ["sigma_q10", "sigma_q12.5"]
        told = estimator is None or hasattr(estimator, "steps")
        assert set(CONFIDENCE) <= set(names) if told else not set(CONFIDENCE) & set(names)


def test_photographs_and_their_maps_give_the_same_rows():
    direct = DefocusFeatures().transform(PHOTOGRAPHS)
    by_maps = FROM_MAPS.transform(sd.make_defocus_pipeline().transform(PHOTOGRAPHS))
    assert_allclose(direct[:, : by_maps.shape[1]], by_maps, atol=1e-4)
    assert (direct[:, -3:] >= 0).all()
    assert (direct[:, -3:] <= 1).all()


def test_blurred_photographs_have_larger_sigmas():
    rows = DefocusFeatures().transform([PHOTOGRAPHS[0], blur(PHOTOGRAPHS[0], 3.0)])
    names = list(DefocusFeatures().get_feature_names_out())
    for name in ("sigma_mean", "sigma_q50", "blur_score"):
        assert rows[1, names.index(name)] > rows[0, names.index(name)]


class KnownMap(TransformerMixin, BaseEstimator):
    """Take the mean of each photograph, times 100, for its σ."""

    def transform(self, X):
        return [np.full(image.shape, 100 * image.mean()) for image in X]


def test_features_rise_with_blur_of_any_size():
    blurs = (0, 1, 2, 4, 8, 16, 32, 60)
    features = DefocusFeatures(KnownMap())
    rows = features.transform([np.full((12, 15), sigma / 100) for sigma in blurs])
    names = list(features.get_feature_names_out())
    for name in ("sigma_mean", "sigma_q05", "sigma_q95", "blur_score", "sigma_center"):
        assert (np.diff(rows[:, names.index(name)]) > 0).all()
    assert_allclose(rows[:, names.index("sigma_mean")], blurs, atol=1e-5)
    assert rows[:, names.index("share_in_focus")].tolist() == [1, 1, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("scale", [1, 20])
def test_the_sharpest_place_where_nothing_is_sharp(scale):
    """One pixel's error in the map must not decide where a strongly blurred photograph is best."""
    sigma = np.full((60, 60), 2.0 * scale)
    sigma[:20, 40:] = 0.5 * scale
    sigma[50, 5] = 0.3 * scale
    row = row_of(sigma)
    assert row["focus_row"] == pytest.approx(10 / 60, abs=0.06)
    assert row["focus_column"] == pytest.approx(50 / 60, abs=0.06)


def test_rows_in_order_for_lists_arrays_and_jobs():
    stack = np.stack(PHOTOGRAPHS)
    features = DefocusFeatures(CLASSICAL).fit(stack)
    shifted = FunctionTransformer(lambda found: [m - m.min() for m in found])
    features.set_params(estimator=make_pipeline(CLASSICAL, shifted))
    rows = features.transform(stack)
    assert_array_equal(features.transform(PHOTOGRAPHS[::-1]), rows[::-1])
    assert_array_equal(features.set_params(n_jobs=1).transform(stack[1:2]), rows[1:2])


def test_in_a_union_before_a_classifier():
    X = [blur(p, s) for p in PHOTOGRAPHS for s in (0.0, 4.0)] * 2
    y = [0, 1] * 6
    brightness = FunctionTransformer(lambda images: [[im.mean(), im.std()] for im in images])
    union = FeatureUnion([("defocus", DefocusFeatures()), ("light", brightness)])
    model = make_pipeline(union, StandardScaler(), LogisticRegression())
    search = GridSearchCV(model, {"featureunion__defocus__in_focus": [0.5, 1.0]}, cv=2)
    search.fit(X, y)
    assert search.best_score_ == 1.0
    assert search.best_estimator_.predict(X[:2]).tolist() == [0, 1]


def test_names_in_a_union():
    union = FeatureUnion([("a", DefocusFeatures(quantiles=())), ("b", clone(FROM_MAPS))])
    names = union.fit(PHOTOGRAPHS).get_feature_names_out()
    assert names[0] == "a__sigma_mean"
    assert "b__sigma_q05" in names


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_set_output(container):
    pytest.importorskip(container)
    features = clone(FROM_MAPS).set_output(transform=container)
    frame = features.fit_transform([np.zeros((4, 5)), np.ones((4, 5))])
    assert list(frame.columns) == list(features.get_feature_names_out())
    assert list(frame["sigma_mean"]) == [0, 1]


@pytest.mark.parametrize(
    ("params", "error", "text"),
    [
        ({"in_focus": -1}, ValueError, "in_focus"),
        ({"quantiles": (0.5, 1.5)}, ValueError, r"quantiles\[1\]"),
        ({"quantiles": ("a",)}, TypeError, r"quantiles\[0\]"),
        ({"estimator": "pass"}, ValueError, "estimator"),
    ],
)
def test_wrong_parameters(params, error, text):
    with pytest.raises(error, match=text):
        DefocusFeatures(**params).fit(PHOTOGRAPHS)


def test_wrong_samples():
    with pytest.raises(ValueError, match=r"X\[1\] must be finite"):
        DefocusFeatures().transform([PHOTOGRAPHS[0], np.full((4, 4), np.nan)])
    with pytest.raises(ValueError, match=r"X\[0\] must be >= 0"):
        FROM_MAPS.transform([np.full((4, 4), -1.0)])
    with pytest.raises(ValueError, match=r"X\[0\] must have shape \(H, W\)"):
        FROM_MAPS.transform([np.zeros((4, 4, 3))])
    with pytest.raises(ValueError, match="empty"):
        DefocusFeatures().transform([])
