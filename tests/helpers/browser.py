"""A browser without a window, for tests of pages; they are skipped where none is installed."""

import shutil
from contextlib import contextmanager

import pytest


@contextmanager
def chromium():
    """Chromium of playwright or, without that, of the system."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as tools:
        try:
            started = tools.chromium.launch()
        except api.Error:
            path = shutil.which("chromium") or shutil.which("google-chrome")
            if path is None:
                pytest.skip("no Chromium: python -m playwright install chromium")
            started = tools.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@contextmanager
def opened(path, width, height):
    """A page in the browser; at the end it has made no request and no complaint."""
    with chromium() as started:
        window = started.new_page(viewport={"width": width, "height": height})
        problems, requests = [], []
        window.on("pageerror", lambda error: problems.append(str(error)))
        window.on("console", lambda message: problems.append(message.text))
        window.on("request", lambda request: requests.append(request.url))
        window.goto(path.as_uri())
        yield window
        assert not problems
        assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]
