"""Convolution of mirrored planes with one kernel after another."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from skdefocus._typing import Float32Array
from skdefocus.synthesis import transfer_function


class Mirrored:
    """Planes (..., H, W) that go on mirrored, to be convolved with one kernel after another."""

    def __init__(self, planes: Float32Array, reach: int) -> None:
        height, width = planes.shape[-2:]
        self._cut = (..., slice(reach, reach + height), slice(reach, reach + width))
        self.shape = tuple(fft.next_fast_len(n + 2 * reach, real=True) for n in (height, width))
        ends = [(reach, m - n - reach) for n, m in zip((height, width), self.shape, strict=True)]
        padded = np.pad(planes, [(0, 0)] * (planes.ndim - 2) + ends, mode="symmetric")
        self._spectrum = fft.rfft2(padded)

    def times(self, transfer: NDArray[Any]) -> Float32Array:
        """Convolve by multiplying with a transfer function on the padded planes."""
        out = fft.irfft2(self._spectrum * transfer, s=self.shape)
        return np.asarray(out[self._cut], np.float32)

    def convolved(self, kernel: NDArray[Any]) -> Float32Array:
        """Convolve with a small centred kernel that is no larger than `reach` allows."""
        if kernel.size == 1:
            return self.times(kernel.ravel()[0])
        return self.times(transfer_function(kernel, self.shape, np.float32))
