"""
The network and classical methods
=================================

You will see the maps of the network and of three classical methods, on a scene with known blur and
on a photograph. All of them have the same interface.
"""

# sphinx_gallery_thumbnail_number = 2

import time

import matplotlib.pyplot as plt
from sklearn.datasets import load_sample_image

import skdefocus as sd
from skdefocus.plotting import show_map

scene = sd.datasets.load_sample_scenes(256)[4]
methods = {
    "network": sd.make_defocus_pipeline(),
    "edge re-blur": sd.EdgeReblurEstimator(),
    "Laplacian energy": sd.FocusMeasure("laplacian_energy"),
    "binary patterns": sd.FocusMeasure("local_binary_patterns"),
}

# %%
# The true blur of this scene is known, and some of its surfaces have almost no texture. The first
# two methods answer in pixels. A focus measure does not, and mistakes a flat surface for a blurred
# one. Its order can still be compared, by Spearman's rank correlation.

fig, axes = plt.subplots(3, 2, figsize=(6.4, 9), layout="constrained")
axes = axes.ravel()
axes[0].imshow(scene.photograph, cmap="gray", vmin=0, vmax=1)
axes[0].set_axis_off()
axes[0].set_title("photograph")
show_map(scene.sigma, ax=axes[1], vmax=4, colorbar=False)
axes[1].set_title("truth")
for ax, (name, method) in zip(axes[2:], methods.items(), strict=True):
    found = method.fit_transform([scene.photograph])[0]
    rank = sd.metrics.spearman([scene.sigma], [found])
    if isinstance(method, sd.FocusMeasure):
        ax.imshow(found, cmap="inferno")
        ax.set_axis_off()
    else:
        show_map(found, ax=ax, vmax=4, colorbar=False)
    ax.set_title(f"{name}: {rank:.2f}")
plt.show()

# %%
# The same methods on a photograph, with the time that each of them took:

flower = load_sample_image("flower.jpg")
fig, axes = plt.subplots(2, 2, figsize=(6.4, 5), layout="constrained")
for ax, (name, method) in zip(axes.ravel(), methods.items(), strict=True):
    start = time.perf_counter()
    found = method.fit_transform([flower])[0]
    seconds = time.perf_counter() - start
    ax.imshow(found, cmap="inferno")
    ax.set_axis_off()
    ax.set_title(f"{name}, {seconds:.2g} s")
plt.show()
