"""Scores of fused photographs, by hand and against naive code."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage import data

from skdefocus import metrics

RNG = np.random.default_rng(0)
FULL = 1 / (1 + np.exp(-5))  # either sigmoid of gradient_preservation at full agreement
Q_METRICS = [
    metrics.gradient_preservation,
    metrics.source_mutual_information,
    metrics.contrast_preservation,
    metrics.source_ssim,
]
GRAY = np.zeros((12, 12))

gray_images = hnp.arrays(np.uint8, (9, 11), elements=st.integers(0, 255))


@pytest.fixture(scope="module")
def pair():
    """A sharp photograph and two half-blurred versions of it."""
    sharp = data.camera()[100:228, 160:288]
    soft = ndimage.gaussian_filter(sharp, 3)
    left, right = sharp.copy(), sharp.copy()
    left[:, 64:] = soft[:, 64:]
    right[:, :64] = soft[:, :64]
    return sharp, [left, right]


@pytest.mark.parametrize("measure", Q_METRICS)
def test_sharp_fusion_scores_above_average_and_sources(measure, pair):
    sharp, sources = pair
    mean = ((sources[0].astype(int) + sources[1]) // 2).astype(np.uint8)
    best = measure(sharp, sources)
    assert best > measure(mean, sources)
    assert best > measure(ndimage.gaussian_filter(sharp, 2), sources)


@pytest.mark.parametrize(
    ("measure", "top"),
    [
        (metrics.gradient_preservation, FULL**2),
        (metrics.source_mutual_information, 3),
        (metrics.contrast_preservation, 1),
        (metrics.source_ssim, 1),
    ],
)
def test_copies_reach_the_documented_maximum(measure, top, pair):
    sharp, _ = pair
    assert measure(sharp, [sharp] * 3) == pytest.approx(top, abs=1e-12)


@pytest.mark.parametrize("measure", Q_METRICS)
@given(images=st.tuples(gray_images, gray_images, gray_images, gray_images))
def test_range_order_of_sources_and_input_type(measure, images):
    fused, *sources = images
    value = measure(fused, sources)
    low = -1 if measure is metrics.source_ssim else 0
    assert low <= value <= (3 if measure is metrics.source_mutual_information else 1)
    assert measure(fused, sources[::-1]) == pytest.approx(value, abs=1e-12)
    assert measure(fused / 255, [s.astype(np.uint16) * 257 for s in sources]) == value
    gray_as_rgb = [np.repeat(s[..., None], 3, axis=2) for s in sources]
    assert measure(fused, gray_as_rgb) == value


def test_q_g_of_a_point_at_half_contrast_by_hand():
    # The Sobel strength of one bright pixel is 0 there and outside its 8 neighbors. At half
    # contrast G = 1/2 and A = 1 on those 8, and nothing is lost on the 41 others.
    source, fused = np.zeros((7, 7), np.uint8), np.zeros((7, 7), np.uint8)
    source[3, 3], fused[3, 3] = 200, 100
    expected = (8 * 0.5 * FULL + 41 * FULL**2) / 49
    assert metrics.gradient_preservation(fused, [source, source]) == pytest.approx(expected)
    sums = metrics.gradient_preservation(fused, [source, source], reduction="ratio_of_sums")
    assert sums == pytest.approx(0.5 * FULL)


def test_q_g_sees_orientation_as_a_line_without_sign():
    ramp = np.tile(np.arange(0, 240, 4, dtype=np.uint8), (60, 1))
    negative = 255 - ramp
    inside = (slice(1, -1), slice(1, -1))

    def strength_weighted(fused):  # in a black border, so that only the inside of the ramp differs
        return metrics.gradient_preservation(
            np.pad(fused[inside], 9), [np.pad(ramp[inside], 9)] * 2
        )

    assert strength_weighted(ramp.T) < 0.4 < 0.9 < strength_weighted(ramp)
    assert strength_weighted(negative) > strength_weighted(ramp.T) + 0.4


def naive_q_g(fused, sources, reduction):
    def gradient(image, y, x):
        window = np.pad(image.astype(float), 1)[y : y + 3, x : x + 3]
        kernel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
        gx, gy = (window * kernel).sum(), (window * kernel.T).sum()
        angle = np.pi / 2 if gx == 0 and gy != 0 else np.arctan(gy / gx) if gx else 0.0
        return np.hypot(gx, gy), angle

    ratios, top, bottom = [], 0.0, 0.0
    for y, x in np.ndindex(fused.shape):
        g_f, a_f = gradient(fused, y, x)
        values = []
        for source in sources:
            g, a = gradient(source, y, x)
            strength = 1.0 if g == g_f else min(g, g_f) / max(g, g_f)
            orientation = abs(abs(a - a_f) - np.pi / 2) / (np.pi / 2)
            quality = 1 / (1 + np.exp(-10 * (strength - 0.5)))
            values.append((g, quality / (1 + np.exp(-20 * (orientation - 0.75)))))
        weight, weighted = sum(g for g, _ in values), sum(g * q for g, q in values)
        ratios.append(weighted / weight if weight else np.mean([q for _, q in values]))
        top, bottom = top + weighted, bottom + weight
    return np.mean(ratios) if reduction == "mean_of_ratios" else top / bottom


@pytest.mark.parametrize("reduction", ["mean_of_ratios", "ratio_of_sums"])
def test_q_g_agrees_with_a_double_loop(reduction):
    fused, *sources = RNG.integers(0, 4, (4, 8, 9)).astype(np.uint8)  # few levels: flat spots too
    value = metrics.gradient_preservation(fused, sources, reduction=reduction)
    assert value == pytest.approx(naive_q_g(fused, sources, reduction), abs=1e-12)


def test_q_mi_by_hand():
    fused = np.array([[0, 0, 255, 255]], np.uint8)  # entropy 1 bit
    finer = np.array([[0, 90, 180, 255]], np.uint8)  # 2 bits, holds all of fused: 2 · 1 / (1 + 2)
    unrelated = np.array([[0, 255, 0, 255]], np.uint8)  # shares nothing
    constant = np.full((1, 4), 7, np.uint8)
    assert metrics.source_mutual_information(fused, [finer, unrelated]) == pytest.approx(2 / 3)
    assert metrics.source_mutual_information(fused, [fused, constant]) == pytest.approx(1)
    assert metrics.source_mutual_information(constant, [constant, constant]) == 0


def dense_masked_contrast(levels):
    """Contrast of contrast_preservation by explicit matrices instead of transforms and filters."""
    h, w = levels.shape
    image = np.rint((levels - levels.min()) / np.ptp(levels) * 255)

    def dft(n):
        return np.exp(-2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n)

    def per_picture(n):
        return (np.arange(n) + n // 2) % n - n // 2

    r = np.hypot(*np.meshgrid(per_picture(h) / 15, per_picture(w) / 15, indexing="ij"))
    csf = np.exp(-((r / 15.387) ** 2)) - 0.7622 * np.exp(-((r / 1.3456) ** 2))
    spectrum = dft(h) @ image @ dft(w) * csf
    visible = (dft(h).conj() @ spectrum @ dft(w).conj()).real / (h * w)

    def gauss(n, s):
        reach = np.arange(-4 * s, 4 * s + 1)
        distance = np.subtract.outer(np.arange(n), np.arange(n))
        kernel = np.exp(-(distance**2) / (2 * s**2)) * (abs(distance) <= 4 * s)
        return kernel / np.exp(-(reach**2) / (2 * s**2)).sum()

    fine, coarse = (gauss(h, s) @ visible @ gauss(w, s) for s in (2, 4))
    contrast = np.abs(fine / coarse - 1)
    return contrast**3 / (contrast**2 + 1e-4)


def test_q_cb_agrees_with_explicit_matrices():
    fused, a, b = RNG.integers(0, 256, (3, 19, 24)).astype(np.uint8)
    f, ca, cb = (dense_masked_contrast(image) for image in (fused, a, b))
    kept = [np.minimum(c, f) / np.maximum(c, f) for c in (ca, cb)]
    expected = np.mean((ca**2 * kept[0] + cb**2 * kept[1]) / (ca**2 + cb**2))
    assert metrics.contrast_preservation(fused, [a, b]) == pytest.approx(expected, abs=1e-9)


def test_q_cb_is_blind_to_overall_contrast_and_sees_loss(pair):
    sharp, (left, right) = pair
    weak = sharp // 4
    weak_pair = [left // 4, right // 4]
    stretched = metrics.contrast_preservation(3 * weak + 5, [3 * image for image in weak_pair])
    assert metrics.contrast_preservation(weak, weak_pair) == pytest.approx(stretched, abs=1e-9)
    flat = np.full_like(sharp, 90)
    assert metrics.contrast_preservation(flat, [left, right]) < 0.01
    assert metrics.contrast_preservation(left, [left, flat]) == pytest.approx(1)


def window_ssim(a, b):
    a, b = a.astype(float), b.astype(float)
    covariance = np.mean((a - a.mean()) * (b - b.mean()))
    light = 2 * a.mean() * b.mean() / (a.mean() ** 2 + b.mean() ** 2)
    return light * 2 * covariance / (a.var() + b.var())


def test_q_y_of_one_window_by_hand():
    a, b, fused = RNG.integers(0, 256, (3, 7, 7)).astype(np.uint8)
    assert window_ssim(a, b) < 0.75  # unlike: the better of the two counts
    expected = max(window_ssim(a, fused), window_ssim(b, fused))
    assert metrics.source_ssim(fused, [a, b]) == pytest.approx(expected)
    close = (0.7 * a).astype(np.uint8)
    assert window_ssim(a, close) > 0.75
    share = a.var() / (a.var() + close.var())  # alike: weighted by variance
    expected = share * window_ssim(a, fused) + (1 - share) * window_ssim(close, fused)
    assert metrics.source_ssim(fused, [a, close]) == pytest.approx(expected)
    expected = max(window_ssim(image, fused) for image in (a, close, b))  # one odd source of 3
    assert metrics.source_ssim(fused, [a, close, b]) == pytest.approx(expected)


def test_q_y_of_flat_images_is_defined():
    flat = np.full((9, 9), 60, np.uint8)
    assert metrics.source_ssim(flat, [flat, flat]) == 1
    other = np.full((9, 9), 30, np.uint8)  # light 2·2/(1+4), structure 1
    assert metrics.source_ssim(flat, [other, other]) == pytest.approx(0.8)


def test_color_becomes_gray_by_luma():
    color = np.zeros((12, 12, 3), np.uint8)
    color[4:8, 4:8] = [255, 0, 0]
    gray = np.zeros((12, 12), np.uint8)
    gray[4:8, 4:8] = 76  # .299 · 255 = 76.2
    assert metrics.source_ssim(color, [gray, gray]) == 1


def test_reference_measures(pair):
    sharp, (left, _) = pair
    assert metrics.psnr(sharp, sharp) == np.inf
    assert metrics.psnr(np.zeros((3, 3), bool), np.ones((3, 3))) == 0
    assert metrics.psnr(np.full((2, 2), 51, np.uint8), np.full((2, 2, 1), 0.3)) == pytest.approx(20)
    assert metrics.ssim(sharp, sharp) == pytest.approx(1)
    assert metrics.ssim(left, sharp) == metrics.ssim(np.dstack([left] * 3), np.dstack([sharp] * 3))
    # Constants: structure 1, light (2ab + C) / (a² + b² + C) with C = .01².
    a, b = np.full((12, 12), 0.25), np.full((12, 12), 0.5)
    assert metrics.ssim(a, b) == pytest.approx((0.25 + 1e-4) / (0.3125 + 1e-4), abs=1e-5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: metrics.gradient_preservation(GRAY, [GRAY]),
            ValueError,
            "sources must hold at least 2",
        ),
        (
            lambda: metrics.source_mutual_information(GRAY, [GRAY, GRAY[1:]]),
            ValueError,
            r"sources\[1\] must have the",
        ),
        (
            lambda: metrics.contrast_preservation(GRAY, [GRAY, GRAY + 2]),
            ValueError,
            r"sources\[1\] must be within",
        ),
        (
            lambda: metrics.contrast_preservation(GRAY.astype(int), [GRAY] * 2),
            TypeError,
            "fused must be bool",
        ),
        (
            lambda: metrics.source_ssim(GRAY[:6], [GRAY[:6]] * 2),
            ValueError,
            "fused must be at least 7×7",
        ),
        (
            lambda: metrics.gradient_preservation(GRAY, [GRAY] * 2, reduction="mean"),
            ValueError,
            "reduction",
        ),
        (lambda: metrics.psnr(GRAY, GRAY[1:]), ValueError, "image must have the shape"),
        (lambda: metrics.ssim(GRAY[:9], GRAY[:9]), ValueError, "image must be at least 11×11"),
    ],
)
def test_wrong_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_inputs_may_be_read_only_and_stay_as_they_are():
    gray = RNG.random((16, 16))
    copy = gray.copy()
    gray.setflags(write=False)
    for measure in Q_METRICS:
        measure(gray, [gray, gray])
    metrics.psnr(gray, gray)
    metrics.ssim(gray, gray)
    np.testing.assert_array_equal(gray, copy)
