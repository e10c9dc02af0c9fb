"""
Fusing a focus stack
====================

You will see three photographs of one scene, each focused at a different depth, and the picture that
is fused from them and sharp everywhere. The stack is synthetic, so the result can be compared with
the truth.
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_images

import skdefocus as sd
from skdefocus.synthesis import Layer, render_layers

china, flower = (image[:360, :480] / 255.0 for image in load_sample_images().images)
y, x = np.mgrid[:360, :480]
front = ((x - 310) ** 2 + (y - 200) ** 2 < 140**2).astype(float)
middle = ((x < 200) & (y > 90)).astype(float)

# %%
# There are three surfaces, and one photograph is focused on each. The farther a surface is from the
# one in focus, the more it is blurred. The numbers are peak signal-to-noise ratios to the truth.

stack = []
for focus in range(3):
    blur = [2.5 * abs(depth - focus) for depth in range(3)]
    scene = render_layers(
        [
            Layer(china, blur[0]),
            Layer(china[::-1, ::-1], blur[1], middle),
            Layer(flower, blur[2], front),
        ]
    )
    stack.append(scene.photograph)
truth = scene.sharp

fig, axes = plt.subplots(2, 2, figsize=(6.4, 5.4), layout="constrained")
titles = [f"frame {k}: {sd.metrics.psnr(frame, truth):.1f} dB" for k, frame in enumerate(stack)]
for ax, picture, title in zip(axes.ravel(), [*stack, truth], [*titles, "truth"], strict=True):
    ax.imshow(picture)
    ax.set_axis_off()
    ax.set_title(title)
plt.show()

# %%
# ``fit_transform([stack])`` returns only the fused picture. ``fuse`` also returns the frame that
# each pixel comes from, and how sure that is.

result = sd.FocusFuser().fuse(stack)
fig, axes = plt.subplots(2, 2, figsize=(6.4, 5.4), layout="constrained")
axes = axes.ravel()
axes[0].imshow(result.image)
axes[0].set_title(f"fused: {sd.metrics.psnr(result.image, truth):.1f} dB")
axes[1].imshow(result.index, cmap="viridis", interpolation="nearest")
right = np.mean(result.index == scene.index)
axes[1].set_title(f"frames: {right:.1%} right")
axes[2].imshow(result.confidence, cmap="gray", vmin=0, vmax=1)
axes[2].set_title("confidence")
axes[3].imshow(np.abs(result.image - truth).max(axis=2), cmap="gray_r", vmin=0, vmax=0.5)
axes[3].set_title("error (black is 0.5)")
for ax in axes:
    ax.set_axis_off()
plt.show()
