"""Files of phones and cameras, read by packages that may be missing."""

import io
import sys

import numpy as np
import pytest
import tifffile
from helpers.io_cases import WHITE, write_dng
from PIL import ExifTags, Image, ImageCms

from skdefocus import optics
from skdefocus.io import (
    ReadError,
    _ifd,
    left_out,
    read_image,
    read_metadata,
    read_photograph,
    write_photograph,
)

WIDTH, HEIGHT = 64, 48
RGB = np.dstack([*np.meshgrid(np.arange(64) * 4, np.arange(48) * 5), np.full((48, 64), 90)])
RGB = RGB.astype(np.uint8)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
BASE = ExifTags.Base


def make_exif(orientation=6):
    exif = Image.Exif()
    exif[BASE.Make], exif[BASE.Orientation] = "A phone", orientation
    exif.get_ifd(ExifTags.IFD.Exif)[BASE.FocalLength] = 5.0
    return exif.tobytes()


# --- HEIC ---------------------------------------------------------------------------------------


@pytest.fixture
def heic(tmp_path):
    """A portrait as a phone writes it: turned by its container and by EXIF alike."""
    pillow_heif = pytest.importorskip("pillow_heif")
    file = pillow_heif.from_pillow(Image.fromarray(RGB))
    file.info.update(exif=make_exif(), icc_profile=PROFILE)
    path = tmp_path / "portrait.heic"
    file.save(path, quality=95)
    return path


def test_heic(heic):
    pixels = read_image(heic)
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels, np.rot90(RGB, -1), atol=12)
    heic.rename(heic.with_suffix(".png"))  # the content counts
    assert read_image(heic.with_suffix(".png")).shape == (WIDTH, HEIGHT, 3)


@pytest.mark.parametrize("kind", ["jpg", "png", "tif"])
def test_what_comes_with_heic_is_kept(tmp_path, heic, kind):
    like = read_photograph(heic, 10**9)
    assert left_out(f"t.{kind}", like.metadata) == ""
    write_photograph(tmp_path / f"t.{kind}", like.pixels / np.float32(255), like)
    with Image.open(tmp_path / f"t.{kind}") as image:
        exif = image.getexif()
        assert image.size == (HEIGHT, WIDTH)
        assert (exif[BASE.Make], exif[BASE.Orientation]) == ("A phone", 1)
        assert image.info["icc_profile"] == PROFILE
    assert optics.read_lens_facts(heic).focal_length == 5


def test_heic_of_more_than_8_bits_and_with_alpha(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    deep = (np.dstack([RGB, RGB[..., 0]]).astype(np.uint16)) * 257
    file = pillow_heif.from_bytes("RGBA;16", (WIDTH, HEIGHT), deep.tobytes())
    file.save(tmp_path / "a.heic", quality=-1)
    found = read_image(tmp_path / "a.heic", alpha=True)
    assert found.dtype == np.uint16
    np.testing.assert_allclose(found / 65535, deep / 65535, atol=0.02)
    assert read_metadata(tmp_path / "a.heic").alpha
    assert read_metadata(tmp_path / "a.heic").bits == 16


def test_heic_larger_than_allowed_is_not_decoded(heic):
    with pytest.raises(ReadError, match="max_pixels"):
        read_image(heic, max_pixels=1000)


def test_heic_that_is_cut_off(heic):
    heic.write_bytes(heic.read_bytes()[:700])
    with pytest.raises(ReadError, match=r"portrait\.heic"):
        read_image(heic)


def test_films_are_no_photographs(tmp_path):
    (tmp_path / "a.mov").write_bytes(b"\0\0\0\x14ftypqt  \0\0\0\0qt  " + bytes(64))
    with pytest.raises(ReadError, match="film"):
        read_image(tmp_path / "a.mov")


# --- raw ----------------------------------------------------------------------------------------


@pytest.fixture
def dng(tmp_path):
    pytest.importorskip("rawpy")
    values = np.full((128, 192), WHITE // 4, np.uint16)
    values[:, 96:] = WHITE // 2
    write_dng(tmp_path / "a.dng", values)
    return tmp_path / "a.dng"


def test_raw_gets_the_curve_of_srgb_and_no_brightening(dng):
    pixels = read_image(dng)
    assert pixels.dtype == np.uint16
    assert pixels.shape[2] == 3
    middle = len(pixels) // 2
    for column, linear in ((40, 0.25), (150, 0.5)):
        expected = 1.055 * linear ** (1 / 2.4) - 0.055
        np.testing.assert_allclose(pixels[middle, column] / 65535, expected, atol=0.01)


def test_what_comes_with_raw_is_kept(tmp_path, dng):
    like = read_photograph(dng, 10**9)
    write_photograph(tmp_path / "t.tif", like.pixels / np.float32(65535), like)
    with tifffile.TiffFile(tmp_path / "t.tif") as tiff:
        page = tiff.pages[0]
        assert (page.tags["Make"].value, page.dtype) == ("Maker", np.uint16)
        assert 50706 not in page.tags  # no DNG any more


def test_raw_larger_than_allowed_is_not_developed(dng):
    with pytest.raises(ReadError, match="max_pixels"):
        read_image(dng, max_pixels=1000)


def test_thumbnails_of_raw_files(tmp_path):
    """Under a name that does not tell that it is one."""
    write_dng(tmp_path / "a.tif", np.zeros((32, 32), np.uint16))
    with pytest.raises(ReadError, match=r"a\.tif.*thumbnail"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["a.nef", "a.cr3", "a.RAF"])
def test_damaged_raw(tmp_path, name):
    pytest.importorskip("rawpy")
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, "JPEG")
    for data in (b"II*\0", buffer.getvalue(), bytes(1000)):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ReadError, match=rf"{name}.*raw file"):
            read_image(tmp_path / name)
        assert read_metadata(tmp_path / name).exif is None


@pytest.mark.parametrize(("module", "extra"), [("rawpy", "raw"), ("pillow_heif", "heic")])
def test_what_is_missing_is_named(tmp_path, monkeypatch, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    path = tmp_path / {"raw": "a.dng", "heic": "a.heic"}[extra]
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    with pytest.raises(ReadError, match=rf"a\.{'dng' if extra == 'raw' else 'heic'}.*{extra}\]"):
        read_image(path)


def test_a_developed_raw_states_its_own_colors_and_position(tmp_path):
    """A camera that is set to Adobe RGB says so in EXIF; developed pixels are sRGB, and upright."""
    pytest.importorskip("rawpy")
    values = np.full((128, 192), WHITE // 8, np.uint16)
    values[24:40, 120:152] = WHITE
    area = np.array([136, 32], "<u2").tobytes()
    sub = _ifd.Directory(
        "<",
        {0xA001: _ifd.integer("<", 3, 65535), 0x9214: _ifd.Value(3, area)},
        {_ifd.INTEROPERABILITY: _ifd.Directory("<", {1: _ifd.Value(2, b"R03\0")})},
    )
    write_dng(tmp_path / "a.dng", values, [(274, 3, 1, 6, True), (34664, 4, 1, 0, True)])
    data = bytearray((tmp_path / "a.dng").read_bytes())
    data += bytes(len(data) % 2)
    with tifffile.TiffFile(tmp_path / "a.dng") as tiff:
        at = tiff.pages[0].tags[34664].offset
    data[at : at + 2] = (34665).to_bytes(2, "little")  # which tifffile does not write
    data[at + 8 : at + 12] = len(data).to_bytes(4, "little")
    data += _ifd.pack_directory(sub, len(data))
    (tmp_path / "a.dng").write_bytes(data)
    like = read_photograph(tmp_path / "a.dng", 10**9)
    assert like.pixels.shape == (192, 128, 3)
    write_photograph(tmp_path / "t.tif", like.pixels / np.float32(65535), like)
    with Image.open(tmp_path / "t.tif") as image:
        exif = image.getexif()
        sub = exif.get_ifd(ExifTags.IFD.Exif)
        assert (exif.get(274, 1), sub[0xA001]) == (1, 1)
        assert ExifTags.IFD.Interop not in sub
        x, y = sub[0x9214]
    assert like.pixels[y, x].min() > 60_000
