"""Small stacks of frames, each in focus in a part."""

import numpy as np
from scipy import ndimage
from sklearn.datasets import load_sample_image

import skdefocus as sd
from skdefocus.datasets import sample_photographs
from skdefocus.synthesis import blur

BRICK, GRAVEL, GRASS = sample_photographs(96)
LEFT = np.arange(96) < 48
#: A photograph in color at half its size, float32.
CHINA = load_sample_image("china.jpg")[:384, :576] / 255
CHINA = CHINA.reshape(192, 2, 288, 2, 3).mean(axis=(1, 3)).astype(np.float32)
#: Without defocus maps, which take most of the time and are tested apart.
PLAIN = sd.FocusFuser(sigma_weight=0)


def halves(sharp=GRAVEL, sigma=2.5):
    """Two frames, each in focus in one half."""
    soft = blur(sharp, sigma)
    left = np.arange(sharp.shape[1]) < sharp.shape[1] // 2
    where = left if sharp.ndim == 2 else left[:, None]
    return [np.where(where, sharp, soft), np.where(where, soft, sharp)]


def frames(count, seed, size=(24, 30)):
    rng = np.random.default_rng(seed)
    base = ndimage.gaussian_filter(rng.random(size), 0.7)
    base = (base - base.min()) / np.ptp(base)
    return [
        np.clip(ndimage.gaussian_filter(base, s) + rng.normal(0, 0.01, size), 0, 1)
        for s in rng.uniform(0, 3, count)
    ]
