"""The filters against their definition, their theory and each other."""

import itertools
import pickle
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from skdefocus import _box, _coarse
from skdefocus.filters import GuidedFilter, box_mean, guided_filter, weighted_guided_filter

SWITCHES = list(itertools.product([False, True], repeat=2))


# The definition, one window after the other


def windows(x, radius):
    """Views (H, W, side, side[, C]) of the mirrored image's windows."""
    pad = [(radius, radius)] * 2 + [(0, 0)] * (x.ndim - 2)
    side = 2 * radius + 1
    views = np.lib.stride_tricks.sliding_window_view(
        np.pad(x, pad, "symmetric"), (side, side), axis=(0, 1)
    )
    return views if x.ndim == 2 else np.moveaxis(views, 2, -1)


def naive(
    image, guide, radius, eps, *, weights=None, alpha=4.0, edge_aware=False, variance_weighted=False
):
    """Guided filter by a loop over windows and one over pixels; and its least regularisation."""
    guide = guide.reshape(*image.shape, -1).astype(float)
    confidence = np.ones(image.shape) if weights is None else weights
    shape, channels = image.shape, guide.shape[2]
    mean, cov, cross = np.zeros((*shape, channels)), {}, {}
    level, evidence = np.zeros(shape), np.zeros(shape)
    i_win, g_win, w_win = (windows(x, radius) for x in (image, guide, confidence))
    for k in np.ndindex(shape):
        w, g, i = w_win[k].ravel(), g_win[k].reshape(-1, channels), i_win[k].ravel()
        evidence[k] = w.sum()
        w = w / w.sum() if w.any() else w
        mean[k], level[k] = w @ g, w @ i
        cov[k] = (g - mean[k]).T @ ((g - mean[k]) * w[:, None])
        cross[k] = (g - mean[k]).T @ ((i - level[k]) * w)
    variance = np.array([np.trace(cov[k]) / channels for k in np.ndindex(shape)]).reshape(shape)
    inverse_mean, least = 1.0, eps
    if evidence.any():
        inverse_mean = np.average(1 / (variance + 1e-10), weights=evidence)
    a, b = np.zeros((*shape, channels)), np.zeros(shape)
    for k in np.ndindex(shape):
        reg = eps / ((variance[k] + 1e-10) * inverse_mean) if edge_aware else eps
        least = min(least, reg)
        a[k] = np.linalg.solve(cov[k] + reg * np.eye(channels), cross[k])
        b[k] = level[k] - a[k] @ mean[k]
    votes = evidence / (variance**alpha + 1e-10) if variance_weighted else evidence
    a_win, b_win, v_win = (windows(x, radius) for x in (a, b, votes))
    out = np.empty(shape)
    for p in np.ndindex(shape):
        v = v_win[p].ravel()
        if v.any():
            fits = a_win[p].reshape(-1, channels) @ guide[p] + b_win[p].ravel()
            out[p] = v @ fits / v.sum()
        else:
            out[p] = np.average(image, weights=weights) if confidence.any() else 0
    return out, least


@st.composite
def cases(draw, channels=(0, 1, 3, 4), weighted=(False, True)):
    """A random image, guide and weights, with flat parts, outliers and an offset."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (draw(st.integers(1, 13)), draw(st.integers(1, 13)))
    c = draw(st.sampled_from(channels))
    guide = rng.random((*shape, c) if c else shape)
    if draw(st.booleans()):
        guide[: shape[0] // 2] = rng.random()
    if draw(st.booleans()):
        guide = guide.round()
    image = rng.random(shape) + draw(st.sampled_from([0.0, 0.0, -7.0, 1000.0]))
    weights = None
    if draw(st.sampled_from(weighted)):
        weights = rng.random(shape) * (rng.random(shape) < draw(st.sampled_from([0.0, 0.1, 1.0])))
    radius = draw(st.sampled_from([0, 1, 2, 3, 5, 11, 30]))
    eps = 10.0 ** -draw(st.integers(1, 6))
    return image, guide, radius, eps, weights


@given(cases(), st.sampled_from(SWITCHES), st.sampled_from([1.0, 4.0]))
def test_agrees_with_the_definition(case, switches, alpha):
    image, guide, radius, eps, weights = case
    options = dict(zip(("edge_aware", "variance_weighted"), switches, strict=True), alpha=alpha)
    expected, least = naive(image, guide, radius, eps, weights=weights, **options)
    # Nearly singular fits have no digits to compare.
    assume(least > 1e-7 or guide.ndim == 2)
    found = weighted_guided_filter(image, guide, radius, eps, weights=weights, **options)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-8)


@given(cases())
def test_box_mean_agrees_with_the_definition(case):
    image, _, radius, _, weights = case
    if weights is None:
        expected = windows(image, radius).mean((2, 3))
    else:
        w = windows(weights, radius)
        total = w.sum((2, 3))
        expected = np.full(image.shape, np.average(image, weights=weights) if w.any() else 0.0)
        np.divide((windows(image, radius) * w).sum((2, 3)), total, out=expected, where=total > 0)
    np.testing.assert_allclose(
        box_mean(image, radius, weights=weights), expected, rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("width", [1, 7, 300])
def test_windows_of_every_length_are_summed(width):
    image = np.random.default_rng(0).integers(0, 100, (1, width)).astype(float)
    for radius in range(90):
        expected = windows(image.repeat(2 * radius + 1, axis=0), radius)[radius].sum((1, 2))
        found = box_mean(image, radius)[0] * (2 * radius + 1) ** 2
        np.testing.assert_allclose(found, expected, rtol=1e-13)


# Theory


@given(cases(), st.floats(-3, 3), st.floats(-3, 3), st.sampled_from(SWITCHES))
def test_is_linear_in_the_image(case, s, t, switches):
    image, guide, radius, eps, weights = case
    options = dict(zip(("edge_aware", "variance_weighted"), switches, strict=True))
    assume(guide.ndim == 2 or not options["edge_aware"])  # Nearly singular fits have no digits.
    kernel = GuidedFilter(guide, radius, eps, weights=weights, **options)
    other = np.random.default_rng(1).random(image.shape)
    expected = s * kernel.filter(image) + t * kernel.filter(other)
    np.testing.assert_allclose(kernel.filter(s * image + t * other), expected, atol=1e-6)


@given(cases(), st.floats(-10, 10), st.sampled_from(SWITCHES))
def test_a_constant_stays(case, level, switches):
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
    # The fits' slopes are rounding errors divided by variance + eps, which can be small.
    np.testing.assert_allclose(found, level, rtol=1e-5, atol=1e-5)
    flat = box_mean(np.full_like(image, level), radius, weights=weights)
    np.testing.assert_allclose(flat, level, rtol=1e-12)


@given(cases())
def test_means_stay_within_the_range(case):
    image, guide, radius, eps, weights = case
    assume(weights is None or weights.any())
    seen = image if weights is None else image[weights > 0]
    slack = 1e-12 * np.abs(seen).max()
    # A guide that says nothing leaves means of means.
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
    # Whole repetitions of the mirrored image: every window sees the same pixels, nearly as often.
    found = guided_filter(image, guide, 10**9, eps, weights=weights if weighted else None)
    centred = planes - np.average(planes, axis=0, weights=w)
    cov = centred.T @ (centred * w[:, None]) / w.sum()
    cross = centred.T @ (w * (image.ravel() - np.average(image, weights=w.reshape(image.shape))))
    slope = np.linalg.solve(cov + eps * np.eye(len(cov)), cross / w.sum())
    line = centred @ slope + np.average(image.ravel(), weights=w)
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
def test_the_guide_below_pixels_without_weight_has_no_influence_elsewhere(case):
    image, guide, radius, eps, weights = case
    changed = guide.copy()
    changed[weights == 0] = 0.5
    there = weights > 0
    np.testing.assert_allclose(
        guided_filter(image, changed, radius, eps, weights=weights)[there],
        guided_filter(image, guide, radius, eps, weights=weights)[there],
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


# Precision


@pytest.mark.parametrize("channels", [0, 3])
@pytest.mark.parametrize("eps", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("kind", ["noise", "flat", "specks", "offset", "faint"])
def test_float32_agrees_with_float64(channels, eps, kind):
    rng = np.random.default_rng(3)
    shape = (70, 90)
    guide = rng.random((*shape, channels) if channels else shape)
    image = rng.random(shape)
    if kind == "flat":
        guide = np.where(guide > 2, guide, 0.9)
        guide[:, :45] = 0.1
    if kind == "specks":  # Few deviations, of about sqrt(eps) in their windows.
        guide = 0.9 + np.where(rng.random(guide.shape) < 2e-3, 30 * np.sqrt(eps), 0).clip(max=0.1)
    if kind == "offset":
        guide, image = 0.95 + 0.05 * guide, 0.99 + 0.01 * image
    if kind == "faint":
        guide = 0.5 + 1e-3 * guide
    guide, image = guide.astype(np.float32), image.astype(np.float32)
    weights = rng.random(shape) ** 8
    for options in ({}, {"weights": weights}, {"variance_weighted": True}):
        exact = GuidedFilter(guide.astype(float), 10, eps, **options).filter(image.astype(float))
        found = GuidedFilter(guide, 10, eps, **options).filter(image)
        assert found.dtype == np.float32
        assert abs(found - exact).max() <= 1e-4


@given(cases(), st.sampled_from([1e-2, 1e-4, 1e-6]))
def test_float32_agrees_with_float64_on_anything(case, eps):
    image, guide, radius, _, weights = case
    guide = guide.astype(np.float32)
    image = np.clip(image, 0, 1).astype(np.float32)
    exact = guided_filter(image.astype(float), guide.astype(float), radius, eps, weights=weights)
    found = guided_filter(image, guide, radius, eps, weights=weights)
    # The weights are rounded too; a pixel without any may lie far off its neighbours' lines.
    bound = 1e-4 * max(1, abs(exact).max())
    assert abs(found - exact).max() <= bound


def test_windows_with_little_weight_keep_their_digits():
    weights = np.ones((9, 30), np.float32)
    weights[:, 15:] = 1e-12
    image = np.repeat([[0.0, 1.0]], 15, axis=1).repeat(9, axis=0).astype(np.float32)
    found = box_mean(image, 2, weights=weights)
    assert found[4, 12] == 0
    assert found[4, 17] == 1
    assert 0 < found[4, 14] < 1e-11


# Pieces, threads, memory


@pytest.mark.parametrize("channels", [0, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_tiles_equal_the_whole(channels, weighted):
    rng = np.random.default_rng(0)
    shape, radius = (64, 80), 5
    guide = rng.random((*shape, channels) if channels else shape)
    image, weights = rng.random(shape), rng.random(shape) if weighted else None
    whole = weighted_guided_filter(image, guide, radius, 1e-3, weights=weights, edge_aware=False)
    tiles = np.empty(shape)
    margin = 2 * radius
    for y, x in itertools.product(range(0, 64, 32), range(0, 80, 40)):
        rows = slice(max(0, y - margin), y + 32 + margin)
        cols = slice(max(0, x - margin), x + 40 + margin)
        part = weighted_guided_filter(
            image[rows, cols],
            guide[rows, cols],
            radius,
            1e-3,
            weights=None if weights is None else weights[rows, cols],
            edge_aware=False,
        )
        top, left = y - rows.start, x - cols.start
        tiles[y : y + 32, x : x + 40] = part[top : top + 32, left : left + 40]
    np.testing.assert_allclose(tiles, whole, atol=1e-9)


@pytest.mark.parametrize("piece", [64, 1000, 10**7])
@pytest.mark.parametrize("subsample", [1, 3])
def test_pieces_and_threads_do_not_show(monkeypatch, piece, subsample):
    rng = np.random.default_rng(0)
    image, guide, weights = rng.random((41, 113)), rng.random((41, 113, 3)), rng.random((41, 113))
    options = {"weights": weights, "subsample": subsample, "n_iter": 2}
    expected = weighted_guided_filter(image, guide, 6, 1e-3, n_threads=1, **options)
    monkeypatch.setattr(_box, "PIECE", piece)
    monkeypatch.setattr(_coarse, "PIECE", piece)
    for n_threads in (1, 2, 5):
        found = weighted_guided_filter(image, guide, 6, 1e-3, n_threads=n_threads, **options)
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_one_filter_serves_many_threads():
    rng = np.random.default_rng(0)
    images = rng.random((12, 150, 200))
    kernel = GuidedFilter(images[0], 7, 1e-3)
    expected = [kernel.filter(x) for x in images]
    with ThreadPoolExecutor(4) as pool:
        for found, one in zip(pool.map(kernel.filter, images), expected, strict=True):
            np.testing.assert_array_equal(found, one)


def test_a_copied_filter_filters():
    image = np.random.default_rng(0).random((20, 30))
    kernel = GuidedFilter(image, 3, 1e-3)
    expected = kernel.filter(image)
    for copy in (pickle.loads(pickle.dumps(kernel)), deepcopy(kernel)):
        np.testing.assert_array_equal(copy.filter(image), expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4", np.longdouble])
@pytest.mark.parametrize("channels", [0, 1, 2, 5])
def test_channels_of_any_float_are_filtered_one_by_one(dtype, channels):
    rng = np.random.default_rng(0)
    image = rng.random((12, 9, channels) if channels else (12, 9)).astype(dtype)
    guide = rng.random((12, 9, 3))
    found = weighted_guided_filter(image, guide, 2, 1e-2)
    assert found.shape == image.shape
    assert found.dtype == (
        np.float64 if dtype is np.longdouble else np.dtype(dtype).newbyteorder("=")
    )
    smooth = box_mean(image, 2)
    assert smooth.dtype == found.dtype
    for c in range(channels):
        one = weighted_guided_filter(image[..., c], guide, 2, 1e-2)
        np.testing.assert_array_equal(found[..., c], one)
        np.testing.assert_array_equal(smooth[..., c], box_mean(image[..., c], 2))


@pytest.mark.parametrize("function", [box_mean, guided_filter, weighted_guided_filter])
@pytest.mark.parametrize("channels", [0, 2])
def test_inputs_stay_and_out_receives(function, channels):
    rng = np.random.default_rng(0)
    image = rng.random((24, 40, channels) if channels else (24, 40), dtype=np.float32)
    weights = rng.random((24, 40))
    rest = () if function is box_mean else (rng.random((24, 40), dtype=np.float32),)
    numbers = (3,) if function is box_mean else (3, 1e-3)
    kept = [x.copy() for x in (image, weights, *rest)]
    for x in (image, weights, *rest):
        x.flags.writeable = False
    expected = function(image, *rest, *numbers, weights=weights)
    for x, before in zip((image, weights, *rest), kept, strict=True):
        np.testing.assert_array_equal(x, before)

    out = np.empty_like(image)
    assert function(image, *rest, *numbers, weights=weights, out=out) is out
    np.testing.assert_array_equal(out, expected)
    inplace = image.copy()
    function(inplace, *rest, *numbers, weights=weights, out=inplace)
    np.testing.assert_array_equal(inplace, expected)
    wide = np.zeros((48, 120, *image.shape[2:]), np.float32)
    views = (np.asarray(np.repeat(x[::-1], 2, axis=1)[::-1, ::2]) for x in (image, *rest))
    function(*views, *numbers, weights=weights, out=wide[::2, ::3])
    np.testing.assert_array_equal(wide[::2, ::3], expected)
    assert not wide[1::2].any()


def test_iterations_filter_again():
    rng = np.random.default_rng(0)
    image, guide, weights = rng.random((20, 30)), rng.random((20, 30)), rng.random((20, 30))
    once = weighted_guided_filter(image, guide, 3, 1e-2, weights=weights)
    twice = weighted_guided_filter(once, guide, 3, 1e-2, weights=weights)
    np.testing.assert_array_equal(
        weighted_guided_filter(image, guide, 3, 1e-2, weights=weights, n_iter=2), twice
    )


# What the weights and switches are for


def test_flat_patches_take_the_value_of_confident_neighbours():
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
    whole = guided_filter(image, guide, 14, 1e-2)
    coarse = guided_filter(image, guide, 14, 1e-2, subsample=step)
    assert -10 * np.log10(np.mean((coarse - whole) ** 2)) > 40
    level = guided_filter(np.full_like(image, 3.0), guide, 14, 1e-6, subsample=step)
    np.testing.assert_allclose(level, 3, rtol=1e-9)


def test_a_coarse_step_may_exceed_the_image():
    image = np.random.default_rng(0).random((5, 7))
    found = guided_filter(image, image, 2, 1e-2, subsample=50)
    np.testing.assert_allclose(found, image.mean(), atol=1e-12)


# Errors

GOOD = np.zeros((6, 8))


@pytest.mark.parametrize(
    ("error", "match", "arguments", "options"),
    [
        (TypeError, "image must be floating, got dtype uint8", {0: GOOD.astype(np.uint8)}, {}),
        (TypeError, "guide must be floating, got dtype int64", {1: GOOD.astype(np.int64)}, {}),
        (ValueError, r"image must have shape \(H, W\) or", {0: np.zeros(5)}, {}),
        (ValueError, r"image must have shape \(H, W\) or", {0: np.zeros((0, 5))}, {}),
        (ValueError, "image must have the guide's height", {0: np.zeros((8, 6))}, {}),
        (ValueError, "image must be finite", {0: np.full((6, 8), np.nan)}, {}),
        (
            ValueError,
            "image must be finite where it has weight",
            {0: GOOD + np.inf},
            {"weights": 1},
        ),
        (ValueError, "guide must be finite", {1: np.full((6, 8), np.inf)}, {}),
        (ValueError, "radius must be >= 0", {2: -1}, {}),
        (TypeError, "radius must be an integer", {2: 1.5}, {}),
        (ValueError, "eps must be finite and > 0", {3: 0.0}, {}),
        (ValueError, "alpha must be finite and >= 0", {}, {"alpha": -1.0}),
        (ValueError, "n_iter must be >= 1", {}, {"n_iter": 0}),
        (ValueError, "subsample must be >= 1", {}, {"subsample": 0}),
        (ValueError, "n_threads must be >= 1", {}, {"n_threads": 0}),
        (ValueError, "weights must have the image's height", {}, {"weights": np.ones(3)}),
        (ValueError, "weights must be finite and at least 0", {}, {"weights": GOOD - 1}),
        (ValueError, "weights must be finite and at least 0", {}, {"weights": GOOD + np.nan}),
        (TypeError, "weights must be bool, integer or floating", {}, {"weights": GOOD + 1j}),
        (ValueError, "out must have the image's shape", {}, {"out": np.zeros((5, 8))}),
        (TypeError, "out must be a floating ndarray", {}, {"out": np.zeros((6, 8), int)}),
        (TypeError, "out must be a floating ndarray", {}, {"out": [[0.0]]}),
    ],
)
def test_wrong_inputs_are_named(error, match, arguments, options):
    values = [GOOD, GOOD, 2, 1e-3]
    for i, value in arguments.items():
        values[i] = value
    if isinstance(options.get("weights"), int):
        options = {"weights": np.ones(GOOD.shape)}
    with pytest.raises(error, match=match):
        weighted_guided_filter(*values, **options)


def test_a_read_only_out_is_refused():
    out = GOOD.copy()
    out.flags.writeable = False
    with pytest.raises(ValueError, match="out must be writeable"):
        box_mean(GOOD, 1, out=out)
