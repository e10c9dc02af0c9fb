"""Defocus maps without a network: focus measures, and σ estimated at edges."""

from skdefocus.classical._edge_reblur import EdgeReblurEstimator
from skdefocus.classical._focus_measure import FocusMeasure

__all__ = [
    "EdgeReblurEstimator",
    "FocusMeasure",
]
