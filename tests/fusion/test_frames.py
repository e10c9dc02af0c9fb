"""Frames of a stack: what is transparent, exposed otherwise, or does not belong to it."""

import warnings

import numpy as np
import pytest
from helpers import stack_cases
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.datasets import load_sample_image

import skdefocus as sd
from skdefocus.fusion._exposure import matched
from skdefocus.synthesis import blur

CHINA = load_sample_image("china.jpg")[:192, :288] / 255
FLOWER = load_sample_image("flower.jpg")[:192, :288] / 255
LEFT = (np.arange(288) < 144)[None, :, None]
PLAIN = sd.FocusFuser(sigma_weight=0)


def stripes(count, sharp=CHINA, sigma=3.0):
    """Frames that are in focus along stripes from left to right."""
    soft = blur(sharp, sigma)
    stripe = (np.arange(288) * count // 288)[None, :, None]
    return [np.where(stripe == k, sharp, soft) for k in range(count)]


def as_dtype(image, dtype):
    if dtype.kind == "f":
        return image.astype(dtype)
    return np.round(image * np.iinfo(dtype).max).astype(dtype)


def quiet(fuser, stack):
    """Fuse, and fail if a frame is left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return fuser.fuse(stack)


# --- validity ----------------------------------------------------------------------------------


@settings(max_examples=8)
@given(
    st.integers(0, 3),
    st.integers(4, 40),
    st.sampled_from(["u1", "u2", "f4"]),
    st.floats(0, 1),
    st.booleans(),
)
def test_transparent_pixels_have_no_say(side, width, dtype, beneath, gray):
    one, two = stripes(2)
    clear = np.zeros((192, 288), bool)
    turned = np.rot90(clear, side)
    turned[:, :width] = True
    stack = []
    for frame, empty in ((one, np.zeros_like(clear)), (two, clear)):
        frame = np.where(empty[..., None], beneath, frame)
        frame = frame[..., 1:2] if gray else frame
        stack.append(as_dtype(np.dstack([frame, ~empty]), np.dtype(dtype)))
    result = quiet(PLAIN, stack)
    assert np.all(result.index[clear] == 0)
    truth = one[..., 1] if gray else one
    assert np.abs(result.image - truth)[clear].max() < 0.01
    assert np.all(result.alpha == 1)
    assert not result.reached[clear].any()


def test_what_no_frame_covers_is_transparent():
    one, two = (np.dstack([f, np.ones((192, 288))]) for f in stripes(2))
    one[:40, :, 3] = 0
    two[20:60, :, 3] = 0
    one[:40, :, :3] = np.nan  # beneath transparent pixels there may be anything
    result = quiet(PLAIN, [one, two])
    assert np.all(result.alpha[20:40] == 0)
    assert np.all(result.image[20:40] == 0)
    assert np.all(result.alpha[:20] == 1)
    assert np.all(result.alpha[40:] == 1)
    assert np.all(result.index[:20] == 1)
    assert np.all(result.index[40:60] == 0)


def test_the_most_opaque_frame_has_the_say():
    """Borders that fade out are mixed with black by many programs."""
    one, two = stripes(2)
    fade = np.clip((np.arange(288) - 10) / 40, 0, 1)[None, :, None] * np.ones((192, 1, 1))
    stack = [np.dstack([one, np.ones((192, 288))]), np.concatenate([two * fade, fade], axis=2)]
    result = quiet(PLAIN, stack)
    assert np.all(result.index[:, :49] == 0)
    assert np.all(result.alpha == 1)


def test_transparent_borders_do_not_move_a_frame():
    one, two = (np.dstack([f, np.ones((192, 288), np.float32)]) for f in stripes(2))
    two[:, -18:] = two[-12:] = 0
    still, aligned = (
        quiet(sd.FocusFuser(sigma_weight=0, align=align), [one, two])
        for align in ("none", "affine")
    )
    assert np.array_equal(still.image, aligned.image)


# --- exposure ----------------------------------------------------------------------------------


@settings(max_examples=8)
@given(
    st.sampled_from([2, 5]),
    st.lists(st.floats(0.7, 1.3), min_size=3, max_size=3),
    st.sampled_from(["u1", "u2", "f4"]),
)
def test_gains_are_undone(count, gains, dtype):
    sharp = 0.75 * FLOWER
    stack = stripes(count, sharp)
    change = [np.array(gains) ** (k / (count - 1)) for k in range(count)]
    stack = [
        as_dtype(np.clip(f * c, 0, 1), np.dtype(dtype)) for f, c in zip(stack, change, strict=True)
    ]
    matched = quiet(PLAIN, stack)
    plain = quiet(sd.FocusFuser(sigma_weight=0, match_exposure=False), stack)
    quality = [sd.metrics.psnr(r.image, sharp.astype(np.float32)) for r in (matched, plain)]
    assert quality[0] > quality[1] - 1
    for k, factors in matched.gains.items():
        # The channels of a flower are dark and blurred in places, so that errors of 5 % come up.
        assert np.abs(np.log(factors * change[k])).max() < 0.06
    if np.abs(np.log(gains)).max() > 0.15:
        assert count - 1 in matched.gains


def test_equal_exposures_are_left_alone():
    for count in (2, 5):
        assert quiet(PLAIN, stripes(count)).gains == {}


def test_the_light_of_defocused_lamps_is_no_exposure():
    """Discs that cover most of a frame make it brighter, but less of it is white."""
    lamps = np.zeros((192, 192))
    for y, x in np.ndindex(6, 6):
        lamps[32 * y + 15 : 32 * y + 18, 32 * x + 15 : 32 * x + 18] = 20
    background = 0.02 + 0.03 * blur(np.random.default_rng(0).random((192, 192)), 2.0)
    light = [background + lamps, background + blur(lamps, 8.0, shape="disc")]
    stack = [np.clip(x, 0, 1) ** (1 / 2.2) for x in light]
    result = quiet(PLAIN, stack)
    assert result.gains == {}
    assert sd.metrics.psnr(result.image, stack[0]) > 30


def test_a_frame_full_of_discs_is_no_brighter_exposure():
    """Overlapping discs brighten nearly all of a frame by the same factor."""
    rng = np.random.default_rng(0)
    ground = blur(rng.random((192, 192)), 12.0)
    ground = 0.02 + 0.03 * (ground - ground.min()) / np.ptp(ground)
    lamps = np.zeros((192, 192))
    for y, x in np.ndindex(7, 7):
        lamps[24 * y + 20 : 24 * y + 23, 24 * x + 20 : 24 * x + 23] = 60
    light = [ground + (blur(lamps, s, shape="disc") if s else lamps) for s in (0, 4.0, 8.0, 12.0)]
    stack = [np.clip(x, 0, 1) ** (1 / 2.2) for x in light]
    result = quiet(PLAIN, stack)
    assert (result.left_out, result.gains) == ({}, {})


@pytest.mark.parametrize("factor", [0.4, 2.0, 2.5])
def test_an_exposure_of_some_stops_is_still_one(factor):
    """A frame that is darker or brighter by much, and defocused, is matched."""
    one = 0.35 * CHINA
    stack = [one, np.clip(factor * blur(one, 3.0), 0, 1)]
    result = quiet(PLAIN, stack)
    np.testing.assert_allclose(result.gains[1], 1 / factor, rtol=0.05)


@pytest.mark.parametrize("gain", [(1.35, 1.2, 1.05), (1.1, 1.3, 1.3), (1.3, 1.3, 1.3)])
def test_white_stays_white(gain):
    """A lamp with dark bars, sharp in the frame that is brighter and tinted."""
    scene = 0.5 * CHINA
    scene[40:100, 180:270] = 1
    scene[42:98, 190:270:10] = 0.1
    soft = blur(scene, 3.0)
    one = np.where(LEFT, scene, soft)
    two = np.clip(np.where(LEFT, soft, scene) * np.array(gain), 0, 1)
    image = quiet(PLAIN, [one, two]).image
    white = (scene.min(axis=2) == 1) & (np.abs(np.arange(288) - 225) < 30)
    white &= (np.abs(np.arange(192) - 70) < 20)[:, None]
    lamp = np.median(image[white], axis=0)
    assert lamp.min() > 0.95
    assert np.ptp(lamp) < 0.03


@given(
    arrays(np.float32, (3, 4, 3), elements=st.floats(0.875, 1, width=32)),
    st.lists(st.floats(0.4, 1.5), min_size=3, max_size=3),
)
def test_matched_values_are_between_their_own_and_those_of_the_gain(image, gain):
    """So that a gain of hardly less than 1 hardly changes anything, and white is white."""
    gain = np.float32(gain)
    found, scaled = matched(image, gain), np.clip(image * gain, 0, 1)
    assert np.all(found >= scaled)
    assert np.all(found <= np.maximum(image, scaled) + 1e-6)
    assert np.all(matched(np.ones_like(image), gain) >= 1 - 1e-6)
    below = (image < 0.96).all(axis=2)
    assert np.array_equal(found[below], scaled[below])


def test_exposures_that_hardly_differ_are_matched_without_loss():
    """Neither where frames are clipped to white nor next to that."""
    bright = stack_cases.CHINA
    stack = stack_cases.halves(bright)
    plain, same = (
        sd.metrics.psnr(sd.FocusFuser(sigma_weight=0, match_exposure=m).fuse(stack).image, bright)
        for m in (False, True)
    )
    assert (bright > 0.97).mean() > 0.05
    assert same > plain - 0.1


def test_noise_grows_with_the_gain():
    """A frame of half the light is not taken for its noise."""
    rng = np.random.default_rng(0)
    one, two = stripes(2)
    dim = [
        np.clip(f + rng.normal(0, 0.004, f.shape), 0, 1) for f in (one, two, 0.5 * blur(CHINA, 2.0))
    ]
    result = quiet(PLAIN, dim)
    assert 2 in result.gains
    assert np.mean(result.index == 2) < 0.02


# --- frames that do not belong -----------------------------------------------------------------


@settings(max_examples=6)
@given(
    st.integers(0, 3),
    st.sampled_from(["misfire", "black", "white", "foreign", "turned", "mirrored"]),
    st.floats(0.005, 0.2),
    st.sampled_from([False, "auto"]),
    st.sampled_from(["none", "affine"]),
)
def test_frames_that_do_not_belong_are_left_out(position, kind, light, match, align):
    stack = stripes(3)
    odd = {
        "misfire": light * blur(CHINA, 2.0),
        "black": np.zeros_like(CHINA),
        "white": np.ones_like(CHINA),
        "foreign": FLOWER,
        "turned": stack[1][::-1, ::-1],
        "mirrored": stack[1][:, ::-1],
    }[kind]
    noise = np.random.default_rng(0).normal(0, 0.003, odd.shape)
    stack.insert(position, np.clip(odd + noise, 0, 1))
    fuser = sd.FocusFuser(sigma_weight=0, match_exposure=match, align=align)
    with pytest.warns(UserWarning, match=rf"^frames\[{position}\] is left out: "):
        result = fuser.fuse(stack)
    assert list(result.left_out) == [position]
    assert position not in result.index
    assert sd.metrics.psnr(result.image, CHINA.astype(np.float32)) > 35


def test_of_two_frames_none_can_be_left_out():
    with pytest.raises(ValueError, match=r"frames\[1\] does not belong to the stack: "):
        PLAIN.fuse([CHINA, FLOWER])
    kept = sd.FocusFuser(sigma_weight=0, outliers="keep").fuse([CHINA, FLOWER])
    assert kept.left_out == {}
    with pytest.raises(ValueError, match=r"frames\[3\] does not belong"):
        sd.FocusFuser(sigma_weight=0, outliers="raise").fuse([*stripes(3), FLOWER])


@pytest.mark.parametrize("sigma", [2.0, 8.0])
@pytest.mark.parametrize("count", [2, 5])
def test_defocused_frames_belong(count, sigma):
    for sharp in (CHINA, FLOWER):
        assert quiet(PLAIN, stripes(count, sharp, sigma)).left_out == {}


# --- the reference -----------------------------------------------------------------------------


def test_frames_are_brought_to_the_reference():
    one, two = stripes(2)
    moved = np.roll(0.8 * two, (3, -2), axis=(0, 1))
    result = quiet(sd.FocusFuser(sigma_weight=0, align="translation", reference=1), [one, moved])
    truth = np.roll(0.8 * CHINA, (3, -2), axis=(0, 1)).astype(np.float32)
    inner = slice(10, -10), slice(10, -10)
    assert sd.metrics.psnr(result.image[inner], truth[inner]) > 33
    assert list(result.gains) == [0]
