"""Light beyond white: a lamp's disc in a defocused frame does not count as detail."""

import numpy as np
import pytest
from helpers.stack_cases import CHINA
from scipy import ndimage

import skdefocus as sd
from skdefocus.synthesis import blur

SIZE = 240


def encoded(light):
    return np.where(
        light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055
    )


def lamps(radiance, side, sigmas, color=(1,), level=(0.02, 0.05)):
    """Frames of lamps in front of what is sharp in no frame, and where no lamp is.

    The light of that is between those of `level`.
    """
    rng = np.random.default_rng(0)
    ground = ndimage.gaussian_filter(rng.random((SIZE, SIZE)), 12)
    ground = np.interp(ground, (ground.min(), ground.max()), level)
    spots = np.zeros((SIZE, SIZE))
    for y in range(40, SIZE - 20, 60):
        for x in range(40, SIZE - 20, 60):
            spots[y : y + side, x : x + side] = radiance
    frames = []
    for sigma in sigmas:
        light = blur(spots, sigma, shape="disc") if sigma else spots
        planes = [encoded(np.clip(ground + c * light, 0, 1)) for c in color]
        frame = np.stack(planes, axis=2)[..., 0] if len(color) == 1 else np.stack(planes, axis=2)
        frames.append(np.clip(frame + rng.normal(0, 0.003, frame.shape), 0, 1).astype(np.float32))
    return frames, ~ndimage.binary_dilation(spots > 0, iterations=4)


@pytest.mark.parametrize(
    ("radiance", "side", "sigmas"),
    [
        (1, 3, (0, 2.0, 4.0, 6.0)),
        (4, 3, (0, 2.0, 4.0, 6.0)),
        (15, 3, (0, 2.0, 4.0, 6.0)),
        (60, 3, (0, 2.0, 4.0, 6.0)),
        (15, 3, (6.0, 4.0, 2.0, 0)),
        (30, 3, (4.0, 0, 4.0)),
        (15, 3, (0, 8.0)),
        (200, 2, (0, 2.0, 4.0, 6.0)),
        (8, 8, (0, 3.0, 6.0)),
        (0.8, 6, (0, 2.0, 4.0, 6.0)),
    ],
)
def test_discs_of_lamps_do_not_come_in(radiance, side, sigmas):
    frames, away = lamps(radiance, side, sigmas)
    sharp = frames[sigmas.index(0)]
    image = sd.FocusFuser(sigma_weight=0).fuse(frames).image
    assert np.mean(np.abs(image - sharp)[away] > 0.1) < 0.02


@pytest.mark.parametrize(
    ("radiance", "color"),
    [
        (15, (1, 0.6, 0.2)),
        (15, (0.3, 0.4, 1)),
        (60, (1, 0.05, 0.05)),
        (60, (0.1, 0.2, 1)),
        (60, (0.1, 1, 0.2)),
    ],
)
def test_discs_of_colored_lamps(radiance, color):
    frames, away = lamps(radiance, 3, (0, 2.0, 4.0, 6.0), color=color)
    image = sd.FocusFuser(sigma_weight=0).fuse(frames).image
    assert np.mean(np.abs(image - frames[0]).max(axis=2)[away] > 0.1) < 0.02


@pytest.mark.parametrize("radiance", [4, 15, 60])
@pytest.mark.parametrize("level", [(0.2, 0.4), (0.5, 0.7)])
def test_discs_in_front_of_brighter_grounds(radiance, level):
    frames, away = lamps(radiance, 3, (0, 2.0, 4.0, 6.0), level=level)
    image = sd.FocusFuser(sigma_weight=0).fuse(frames).image
    assert np.mean(np.abs(image - frames[0])[away] > 0.1) < 0.02


@pytest.mark.parametrize("sharp_first", [True, False])
def test_a_white_sky_is_no_lamp(sharp_first):
    """The clipped sky explains nothing, so the rest is fused as well as without a sky."""
    soft = blur(CHINA, 3.0)
    where = (np.arange(CHINA.shape[1]) < 160)[:, None] == sharp_first
    stack = [np.where(where, CHINA, soft), np.where(where, soft, CHINA)]
    error = sd.FocusFuser(sigma_weight=0).transform([stack])[0] - CHINA
    assert np.sqrt(np.mean(error**2)) < 0.003
