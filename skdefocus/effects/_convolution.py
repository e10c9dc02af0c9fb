"""Convolution of mirrored planes with one kernel after another."""

from __future__ import annotations

import numpy as np
from scipy import fft

from skdefocus._typing import AnyArray, Float32Array
from skdefocus.synthesis import transfer_function


class MirroredPlanes:
    """Planes (..., H, W) with mirrored borders, to be convolved with one kernel after another.

    Parameters
    ----------
    planes : ndarray of shape (..., H, W), float32
    reach : int
        Width in pixels of the mirrored borders.
    """

    def __init__(self, planes: Float32Array, reach: int) -> None:
        height, width = planes.shape[-2:]
        self._inner = (..., slice(reach, reach + height), slice(reach, reach + width))
        self.shape = tuple(fft.next_fast_len(n + 2 * reach, real=True) for n in (height, width))
        ends = [(reach, m - n - reach) for n, m in zip((height, width), self.shape, strict=True)]
        padded = np.pad(planes, [(0, 0)] * (planes.ndim - 2) + ends, mode="symmetric")
        self._spectrum = fft.rfft2(padded)

    def multiplied(self, transfer: AnyArray) -> Float32Array:
        """Convolve by multiplication with a transfer function on the padded planes."""
        out = fft.irfft2(self._spectrum * transfer, s=self.shape)
        return np.asarray(out[self._inner], np.float32)

    def convolved(self, kernel: AnyArray) -> Float32Array:
        """Convolve with a small centered kernel of at most 2 · `reach` + 1 pixels a side."""
        return self.multiplied(transfer_function(kernel, self.shape, np.float32))
