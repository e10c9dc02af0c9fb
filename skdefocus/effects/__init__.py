"""Photographs that follow their defocus maps: a shallower depth of field, and sharpening."""

from skdefocus.effects._magnifier import DefocusMagnifier
from skdefocus.effects._magnify import aperture_psf, magnify
from skdefocus.effects._paper import paper_magnify, paper_weight
from skdefocus.effects._sharpen import AdaptiveSharpener, noise_level, sharpen

__all__ = [
    "AdaptiveSharpener",
    "DefocusMagnifier",
    "aperture_psf",
    "magnify",
    "noise_level",
    "paper_magnify",
    "paper_weight",
    "sharpen",
]
