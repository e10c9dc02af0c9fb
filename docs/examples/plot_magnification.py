"""
A shallower depth of field
==========================

You will see a photograph before and after its background was blurred more, as if it had been taken
with a wider aperture. The subject stays as it is.
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
from sklearn.datasets import load_sample_image

import skdefocus as sd

flower = load_sample_image("flower.jpg")
pictures = {
    "photograph": flower,
    "strength 3, six blades": sd.magnify(flower, strength=3, aperture="polygon", blades=6),
}

fig, axes = plt.subplots(2, 1, figsize=(6.4, 8.4), layout="constrained")
for ax, (name, picture) in zip(axes, pictures.items(), strict=True):
    ax.imshow(picture)
    ax.set_axis_off()
    ax.set_title(name)
plt.show()

# %%
# ``strength`` is the ratio of the apertures' diameters: a strength of 2 leads from f/4 to f/2. The
# subject does not bleed into the background.
#
# You can pass a map of your own, or change the estimated one by hand. Here the left half of the
# picture stays as it was.

sigma = sd.defocus_map(flower)
sigma[:, :320] = 0
fig, ax = plt.subplots(figsize=(6.4, 4.3), layout="constrained")
ax.imshow(sd.magnify(flower, sigma, strength=4))
ax.axvline(320, color="white", linestyle="--")
ax.text(310, 30, "before", color="white", ha="right")
ax.text(330, 30, "after", color="white")
ax.set_axis_off()
plt.show()
