"""Discs of lamps out of focus have no say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from skdefocus import FocusFuser
from skdefocus.fusion import _discs as discs
from skdefocus.synthesis import blur, from_linear, to_linear

SIDE = 160
#: Rows and columns of lamps.
PLACES = [(40, 44), (60, 118), (118, 70)]


def soft_surface(mean, seed=0, rough=0.03, scale=6):
    noise = np.random.default_rng(seed).standard_normal((SIDE, SIDE))
    noise = ndimage.gaussian_filter(noise, scale)
    return np.clip(mean + rough * noise / noise.std(), 0, 0.97)


def photographed(surface, sigma, radiance=20.0, places=PLACES, seed=1):
    """Lamps of 3 × 3 pixels, blurred to discs, in front of a surface that is not."""
    lamps = np.zeros(surface.shape)
    for y, x in places:
        lamps[y : y + 3, x : x + 3] = radiance
    light = to_linear(surface) + (blur(lamps, sigma, shape="disc") if sigma else lamps)
    noise = np.random.default_rng(seed).normal(0, 0.002, surface.shape)
    image = np.clip(from_linear(np.clip(light, 0, 1)) + noise, 0, 1)
    return np.round(image * 255).astype(np.uint8)


@pytest.mark.parametrize("mean", [0.1, 0.35, 0.6, 0.88])
@pytest.mark.parametrize("count", [2, 6])
@pytest.mark.parametrize("widest", [4.0, 10.0])
def test_discs_do_not_come_in(mean, count, widest):
    surface = soft_surface(mean)
    sigmas = np.linspace(0, widest, count)
    frames = [photographed(surface, s, seed=k) for k, s in enumerate(sigmas)]
    fused = FocusFuser().fuse(frames).image
    wrong = np.abs(fused - frames[0] / 255) > 0.04
    assert wrong.mean() < 0.002
    assert (np.abs(frames[-1] / 255.0 - frames[0] / 255) > 0.04).mean() > 5 * wrong.mean()


@pytest.mark.parametrize("color", [(1, 0.08, 0.04), (0.05, 0.1, 1)])
def test_discs_of_saturated_lamps_do_not_come_in(color):
    surface = soft_surface(0.3)
    frames = []
    for k, sigma in enumerate((0, 5)):
        lamps = to_linear(photographed(surface, sigma, seed=k) / 255) - to_linear(surface)
        light = to_linear(surface)[..., None] + lamps[..., None] * color
        frames.append(np.round(from_linear(np.clip(light, 0, 1)) * 255).astype(np.uint8))
    fused = FocusFuser().fuse(frames).image
    assert (np.abs(fused - frames[0] / 255).max(axis=2) > 0.04).mean() < 0.001


def test_the_sharpest_frame_counts_where_no_disc_reaches():
    """The surface is sharpest in the frames whose discs are widest."""
    rough = np.random.default_rng(3).uniform(0.1, 0.6, (SIDE, SIDE))
    rough = ndimage.gaussian_filter(rough, 0.7)
    sigmas = np.linspace(0, 6, 7)
    surfaces = [blur(rough, 6 - s) if s < 6 else rough for s in sigmas]
    frames = [
        photographed(s, sigma, seed=k)
        for k, (s, sigma) in enumerate(zip(surfaces, sigmas, strict=True))
    ]
    fused = FocusFuser().fuse(frames)
    rows, columns = np.indices((SIDE, SIDE))
    away = np.min([np.hypot(rows - y - 1, columns - x - 1) for y, x in PLACES], axis=0)
    assert fused.index[(away > 7) & (away < 10)].mean() > fused.index[away < 4].mean() + 1
    assert (fused.index[away > 24] == 6).mean() > 0.98
    # A disc's radius is 2 σ.
    inside = away < 2 * sigmas[fused.index] - 1.5
    assert (inside & (away > 3)).mean() < 0.002


def test_discs_are_found_in_frames_that_moved():
    surface = soft_surface(0.4, rough=0.08, scale=1.5)
    sharp = photographed(surface, 0)
    soft = np.roll(photographed(surface, 6, seed=2), (3, -2), (0, 1))
    fused = FocusFuser(align="translation").fuse([sharp, soft])
    inner = np.s_[10:-10, 10:-10]
    assert (np.abs(fused.image - sharp / 255)[inner] > 0.06).mean() < 0.002


def test_where_all_frames_have_discs_one_of_them_is_taken():
    surface = soft_surface(0.3)
    near = photographed(surface, 0, places=[(80, 70)])
    far = photographed(surface, 0, places=[(80, 90)])
    both = [
        np.maximum(near, photographed(surface, 10, places=[(80, 90)])),
        np.maximum(far, photographed(surface, 10, places=[(80, 70)])),
    ]
    fused = FocusFuser().fuse(both)
    assert np.isfinite(fused.image).all()
    assert fused.image.min() > 0.15


def test_what_is_white_in_all_frames_is_no_lamp():
    """Out of focus, less of a white patch is clipped, and that is small."""
    patch = np.full((SIDE, SIDE), 0.3)
    patch[60:74, 60:74] = 1
    frames = [patch, blur(patch, 3.5)]
    frames = [np.round(f * 255).astype(np.uint8) for f in frames]
    found = {k: discs.specks(f / np.float32(255), f > 252) for k, f in enumerate(frames)}
    assert len(found[0]) == 1
    lamps = discs.lamps_of(found)
    around = {
        k: discs.light_around(f / np.float32(255), lamps.centers) for k, f in enumerate(frames)
    }
    assert not any(reach.any() for reach in discs.reach_of_discs(lamps, around).values())


@given(st.floats(8, 30), st.floats(0, 0.5), st.floats(0.2, 0.4), st.integers(0, 2**31))
def test_discs_reach_to_their_rims(radius, ground, light, seed):
    rng = np.random.default_rng(seed)
    center = rng.uniform(95, 105, 2)
    rows, columns = np.indices((200, 200)) - center[:, None, None]
    away = np.hypot(rows, columns)
    own = np.where(away < 2, 1, np.sqrt(ground)) + rng.normal(0, 0.002, away.shape)
    disc = np.sqrt(ground + light * np.clip(radius + 0.5 - away, 0, 1))
    lamps = discs.Lamps(center[None], np.array([12.0]), np.array([0]))
    around = {
        k: discs.light_around(np.asarray(frame, np.float32), lamps.centers)
        for k, frame in enumerate((own, disc))
    }
    reach = discs.reach_of_discs(lamps, around)
    assert reach[0] == [0]
    assert radius < reach[1][0] < 1.2 * radius + 2.5


@given(st.integers(0, 2**31), st.integers(0, 6))
def test_covered_pixels_are_those_of_the_discs(seed, count):
    rng = np.random.default_rng(seed)
    centers, radii = rng.uniform(-20, 60, (count, 2)), rng.uniform(0, 30, count)
    radii[: count // 3] = 0
    rows, columns = np.indices((40, 37))
    expected = np.zeros((40, 37), bool)
    for (y, x), radius in zip(centers, radii, strict=True):
        if radius > 0:
            expected |= np.hypot(rows - y, columns - x) <= radius
    assert np.array_equal(discs.covered(centers, radii, (40, 37)), expected)


def test_discs_that_are_not_told_are_filled_from_the_frames_next_to_the_lamp():
    center = np.array([[100.0, 100.0]])
    away = np.hypot(*(np.indices((200, 200)) - 100))
    frames = [np.where(away < r, 0.7, 0.1).astype(np.float32) for r in (2, 8, 12, 16)]
    frames[0][away < 2] = 1
    frames[2] += np.float32(0.3) * (away >= 12)  # brighter all around
    lamps = discs.Lamps(center, np.array([12.0]), np.array([0]))
    around = {k: discs.light_around(f, center) for k, f in enumerate(frames)}
    reach = [float(r[0]) for r in discs.reach_of_discs(lamps, around).values()]
    assert reach[0] == 0
    assert reach[2] == reach[1]
    assert 16 < reach[3] < 20
