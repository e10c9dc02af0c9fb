"""What fuzzing has found, each once: these ended in other errors, or in warnings and nonsense."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import skdefocus as sd
from skdefocus import effects, filters, metrics, optics, synthesis

GRAY = np.linspace(0, 1, 12).reshape(3, 4)
MAPS = [np.ones((2, 2)), np.ones((3, 3))]
RAGGED = [[0.5, 0.2], [0.1]]
MASKED = np.ma.masked_less(GRAY, 0.5)
LENS = {"focal_length": 50, "f_number": 2, "focus_distance": 2, "pixel_pitch": 4}
HUGE = 10**400
AUC = metrics.get_scorer("focus_auc")


class Broken:
    def __array__(self, dtype=None, copy=None):
        raise ValueError("no pixels today")


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (4, 60)])
@pytest.mark.parametrize("step", [1, 2, 4, 12])
def test_fine_maps_of_thin_photographs(shape, step):
    """A step below the network's stride divided by zero where there is a single row of cells."""
    pipe = sd.make_defocus_pipeline(step=step)
    if step % 4:
        with pytest.raises(ValueError, match=f"step must be a multiple of 4.*got {step}"):
            pipe.transform([np.full(shape, 0.5)])
        pipe.set_params(levels__inference="patches")
    (found,) = pipe.transform([np.full(shape, 0.5)])
    assert found.shape == shape
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda: sd.defocus_map(MASKED),
        lambda: filters.box_mean(MASKED, 1),
        lambda: synthesis.blur(MASKED, 1.0),
        lambda: effects.sharpen(MASKED, np.ones((3, 4))),
        lambda: effects.magnify(GRAY, np.ma.masked_less(GRAY, 0.5)),
        lambda: metrics.sigma_mae([MASKED], [GRAY]),
    ],
)
def test_masked_values_are_not_taken_for_values(call):
    """What lies under a mask was used."""
    with pytest.raises(ValueError, match="must not have masked values"):
        call()


def test_an_array_with_an_empty_mask_is_an_array():
    found = filters.box_mean(np.ma.MaskedArray(GRAY), 1)
    assert type(found) is np.ndarray
    assert_array_equal(found, filters.box_mean(GRAY, 1))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        # numbers beyond what a float holds, or memory
        (lambda: synthesis.blur(GRAY, HUGE), "sigma"),
        (lambda: metrics.max_f_measure([[1, 0]], [[1, 0]], HUGE), "beta2"),
        (lambda: metrics.max_f_measure([[1, 0]], [[1, 0]], Fraction(-HUGE)), "beta2"),
        (lambda: synthesis.psf(1e300), "sigma"),
        (lambda: effects.aperture_psf(1e300, "polygon"), "sigma"),
        (lambda: effects.aperture_psf(np.ones(1), "polygon"), "sigma"),
        (lambda: effects.paper_magnify(GRAY, GRAY, 1e300), "strength"),
        (lambda: effects.magnify(GRAY, GRAY, in_focus=1e300), "in_focus"),
        (lambda: synthesis.add_noise(GRAY, 0.1, 1e300), "shot"),
        (lambda: effects.sharpen(GRAY, GRAY, limit=10**30), "limit"),
        (lambda: sd.WeightedGuidedRefiner(prior=1e38).fit([]), "prior"),
        (lambda: sd.FocusMeasure(smoothing=1e30).fit([]), "smoothing"),
        (lambda: sd.EdgeReblurEstimator(sigma0=1e300).fit([]), "sigma0"),
        (lambda: sd.EdgeReblurEstimator(sigma0=1e-300).fit([]), "sigma0"),
        (lambda: filters.weighted_guided_filter(GRAY, GRAY, 1, 1e-3, alpha=1e30), "alpha"),
        (lambda: filters.guided_filter(GRAY, np.where(GRAY > 0.5, 1e300, 0), 1, 1e-3), "guide"),
        (lambda: filters.box_mean(GRAY, 1, weights=GRAY.astype("m8[s]")), "weights"),
        (lambda: sd.FocusFuser(feather=1e300).fit([]), "feather"),
        (lambda: sd.FocusFuser(noise=1e300).fit([]), "noise"),
        (lambda: sd.FocusFuser(noise=1e-300).fit([]), "noise"),
        (lambda: sd.FocusFuser(sigma_weight=1e300).fit([]), "sigma_weight"),
        (lambda: sd.EdgeReblurEstimator(threshold=1e300).fit([]), "threshold"),
        (lambda: sd.AdaptiveSharpener(amount=1e300).fit([]), "amount"),
        (lambda: synthesis.blur_varying(GRAY, np.full((3, 4), 1e300)), "sigma"),
        (lambda: optics.sigma_to_coc(HUGE), "sigma"),
        (lambda: optics.hyperfocal_distance(2, focal_length=50, f_number=HUGE, pixel_pitch=4),
         "f_number"),
        (lambda: optics.distances_for_coc(2, **LENS | {"focal_length": 1e-300}), "focal_length"),
        (lambda: filters.GuidedFilter(GRAY.astype("f4"), 1, 1e-3).filter(GRAY * 1e300), "image"),
        # what is no array of numbers
        (lambda: filters.box_mean(RAGGED, 1), "image"),
        (lambda: filters.guided_filter(GRAY, Broken(), 1, 1e-3), "guide"),
        (lambda: filters.guided_filter(GRAY, GRAY, 1, 1e-3, weights=RAGGED), "weights"),
        (lambda: synthesis.to_linear(Broken()), "image"),
        (lambda: sd.BlurLevelClassifier().predict(RAGGED), "X"),
        (lambda: synthesis.render_layers([synthesis.Layer(GRAY, RAGGED)]), r"layers\[0\].sigma"),
        (lambda: synthesis.render_layers(5), "layers"),
        (lambda: metrics.focus_auc(GRAY > 0.5, 1j), "sigma_map"),
        (lambda: metrics.max_f_measure(GRAY > 0.5, {0.5}), "blur_map"),
        (lambda: metrics.blur_score({"a": 1}), "sigma_map"),
        (lambda: metrics.risk_coverage_curve("", GRAY), "error"),
        (lambda: metrics.expected_calibration_error(np.full((2, 2), 0.5 + 0j), [0, 1]), "proba"),
        (lambda: optics.sigma_to_coc("text"), "sigma"),
        (lambda: optics.coc_at_distance([["", "b"]], **LENS), "distance"),
        (lambda: effects.paper_weight(Broken()), "blurriness"),
        (lambda: effects.paper_weight([np.nan]), "blurriness"),
        (lambda: effects.noise_level(Broken()), "gray"),
        (lambda: effects.noise_level(-1), "gray"),
        (lambda: effects.noise_level(np.full((4, 4), np.nan)), "gray"),
        (lambda: effects.noise_level(np.zeros((4, 4)), -1), "sigma"),
        (lambda: effects.noise_level(np.zeros((4, 4)), np.zeros((1, 9))), "sigma"),
        (lambda: sd.defocus_map(np.zeros((4, 4), int)), "image"),
        # what cannot be counted
        (lambda: metrics.sigma_mae(True, MAPS), "true"),
        (lambda: metrics.sigma_mae(None, MAPS), "true"),
        (lambda: metrics.sigma_mae(MAPS, MAPS, mask=Fraction(1, 2)), "mask"),
        (lambda: metrics.gradient_preservation(GRAY, np.float32(0.5)), "sources"),
        (lambda: AUC(sd.FocusMeasure(radius=1), [GRAY], 2**63), "y"),
        (lambda: effects.paper_weight(GRAY, None), "anchors"),
        (lambda: effects.paper_weight(GRAY, [1]), "anchors"),
        (lambda: effects.paper_weight(GRAY, b"bytes"), "anchors"),
        (lambda: sd.DefocusFeatures(quantiles=-0.5).fit([]), "quantiles"),
        (lambda: sd.datasets.make_scene(True), "photographs"),
        (lambda: sd.BlurLevelClassifier(providers=Decimal("0.5")).predict(np.zeros((1, 32, 32))),
         "providers"),
        # seeds
        (lambda: synthesis.add_noise(GRAY, 0.1, random_state=b"bytes"), "random_state"),
        (lambda: sd.datasets.make_scene([GRAY] * 2, random_state=-1), "random_state"),
        (lambda: sd.datasets.load_sample_scenes(64, None), "random_state"),
        # one of two that do not fit each other
        (lambda: sd.PatchExtractor(patch_size=2, step=8).fit([]), "patch_size"),
    ],
)  # fmt: skip
def test_wrong_input_is_named(call, name):
    with pytest.raises((TypeError, ValueError), match=rf"\b{name}(\b|\W)"):
        call()


def test_far_beyond_the_unit_range_there_is_no_warning():
    assert synthesis.to_linear(1e300) == np.inf
    front, behind = optics.distances_for_coc(5e-324, **LENS | {"focus_distance": np.inf})
    assert (front, behind) == (np.inf, np.inf)


def test_a_radius_beyond_integers():
    found = filters.weighted_guided_filter(GRAY, GRAY, 2**63, 1e-2, subsample=2)
    expected = filters.weighted_guided_filter(GRAY, GRAY, 10**9, 1e-2, subsample=2)
    assert_array_equal(found, expected)


def test_a_huge_radius_in_single_precision():
    guide = np.full((1, 1), 572.0, np.float32)
    image = np.full((1, 1), 0.9, np.float32)
    found = filters.GuidedFilter(guide, 10**300, 1e-6).filter(image)
    np.testing.assert_allclose(found, image, rtol=1e-5)


def test_hardly_any_regularisation():
    flat = np.full((5, 6), 0.5, np.float32)
    assert_array_equal(filters.guided_filter(flat, flat, 1, 1e-300), flat)


def test_quantiles_of_small_integers():
    features = sd.DefocusFeatures("passthrough", quantiles=np.array([0, 1], np.uint8))
    assert features.transform([np.ones((20, 33))]).shape == (1, 13)


def test_blocks_larger_than_the_image():
    """Took as many steps as the block has pixels."""
    found = filters.guided_filter(GRAY, GRAY, 1, 1e-2, subsample=2**40)
    assert_array_equal(found, filters.guided_filter(GRAY, GRAY, 1, 1e-2, subsample=4))


def test_edges_wider_than_the_photograph():
    found = effects.magnify(GRAY, 3 * GRAY, edge_radius=10**30)
    assert_array_equal(found, effects.magnify(GRAY, 3 * GRAY, edge_radius=100))


def test_a_score_is_a_plain_float():
    assert type(metrics.blur_score(np.ones((2, 2)), scale=np.float32(0.5))) is float
    assert type(metrics.max_f_measure([[1, 0]], [[1, 0]], 2**63)) is float
