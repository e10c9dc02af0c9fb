"""Files in: what is read and how, and what is refused."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from helpers.cli_cases import without_rights
from helpers.io_cases import refused
from numpy.testing import assert_array_equal
from PIL import Image, ImageCms

from skdefocus.io import MAX_PIXELS, read_image

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (12, 17), np.uint8)
RGB = RNG.integers(0, 256, (12, 17, 3), np.uint8)
DEEP = RNG.integers(0, 65536, (12, 17), np.uint16)
DEEP_RGB = RNG.integers(0, 65536, (12, 17, 3), np.uint16)


def saved(folder, array, name="photo.png", mode=None, **options):
    path = folder / name
    image = Image.fromarray(array)
    (image if mode is None else image.convert(mode)).save(path, **options)
    return path


def chunk(kind, data):
    return (
        struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", zlib.crc32(kind + data) & 0xFFFFFFFF)
    )


def png(width, height, depth, color, rows, interlaced=0):
    """A PNG of any kind, which Pillow cannot write."""
    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


# --- what is read ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["photo.png", "photo.tif", "photo.bmp", "photo.webp"])
@pytest.mark.parametrize("pixels", [GRAY, RGB], ids=["gray", "rgb"])
def test_eight_bits(tmp_path, name, pixels):
    options = {"lossless": True} if name.endswith("webp") else {}
    found = read_image(saved(tmp_path, pixels, name, **options))
    assert found.dtype == np.uint8
    expected = np.stack([pixels] * 3, -1) if found.ndim > pixels.ndim else pixels
    assert_array_equal(found, expected)
    assert found.flags.writeable
    assert found.flags.c_contiguous


def test_jpeg_is_near(tmp_path):
    smooth = np.linspace(0, 255, 64 * 64).reshape(64, 64).astype(np.uint8)
    found = read_image(saved(tmp_path, smooth, "photo.jpg", quality=95))
    assert np.abs(found.astype(int) - smooth).max() < 12


def test_one_bit(tmp_path):
    found = read_image(saved(tmp_path, GRAY > 127, "photo.png"))
    assert_array_equal(found, np.where(GRAY > 127, 255, 0))


def test_sixteen_bits_grey(tmp_path):
    for name in ("photo.png", "photo.tif", "photo.pgm"):
        found = read_image(saved(tmp_path, DEEP, name))
        assert found.dtype == np.uint16
        assert_array_equal(found, DEEP)


def test_sixteen_bits_colour_png(tmp_path):
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in DEEP_RGB)
    path = tmp_path / "photo.png"
    path.write_bytes(png(17, 12, 16, 2, rows))
    assert_array_equal(read_image(path), DEEP_RGB)


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bits_colour_tiff(tmp_path, order):
    path = tmp_path / "photo.tif"
    tifffile.imwrite(path, DEEP_RGB, photometric="rgb", byteorder=order)
    found = read_image(path)
    assert_array_equal(found, DEEP_RGB)
    assert found.dtype == np.dtype(np.uint16)


def test_float_tiff(tmp_path):
    values = (GRAY / 255).astype(np.float32)
    tifffile.imwrite(tmp_path / "photo.tif", values)
    assert_array_equal(read_image(tmp_path / "photo.tif"), values)


def test_palette_alpha_and_cmyk_become_colour(tmp_path):
    few = np.repeat(np.repeat(RNG.integers(0, 2, (3, 4, 3), np.uint8) * 255, 4, 0), 4, 1)
    assert_array_equal(read_image(saved(tmp_path, few, "palette.png", "P")), few)
    with_alpha = np.dstack([RGB, GRAY])
    assert_array_equal(read_image(saved(tmp_path, with_alpha, "alpha.png")), RGB)
    gray_alpha = Image.merge("LA", [Image.fromarray(GRAY), Image.fromarray(GRAY)])
    gray_alpha.save(tmp_path / "la.png")
    assert_array_equal(read_image(tmp_path / "la.png"), GRAY)
    found = read_image(saved(tmp_path, np.full((8, 8, 3), 255, np.uint8), "c.tif", "CMYK"))
    assert_array_equal(found, np.full((8, 8, 3), 255))


@pytest.mark.parametrize("name", ["film.gif", "film.png", "film.webp", "pages.tif"])
def test_the_first_picture_of_an_animation_and_of_pages(tmp_path, name):
    first, second = Image.fromarray(GRAY), Image.fromarray(255 - GRAY)
    options = {"lossless": True} if name.endswith("webp") else {}
    first.save(tmp_path / name, save_all=True, append_images=[second], **options)
    with Image.open(tmp_path / name) as film:
        assert film.n_frames == 2
    found = read_image(tmp_path / name)
    assert_array_equal(found if found.ndim == 2 else found[..., 0], GRAY)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation):
    """Pillow's own transposition is the reference."""
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, RGB, exif=exif)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert_array_equal(read_image(path), expected)


def test_a_colour_profile_does_not_matter(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert_array_equal(read_image(saved(tmp_path, RGB, icc_profile=profile)), RGB)


@pytest.mark.parametrize(
    "name", ["a photo.png", "-photo.png", "ドアの写真.png", "σ=2.PNG", "noname"]
)
def test_names(tmp_path, name):
    assert_array_equal(read_image(saved(tmp_path, RGB, name, format="PNG")), RGB)


def test_the_content_counts_and_not_the_suffix(tmp_path):
    assert_array_equal(read_image(saved(tmp_path, RGB, "photo.jpg", format="PNG")), RGB)


def test_symbolic_link(tmp_path):
    (tmp_path / "link.png").symlink_to(saved(tmp_path, RGB))
    assert_array_equal(read_image(tmp_path / "link.png"), RGB)


@pytest.mark.parametrize("size", [(1, 40), (40, 1), (1, 1)])
def test_thin_pictures(tmp_path, size):
    assert read_image(saved(tmp_path, np.zeros(size, np.uint8))).shape == size


# --- what is refused ---------------------------------------------------------------------------


def test_missing_folder_and_pipe(tmp_path):
    refused(tmp_path / "none.png", "No such file")
    refused(tmp_path, "it is a folder")
    os.mkfifo(tmp_path / "pipe.png")
    refused(tmp_path / "pipe.png", "not a regular file")
    (tmp_path / "broken.png").symlink_to(tmp_path / "none.png")
    refused(tmp_path / "broken.png", "No such file")


def test_unreadable(tmp_path):
    saved(tmp_path, RGB).chmod(0)
    tmp_path.chmod(0o755)
    with without_rights(tmp_path):
        refused(Path("photo.png"), "Permission denied")


def test_empty_and_text(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"")
    refused(path, "empty")
    path.write_text("this is no photograph, whatever its name says")
    refused(path, "it is not a picture of a kind that can be read")


@pytest.mark.parametrize("name", ["photo.png", "photo.jpg", "photo.tif", "photo.webp", "photo.gif"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_cut_off(tmp_path, name, share):
    noise = RNG.integers(0, 256, (64, 64, 3), np.uint8)
    path = saved(tmp_path, noise, name)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    refused(path, "damaged|not a picture|cut off")


def test_damaged_png(tmp_path):
    path = saved(tmp_path, RGB)
    whole = bytearray(path.read_bytes())
    at = whole.index(b"IDAT") + 6
    whole[at] ^= 0xFF  # the checksum no longer fits
    path.write_bytes(whole)
    refused(path, "damaged")
    path.write_bytes(bytes(whole[:8]) + b"rubbish" * 10)
    refused(path, "not a picture|damaged")


PLAIN = png(2, 2, 8, 0, b"\0ab\0cd")


@pytest.mark.parametrize(
    "data",
    [
        PLAIN.replace(b"\r\n", b"\n", 1),
        PLAIN.replace(b"\x89PNG", b"\x89png"),
        png(2, 2, 3, 0, b"\0ab\0cd"),
        png(2, 2, 8, 1, b"\0ab\0cd"),
        png(0, 2, 8, 0, b"\0\0"),
        png(2, 2, 8, 0, b"\0ab"),
        PLAIN[:33] + PLAIN[-12:],
        PLAIN[:29] + b"\0\0\0\0" + PLAIN[33:],
        PLAIN.replace(b"IDAT", b"IDAX"),
    ],
    ids=[
        "line ends converted", "signature", "3 bits", "color type 1", "no width", "a row missing",
        "no data", "checksum of the head", "data called otherwise",
    ],
)  # fmt: skip
def test_corrupt_png(tmp_path, data):
    assert_array_equal(read_image(written(tmp_path, PLAIN)), [[97, 98], [99, 100]])
    refused(written(tmp_path, data), "damaged|not a picture|no pixels")


@pytest.mark.parametrize(("depth", "size"), [(8, 22), (1, 14), (16, 37)])
def test_interlaced_png(tmp_path, depth, size):
    """5 × 3 pixels in six passes (the third is empty), each row with one byte before it."""
    whole = png(5, 3, depth, 0, b"\0" * size, interlaced=1)
    assert_array_equal(read_image(written(tmp_path, whole)), np.zeros((3, 5)))
    refused(written(tmp_path, png(5, 3, depth, 0, b"\0" * (size - 1), 1)), "rows are missing|cut")


def written(folder, data):
    path = folder / "photo.png"
    path.write_bytes(data)
    return path


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(60_000, 60_000, 1, 0, b"\0" * 100))
    assert path.stat().st_size < 200
    refused(path, f"more pixels than max_pixels = {MAX_PIXELS}")
    assert MAX_PIXELS < 60_000**2
    photo = saved(tmp_path, RGB)
    refused(photo, "17 x 12 pixels, more than max_pixels = 100", max_pixels=100)
    assert read_image(photo, max_pixels=17 * 12).shape == (12, 17, 3)


def test_camera_raw(tmp_path):
    path = tmp_path / "photo.NEF"
    path.write_bytes(b"II*\0")
    refused(path, "camera raw")


@pytest.mark.parametrize("limit", [0, -1, 1.5])
def test_wrong_limit(tmp_path, limit):
    with pytest.raises((TypeError, ValueError), match="max_pixels"):
        read_image(saved(tmp_path, RGB), max_pixels=limit)
