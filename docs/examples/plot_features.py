"""
Defocus features in a larger pipeline
=====================================

You will see a classifier tell photographs that are focused on the left from those that are focused
on the right, and which features it uses. :class:`~skdefocus.features.DefocusFeatures` turns each
photograph, of any size, into one row of numbers for any estimator.
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import skdefocus as sd
from skdefocus.features import DefocusFeatures

# %%
# The task: was the camera focused on the left or on the right of the picture? The photographs are
# crops with a blur that grows to one side.

rng = np.random.default_rng(0)
sources = [image / 255.0 for image in load_sample_images().images]
X, y = [], []
for i in range(24):
    top, left = rng.integers(0, 427 - 96), rng.integers(0, 640 - 128)
    crop = sources[i % 2][top : top + 96, left : left + 128]
    ramp = np.broadcast_to(np.linspace(0, 3, 128), (96, 128))
    focused_right = int(rng.integers(2))
    X.append(sd.synthesis.blur_varying(crop, ramp[:, ::-1] if focused_right else ramp))
    y.append(["left", "right"][focused_right])

fig, axes = plt.subplots(2, 2, figsize=(6.4, 5.4), layout="constrained")
for ax, image, label in zip(axes.ravel(), X, y, strict=False):
    ax.imshow(image.clip(0, 1))
    ax.set_axis_off()
    ax.set_title(f"focused {label}")
plt.show()

# %%
# One model uses both the statistics of the maps and plain statistics of the colors.


def colors(images):
    """Mean and spread of each channel."""
    return np.array([np.r_[im.mean(axis=(0, 1)), im.std(axis=(0, 1))] for im in images])


model = make_pipeline(
    FeatureUnion([("defocus", DefocusFeatures()), ("colors", FunctionTransformer(colors))]),
    StandardScaler(),
    LogisticRegression(),
)
model

# %%
# A cross-validation predicts photographs that the model has not seen. Colors alone say nothing
# about focus:

predicted = cross_val_predict(model, X, y, cv=4)
print(f"{np.mean(predicted == np.array(y)):.0%} right, by colors alone:", end=" ")
alone = make_pipeline(FunctionTransformer(colors), StandardScaler(), LogisticRegression())
print(f"{np.mean(cross_val_predict(alone, X, y, cv=4) == np.array(y)):.0%}")

# %%
# The largest weights show which features decide:

model.fit(X, y)
names = DefocusFeatures().get_feature_names_out()
weights = model[-1].coef_[0][: len(names)]
order = np.argsort(np.abs(weights))[-8:]
fig, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
ax.barh(names[order], weights[order])
ax.set_xlabel("weight for “right”")
plt.show()
