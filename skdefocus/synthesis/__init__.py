"""Photographs with known blur: PSFs, layered defocus, sensor noise and JPEG.

All functions are pure. σ is always the standard deviation of the PSF along one axis, in pixels of
the image. float32 stays float32, and other real types become float64. Unsigned integers are
rejected, since their scale is not known. No input is written to.
"""

from skdefocus.synthesis._blur import blur, blur_varying
from skdefocus.synthesis._blur import hat_weight as hat_weight
from skdefocus.synthesis._camera import add_noise, jpeg
from skdefocus.synthesis._camera import noise_deviation as noise_deviation
from skdefocus.synthesis._camera import through_jpeg as through_jpeg
from skdefocus.synthesis._psf import psf
from skdefocus.synthesis._psf import transfer_function as transfer_function
from skdefocus.synthesis._scenes import Layer, Scene, render_layers
from skdefocus.synthesis._srgb import from_linear, to_linear

__all__ = [
    "Layer",
    "Scene",
    "add_noise",
    "blur",
    "blur_varying",
    "from_linear",
    "jpeg",
    "psf",
    "render_layers",
    "to_linear",
]
