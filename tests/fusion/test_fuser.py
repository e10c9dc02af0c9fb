"""Fusing stacks: the mathematics, the options, and that the right frame wins."""

import tracemalloc
from functools import partial

import numpy as np
import pytest
from helpers.stack_cases import BRICK, GRASS, GRAVEL, LEFT, PLAIN, frames, halves
from hypothesis import example, given, settings
from hypothesis import strategies as st
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage
from threadpoolctl import threadpool_info, threadpool_limits

import skdefocus as sd
from skdefocus import network
from skdefocus.datasets import sample_photographs
from skdefocus.filters import box_mean
from skdefocus.fusion import _comparison as comparison
from skdefocus.synthesis import Layer, add_noise, blur, render_layers

# --- mathematics -------------------------------------------------------------------------------


@settings(max_examples=15)
@given(st.integers(2, 5), st.integers(0, 100))
def test_equal_frames_give_the_frame(count, seed):
    frame = frames(1, seed)[0]
    assert_allclose(PLAIN.fit_transform([[frame] * count])[0], frame, atol=1e-6)


@settings(max_examples=15)
@given(st.permutations(range(4)), st.integers(0, 100))
@example([0, 1, 3, 2], 15)  # one frame has no pixels
def test_order_changes_the_index_only(order, seed):
    stack = frames(4, seed)
    one = PLAIN.fuse(stack)
    other = PLAIN.fuse([stack[k] for k in order])
    assert_allclose(other.image, one.image, atol=1e-6)
    assert_array_equal(np.array(order)[other.index], one.index)
    assert_allclose(other.confidence, one.confidence, atol=1e-6)


@settings(max_examples=15)
@given(st.integers(2, 5), st.integers(0, 100), st.sampled_from([0.0, 0.6, 3.0]))
def test_values_stay_between_the_frames(count, seed, feather):
    """But for fine detail, which is added to the mean of what may be another frame."""
    stack = np.stack(frames(count, seed)).astype(np.float32)
    fused = sd.FocusFuser(sigma_weight=0, feather=feather).transform([stack])[0]
    low, high = stack.min(axis=0), stack.max(axis=0)
    if feather > 0:
        fine = stack - [box_mean(box_mean(frame, 1), 1) for frame in stack]
        low = np.minimum(low, ndimage.minimum_filter(low, 5) + fine.min(axis=0) - 1e-6)
        high = np.maximum(high, ndimage.maximum_filter(high, 5) + fine.max(axis=0) + 1e-6)
    assert np.all(fused >= np.maximum(low, 0))
    assert np.all(fused <= np.minimum(high, 1))


def test_flips_commute():
    stack = halves()
    one = PLAIN.transform([stack])[0]
    other = PLAIN.transform([[f[::-1, ::-1] for f in stack]])[0]
    assert_allclose(other[::-1, ::-1], one, atol=1e-4)


# --- the right frame wins ----------------------------------------------------------------------


@pytest.mark.parametrize("fuser", [sd.FocusFuser(), PLAIN], ids=["maps", "no maps"])
@pytest.mark.parametrize("sharp", [BRICK, GRAVEL, GRASS], ids=["brick", "gravel", "grass"])
def test_two_halves(fuser, sharp):
    result = fuser.fuse(halves(sharp))
    assert np.mean(result.index == np.where(LEFT, 0, 1)) > 0.97
    assert sd.metrics.psnr(result.image, sharp) > 38
    away = np.abs(np.arange(96) - 47.5) > 8
    assert result.confidence[:, away].mean() > 0.5


def test_maps_of_large_frames_in_color():
    """They are made at half the size, odd or not."""
    sharp = sample_photographs(151)[1]
    left = np.arange(151) < 75
    stack = [np.where(left == k, sharp, blur(sharp, 2.5)) for k in (True, False)]
    color = [np.stack([f, f, f], axis=-1) for f in stack]
    fused = sd.FocusFuser(sigma_weight=1).transform([color])[0]
    assert sd.metrics.psnr(fused[..., 0], sharp) > 38


def test_without_feather_every_pixel_is_from_one_frame():
    stack = halves()
    hard = sd.FocusFuser(sigma_weight=0, feather=0).fuse(stack)
    assert_array_equal(hard.image, np.choose(hard.index, np.float32(stack)))
    mixed = PLAIN.fuse(stack)
    assert_array_equal(mixed.index, hard.index)
    assert np.abs(mixed.image - hard.image).max() > 0


def test_noise_does_not_win():
    stack = [add_noise(f, 0.01, random_state=i) for i, f in enumerate(halves())]
    result = sd.FocusFuser(noise=0.01).fuse(stack)
    assert np.mean(result.index == np.where(LEFT, 0, 1)) > 0.95


def test_a_foreground_keeps_its_outline_without_halo():
    y, x = np.mgrid[:96, :96] - 48.0
    alpha = np.clip(28.5 - np.hypot(x, y), 0, 1)
    stack = [
        render_layers([Layer(0.5 * GRAVEL, s), Layer(0.5 + 0.5 * GRASS, 4 - s, alpha)])
        for s in (0.0, 4.0)
    ]
    fused = PLAIN.transform([[s.photograph for s in stack]])[0]
    error = np.abs(fused - stack[0].sharp)
    worse = [np.abs(s.photograph - s.sharp).mean() for s in stack]
    assert error.mean() < 0.3 * min(worse)
    inside = np.hypot(x, y) < 26
    assert error[inside].mean() < 0.004


def test_depth_follows_the_order_of_focus():
    """Frames that are in focus along stripes from left to right."""
    stripes = np.arange(96) * 4 // 96
    stack = [np.where(stripes == k, GRAVEL, blur(GRAVEL, 1.0 + abs(k - 1.5))) for k in range(4)]
    depth = PLAIN.fuse(stack).depth
    assert depth.dtype == np.float32
    assert np.all(np.diff([depth[:, stripes == k].mean() for k in range(4)]) > 0.6)


def test_frames_are_judged_near_the_pixels_that_they_won(monkeypatch):
    """Far from all of them, the lead in detail stands, and it is as sure as before."""
    sharp = sample_photographs(384)[1][:96]
    left = np.arange(384) < 192
    stack = [np.where(left == k, sharp, blur(sharp, 2.5)) for k in (True, False)]
    seen, scores = [], comparison.scores

    def noted(view, composite, trials, where):
        seen.append(where)
        return scores(view, composite, trials, where)

    monkeypatch.setattr(comparison, "scores", noted)
    hard = sd.FocusFuser(sigma_weight=0, feather=0)
    result = hard.fuse(stack)
    assert len(seen) == 2
    for where in seen:
        assert where[:, 180:204].all()
        assert not where[:, :64].any()
        assert not where[:, 320:].any()
    monkeypatch.setattr("skdefocus.fusion._decision.NEAR", 99)
    everywhere = hard.fuse(stack)
    assert seen[-1].all()
    assert np.mean(result.index == everywhere.index) > 0.995
    assert np.median(result.confidence[:, :64]) < 1


@pytest.mark.parametrize("noise", [0, 5e-4])
@pytest.mark.parametrize("order", ["ABA", "BBA", "AABB", "ABBB"])
def test_frames_that_were_taken_twice(order, noise):
    """Neither of two equal frames leads over the other, but they do over the others."""
    rng = np.random.default_rng(0)
    sharp = BRICK
    pair = dict(zip("AB", halves(sharp, 3.0), strict=True))
    stack = [np.clip(pair[k] + noise * rng.normal(size=sharp.shape), 0, 1) for k in order]
    assert sd.metrics.psnr(sd.FocusFuser(sigma_weight=0).fuse(stack).image, sharp) > 40


def test_flat_places_do_not_matter():
    flat = np.full((40, 40), 0.5)
    result = PLAIN.fuse([flat, flat.copy()])
    assert_allclose(result.image, 0.5, atol=1e-6)
    assert_allclose(result.confidence, 0, atol=1e-6)


def test_blas_has_one_thread_meanwhile():
    """For matrices as small as those of fusion, a second one costs time."""
    seen = []

    def frame(sigma):
        seen.extend(i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas")
        return blur(GRASS, sigma)

    with threadpool_limits(2, user_api="blas"):
        PLAIN.fuse([partial(frame, 0.5), partial(frame, 2.0)])
    assert set(seen) == {1}


def test_flat_places_beside_strong_edges_are_not_taken_from_defocused_frames():
    """Far from its outline a clipped area is as flat as the blurred frame, but differs from it."""
    bars = np.where(np.arange(160) // 40 % 2, 1.0, 0.0) * np.ones((160, 1))
    rng = np.random.default_rng(0)
    stack = [np.clip(blur(bars, s) + rng.normal(0, 2e-3, bars.shape), 0, 1) for s in (0, 6, 14)]
    fused = PLAIN.transform([stack])[0]
    assert np.abs(fused - bars).max() < 0.05


def test_a_darker_frame_out_of_focus_does_not_win_flat_places():
    """Blurred a lot it would explain the sharp one, if exposures were exactly the same."""
    y, x = np.mgrid[:160, :160]
    scene = 0.2 + 0.6 * ((np.abs(y - 80) < 12) & (np.abs(x - 80) < 40))
    scene = np.clip(scene + 0.02 * GRASS[y % 96, x % 96] * (x < 20), 0, 1)
    stack = [scene, 0.85 * blur(scene, 10.0), 0.85 * blur(scene, 14.0)]
    rng = np.random.default_rng(0)
    stack = [np.clip(f + rng.normal(0, 2e-3, f.shape), 0, 1) for f in stack]
    assert np.mean(PLAIN.fuse(stack).index == 0) > 0.97


def test_borders_that_no_other_frame_reaches():
    """A frame that was shifted a lot has nothing to say outside of it, whatever the specks."""
    whole = sample_photographs(128)[1]
    moved = ndimage.shift(blur(whole, 2.0), (17, -13), order=1, mode="nearest")
    fuser = sd.FocusFuser(sigma_weight=0, align="translation", min_area=3000)
    result = fuser.fuse([blur(whole, 0.7), np.clip(moved, 0, 1)])
    assert np.all(np.isfinite(result.image))
    assert np.all((result.image >= 0) & (result.image <= 1))
    # What the second frame shows is the first one's upper right part but for some 17 and 13 pixels.
    rows, columns = result.inner
    assert (rows.start, columns.stop) == (0, 128)
    assert rows.stop == pytest.approx(128 - 17, abs=2)
    assert columns.start == pytest.approx(13, abs=2)
    assert result.reached[result.inner].all()


def test_without_alignment_every_frame_reaches_everything():
    result = PLAIN.fuse(halves())
    assert result.reached.all()
    assert result.image[result.inner].shape == result.image.shape


@given(st.lists(st.tuples(st.floats(0, 6.3), st.floats(-2, 8)), max_size=4))
def test_the_inner_rectangle_is_one_that_all_frames_reach(borders):
    """Each frame's outline is straight, so that what all reach has no holes or dents."""
    y, x = np.indices((9, 12)) - np.array([4, 5.5])[:, None, None]
    reached = np.ones((9, 12), bool)
    for angle, distance in borders:
        reached &= np.cos(angle) * y + np.sin(angle) * x < distance
    nothing = np.zeros((9, 12), np.float32)
    result = sd.FusionResult(nothing, nothing.astype(int), nothing, nothing, reached)
    assert reached[result.inner].all()
    if min((distance for _, distance in borders), default=8) > 1:  # the middle is reached
        assert reached[result.inner].size > 0


# --- options -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [(3, -2), (-1.5, 0.5)])
def test_alignment_recovers_a_shift(shift):
    whole = sample_photographs(128)[1]
    soft = blur(whole, 2.5)
    half = np.arange(128) < 64
    first, second = np.where(half, whole, soft), np.where(half, soft, whole)
    moved = np.clip(ndimage.shift(second, shift, order=3, mode="nearest"), 0, 1)
    inner = slice(8, -8), slice(8, -8)
    kinds = ("none", "translation", "affine")
    aligned = {
        kind: sd.FocusFuser(sigma_weight=0, align=kind).transform([[first, moved]])[0]
        for kind in kinds
    }
    quality = {k: sd.metrics.psnr(v[inner], whole[inner]) for k, v in aligned.items()}
    assert quality["translation"] > quality["none"] + 4
    assert quality["affine"] > quality["none"] + 4


@pytest.mark.parametrize("align", ["translation", "affine"])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2), (2, 9), (3, 200), (20, 3)])
def test_alignment_of_small_frames(align, size):
    """Below three pixels there is nothing to go by, and no motion leads out of the frame."""
    rng = np.random.default_rng(0)
    fuser = sd.FocusFuser(sigma_weight=0, align=align)
    for _ in range(9):
        result = fuser.fuse(rng.random((2, *size)))
        assert result.reached.any()
        if min(size) < 3:
            assert result.reached.all()


def test_alignment_of_even_frames():
    result = sd.FocusFuser(sigma_weight=0, align="affine").fuse([np.zeros((40, 50))] * 2)
    assert result.reached.all()
    assert_array_equal(result.image, 0)


def test_exposures_are_matched():
    one, two = halves()
    stack = [one, np.clip(two * 0.8, 0, 1)]
    plain = sd.FocusFuser(sigma_weight=0, match_exposure=False).transform([stack])[0]
    matched = PLAIN.transform([stack])[0]
    assert sd.metrics.psnr(matched, GRAVEL) > sd.metrics.psnr(plain, GRAVEL) + 6


def test_a_slab_ignores_the_others():
    stack = [*halves(), np.ones_like(GRAVEL)]
    slab = sd.FocusFuser(sigma_weight=0, slab=(0, 2))
    assert_array_equal(slab.transform([stack])[0], PLAIN.transform([stack[:2]])[0])
    with pytest.raises(ValueError, match="slab must end within"):
        sd.FocusFuser(slab=(0, 4)).transform([stack])


def test_preferred_frames_are_taken():
    stack, mask = halves(), np.zeros((96, 96))
    mask[30:50, 60:64] = 1
    result = PLAIN.fuse(stack, prefer={0: mask})
    assert np.all(result.index[mask > 0] == 0)
    assert np.all(result.confidence[mask > 0] == 1)
    assert_array_equal(result.image[mask > 0], np.float32(stack[0])[mask > 0])
    assert_array_equal(result.image[:, :20], PLAIN.fuse(stack).image[:, :20])
    with pytest.raises(ValueError, match="prefer must hold positions of frames that are fused"):
        PLAIN.fuse(stack, prefer={2: mask})
    with pytest.raises(ValueError, match=r"prefer\[1\] must be bool or float of shape"):
        PLAIN.fuse(stack, prefer={1: mask[:9]})


def test_frames_that_are_read_when_needed_are_held_one_at_a_time(monkeypatch):
    monkeypatch.setattr("skdefocus.fusion._frames.KEPT_PIXELS", 0)
    stack, held, most = halves(), [], []

    def reader(frame):
        def read():
            import weakref

            copy = np.array(frame, np.float32)
            held.append(weakref.ref(copy))
            most.append(sum(ref() is not None for ref in held))
            return copy

        return read

    found = PLAIN.transform([[reader(f) for f in stack * 4]])[0]
    assert_array_equal(found, PLAIN.transform([stack * 4])[0])
    assert max(most) <= 3


@pytest.mark.parametrize("align", ["none", "affine"])
def test_memory(align, monkeypatch):
    """In bytes per pixel, as documented for large frames, and the same for any number of them."""
    monkeypatch.setattr("skdefocus.fusion._comparison.LARGEST_KEPT", 0)
    monkeypatch.setattr("skdefocus.fusion._frames.KEPT_PIXELS", 0)
    sharp = np.stack([np.tile(sample_photographs(384)[1], (2, 2))] * 3, axis=-1)
    left = np.arange(768)[:, None] < 384
    pair = [np.where(left == k, sharp, blur(sharp, 2.5)) for k in (True, False)]
    pair = [np.round(f * 255).astype(np.uint8) for f in pair]
    fuser = sd.FocusFuser(sigma_weight=0, align=align)
    fuser.fuse(pair)  # leaves buffers behind that do not depend on the size
    peaks = []
    for times in (1, 4):
        tracemalloc.start()
        try:
            fuser.fuse(pair * times)
            peaks.append(tracemalloc.get_traced_memory()[1] / 768**2)
        finally:
            tracemalloc.stop()
    assert peaks[0] < 100
    assert peaks[1] < peaks[0] + 20  # threads may meet in other tiles; six gray frames have 24


def test_large_frames_give_the_memory_of_the_network_back(monkeypatch):
    stack, released = halves(BRICK, 3.0), []

    def noted(facts, n_threads):
        released.append(n_threads)
        release(facts, n_threads)

    release = network.release_memory
    monkeypatch.setattr(network, "release_memory", noted)
    expected = sd.FocusFuser().fuse(stack)
    assert not released
    monkeypatch.setattr("skdefocus.fusion._decision.LARGE", 0)
    found = sd.FocusFuser().fuse(stack)
    assert len(released) == 2
    assert_array_equal(found.image, expected.image)


def test_jobs_share_the_cores(monkeypatch):
    monkeypatch.setattr("skdefocus._estimators.cpu_count", lambda: 8)
    seen = []
    for stage in (sd.BlurLevelClassifier, sd.WeightedGuidedRefiner):

        def noted(self, X, transform=stage.transform):
            seen.append((type(self).__name__, self.n_jobs, getattr(self, "n_threads", None)))
            return transform(self, X)

        monkeypatch.setattr(stage, "transform", noted)
    small = [f[:40, 28:68] for f in halves()]
    for fuser, jobs in ((sd.FocusFuser(n_jobs=2), 2), (sd.FocusFuser(), 1)):
        seen.clear()
        with parallel_config(backend="threading"):
            fuser.transform([small, small])
        assert set(seen) == {
            ("BlurLevelClassifier", None, 8 // jobs),
            ("WeightedGuidedRefiner", jobs, None),
        }
