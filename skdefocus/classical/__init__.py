"""Defocus maps without a network: focus measures, and σ from the blur of edges."""

from skdefocus.classical._edge_reblur import EdgeReblurEstimator
from skdefocus.classical._focus_measure import FocusMeasure

__all__ = [
    "EdgeReblurEstimator",
    "FocusMeasure",
]
