"""The contact sheet: one scale for all maps, titles, and thumbnails only."""

import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from skdefocus.plotting import contact_sheet

SHAPES = [(40, 60), (60, 40, 3), (50, 50), (900, 600, 3)]
IMAGES = [np.full(shape, 0.5) for shape in SHAPES]
MAPS = [np.full(shape[:2], float(k)) for k, shape in enumerate(SHAPES)]


def test_photographs_stand_next_to_their_maps_with_one_scale():
    figure = contact_sheet(IMAGES, MAPS, names=["a.jpg", "b.jpg", "c" * 60, "d"], scores=range(4))
    drawn = [ax.images[0] for ax in figure.axes[:-1]]
    assert len(drawn) == 8
    for k, sigma in enumerate(drawn[1::2]):
        assert sigma.get_clim() == (0, 3)
        assert (sigma.get_array() == k).all()
    titles = [ax.get_title(loc="left") for ax in figure.axes[:-1:2]]
    assert titles[:2] == ["a.jpg  0.000", "b.jpg  1.000"]
    assert len(titles[2]) == 27 + len("  2.000")
    assert "σ" in figure.axes[-1].get_ylabel()
    assert max(drawn[-1].get_array().shape) == 360


def test_images_are_taken_one_at_a_time():
    taken = []

    def images():
        for k, image in enumerate(IMAGES):
            taken.append(k)
            yield image

    def maps():
        for k, sigma in enumerate(MAPS):
            assert taken == list(range(k + 1))
            yield sigma

    figure = contact_sheet(images(), maps(), columns=1, vmax=2)
    assert figure.axes[1].images[0].get_clim() == (0, 2)
    assert figure.axes[-1].get_title() == ""


def test_it_is_drawn_into_a_figure_of_ones_own():
    from matplotlib.figure import Figure

    mine = Figure(figsize=(5, 5))
    assert contact_sheet(IMAGES, MAPS, figure=mine) is mine
    assert len(mine.axes) == 9


def test_it_is_saved(tmp_path):
    contact_sheet(IMAGES[:1], MAPS[:1]).savefig(tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([], []), {}, "images is empty"),
        ((IMAGES, MAPS[:2]), {}, "images has more than the 2 of maps"),
        ((IMAGES, MAPS[::-1]), {}, r"images\[0\] must have the map's size, maps\[0\]'s"),
        ((IMAGES, MAPS), {"names": ["a"]}, "names must hold 4"),
        ((IMAGES, MAPS), {"scores": [1]}, "scores must hold 4"),
        ((IMAGES, MAPS), {"columns": 0}, "columns must be"),
        ((IMAGES, MAPS), {"vmax": -1}, "vmax must be"),
    ],
)
def test_wrong_input(arguments, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        contact_sheet(*arguments, **options)


def test_without_matplotlib_the_message_tells_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"skdefocus\[plot\]"):
        contact_sheet(IMAGES, MAPS)
