"""The work behind the page, without the web."""

import io
from pathlib import Path

import numpy as np
import pytest
from helpers.app_cases import ORDER, bomb, corrupt, fast_pipeline, flower, stack_of_seven
from helpers.cli_cases import photo
from PIL import Image
from sklearn.datasets import load_sample_image

import skdefocus as sd
from skdefocus.app._desk import Desk
from skdefocus.app._view import encoded
from skdefocus.app._views import VIEWS
from skdefocus.io import ReadError, read_image, read_map
from skdefocus.plotting import colored, write_colored

pytest.importorskip("matplotlib")


@pytest.fixture
def desk(tmp_path):
    folder = tmp_path / "desk"
    folder.mkdir()
    return Desk(folder, fast_pipeline(), 250_000_000, {})


def show(desk, **changed):
    order = ORDER | changed
    return desk.show(lambda d: VIEWS[order["view"]](d, order))


def saved(view, ending, tmp_path):
    view.files[ending](tmp_path / f"saved{ending}")
    return tmp_path / f"saved{ending}"


def test_the_map_is_that_of_the_pipeline(desk, tmp_path):
    path = flower(tmp_path)
    assert desk.add("flower.jpg", path) == {"photo": 0, "name": "flower.jpg (640 × 427)"}
    view = show(desk)
    expected = fast_pipeline().transform([read_image(path)])[0]
    np.testing.assert_array_equal(view.layer, expected)
    np.testing.assert_array_equal(read_map(saved(view, "_sigma.tif", tmp_path)), expected)
    np.testing.assert_allclose(
        read_map(saved(view, "_sigma.png", tmp_path)), expected, atol=view.top / 60000
    )
    with Image.open(saved(view, "_color.png", tmp_path)) as picture:
        assert float(picture.text["sigma_max"]) == view.top == 8
        np.testing.assert_array_equal(np.asarray(picture), colored(expected, view.top))


def test_values_are_those_at_the_pixel_and_at_the_nearest_one(desk, tmp_path):
    desk.add("flower.jpg", flower(tmp_path))
    view = show(desk)
    for x, y in ((0, 0), (400, 200), (639, 426)):
        assert view.at(x, y)["σ"] == view.layer[y, x]
    assert view.at(-5, 10_000) == view.at(0, 426)
    assert view.at(5, 5)["confidence"] == desk.levels(ORDER).confidence[0, 0]


def test_confidence_is_per_pixel(desk, tmp_path):
    desk.add("flower.jpg", flower(tmp_path))
    view = show(desk, view="confidence")
    assert view.layer.shape == (427, 640)
    assert view.top is None
    cells = desk.levels(ORDER).confidence
    found = read_map(saved(view, "_confidence.tif", tmp_path))
    assert (found[::8, ::8] == cells).all()
    assert (found[7::8, 7::8] == cells[: 427 // 8]).all()


@pytest.mark.parametrize(
    ("name", "effect", "parameter", "value"),
    [("magnified", sd.magnify, "strength", 3), ("sharpened", sd.sharpen, "amount", 0.5)],
)
def test_effects_follow_the_map_and_their_slider(desk, tmp_path, name, effect, parameter, value):
    path = Path(photo(tmp_path, "flower.png", load_sample_image("flower.jpg")[200:296, 250:378]))
    desk.add("flower.png", path)
    view = show(desk, view=name, **{parameter: value})
    pixels, sigma = read_image(path), show(desk).layer
    expected = effect(pixels, sigma, **{parameter: value})
    found = read_image(saved(view, f"_{name}.png", tmp_path))
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert np.abs(found.astype(int) - pixels).max() > 1


def test_a_slider_reaches_the_refinement_and_the_network_runs_once(desk, tmp_path):
    desk.add("flower.jpg", flower(tmp_path))
    before, levels = show(desk).layer, desk.levels(ORDER)
    after = show(desk, context=0.9).layer
    assert np.abs(after - before).max() > 0.1
    assert desk.levels(ORDER) is levels
    assert show(desk, context=0.9).layer is after


def test_a_parameter_out_of_range_is_named(desk, tmp_path):
    desk.add("flower.jpg", flower(tmp_path))
    with pytest.raises(ValueError, match="radius must be"):
        show(desk, radius=0)


def test_a_stack_becomes_one_photograph(desk, tmp_path):
    for name in stack_of_seven(tmp_path):
        desk.add(Path(name).name, Path(name))
    view = show(desk, view="fused")
    sharp = sd.io.read_image(tmp_path / "frame3.png")
    assert view.top is None
    fused = read_image(saved(view, "_fused.png", tmp_path))
    np.testing.assert_allclose(fused[:, 102:122], sharp[:, 102:122], atol=6)
    depth = show(desk, view="depth")
    assert depth.top == 6
    assert [round(depth.at(x, 80)["frame"]) for x in (16, 112, 208)] == [1, 4, 7]


def test_frames_that_are_left_out_are_named(desk, tmp_path):
    for name in stack_of_seven(tmp_path):
        desk.add(Path(name).name, Path(name))
    Image.new("RGB", (224, 160)).save(tmp_path / "black.png")
    desk.add("black.png", tmp_path / "black.png")
    assert "'black.png' is left out" in show(desk, view="fused").note


@pytest.mark.parametrize(("make", "why"), [(corrupt, "damaged"), (bomb, "max_pixels")])
def test_what_the_command_line_refuses_is_refused_by_its_own_name(desk, tmp_path, make, why):
    with pytest.raises(ReadError, match=f"^'mine.png': .*{why}"):
        desk.add("mine.png", make(tmp_path))
    assert not desk.names


def test_work_on_photographs_that_were_replaced_ends(desk, tmp_path):
    desk.add("flower.jpg", flower(tmp_path))
    desk.closed = True
    with pytest.raises(ValueError, match="other photographs"):
        show(desk)


def test_stages_are_timed(tmp_path):
    seconds = {"Refining": 7.0}
    desk = Desk(tmp_path, fast_pipeline(), 250_000_000, seconds)
    desk.add("flower.jpg", flower(tmp_path))
    expected = []
    stages = desk._pipeline

    class Watched:
        def __getitem__(self, part):
            expected.append(desk.progress())
            return stages[part]

    desk._pipeline = Watched()
    show(desk)
    assert seconds["Refining"] != 7.0
    assert expected[0]["stage"] == "Reading"
    assert desk.progress()["stage"] == ""


def test_pictures_for_the_page_are_small(tmp_path):
    data, kind = encoded(np.zeros((300, 400), np.float32), 100, "PNG")
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == (100, 75)
    assert kind == "image/png"
    deep, _ = encoded(np.full((3, 4, 3), 65535, np.uint16), 0, "JPEG")
    with Image.open(io.BytesIO(deep)) as picture:
        assert np.asarray(picture).min() >= 254


def test_colors_are_those_of_the_colored_file(tmp_path):
    sigma = np.linspace(0, 4, 48, dtype=np.float32).reshape(6, 8)
    write_colored(tmp_path / "map.png", sigma)
    np.testing.assert_array_equal(read_image(tmp_path / "map.png"), colored(sigma, 4.0))
