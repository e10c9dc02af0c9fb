"""
Sharpening what is nearly in focus
==================================

Plain sharpening also raises the noise of a defocused background, in which there is nothing to be
sharpened. Sharpening by the map leaves the background alone.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_sample_image

import skdefocus as sd

# %%
# A photograph with a slight blur all over, and noise:

flower = load_sample_image("flower.jpg") / 255.0
seen = sd.synthesis.blur(flower, 0.7)
seen = sd.synthesis.add_noise(seen.clip(0, 1), 0.015, random_state=0)

pictures = {
    "photograph": seen,
    "unsharp mask everywhere": (2.5 * seen - 1.5 * gaussian_filter(seen, (1, 1, 0))).clip(0, 1),
    "sharpened by the map": sd.sharpen(seen),
}

# %%
# Top: a part of the subject. Bottom: background in gray, with more contrast, and the
# spread of its finest detail as a multiple of the photograph's.

regions = {"subject": np.s_[150:270, 220:400], "background": np.s_[20:80, 20:110]}


def grain(picture):
    """Spread of the differences of neighbors, which is that of the noise in a plain background."""
    return np.diff(picture[regions["background"]], axis=1).std()


fig, axes = plt.subplots(2, 3, figsize=(11, 5), layout="constrained")
for column, (name, picture) in zip(axes.T, pictures.items(), strict=True):
    column[0].imshow(picture[regions["subject"]])
    column[0].set_title(name)
    part = picture[regions["background"]].mean(axis=2)
    column[1].imshow(part - part.mean(), cmap="gray", vmin=-0.08, vmax=0.08)
    column[1].set_title(f"grain × {grain(picture) / grain(seen):.2f}")
    for ax in column:
        ax.set_axis_off()
plt.show()
