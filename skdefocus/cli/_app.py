"""The command that opens the page in the browser: app."""

from __future__ import annotations

import argparse
from typing import Any

from skdefocus.cli._arguments import UsageError, add_limit, add_model, command, number
from skdefocus.cli._photos import map_source


def add_app(commands: Any) -> None:
    """Add the command ``app``."""
    parser = command(
        commands,
        "app",
        _run_app,
        "Open a page in the browser for photographs and stacks.",
        "The page shows the map over the photograph and takes the values of the refinement and the "
        "effects from sliders. It is served to this machine alone, works without a network and "
        "sends nothing anywhere. It ends with Ctrl-C.",
    )
    parser.add_argument(
        "--port",
        type=number(int, 0),
        default=0,
        metavar="N",
        help="port on 127.0.0.1 (default: 0, any free one)",
    )
    parser.add_argument(
        "--no-browser",
        dest="browser",
        action="store_false",
        help="only print the address of the page",
    )
    add_model(parser)
    add_limit(parser)
    parser.set_defaults(jobs=1)


def _run_app(args: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C, which is not an error but the way to end it."""
    from skdefocus.app import serve
    from skdefocus.io import MAX_PIXELS

    def ready(address: str) -> None:
        """Tell the address, and open it."""
        import webbrowser

        print(f"{address} (Ctrl-C ends it)", flush=True)
        if args.browser:
            webbrowser.open(address)

    pipeline = map_source(args).pipeline
    try:
        serve(pipeline, port=args.port, max_pixels=args.max_pixels or MAX_PIXELS, ready=ready)
    except (ImportError, ValueError) as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise UsageError(f"--port {args.port}: {error.strerror}") from None
    except KeyboardInterrupt:
        print()
    return 0
