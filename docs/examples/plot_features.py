"""
Defocus features in a larger pipeline
=====================================

:class:`~skdefocus.features.DefocusFeatures` turns each photograph, of any size, into one row of
numbers. These feed any estimator, also beside other features.
"""

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
# A small task: was the camera focused on the left or on the right of what it saw? The photographs
# are crops, blurred more and more to one side.

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

fig, axes = plt.subplots(1, 4, figsize=(10, 2.3), layout="constrained")
for ax, image, label in zip(axes, X, y, strict=False):
    ax.imshow(image.clip(0, 1))
    ax.set_axis_off()
    ax.set_title(f"focused {label}")
plt.show()

# %%
# Map statistics beside plain color statistics, in one model.


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
# Predictions for photographs that the model has not seen:

predicted = cross_val_predict(model, X, y, cv=4)
print(f"{np.mean(predicted == np.array(y)):.0%} right, by colors alone:", end=" ")
alone = make_pipeline(FunctionTransformer(colors), StandardScaler(), LogisticRegression())
print(f"{np.mean(cross_val_predict(alone, X, y, cv=4) == np.array(y)):.0%}")

# %%
# Which numbers decide?

model.fit(X, y)
names = DefocusFeatures().get_feature_names_out()
weights = model[-1].coef_[0][: len(names)]
order = np.argsort(np.abs(weights))[-8:]
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.barh(names[order], weights[order])
ax.set_xlabel("weight for “right”")
plt.show()
