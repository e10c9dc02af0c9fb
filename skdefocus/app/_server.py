"""The server of the page, which listens to this machine alone."""

from __future__ import annotations

import json
from pathlib import Path
from secrets import token_hex
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from skdefocus.app._desk import REFINEMENT, Desk
from skdefocus.app._view import View, encoded
from skdefocus.app._views import VIEWS
from skdefocus.effects import AdaptiveSharpener, DefocusMagnifier
from skdefocus.plotting import ALPHA, colored

#: The only address that is listened to.
HOST = "127.0.0.1"
PAGE = Path(__file__).with_name("page")
#: Largest size of a file in bytes per pixel allowed: four channels of 32 bits.
BYTES_PER_PIXEL = 16
#: Seconds per megapixel that a stage is expected to take until one has been timed.
SECONDS = {"Looking for blur": 1, "Refining": 0.5, "Blurring": 3, "Sharpening": 3, "Fusing": 3}
#: The browser itself refuses whatever the page would load from elsewhere.
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def make_server(pipeline: Any, folder: Path, max_pixels: int) -> uvicorn.Server:
    """Make the server of the page."""
    # Other sites cannot reach it by a name of their own that leads to this machine, nor make it do
    # anything: browsers ask before a PUT to another site, and get no leave.
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    errors: Any = dict.fromkeys((ValueError, TypeError, LookupError, OSError, MemoryError), _told)
    routes = _Site(pipeline, folder, max_pixels).routes()
    app = Starlette(routes=routes, middleware=[hosts], exception_handlers=errors)
    return uvicorn.Server(
        uvicorn.Config(app, log_level="warning", lifespan="off", ws="none", server_header=False)
    )


class _Site:
    """Answers to the page's requests, about the photographs that were dropped last."""

    def __init__(self, pipeline: Any, folder: Path, max_pixels: int) -> None:
        self._pipeline, self._folder, self._max_pixels = pipeline, folder, max_pixels
        self._seconds: dict[str, float] = dict(SECONDS)
        self._desk = self._new_desk()

    def routes(self) -> list[BaseRoute]:
        """List the addresses."""
        return [
            Route("/", lambda request: FileResponse(PAGE / "index.html", headers=HEADERS)),
            Route("/bar.png", _bar),
            Route("/desk", self.open, methods=["PUT"]),
            Route("/desk/{id}/photo", self.add, methods=["PUT"]),
            Route("/desk/{id}/view", self.show, methods=["PUT"]),
            Route("/desk/{id}/progress", self.progress),
            Route("/desk/{id}/layer", self.layer),
            Route("/desk/{id}/at", self.at),
            Route("/desk/{id}/file", self.file),
            Mount("/", StaticFiles(directory=PAGE)),
        ]

    def open(self, request: Request) -> Response:
        """Forget the photographs, and tell the page what it begins with."""
        self._desk.closed = True  # work that goes on ends at its next stage
        rmtree(self._desk.folder, ignore_errors=True)
        self._desk = self._new_desk()
        values = {name: getattr(self._pipeline[-1], name) for name in REFINEMENT}
        values |= {"strength": DefocusMagnifier().strength, "amount": AdaptiveSharpener().amount}
        limit = BYTES_PER_PIXEL * self._max_pixels
        return JSONResponse(
            {"id": self._desk.id, "max_bytes": limit, "values": values, "share": 100 * ALPHA}
        )

    async def add(self, request: Request) -> Response:
        """Take a photograph; its bytes go to the disk as they come."""
        desk, name = self._desk_of(request), request.query_params["name"]
        path = desk.folder / (token_hex(8) + Path(name).suffix.replace("\0", ""))
        size = 0
        try:
            with path.open("wb") as file:
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > BYTES_PER_PIXEL * self._max_pixels:
                        raise ValueError(f"{name!r}: the file is too large")
                    file.write(chunk)
            return JSONResponse(await run_in_threadpool(desk.add, name, path))
        except Exception:
            path.unlink(missing_ok=True)
            raise

    def show(self, request: Request) -> Response:
        """Make a view, and describe it."""
        order = json.loads(request.query_params["order"])
        make = VIEWS[order["view"]]
        return JSONResponse(self._desk_of(request).show(lambda desk: make(desk, order)).facts())

    def progress(self, request: Request) -> Response:
        """Tell how far the work is."""
        return JSONResponse(self._desk_of(request).progress())

    def layer(self, request: Request) -> Response:
        """Draw the photograph or the layer over it."""
        query = request.query_params
        data, kind = self._view_of(request).drawn(query["layer"] == "above", int(query["size"]))
        return Response(data, media_type=kind, headers=HEADERS)

    def at(self, request: Request) -> Response:
        """Tell the values at a pixel."""
        query = request.query_params
        return JSONResponse(self._view_of(request).at(int(query["x"]), int(query["y"])))

    def file(self, request: Request) -> Response:
        """Send a file of the view, under the name of its photograph."""
        ending = request.query_params["ending"]
        view, path = self._view_of(request), self._desk.folder / f"{token_hex(8)}{ending[-5:]}"
        view.files[ending](path)
        name = Path(request.query_params["name"]).stem + ending
        return FileResponse(path, filename=name, background=BackgroundTask(path.unlink))

    def _new_desk(self) -> Desk:
        folder = Path(mkdtemp(dir=self._folder))
        return Desk(folder, self._pipeline, self._max_pixels, self._seconds)

    def _desk_of(self, request: Request) -> Desk:
        """Return the photographs that a request is about; ValueError if others were dropped."""
        if request.path_params["id"] != self._desk.id:
            raise ValueError("other photographs were opened in another tab; open these once more")
        return self._desk

    def _view_of(self, request: Request) -> View:
        """Return the view that a request is about."""
        view = self._desk_of(request).view
        if view is None:
            raise ValueError("there is no view yet")
        return view


def _bar(request: Request) -> Response:
    """Draw the colors of maps."""
    data, kind = encoded(colored(np.linspace(0, 1, 256, dtype=np.float32)[None], 1.0), 0, "PNG")
    return Response(data, media_type=kind)


def _told(request: Request, error: Exception) -> Response:
    """Answer with an error for the page to show."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return JSONResponse({"error": text or type(error).__name__}, status_code=422)
