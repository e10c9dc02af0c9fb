"""The result of a fusion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from skdefocus._typing import BoolArray, Float32Array, IndexArray


@dataclass(frozen=True, eq=False, repr=False)
class FusionResult:
    """A fused photograph and where it comes from.

    Attributes
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), float32 in [0, 1]
        Everything in focus.
    index : ndarray of shape (H, W), intp
        Position in the stack of the frame that each pixel comes from, near seams for the most part.
    confidence : ndarray of shape (H, W), float32 in [0, 1]
        How sure that is: tanh(Δ / 2), Δ the lead over the second-best frame in nats; 0 where the
        pixel itself said otherwise or nothing, and its surroundings decided.
    depth : ndarray of shape (H, W), float32
        Depth order: `index`, smoothed along the photograph's edges where the frames say little,
        in units of frames. A depth map if the frames are in the order of their focus.
    reached : ndarray of shape (H, W), bool
        Where all frames reach once they are aligned; beyond, what is in focus may be missing.
    alpha : ndarray of shape (H, W), float32 in [0, 1]
        The largest alpha of the frames; 0 where no frame shows anything, and `image` is black.
    left_out : mapping of int to str
        Positions of the frames that do not belong to the stack, and why.
    overruled : mapping of int to str
        Positions of the frames that have no say in a part of them, which is faulty or a black
        border, and where that is.
    gains : mapping of int to tuple of float
        Factors by which the channels of frames were multiplied to match exposures, by position;
        1 for those that are not mentioned.
    """

    image: Float32Array
    index: IndexArray
    confidence: Float32Array
    depth: Float32Array
    reached: BoolArray
    alpha: Float32Array = field(default_factory=lambda: np.ones((1, 1), np.float32))
    left_out: Mapping[int, str] = field(default_factory=dict)
    overruled: Mapping[int, str] = field(default_factory=dict)
    gains: Mapping[int, tuple[float, ...]] = field(default_factory=dict)

    @property
    def inner(self) -> tuple[slice, slice]:
        """Rows and columns of the rectangle, from border to border, that all frames reach.

        ``result.image[result.inner]`` is the fused photograph without ragged borders; it is empty
        if the frames have nothing in common.
        """
        # Frames have straight outlines: a part that is covered along its borders is covered inside.
        top, left = 0, 0
        bottom, right = self.reached.shape
        while top < bottom and left < right:
            part = ~self.reached[top:bottom, left:right]
            borders = part[0], part[-1], part[:, 0], part[:, -1]
            uncovered = [float(border.mean()) for border in borders]
            worst = int(np.argmax(uncovered))
            if uncovered[worst] == 0:
                break
            top, bottom = top + (worst == 0), bottom - (worst == 1)
            left, right = left + (worst == 2), right - (worst == 3)
        return slice(top, bottom), slice(left, right)

    def __repr__(self) -> str:
        used = len(np.unique(self.index))
        return f"FusionResult(image {'x'.join(map(str, self.image.shape))}, of {used} frames)"
