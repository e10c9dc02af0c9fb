"""Scores of σ maps, focus masks and confidence, and the scorers."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from skdefocus import metrics

RNG = np.random.default_rng(0)

sigma_maps = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.floats(0, 20)
)


# σ maps


def test_errors_are_means_over_images_and_follow_weights_and_masks():
    true = [np.zeros((2, 3)), np.zeros((5, 4))]
    pred = [np.full((2, 3), 1.0), np.full((5, 4), 3.0)]
    assert metrics.sigma_mae(true, pred) == 2  # not the mean over pixels
    assert metrics.sigma_rmse(true, pred) == 2
    assert metrics.sigma_mae(true, pred, sample_weight=[3, 1]) == 1.5
    pred[1][0, 0] = np.nan
    mask = [np.ones((2, 3), bool), np.ones((5, 4), bool)]
    mask[1][0, 0] = False
    assert metrics.sigma_mae(true, pred, mask=mask) == 2
    with pytest.raises(ValueError, match=r"pred\[1\] must be finite"):
        metrics.sigma_mae(true, pred)


def test_rmse_weighs_large_errors():
    assert metrics.sigma_rmse([[[0, 0, 0, 0]]], [[[2, 0, 0, 0]]]) == 1
    assert metrics.sigma_mae([[[0, 0, 0, 0]]], [[[2, 0, 0, 0]]]) == 0.5


@given(true=sigma_maps, slope=st.floats(0.1, 10), offset=st.floats(-5, 5))
def test_affine_maps_fit_exactly(true, slope, offset):
    assert metrics.linear_fit_mae([true], [slope * true + offset]) == pytest.approx(0, abs=1e-6)


@given(true=sigma_maps, seed=st.integers(0, 99))
def test_spearman_agrees_with_scipy(true, seed):
    pred = np.random.default_rng(seed).integers(0, 5, true.shape)
    value = metrics.spearman([true], [pred])
    if np.ptp(true) == 0 or np.ptp(pred) == 0:
        assert value == 0
    else:
        expected = stats.spearmanr(true.ravel(), pred.ravel()).statistic
        assert value == pytest.approx(expected, abs=1e-9)


def test_linear_fit_by_hand():
    # Least squares through (0, 0), (1, 3), (2, 0): flat at 1, errors 1, 2, 1.
    assert metrics.linear_fit_mae([[[0, 3, 0]]], [[[0, 1, 2]]]) == pytest.approx(4 / 3)
    assert metrics.linear_fit_mae([[[1, 3]]], [[[5, 5]]]) == 1


# focus masks


@given(
    labels=hnp.arrays(np.int8, (4, 5), elements=st.integers(-1, 1)),
    sigma=hnp.arrays(np.float64, (4, 5), elements=st.integers(0, 6)),
)
def test_auc_and_best_f_agree_with_brute_force(labels, sigma):
    sharp, blurred = sigma[labels == 1], sigma[labels == 0]
    if not sharp.size or not blurred.size:
        with pytest.raises(ValueError, match="mask must mark pixels of both kinds"):
            metrics.focus_auc(labels, sigma)
        return
    wins = sharp[:, None] < blurred
    ties = sharp[:, None] == blurred
    assert metrics.focus_auc(labels, sigma) == pytest.approx(np.mean(wins + 0.5 * ties))
    scores = []
    for threshold in np.unique(sigma):
        hit, false = np.sum(blurred >= threshold), np.sum(sharp >= threshold)
        if hit:
            precision, recall = hit / (hit + false), hit / blurred.size
            scores.append(1.3 * precision * recall / (0.3 * precision + recall))
    out_of_focus = np.where(labels == -1, np.nan, 1.0 - labels)
    assert metrics.max_f_measure(out_of_focus, sigma) == pytest.approx(max(scores))


def test_undecided_pixels_are_ignored():
    # The σ at undecided values would be wrong for either label.
    sigma = np.array([[1.0, 9.0, 0.0, np.nan, 2.0, 0.0, 9.0]])
    mask = np.array([[0.9, 0.89, 0.89, -1.0, 0.1, 0.11, np.nan]])
    assert metrics.focus_auc(mask, sigma) == 1
    as_bytes = np.array([[230, 229, 229, 128, 25, 26, 26]], np.uint8)
    assert metrics.focus_auc(as_bytes, sigma) == 1


def test_best_f_weighs_precision_by_beta2():
    mask, sigma = [[True, True, False, False]], [[3, 1, 2, 0]]
    # Thresholds 3 | 2 | 1: P, R = 1, 1/2 | 1/2, 1/2 | 2/3, 1.
    assert metrics.max_f_measure(mask, sigma, beta2=0.3) == pytest.approx(1.3 * 0.5 / 0.8)
    assert metrics.max_f_measure(mask, sigma, beta2=4) == pytest.approx(
        5 * (2 / 3) / (4 * 2 / 3 + 1)
    )


# scorers


class Scale(TransformerMixin, BaseEstimator):
    """Multiply images by a factor."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return [self.factor * np.asarray(image) for image in X]


class Predictor(BaseEstimator):
    def predict(self, X):
        return [image + 1 for image in X]


AUC = metrics.get_scorer("focus_auc")
IMAGES = [RNG.random((3 + i, 8 - i)) for i in range(5)]
PIPE = Pipeline([("as_is", FunctionTransformer()), ("scale", Scale())])
FACTORS = {"scale__factor": [-1.0, 1.0, 2.0, 3.0]}


@pytest.mark.parametrize("name", ["neg_sigma_mae", "neg_sigma_rmse"])
def test_grid_search_on_ragged_lists_finds_the_true_factor(name):
    search = GridSearchCV(PIPE, FACTORS, scoring=metrics.get_scorer(name), cv=2)
    search.fit(IMAGES, [2 * image for image in IMAGES])
    assert search.best_params_ == {"scale__factor": 2.0}
    assert search.best_score_ == 0
    assert np.all(np.isfinite(search.cv_results_["mean_test_score"]))
    assert search.score(IMAGES, [2 * image + 0.25 for image in IMAGES]) == pytest.approx(-0.25)


def test_grid_search_on_focus_masks():
    masks = [image < np.median(image) for image in IMAGES]
    search = GridSearchCV(PIPE, FACTORS, scoring=metrics.get_scorer("focus_auc"), cv=2)
    search.fit(IMAGES, masks)
    assert list(search.cv_results_["mean_test_score"]) == [0, 1, 1, 1]


def test_scorers_fall_back_to_predict():
    assert metrics.get_scorer("neg_sigma_mae")(Predictor(), IMAGES, IMAGES) == pytest.approx(-1)
    with pytest.raises(TypeError, match="estimator must have transform or predict"):
        metrics.get_scorer("neg_sigma_rmse")(BaseEstimator(), IMAGES, IMAGES)
    with pytest.raises(ValueError, match=r"y\[1\] must mark pixels of both kinds"):
        AUC(Scale(), [[[0, 1]], [[0, 1]]], [[[1, 0]], [[1, 1]]])


@pytest.mark.parametrize("name", metrics.get_scorer_names())
def test_every_scorer_ranks_pickles_and_weighs(name):
    scorer = metrics.get_scorer(name)
    assert pickle.loads(pickle.dumps(scorer)) == scorer
    assert eval(repr(scorer), {"get_scorer": metrics.get_scorer}) == scorer
    truth = [image < 0.5 if name == "focus_auc" else 2 * image for image in IMAGES]
    good, bad = (scorer(Scale(factor), IMAGES, truth) for factor in (2.0, -1.0))
    assert good > bad or name == "neg_linear_fit_mae"  # a line may fall
    first = [1] + [0] * (len(IMAGES) - 1)
    some = scorer(Scale(0.3), IMAGES, truth, sample_weight=first)
    assert some == scorer(Scale(0.3), IMAGES[:1], truth[:1])
    with pytest.raises(ValueError, match="sample_weight"):
        scorer(Scale(), IMAGES, truth, sample_weight=[1])


@pytest.mark.parametrize("name", [n for n in metrics.get_scorer_names() if n != "focus_auc"])
def test_unknown_pixels_do_not_count_in_scores(name):
    scorer = metrics.get_scorer(name)
    truth, half = [RNG.random((6, 6)) for _ in range(2)], [RNG.random((6, 6)) for _ in range(2)]
    holes = [np.vstack([t[:3], np.full((3, 6), np.nan)]) for t in truth]
    first = scorer(Scale(), [image[:3] for image in half], [t[:3] for t in truth])
    assert scorer(Scale(), half, holes) == pytest.approx(first)
    assert scorer(Scale(), half, holes) != pytest.approx(scorer(Scale(), half, truth))
    with pytest.raises(ValueError, match=r"true\[1\] must hold a known pixel"):
        scorer(Scale(), half, [holes[0], np.full((6, 6), np.nan)])


def test_searches_route_weights_to_scorers():
    truth, weights = [2 * image for image in IMAGES], np.arange(5.0)
    scorer = metrics.get_scorer("neg_sigma_mae").set_score_request(sample_weight=True)
    with config_context(enable_metadata_routing=True):
        routed, plain = (
            cross_val_score(Scale(3.0), IMAGES, truth, cv=2, scoring=scorer, params=params)
            for params in ({"sample_weight": weights}, None)
        )
        scorer.set_score_request(sample_weight=None)
        with pytest.raises(UnsetMetadataPassedError):
            cross_val_score(
                Scale(3.0), IMAGES, truth, scoring=scorer, params={"sample_weight": weights}
            )
    errors = [float(image.mean()) for image in IMAGES]
    assert routed == pytest.approx(
        [-np.average(errors[:3], weights=weights[:3]), -np.average(errors[3:], weights=weights[3:])]
    )
    assert plain == pytest.approx([-np.mean(errors[:3]), -np.mean(errors[3:])])
    assert metrics.get_scorer("neg_sigma_mae").weights_request is None


def test_names_of_scorers():
    with pytest.raises(ValueError, match=r"name must be one of 'focus_auc', .*, got 'mae'"):
        metrics.get_scorer("mae")
    assert metrics.neg_sigma_mae == metrics.get_scorer("neg_sigma_mae")
    assert metrics.neg_sigma_rmse == metrics.get_scorer("neg_sigma_rmse")
    with pytest.warns(FutureWarning, match=r"get_scorer\('focus_auc'\)"):
        assert metrics.focus_auc_scorer == AUC
    with pytest.raises(AttributeError, match="sigma_mea"):
        _ = metrics.sigma_mea


class SigmaScale(metrics.SigmaScoreMixin, Scale):
    """Makes σ and so has a score."""


def test_the_score_of_maps_is_that_of_the_scorer_and_can_be_weighed():
    truth, weight = [2 * image + 0.25 for image in IMAGES], np.arange(5.0)
    scale = SigmaScale(2.0)
    assert scale.score(IMAGES, truth) == pytest.approx(-0.25)
    pipe = Pipeline([("as_is", FunctionTransformer()), ("scale", scale)]).fit(IMAGES)
    assert pipe.score(IMAGES, truth) == pytest.approx(-0.25)
    found = cross_val_score(pipe, IMAGES, truth, cv=[([0, 1], [2, 3]), ([2, 3], [0, 4])])
    assert found == pytest.approx(-0.25)
    truth[4] = truth[4] + 1
    with config_context(enable_metadata_routing=True):
        pipe["scale"].set_score_request(sample_weight=True)
        found = pipe.score(IMAGES, truth, sample_weight=weight)
    assert found == pytest.approx(-0.25 - 4 / 10)


# one number per image


@given(sigma=sigma_maps, seed=st.integers(0, 999), quantile=st.floats(0, 1))
def test_blur_score_never_falls_where_blur_grows(sigma, seed, quantile):
    rng = np.random.default_rng(seed)
    grown = sigma + rng.random(sigma.shape) * rng.integers(0, 5, sigma.shape)
    confidence = rng.random(sigma.shape) + 1e-3
    for weight in (None, confidence):
        before = metrics.blur_score(sigma, quantile=quantile, confidence=weight)
        after = metrics.blur_score(grown, quantile=quantile, confidence=weight)
        assert 0 <= before <= after <= 1


def test_blur_score_rises_strictly_with_blur_of_any_size():
    """Of maps that are right within a fifth, a third of whose pixels are a guess."""
    rng = np.random.default_rng(0)
    noise = rng.uniform(0.8, 1.2, (40, 60))
    flat = rng.random((40, 60)) < 1 / 3
    blurs = (0, 1, 2, 4, 8, 16, 32, 60)
    maps = [np.where(flat, rng.uniform(0, 60, (40, 60)), sigma * noise) for sigma in blurs]
    scores = [metrics.blur_score(m, confidence=np.where(flat, 0.02, 0.9)) for m in maps]
    assert (np.diff(scores) > 0).all()
    exact = [metrics.blur_score(np.full((3, 3), sigma)) for sigma in blurs]
    assert (np.diff(exact) > 0).all()
    assert np.round(exact[:-1], 3).tolist() == [0, 0.308, 0.64, 0.877, 0.966, 0.991, 0.998]


def test_blur_score_by_hand():
    assert metrics.blur_score(np.zeros((3, 3))) == 0
    assert metrics.blur_score(np.full((3, 3), 1.5)) == 0.5
    assert metrics.blur_score(np.full((3, 3), 6.0), scale=2) == pytest.approx(0.9)
    steps = np.arange(1.0, 11).reshape(2, 5)
    assert metrics.blur_score(steps, scale=2, quantile=0.2) == 0.5
    assert metrics.blur_score(steps, scale=3, quantile=0.21) == 0.5


def test_sharp_subject_counts_and_doubtful_pixels_do_not():
    photo = np.full((20, 20), 8.0)
    photo[:5, :10] = 0.1
    assert metrics.blur_score(photo) < 0.01
    trusted = photo > 1
    assert metrics.blur_score(photo, confidence=trusted) == metrics.blur_score(photo[5:])


# confidence


def test_calibration_error_by_hand():
    proba = np.array([[0.95, 0.05], [0.95, 0.05], [0.35, 0.65], [0.4, 0.6]])
    # Top bins of 5: (.8, 1] sure .95, half right; (.6, .8] sure .65, right; (.4, .6] .6, wrong.
    expected = (2 * 0.45 + 0.35 + 0.6) / 4
    value = metrics.expected_calibration_error(proba, [0, 1, 1, 0], n_bins=5)
    assert value == pytest.approx(expected)
    assert metrics.expected_calibration_error(np.eye(3), [0, 1, 2]) == 0
    assert metrics.expected_calibration_error(np.eye(3), [1, 2, 0]) == 1


@given(order=st.permutations(range(6)))
def test_risk_coverage_does_not_depend_on_the_order(order):
    error = np.array([0.0, 1, 2, 6, 10, 5])[order]
    confidence = np.array([5, 4, 2, 2, 1, 0])[order]
    curve = metrics.risk_coverage_curve(error, confidence, [1 / 6, 0.5, 0.6, 1])
    # Either of the tie (2, 6) may be the third: 4 is expected. A share of 0.6 keeps 4 of 6.
    np.testing.assert_allclose(curve, [0, 5 / 3, 9 / 4, 4])


def test_rounding_keeps_no_extra_element():
    assert 0.07 * 100 > 7
    error = np.arange(100.0)
    assert metrics.risk_coverage_curve(error, -error, 0.07) == 3


def test_full_coverage_is_the_mean_error():
    error, confidence = RNG.random((2, 7, 9))
    assert metrics.risk_coverage_curve(error, confidence)[-1] == pytest.approx(error.mean())


# wrong input

MAP = np.ones((4, 4))
NAN = np.full((4, 4), np.nan)
HALF = np.eye(4, dtype=bool)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: metrics.sigma_mae([], []), ValueError, "true must hold at least one"),
        (lambda: metrics.sigma_mae([MAP], [MAP, MAP]), ValueError, "pred must hold one map per"),
        (lambda: metrics.sigma_mae(MAP, MAP), ValueError, r"true\[0\] must be one map"),
        (lambda: metrics.sigma_mae([MAP], [MAP[1:]]), ValueError, r"pred\[0\] must have the shape"),
        (lambda: metrics.sigma_rmse([NAN], [MAP]), ValueError, r"true\[0\] must be finite"),
        (lambda: metrics.spearman([MAP], [MAP], mask=[MAP]), ValueError, r"mask\[0\] must be a bo"),
        (lambda: metrics.sigma_mae([MAP], [MAP], mask=[MAP < 0]), ValueError, "a True pixel"),
        (lambda: metrics.sigma_mae([MAP], [MAP], sample_weight=[0]), ValueError, "sample_weight"),
        (lambda: metrics.focus_auc(HALF[1:], MAP), ValueError, "mask must have the shape"),
        (lambda: metrics.focus_auc(2 * HALF, MAP), ValueError, "mask must hold values within"),
        (lambda: metrics.focus_auc(HALF, NAN), ValueError, "sigma_map must be finite"),
        (lambda: metrics.max_f_measure(HALF, MAP, beta2=0), ValueError, "beta2 must be"),
        (lambda: metrics.max_f_measure(MAP, MAP), ValueError, "mask_out_of_focus must mark"),
        (lambda: AUC(Scale(), [MAP], []), ValueError, "y must hold one mask"),
        (lambda: metrics.blur_score(-MAP), ValueError, "sigma_map must be >= 0"),
        (lambda: metrics.blur_score(NAN), ValueError, "sigma_map must be finite"),
        (lambda: metrics.blur_score(MAP, scale=0), ValueError, "scale must be"),
        (lambda: metrics.blur_score(MAP, quantile=1.5), ValueError, "quantile must be"),
        (lambda: metrics.blur_score(MAP, confidence=0 * MAP), ValueError, "confidence must be >="),
        (lambda: metrics.blur_score(MAP, confidence=MAP[1:]), ValueError, "confidence must have"),
        (lambda: metrics.expected_calibration_error([0.5], [0]), ValueError, "proba must be of"),
        (lambda: metrics.expected_calibration_error([[0.5, 0.1]], [0]), ValueError, "proba must h"),
        (lambda: metrics.expected_calibration_error([[1.0]], [0.5]), ValueError, "y must be 1 int"),
        (lambda: metrics.expected_calibration_error([[1.0]], [1]), ValueError, "y must be columns"),
        (lambda: metrics.expected_calibration_error([[1.0]], [0], n_bins=0), ValueError, "n_bins"),
        (
            lambda: metrics.risk_coverage_curve(MAP, MAP[1:]),
            ValueError,
            "confidence must have",
        ),
        (lambda: metrics.risk_coverage_curve(MAP, MAP, [0]), ValueError, "shares must be"),
        (lambda: metrics.risk_coverage_curve(NAN, MAP), ValueError, "error must be finite"),
    ],
)
def test_wrong_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_inputs_may_be_read_only_and_stay_as_they_are():
    gray = RNG.random((16, 16))
    copy = gray.copy()
    gray.setflags(write=False)
    metrics.spearman([gray], [gray])
    metrics.focus_auc(gray > 0.5, gray)
    metrics.max_f_measure(gray > 0.5, gray)
    metrics.blur_score(gray, confidence=gray)
    metrics.risk_coverage_curve(gray, gray)
    np.testing.assert_array_equal(gray, copy)
