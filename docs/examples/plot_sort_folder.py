"""
Sorting a folder by blur
========================

You will see six photographs in the order of their blur score, from the sharpest to the most
blurred. The score is 0 if a tenth of the photograph is perfectly sharp, and approaches 1 if nothing
is. A blurred background does not count against a sharp subject.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
from PIL import Image
from sklearn.datasets import load_sample_images

import skdefocus as sd
from skdefocus.io import read_image
from skdefocus.plotting import contact_sheet

# %%
# The folder has two photographs in three versions: as they are, a little soft, and out of focus.

folder = Path(tempfile.mkdtemp())
for name, image in zip(("china", "flower"), load_sample_images().images, strict=True):
    for blur in (0.0, 2.0, 6.0):
        seen = sd.synthesis.blur(image / 255.0, blur).clip(0, 1)
        Image.fromarray((255 * seen).round().astype("uint8")).save(folder / f"{name}-{blur}.jpg")

# %%
# The photographs are mapped one at a time, so that memory does not grow with the folder. The
# confidence keeps flat regions, whose σ is a guess, from deciding the score. The network gives it
# per cell, so it is repeated for all pixels of the cell.

pipe = sd.make_defocus_pipeline()


def map_and_score(path):
    grids = pipe[:-1].transform([read_image(path)])
    sigma = pipe[-1].transform(grids)[0]
    step = grids[0].step
    confidence = grids[0].confidence.repeat(step, axis=0).repeat(step, axis=1)
    height, width = sigma.shape
    return sigma, sd.metrics.blur_score(sigma, confidence=confidence[:height, :width])


maps, scores = {}, {}
for path in sorted(folder.glob("*.jpg")):
    sigma, scores[path] = map_and_score(path)
    maps[path] = sigma[::2, ::2]  # enough for a picture
ranked = sorted(scores, key=scores.get)
for path in ranked:
    print(f"{scores[path]:.3f}  {path.name}")

# %%
# From the sharpest to the most blurred, with one scale of colors:

contact_sheet(
    (read_image(path)[::2, ::2] for path in ranked),
    (maps[path] for path in ranked),
    names=[path.stem for path in ranked],
    scores=[scores[path] for path in ranked],
    columns=2,
    figure=plt.figure(figsize=(8, 5.2)),
)
plt.show()

# %%
# The command line does this for a shoot, as a page to sort and to choose from in a browser:
# ``skdefocus map shoot/ --html shoot.html``.
