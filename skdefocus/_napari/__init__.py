"""Widgets for napari (extra ``napari``): maps of image layers, and fusion of z-stacks.

napari finds them by ``napari.yaml``. Only the functions that it calls import napari.
"""

from skdefocus._napari._widgets import fuse_widget, map_widget

__all__ = ["fuse_widget", "map_widget"]
