"""The pipeline from photographs to maps: a scikit-learn Pipeline and its stages."""

from skdefocus.pipeline._build import defocus_map, make_defocus_pipeline
from skdefocus.pipeline._build import pipeline_of_worker as pipeline_of_worker
from skdefocus.pipeline._build import release_memory as release_memory
from skdefocus.pipeline._classifier import BlurLevelClassifier
from skdefocus.pipeline._mapping import MAP as MAP
from skdefocus.pipeline._mapping import check_mapper as check_mapper
from skdefocus.pipeline._mapping import map_of as map_of
from skdefocus.pipeline._mapping import mapper_of as mapper_of
from skdefocus.pipeline._patches import PatchExtractor
from skdefocus.pipeline._records import LevelGrid, PatchGrid
from skdefocus.pipeline._refiner import WeightedGuidedRefiner

__all__ = [
    "BlurLevelClassifier",
    "LevelGrid",
    "PatchExtractor",
    "PatchGrid",
    "WeightedGuidedRefiner",
    "defocus_map",
    "make_defocus_pipeline",
]
