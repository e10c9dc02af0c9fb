"""
Choosing parameters by a grid search
====================================

You will see the error of sixteen candidates in a grid search, and a curve that shows whether the
best one also helps with scenes that the search has not seen. The steps of the pipeline are ordinary
estimators, so :class:`sklearn.model_selection.GridSearchCV` can tune them.
"""

# sphinx_gallery_thumbnail_number = 2

import tempfile

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV

import skdefocus as sd
from skdefocus.plotting import show_map

photographs = sd.datasets.sample_photographs(size=128)
kinds = ("plane", "layers", "soft", "thin", "flat")


def scenes(seeds):
    """Photographs made from sharp ones with a blur that is known at each pixel, and that blur."""
    made = [sd.datasets.make_scene(photographs, kinds[k % 5], random_state=k) for k in seeds]
    return [s.photograph for s in made], [s.sigma for s in made]


learned, unseen = scenes(range(10)), scenes(range(100, 110))
fig, axes = plt.subplots(2, 3, figsize=(6.4, 4.4), layout="constrained")
for column, image, sigma in zip(axes.T, *(part[1:4] for part in learned), strict=True):
    column[0].imshow(image, cmap="gray", vmin=0, vmax=1)
    column[0].set_axis_off()
    show_map(sigma, ax=column[1], vmax=5, colorbar=False)
plt.show()

# %%
# With ``memory`` the network runs only once per photograph, and only the refinement is computed
# again for each candidate. The score of the pipeline is minus the mean absolute error.

grid = {"refine__context": [0.0, 0.1, 0.3, 0.6], "refine__radius": [2, 4, 8, 16]}
with tempfile.TemporaryDirectory() as folder:
    pipe = sd.make_defocus_pipeline(memory=folder)
    search = GridSearchCV(pipe, grid).fit(*learned)
    curve = [
        [
            -search.best_estimator_.set_params(refine__context=context).score(*part)
            for context in grid["refine__context"]
        ]
        for part in (learned, unseen)
    ]
    default = -pipe.score(*unseen)
print(search.best_params_)

# %%
# The first figure shows the error of every candidate over the folds. The second one shows the
# validation curve of ``context`` at the best radius. Both curves fall and rise alike, so the
# result of the search holds beyond its own scenes.

errors = -search.cv_results_["mean_test_score"].reshape(4, 4)
constant = np.median(np.concatenate([sigma.ravel() for sigma in learned[1]]))
level = sd.metrics.sigma_mae(unseen[1], [np.full_like(sigma, constant) for sigma in unseen[1]])

fig, left = plt.subplots(figsize=(6.4, 4.6), layout="constrained")
shown = left.imshow(errors, cmap="viridis_r")
left.set_xticks(range(4), grid["refine__radius"])
left.set_yticks(range(4), grid["refine__context"])
left.set_xlabel("radius (pixels)")
left.set_ylabel("context")
for (row, column), error in np.ndenumerate(errors):
    ink = "white" if error > errors.mean() else "black"
    left.text(column, row, f"{error:.2f}", ha="center", va="center", color=ink)
fig.colorbar(shown, ax=left, label="MAE over the folds (pixels)")
plt.show()

fig, right = plt.subplots(figsize=(6.4, 4), layout="constrained")
for values, label in zip(curve, ("scenes of the search", "unseen scenes"), strict=True):
    right.plot(grid["refine__context"], values, marker="o", label=label)
right.axhline(default, color="gray", label="default, unseen")
right.axhline(level, color="gray", linestyle="--", label="a constant, unseen")
right.set_xlabel("context")
right.set_ylabel("MAE (pixels)")
right.legend()
plt.show()
