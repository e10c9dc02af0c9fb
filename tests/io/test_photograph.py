"""What travels with a photograph: written by one program, carried over, read back by another."""

import numpy as np
import pytest
import tifffile
from helpers.photograph_files import (
    ALPHA,
    BASE,
    DEEP,
    HEIGHT,
    KINDS,
    RNG,
    WIDTH,
    carry,
    exif_of,
    iptc_of,
    make_exif,
    opened,
    save,
    thumbnailed,
    xmp_of,
)
from helpers.pictures import PROFILE, RGB
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from skdefocus.io import (
    left_out,
    read_image,
    read_metadata,
)


def across(test):
    return pytest.mark.parametrize("kind", KINDS)(pytest.mark.parametrize("target", KINDS)(test))


@across
def test_exif(tmp_path, kind, target):
    exif, sub, gps = exif_of(carry(save(tmp_path, kind), tmp_path / f"t.{target}"))
    expected = make_exif()
    for tag in (BASE.Make, BASE.Model, BASE.Artist, BASE.Copyright, BASE.DateTime):
        assert exif[tag] == expected[tag]
    assert exif.get(BASE.Orientation, 1) == 1
    assert float(sub[BASE.FNumber]) == pytest.approx(2.8)
    assert float(sub[BASE.ExposureBiasValue]) == pytest.approx(-1 / 3)
    assert sub[BASE.ISOSpeedRatings] == 200
    assert sub[BASE.MakerNote] == b"maker's own"
    assert gps[2] == (48, 6, 30)


@pytest.mark.parametrize("kind", ["jpg", "png"])
@pytest.mark.parametrize("target", ["jpg", "png"])
def test_what_needs_no_change_in_exif_stays_byte_for_byte(tmp_path, kind, target):
    """Maker notes point into the block, and no program knows all of them."""
    source = save(tmp_path, kind)
    before, after = (
        opened(p).info["exif"].removeprefix(b"Exif\0\0")
        for p in (source, carry(source, tmp_path / f"t.{target}"))
    )
    assert before == after


@across
def test_xmp(tmp_path, kind, target):
    image = opened(carry(save(tmp_path, kind), tmp_path / f"t.{target}"))
    xmp = xmp_of(image)
    assert b"<dc:title>Title</dc:title>" in xmp


@across
def test_iptc(tmp_path, kind, target):
    assert b"caption" in iptc_of(opened(carry(save(tmp_path, kind), tmp_path / f"t.{target}")))


@across
def test_profiles(tmp_path, kind, target):
    image = opened(carry(save(tmp_path, kind), tmp_path / f"t.{target}"))
    assert image.info["icc_profile"] == PROFILE


@pytest.mark.parametrize("pixels", [DEEP, DEEP[..., 0], (DEEP / 65535).astype(np.float32)])
def test_profiles_of_every_kind_of_tiff(tmp_path, pixels):
    photometric = "rgb" if pixels.ndim == 3 else "minisblack"
    source = tmp_path / "a.tif"
    extra = [(34675, 7, len(PROFILE), PROFILE, True)]
    tifffile.imwrite(source, pixels, photometric=photometric, extratags=extra, metadata=None)
    with tifffile.TiffFile(carry(source, tmp_path / "t.tif")) as tiff:
        assert tiff.pages[0].tags.valueof(34675) == PROFILE
        np.testing.assert_array_equal(tiff.pages[0].asarray(), pixels)
    with Image.open(carry(source, tmp_path / "t.png")) as image:
        assert image.info["icc_profile"] == PROFILE


@across
def test_resolution(tmp_path, kind, target):
    image = opened(carry(save(tmp_path, kind), tmp_path / f"t.{target}"))
    assert image.info["dpi"] == pytest.approx((300, 200), rel=1e-4)


@pytest.mark.parametrize(("unit", "code"), [("INCH", 2), ("CENTIMETER", 3)])
def test_units_of_resolution(tmp_path, unit, code):
    source = tmp_path / "a.tif"
    tifffile.imwrite(source, DEEP, photometric="rgb", resolution=(600, 400), resolutionunit=unit)
    with tifffile.TiffFile(carry(source, tmp_path / "t.tif")) as tiff:
        tags = tiff.pages[0].tags
        assert tags["ResolutionUnit"].value == code
        assert (tags["XResolution"].value, tags["YResolution"].value) == ((600, 1), (400, 1))
    with Image.open(carry(source, tmp_path / "t.jpg")) as image:
        assert image.info["jfif_unit"] == code - 1
        assert image.info["jfif_density"] == (600, 400)
    factor = 1 if unit == "INCH" else 2.54
    with Image.open(carry(source, tmp_path / "t.png")) as image:
        assert image.info["dpi"] == pytest.approx((600 * factor, 400 * factor), rel=1e-3)


def test_gamma_and_chromaticities_of_png(tmp_path):
    info = PngInfo()
    info.add(b"gAMA", (100_000).to_bytes(4, "big"))
    info.add(b"cHRM", b"".join(v.to_bytes(4, "big") for v in (31270, 32900, 64000, 33000) * 2))
    source = tmp_path / "a.png"
    Image.fromarray(RGB).save(source, pnginfo=info)
    image = opened(carry(source, tmp_path / "t.png"))
    assert image.info["gamma"] == 1
    assert image.info["chromaticity"][:2] == (0.3127, 0.329)
    metadata = read_metadata(source)
    assert left_out("t.png", metadata) == ""
    for name in ("t.jpg", "t.tif"):
        assert "the color space" in left_out(name, metadata)


def test_a_gamma_that_means_srgb_is_not_missed(tmp_path):
    info = PngInfo()
    info.add(b"gAMA", (45_455).to_bytes(4, "big"))
    Image.fromarray(RGB).save(tmp_path / "a.png", pnginfo=info)
    assert left_out("t.jpg", read_metadata(tmp_path / "a.png")) == ""


@pytest.mark.parametrize("target", KINDS)
def test_texts_of_png(tmp_path, target):
    info = PngInfo()
    for key, text in (("Author", "José"), ("Copyright", "(c)"), ("Title", "ドア")):
        info.add_itxt(key, text) if key == "Title" else info.add_text(key, text)
    source = tmp_path / "a.png"
    Image.fromarray(RGB).save(source, pnginfo=info)
    image = opened(carry(source, tmp_path / f"t.{target}"))
    lost = left_out(f"t.{target}", read_metadata(source))
    if target == "png":
        assert (image.text["Author"], image.text["Title"], lost) == ("José", "ドア", "")
    else:
        assert image.getexif()[BASE.Copyright] == "(c)"
        assert "José".encode() in (tmp_path / f"t.{target}").read_bytes()
        assert "the text 'Title'" in lost


@pytest.mark.parametrize("target", KINDS)
def test_comments_of_jpeg(tmp_path, target):
    source = tmp_path / "a.jpg"
    Image.fromarray(RGB).save(source, comment="a comment")
    image = opened(carry(source, tmp_path / f"t.{target}"))
    found = {
        "jpg": lambda: image.info["comment"].decode(),
        "png": lambda: image.text["Comment"],
        "tif": lambda: image.tag_v2[270],
    }
    assert found[target]() == "a comment"


@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (HEIGHT, WIDTH, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_depth(tmp_path, dtype, shape):
    top = 1 if dtype == np.float32 else np.iinfo(dtype).max
    pixels = (RNG.random(shape, np.float32) * top).astype(dtype)
    photometric = "rgb" if len(shape) == 3 else "minisblack"
    source = tmp_path / "a.tif"
    tifffile.imwrite(source, pixels, photometric=photometric, metadata=None)
    np.testing.assert_array_equal(tifffile.imread(carry(source, tmp_path / "t.tif")), pixels)
    # Pillow keeps 8 of the 16 bits of color, so that our own reader has to do.
    found = read_image(carry(source, tmp_path / "t.png"))
    assert found.dtype == (np.uint8 if dtype == np.uint8 else np.uint16)
    np.testing.assert_allclose(found / np.iinfo(found.dtype).max, pixels / top, atol=1e-5)
    with Image.open(carry(source, tmp_path / "t.jpg")) as image:
        assert image.mode == ("RGB" if len(shape) == 3 else "L")
    lost = left_out("t.jpg", read_metadata(source))
    assert ("8 bits" in lost) == (dtype != np.uint8)
    assert ("floats" in left_out("t.png", read_metadata(source))) == (dtype == np.float32)


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
def test_alpha_of_png(tmp_path, mode):
    image = Image.fromarray(np.dstack([RGB, ALPHA]))
    image = image.convert("LA") if mode == "LA" else image
    image = image.quantize(16) if mode == "P" else image
    source = tmp_path / "a.png"
    image.save(source)
    expected = np.asarray(Image.open(source).convert("RGBA"))
    for target in ("png", "tif"):
        found = opened(carry(source, tmp_path / f"t.{target}"))
        np.testing.assert_array_equal(np.asarray(found.convert("RGBA")), expected)
        assert left_out(f"t.{target}", read_metadata(source)) == ""
    assert left_out("t.jpg", read_metadata(source)) == "left out in JPEG: alpha"
    assert opened(carry(source, tmp_path / "t.jpg")).mode in ("RGB", "L")


@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha"])
def test_alpha_of_deep_tiff(tmp_path, kind):
    alpha = np.full(DEEP.shape[:2], 32768, np.uint16)
    colors = DEEP // 2 if kind == "assocalpha" else DEEP
    source = tmp_path / "a.tif"
    tifffile.imwrite(
        source, np.dstack([colors, alpha]), photometric="rgb", extrasamples=[kind], metadata=None
    )
    with tifffile.TiffFile(carry(source, tmp_path / "t.tif")) as tiff:
        page = tiff.pages[0]
        assert page.extrasamples == (2,)
        np.testing.assert_allclose(page.asarray()[..., :3], DEEP, atol=2)
        np.testing.assert_array_equal(page.asarray()[..., 3], alpha)
    found = read_image(carry(source, tmp_path / "t.png"), alpha=True)
    np.testing.assert_array_equal(found[..., 3], alpha)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_follows_a_turned_picture(tmp_path, kind, orientation):
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[6:15, 38:43] = 255  # around the subject, 4 wide and 8 high about (40, 10)
    source = save(tmp_path, kind, pixels, orientation)
    path = carry(source, tmp_path / f"t.{kind}")
    image = opened(path)
    turned = orientation >= 5
    size = (HEIGHT, WIDTH) if turned else (WIDTH, HEIGHT)
    assert image.size == size
    exif, sub, _ = exif_of(path)
    assert exif[BASE.Orientation] == 1
    assert (sub[BASE.ExifImageWidth], sub[BASE.ExifImageHeight]) == size
    assert image.info["dpi"] == pytest.approx((200, 300) if turned else (300, 200), rel=1e-4)
    x, y, width, height = sub[0x9214]
    assert (width, height) == ((8, 4) if turned else (4, 8))
    assert np.asarray(image)[y, x, 0] > 200
    xmp = xmp_of(image)
    assert b'tiff:Orientation="1"' in xmp
    assert b'exif:PixelXDimension="%d"' % size[0] in xmp
    assert b"<exif:PixelYDimension>%d<" % size[1] in xmp


@pytest.mark.parametrize("kind", ["jpg", "png"])
@pytest.mark.parametrize("target", KINDS)
def test_thumbnails_are_dropped(tmp_path, kind, target):
    source = tmp_path / f"a.{kind}"
    Image.fromarray(RGB).save(source, exif=b"Exif\0\0" + thumbnailed())
    assert b"JFIF" in source.read_bytes()[40:]
    path = carry(source, tmp_path / f"t.{target}")
    exif = opened(path).getexif()
    assert exif[BASE.Make] == "Maker"
    assert not exif.get_ifd(ExifTags.IFD.IFD1)
    assert b"JFIF" not in path.read_bytes()[40:]
    xmp = xmp_of(opened(carry(save(tmp_path, kind), tmp_path / f"x.{target}")))
    assert b"Thumbnails" not in xmp


@pytest.mark.parametrize("quality", [30, 90, 100])
def test_jpeg_is_no_worse_than_the_source(tmp_path, quality):
    source = tmp_path / "a.jpg"
    Image.fromarray(RGB).save(source, quality=quality, progressive=True)
    before, after = opened(source), opened(carry(source, tmp_path / "t.jpg"))
    for key, table in after.quantization.items():
        assert (np.array(table) <= before.quantization[key]).all()
    assert after.info.get("progressive")
    assert all(layer[1:3] == (1, 1) for layer in after.layer)  # no subsampling
    np.testing.assert_allclose(np.asarray(before, int), np.asarray(after), atol=8)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("order", ["<", ">"])
def test_compressed_tiff_stay_compressed(tmp_path, dtype, order):
    pixels = RGB.astype(float) / 255 * (1 if dtype == np.float32 else np.iinfo(dtype).max)
    pixels = np.tile(pixels.astype(dtype), (9, 1, 1))
    source = tmp_path / "a.tif"
    tifffile.imwrite(
        source, pixels, photometric="rgb", compression="zlib", byteorder=order, metadata=None
    )
    with tifffile.TiffFile(carry(source, tmp_path / "t.tif")) as tiff:
        assert tiff.pages[0].compression == 8
        np.testing.assert_array_equal(tiff.pages[0].asarray(), pixels)
