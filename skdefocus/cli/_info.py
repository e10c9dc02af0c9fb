"""The command that prints versions and the facts of the network."""

from __future__ import annotations

import argparse
from typing import Any

from skdefocus.cli._arguments import UsageError, add_model, command


def add_info(commands: Any) -> None:
    """Add the command ``info``."""
    parser = command(
        commands,
        "info",
        _run_info,
        "Print versions and the facts of the network.",
        "Add the output to a bug report.",
    )
    add_model(parser)


def _run_info(args: argparse.Namespace) -> int:
    """Print versions and facts."""
    import platform
    from importlib.metadata import version

    from skdefocus import network
    from skdefocus._version import __version__

    try:
        facts = network.load_facts(network.model_path(args.model))
    except ValueError as error:
        raise UsageError(str(error)) from None
    packages = ("numpy", "scipy", "scikit-learn", "scikit-image", "onnxruntime", "pillow")
    lines = {
        "skdefocus": __version__,
        "python": f"{platform.python_version()} on {platform.platform()}",
        **{name: version(name) for name in packages},
        "model": facts.path,
        "sha256": facts.digest,
        "levels": f"{len(facts.sigmas)}, σ {' '.join(f'{s:.3g}' for s in facts.sigmas)} pixels",
        **{f"  {key}": " ".join(text.split()) for key, text in sorted(facts.metadata.items())},
    }
    del lines["  sigmas"]  # already in the levels
    width = max(map(len, lines)) + 2
    for key, value in lines.items():
        print(f"{key:{width}}{value}")
    return 0
