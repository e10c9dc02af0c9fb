"""Blur-level networks in ONNX files: the only package that uses ONNX Runtime."""

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
