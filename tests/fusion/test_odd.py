"""Parts of frames that show what the other frames do not."""

import warnings

import numpy as np
import pytest
from helpers.stack_cases import CHINA, PLAIN, halves
from hypothesis import given, settings
from hypothesis import strategies as st

import skdefocus as sd
from skdefocus.fusion import _odd
from skdefocus.fusion._odd import odd_places, picture, told
from skdefocus.fusion._thumbnails import thumbnail
from skdefocus.synthesis import blur, from_linear, to_linear

ONE, TWO = halves(CHINA, 3.0)
SOFT, MIDDLE = blur(CHINA, 3.0), blur(CHINA, 2.0)
ROWS, COLUMNS = np.mgrid[:192, :288]

LOWER = (ROWS > 96)[..., None]
HAND = (np.hypot(ROWS - 150, COLUMNS - 220) < 50)[..., None]
STRIPE = ((ROWS > 120) & (ROWS < 135))[..., None]
FAULTS = {
    "a half without light": np.where(LOWER, np.float32(0.1), 1) * MIDDLE,
    "a torn file": np.where(LOWER, np.float32(0.5), MIDDLE),
    "a hand": np.where(HAND, blur(np.where(HAND, [0.8, 0.6, 0.5], MIDDLE), 1), MIDDLE),
    "a stripe": np.where(STRIPE, np.float32(0), MIDDLE),
}


def places(frames):
    return odd_places({k: picture(thumbnail(frame), None) for k, frame in enumerate(frames)})


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_part_has_no_say(fault, position):
    frames = [ONE, TWO]
    frames.insert(position, FAULTS[fault].astype(np.float32))
    with pytest.warns(UserWarning, match=rf"frames\[{position}\] is overruled: it shows in "):
        result = PLAIN.fuse(frames)
    assert list(result.overruled) == [position]
    assert sd.metrics.psnr(result.image, CHINA) > 38  # at most 30 where it has a say


def test_highlights_all_over_the_picture_hide_no_hand():
    white = np.zeros((192, 288, 1), bool)
    white[5::24, 5::24] = True
    found = places([np.where(white, 1, f) for f in (ONE, FAULTS["a hand"], TWO)])
    assert sorted(found) == [1]
    assert found[1][60:90, 95:125].mean() > 0.9


def test_other_parts_of_a_faulty_frame_are_used():
    frame = np.where(LOWER, np.float32(0.1), 1) * CHINA
    with pytest.warns(UserWarning, match="overruled"):
        result = PLAIN.fuse([SOFT, frame, MIDDLE])
    detailed = np.zeros((192, 288), bool)
    detailed[50:85, 80:200] = True
    assert (result.index[detailed] == 1).mean() > 0.95
    assert (result.index[110:] == 1).mean() < 0.01


def test_most_frames_are_right():
    hand = FAULTS["a hand"]
    found = places([ONE, hand, hand, TWO, SOFT])
    assert sorted(found) == [1, 2]
    assert all(where[75, 110] for where in found.values())


def test_some_frame_has_a_say_everywhere(monkeypatch):
    everywhere = np.ones((96, 144), bool)
    monkeypatch.setattr(_odd, "_outvoted", lambda *arguments: [everywhere] * 3)
    assert places([ONE, MIDDLE, TWO]) == {}


def test_two_against_two_is_undecided():
    hand = FAULTS["a hand"]
    assert places([ONE, hand, TWO, hand]) == {}


def test_two_frames_cannot_outvote_one_another():
    assert places([ONE, FAULTS["a hand"]]) == {}


def test_it_can_be_kept_or_refused():
    frames = [ONE, FAULTS["a stripe"], TWO]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = sd.FocusFuser(sigma_weight=0, outliers="keep").fuse(frames)
    assert (kept.index[122:133] == 1).mean() > 0.3
    with pytest.raises(ValueError, match=r"frames\[1\] shows in .* leave it out"):
        sd.FocusFuser(sigma_weight=0, outliers="raise").fuse(frames)


@pytest.mark.parametrize("feather", [0, 6])
def test_a_mask_has_the_last_word(feather):
    mask = HAND[..., 0] & (ROWS < 180)
    fuser = sd.FocusFuser(sigma_weight=0, feather=feather)
    with pytest.warns(UserWarning, match="overruled"):
        result = fuser.fuse([ONE, FAULTS["a hand"], TWO], prefer={1: mask})
    np.testing.assert_array_equal(result.image[mask], FAULTS["a hand"][mask].astype(np.float32))


def test_transparent_parts_are_not_judged():
    opaque = np.broadcast_to(np.float32(1), (192, 288, 1))
    frames = [np.dstack([f, opaque]) for f in (ONE, FAULTS["a stripe"], TWO)]
    frames[0] = np.dstack([ONE, ROWS < 100])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PLAIN.fuse(frames)


@settings(max_examples=20)
@given(
    st.integers(3, 6),
    st.floats(0, 12),
    st.lists(st.tuples(st.integers(0, 191), st.integers(0, 287)), min_size=1, max_size=12),
    st.floats(0, 60),
    st.integers(0, 5),
)
def test_defocus_and_lamps_are_never_odd(count, largest, spots, light, focus):
    lamps = np.zeros((192, 288, 1), np.float32)
    for y, x in spots:
        lamps[y : y + 3, x : x + 3] = light
    linear, frames = to_linear(CHINA), []
    for sigma in largest * np.abs(np.arange(count) - min(focus, count - 1)) / count:
        seen = linear + lamps
        seen = blur(seen, sigma, shape="disc") if sigma else seen
        frames.append(from_linear(np.clip(seen, 0, 1)).astype(np.float32))
    assert places(frames) == {}


@settings(max_examples=20)
@given(
    st.integers(3, 5),
    st.floats(0.5, 8),
    st.integers(1, 60),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)
def test_things_in_front_are_never_odd(count, sigma, size, gray, seed):
    rng = np.random.default_rng(seed)
    mask = np.zeros((192, 288, 1), np.float32)
    for y, x in zip(rng.integers(0, 192, 5), rng.integers(0, 288, 5), strict=True):
        mask[y : y + size, x : x + rng.integers(1, size + 1)] = 1
    frames = []
    for k in range(count):
        near, far = (sigma * i / (count - 1) for i in (k, count - 1 - k))
        share = blur(mask, near) if near else mask
        frames.append(share * np.float32(gray) + (1 - share) * (blur(CHINA, far) if far else CHINA))
    assert places(frames) == {}


def test_a_line_says_where():
    where = np.zeros((10, 20), bool)
    where[5:, :4] = True
    assert told(where) == (
        "shows in 10.0% of it what the other frames do not (from 0% to 20% of its width and 50% to "
        "100% of its height)"
    )
