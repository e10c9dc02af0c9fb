"""Blur-level networks in ONNX files: the only package that uses ONNX Runtime."""

import os

# From 1.29 on, ONNX Runtime reports to its maker as soon as it is imported, from a thread that a
# forked child waits for at its end. It decides when it is imported: this has to be set before.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from skdefocus.network._metadata import FORMAT, ModelFacts
from skdefocus.network._model_head import with_head
from skdefocus.network._runtime import (
    checked_bytes,
    load_facts,
    model_path,
    release_memory,
    run,
    run_patches,
)

__all__ = [
    "FORMAT",
    "ModelFacts",
    "checked_bytes",
    "load_facts",
    "model_path",
    "release_memory",
    "run",
    "run_patches",
    "with_head",
]
