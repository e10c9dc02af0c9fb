"""A browser without a window, for tests of pages; they are skipped where none is installed."""

import shutil
from contextlib import contextmanager

import pytest


@contextmanager
def browser():
    """Chromium, of the system or of playwright."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    installed = shutil.which("chromium") or shutil.which("google-chrome")
    with api.sync_playwright() as tools:
        try:
            started = tools.chromium.launch(executable_path=installed, args=["--no-sandbox"])
        except api.Error as error:
            pytest.skip(f"no Chromium can be started: {str(error).splitlines()[0]}")
        yield started
        started.close()


@contextmanager
def opened(path, width, height):
    """A page in the browser; at the end it has made no request and no complaint."""
    with browser() as started:
        window = started.new_page(viewport={"width": width, "height": height})
        problems, requests = [], []
        window.on("pageerror", lambda error: problems.append(str(error)))
        window.on("console", lambda message: problems.append(message.text))
        window.on("request", lambda request: requests.append(request.url))
        window.goto(path.as_uri())
        yield window
        assert not problems
        assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]
