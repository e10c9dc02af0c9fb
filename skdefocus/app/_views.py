"""The views that the page can ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from skdefocus._grids import repeated
from skdefocus._typing import Float32Array
from skdefocus.app._desk import Desk, Order
from skdefocus.app._view import View
from skdefocus.effects import magnify, sharpen
from skdefocus.io import (
    left_out,
    output_suffix,
    write_map,
    write_photograph,
    write_scaled_png,
    write_values,
)
from skdefocus.plotting import upper_end, write_colored


def blur_view(desk: Desk, order: Order) -> View:
    """Show the map."""
    sigma = desk.sigma(order)
    files = {
        "_sigma.tif": partial(write_map, sigma=sigma),
        "_sigma.png": partial(write_scaled_png, sigma=sigma, scale=None),
        "_color.png": partial(write_colored, sigma=sigma),
    }
    values = {"σ": sigma, "confidence": desk.levels(order).confidence}
    return View(desk.photo(order), sigma, upper_end(sigma), values, files)


def confidence_view(desk: Desk, order: Order) -> View:
    """Show where the network is sure."""
    view, levels = blur_view(desk, order), desk.levels(order)
    layer = repeated(view.values["confidence"], levels.step, view.layer.shape)
    write = partial(write_values, values=layer, text="Confidence: 0 cannot tell, 1 is sure")
    files = {"_confidence.tif": write}
    return replace(view, layer=layer, top=None, files=files, note="White is sure, black is not.")


def magnified_view(desk: Desk, order: Order) -> View:
    """Show a shallower depth of field."""
    picture = desk.applied("Blurring", order, magnify, strength=order["strength"])
    return _with_picture(blur_view(desk, order), picture, desk.names[order["photo"]], "_magnified")


def sharpened_view(desk: Desk, order: Order) -> View:
    """Show the photograph sharpened."""
    picture = desk.applied("Sharpening", order, sharpen, amount=order["amount"])
    return _with_picture(blur_view(desk, order), picture, desk.names[order["photo"]], "_sharpened")


def depth_view(desk: Desk, order: Order) -> View:
    """Show which frame of a stack is in focus, as far as all frames reach."""
    result = desk.fusion(order | {"photo": 0})
    like = desk.photo(order | {"photo": 0}).with_alpha(result.alpha).cut(result.inner)
    if not like.pixels.size:
        raise ValueError("the aligned frames have nothing in common; is it one scene?")
    layer = result.depth[result.inner]
    values = {"frame": layer + 1, "confidence": result.confidence[result.inner]}
    left = [f"{desk.names[k]!r} is left out: {why}." for k, why in sorted(result.left_out.items())]
    files = {"_depth.tif": partial(write_map, sigma=layer)}
    return View(like, layer, len(desk.names) - 1.0, values, files, " ".join(left))


def fused_view(desk: Desk, order: Order) -> View:
    """Show everything in focus."""
    view, result = depth_view(desk, order), desk.fusion(order | {"photo": 0})
    return _with_picture(view, result.image[result.inner], desk.names[0], "_fused")


def _with_picture(view: View, picture: Float32Array, name: str, ending: str) -> View:
    """Replace the map of a view by a picture, to be saved in the photograph's own format."""
    ending += output_suffix(name)
    files = {ending: partial(write_photograph, image=picture, like=view.photo)}
    lost = left_out(ending, view.photo.metadata)
    note = " ".join(filter(None, [view.note, lost and f"{name!r}: {lost}."]))
    return replace(view, layer=picture, top=None, files=files, note=note)


VIEWS: Mapping[str, Callable[[Desk, Order], View]] = {
    "blur": blur_view,
    "confidence": confidence_view,
    "magnified": magnified_view,
    "sharpened": sharpened_view,
    "fused": fused_view,
    "depth": depth_view,
}
