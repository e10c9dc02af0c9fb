"""
A shallower depth of field
==========================

What is out of focus is blurred even more, as if the photograph had been taken with a wider
aperture.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_sample_image

import skdefocus as sd

flower = load_sample_image("flower.jpg")
pictures = {
    "photograph": flower,
    "σ doubled": sd.magnify(flower, strength=2),
    "three times σ, six blades": sd.magnify(flower, strength=3, aperture="polygon", blades=6),
}

fig, axes = plt.subplots(1, 3, figsize=(11, 4.3), layout="constrained")
for ax, (name, picture) in zip(axes, pictures.items(), strict=True):
    ax.imshow(picture[:, :360])
    ax.set_axis_off()
    ax.set_title(name)
plt.show()

# %%
# ``strength`` is the ratio of the apertures' diameters: from f/4, a strength of 2 leads to f/2. The
# subject stays as it is, and does not bleed into the background.
#
# An existing map, or one that was painted by hand, replaces the estimated one.

sigma = sd.defocus_map(flower)
sigma[:, :200] = 0  # keep the left as it is
fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.imshow(sd.magnify(flower, sigma, strength=3))
ax.set_axis_off()
plt.show()
