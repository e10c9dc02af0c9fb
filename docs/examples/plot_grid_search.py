"""
Choosing parameters by a grid search
====================================

You will tune the pipeline for a noisy camera. A grid search compares eighteen candidates by
cross-validation, and a learning curve shows how many photographs that takes. Both are judged on
textures that they have not seen. The steps of the pipeline are ordinary estimators, so
:class:`sklearn.model_selection.GridSearchCV` can tune them.
"""

# sphinx_gallery_thumbnail_number = 2

import tempfile

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut

import skdefocus as sd
from skdefocus.plotting import show_map

brick, grass, gravel = sd.datasets.sample_photographs(size=256)
kinds = ("plane", "layers", "soft", "thin", "flat")


def scenes(photograph, seeds):
    """Noisy photographs with a blur that is known at each pixel, and that blur."""
    parts = [photograph[i : i + 128, j : j + 128] for i in (0, 128) for j in (0, 128)]
    made = [sd.datasets.make_scene(parts, kinds[k % 5], random_state=k) for k in seeds]
    seen = [
        sd.synthesis.add_noise(s.photograph, 0.03, random_state=k)
        for k, s in zip(seeds, made, strict=True)
    ]
    return [image.clip(0, 1) for image in seen], [s.sigma for s in made]


first, second, unseen = (
    scenes(photograph, range(start, start + 10))
    for photograph, start in [(brick, 0), (grass, 10), (gravel, 100)]
)
images, maps = first[0] + second[0], first[1] + second[1]

fig, axes = plt.subplots(2, 3, figsize=(6.4, 4.4), layout="constrained")
for column, image, sigma in zip(axes.T, images[1:4], maps[1:4], strict=True):
    column[0].imshow(image, cmap="gray", vmin=0, vmax=1)
    column[0].set_axis_off()
    show_map(sigma, ax=column[1], vmax=5, colorbar=False)
plt.show()

# %%
# ``fit_head`` learns the last layer of the network anew from the true maps; ``context`` and
# ``radius`` belong to the refinement. Every fold of
# :class:`sklearn.model_selection.LeaveOneGroupOut` leaves one texture out. With ``memory`` the
# network runs only once per photograph for each last layer. The score of the pipeline is minus the
# mean absolute error.

grid = {
    "levels__fit_head": [False, True],
    "refine__context": [0.0, 0.1, 0.3],
    "refine__radius": [2, 4, 16],
}
texture = np.repeat(["brick", "grass"], 10)
with tempfile.TemporaryDirectory() as folder:
    pipe = sd.make_defocus_pipeline(memory=folder)
    search = GridSearchCV(pipe, grid, cv=LeaveOneGroupOut()).fit(images, maps, groups=texture)
print(search.best_params_)

errors = -search.cv_results_["mean_test_score"].reshape(2, 3, 3)
fig, axes = plt.subplots(1, 2, figsize=(6.4, 3.6), layout="constrained", sharey=True)
for axis, values, title in zip(axes, errors, ("network's layer", "learned layer"), strict=True):
    shown = axis.imshow(values, cmap="viridis_r", vmin=errors.min(), vmax=errors.max())
    axis.set(title=title, xlabel="radius (pixels)")
    axis.set_xticks(range(3), grid["refine__radius"])
    axis.set_yticks(range(3), grid["refine__context"])
    for (row, column), error in np.ndenumerate(values):
        ink = "white" if error > errors.mean() else "black"
        axis.text(column, row, f"{error:.2f}", ha="center", va="center", color=ink)
axes[0].set_ylabel("context")
fig.colorbar(shown, ax=axes, label="MAE over the folds (pixels)")
plt.show()

# %%
# The best candidate learns from more and more of the photographs, always half of each texture. The
# errors are those on the third texture, which no fold of the search has seen. Already a few
# photographs with true maps are better than the default.

counts = [2, 4, 8, 12, 20]
curve = []
best = search.best_estimator_.set_params(levels__memory=None)
for count in counts:
    some = [*range(count // 2), *range(10, 10 + count // 2)]
    best.fit([images[k] for k in some], [maps[k] for k in some])
    curve.append(-best.score(*unseen))
default = -sd.make_defocus_pipeline().score(*unseen)
constant = np.median(np.concatenate([sigma.ravel() for sigma in maps]))
level = sd.metrics.sigma_mae(unseen[1], [np.full_like(sigma, constant) for sigma in unseen[1]])

fig, axis = plt.subplots(figsize=(6.4, 4), layout="constrained")
axis.plot(counts, curve, marker="o", label="best candidate")
axis.axhline(default, color="gray", label="default")
axis.axhline(level, color="gray", linestyle="--", label="a constant")
axis.set(xlabel="photographs with true maps", ylabel="MAE on an unseen texture (pixels)")
axis.set_xticks(counts)
axis.set_ylim(0)
axis.legend()
plt.show()
