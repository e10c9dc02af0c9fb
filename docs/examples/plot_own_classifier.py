"""
A classifier of your own
========================

Any classifier can take the network's place. It has to turn a
:class:`~skdefocus.PatchGrid` into a :class:`~skdefocus.LevelGrid`, which a dozen lines around a
random forest do; the refinement does not know the difference.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import skdefocus as sd
from skdefocus.plotting import show_map


def describe(patches):
    """Spread of a patch at several scales, and of its gradients: (n, 32, 32) to (n, 10)."""
    columns = []
    for scale in (0.0, 0.7, 1.5, 3.0):
        smooth = ndimage.gaussian_filter(patches, (0, scale, scale))
        rows, cols = np.gradient(smooth, axis=(1, 2))
        columns += [smooth.std(axis=(1, 2)), np.hypot(rows, cols).mean(axis=(1, 2))]
    logs = np.log(np.stack(columns, axis=1) + 1e-4)
    # Ratios of neighbouring scales tell blur, whatever the contrast.
    return np.hstack([np.diff(logs[:, ::2], axis=1), np.diff(logs[:, 1::2], axis=1), logs[:, :4]])


class ForestLevels(TransformerMixin, BaseEstimator):
    """Levels of blur by a classifier that was fitted on patches."""

    def __init__(self, classifier, sigmas):
        self.classifier = classifier
        self.sigmas = sigmas

    def fit(self, X, y=None):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def transform(self, X):
        found = []
        for grid in X:
            patches = grid.patches.reshape(-1, grid.patch_size, grid.patch_size)
            proba = self.classifier.predict_proba(patches).astype(np.float32)
            proba = proba.reshape(*grid.shape, -1)
            found.append(sd.LevelGrid(grid.image, proba, self.sigmas, grid.step, grid.stacked))
        return found


# %%
# Patches with known blur are cut out of sharp photographs that were blurred.

sigmas = np.array([0.0, 0.7, 1.2, 1.8, 2.6, 4.0])
sharp = sd.datasets.sample_photographs()
X, y = [], []
for level, sigma in enumerate(sigmas):
    blurred = [sd.synthesis.blur(image, sigma) for image in sharp]
    for grid in sd.PatchExtractor(step=32).transform(blurred):
        patches = grid.patches.reshape(-1, 32, 32)
        X.append(patches)
        y.append(np.full(len(patches), level))
X, y = np.concatenate(X), np.concatenate(y)

forest = make_pipeline(
    FunctionTransformer(describe), RandomForestClassifier(100, min_samples_leaf=3, random_state=0)
)
forest.fit(X, y)

# %%
# In the same pipeline as the network, and on the same photograph.

pipe = sd.make_defocus_pipeline()
with_forest = make_pipeline(pipe["patches"], ForestLevels(forest, sigmas), pipe["refine"])
scene = sd.datasets.load_sample_scenes(256)[1]
maps = {
    "truth": scene.sigma,
    "random forest": with_forest.transform([scene.photograph])[0],
    "network": pipe.transform([scene.photograph])[0],
}

fig, axes = plt.subplots(1, 4, figsize=(11, 3), layout="constrained")
axes[0].imshow(scene.photograph, cmap="gray", vmin=0, vmax=1)
axes[0].set_axis_off()
axes[0].set_title("photograph")
for ax, (name, sigma) in zip(axes[1:], maps.items(), strict=True):
    show_map(sigma, ax=ax, vmax=4, colorbar=False)
    error = sd.metrics.sigma_mae([scene.sigma], [sigma])
    ax.set_title(name if name == "truth" else f"{name}, MAE {error:.2f} px")
plt.show()

# %%
# A fair word: the forest has seen these three textures, and nothing but these. On other
# photographs it is far worse, which is what the network's training data are for.
