"""The widgets, and the thread in which their work runs."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from math import prod
from queue import SimpleQueue
from threading import Event
from typing import Any, Literal

import numpy as np

from skdefocus._napari._layers import (
    MADE_BY,
    LayerData,
    Source,
    fused_layers,
    map_layers,
)
from skdefocus.fusion import READS

#: Work that makes layers; it calls its argument after each step.
Work = Callable[[Callable[[], None]], list[LayerData]]


class CanceledError(Exception):
    """Error that ends work after it was canceled."""


def map_widget() -> Any:
    """Make the widget that maps the blur of an image layer."""
    from magicgui import magicgui

    def blur_map(image: Any, planes: Literal["shown", "all"] = "shown", linear: bool = True) -> Any:
        """Map the blur of the chosen layer in a thread."""
        source = source_of(image)
        index = None if planes == "all" else shown_plane(image)
        steps = prod(source.stacked) if index is None else 1
        return start(
            lambda tick: map_layers(source, index, linear, tick), steps, f"blur of {source.name!r}"
        )

    return _ready(
        magicgui(
            blur_map,
            call_button="Map",
            image={"widget_type": "ComboBox", "choices": image_layers, "label": "layer"},
            planes={"tooltip": "of a stack: the plane that is shown, or each of them"},
            linear={"tooltip": "gray values are proportional to the light, as cameras give them"},
        )
    )


def fuse_widget() -> Any:
    """Make the widget that fuses a z-stack."""
    from magicgui import magicgui

    def fusion(image: Any, align: Literal["none", "translation", "affine"] = "none") -> Any:
        """Fuse the planes of the chosen layer in a thread."""
        source = source_of(image)
        return start(
            lambda tick: fused_layers(source, align, tick),
            READS * prod(source.stacked),
            f"fusion of {source.name!r}",
        )

    return _ready(
        magicgui(
            fusion,
            call_button="Fuse",
            image={"widget_type": "ComboBox", "choices": image_layers, "label": "z-stack"},
            align={"tooltip": "affine also undoes the change of scale when the focus moves"},
        )
    )


def image_layers(_: Any = None) -> list[Any]:
    """List the image layers of the viewer, without those made here."""
    from napari import current_viewer
    from napari.layers import Image

    viewer = current_viewer()
    layers = [] if viewer is None else viewer.layers
    return [x for x in layers if isinstance(x, Image) and MADE_BY not in x.metadata]


def _ready(widget: Any) -> Any:
    """Choose the active layer, if it is among the choices."""
    from napari import current_viewer

    viewer = current_viewer()
    active = None if viewer is None else viewer.layers.selection.active
    if active in image_layers():
        widget.image.value = active
    return widget


def source_of(layer: Any) -> Source:
    """Read the data and the calibration of an image layer."""
    if layer is None:
        raise ValueError("there is no image layer; open an image first")
    names = ("scale", "translate", "rotate", "units", "axis_labels")
    space = {name: getattr(layer, name) for name in names if hasattr(layer, name)}
    space["affine"] = np.asarray(layer.affine.affine_matrix)
    data = layer.data[0] if layer.multiscale else layer.data
    return Source(data, bool(layer.rgb), layer.name, space)


def shown_plane(layer: Any) -> tuple[int, ...]:
    """Return the position of the plane that the viewer shows; () for a layer of two axes."""
    from napari import current_viewer

    viewer = current_viewer()
    point = layer.world_to_data(viewer.dims.point)[:-2]
    return tuple(
        int(np.clip(round(x), 0, n - 1))
        for x, n in zip(point, source_of(layer).stacked, strict=True)
    )


def start(work: Work, steps: int, text: str) -> Any:
    """Run work in a thread with a progress bar; add its layers to the viewer at the end.

    Parameters
    ----------
    work : callable
    steps : int
        Number of steps of the progress bar; a single one shows only that something is going on.
    text : str
        Description of the work.

    Returns
    -------
    napari.qt.threading.GeneratorWorker
        Started; ``quit`` cancels the work. Errors become notifications.
    """
    from napari import current_viewer
    from napari.layers import Layer
    from napari.qt.threading import thread_worker

    viewer = current_viewer()

    def add(layers: list[LayerData]) -> None:
        """Add the layers to the viewer in which the work was started."""
        for layer in layers:
            viewer.add_layer(Layer.create(*layer))

    run = thread_worker(
        step_by_step,
        progress={"total": steps if steps > 1 else 0, "desc": text},
        connect={"returned": add, "errored": tell},
        ignore_errors=True,  # they are told here, in words and not as a traceback
    )
    return run(work)


def tell(error: Exception) -> None:
    """Show an error of some work as a notification; with its traceback, if it is a surprise."""
    from napari.utils.notifications import notification_manager, show_error

    if isinstance(error, ValueError | TypeError):
        show_error(str(error))
    else:
        notification_manager.receive_error(type(error), error, error.__traceback__)


def step_by_step(work: Work) -> Generator[None, None, list[LayerData]]:
    """Yield after each step of some work; return its layers, as generators return values.

    When the generator is closed, the next step raises CanceledError in the work.
    """
    done = object()
    queue: SimpleQueue[object] = SimpleQueue()
    canceled = Event()

    def tick() -> None:
        """Tell of a step."""
        if canceled.is_set():
            raise CanceledError
        queue.put(None)

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work, tick)
        future.add_done_callback(lambda _: queue.put(done))
        try:
            while queue.get() is not done:
                yield
        finally:
            canceled.set()
    return future.result()
