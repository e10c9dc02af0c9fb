"""The way into the app; the web's libraries are imported only here, when it is called."""

from __future__ import annotations

import socket
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from skdefocus._validation import check_int
from skdefocus.io import MAX_PIXELS
from skdefocus.pipeline import make_defocus_pipeline

#: Packages of the extra.
NEEDED = ("starlette", "uvicorn", "matplotlib")


def serve(
    pipeline: Any = None,
    *,
    port: int = 0,
    max_pixels: int = MAX_PIXELS,
    ready: Callable[[str], Any] = print,
) -> None:
    """Serve the page to browsers on this machine, until Ctrl-C.

    Photographs that are dropped on the page are copied to a temporary folder, which is removed at
    the end. Nothing else is written, and nothing is sent to other machines.

    Parameters
    ----------
    pipeline : Pipeline or None, default=None
        Makes the maps; None is :func:`skdefocus.make_defocus_pipeline`.
    port : int, default=0
        Port on 127.0.0.1; 0 takes a free one.
    max_pixels : int, default=250_000_000
        Photographs with more pixels are refused.
    ready : callable, default=print
        Called with the address of the page once it can be opened.

    Raises
    ------
    ImportError
        If the extra ``app`` is not installed.
    OSError
        If the port is in use, or may not be used.
    TypeError, ValueError
        If `port` or `max_pixels` is not an integer, or out of range.
    """
    port = check_int(port, "port", 0, 65535)
    max_pixels = check_int(max_pixels, "max_pixels", 1)
    for name in NEEDED:
        if find_spec(name) is None:
            raise ImportError(
                f'the app needs {name}, which is not installed: pip install "skdefocus[app]"'
            )
    from skdefocus.app._server import HOST, make_server

    with (
        TemporaryDirectory(prefix="skdefocus-", ignore_cleanup_errors=True) as folder,
        socket.create_server((HOST, port)) as listener,
    ):
        server = make_server(pipeline or make_defocus_pipeline(), Path(folder), max_pixels)
        ready(f"http://{HOST}:{listener.getsockname()[1]}/")
        server.run(sockets=[listener])
