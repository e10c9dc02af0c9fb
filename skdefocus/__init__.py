"""Defocus maps in pixels from a single photograph, as scikit-learn estimators."""

from skdefocus import datasets, filters, metrics, optics, synthesis
from skdefocus.classical import EdgeReblurEstimator, FocusMeasure
from skdefocus.classifier import BlurLevelClassifier
from skdefocus.features import DefocusFeatures
from skdefocus.fuse import FocusFuser, FusionResult
from skdefocus.magnify import DefocusMagnifier
from skdefocus.patches import PatchExtractor
from skdefocus.pipeline import defocus_map, make_defocus_pipeline
from skdefocus.records import LevelGrid, PatchGrid
from skdefocus.refine import WeightedGuidedRefiner
from skdefocus.sharpen import AdaptiveSharpener

__version__ = "0.1.0"

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
    "make_defocus_pipeline",
    "metrics",
    "optics",
    "synthesis",
]
