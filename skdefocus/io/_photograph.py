"""Reading and writing of photographs with their depth, alpha, profile, EXIF and other metadata."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from skdefocus._typing import AnyArray, Float32Array, StrPath, UInt8Array
from skdefocus.io import (
    _boxes,
    _exif,
    _heif,
    _ifd,
    _jpeg,
    _metadata,
    _png,
    _raw,
    _read,
    _tiff,
    _xmp,
)
from skdefocus.io._atomic import atomic_path
from skdefocus.io._errors import MAX_PIXELS, ReadError
from skdefocus.io._metadata import Metadata

#: Formats that a photograph can be written in.
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}
#: Endings of the outputs for other formats: JPEG for those of phones, lossless for the rest.
PHONES = dict.fromkeys((".heic", ".heif", ".hif", ".avif"), ".jpg")
INSTEAD = PHONES | dict.fromkeys(_raw.SUFFIXES, ".tif")
ENCODERS: dict[str, Callable[[Any, Metadata], bytes]] = {
    "PNG": _png.encode_png,
    "JPEG": _jpeg.encode_jpeg,
    "TIFF": _tiff.encode_tiff,
}
#: Parts of a file that XMP describes and that are not kept.
STALE = "a gain map, depth map, sound, video or further XMP"
#: Modes of Pillow with more than 8 bits.
DEEP = {"I": 16, "F": 32}
GRAY_MODES = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L")


@dataclass(frozen=True)
class Photograph:
    """A photograph, turned upright, with the metadata of its file.

    Attributes
    ----------
    pixels : ndarray of shape (H, W) or (H, W, 3)
        uint8, uint16 or float32, see :func:`skdefocus.io.read_image`.
    alpha : ndarray of shape (H, W) or None
        Alpha of the same type.
    metadata : Metadata
        Metadata in the file, which hold for the pixels before they were turned.
    orientation : int
        Orientation of the pixels before they were turned, from 1 to 8.
    """

    pixels: AnyArray
    alpha: AnyArray | None = None
    metadata: Metadata = field(default_factory=Metadata)
    orientation: int = 1

    def turned(self, orientation: int) -> Photograph:
        """Return the photograph as if EXIF had stated another orientation."""
        if orientation == self.orientation:
            return self
        back = {6: 8, 8: 6}.get(self.orientation, self.orientation)
        pixels, alpha = (
            None if x is None else _read.upright(_read.upright(x, back), orientation)
            for x in (self.pixels, self.alpha)
        )
        assert pixels is not None
        return replace(
            self, pixels=np.ascontiguousarray(pixels), alpha=alpha, orientation=orientation
        )

    def with_alpha(self, alpha: Float32Array) -> Photograph:
        """Return the photograph with another alpha in [0, 1], or none if that is 1 everywhere."""
        if alpha.min() >= 1:
            return replace(self, alpha=None)
        if self.pixels.dtype.kind == "u":
            most = np.iinfo(self.pixels.dtype).max
            return replace(self, alpha=np.rint(alpha * most).astype(self.pixels.dtype))
        return replace(self, alpha=alpha)

    def cut(self, kept: tuple[slice, slice]) -> Photograph:
        """Cut the pixels and alpha; metadata are updated when the photograph is written."""
        pixels = self.pixels[kept]
        if pixels.shape == self.pixels.shape:
            return self
        alpha = None if self.alpha is None else self.alpha[kept]
        return replace(self, pixels=pixels, alpha=alpha, metadata=_metadata.cut(self.metadata))


def read_photograph(path: StrPath, max_pixels: int) -> Photograph:
    """Read a photograph with its metadata.

    Raises
    ------
    ReadError
        See :func:`skdefocus.io.read_image`. Damaged metadata raise no error; they are named in
        ``metadata.problems``.
    """
    pixels, orientation = _read.decode(path, max_pixels, alpha=True)
    alpha = None
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        pixels, alpha = pixels[..., :-1], pixels[..., -1]
        pixels = np.ascontiguousarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])
    metadata = read_metadata(path, max_pixels)
    turned = orientation if orientation > 1 else metadata.turned
    return Photograph(pixels, alpha, metadata, turned)


def read_orientation(path: StrPath, max_pixels: int = MAX_PIXELS) -> int:
    """Read the orientation that a file states, from 1 to 8; 1 if it states none."""
    metadata = read_metadata(path, max_pixels)
    if metadata.turned > 1:
        return metadata.turned
    return _exif.orientation_of(_exif.tags_of(metadata.exif))


def read_metadata(path: StrPath, max_pixels: int = MAX_PIXELS) -> Metadata:
    """Read the metadata of a file without its pixels, and never raise an error.

    A file that cannot be opened has none; the error comes when its pixels are read.
    """
    try:
        with _metadata_reader(path, max_pixels) as read:
            return _readable(read)
    except Exception:
        return Metadata()


def _readable(read: Callable[[], Metadata]) -> Metadata:
    """Read metadata; if they are damaged, report it instead."""
    try:
        return _checked(read())
    except Exception as error:  # not a reason to lose the photograph
        text = " ".join(str(error).split()) or type(error).__name__
        return Metadata(problems=(f"its metadata, which are damaged ({text})",))


def exif_tags(path: StrPath) -> _ifd.Directory:
    """Read the tags of EXIF's own directory; OSError if the file is not a picture."""
    try:
        with _metadata_reader(path, MAX_PIXELS) as read:
            metadata = read()
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        why = " ".join(str(error).split()) or type(error).__name__
        if not isinstance(error, ReadError):
            why = f"it is not a picture ({why})"
        raise OSError(f"cannot read {os.fspath(path)!r}: {why}") from error
    tags = _exif.tags_of(metadata.exif)
    return tags.children.get(_ifd.EXIF, _ifd.Directory(tags.order))


def _checked(metadata: Metadata) -> Metadata:
    """Leave out parts that are damaged or do not fit the pixels, and report them."""
    if metadata.exif is not None:
        try:
            _ifd.read_block(metadata.exif)
        except _ifd.TagError as error:
            problem = f"its EXIF, which is damaged ({error})"
            metadata = replace(metadata, exif=None, problems=(*metadata.problems, problem))
    if metadata.xmp is not None:
        xmp, stale = _xmp.without_stale_parts(metadata.xmp)
        problems = (STALE,) if stale else ()
        metadata = replace(metadata, xmp=xmp, problems=(*metadata.problems, *problems))
    return _metadata.without_foreign_profile(metadata)


@contextmanager
def _metadata_reader(path: StrPath, max_pixels: int) -> Iterator[Callable[[], Metadata]]:
    """Open a file, and yield a function that reads its metadata."""
    with _read.open_regular(path) as file, ExitStack() as stack:
        kind = _read.kind_of(path, file)
        if kind == "raw":
            yield partial(_raw.read_raw, path)
        elif kind == "heif":
            yield partial(_heif.read_heif, _heif.open_heif(file))
        elif kind == "tiff":
            yield partial(_tiff.read_tiff, file)
        else:
            image = stack.enter_context(_read.open_with_pillow(file, max_pixels))
            yield partial(_metadata_of_opened, image, file)


def _metadata_of_opened(image: Image.Image, file: IO[bytes]) -> Metadata:
    """Read the metadata of a file that Pillow has opened."""
    if image.format == "PNG":
        found = _png.read_png(file)
    elif image.format in ("JPEG", "MPO"):
        found = replace(_jpeg.read_jpeg(image), gray=image.mode == "L")
    else:
        found = _metadata_of_other(image, file)
    several = getattr(image, "is_animated", False)
    return replace(found, problems=(*found.problems, "further pictures")) if several else found


def _metadata_of_other(image: Image.Image, file: IO[bytes]) -> Metadata:
    """Read the metadata of WebP, AVIF, JPEG 2000, GIF, BMP and PNM."""
    info = image.info
    parts, stored = dict[bytes, bytes](), 0
    color: tuple[_metadata.Chunk, ...] = ()
    if image.format == "JPEG2000":
        parts, stored = _boxes.read_jp2(file)
    elif image.format == "AVIF":
        color, stored = _boxes.read_avif(file)
    exif = info.get("exif") or parts.get(b"exif", b"")
    profile = info.get("icc_profile") or parts.get(b"profile")
    dpi = info.get("dpi")
    deep = image.mode.startswith("I;16") or _read.deep_range(image) is not None
    bits = 16 if deep else DEEP.get(image.mode, 8)
    return Metadata(
        exif=exif.removeprefix(_exif.PREFIX) or None,
        xmp=info.get("xmp") or parts.get(b"xmp"),
        profile=profile or None,
        color=() if profile else color,
        comment=info.get("comment") if image.format == "GIF" else None,
        resolution=(float(dpi[0]), float(dpi[1]), "inch") if dpi and min(dpi) > 0 else None,
        bits=bits,
        alpha=image.has_transparency_data,
        gray=image.mode in GRAY_MODES,
        problems=(f"more than 8 bits of the {stored} per channel",) if stored > bits else (),
    )


def output_suffix(path: StrPath) -> str:
    """Return the ending of a result: that of the photograph, or of the format written instead.

    A photograph of a phone becomes a PNG if a JPEG could not hold its depth, alpha or colors.
    """
    suffix = Path(path).suffix.lower()
    if suffix in FORMATS:
        return suffix
    instead = INSTEAD.get(suffix, ".png")
    if instead == ".jpg":
        metadata = read_metadata(path)
        if metadata.bits > 8 or metadata.alpha or metadata.color:
            return ".png"
    return instead


def format_of(path: StrPath) -> str:
    """Name the format of an output, or raise ValueError."""
    kind = FORMATS.get(Path(path).suffix.lower())
    if kind is None:
        raise ValueError(f"{os.fspath(path)!r} must end in {', '.join(FORMATS)}")
    return kind


def left_out(target: StrPath, metadata: Metadata) -> str:
    """Describe in one line the metadata that an output cannot hold; empty if there are none."""
    kind = format_of(target)
    lost = [*metadata.problems, *_metadata.fitted(metadata, kind)[1]]
    return f"left out in {kind}: {'; '.join(lost)}" if lost else ""


def write_photograph(
    path: StrPath, image: Float32Array, like: Photograph, overwrite: bool = False
) -> None:
    """Write a photograph with the depth and metadata of another, or nothing at all.

    Parameters
    ----------
    path : str or path
        Ends in one of `FORMATS`.
    image : ndarray of shape (H, W) or (H, W, 3), float32 in [0, 1]
    like : Photograph
        Photograph that `image` was made from.
    overwrite : bool, default=False

    Raises
    ------
    ValueError
        If `path` ends in anything else, or the format cannot hold so many pixels.
    OSError
        If the file cannot be written.
    """
    kind = format_of(path)
    height, width = like.pixels.shape[:2]
    before = (height, width) if like.orientation >= 5 else (width, height)
    metadata, _ = _metadata.fitted(like.metadata, kind)
    metadata = _metadata.upright(metadata, like.orientation, before, image.shape[1::-1])
    # In memory first: on a full disk, encoders may not report that a file is incomplete.
    data = ENCODERS[kind](_stored(image, like, kind), metadata)
    with atomic_path(path, overwrite) as temporary:
        temporary.write_bytes(data)


def _stored(image: Float32Array, like: Photograph, kind: str) -> AnyArray:
    """Convert an image, and the alpha of another, to the values that a format holds."""
    depth = like.pixels.dtype
    if kind == "JPEG" or depth == np.bool_:
        depth = np.dtype(np.uint8)
    elif depth.kind == "f" and kind == "PNG":
        depth = np.dtype(np.uint16)
    values = np.clip(image, 0, 1)
    if depth.kind != "f":
        values = np.rint(values * np.iinfo(depth).max).astype(depth)
    if like.alpha is None or kind == "JPEG":
        return values
    alpha = like.alpha
    if alpha.dtype != depth:
        alpha = np.rint(alpha * np.iinfo(depth).max).astype(depth)
    return np.concatenate([np.atleast_3d(values), alpha[..., None]], axis=2)


def side_by_side(pictures: list[AnyArray], width: int = 640) -> UInt8Array:
    """Join pictures in [0, 1] side by side, each at most `width` pixels wide, for a preview."""
    shown = []
    for picture in pictures:
        rgb = np.repeat(np.atleast_3d(picture), 3, 2) if picture.ndim == 2 else picture
        small = Image.fromarray(np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8))
        small.thumbnail((width, 4 * width), Image.Resampling.LANCZOS)
        shown.append(np.asarray(small))
    return np.hstack(shown)
