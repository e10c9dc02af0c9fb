"""Benchmarks: accuracy, speed and memory, reliability, fuzzing."""

import skdefocus  # noqa: F401  # before a benchmark imports ONNX Runtime: see skdefocus.network
