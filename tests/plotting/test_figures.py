"""Figures of maps: their contents and units, and no use of pyplot."""

import pickle
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

pytest.importorskip("matplotlib")

from skdefocus._images import to_gray
from skdefocus.plotting import overview, show_map, showcase

SIGMA = np.linspace(0, 3.2, 40 * 60).reshape(40, 60)
PHOTO = np.random.default_rng(0).random((40, 60, 3))


def test_map_alone():
    ax = show_map(SIGMA)
    (drawn,) = ax.images
    assert_array_equal(drawn.get_array(), SIGMA.astype(np.float32))
    assert drawn.get_clim() == (0, 3.5)
    bar = ax.figure.axes[1]
    assert "pixels" in bar.get_ylabel()
    assert "σ" in bar.get_ylabel()


def test_map_over_its_photograph():
    from matplotlib.figure import Figure

    mine = Figure().add_subplot()
    ax = show_map(SIGMA, PHOTO, ax=mine, vmax=2, colorbar=False, alpha=0.4)
    assert ax is mine
    below, above = ax.images
    assert_array_equal(below.get_array(), to_gray(PHOTO))
    assert above.get_alpha() == 0.4
    assert above.get_clim() == (0, 2)
    assert len(ax.figure.axes) == 1


def test_figures_have_no_more_pixels_than_they_can_show():
    sigma = np.zeros((1500, 3000), np.float32)
    sigma[:, 2900:] = 2
    ax = show_map(sigma, sigma / 2)
    for drawn in ax.images:
        assert drawn.get_array().shape == (500, 1000)
        assert drawn.get_extent() == [-0.5, 2999.5, 1499.5, -0.5]  # in pixels of the map
    assert (ax.get_xlim(), ax.get_ylim()) == ((-0.5, 2999.5), (1499.5, -0.5))
    assert ax.images[1].get_array()[0, -33:].min() == 2
    mine = show_map(sigma, ax=ax.figure.add_subplot())  # in the caller's axes, all pixels
    assert mine.images[0].get_array().shape == sigma.shape


@pytest.mark.parametrize("factor", [1, 50])
def test_the_status_bar_tells_sigma_under_the_cursor(factor):
    ax = show_map(np.repeat(np.repeat(SIGMA, factor, 0), factor, 1))
    x, y = (k * factor + factor // 2 for k in (17, 31))
    assert ax.format_coord(x + 0.3, y - 0.3) == f"x={x} y={y}  σ = {SIGMA[31, 17]:.2f} px"
    assert ax.format_coord(0, 0) == "x=0 y=0  σ = 0.00 px"
    assert ax.format_coord(-0.6, 5) == ax.format_coord(5, 40 * factor) == ""
    assert not any(drawn.mouseover for drawn in ax.images)  # it is told once


def test_figures_can_be_pickled():
    again = pickle.loads(pickle.dumps(show_map(SIGMA, PHOTO).figure))
    assert again.axes[0].format_coord(0, 0) == "x=0 y=0  σ = 0.00 px"


def test_sharp_photographs_do_not_show_noise_in_full_color():
    assert show_map(SIGMA * 0.01).images[0].get_clim() == (0, 1)


@pytest.mark.parametrize("shape", [(40, 60), (60, 10), (10, 200), (1, 1), (500, 3)])
def test_overview_has_three_panels_and_saves(tmp_path, shape):
    sigma = np.full(shape, 1.5)
    cells = np.full((-(-shape[0] // 8), -(-shape[1] // 8)), 0.5)
    figure = overview(np.zeros(shape), sigma, cells)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert [t.split(" ")[0] for t in titles if t] == ["Photograph", "Blur", "Confidence"]
    assert "pixels" in titles[1] + titles[2]
    figure.savefig(tmp_path / "overview.png")
    assert (tmp_path / "overview.png").stat().st_size > 1000


def test_without_confidence_there_are_two_panels():
    assert len(overview(PHOTO, SIGMA).axes) == 3


def test_the_overview_draws_the_map_over_the_photograph():
    below, above = overview(PHOTO, SIGMA).axes[1].images
    assert_array_equal(below.get_array(), np.sqrt(to_gray(PHOTO)))
    assert_array_equal(above.get_array(), SIGMA.astype(np.float32))
    assert 0.4 < above.get_alpha() < 0.8


def test_a_showcase_is_two_by_two_and_fits_a_small_screen():
    sigma = SIGMA.astype(np.float32)
    figure = showcase(PHOTO, sigma, np.full((10, 15), 0.5, np.float32), 1 - PHOTO, "Negative")
    pictures = [ax for ax in figure.axes if ax.get_title(loc="left")]
    assert len(pictures) == 4
    corners = {tuple(np.round(ax.get_position().p0, 2)) for ax in pictures}
    assert (len({x for x, _ in corners}), len({y for _, y in corners})) == (2, 2)
    negative = next(ax for ax in pictures if ax.get_title(loc="left") == "Negative")
    assert_allclose(negative.images[0].get_array(), 1 - PHOTO, rtol=1e-6)
    # On a screen 400 pixels wide the titles are still 8 pixels high.
    scale = 400 / (figure.get_figwidth() * figure.dpi)
    assert pictures[0].title.get_fontsize() * figure.dpi / 72 * scale >= 8


def test_pyplot_is_not_imported():
    import subprocess

    code = (
        "import sys, numpy as np; from skdefocus.plotting import show_map; "
        "show_map(np.ones((4, 4))); print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((np.zeros((2, 2, 3)),), {}, "sigma must have shape"),
        ((np.full((2, 2), "a"),), {}, "sigma must hold real numbers"),
        ((SIGMA, PHOTO[:10]), {}, "image must have the map's size"),
        ((SIGMA,), {"vmax": 0}, "vmax must be"),
        ((SIGMA,), {"alpha": 2}, "alpha must be"),
    ],
)
def test_wrong_input(arguments, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        show_map(*arguments, **options)


def test_without_matplotlib_the_message_tells_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"skdefocus\[plot\]"):
        show_map(SIGMA)
