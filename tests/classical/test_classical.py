"""Maps without a network."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from skdefocus.classical import EdgeReblurEstimator, FocusMeasure
from skdefocus.classical._operators import OPERATORS
from skdefocus.datasets import load_sample_scenes, sample_photographs
from skdefocus.metrics import sigma_mae, spearman
from skdefocus.synthesis import add_noise, blur

PHOTOGRAPHS = sample_photographs(96)
ESTIMATORS = [FocusMeasure(radius=6), EdgeReblurEstimator(radius=6)]
each_method = pytest.mark.parametrize("method", OPERATORS)
each_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)


def measured(image, method, **parameters):
    return FocusMeasure(method, radius=6, **parameters).transform([image])[0]


def step_edge(angle, sigma, size=96, low=0.3, high=0.7):
    """An edge through the center, anti-aliased over a pixel unless it is along rows or columns."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    across = x * np.cos(np.deg2rad(angle)) + y * np.sin(np.deg2rad(angle))
    step = np.clip(across + 0.5, 0, 1) if angle % 90 else (across > 0).astype(float)
    return blur((low + (high - low) * step).astype(np.float32), sigma)


def reblurred(image, **parameters):
    return EdgeReblurEstimator(**parameters).transform([image])[0]


# --- focus measures -------------------------------------------------------------------------


def test_at_least_twelve_operators():
    assert len(OPERATORS) >= 12


@each_method
@pytest.mark.parametrize("photograph", PHOTOGRAPHS, ids=["brick", "gravel", "grass"])
def test_more_blur_gives_larger_values(method, photograph):
    means = [measured(blur(photograph, s), method).mean() for s in (0, 0.5, 1, 2, 4)]
    assert np.all(np.diff(means) > 0), means


@each_method
def test_the_blurred_half_stands_out(method):
    half = PHOTOGRAPHS[1].copy()
    half[:, 48:] = blur(half, 3)[:, 48:]
    found = measured(half, method)
    assert found[:, 60:].mean() > found[:, :36].mean()


@each_method
def test_flips_and_transposition_commute(method):
    image = blur(PHOTOGRAPHS[1][:60], 0.5)
    found = measured(image, method)
    assert_allclose(measured(image[:, ::-1], method)[:, ::-1], found, atol=2e-3)
    assert_allclose(measured(image[::-1], method)[::-1], found, atol=2e-3)
    assert_allclose(measured(image.T, method).T, found, atol=2e-3)


@each_method
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_constant_image_gets_the_largest_value(method, level):
    assert_allclose(measured(np.full((20, 30), level), method), -np.log(1e-6), atol=2e-2)


@each_method
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 2), (3, 40)])
def test_small_images(method, shape):
    found = measured(np.random.default_rng(0).random(shape), method)
    assert found.shape == shape
    assert np.isfinite(found).all()


#: Decrease of the map when all values are doubled, in units of log 2.
CONTRAST = {
    name: 2 for name in OPERATORS if "ratio" not in name and name != "local_binary_patterns"
}
CONTRAST |= {"modified_laplacian": 1, "diagonal_laplacian": 1, "normalized_variance": 1}
CONTRAST |= {"dct_energy_ratio": 0, "dct_reduced_ratio": 0, "wavelet_ratio": 0}
del CONTRAST["thresholded_gradient"]


@pytest.mark.parametrize(("method", "exponent"), CONTRAST.items())
def test_contrast_shifts_the_map(method, exponent):
    # Structure everywhere: in flat areas the constant in the logarithm would have an effect.
    image = blur(np.random.default_rng(0).random((64, 64), np.float32), 0.7) / 2
    shift = measured(image, method) - measured(2 * image, method)
    assert_allclose(shift, exponent * np.log(2), atol=0.05)


@pytest.mark.parametrize(
    "method", [m for m in OPERATORS if "ratio" not in m and m != "normalized_variance"]
)
def test_brightness_does_not_matter(method):
    # Values in steps of 1/64: differences are exact, and none is within rounding of a threshold.
    image = np.round(PHOTOGRAPHS[0] * 32) / 64
    assert_allclose(measured(image + 0.25, method), measured(image, method), atol=5e-3)


def test_known_values():
    ramp = np.tile(np.arange(64) / 64, (64, 1))
    inside = (slice(16, -16),) * 2

    def value(method, image=ramp):
        return np.exp(-measured(image, method)[inside]) - 1e-6

    slope = 1 / 64
    assert_allclose(value("squared_gradient"), slope**2, rtol=1e-3)
    assert_allclose(value("tenengrad"), slope**2, rtol=1e-3)
    assert_allclose(value("brenner"), (2 * slope) ** 2, rtol=1e-3)
    assert_allclose(value("thresholded_gradient"), 0, atol=1e-7)
    assert_allclose(value("gray_variance"), slope**2 * (13**2 - 1) / 12, rtol=1e-3)
    assert_allclose(value("laplacian_energy"), 0, atol=1e-7)
    board = np.indices((64, 64)).sum(axis=0) % 2 * 0.5
    assert_allclose(value("laplacian_energy", board), 4, rtol=1e-3)
    assert_allclose(value("modified_laplacian", board), 2, rtol=1e-3)
    assert_allclose(value("dct_energy_ratio", board), 1, rtol=1e-3)
    assert_allclose(value("wavelet_ratio", board), 1, rtol=1e-3)


def test_smoothing_helps_against_noise():
    sharp, soft = PHOTOGRAPHS[1], blur(PHOTOGRAPHS[1], 2)
    noisy = [add_noise(x, 0.1, random_state=i) for i, x in enumerate((sharp, soft))]

    def gap(smoothing):
        a, b = FocusMeasure(smoothing=smoothing).transform(noisy)
        return (b.mean() - a.mean()) / (a.std() + b.std())

    assert gap(1.0) > gap(0.0)


def test_the_old_name_of_an_operator_works_with_a_warning():
    expected = measured(PHOTOGRAPHS[0], "gray_variance")
    with pytest.warns(FutureWarning, match="method='grey_variance' was renamed to method='gray_v"):
        found = measured(PHOTOGRAPHS[0], "grey_variance")
    assert_array_equal(found, expected)


# --- calibration ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scenes():
    scenes = load_sample_scenes(96) + load_sample_scenes(96, random_state=10)
    return [s.photograph for s in scenes], [s.sigma for s in scenes]


def test_calibration_gives_pixels_in_the_same_order(scenes):
    images, truth = scenes
    plain = FocusMeasure()
    fitted = FocusMeasure(calibrate=True).fit(images, truth)
    assert plain.units_.startswith("none")
    assert fitted.units_ == "pixels"
    constant = [np.full_like(t, np.mean(truth)) for t in truth]
    calibrated = fitted.transform(images)
    assert sigma_mae(truth, calibrated) < 0.9 * sigma_mae(truth, constant)
    for before, after in zip(plain.transform(images), calibrated, strict=True):
        assert after.dtype == np.float32
        order = np.argsort(before.ravel())
        assert np.all(np.diff(after.ravel()[order]) >= 0)
    assert 0 <= min(m.min() for m in calibrated) <= max(m.max() for m in calibrated) <= 4


def test_score_is_the_error_in_pixels_where_maps_are_in_pixels(scenes):
    images, truth = scenes
    for estimator in (EdgeReblurEstimator(), FocusMeasure(calibrate=True).fit(images, truth)):
        assert estimator.score(images, truth) == -sigma_mae(truth, estimator.transform(images))
    assert not hasattr(FocusMeasure(), "score")


def test_search_over_methods(scenes):
    images, truth = scenes
    search = GridSearchCV(
        FocusMeasure(calibrate=True, radius=8),
        {"method": ["laplacian_energy", "gray_variance", "wavelet_ratio"]},
        cv=2,
        error_score="raise",
    ).fit(images, truth)
    scores = search.cv_results_["mean_test_score"]
    assert search.best_params_["method"] == "wavelet_ratio"
    assert len(set(scores)) == 3
    assert search.transform(images[:1])[0].shape == truth[0].shape


def test_calibration_survives_pickle_and_not_clone(scenes):
    images, truth = scenes
    fitted = FocusMeasure("tenengrad", calibrate=True).fit(images[:2], truth[:2])
    again = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(again.transform(images[:1])[0], fitted.transform(images[:1])[0])
    with pytest.raises(NotFittedError):
        clone(fitted).transform(images)


def test_without_calibration_y_is_ignored():
    assert FocusMeasure().fit([PHOTOGRAPHS[0]], "nonsense").transform([PHOTOGRAPHS[0]])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "y must hold the true"),
        ([], "y must hold one map per image, 1, got 0"),
        ([np.zeros((3, 3))], r"y\[0\] must have shape \(96, 96\)"),
        ([np.full((96, 96), np.nan)], r"y\[0\] must be finite"),
        ([np.full((96, 96), -1.0)], r"y\[0\] must be >= 0 everywhere, got -1"),
        ([np.zeros(96)], r"y\[0\] must have shape"),
        (3, "y must be a list or an array, got int"),
        (["a"], r"y\[0\] must be an array"),
        ([[[1, 2], [3]]], r"y\[0\] must be an array .* rows of different lengths"),
        ([np.ones((96, 96), complex)], r"y\[0\] must hold real numbers, got dtype complex"),
    ],
)
def test_wrong_truth(y, message):
    with pytest.raises((TypeError, ValueError), match=message):
        FocusMeasure(calibrate=True).fit([PHOTOGRAPHS[0]], y)


# --- edge re-blur ---------------------------------------------------------------------------


@pytest.mark.parametrize("angle", [0, 20, 45, 70, 90])
@pytest.mark.parametrize("sigma", [0.5, 1, 2, 4, 6])
def test_sigma_of_a_step(angle, sigma):
    found = reblurred(step_edge(angle, sigma))
    # An oblique edge is anti-aliased over a pixel, which is a blur of about 0.3 px.
    true = np.hypot(sigma, 0.3 if angle % 90 else 0)
    assert_allclose(found[32:-32, 32:-32], true, rtol=0.08, atol=0.05)


def test_a_perfect_step_is_in_focus():
    assert reblurred(step_edge(0, 0)).max() < 0.25
    assert reblurred(step_edge(30, 0)).max() < 0.5


@pytest.mark.parametrize("sigma", [0.5, 1, 2, 4])
def test_sigma_of_a_noisy_step(sigma):
    image = add_noise(step_edge(90, sigma, 128), 0.01, random_state=0)
    assert_allclose(np.median(reblurred(image)), sigma, rtol=0.25)


def test_contrast_and_brightness_of_an_edge_do_not_matter():
    found = [reblurred(step_edge(0, 2, low=a, high=b)) for a, b in ((0.1, 0.9), (0.2, 0.4))]
    assert_allclose(found[0], found[1], rtol=0.03)


def test_flat_parts_get_the_sigma_of_their_surface():
    image = np.full((128, 192), 0.2, np.float32)
    image[:, 96:] = 0.6
    image[40:60, 20:60] = 0.5  # on the left: sharp, on the right: blurred
    right = image.copy()
    right[30:90, 125:165] = 0.9
    image[:, 96:] = blur(right, 3)[:, 96:]
    image[:, 96] = 0.6
    found = reblurred(image)
    assert np.median(found[:, :80]) < 0.5
    assert_allclose(np.median(found[:, 120:]), 3, rtol=0.15)


def test_without_edges_the_map_is_constant():
    found = reblurred(np.full((40, 50), 0.3))
    assert_allclose(found, found[0, 0], atol=1e-4)
    assert 0 < found[0, 0] < 8


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (1, 40), (33, 2)])
def test_reblur_of_small_images(shape):
    found = reblurred(np.random.default_rng(0).random(shape))
    assert found.shape == shape
    assert np.isfinite(found).all()


def test_no_sigma_beyond_the_largest():
    found = reblurred(step_edge(0, 6), max_sigma=3.0)
    assert found.max() <= 3
    assert_allclose(np.median(found), 3, rtol=0.02)


def test_order_of_blur_in_scenes(scenes):
    images, truth = scenes
    assert spearman(truth, EdgeReblurEstimator().transform(images)) > 0.3


# --- both -----------------------------------------------------------------------------------


@each_estimator
def test_arrays_give_arrays_and_lists_lists(estimator):
    stack = np.stack(PHOTOGRAPHS)
    maps = estimator.fit(stack).transform(stack)
    assert isinstance(maps, np.ndarray)
    assert maps.shape == stack.shape
    assert maps.dtype == np.float32
    listed = estimator.transform([*PHOTOGRAPHS, PHOTOGRAPHS[0][:50, :60]])
    assert isinstance(listed, list)
    assert [m.shape for m in listed] == [(96, 96)] * 3 + [(50, 60)]
    assert all(m.dtype == np.float32 for m in listed)
    assert_array_equal(listed[0], maps[0])


@each_estimator
def test_every_kind_of_image(estimator):
    gray = np.round(PHOTOGRAPHS[0] * 255).astype(np.uint8)
    rgba = np.stack([gray, gray, gray, np.full_like(gray, 7)], axis=-1)
    kinds = [gray, gray / 255, gray.astype(np.uint16) * 257, rgba, rgba[..., :3], gray[..., None]]
    maps = estimator.transform(kinds)
    for found in maps[1:]:
        assert_allclose(found, maps[0], atol=0.02)


@each_estimator
def test_clone_pickle_parameters_and_jobs(estimator):
    again = pickle.loads(pickle.dumps(clone(estimator).set_params(n_jobs=2)))
    assert again.get_params() == {**estimator.get_params(), "n_jobs": 2}
    expected = estimator.transform(PHOTOGRAPHS)
    assert_allclose(np.stack(again.fit_transform(PHOTOGRAPHS)), np.stack(expected), atol=1e-5)


@each_estimator
def test_images_are_not_changed(estimator):
    image = PHOTOGRAPHS[2].copy()
    image.flags.writeable = False
    estimator.transform([image])
    assert_array_equal(image, PHOTOGRAPHS[2])


@each_estimator
@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ([], ValueError, "X is empty"),
        (np.zeros((8, 8)), ValueError, "X must be a batch"),
        ([np.zeros((8, 8)), np.full((8, 8), 2.0)], ValueError, r"X\[1\] must be within"),
        ([np.zeros((8, 8), np.int32)], TypeError, r"X\[0\] must be bool"),
        (3, TypeError, "X must be an array"),
        (np.array(None), ValueError, "X must have shape"),
        (np.zeros((8, 8, 1)), ValueError, "X must be a batch .* one image"),
    ],
)
def test_wrong_images(estimator, wrong, error, message):
    with pytest.raises(error, match=message):
        estimator.transform(wrong)


@pytest.mark.parametrize(
    ("estimator", "error", "message"),
    [
        (FocusMeasure("sharpness"), ValueError, "method must be one of 'laplacian_energy'"),
        (FocusMeasure(radius=-1), ValueError, "radius must be >= 0"),
        (FocusMeasure(radius=1.5), TypeError, "radius must be an integer"),
        (FocusMeasure(smoothing=-1), ValueError, "smoothing must be finite and >= 0"),
        (FocusMeasure(calibrate="yes"), TypeError, "calibrate must be a bool"),
        (EdgeReblurEstimator(0), ValueError, "sigma0 must be finite and >= 0.1"),
        (EdgeReblurEstimator(threshold=-1), ValueError, "threshold must be finite and >= 0"),
        (EdgeReblurEstimator(radius=0), ValueError, "radius must be >= 1"),
        (EdgeReblurEstimator(eps=0), ValueError, "eps must be finite and > 0"),
        (EdgeReblurEstimator(max_sigma="8"), TypeError, "max_sigma must be a number"),
    ],
)
def test_wrong_parameters(estimator, error, message):
    for call in (estimator.fit, estimator.transform):
        with pytest.raises(error, match=message):
            call(PHOTOGRAPHS)
