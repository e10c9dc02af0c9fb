"""Blur-level networks in ONNX files: the only package that uses ONNX Runtime."""

from skdefocus.network._model_head import with_head
from skdefocus.network._runtime import (
    FORMAT,
    ModelFacts,
    checked_bytes,
    load_facts,
    model_path,
    release_memory,
    run,
)

__all__ = [
    "FORMAT",
    "ModelFacts",
    "checked_bytes",
    "load_facts",
    "model_path",
    "release_memory",
    "run",
    "with_head",
]
