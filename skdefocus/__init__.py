"""Defocus maps in pixels from a single photograph, as scikit-learn estimators."""

from skdefocus import datasets, filters, metrics, optics, synthesis
from skdefocus._version import __version__ as __version__
from skdefocus.classical import EdgeReblurEstimator, FocusMeasure
from skdefocus.effects import AdaptiveSharpener, DefocusMagnifier, magnify, sharpen
from skdefocus.features import DefocusFeatures
from skdefocus.fusion import FocusFuser, FusionResult
from skdefocus.pipeline import (
    BlurLevelClassifier,
    LevelGrid,
    PatchExtractor,
    PatchGrid,
    WeightedGuidedRefiner,
    defocus_map,
    make_defocus_pipeline,
)

__all__ = [
    "AdaptiveSharpener",
    "BlurLevelClassifier",
    "DefocusFeatures",
    "DefocusMagnifier",
    "EdgeReblurEstimator",
    "FocusFuser",
    "FocusMeasure",
    "FusionResult",
    "LevelGrid",
    "PatchExtractor",
    "PatchGrid",
    "WeightedGuidedRefiner",
    "datasets",
    "defocus_map",
    "filters",
    "magnify",
    "make_defocus_pipeline",
    "metrics",
    "optics",
    "sharpen",
    "synthesis",
]
