"""
Sorting a folder by blur
========================

Which photographs of a series are out of focus? A blur score from 0 (a tenth of the photograph is
perfectly sharp) to 1 (nothing is sharp) puts them in order, however strong the blur. A blurred
background does not count against a sharp subject.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
from PIL import Image
from sklearn.datasets import load_sample_images

import skdefocus as sd
from skdefocus.io import read_image

# %%
# A folder of photographs, some of them blurred more than the photographer wanted:

folder = Path(tempfile.mkdtemp())
for name, image in zip(("china", "flower"), load_sample_images().images, strict=True):
    for blur in (0.0, 1.0, 4.0):
        seen = sd.synthesis.blur(image / 255.0, blur).clip(0, 1)
        Image.fromarray((255 * seen).round().astype("uint8")).save(folder / f"{name}-{blur}.jpg")

# %%
# One map at a time, so that memory does not grow with the folder. The confidence keeps flat
# regions, whose σ is a guess, from deciding. It is known for each cell of pixels, and repeated for
# all pixels of the cell.

pipe = sd.make_defocus_pipeline()


def score(path):
    grids = pipe[:-1].transform([read_image(path)])
    sigma = pipe[-1].transform(grids)[0]
    step = grids[0].step
    confidence = grids[0].confidence.repeat(step, axis=0).repeat(step, axis=1)
    height, width = sigma.shape
    return sd.metrics.blur_score(sigma, confidence=confidence[:height, :width])


scores = {path: score(path) for path in sorted(folder.glob("*.jpg"))}
ranked = sorted(scores, key=scores.get)
for path in ranked:
    print(f"{scores[path]:.3f}  {path.name}")

# %%
# From the sharpest to the most blurred:

fig, axes = plt.subplots(2, 3, figsize=(10, 5), layout="constrained")
for ax, path in zip(axes.ravel(), ranked, strict=True):
    ax.imshow(read_image(path)[100:300, 200:500])
    ax.set_title(f"{path.stem}: {scores[path]:.2f}")
    ax.set_axis_off()
plt.show()
