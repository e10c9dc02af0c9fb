"""
A map and its confidence
========================

You will see the defocus map of a flower over its photograph, the coarse answers of the network
behind the map, and how sure the network is of them.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_sample_image

import skdefocus as sd
from skdefocus.plotting import compare, show_map

flower = load_sample_image("flower.jpg")
sigma = sd.defocus_map(flower)
print(sigma.shape, sigma.dtype, f"σ from {sigma.min():.2f} to {sigma.max():.2f} px")

# %%
# The map is in pixels, and 0 is in focus. It is drawn over the photograph in gray, and its edges
# are those of the photograph.

fig, ax = plt.subplots(figsize=(6.4, 3.9), layout="constrained")
show_map(sigma, flower, ax=ax)
plt.show()

# %%
# In a notebook a slider moves the border between photograph and map. Below is σ under the cursor:

compare(flower, sigma)

# %%
# The first two steps of the pipeline give more detail: the probability of each level of blur in
# every cell of 4 × 4 pixels. The mean level makes a coarse map, and the spread of the levels makes
# a confidence. It is low at the outline, where a cell shows two surfaces. The refinement gives
# such cells the value that their surroundings suggest.

levels = sd.make_defocus_pipeline()[:-1].transform([flower])[0]
print(levels)

fig, axes = plt.subplots(2, 1, figsize=(6.4, 7.6), layout="constrained")
show_map(levels.sigma, ax=axes[0])
axes[0].set_title("σ by cell, before the refinement")
shown = axes[1].imshow(levels.confidence, vmin=0, vmax=1, cmap="gray")
axes[1].set_axis_off()
axes[1].set_title("confidence")
fig.colorbar(shown, ax=axes[1], pad=0.02)
plt.show()

# %%
# These are the probabilities in two cells: the one of which the network is surest, and the one of
# which it is least sure.

flat = levels.confidence.ravel()
fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
for name, cell in (("surest cell", flat.argmax()), ("least sure cell", flat.argmin())):
    ax.plot(levels.sigmas, levels.proba.reshape(len(flat), -1)[cell], "o-", label=name)
ax.set_xscale("symlog", linthresh=1)
ax.set_xlabel("σ (pixels)")
ax.set_ylabel("probability")
ax.legend()
plt.show()
