"""The guided filters against their definition, their theory and each other."""

import numpy as np
import pytest
from helpers.filter_cases import SWITCHES, cases, naive
from hypothesis import assume, given
from hypothesis import strategies as st

from skdefocus.filters import GuidedFilter, box_mean, guided_filter, weighted_guided_filter


@given(cases(), st.sampled_from(SWITCHES), st.sampled_from([1.0, 4.0]))
def test_agrees_with_the_definition(case, switches, alpha):
    image, guide, radius, eps, weights = case
    options = dict(zip(("edge_aware", "variance_weighted"), switches, strict=True), alpha=alpha)
    expected, least = naive(image, guide, radius, eps, weights=weights, **options)
    # Nearly singular fits have no valid digits.
    assume(least > 1e-7 or guide.ndim == 2)
    found = weighted_guided_filter(image, guide, radius, eps, weights=weights, **options)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-8)


@pytest.mark.parametrize("switches", SWITCHES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("channels", [0, 2, 3])
@pytest.mark.parametrize("flat", [False, True])
def test_agrees_with_the_definition_in_every_case(switches, weighted, channels, flat):
    """Every case of the formulas, with windows that differ in variance and weight."""
    rng = np.random.default_rng(5)
    image, guide = rng.random((9, 11)), rng.random((9, 11, channels) if channels else (9, 11))
    guide[:, 6:] *= 0.2
    if flat:
        guide[:4] = 0.3
    weights = rng.random((9, 11)) ** 4 * (np.arange(11) > 2) if weighted else None
    options = dict(zip(("edge_aware", "variance_weighted"), switches, strict=True), alpha=1.5)
    # A flat part gets nearly all of the regularization, and most of the votes.
    eps = 1e4 if flat and switches[0] else 0.05
    expected, _ = naive(image, guide, 1, eps, weights=weights, **options)
    found = weighted_guided_filter(image, guide, 1, eps, weights=weights, **options)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)


# Theory


@given(cases(), st.floats(-3, 3), st.floats(-3, 3), st.sampled_from(SWITCHES))
def test_is_linear_in_the_image(case, s, t, switches):
    image, guide, radius, eps, weights = case
    options = dict(zip(("edge_aware", "variance_weighted"), switches, strict=True))
    assume(
        guide.ndim == 2 or not options["edge_aware"]
    )  # Nearly singular fits have no valid digits.
    kernel = GuidedFilter(guide, radius, eps, weights=weights, **options)
    other = np.random.default_rng(1).random(image.shape)
    expected = s * kernel.filter(image) + t * kernel.filter(other)
    np.testing.assert_allclose(kernel.filter(s * image + t * other), expected, atol=1e-6)


@given(cases(), st.floats(-10, 10), st.sampled_from(SWITCHES))
def test_a_constant_is_unchanged(case, level, switches):
    image, guide, radius, eps, weights = case
    assume(weights is None or weights.any())
    edge_aware, variance_weighted = switches
    found = weighted_guided_filter(
        np.full_like(image, level),
        guide,
        radius,
        eps,
        weights=weights,
        edge_aware=edge_aware,
        variance_weighted=variance_weighted,
    )
    # The fits' slopes are rounding errors divided by variance + eps, which can be small: smallest
    # where `edge_aware` divides eps and windows have only a few pixels with weight, and thus no
    # variance in most directions.
    close = max(1e-5, 1e-7 / eps) if edge_aware and weights is not None else 1e-5
    np.testing.assert_allclose(found, level, rtol=close, atol=close)
    flat = box_mean(np.full_like(image, level), radius, weights=weights)
    np.testing.assert_allclose(flat, level, rtol=1e-12)


@given(cases())
def test_means_stay_within_the_range(case):
    image, guide, radius, eps, weights = case
    assume(weights is None or weights.any())
    seen = image if weights is None else image[weights > 0]
    slack = 1e-12 * np.abs(seen).max()
    # With a constant guide or a huge eps, the result is a mean of means.
    for found in (
        box_mean(image, radius, weights=weights),
        guided_filter(image, np.zeros_like(image), radius, eps, weights=weights),
        guided_filter(image, guide, radius, 1e12, weights=weights),
    ):
        assert found.min() >= seen.min() - slack - 1e-9
        assert found.max() <= seen.max() + slack + 1e-9


@given(cases(channels=(0,), weighted=(False,)))
def test_its_own_guide_comes_back_as_eps_vanishes(case):
    _, guide, radius, _, _ = case
    np.testing.assert_allclose(guided_filter(guide, guide, radius, 1e-13), guide, atol=1e-6)


@given(cases(channels=(0, 1, 2), weighted=(True,)), st.booleans())
def test_a_window_larger_than_the_image_gives_the_regression(case, weighted):
    image, guide, _, eps, weights = case
    planes = guide.reshape(image.size, -1)
    w = (weights if weighted else np.ones(image.shape)).ravel()
    assume(w.any())
    # A window of many periods of the mirrored image holds all pixels, nearly equally often.
    found = guided_filter(image, guide, 10**9, eps, weights=weights if weighted else None)
    centered = planes - np.average(planes, axis=0, weights=w)
    cov = centered.T @ (centered * w[:, None]) / w.sum()
    cross = centered.T @ (w * (image.ravel() - np.average(image, weights=w.reshape(image.shape))))
    slope = np.linalg.solve(cov + eps * np.eye(len(cov)), cross / w.sum())
    line = centered @ slope + np.average(image.ravel(), weights=w)
    np.testing.assert_allclose(found.ravel(), line, atol=1e-6 * max(1, abs(slope).max()))


@given(cases(weighted=(False,)), st.sampled_from(SWITCHES), st.floats(1e-6, 1e6))
def test_equal_weights_are_none(case, switches, weight):
    image, guide, radius, eps, _ = case
    options = dict(zip(("edge_aware", "variance_weighted"), switches, strict=True))
    plain = GuidedFilter(guide, radius, eps, **options)
    equal = plain.filter(image, weights=np.full(image.shape, weight))
    assume(guide.ndim == 2 or not options["edge_aware"])
    np.testing.assert_allclose(equal, plain.filter(image), rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(
        box_mean(image, radius, weights=np.full(image.shape, weight)),
        box_mean(image, radius),
        rtol=1e-12,
    )


@given(cases(weighted=(True,)), st.sampled_from(SWITCHES), st.sampled_from([1, 2]))
def test_pixels_without_weight_have_no_influence(case, switches, subsample):
    image, guide, radius, eps, weights = case
    edge_aware, variance_weighted = switches
    kernel = GuidedFilter(
        guide,
        radius,
        eps,
        weights=weights,
        edge_aware=edge_aware,
        variance_weighted=variance_weighted,
        subsample=subsample,
    )
    for nonsense in (np.nan, np.inf, 1e6):
        other = np.where(weights > 0, image, nonsense)
        np.testing.assert_array_equal(kernel.filter(other), kernel.filter(image))
        np.testing.assert_array_equal(
            box_mean(other, radius, weights=weights), box_mean(image, radius, weights=weights)
        )


@given(cases(weighted=(True,)))
def test_the_guide_at_pixels_without_weight_has_no_influence_elsewhere(case):
    image, guide, radius, eps, weights = case
    changed = guide.copy()
    changed[weights == 0] = 0.5
    weighted = weights > 0
    np.testing.assert_allclose(
        guided_filter(image, changed, radius, eps, weights=weights)[weighted],
        guided_filter(image, guide, radius, eps, weights=weights)[weighted],
        atol=1e-7,
    )


@given(cases(), st.floats(0.1, 10), st.floats(-5, 5))
def test_scaling_and_shifting_commute(case, scale, shift):
    image, guide, radius, eps, weights = case
    assume(weights is None or weights.any())
    expected = guided_filter(image, guide, radius, eps, weights=weights)
    np.testing.assert_allclose(
        guided_filter(scale * image + shift, guide, radius, eps, weights=weights),
        scale * expected + shift,
        atol=1e-6,
    )
    np.testing.assert_allclose(
        guided_filter(image, guide * scale + shift, radius, eps * scale**2, weights=weights),
        expected,
        atol=1e-6,
    )


@given(cases(channels=(2, 3, 4)), st.randoms(use_true_random=False), st.booleans())
def test_the_order_of_channels_does_not_matter(case, random, variance_weighted):
    image, guide, radius, eps, weights = case
    order = list(range(guide.shape[2]))
    random.shuffle(order)
    options = {"edge_aware": False, "variance_weighted": variance_weighted, "weights": weights}
    np.testing.assert_allclose(
        weighted_guided_filter(image, guide[..., order], radius, eps, **options),
        weighted_guided_filter(image, guide, radius, eps, **options),
        atol=1e-7,
    )


@given(cases(), st.integers(0, 3))
def test_turned_and_flipped_inputs_give_turned_and_flipped_results(case, turns):
    image, guide, radius, eps, weights = case

    def turn(x):
        return None if x is None else np.rot90(x, turns)[::-1]

    np.testing.assert_allclose(
        guided_filter(turn(image), turn(guide), radius, eps, weights=turn(weights)),
        turn(guided_filter(image, guide, radius, eps, weights=weights)),
        atol=1e-7,
    )


# Effects of weights, switches and iterations


def test_iterations_filter_again():
    rng = np.random.default_rng(0)
    image, guide, weights = rng.random((20, 30)), rng.random((20, 30)), rng.random((20, 30))
    once = weighted_guided_filter(image, guide, 3, 1e-2, weights=weights)
    twice = weighted_guided_filter(once, guide, 3, 1e-2, weights=weights)
    np.testing.assert_array_equal(
        weighted_guided_filter(image, guide, 3, 1e-2, weights=weights, n_iter=2), twice
    )


def test_flat_patches_take_the_value_of_confident_neighbors():
    guide = np.zeros((20, 40))
    guide[:, 20:] = 1
    image, weights = np.full((20, 40), 9.0), np.zeros((20, 40))
    image[10, 5], image[10, 35] = 1.0, 4.0
    weights[10, 5] = weights[10, 35] = 1.0
    found = guided_filter(image, guide, 40, 1e-6, weights=weights)
    np.testing.assert_allclose(found[:, :20], 1, atol=0.01)
    np.testing.assert_allclose(found[:, 20:], 4, atol=0.01)


def test_pixels_far_from_any_weight_become_the_mean():
    image, weights = np.arange(400.0).reshape(1, 400), np.zeros((1, 400))
    weights[0, 0], weights[0, 1] = 3.0, 1.0
    found = guided_filter(image, image / 400, 2, 1e-3, weights=weights)
    np.testing.assert_allclose(found[0, 6:], 0.25)
    np.testing.assert_allclose(box_mean(image, 2, weights=weights)[0, 4:], 0.25)
    assert not guided_filter(image, image, 2, 1e-3, weights=np.zeros((1, 400))).any()
    assert not box_mean(image, 2, weights=np.zeros((1, 400))).any()


def test_the_switches_spare_edges():
    rng = np.random.default_rng(0)
    step = np.repeat([[0.2, 0.8]], 30, axis=1).repeat(60, axis=0)
    guide = step + rng.normal(0, 0.02, step.shape)
    image = step + rng.normal(0, 0.05, step.shape)

    def error(**options):
        found = GuidedFilter(guide, 8, 0.02, **options).filter(image)
        return np.abs(found - step)[:, 22:38].mean()

    plain = error()
    assert error(edge_aware=True) < 0.5 * plain
    assert error(variance_weighted=True) < 0.8 * plain


@pytest.mark.parametrize("channels", [0, 3])
@pytest.mark.parametrize("step", [2, 4])
def test_a_subsampled_guide_is_close(channels, step):
    y, x = np.mgrid[:97, :130] / 97
    guide = 0.5 + 0.4 * np.sin(9 * x + 4 * y) * np.cos(7 * y)
    if channels:
        guide = np.stack([guide, guide**2, y], axis=2)
    image = (x + np.sin(5 * y) > 1).astype(float)
    full = guided_filter(image, guide, 14, 1e-2)
    coarse = guided_filter(image, guide, 14, 1e-2, subsample=step)
    assert -10 * np.log10(np.mean((coarse - full) ** 2)) > 40
    level = guided_filter(np.full_like(image, 3.0), guide, 14, 1e-6, subsample=step)
    np.testing.assert_allclose(level, 3, rtol=1e-9)


def test_a_coarse_step_may_exceed_the_image():
    image = np.random.default_rng(0).random((5, 7))
    found = guided_filter(image, image, 2, 1e-2, subsample=50)
    np.testing.assert_allclose(found, image.mean(), atol=1e-12)


def test_the_defaults_are_those_that_are_documented():
    rng = np.random.default_rng(0)
    image, guide = rng.random((20, 30)), rng.random((20, 30, 2))
    described = {"alpha": 4.0, "edge_aware": True, "variance_weighted": True, "n_iter": 1}
    np.testing.assert_array_equal(
        weighted_guided_filter(image, guide, 3, 1e-2),
        weighted_guided_filter(image, guide, 3, 1e-2, subsample=1, **described),
    )
    plain = GuidedFilter(guide, 3, 1e-2, edge_aware=False, variance_weighted=False, subsample=1)
    np.testing.assert_array_equal(GuidedFilter(guide, 3, 1e-2).filter(image), plain.filter(image))
    np.testing.assert_array_equal(guided_filter(image, guide, 3, 1e-2), plain.filter(image))
    votes = GuidedFilter(guide, 3, 1e-2, variance_weighted=True)
    described = GuidedFilter(guide, 3, 1e-2, variance_weighted=True, alpha=4.0)
    np.testing.assert_array_equal(votes.filter(image), described.filter(image))


@pytest.mark.parametrize("own", [False, True])
def test_weights_of_a_call_count_for_that_call(own):
    rng = np.random.default_rng(0)
    image, guide = rng.random((20, 30)), rng.random((20, 30))
    first, other = (rng.random((20, 30)) ** 4 for _ in range(2))
    kernel = GuidedFilter(guide, 3, 1e-2, weights=first if own else None)
    before = kernel.filter(image)
    expected = GuidedFilter(guide, 3, 1e-2, weights=other).filter(image)
    np.testing.assert_array_equal(kernel.filter(image, weights=other), expected)
    np.testing.assert_array_equal(kernel.filter(image), before)
    assert abs(expected - before).max() > 0.01


def test_windows_whose_votes_vanish_leave_the_mean():
    rng = np.random.default_rng(0)
    image, guide = rng.random((9, 11)), 1e12 * rng.random((9, 11), dtype=np.float32)
    found = GuidedFilter(guide, 2, 1.0, variance_weighted=True).filter(image)
    np.testing.assert_allclose(found, image.mean())


@pytest.mark.parametrize("subsample", [1, 2])
def test_an_offset_of_the_image_costs_no_digits(subsample):
    # Windows with two or three pixels of nearly equal guide: hardly any variance to divide by.
    rng = np.random.default_rng(0)
    image, guide = rng.random((60, 70)), rng.random((60, 70))
    weights = rng.random((60, 70)) * (rng.random((60, 70)) < 0.1)
    kernel = GuidedFilter(guide, 1, 1e-7, weights=weights, subsample=subsample)
    found = kernel.filter(image + 1e4) - 1e4
    np.testing.assert_allclose(found, kernel.filter(image), atol=1e-8)


@pytest.mark.parametrize("channels", [0, 3])
@pytest.mark.parametrize("subsample", [1, 2])
@pytest.mark.parametrize("variance_weighted", [False, True])
def test_sums_in_float32_are_exact_enough(channels, subsample, variance_weighted):
    rng = np.random.default_rng(3)
    guide = rng.random((60, 70, channels) if channels else (60, 70))
    guide[:30] = 0.9 + 0.02 * guide[:30]
    image, weights = rng.random((60, 70)), rng.uniform(0.1, 1, (60, 70))
    options = {"variance_weighted": variance_weighted, "alpha": 1.0, "subsample": subsample}
    exact = GuidedFilter(guide, 4, 3e-4, weights=weights, **options).filter(image)
    single = GuidedFilter(guide.astype(np.float32), 4, 3e-4, weights=weights, **options)
    assert single._fits.sum_dtype == np.float32
    np.testing.assert_allclose(single.filter(image.astype(np.float32)), exact, atol=1e-4)


def test_float32_is_not_enough_for_small_eps_and_unequal_weights():
    guide = np.random.default_rng(0).random((20, 20), np.float32)
    weights = np.where(np.eye(20), 1e-3, 1)
    assert GuidedFilter(guide, 4, 1e-6)._fits.sum_dtype == np.float64
    assert GuidedFilter(guide, 4, 1e-3, weights=weights)._fits.sum_dtype == np.float64
    assert GuidedFilter(guide, 4, 1e-3, edge_aware=True)._fits.sum_dtype == np.float64


def test_flat_windows_vote_alike_in_float32():
    """Rounding must not decide which of them wins."""
    guide = np.full((40, 40), 0.9, np.float32)
    guide[:, 20:] = np.random.default_rng(0).random((40, 20))
    image = np.linspace(0, 1, 40, dtype=np.float32) * np.ones((40, 1), np.float32)
    weights = np.random.default_rng(1).uniform(0.1, 1, image.shape).astype(np.float32)
    options = {"variance_weighted": True, "alpha": 1.0}
    found = GuidedFilter(guide, 2, 3e-4, weights=weights, **options).filter(image)
    exact = GuidedFilter(guide.astype(float), 2, 3e-4, weights=weights, **options).filter(image)
    np.testing.assert_allclose(found[:, :16], exact[:, :16], atol=1e-5)
