"""
A map and its confidence
========================

How blurred is each pixel, and where does the answer come from?
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_sample_image

import skdefocus as sd
from skdefocus.plotting import show_map

flower = load_sample_image("flower.jpg")
sigma = sd.defocus_map(flower)
print(sigma.shape, sigma.dtype, f"σ from {sigma.min():.2f} to {sigma.max():.2f} px")

# %%
# The map is in pixels: 0 is in focus. Its edges are those of the photograph.

fig, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
axes[0].imshow(flower)
axes[0].set_axis_off()
axes[0].set_title("photograph")
show_map(sigma, ax=axes[1])
axes[1].set_title("σ")
plt.show()

# %%
# The pipeline's first two steps tell more: the probability of each level of blur in every cell of
# 4 × 4 pixels. Their mean level is a coarse map, their spread is a confidence. A cell that shows
# hardly anything has little; the refinement gives it what its surroundings say.

levels = sd.make_defocus_pipeline()[:-1].transform([flower])[0]
print(levels)

fig, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
show_map(levels.sigma, ax=axes[0])
axes[0].set_title("σ by cell, before the refinement")
shown = axes[1].imshow(levels.confidence, vmin=0, vmax=1, cmap="viridis")
axes[1].set_axis_off()
axes[1].set_title("confidence")
fig.colorbar(shown, ax=axes[1], pad=0.02)
plt.show()

# %%
# One cell of each kind: where the network is sure, and where it says that it cannot tell.

flat = levels.confidence.ravel()
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for name, cell in (("surest cell", flat.argmax()), ("least sure cell", flat.argmin())):
    ax.plot(levels.sigmas, levels.proba.reshape(len(flat), -1)[cell], "o-", label=name)
ax.set_xlabel("σ (pixels)")
ax.set_ylabel("probability")
ax.legend()
plt.show()
