"""Layers for napari, without napari: values, units and calibration."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from sklearn.datasets import load_sample_image

import skdefocus as sd
from skdefocus import _napari
from skdefocus._napari._layers import Source, fused_layers, in_range, map_layers
from skdefocus._napari._widgets import CanceledError, step_by_step
from skdefocus.fusion import READS

ROOT = Path(__file__).parents[2]
SHARP = load_sample_image("flower.jpg")[140:236, 260:356] / np.float32(255)
SOFT = sd.synthesis.blur(SHARP, 2.0).clip(0, 1)
LEFT = (np.arange(96) < 48)[:, None]
STACK = np.stack([np.where(LEFT, SHARP, SOFT), np.where(LEFT, SOFT, SHARP)])
GRAY = STACK[..., 1]
SPACE = {"scale": np.array([2.0, 0.5, 0.25]), "translate": np.array([10.0, 20, 30])}
SPACE |= {"affine": np.diag([1.0, 2, 3, 1]), "units": ("um", "um", "nm")}


def source(data, rgb=False, name="cells"):
    return Source(data, rgb, name, SPACE)


def nothing():
    pass


def test_the_map_of_a_shown_plane_lies_on_it():
    ((values, about, kind),) = map_layers(source(GRAY), (1,), False, nothing)
    assert kind == "image"
    assert values.shape == (96, 96)
    low, high = GRAY[1].min(), GRAY[1].max()
    np.testing.assert_allclose(values, sd.defocus_map((GRAY[1] - low) / (high - low)), atol=1e-3)
    assert about["name"] == "blur σ[1] of cells"
    np.testing.assert_array_equal(about["scale"], [0.5, 0.25])
    np.testing.assert_array_equal(about["translate"], [20, 30])
    np.testing.assert_array_equal(about["affine"], np.diag([2.0, 3, 1]))
    assert about["units"] == ("um", "nm")
    assert about["contrast_limits"][0] == 0
    assert about["contrast_limits"][1] >= 1


def test_all_planes_are_mapped_in_order():
    ticks = []
    ((values, about, _),) = map_layers(source(GRAY), None, False, lambda: ticks.append(1))
    assert values.shape == (2, 96, 96)
    assert values.dtype == np.float32
    assert len(ticks) == 2
    for k in range(2):
        np.testing.assert_array_equal(
            values[k], map_layers(source(GRAY), (k,), False, nothing)[0][0]
        )
    np.testing.assert_array_equal(about["scale"], SPACE["scale"])


@pytest.mark.parametrize("rgb", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_a_fused_stack_keeps_its_units(rgb, dtype):
    if rgb and dtype not in (np.uint8, np.float32):
        pytest.skip("color is of 8 bits or float in napari")
    full = 1 if dtype == np.float32 and rgb else {np.uint8: 255}.get(dtype, 4000)
    sharp = (SHARP if rgb else SHARP[..., 1]) * full
    stack = (STACK if rgb else GRAY) * full
    stack = stack.round().astype(dtype) if full > 1 else stack.astype(dtype)
    ticks = []
    index, fused = fused_layers(source(stack, rgb), "none", lambda: ticks.append(1))
    assert fused[0].dtype == dtype
    assert fused[0].shape == stack.shape[1:]
    error = np.abs(fused[0].astype(float) - sharp) / full
    assert np.sqrt((error**2).mean()) < 0.01
    assert set(np.unique(index[0])) == {0, 1}
    assert (index[0][:, :40] == 0).mean() > 0.95
    for _, about, kind in (index, fused):
        assert kind == "image"
        np.testing.assert_array_equal(about["scale"], [0.5, 0.25])
    assert fused[1].get("rgb", False) is rgb
    assert 2 <= len(ticks) <= 2 * READS


def test_planes_are_read_when_they_are_needed():
    class Lazy:
        shape, dtype = GRAY.shape, GRAY.dtype

        def __getitem__(self, index):
            assert index == (1,)
            return GRAY[index]

    assert map_layers(source(Lazy()), (1,), False, nothing)[0][0].shape == (96, 96)


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.array([[100, 300]], np.uint16), [[0, 1]]),
        (np.array([[-5.0, 5, 0]]), [[0, 1, 0.5]]),
        (np.array([[7, 7]], np.int64), [[0, 0]]),
        (np.array([[7, 9]], np.uint8), [[0, 1]]),
        (np.array([[False, True]]), [[False, True]]),
    ],
)
def test_intensities_of_any_unit_are_scaled_to_their_range(pixels, expected):
    found = in_range(pixels, rgb=False)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("sigma", [1.0, 2.0, 4.0, 8.0])
def test_beads_of_known_blur_in_linear_light(sigma):
    """Points with photon noise, as a camera with 12 of 16 bits gives them."""
    rng = np.random.default_rng(0)
    points = (rng.random((256, 256)) < 0.002).astype(float)
    light = ndimage.gaussian_filter(points, sigma)
    counts = rng.poisson(2000 * light / light.max() + 50).astype(np.uint16)
    on = counts > 650
    linear, encoded = (
        np.median(map_layers(source(counts), (), flag, nothing)[0][0][on]) for flag in (True, False)
    )
    assert 0.7 * sigma < linear < 1.1 * sigma
    assert encoded < linear


@pytest.mark.parametrize(
    ("data", "rgb"), [(GRAY[0], False), (GRAY[:1], False), (GRAY[None], False), (STACK[0], True)]
)
def test_what_is_no_stack_is_not_fused(data, rgb):
    with pytest.raises(ValueError, match="'cells' has shape"):
        fused_layers(source(data, rgb), "none", nothing)


def test_values_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        map_layers(source(np.where(LEFT, np.nan, GRAY[0])), (), True, nothing)


# --- the thread --------------------------------------------------------------------------------


def test_work_is_done_step_by_step():
    def work(tick):
        for _ in range(3):
            tick()
        return ["layer"]

    steps, result = step_by_step(work), None
    count = 0
    while result is None:
        try:
            next(steps)
            count += 1
        except StopIteration as stop:
            result = stop.value
    assert (count, result) == (3, ["layer"])


def test_errors_of_the_work_are_raised():
    def work(tick):
        tick()
        raise ValueError("no stack")

    with pytest.raises(ValueError, match="no stack"):
        list(step_by_step(work))


def test_work_that_is_canceled_ends_at_its_next_step():
    ends = []

    def work(tick):
        try:
            while True:
                tick()
        except CanceledError:
            ends.append("canceled")
            raise

    steps = step_by_step(work)
    next(steps)
    steps.close()
    assert ends == ["canceled"]


# --- the manifest ------------------------------------------------------------------------------


def test_the_manifest_names_functions_of_the_package():
    module, file = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][
        "napari.manifest"
    ]["skdefocus"].split(":")
    text = (ROOT / module / file).read_text("utf-8")
    named = re.findall(r"python_name: skdefocus\._napari:(\w+)", text)
    assert sorted(named) == sorted(_napari.__all__)
    assert all(callable(getattr(_napari, name)) for name in named)
    assert re.findall(r"- id: (\S+)", text) == re.findall(r"- command: (\S+)", text)
