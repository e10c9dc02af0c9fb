"""Small and crisp things amid blur, in frames and in the numbers that they count by."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

import skdefocus as sd
from skdefocus._grids import full_area
from skdefocus.fusion import _prominence as prominence
from skdefocus.synthesis import blur

SIZE = (360, 480)
SIGMA = 3.0


def everywhere(image):
    return np.ones(image.shape, bool)


def texture(rng, contrast):
    fine = ndimage.gaussian_filter(rng.random(SIZE), 0.7)
    return np.clip(0.4 + contrast * (fine - fine.mean()) / fine.std(), 0, 1)


def discs():
    y, x = np.indices(SIZE)
    return np.hypot((y + 60) % 120 - 60, (x + 60) % 120 - 60) <= 10


def bristles():
    mask = np.zeros(SIZE, bool)
    for y in range(40, SIZE[0], 80):
        mask[y : y + 2, 40:-40] = True
    return mask


def dots():
    mask = np.zeros(SIZE, bool)
    for dy, dx in np.ndindex(4, 4):
        mask[60 + dy :: 120, 60 + dx :: 120] = True
    return mask


@pytest.mark.parametrize(
    ("things", "level", "contrast"),
    [
        (discs, 0.7, 0.1),
        (discs, 0.1, 0.1),
        (discs, 0.6, 0.15),
        (bristles, 0.7, 0.1),
        (bristles, 0.1, 0.1),
        (bristles, 0.6, 0.15),
        # Their contrast is that of the texture, so that their frame has less detail there.
        (bristles, 0.5, 0.1),
        (dots, 0.5, 0.1),
    ],
)
def test_small_things_in_front_of_a_texture_are_kept(things, level, contrast):
    rng = np.random.default_rng(1)
    mask, ground = things(), texture(rng, contrast)
    front = level + 0.005 * rng.standard_normal(SIZE)
    # In the far frame the texture shows through the blurred things, with more contrast than theirs.
    share = blur(mask.astype(float), SIGMA)
    near = np.where(mask, front, blur(ground, SIGMA))
    far = blur(mask * front, SIGMA) + (1 - share) * ground
    index = sd.FocusFuser(sigma_weight=0).fuse([near.astype("f4"), far.astype("f4")]).index
    around = ndimage.binary_dilation(mask, iterations=8)
    assert np.mean(index[mask] == 0) > 0.9
    assert np.mean(index[~around] == 1) > 0.99


def noise_and_a_step(seed):
    image = 0.02 * np.random.default_rng(seed).standard_normal((48, 60))
    image[:, 30:] += 0.5
    return image.astype(np.float32)


@given(st.integers(0, 99), st.floats(0.1, 10))
def test_crispness_does_not_depend_on_contrast(seed, contrast):
    image = noise_and_a_step(seed)
    area = full_area(image.shape)
    found = prominence.crispness(image, area, 0.01)
    assert found.min() >= 0
    assert found.max() <= 1
    more = prominence.crispness(np.float32(contrast) * image, area, contrast * 0.01)
    assert_allclose(more, found, atol=1e-3)


@pytest.mark.parametrize(("sigma", "crisp"), [(0, 1), (0.5, 1), (1.5, 0), (4, 0)])
def test_steps_are_crisp_where_they_are_not_blurred(sigma, crisp):
    step = np.zeros((48, 60), np.float32)
    step[:, 30:] = 0.5
    step = blur(step, sigma).astype(np.float32) if sigma else step
    assert_array_equal(prominence.crispness(step, full_area(step.shape), 0.005)[10:-10, 30], crisp)


@given(st.integers(0, 99), st.floats(1e-3, 1e3), st.booleans())
def test_what_is_common_does_not_stand_out(seed, scale, part):
    image = noise_and_a_step(seed)
    rng = np.random.default_rng(seed)
    where = rng.random(image.shape) < 0.5 if part else everywhere(image)
    unexplained = np.full(image.shape, scale, np.float32)
    unexplained[20, 20] *= 1000
    weighting = prominence.ALONG_SEAMS
    common = prominence.Prominence(image, unexplained, where, None, 0.01, weighting)
    found = common(full_area(image.shape), np.log(unexplained))
    assert found.min() >= 0
    assert found.max() <= weighting.gain * weighting.most
    assert_allclose(found[np.indices(image.shape).max(axis=0) > 21], 0, atol=1e-5)


def test_lamps_near_by_explain_what_stands_out():
    image = noise_and_a_step(0)
    unexplained = np.ones(image.shape, np.float32)
    unexplained[20, 20] = 1000
    cells, weighting = np.zeros((12, 15), np.float32), prominence.IN_CHOICE
    for share, stands_out in ((0, True), (0.5, False)):
        cells[:] = share
        found = prominence.Prominence(image, unexplained, everywhere(image), cells, 0.01, weighting)
        assert (found(full_area(image.shape), np.log(unexplained))[20, 20] > 0) == stands_out


def test_a_strong_thing_does_not_hide_a_faint_one():
    image = noise_and_a_step(0)
    unexplained = np.full(image.shape, 1e-4, np.float32)
    unexplained[10:14, 28:32], unexplained[36:38, 29:31] = 1, 1e-3
    strong, faint = (12, 30), (37, 30)
    for weighting, kept in ((prominence.ALONG_SEAMS, False), (prominence.IN_CHOICE, True)):
        stands = prominence.Prominence(image, unexplained, everywhere(image), None, 0.01, weighting)
        found = stands(full_area(image.shape), np.log(unexplained))
        assert found[strong] > 0
        assert (found[faint] > 0) == kept


def test_what_is_next_to_a_thing_counts_less_than_the_thing():
    image = noise_and_a_step(0)
    unexplained = np.full(image.shape, 1e-6, np.float32)
    unexplained[18:26, 25:35], unexplained[21:23] = 1e-3, 1e-1
    stands = prominence.Prominence(
        image, unexplained, everywhere(image), None, 0.01, prominence.ALONG_SEAMS
    )
    # Both exceed what is around by more than what counts at most.
    found = stands(full_area(image.shape), np.log(unexplained))[:, 30]
    assert found[21] > 4
    assert found[24] < 1


def test_cells_with_detail_of_their_own_are_found():
    detail = np.full((128, 160), -8, np.float32)
    detail[40, 100] = 0
    found = prominence.outstanding(detail, 32)
    assert_array_equal(np.argwhere(found.clearly), [[1, 3]])
    assert_array_equal(np.argwhere(found.faintly), [[1, 3]])


def test_cells_with_faint_detail_of_their_own_are_found():
    detail = np.full((320, 320), -8, np.float32)
    detail[40:60, 100:120], detail[200, 200] = 0, -6
    found = prominence.outstanding(detail, 32)
    assert_array_equal(np.argwhere(found.clearly), [[1, 3]])
    assert_array_equal(np.argwhere(found.faintly), [[1, 3], [6, 6]])
