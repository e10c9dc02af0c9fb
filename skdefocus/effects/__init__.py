"""Effects that follow a photograph's defocus map: magnified defocus and sharpening."""

from skdefocus.effects._magnifier import DefocusMagnifier
from skdefocus.effects._magnify import aperture_psf, magnify
from skdefocus.effects._noise import noise_level
from skdefocus.effects._paper import paper_magnify, paper_weight
from skdefocus.effects._sharpen import sharpen
from skdefocus.effects._sharpener import AdaptiveSharpener

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
