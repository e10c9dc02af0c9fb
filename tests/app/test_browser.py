"""The page in a real browser, at the widths of a desk and of a telephone."""

import base64
import time

import numpy as np
import pytest
from helpers.app_cases import bomb, corrupt, fast_pipeline, flower, running, stack_of_seven
from helpers.browser import chromium
from PIL import Image

from skdefocus import make_defocus_pipeline
from skdefocus.io import read_image, read_map
from skdefocus.plotting import ALPHA

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("matplotlib")
pytest.importorskip("playwright.sync_api")

WIDTHS = (1300, 400)
#: Milliseconds that anything may take, on a busy machine as well.
PATIENCE = 90_000


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture
def pages(browser):
    """Makes pages, and checks in the end that they asked nobody else and had no errors."""
    made, requests, errors = [], [], []

    def make(port, width):
        page = browser.new_page(viewport={"width": width, "height": 850})
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: requests.append((port, request.url)))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"http://127.0.0.1:{port}/")
        made.append(page)
        return page

    yield make
    for page in made:
        page.close()
    assert errors == []
    assert len(requests) > 5
    for port, address in requests:
        assert address.startswith((f"http://127.0.0.1:{port}/", "data:"))


def open_photos(page, *paths):
    page.set_input_files("#photos", [str(path) for path in paths])
    page.wait_for_selector("#work", state="visible")
    page.wait_for_selector("#work", state="hidden")


def drop(page, name, path):
    """Drop a file on the page, as from another window."""
    dropped = page.evaluate_handle(
        "([name, data]) => { const dropped = new DataTransfer();"
        " const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));"
        " dropped.items.add(new File([bytes], name)); return dropped; }",
        [name, base64.b64encode(path.read_bytes()).decode()],
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": dropped})
    page.wait_for_selector("#work", state="visible")
    page.wait_for_selector("#work", state="hidden")


def choose(page, view):
    with page.expect_response(lambda answer: "layer=above" in answer.url):
        page.select_option("[name=view]", view)
    page.wait_for_selector("#work", state="hidden")


def slide(page, name, value):
    """Move a slider, and let go of it."""
    page.locator(name).evaluate(
        "(slider, value) => { slider.value = value;"
        " for (const kind of ['input', 'change'])"
        " slider.dispatchEvent(new Event(kind, { bubbles: true })); }",
        value,
    )


def save(page, text, folder):
    with page.expect_download() as download:
        page.click(f"#files a:has-text('{text}')")
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def fits(page, width):
    """Tell whether nothing is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_a_photograph_from_the_upload_to_the_download(pages, tmp_path, width):
    path = flower(tmp_path)
    with running(make_defocus_pipeline(), tmp_path) as port:
        page = pages(port, width)
        open_photos(page, path)
        assert fits(page, width)
        sigma = read_map(save(page, "flower_sigma.tif", tmp_path))
        np.testing.assert_array_equal(
            sigma, make_defocus_pipeline().transform([read_image(path)])[0]
        )
        box = page.locator("#frame").bounding_box()
        at = {"x": 0.1 * box["width"], "y": 0.2 * box["height"]}
        page.locator("#frame").hover(position=at)
        page.wait_for_selector("#at:has-text('σ')")
        told = page.inner_text("#at")
        x, y = (int(part.split()[1]) for part in told.split(",")[:2])
        assert abs(x - 64) <= 2
        assert abs(y - 85) <= 2
        assert f"σ {sigma[y, x]:.2f} px" in told
        before = page.locator("#above").get_attribute("src")
        with page.expect_response(lambda answer: "layer=above" in answer.url):
            slide(page, "[name=radius]", 32)
        page.wait_for_selector("#work", state="hidden")
        assert page.locator("#above").get_attribute("src") != before
        assert page.inner_text("label:has([name=radius]) output") == "32"
        assert np.abs(read_map(save(page, "flower_sigma.tif", tmp_path)) - sigma).max() > 0.1
        choose(page, "magnified")
        assert fits(page, width)
        with Image.open(save(page, "flower_magnified.jpg", tmp_path)) as picture:
            assert picture.size == (640, 427)


def test_the_slider_fades_and_splits(pages, tmp_path):
    with running(fast_pipeline(), tmp_path) as port:
        page = pages(port, 1300)
        open_photos(page, flower(tmp_path))

        def style(name):
            return page.locator("#above").evaluate(
                "(picture, name) => getComputedStyle(picture)[name]", name
            )

        assert style("opacity") == str(ALPHA)
        slide(page, "#share", 20)
        assert style("opacity") == "0.2"
        page.select_option("#how", "split")
        assert style("opacity") == "1"
        assert "80%" in style("clipPath")
        with page.expect_response(lambda answer: "size=0" in answer.url):
            page.check("#actual")
        assert page.locator("#below").bounding_box()["width"] == 640


def test_a_stack_of_seven_and_a_bad_frame(pages, tmp_path):
    frames = stack_of_seven(tmp_path)
    with running(fast_pipeline(), tmp_path) as port:
        page = pages(port, 400)
        open_photos(page, *frames, corrupt(tmp_path))
        assert "'corrupt.png': it is damaged" in page.inner_text("#errors")
        assert page.locator("[name=photo] option").count() == 7
        fused = read_image(save(page, "frame0_fused.png", tmp_path))
        assert fused.shape[2] == 3
        choose(page, "depth")
        assert "frame 7" in page.inner_text("#legend")
        choose(page, "blur")
        assert "σ = " in page.inner_text("#legend")


def test_large_photographs_with_progress_and_larger_ones_refused(pages, tmp_path):
    with running(fast_pipeline(32), tmp_path) as port:
        page = pages(port, 1300)
        told = []
        page.expose_function("told", lambda text: told.append(text))
        page.evaluate(
            "new MutationObserver(() => told(document.querySelector('#work').innerText))"
            ".observe(document.querySelector('#work'), { childList: true, subtree: true })"
        )
        open_photos(page, flower(tmp_path, shape=(4000, 6000)), bomb(tmp_path))
        errors = page.inner_text("#errors")
        assert errors.startswith("'bomb.png': ")
        assert "max_pixels" in errors
        assert "flower.jpg (6000 × 4000)" in page.inner_text("[name=photo]")
        assert page.locator("#below").evaluate("picture => picture.naturalWidth") == 1600
        assert any("Refining" in text and " s" in text for text in told)
        assert read_map(save(page, "flower_sigma.tif", tmp_path)).shape == (4000, 6000)
        assert fits(page, 1300)


def test_bad_files_alone_leave_the_page_ready_for_others(pages, tmp_path):
    with running(fast_pipeline(), tmp_path) as port:
        page = pages(port, 400)
        open_photos(page, corrupt(tmp_path))
        assert page.inner_text("#errors").startswith("'corrupt.png': ")
        assert page.is_hidden("#order")
        assert fits(page, 400)
        drop(page, "flower σ.jpg", flower(tmp_path))
        assert page.inner_text("#errors") == ""
        assert page.is_visible("#order")
        assert page.inner_text("[name=photo]") == "flower σ.jpg (640 × 427)"


def test_other_photographs_end_the_work_on_those_before(pages, tmp_path):
    class Slow:
        def __init__(self, stage):
            self.stage = stage

        def transform(self, X):
            time.sleep(1)
            return self.stage.transform(X)

    pipeline = fast_pipeline()
    pipeline.steps.insert(0, ("wait", Slow(pipeline[0])))
    pipeline.steps.pop(1)
    with running(pipeline, tmp_path) as port:
        page = pages(port, 1300)
        page.set_input_files("#photos", str(flower(tmp_path, "first.jpg")))
        page.wait_for_selector("#work:has-text('Looking')")
        assert page.is_hidden("#shown")  # nothing to see yet
        open_photos(page, flower(tmp_path, "second.jpg"))
        page.wait_for_selector("#files a:has-text('second_sigma.tif')")
        assert page.inner_text("#errors") == ""
