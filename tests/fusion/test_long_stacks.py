"""Stacks of many frames, of which neighbors are nearly equally sharp."""

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

import skdefocus as sd
from skdefocus.synthesis import Layer, render_layers

SIZE = 256


def long_stack(count):
    """Three surfaces at different depths, focused from back to front, and the truth."""
    china = (load_sample_image("china.jpg").mean(axis=2) / 255).astype(np.float32)
    back, middle, front = (china[100:356, x : x + SIZE] for x in (0, 180, 360))
    y, x = np.indices((SIZE, SIZE))
    ring = (np.hypot(y - 110, x - 90) < 50).astype(np.float32)
    block = ((np.abs(y - 165) < 35) & (np.abs(x - 185) < 50)).astype(np.float32)
    frames = []
    for focus in np.linspace(0, 1, count):
        sigmas = 4 * np.abs(np.array([0, 0.5, 1]) - focus)
        layers = [
            Layer(back, sigmas[0]),
            Layer(middle, sigmas[1], ring),
            Layer(front, sigmas[2], block),
        ]
        scene = render_layers(layers, linear_light=False)
        frames.append(np.round(scene.photograph * 255).astype(np.uint8))
    return frames, scene.sharp, (ring > 0) & (block == 0)


@pytest.mark.parametrize("count", [11, 21])
def test_no_surface_is_lost_among_many_frames(count):
    frames, sharp, middle = long_stack(count)
    result = sd.FocusFuser(sigma_weight=0).fuse(frames)
    frames = [f / np.float32(255) for f in frames]
    stack = np.stack(frames)
    nearest = np.take_along_axis(stack, np.abs(stack - sharp).argmin(axis=0)[None], 0)[0]
    assert sd.metrics.psnr(result.image, sharp) > sd.metrics.psnr(nearest, sharp) - 4
    assert abs(np.median(result.index[middle]) - count // 2) <= 1
