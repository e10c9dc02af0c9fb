"""Arrays of the filters: precision, pieces, threads, dtypes, memory and errors."""

import itertools
import pickle
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import numpy as np
import pytest
from helpers.filter_cases import cases
from hypothesis import given
from hypothesis import strategies as st

from skdefocus.filters import (
    GuidedFilter,
    _subsampled_fits,
    _window_sums,
    _workers,
    box_mean,
    guided_filter,
    weighted_guided_filter,
)

GOOD = np.zeros((6, 8))


# Precision


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", [0, 3])
def test_the_guide_has_no_influence_with_the_largest_eps(dtype, channels):
    rng = np.random.default_rng(0)
    image, guide = rng.random((9, 12), dtype), rng.random((9, 12, 3)[: 2 + channels // 3], dtype)
    expected = box_mean(box_mean(image, 2), 2)
    np.testing.assert_allclose(guided_filter(image, guide, 2, 1e300), expected, rtol=1e-5)


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
    if kind == "specks":  # A few outliers, of about sqrt(eps) in their windows.
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


@pytest.mark.parametrize("channels", [0, 3])
@pytest.mark.parametrize("radius", [2, 10, 30])
@pytest.mark.parametrize("eps", [1e-2, 6e-4, 4e-4, 1e-6])
def test_float32_agrees_with_float64_in_the_worst_case(channels, radius, eps):
    """Black and white, where products are largest, with a few outliers, which make steep lines."""
    rng = np.random.default_rng(1)
    shape = (80, 100)
    guide = np.zeros((*shape, channels) if channels else shape)
    guide[:, 50:] = 1
    far = (2 * radius + 1) * np.sqrt(eps) * rng.choice([0.1, 0.3, 1, 3], guide.shape)
    guide = abs(guide - np.where(rng.random(guide.shape) < 1 / 300, far.clip(max=1), 0))
    guide, image = guide.astype(np.float32), (rng.random(shape) > 0.5).astype(np.float32)
    exact = guided_filter(image.astype(float), guide.astype(float), radius, eps)
    assert abs(guided_filter(image, guide, radius, eps) - exact).max() <= 5e-5


def test_an_offset_of_a_float32_guide_costs_no_digits():
    rng = np.random.default_rng(0)
    image = rng.random((20, 30), dtype=np.float32)
    guide = (1000 + rng.random((20, 30))).astype(np.float32)
    exact = guided_filter(image.astype(float), guide.astype(float), 3, 1e-3)
    assert abs(guided_filter(image, guide, 3, 1e-3) - exact).max() < 1e-6


@given(cases(), st.sampled_from([1e-2, 1e-4, 1e-6]))
def test_float32_agrees_with_float64_on_anything(case, eps):
    image, guide, radius, _, weights = case
    guide = guide.astype(np.float32)
    image = np.clip(image, 0, 1).astype(np.float32)
    exact = guided_filter(image.astype(float), guide.astype(float), radius, eps, weights=weights)
    found = guided_filter(image, guide, radius, eps, weights=weights)
    # Weights are rounded too; a pixel without weight may be far from its neighbors' lines.
    bound = 1e-4 * max(1, abs(exact).max())
    assert abs(found - exact).max() <= bound


# Pieces, threads, memory


@pytest.mark.parametrize("channels", [0, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_tiles_equal_the_full_image(channels, weighted):
    rng = np.random.default_rng(0)
    shape, radius = (64, 80), 5
    guide = rng.random((*shape, channels) if channels else shape)
    image, weights = rng.random(shape), rng.random(shape) if weighted else None
    expected = weighted_guided_filter(image, guide, radius, 1e-3, weights=weights, edge_aware=False)
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
    np.testing.assert_allclose(tiles, expected, atol=1e-9)


@pytest.mark.parametrize("piece", [64, 1000, 10**7])
@pytest.mark.parametrize("subsample", [1, 3])
def test_results_do_not_depend_on_pieces_and_threads(monkeypatch, piece, subsample):
    rng = np.random.default_rng(0)
    image, guide, weights = rng.random((41, 113)), rng.random((41, 113, 3)), rng.random((41, 113))
    options = {"weights": weights, "subsample": subsample, "n_iter": 2}
    expected = weighted_guided_filter(image, guide, 6, 1e-3, n_threads=1, **options)
    monkeypatch.setattr(_workers, "SMALL", 0)  # use threads on small images
    monkeypatch.setattr(_window_sums, "PIECE", piece)
    monkeypatch.setattr(_subsampled_fits, "PIECE", piece)
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


@pytest.mark.parametrize("function", [guided_filter, weighted_guided_filter])
def test_the_more_precise_of_image_and_guide_counts(function):
    rng = np.random.default_rng(0)
    image, guide = rng.random((20, 30)), rng.random((20, 30), dtype=np.float32)
    np.testing.assert_array_equal(
        function(image, guide, 3, 1e-4), function(image, guide.astype(float), 3, 1e-4)
    )


@pytest.mark.parametrize("function", [box_mean, guided_filter, weighted_guided_filter])
@pytest.mark.parametrize("channels", [0, 2])
def test_inputs_are_not_changed_and_out_gets_the_result(function, channels):
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


# Errors


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
        (ValueError, "radius must be .*, got -1", {2: -1}, {}),
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


def test_a_read_only_out_is_rejected():
    out = GOOD.copy()
    out.flags.writeable = False
    with pytest.raises(ValueError, match="out must be writeable"):
        box_mean(GOOD, 1, out=out)
