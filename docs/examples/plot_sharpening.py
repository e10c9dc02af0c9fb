"""
Sharpening what is nearly in focus
==================================

You will see a noisy photograph, sharpened everywhere and sharpened by its map. Ordinary sharpening
amplifies the noise of the background; sharpening by the map leaves the background alone.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_sample_image

import skdefocus as sd

# %%
# The photograph gets a slight blur everywhere, and noise:

flower = load_sample_image("flower.jpg") / 255.0
seen = sd.synthesis.blur(flower, 0.7)
seen = sd.synthesis.add_noise(seen.clip(0, 1), 0.015, random_state=0)

pictures = {
    "photograph": seen,
    "unsharp mask": (2.5 * seen - 1.5 * gaussian_filter(seen, (1, 1, 0))).clip(0, 1),
    "by the map": sd.sharpen(seen),
}

# %%
# Left: a part of the subject. Right: a part of the background in gray, with more contrast. The
# number is the strength of its grain relative to the photograph.

regions = {"subject": np.s_[150:230, 260:380], "background": np.s_[20:80, 20:110]}


def grain(picture):
    """Spread of the differences of neighbors: the noise, because the background is plain."""
    return np.diff(picture[regions["background"]], axis=1).std()


fig, axes = plt.subplots(3, 2, figsize=(6.4, 7.2), layout="constrained")
for row, (name, picture) in zip(axes, pictures.items(), strict=True):
    row[0].imshow(picture[regions["subject"]])
    row[0].set_title(name)
    part = picture[regions["background"]].mean(axis=2)
    row[1].imshow(part - part.mean(), cmap="gray", vmin=-0.08, vmax=0.08)
    row[1].set_title(f"grain × {grain(picture) / grain(seen):.2f}")
    for ax in row:
        ax.set_axis_off()
plt.show()
