"""From σ in pixels to circles of confusion and distances, by the thin lens.

Four facts turn a blur into a distance: focal length (mm), f-number, distance in focus (m) and
pixel pitch (µm). The formulas are those of an ideal thin lens: distances count from the lens and
not from the sensor, the aperture is round, and diffraction, aberrations and sampling add nothing.
They fail where these do not hold: at macro distances (the effective f-number grows), off axis
(vignetting), and for blurs near a pixel. Photographs must not have been cropped and enlarged, or
the pixel pitch must be the one after it.
"""

from __future__ import annotations

import math
import os
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from PIL import ExifTags

from skdefocus._typing import Float64Array
from skdefocus._validation import check_numbers, check_real
from skdefocus.io import Directory, exif_tags, positive

__all__ = [
    "Distances",
    "LensFacts",
    "coc_at_distance",
    "coc_to_sigma",
    "depth_of_field",
    "distances_of_coc",
    "hyperfocal_distance",
    "read_lens_facts",
    "sigma_to_coc",
]


#: A uniform disc of diameter c has the second moment c² / 16 along each axis.
COC_PER_SIGMA = 4.0

#: Micrometres in the units of EXIF's focal plane resolution.
EXIF_UNITS = {2: 25_400.0, 3: 10_000.0, 4: 1_000.0, 5: 1.0}


class Distances(NamedTuple):
    """Where something may be that has a certain blur: the two answers of a lens.

    Attributes
    ----------
    front : float or ndarray of float64
        Metres from the lens, nearer than what is in focus.
    behind : float or ndarray of float64
        Metres from the lens, beyond what is in focus; infinite where nothing beyond it is that
        blurred.
    """

    front: Any
    behind: Any


class LensFacts(NamedTuple):
    """What a photograph's file says of its lens; None where it says nothing.

    Attributes
    ----------
    focal_length : float or None
        mm.
    f_number : float or None
        Focal length over the diameter of the aperture.
    focus_distance : float or None
        Metres, may be infinite. Few cameras tell it, and coarsely.
    pixel_pitch : float or None
        µm, of the sensor: right only for a photograph that was not resized.
    """

    focal_length: float | None = None
    f_number: float | None = None
    focus_distance: float | None = None
    pixel_pitch: float | None = None


def sigma_to_coc(sigma: ArrayLike) -> Float64Array:
    """Diameter of the uniform disc with the second moment of a Gaussian.

    Parameters
    ----------
    sigma : array_like
        In pixels, ≥ 0.

    Returns
    -------
    float or ndarray of the shape of `sigma`, float64
        Circle of confusion's diameter in pixels, 4 σ.

    Raises
    ------
    ValueError
        If a value is negative or NaN.

    Notes
    -----
    Equal second moments are an agreement, not an identity of the two shapes. The half
    pixel or so by which lens, sensor and demosaicing blur a photograph in focus is not part of a
    map's σ; what a softer lens adds is, so that the disc of a point in focus need not be 0.

    Examples
    --------
    >>> float(sigma_to_coc(1.5))
    6.0
    """
    return COC_PER_SIGMA * _not_negative(sigma, "sigma")


def coc_to_sigma(coc: ArrayLike) -> Float64Array:
    """Standard deviation along one axis of a uniform disc.

    Parameters
    ----------
    coc : array_like
        Diameter in any unit, ≥ 0.

    Returns
    -------
    float or ndarray of the shape of `coc`, float64
        σ in the same unit, a quarter of the diameter.

    Raises
    ------
    ValueError
        If a value is negative or NaN.

    Examples
    --------
    >>> float(coc_to_sigma(6))
    1.5
    """
    return _not_negative(coc, "coc") / COC_PER_SIGMA


def coc_at_distance(
    distance: ArrayLike,
    *,
    focal_length: float,
    f_number: float,
    focus_distance: float,
    pixel_pitch: float,
) -> Float64Array:
    """Circle of confusion of a point at a distance.

    Parameters
    ----------
    distance : array_like
        Metres from the lens, > 0; may be infinite.
    focal_length : float
        mm, > 0.
    f_number : float
        Focal length over the diameter of the aperture, > 0.
    focus_distance : float
        Metres from the lens of what is in focus, more than the focal length; may be infinite.
    pixel_pitch : float
        Distance of neighbouring pixels of the photograph on the sensor, µm, > 0.

    Returns
    -------
    float or ndarray of the shape of `distance`, float64
        Diameter in pixels, ≥ 0.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range; the message names it.

    Notes
    -----
    c = f² / N · |1/d − 1/s| / (1 − f/s), with focal length f, f-number N, distance d and
    distance in focus s, all in one unit.

    Examples
    --------
    A portrait at 2 m with 50 mm, f/2 and 4 µm; the wall at 5 m is blurred with 4 σ:

    >>> lens = dict(focal_length=50, f_number=2, focus_distance=2, pixel_pitch=4)
    >>> coc_at_distance([2, 5], **lens).round(1)
    array([ 0. , 96.2])
    """
    d = check_numbers(distance, "distance")
    if not (d > 0).all():  # NaN too
        raise ValueError(f"distance must be > 0, got {_worst(d)}")
    pixels, focus = _lens(focal_length, f_number, focus_distance, pixel_pitch)
    return pixels * np.abs(1 / d - focus)


def distances_of_coc(
    coc: ArrayLike,
    *,
    focal_length: float,
    f_number: float,
    focus_distance: float,
    pixel_pitch: float,
) -> Distances:
    """Both distances at which a point has a circle of confusion of that size.

    One photograph does not tell which of the two it is.

    Parameters
    ----------
    coc : array_like
        Diameter in pixels, ≥ 0; 4 σ, see :func:`sigma_to_coc`.
    focal_length, f_number, focus_distance, pixel_pitch
        See :func:`coc_at_distance`.

    Returns
    -------
    Distances
        ``front`` and ``behind`` in metres, of the shape of `coc`. With a focus at infinity there
        is nothing behind it, and ``behind`` is infinite.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range; the message names it.

    Notes
    -----
    Behind, blur grows towards a limit, that of a point at infinity. Close to it a small error of
    σ is a large one of the distance.

    Examples
    --------
    >>> lens = dict(focal_length=50, f_number=2, focus_distance=2, pixel_pitch=4)
    >>> front, behind = distances_of_coc([0, 96.2, 500], **lens)
    >>> front.round(2), behind.round(2)
    (array([2.  , 1.25, 0.49]), array([ 2.,  5., inf]))
    """
    pixels, focus = _lens(focal_length, f_number, focus_distance, pixel_pitch)
    shift = _not_negative(coc, "coc") / pixels
    with np.errstate(divide="ignore", over="ignore"):
        # [()] makes a scalar of an array without axes.
        return Distances((1 / (focus + shift))[()], (1 / np.maximum(focus - shift, 0))[()])


def depth_of_field(
    max_coc: float = 2.0,
    *,
    focal_length: float,
    f_number: float,
    focus_distance: float,
    pixel_pitch: float,
) -> Distances:
    """Nearest and farthest distance that count as in focus.

    Parameters
    ----------
    max_coc : float, default=2.0
        Largest circle of confusion that counts as sharp, in pixels, > 0.
    focal_length, f_number, focus_distance, pixel_pitch
        See :func:`coc_at_distance`.

    Returns
    -------
    Distances
        ``front`` and ``behind`` in metres, floats.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range; the message names it.

    Examples
    --------
    >>> lens = dict(focal_length=50, f_number=8, focus_distance=2, pixel_pitch=4)
    >>> near, far = depth_of_field(**lens)
    >>> round(near, 2), round(far, 2)
    (1.9, 2.11)
    """
    limit = check_real(max_coc, "max_coc", 0, above=True)
    near, far = distances_of_coc(
        limit,
        focal_length=focal_length,
        f_number=f_number,
        focus_distance=focus_distance,
        pixel_pitch=pixel_pitch,
    )
    return Distances(float(near), float(far))


def hyperfocal_distance(
    max_coc: float = 2.0, *, focal_length: float, f_number: float, pixel_pitch: float
) -> float:
    """Nearest focus at which infinity still counts as sharp.

    Parameters
    ----------
    max_coc : float, default=2.0
        Largest circle of confusion that counts as sharp, in pixels, > 0.
    focal_length, f_number, pixel_pitch
        See :func:`coc_at_distance`.

    Returns
    -------
    float
        Metres; from half of it to infinity all is sharp then.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range; the message names it.

    Examples
    --------
    >>> round(hyperfocal_distance(focal_length=24, f_number=8, pixel_pitch=4), 2)
    9.02
    """
    limit = check_real(max_coc, "max_coc", 0, above=True)
    at_infinity, _ = _lens(focal_length, f_number, math.inf, pixel_pitch)
    return at_infinity / limit + focal_length / 1000


def read_lens_facts(path: str | os.PathLike[str]) -> LensFacts:
    """Read what a photograph's EXIF block says of the lens, without decoding the photograph.

    Parameters
    ----------
    path : path
        File in a format that Pillow reads (JPEG, TIFF, PNG, WebP …).

    Returns
    -------
    LensFacts
        None for what is not there, or makes no sense.

    Raises
    ------
    OSError
        If there is no such file or it is no picture; the message names the file.

    Examples
    --------
    >>> facts = read_lens_facts("IMG_0001.JPG")  # doctest: +SKIP
    >>> facts.focal_length, facts.f_number  # doctest: +SKIP
    (50.0, 2.0)
    """
    tags = exif_tags(path)
    said = ExifTags.Base
    per_unit = positive(tags.number(said.FocalPlaneXResolution))
    unit = EXIF_UNITS.get(int(tags.number(said.FocalPlaneResolutionUnit) or 2))
    return LensFacts(
        positive(tags.number(said.FocalLength)),
        positive(tags.number(said.FNumber)),
        _distance(tags),
        None if per_unit is None or unit is None else unit / per_unit,
    )


def _distance(tags: Directory) -> float | None:
    """Metres; a numerator of all ones is infinity by EXIF's definition."""
    value = tags.values.get(ExifTags.Base.SubjectDistance)
    if value is not None and value.data[:4] == b"\xff" * 4:
        return math.inf
    return positive(tags.number(ExifTags.Base.SubjectDistance))


def _lens(
    focal_length: float, f_number: float, focus_distance: float, pixel_pitch: float
) -> tuple[float, float]:
    """Pixels of blur per 1/m away from the focus, and where that is in 1/m."""
    f = check_real(focal_length, "focal_length", 0, above=True) / 1000
    number = check_real(f_number, "f_number", 0, above=True)
    pitch = check_real(pixel_pitch, "pixel_pitch", 0, above=True) / 1e6
    s = focus_distance
    if s != math.inf:
        s = check_real(s, "focus_distance", 0, above=True)
    if s <= f:
        raise ValueError(
            f"focus_distance must exceed the focal length, {f:g} m, got {s:g} m; "
            "focus_distance is in metres, focal_length in mm"
        )
    pixels = f * f / (number * pitch * (1 - f / s))
    if not 0 < pixels < math.inf:
        raise ValueError(
            "focal_length, f_number, focus_distance and pixel_pitch must be those of a lens, got "
            f"{focal_length:g}, {f_number:g}, {focus_distance:g} and {pixel_pitch:g}"
        )
    return pixels, 1 / s


def _not_negative(values: ArrayLike, name: str) -> Float64Array:
    x = check_numbers(values, name)
    if not (x >= 0).all():  # NaN too
        raise ValueError(f"{name} must be >= 0, got {_worst(x)}")
    return x


def _worst(x: Float64Array) -> float:
    return float(np.min(x))  # NaN if there is one
