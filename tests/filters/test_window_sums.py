"""The box mean against its definition."""

import numpy as np
import pytest
from helpers.filter_cases import cases, windows
from hypothesis import given

from skdefocus.filters import _window_sums, _workers, box_mean


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


def test_windows_with_little_weight_keep_their_digits():
    weights = np.ones((9, 30), np.float32)
    weights[:, 15:] = 1e-12
    image = np.repeat([[0.0, 1.0]], 15, axis=1).repeat(9, axis=0).astype(np.float32)
    found = box_mean(image, 2, weights=weights)
    assert found[4, 12] == 0
    assert found[4, 17] == 1
    assert 0 < found[4, 14] < 1e-11


@pytest.mark.parametrize("largest", [1e-60, 1e60])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_weights_may_leave_the_range_of_the_images_dtype(dtype, largest):
    image, weights = np.array([[1, 2, 3]], dtype), np.array([[1, 0.5, 0]])
    expected = box_mean(image, 1, weights=weights)
    assert np.isfinite(expected).all()
    np.testing.assert_array_equal(box_mean(image, 1, weights=weights * largest), expected)


@pytest.mark.parametrize("piece", [64, 1000, 10**7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_do_not_depend_on_pieces_and_threads(monkeypatch, piece, dtype):
    rng = np.random.default_rng(0)
    image, weights = rng.random((41, 113), dtype), rng.random((41, 113), dtype)
    expected = [box_mean(image, 6), box_mean(image, 6, weights=weights)]
    monkeypatch.setattr(_workers, "SMALL", 0)  # use threads on small images
    monkeypatch.setattr(_window_sums, "PIECE", piece)
    for n_threads in (1, 2, 5):
        found = [box_mean(image, 6, weights=w, n_threads=n_threads) for w in (None, weights)]
        np.testing.assert_allclose(found, expected, rtol=1e-6 if dtype is np.float32 else 1e-12)


@pytest.mark.parametrize(("shape", "expected"), [((499, 1000), 1), ((500, 1000), 2)])
def test_threads_are_for_large_images(shape, expected):
    assert _workers.effective_threads(2, np.zeros((*shape, 1))) == expected
    assert _workers.effective_threads(1, np.zeros((*shape, 1))) == 1


def test_float32_is_summed_without_loss():
    image = np.random.default_rng(0).random((60, 70)).astype(np.float32)
    exact = box_mean(image.astype(float), 20)
    assert abs(box_mean(image, 20) - exact).max() < 3e-7
    # Nothing is subtracted: far from the large value there are no rounding errors of it.
    image[:, 0] = 1e20
    assert abs(box_mean(image, 20) - exact)[:, 21:].max() < 3e-7


@pytest.mark.parametrize(
    ("error", "match", "options"),
    [
        (ValueError, "^radius must be .*, got -1", {"radius": -1}),
        (TypeError, "^radius must be an integer", {"radius": 1.0}),
        (ValueError, "^n_threads must be >= 1, got 0", {"n_threads": 0}),
        (ValueError, "^weights must have the image's height", {"weights": np.ones((3, 4))}),
        (ValueError, "^out must have the image's shape", {"out": np.ones((3, 4))}),
        (TypeError, "^image must be floating", {"image": np.ones((4, 3), int)}),
        (ValueError, "^image must", {"image": [[1.0], [1.0, 2.0]]}),
    ],
)
def test_wrong_inputs_are_named(error, match, options):
    values = {"image": np.ones((4, 3)), "radius": 1} | options
    with pytest.raises(error, match=match):
        box_mean(**values)
