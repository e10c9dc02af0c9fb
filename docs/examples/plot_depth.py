"""
From blur to distance
=====================

You will see how σ grows with the distance from the focus, and how well a measured σ determines the
distance. There are always two distances, because a photograph does not show whether something lies
in front of the focus or behind it.
"""

import matplotlib.pyplot as plt
import numpy as np

from skdefocus.optics import (
    coc_at_distance,
    coc_to_sigma,
    depth_of_field,
    distances_for_coc,
    sigma_to_coc,
)

lens = {"focal_length": 50, "f_number": 2.8, "focus_distance": 3.0, "pixel_pitch": 16}

# %%
# The photograph was shrunk to a quarter of its size, so the pixel pitch is four times that of the
# sensor. σ rises steeply in front of the focus, and approaches a limit behind it.

distance = np.geomspace(1, 100, 400)
sigma = coc_to_sigma(coc_at_distance(distance, **lens))
near, far = depth_of_field(max_coc=2, **lens)

fig, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
ax.axvspan(near, far, color="C2", alpha=0.2, label="depth of field")
ax.plot(distance, sigma)
ax.axhline(coc_to_sigma(coc_at_distance(np.inf, **lens)), ls=":", color="k", label="at infinity")
ax.set(xscale="log", xlabel="distance (m)", ylabel="σ (pixels)")
ax.legend()
plt.show()

# %%
# From σ to distance. The bands show an error of σ of 10 %, but at least 0.2 px. Behind the focus,
# where the curve is flat, σ soon says nothing about the distance.

measured = np.linspace(0.1, 4.6, 200)
error = np.maximum(0.1 * measured, 0.2)
fig, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
for side in ("front", "behind"):
    low, middle, high = (
        getattr(distances_for_coc(sigma_to_coc(np.maximum(s, 0)), **lens), side)
        for s in (measured - error, measured, measured + error)
    )
    ax.plot(measured, middle, label=side)
    ax.fill_between(measured, np.minimum(low, 1e3), np.minimum(high, 1e3), alpha=0.2)
ax.set(xlabel="σ (pixels)", ylabel="distance (m)", yscale="log", ylim=(1, 100))
ax.legend()
plt.show()
