"""Frames that the user prefers in parts of the fused photograph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from skdefocus._validation import as_array
from skdefocus.fusion._frames import Frames
from skdefocus.fusion._labels import Index


def retouched(
    frames: Frames, prefer: Mapping[int, ArrayLike] | None, names: Sequence[str]
) -> Index | None:
    """Combine masks into the number of the preferred frame of every pixel, -1 where there is none.

    Parameters
    ----------
    frames : Frames
    prefer : mapping of int to array_like of shape (H, W), or None
        Masks by the number of the frame; above 1/2 the frame is preferred.
    names : sequence of str
        How messages call the frames.
    """
    if not prefer:
        return None
    forced = np.full(frames.shape[:2], -1, np.int16)
    for k, mask in prefer.items():
        if k not in frames.numbers:
            known = 0 <= k < len(names)
            what = f"{names[k]}, which is not fused" if known else f"the position {k!r}"
            raise ValueError(f"prefer must hold positions of frames that are fused, got {what}")
        area = as_array(mask, f"prefer[{k}]")
        if area.shape != forced.shape or area.dtype.kind not in "bf":
            raise ValueError(
                f"prefer[{k}] must be bool or float of shape {forced.shape}, got {area.dtype} of "
                f"shape {area.shape}"
            )
        where = area > 0.5
        if (shown := frames.shown(k)) is not None:
            where = where & shown
        np.copyto(forced, k, where=where)
    return forced
