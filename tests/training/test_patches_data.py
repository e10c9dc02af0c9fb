"""The training data: only in-focus photographs, known σ, the same bytes from the same seed."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from scipy import fft
from skimage import data
from sklearn.datasets import load_sample_image

from skdefocus import synthesis
from skdefocus.training import patches
from skdefocus.training.crops import BLOCK, Conditions, Crop, window_sigma
from skdefocus.training.levels import (
    CAMERA_SIGMA,
    MAX_SIGMA,
    N_LEVELS,
    level_sigmas,
    sigma_of_level,
    soft_targets,
)

#: One blur for the whole crop, and nothing that changes it afterwards.
UNIFORM = Conditions(gradient=0, edge=0, noise=0, sharpened=0, jpeg=0)

PHOTOGRAPHS = {
    "china.png": load_sample_image("china.jpg"),
    "camera.png": data.camera(),
    "gravel.png": data.gravel(),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three sharp photographs, and one of them made soft."""
    path = tmp_path_factory.mktemp("photographs")
    for name, image in PHOTOGRAPHS.items():
        Image.fromarray(image).save(path / name)
    soft = synthesis.blur(patches.read_grey(path / "china.png"), 2.0)
    Image.fromarray(np.round(soft * 255).astype(np.uint8)).save(path / "soft.png")
    (path / "notes.txt").write_text("no photograph")
    return path


def crops(folder, *, name="china.png", other="camera.png", count=4, size=64, seed=0, **conditions):
    what = Conditions(**conditions) if conditions else Conditions()
    return patches.crops_of(folder / name, folder / other, 5, count, size, what, seed)


def grey(name):
    image = PHOTOGRAPHS[name] / np.float32(255)
    return (image if image.ndim == 2 else image @ [0.299, 0.587, 0.114]).astype(np.float32)


# Which photographs are good enough


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize("shape", ["gaussian", "disc"])
def test_edges_are_sharp_in_a_sharp_photograph_and_not_after_two_pixels_of_blur(name, shape):
    sharp = patches.edge_blur_blocks(grey(name))
    soft = patches.edge_blur_blocks(synthesis.blur(grey(name), 2.0, shape=shape))
    assert sharp.dtype == np.int8
    assert set(np.unique(sharp)) <= {-1, 0, 1}
    assert (sharp == 1).mean() > 0.5
    assert (sharp == -1).mean() < 0.05
    # A disc's own edge is sharp, so its blur is a little harder to see.
    assert (soft == 1).mean() < (0.005 if shape == "gaussian" else 0.02)
    assert (soft == -1).mean() > 0.25
    assert patches.is_in_focus(grey(name))
    assert not patches.is_in_focus(synthesis.blur(grey(name), 2.0, shape=shape))


@pytest.mark.parametrize(("sigma", "verdict"), [(0.0, 1), (0.6, 1), (1.4, -1), (3.0, -1)])
def test_an_edge_is_judged_by_its_own_blur(sigma, verdict):
    step = np.zeros((64, 64), np.float32)
    step[:, 36:] = 0.8
    state = patches.edge_blur_blocks(synthesis.blur(step, sigma))
    assert state.shape == (4, 4)
    assert (state[:, 2] == verdict).all()
    assert (state[:, 0] == 0).all()


def test_where_there_is_no_strong_edge_nothing_is_said():
    faint = np.tile(np.linspace(0, 1, 128, dtype=np.float32), (70, 1))
    state = patches.edge_blur_blocks(faint)
    assert state.shape == (4, 8)  # what is left of a block is not looked at
    assert_array_equal(state, 0)


def test_windows_lie_within_the_photograph_near_sharp_edges():
    image = (data.astronaut() @ [0.299, 0.587, 0.114] / 255).astype(np.float32)
    rich, flat, anywhere = patches.crop_places(image, 96)
    assert 0 < len(rich) < len(anywhere)
    assert {tuple(c) for c in rich} <= {tuple(c) for c in anywhere}
    assert {tuple(c) for c in flat} <= {tuple(c) for c in anywhere} - {tuple(c) for c in rich}
    assert (anywhere >= 0).all()
    assert (anywhere + 96 <= image.shape).all()
    assert (anywhere % BLOCK == 0).all()
    state = patches.edge_blur_blocks(image)
    for i, j in anywhere // BLOCK:
        block = state[i : i + 6, j : j + 6]
        assert (block == -1).mean() <= 0.1
        around = state[max(0, i - 3) : i + 9, max(0, j - 3) : j + 9]
        assert (around == 1).any()


@pytest.mark.parametrize("size", [(40, 300), (15, 15)])
def test_a_photograph_smaller_than_a_window_has_no_places(size):
    for corners in patches.crop_places(grey("gravel.png")[: size[0], : size[1]], 96):
        assert corners.shape == (0, 2)


def test_a_soft_photograph_gives_no_crops_but_does_not_spoil_others(folder):
    nothing = crops(folder, name="soft.png", other="china.png")
    assert nothing.shape == (0,)
    assert nothing.dtype == patches.record_type(64)
    assert len(crops(folder, other="soft.png")) == 4


# What a record holds


@pytest.mark.parametrize(("size", "n"), [(32, 1), (40, 2), (64, 5), (70, 5)])
def test_record_type(folder, size, n):
    kind = patches.record_type(size)
    assert kind.names == ("crop", "sigma", "photo", "textured")
    assert kind["crop"] == np.dtype(("u1", (size, size)))
    assert kind["sigma"] == np.dtype(("f4", (n, n)))
    records = crops(folder, size=size, count=3)
    assert records.dtype == kind
    assert records.shape == (3,)
    assert_array_equal(records["photo"], 5)
    assert records["sigma"].min() >= 0
    assert records["sigma"].max() <= MAX_SIGMA + 1e-5


@pytest.mark.parametrize(
    "kind", [{"edge": 1, "thin": 0}, {"edge": 0, "gradient": 1}], ids=["edge", "slope"]
)
def test_sigma_varies_within_crops_that_are_not_uniform(folder, kind):
    sigma = crops(folder, count=12, **kind)["sigma"]
    assert np.isfinite(sigma).all()
    assert sigma.max() <= MAX_SIGMA + 1e-5
    assert (np.ptp(sigma, axis=(1, 2)) > 0.01).mean() > 0.5


def test_thin_structures_cover_little_but_cross_the_crop(folder):
    """The background has most of every window, but lines in front of it."""
    maker = Crop(64, Conditions(thin=1.0), np.random.default_rng(0))
    veils = np.stack([maker.silhouette() for _ in range(40)])
    shares = veils.mean(axis=(1, 2))
    assert np.all(shares < 0.4)
    assert np.median(shares) > 0.01
    crossed = (veils > 0.5).any(axis=1) | (veils > 0.5).any(axis=2)
    assert (crossed.mean(axis=1) > 0.3).mean() > 0.8


def test_sigma_of_a_uniform_crop_is_one_number_and_a_tenth_of_a_level(folder):
    sigma = crops(folder, count=40, **vars(UNIFORM))["sigma"]
    assert_allclose(sigma, np.broadcast_to(sigma[:, :1, :1], sigma.shape), rtol=1e-6)
    tenths = 10 * levels_of(sigma[:, 0, 0])
    assert_allclose(tenths, np.round(tenths), atol=0.02)


def levels_of(sigma):
    ratio = np.hypot(sigma, CAMERA_SIGMA) / CAMERA_SIGMA
    whole = np.hypot(MAX_SIGMA, CAMERA_SIGMA) / CAMERA_SIGMA
    return (N_LEVELS - 1) * np.log(ratio) / np.log(whole)


def test_levels_are_balanced(folder):
    sigma = crops(folder, size=32, count=2000, **vars(UNIFORM))["sigma"].ravel()
    tenths = np.round(10 * levels_of(sigma)).astype(int)
    assert (tenths.min(), tenths.max()) == (0, 190)
    counts = np.bincount((tenths[(tenths > 0) & (tenths < 190)] + 4) // 10, minlength=20)[1:19]
    chi2 = ((counts - counts.mean()) ** 2 / counts.mean()).sum()
    assert chi2 < 40.8  # 17 degrees of freedom: one fair draw in a thousand is above
    # The two ends gather what lies beyond them, so that all levels are targets equally often.
    share = soft_targets(sigma, level_sigmas()).mean(0) * 20
    assert share.min() > 0.7
    assert share.max() < 1.35


def test_blurred_crops_have_less_detail(folder):
    records = crops(folder, size=32, count=300, **vars(UNIFORM))
    records = records[records["textured"]]
    sigma = records["sigma"].ravel()
    crop = records["crop"].astype(float)
    detail = np.abs(np.diff(crop, axis=2)).mean((1, 2)) / (crop.std((1, 2)) + 1)
    assert np.median(detail[sigma < 0.5]) > 3 * np.median(detail[sigma > 4])


# The blur that is promised is the blur that is there


@pytest.mark.parametrize("shape", ["gaussian", "disc"])
@pytest.mark.parametrize("level", [0, 3.5, 9, 15, 19])
def test_blur_through_the_spectrum_is_blur(shape, level):
    maker = Crop(64, Conditions(), np.random.default_rng(0))
    scene = grey("gravel.png")[: maker.window, : maker.window]
    fast = maker.blur(fft.rfft2(scene), level, shape)
    assert fast.dtype == np.float32
    m = (maker.window - maker.inner) // 2
    sigma = float(sigma_of_level(level))
    slow = synthesis.blur(scene, sigma, shape=shape)[m:-m, m:-m]
    # The window is periodic and the margin 3 σ of the largest Gaussian: less than 0.3 % leaks in.
    atol = 1e-6 if len(synthesis.psf(sigma, shape)) // 2 <= m else 3e-3
    assert_allclose(fast, slow, rtol=0, atol=atol)


def maker_of_levels(*levels):
    """A maker of crops whose draws of a level are known."""
    maker = Crop(64, Conditions(), np.random.default_rng(0))
    draws = iter(levels)
    maker.level = lambda: next(draws)
    return maker


@pytest.mark.parametrize(("front", "back"), [(0, 12), (12, 0), (5, 5)])
def test_at_an_occluding_edge_sigma_is_that_of_what_is_seen(front, back):
    maker = maker_of_levels(front, back)
    white = np.ones((maker.window, maker.window), np.float32)
    black = np.zeros_like(white)
    x, sigma = maker.two_layers(white, black, "gaussian")
    near, far = sigma_of_level([front, back])
    # The grey level tells which of the two is seen, but for a band along a blurred edge.
    assert 0.02 < (x > 0.98).mean() < 0.98
    assert_allclose(sigma[x > 0.98], near, rtol=1e-6)
    assert_allclose(sigma[x < 0.02], far, rtol=1e-6)


@pytest.mark.parametrize("shape", ["gaussian", "disc"])
def test_on_a_slope_every_pixel_has_the_second_moment_of_its_sigma(shape):
    maker = maker_of_levels(8.0, 2.0)
    n = np.linspace(-1, 1, maker.window, dtype=np.float32)
    parabola = np.broadcast_to(n**2, (maker.window, maker.window))
    x, sigma = maker.slope(parabola, shape)
    m = (maker.window - maker.inner) // 2
    added = (x - parabola[m:-m, m:-m]) / (n[1] - n[0]) ** 2
    assert_allclose([sigma.min(), sigma.max()], sigma_of_level([2, 8]), rtol=1e-5)
    assert_allclose(added, sigma**2, atol=0.01)


@given(st.integers(0, 999))
def test_silhouette_is_a_coverage(seed):
    maker = Crop(64, Conditions(), np.random.default_rng(seed))
    alpha = maker.silhouette()
    assert alpha.shape == (maker.window, maker.window)
    assert alpha.dtype == np.float32
    assert alpha.min() >= 0
    assert alpha.max() <= 1


@pytest.mark.parametrize(("size", "n"), [(32, 1), (48, 3), (64, 5), (70, 5)])
def test_window_sigma_is_the_median_over_the_middle_of_the_window(size, n):
    sigma = np.random.default_rng(0).random((size, size)).astype(np.float32)
    result = window_sigma(sigma)
    assert result.dtype == np.float32
    assert result.shape == (n, n)
    for i in range(n):
        for j in range(n):
            window = sigma[8 * i : 8 * i + 32, 8 * j : 8 * j + 32]
            assert result[i, j] == np.sort(window[12:20, 12:20], axis=None)[32]


# The file


def build(folder, out, **changes):
    settings = {"count": 12, "size": 40, "seed": 3, "n_jobs": 1, "conditions": Conditions()}
    return patches.make(folder, out, **(settings | changes))


def test_crops_depend_on_the_seed_and_on_nothing_else(folder):
    one = crops(folder)
    assert crops(folder).tobytes() == one.tobytes()
    assert crops(folder, seed=1).tobytes() != one.tobytes()
    lent = crops(folder, other="gravel.png", edge=1.0)
    assert lent.tobytes() != crops(folder, edge=1.0).tobytes()


def test_two_runs_write_identical_files(folder, tmp_path):
    facts = [build(folder, tmp_path / f"{k}.npy") for k in "ab"]
    for kind in (".npy", ".json"):
        one, two = ((tmp_path / k).with_suffix(kind).read_bytes() for k in "ab")
        assert one == two
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "a.npy", "b.json", "b.npy"]
    other = build(folder, tmp_path / "c.npy", seed=4)
    assert other["digest"] != facts[0]["digest"]


def test_the_file_holds_the_records_and_its_neighbour_the_facts(folder, tmp_path):
    facts = build(folder, tmp_path / "crops.npy")
    records = np.load(tmp_path / "crops.npy", mmap_mode="r")
    assert records.dtype == patches.record_type(40)
    assert len(records) == facts["records"] == 9  # 12 asked of four photographs, one is soft
    assert facts["windows"] == 9 * 4
    assert json.loads((tmp_path / "crops.json").read_text()) == facts
    assert facts["photographs"] == ["camera.png", "china.png", "gravel.png", "soft.png"]
    assert facts["dropped"] == ["soft.png"]
    assert_array_equal(records["photo"], np.repeat([0, 1, 2], 3))
    assert facts["validation"] == [patches.is_validation(folder / p) for p in facts["photographs"]]
    assert_allclose(facts["sigmas"], level_sigmas())


def test_a_folder_without_photographs_is_an_error(tmp_path):
    with pytest.raises(SystemExit, match="no photographs in"):
        build(tmp_path, tmp_path / "crops.npy")


def test_photographs_are_found_by_suffix_in_order_of_names(folder):
    names = [p.name for p in patches.photographs(folder)]
    assert names == ["camera.png", "china.png", "gravel.png", "soft.png"]


def test_read_grey_is_luma_in_the_unit_range(folder):
    image = patches.read_grey(folder / "china.png")
    assert image.dtype == np.float32
    assert_allclose(image, grey("china.png"), atol=1.01 / 255)


def test_one_photograph_in_ten_is_for_validation_whatever_its_folder(tmp_path):
    paths = [tmp_path / f"photo{i:05d}.jpg" for i in range(5000)]
    chosen = np.array([patches.is_validation(p) for p in paths])
    assert 0.08 < chosen.mean() < 0.12
    elsewhere = [patches.is_validation(tmp_path / "deeper" / p.name) for p in paths[:200]]
    assert_array_equal(elsewhere, chosen[:200])
    # By name, so for ever: these must not change between runs or versions.
    assert_array_equal(np.flatnonzero(chosen[:60]), [18, 19, 50, 54])
