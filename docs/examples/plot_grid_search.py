"""
Choosing parameters by a grid search
====================================

The steps are ordinary estimators, so :class:`sklearn.model_selection.GridSearchCV` tunes them,
against true maps or against focus masks.
"""

import tempfile

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV

import skdefocus as sd
from skdefocus.plotting import show_map

scenes = sd.datasets.load_sample_scenes(size=256)
images = [scene.photograph for scene in scenes]
truth = [scene.sigma for scene in scenes]

# %%
# Every one of these photographs was made from sharp ones with a blur that is known at each pixel.

fig, axes = plt.subplots(2, len(scenes), figsize=(10, 4), layout="constrained")
for column, scene in zip(axes.T, scenes, strict=True):
    column[0].imshow(scene.photograph, cmap="gray", vmin=0, vmax=1)
    column[0].set_axis_off()
    show_map(scene.sigma, ax=column[1], vmax=4, colorbar=False)
plt.show()

# %%
# With ``memory`` the network runs once per photograph, whatever the number of candidates: only
# the refinement is computed again.

grid = {"refine__radius": [4, 8, 16, 32], "refine__eps": [1e-5, 3e-4, 1e-2]}
with tempfile.TemporaryDirectory() as folder:
    search = GridSearchCV(
        sd.make_defocus_pipeline(memory=folder), grid, scoring=sd.metrics.neg_sigma_mae, cv=5
    )
    search.fit(images, truth)
print(search.best_params_)

# %%
# The mean absolute error in pixels over the folds. The answer holds for photographs like these,
# small and made of three textures: a search needs photographs like those it is for.

errors = -search.cv_results_["mean_test_score"].reshape(3, 4)
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
shown = ax.imshow(errors, cmap="viridis_r")
ax.set_xticks(range(4), grid["refine__radius"])
ax.set_yticks(range(3), grid["refine__eps"])
ax.set_xlabel("radius (pixels)")
ax.set_ylabel("eps")
for (row, column), error in np.ndenumerate(errors):
    ink = "white" if error > errors.mean() else "black"
    ax.text(column, row, f"{error:.3f}", ha="center", va="center", color=ink)
fig.colorbar(shown, ax=ax, label="MAE (pixels)")
plt.show()
