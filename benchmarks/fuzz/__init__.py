"""Fuzzing of what reads files of strangers: ``python -m benchmarks.fuzz`` (extra ``fuzz``)."""
