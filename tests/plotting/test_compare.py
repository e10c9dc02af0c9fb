"""The comparison under a slider: a page that needs nothing else, and the right σ in it."""

import base64
import html
import re
import zlib
from io import BytesIO

import numpy as np
import pytest
from helpers.browser import opened
from PIL import Image

from skdefocus.plotting import MapComparison, compare
from skdefocus.plotting._compare import NO_VALUE, STEPS

SIGMA = np.linspace(0, 12, 40 * 60, dtype=np.float32).reshape(40, 60)
PHOTO = np.random.default_rng(0).random((40, 60, 3))


def pictures(page):
    data = re.findall(r'src="data:image/jpeg;base64,([\w+/=]+)"', page)
    return [np.asarray(Image.open(BytesIO(base64.b64decode(text)))) for text in data]


def decoded(page):
    """σ as the page's script computes it."""
    columns, rows = map(int, re.search(r"valueColumns = (\d+), valueRows = (\d+)", page).groups())
    packed = base64.b64decode(re.search(r'atob\("([\w+/=]+)"\)', page)[1])
    codes = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(rows, columns)
    return np.where(codes == NO_VALUE, np.nan, (2.0 ** (codes / STEPS) - 1) / 2)


def test_the_page_holds_both_pictures_and_sigma():
    page = compare(PHOTO, SIGMA).page
    photograph, colors = pictures(page)
    assert photograph.shape == colors.shape == (40, 60, 3)
    assert colors[0, 0].sum() < 60  # sharp is dark
    assert colors[-1, -1].sum() > 500
    np.testing.assert_allclose(decoded(page), SIGMA, rtol=0.02, atol=0.02)
    assert "12 px" in page
    assert "{{" not in page


def test_values_beyond_the_scale_and_unknown_ones():
    sigma = SIGMA.copy()
    sigma[0, 0], sigma[-1, -1] = np.nan, 500
    found = decoded(compare(PHOTO, sigma, vmax=3).page)
    assert np.isnan(found[0, 0])
    assert found[-1, -1] == pytest.approx(88, abs=1)


def test_large_photographs_are_shrunk():
    sigma = np.repeat(np.repeat(SIGMA, 50, 0), 50, 1)
    page = compare(np.zeros((2000, 3000), np.uint16), sigma).page
    assert pictures(page)[0].shape == (853, 1280)
    assert decoded(page).shape == (320, 480)
    assert "columns = 3000, rows = 2000" in page
    np.testing.assert_allclose(decoded(page).mean(), SIGMA.mean(), rtol=0.01)


def test_a_notebook_gets_a_frame_of_its_own():
    comparison = compare(PHOTO, SIGMA, width=300)
    assert isinstance(comparison, MapComparison)
    frame = comparison._repr_html_()
    assert html.unescape(re.search(r'srcdoc="([^"]*)"', frame)[1]) == comparison.page
    assert 'sandbox="allow-scripts"' in frame
    assert "max-width:300px;height:256px" in frame
    assert repr(comparison).startswith("MapComparison(300 x 256 pixels, ")


def test_it_makes_no_requests():
    page = re.sub(r"data:image/jpeg;base64,[\w+/=]+", "", compare(PHOTO, SIGMA).page)
    assert not re.findall(r"https?:|url\(|@import|fetch\(", page)
    assert "default-src 'none'" in page


def test_sigma_under_the_cursor_in_a_browser(tmp_path):
    page = tmp_path / "compare.html"
    page.write_text(compare(PHOTO, SIGMA).page, "utf-8")
    with opened(page, 300, 280) as window:
        window.wait_for_function("codes !== null")
        for row, column in ((0, 0), (20, 30), (39, 59)):
            window.mouse.move(5 * column + 2, 5 * row + 2)
            text = window.inner_text("#value")
            sigma, x, y = re.fullmatch(r"σ = ([\d.]+) px at x = (\d+), y = (\d+)", text).groups()
            assert (int(y), int(x)) == (row, column)
            assert float(sigma) == pytest.approx(SIGMA[row, column], rel=0.02, abs=0.02)
        window.focus("#slider")
        window.keyboard.press("Home")
        split = "getComputedStyle(document.documentElement).getPropertyValue('--split')"
        assert window.evaluate(split) == "0%"
        window.mouse.move(150, 100)
        window.mouse.down()
        assert float(window.input_value("#slider")) == 50


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((PHOTO[:10], SIGMA), {}, "image must have the map's size"),
        ((PHOTO, SIGMA[None]), {}, "sigma must have shape"),
        ((PHOTO, SIGMA), {"vmax": 0}, "vmax must be"),
        ((PHOTO, SIGMA), {"width": 10}, "width must be from 160"),
    ],
)
def test_wrong_input(arguments, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        compare(*arguments, **options)
