"""The public estimators, one of each, with parameters that save time."""

import pytest

import skdefocus as sd

ESTIMATORS = [
    sd.PatchExtractor(step=16),
    sd.BlurLevelClassifier(n_threads=1),
    sd.WeightedGuidedRefiner(),
    sd.FocusMeasure(),
    sd.EdgeReblurEstimator(),
    sd.DefocusFeatures(estimator=sd.EdgeReblurEstimator()),
    sd.FocusFuser(sigma_weight=0),
    sd.DefocusMagnifier(estimator=sd.EdgeReblurEstimator()),
    sd.AdaptiveSharpener(estimator=sd.EdgeReblurEstimator()),
]
each_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
