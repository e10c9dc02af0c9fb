"""Coverage of thin things: twigs and lettering, for scenes and for training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont


def branches(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """A twig that forks, 2 to 8 pixels thick."""
    over = 4  # drawn larger and shrunk, for smooth edges
    canvas = Image.new("L", (size[1] * over, size[0] * over))
    pen = ImageDraw.Draw(canvas)

    def grow(x: float, y: float, angle: float, width: float, length: float) -> None:
        for _ in range(5):
            end = (x + length * np.cos(angle), y + length * np.sin(angle))
            pen.line((x, y, *end), fill=255, width=max(1, round(width)))
            (x, y), angle = end, angle + rng.normal(0, 0.25)
            if width > 2.5 * over and rng.random() < 0.7:
                grow(
                    x,
                    y,
                    angle + rng.choice([-1, 1]) * rng.uniform(0.4, 1.0),
                    width * 0.6,
                    length * 0.7,
                )

    for _ in range(3):
        x, y = rng.uniform(0, size[1] * over), rng.choice([0, size[0] * over])
        up = np.pi / 2 if y == 0 else -np.pi / 2
        grow(x, y, up + rng.normal(0, 0.5), rng.uniform(4, 8) * over, size[0] * over / 6)
    return _shrink(canvas, size)


def lettering(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Three lines of large type."""
    over = 2
    canvas = Image.new("L", (size[1] * over, size[0] * over))
    pen = ImageDraw.Draw(canvas)
    letters = list("ABCDEFGHKLMNOPRSTUVWXYZ0123456789")
    height = size[0] * over / 4
    font = ImageFont.load_default(height)
    for row in range(3):
        text = "".join(rng.choice(letters, 14))
        pen.text((-rng.uniform(0, height), (row + 0.3) * height * 1.2), text, fill=255, font=font)
    return _shrink(canvas, size)


def _shrink(canvas: Image.Image, size: tuple[int, int]) -> NDArray[np.float32]:
    small = canvas.resize((size[1], size[0]), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / np.float32(255)
