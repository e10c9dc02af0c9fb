"""Hypothesis profiles: no deadline anywhere, no randomness where a red test must mean a change."""

import os

from hypothesis import HealthCheck, Phase, settings

import skdefocus  # noqa: F401  # before a test imports ONNX Runtime: see skdefocus.network

settings.register_profile(
    "default", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50
)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
# For mutants, of which it is enough to know that they fail.
settings.register_profile(
    "mutants", settings.get_profile("ci"), max_examples=8, phases=[Phase.generate]
)
settings.load_profile("ci" if os.environ.get("CI") else "default")
