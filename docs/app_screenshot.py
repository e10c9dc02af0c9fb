"""Write docs/images/app.jpg, the picture of the app; needs the extra ``app``, and playwright."""

import shutil
import tempfile
import threading
from pathlib import Path
from queue import Queue
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import sync_playwright
from sklearn.datasets import load_sample_image

from skdefocus.app import serve

TARGET = Path(__file__).parent / "images" / "app.jpg"

address = Queue()
with TemporaryDirectory() as folder, sync_playwright() as started:
    tempfile.tempdir = folder
    threading.Thread(target=serve, kwargs={"ready": address.put}, daemon=True).start()
    photo = Path(folder) / "flower.png"
    Image.fromarray(load_sample_image("flower.jpg")).save(photo)
    browser = started.chromium.launch(executable_path=shutil.which("chromium"))
    page = browser.new_page(viewport={"width": 1010, "height": 690})
    page.goto(address.get())
    page.set_input_files("#photos", photo)
    page.wait_for_selector("#work", state="visible")
    page.wait_for_selector("#work", state="hidden")
    page.locator("#frame").hover(position={"x": 480, "y": 130})
    page.wait_for_selector("#at:has-text('σ')")
    page.screenshot(path=TARGET, type="jpeg", quality=88)
    browser.close()
