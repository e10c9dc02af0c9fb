"""
Fusing a focus stack
====================

Photographs of one scene, each focused at another depth, become one that is sharp everywhere. Here
the stack is synthetic, so that the result can be compared with the truth.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_images

import skdefocus as sd
from skdefocus.synthesis import Layer, render_layers

china, flower = (image[:360, :480] / 255.0 for image in load_sample_images().images)
y, x = np.mgrid[:360, :480]
front = ((x - 150) ** 2 + (y - 190) ** 2 < 120**2).astype(float)
middle = ((x > 300) & (y > 90)).astype(float)

# %%
# Three surfaces, and one photograph focused on each: the farther a surface is from the one in
# focus, the more it is blurred.

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

fig, axes = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
for k, (ax, frame) in enumerate(zip(axes, stack, strict=True)):
    ax.imshow(frame)
    ax.set_axis_off()
    ax.set_title(f"frame {k}: {sd.metrics.psnr(frame, truth):.1f} dB")
plt.show()

# %%
# ``fit_transform([stack])`` gives the photograph alone; ``fuse`` also tells where each pixel comes
# from and how sure that is.

result = sd.FocusFuser().fuse(stack)
fig, axes = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
axes[0].imshow(result.image)
axes[0].set_title(f"fused: {sd.metrics.psnr(result.image, truth):.1f} dB to the truth")
axes[1].imshow(result.index, cmap="viridis", interpolation="nearest")
right = np.mean(result.index == scene.index)
axes[1].set_title(f"frame of each pixel, {right:.1%} right")
axes[2].imshow(result.confidence, vmin=0, vmax=1)
axes[2].set_title("confidence")
for ax in axes:
    ax.set_axis_off()
plt.show()
