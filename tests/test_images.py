"""Images, maps and batches: which are accepted, and the messages for all others."""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

import skdefocus as sd
from skdefocus._images import LUMA, check_image, check_images, check_map, check_photograph, to_gray

sizes = st.tuples(st.integers(1, 12), st.integers(1, 12))
shapes = st.builds(lambda s, c: s + c, sizes, st.sampled_from([(), (1,), (3,), (4,)]))
unit = st.floats(0, 1, width=32)
images = st.one_of(
    hnp.arrays(np.uint8, shapes),
    hnp.arrays(np.uint16, shapes),
    hnp.arrays(np.bool_, shapes),
    hnp.arrays(np.float32, shapes, elements=unit),
    hnp.arrays(np.float64, shapes, elements=st.floats(0, 1)),
    hnp.arrays(np.float16, shapes, elements=st.floats(0, 1, width=16)),
)


@given(images)
def test_checked_image_is_float32_in_the_unit_range(x):
    before = x.copy()
    y = check_image(x)
    assert_array_equal(x, before)
    assert y.dtype == np.float32
    assert y.flags.c_contiguous
    assert y.min() >= 0
    assert y.max() <= 1
    gray = x.ndim == 2 or x.shape[2] == 1
    assert y.shape == (x.shape[:2] if gray else (*x.shape[:2], 3))
    scale = 1 if x.dtype.kind in "fb" else np.iinfo(x.dtype).max
    colors = x if x.ndim == 2 else (x[..., 0] if gray else x[..., :3])
    assert_allclose(y, colors.astype(np.float64) / scale, rtol=0, atol=1e-7)


@given(images)
def test_checking_twice_is_checking_once_and_copies_nothing(x):
    once = check_image(x)
    twice = check_image(once)
    assert_array_equal(twice, once)
    assert np.shares_memory(twice, once)


@pytest.fixture
def checks(monkeypatch):
    """Numbers of checks of photographs and of maps, wherever the package makes them."""
    counts = Counter()

    def counted(check):
        def counting(*args, **kwargs):
            counts[check.__name__] += 1
            return check(*args, **kwargs)

        return counting

    modules = [m for name, m in sys.modules.items() if name.partition(".")[0] == "skdefocus"]
    for check in (check_photograph, check_map):
        counting = counted(check)
        for module in modules:
            if getattr(module, check.__name__, None) is check:
                monkeypatch.setattr(module, check.__name__, counting)
    return counts


# Effects and features check what they are given; the pipeline in them does so for all its callers.
@pytest.mark.parametrize(
    ("call", "photographs", "maps"),
    [
        (lambda x, s: sd.make_defocus_pipeline().transform([x]), 1, 0),
        (lambda x, s: sd.defocus_map(x), 2, 0),
        (lambda x, s: sd.magnify(x, s), 1, 1),
        (lambda x, s: sd.sharpen(x, s), 1, 1),
        (lambda x, s: sd.DefocusMagnifier().transform([x]), 2, 1),
        (lambda x, s: sd.AdaptiveSharpener().transform([x]), 2, 1),
        (lambda x, s: sd.DefocusFeatures().transform([x]), 2, 2),
        (lambda x, s: sd.FocusMeasure().transform([x]), 1, 0),
        (lambda x, s: sd.EdgeReblurEstimator().transform([x]), 1, 0),
    ],
)
def test_nothing_is_checked_again_on_its_way(checks, call, photographs, maps):
    image, sigma = np.random.default_rng(0).random((2, 64, 64))
    call(image, 2 * sigma)
    assert checks["check_photograph"] <= photographs
    assert checks["check_map"] <= maps


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_keep_every_value_apart_and_the_ends_exact(dtype):
    x = np.arange(np.iinfo(dtype).max + 1, dtype=dtype).reshape(-1, 256)
    y = check_image(x).ravel()
    assert (y[0], y[-1]) == (0, 1)
    assert (np.diff(y) > 0).all()


@given(images)
def test_gray_is_luma_and_within_the_colors(x):
    image = check_image(x)
    gray = to_gray(image)
    assert gray.dtype == np.float32
    assert gray.shape == image.shape[:2]
    if image.ndim == 2:
        assert gray is image
    else:
        assert_allclose(gray, image.astype(np.float64) @ [0.299, 0.587, 0.114], atol=3e-7)
        assert (gray >= image.min(-1) - 2e-7).all()
        assert (gray <= image.max(-1) + 2e-7).all()


def test_luma_weights_sum_to_one():
    assert LUMA.dtype == np.float32
    assert LUMA.sum() == pytest.approx(1, abs=1e-7)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.zeros(3), ValueError, r"im must have shape .* got \(3,\)"),
        ([[0.0, 1.0], [0.5]], ValueError, "im must be an array .* rows of different lengths"),
        ([[[0, 0, 0]], [[0, 0]]], ValueError, "im must be an array .* rows of different lengths"),
        ([[1, 2], "ab"], ValueError, "im must be an array .* rows of different lengths"),
        (np.zeros((3, 3, 5)), ValueError, "1, 3 or 4 channels"),
        (np.zeros((3, 0)), ValueError, r"im must hold at least one pixel, got shape \(3, 0\)"),
        (0.5, ValueError, r"im must have shape .* got \(\)"),
        (np.zeros((3, 3), int), TypeError, "im must be bool, uint8, uint16 or float, got"),
        (np.zeros((3, 3), np.uint32), TypeError, "got dtype uint32"),
        (np.zeros((3, 3), object), TypeError, "got dtype object"),
        (np.zeros((3, 3), complex), TypeError, "got dtype complex"),
        (np.array([[0, np.nan]]), ValueError, "im must be finite"),
        (np.array([[0, -np.inf]]), ValueError, "im must be finite"),
        (np.array([[0, 1.01]]), ValueError, r"im must be within \[0, 1\] if float, .*1.01\]"),
        (np.array([[-0.01, 1]]), ValueError, r"spans \[-0.01, 1\]; divide by"),
    ],
)
def test_invalid_images(x, error, message):
    with pytest.raises(error, match=message):
        check_image(x, "im")


def test_pictures_of_pillow(tmp_path):
    for mode in ("1", "L", "F", "I;16", "I;16B", "RGB", "RGBA", "RGBX"):
        image = Image.new(mode, (6, 5))
        assert_array_equal(check_image(image), check_image(np.asarray(image)))
    for mode in ("P", "PA", "LA", "La", "CMYK", "YCbCr", "LAB", "HSV"):
        with pytest.raises(ValueError, match=f"im must be gray .* mode '{mode}'; convert it first"):
            check_image(Image.new(mode, (6, 5)), "im")
    mapped = np.memmap(tmp_path / "x", np.uint8, "w+", shape=(5, 6))
    assert mapped.mode == "w+"  # the mode of the file
    assert check_photograph(mapped).shape == (5, 6)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f2", "f4", "f8"])
def test_either_byte_order(dtype):
    values = np.linspace(0, 1, 60).reshape(3, 5, 4)
    native = (values * (np.iinfo(dtype).max if "u" in dtype else 1)).astype(dtype)
    for order in "<>":
        given = native.astype(np.dtype(dtype).newbyteorder(order))
        before = given.tobytes()
        found = check_image(given)
        assert found.dtype == np.float32
        assert found.dtype.isnative
        assert_array_equal(found, check_image(native))
        assert given.tobytes() == before
        photograph = check_photograph(given)
        assert photograph.dtype == native.dtype
        assert photograph.dtype.isnative


def test_objects_that_fail_to_convert():
    class Broken:
        def __array__(self, dtype=None, copy=None):
            raise ValueError("no pixels today")

    with pytest.raises(ValueError, match=r"im must be an array .*Broken: no pixels today"):
        check_image(Broken(), "im")


def test_maps():
    values = np.arange(6, dtype=">i2").reshape(2, 3).T
    found = check_map(values)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    assert_array_equal(found, values)
    kept = np.ones((2, 3), np.float32)
    assert check_map(kept) is kept
    assert check_map([[1e300]])[0, 0] == np.inf


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ([[1, 2], [3]], ValueError, "level must be an array .* rows of different lengths"),
        (np.zeros((2, 2, 1)), ValueError, r"level must have shape \(H, W\), got \(2, 2, 1\)"),
        (np.zeros((0, 2)), ValueError, r"level must have shape \(H, W\)"),
        ([["a"]], TypeError, "level must hold real numbers"),
        ([[True]], TypeError, "level must hold real numbers, got dtype bool"),
        ([[1j]], TypeError, "level must hold real numbers"),
    ],
)
def test_invalid_maps(x, error, message):
    with pytest.raises(error, match=message):
        check_map(x, "level")


def test_nan_in_a_dropped_alpha_does_no_harm():
    rgba = np.full((4, 4, 4), 0.5)
    rgba[..., 3] = np.nan
    assert_array_equal(check_image(rgba), np.full((4, 4, 3), np.float32(0.5)))


def test_batches():
    x = np.zeros((5, 6, 7))
    samples, stacked = check_images(x)
    assert stacked
    assert len(samples) == 5
    assert all(np.shares_memory(s, x) for s in samples)
    for batch in ([x[0], x[1]], (x[0], x[1])):
        samples, stacked = check_images(batch)
        assert not stacked
        assert isinstance(samples, list)
        assert [s is b for s, b in zip(samples, batch, strict=True)] == [True, True]


@pytest.mark.parametrize(
    "shape", [(5, 6, 7), (5, 6, 7, 3), (5, 6, 7, 1), (1, 1, 1), (4, 40, 3), (4, 9, 1)]
)
def test_shapes_that_are_batches(shape):
    samples, stacked = check_images(np.zeros(shape))
    assert stacked
    assert [s.shape for s in samples] == [shape[1:]] * shape[0]


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.zeros((6, 7)), ValueError, r"Y must be a batch .* shape \(6, 7\); pass \[image\]$"),
        (np.zeros((6, 7, 3)), ValueError, "Y must be a batch"),
        (np.zeros((6, 7, 4)), ValueError, r"\[image\], or list\(Y\) if these are 6 images$"),
        (np.zeros((6, 7, 1)), ValueError, r"Y must be a batch .* one image of shape \(6, 7, 1\)"),
        (np.array(None), ValueError, r"Y must have shape .* got \(\)"),
        (np.zeros(6), ValueError, "Y must have shape"),
        (np.zeros((1, 2, 3, 4, 5)), ValueError, "Y must have shape"),
        (np.zeros((0, 6, 7)), ValueError, "Y is empty"),
        (np.empty(0, object), ValueError, "Y is empty"),
        ([], ValueError, "Y is empty; at least one image is needed"),
        ((), ValueError, "Y is empty"),
        ("a.png", TypeError, r"Y .* read it first: \[skdefocus.io.read_image\('a.png'\)\]"),
        (b"abc", TypeError, r"read_image\(b'abc'\)"),
        (Path("a.png"), TypeError, r"read_image\('a.png'\)"),
        (7, TypeError, "got int"),
        ({1, 2}, TypeError, "got set"),
        ((x for x in [np.zeros((6, 7))]), TypeError, "got generator"),
    ],
)
def test_invalid_batches(X, error, message):
    with pytest.raises(error, match=message):
        check_images(X, "Y")


@pytest.mark.parametrize("path", ["photo.jpg", Path("photo.jpg")])
def test_the_name_of_a_file_is_no_array(path):
    """Everywhere it is said what to call."""
    plain = np.zeros((40, 40))
    for call, name, reader in (
        (lambda: sd.defocus_map(path), "image", "read_image"),
        (lambda: sd.make_defocus_pipeline().transform([path]), r"X\[0\]", "read_image"),
        (lambda: sd.FocusFuser().fuse([path, path]), r"\[0\]", "read_image"),
        (lambda: sd.DefocusMagnifier().transform([path]), r"X\[0\]", "read_image"),
        (lambda: sd.effects.sharpen(plain, path), "sigma", "read_map"),
        (lambda: sd.metrics.psnr(path, plain), "image", "read_image"),
    ):
        with pytest.raises(TypeError, match=rf"{name} .*skdefocus.io.{reader}\('photo.jpg'\)"):
            call()
