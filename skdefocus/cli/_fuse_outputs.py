"""Outputs of the command fuse: the photograph, its depth and a preview."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from skdefocus._typing import AnyArray, Float32Array
from skdefocus.cli._outputs import write_preview

if TYPE_CHECKING:
    from skdefocus.fusion import FusionResult
    from skdefocus.io import Photograph

#: Hue of the first frame in a preview, of a turn; that of the last is 0, red.
BLUE = 2 / 3


def focus_distances(names: Sequence[str]) -> list[float]:
    """Read the distances in focus in meters from EXIF; raise ValueError where one is unknown."""
    from skdefocus.optics import read_lens_facts

    found = []
    for name in names:
        distance = read_lens_facts(name).focus_distance
        if distance is None:
            raise ValueError(
                f"{name!r}: its EXIF does not tell the focus distance; drop --distance"
            )
        found.append(distance)
    return found


def distances_of(depth: Float32Array, in_focus: Sequence[float]) -> Float32Array:
    """Turn an order in depth into meters.

    Parameters
    ----------
    depth : ndarray of shape (H, W)
        In units of frames, from 0 on.
    in_focus : sequence of float
        Distance in focus of every frame in meters, above 0; may be infinite.

    Returns
    -------
    ndarray of shape (H, W), float32
        In between, the inverse is interpolated, as the lens moves by nearly equal steps of it.
    """
    inverse = np.interp(depth, np.arange(len(in_focus)), 1 / np.asarray(in_focus))
    with np.errstate(divide="ignore"):
        return np.asarray(1 / inverse, np.float32)


def colored(index: AnyArray, count: int) -> Float32Array:
    """Paint the numbers of `count` frames, from blue for the first to red for the last."""
    from skimage.color import hsv2rgb

    hues = np.linspace(BLUE, 0, count)
    table = hsv2rgb(np.stack([hues, np.ones(count), np.ones(count)], axis=1)[None])[0]
    return np.asarray(table[index], np.float32)


def write_fused(
    args: argparse.Namespace,
    out: Path,
    first: Photograph,
    result: FusionResult,
    distances: Sequence[float] | None,
) -> None:
    """Write the fused photograph and the other outputs.

    Parameters
    ----------
    args : argparse.Namespace
    out : Path
    first : Photograph
        The reference, whose metadata the result has.
    result : FusionResult
    distances : sequence of float or None
        Distances in focus of the frames, if distances are to be written.
    """
    from skdefocus.io import MAX_PIXELS, read_image, write_photograph, write_values

    kept = result.inner if args.crop else (slice(None), slice(None))
    image, depth = result.image[kept], np.ascontiguousarray(result.depth[kept])
    if not image.size:
        raise ValueError("the aligned frames have nothing in common; is it one scene?")
    write_photograph(out, image, first.with_alpha(result.alpha).cut(kept), args.overwrite)
    if args.depth is not None:
        text = "Order in depth in units of frames, 0 for the first"
        write_values(args.depth, depth, text, args.overwrite)
    if distances is not None:
        text = "Distance from the lens in meters"
        write_values(args.distance, distances_of(depth, distances), text, args.overwrite)
    if args.preview is not None:
        last = read_image(args.frames[-1], max_pixels=args.max_pixels or MAX_PIXELS)
        colors = colored(result.index, len(args.frames))
        pictures = [picture[kept] for picture in (first.pixels, last, result.image, colors)]
        write_preview(args.preview, pictures, args.overwrite)
