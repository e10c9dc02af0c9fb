"""What travels with a photograph: written by one program, carried over, read back by another."""

import io
import shutil
import subprocess

import numpy as np
import pytest
import tifffile
from helpers.pictures import PROFILE, RGB
from PIL import ExifTags, Image, IptcImagePlugin, TiffImagePlugin
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import IFDRational

from skdefocus.io import (
    left_out,
    output_suffix,
    read_image,
    read_metadata,
    read_photograph,
    write_photograph,
)

WIDTH, HEIGHT = 48, 32
RNG = np.random.default_rng(3)
DEEP = RNG.integers(0, 65536, (HEIGHT, WIDTH, 3), np.uint16)
ALPHA = RNG.integers(0, 256, (HEIGHT, WIDTH), np.uint8)
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description tiff:Orientation="6" '
    b'exif:PixelXDimension="48"><exif:PixelYDimension>32</exif:PixelYDimension>'
    b"<dc:title>Title</dc:title><xmp:Thumbnails><rdf:Alt>abc</rdf:Alt></xmp:Thumbnails>"
    b"</rdf:Description></rdf:RDF></x:xmpmeta>"
)
IPTC = b"\x1c\x02\x78\x00\x09A caption\x1c\x02\x74\x00\x07someone"
KINDS = ("jpg", "png", "tif")
BASE, SUB, GPS = ExifTags.Base, ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo


def make_exif(orientation=1, note=b"maker's own"):
    exif = Image.Exif()
    exif[BASE.Make], exif[BASE.Model] = "Maker", "Model 1"
    exif[BASE.Artist], exif[BASE.Copyright] = "Someone", "(c) someone"
    exif[BASE.DateTime] = "2024:05:06 07:08:09"
    exif[BASE.Orientation] = orientation
    sub = exif.get_ifd(SUB)
    sub[BASE.FNumber], sub[BASE.ISOSpeedRatings] = IFDRational(28, 10), 200
    sub[BASE.ExposureBiasValue] = TiffImagePlugin.IFDRational(-1, 3)
    sub[BASE.MakerNote] = note
    sub[BASE.ExifImageWidth], sub[BASE.ExifImageHeight] = WIDTH, HEIGHT
    sub[0x9214] = (40, 10, 4, 8)  # SubjectArea
    exif.get_ifd(GPS)[1], exif.get_ifd(GPS)[2] = "N", (48.0, 6.0, 30.0)
    return exif


def photoshop(iptc=IPTC):
    head = b"8BIM\x04\x04\0\0" + len(iptc).to_bytes(4, "big")
    return head + iptc + bytes(len(iptc) % 2)


def segment(marker, data):
    return bytes([0xFF, marker]) + (len(data) + 2).to_bytes(2, "big") + data


def with_segments(path, *segments):
    data = path.read_bytes()
    path.write_bytes(data[:2] + b"".join(segments) + data[2:])


def save(folder, kind, pixels=RGB, orientation=1, exif=None, **options):
    """A file of 8 bits with everything, written by Pillow."""
    path = folder / f"source.{kind}"
    exif = make_exif(orientation) if exif is None else exif
    image = Image.fromarray(pixels)
    xmp = XMP.replace(b'"6"', b'"%d"' % orientation)
    common = {"exif": exif, "icc_profile": PROFILE, "dpi": (300, 200)} | options
    if kind == "jpg":
        image.save(path, quality=90, **common)
        with_segments(
            path,
            segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp),
            segment(0xED, b"Photoshop 3.0\0" + photoshop()),
        )
    elif kind == "png":
        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", xmp.decode())
        digits = f"\niptc\n{len(photoshop())}\n{photoshop().hex()}\n"
        text.add_text("Raw profile type iptc", digits, zip=True)
        image.save(path, pnginfo=text, **common)
    else:
        whole = Image.Exif()
        whole.load(exif.tobytes())  # only then Pillow writes its directories to a TIFF
        whole[700], whole[33723] = xmp, IPTC
        image.save(path, **common | {"exif": whole})
    return path


def carry(source, target):
    """Read one file and write another, with other values, as a command does."""
    like = read_photograph(source, 10**9)
    pixels = like.pixels
    top = 1 if pixels.dtype.kind == "f" else np.iinfo(pixels.dtype).max
    write_photograph(target, (pixels / np.float32(top)).astype(np.float32), like, overwrite=True)
    return target


def opened(path):
    image = Image.open(path)
    image.load()
    return image


def exif_of(path):
    """Tags, EXIF's own and those of GPS, before Pillow closes a TIFF that it has loaded."""
    with Image.open(path) as image:
        exif = image.getexif()
        return exif, exif.get_ifd(SUB), exif.get_ifd(GPS)


def xmp_of(image):
    found = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    if image.format == "TIFF":
        found = image.tag_v2[700]
    return found.encode() if isinstance(found, str) else found


def iptc_of(image):
    if image.format == "PNG":
        digits = image.text["Raw profile type iptc"].split("\n")[3]
        return bytes.fromhex(digits).partition(b"\x1c")[2].rstrip(b"\0")
    found = IptcImagePlugin.getiptcinfo(image)
    return b"caption" if found[2, 120] == b"A caption" and found[2, 116] == b"someone" else b""


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


def thumbnailed():
    """An EXIF block with a thumbnail at its end, as cameras write it."""
    block = bytearray(make_exif().tobytes().removeprefix(b"Exif\0\0"))
    order = "little" if block[:2] == b"II" else "big"
    first = int.from_bytes(block[4:8], order)
    link = first + 2 + 12 * int.from_bytes(block[first : first + 2], order)
    at = len(block) + len(block) % 2
    block += bytes(at - len(block))
    block[link : link + 4] = at.to_bytes(4, order)
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(buffer, "JPEG")
    start = at + 2 + 2 * 12 + 4
    entries = ((513, start), (514, len(buffer.getvalue())))
    block += (2).to_bytes(2, order)
    for tag, value in entries:
        block += tag.to_bytes(2, order) + (4).to_bytes(2, order)
        block += (1).to_bytes(4, order) + value.to_bytes(4, order)
    return bytes(block) + bytes(4) + buffer.getvalue()


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


# --- what cannot be held is told ----------------------------------------------------------------


def test_exif_that_is_larger_than_a_segment(tmp_path):
    """A maker note goes first; what else is in EXIF stays."""
    source = save(tmp_path, "png", exif=make_exif(note=b"m" * 70_000))
    assert "the maker note in EXIF of 70" in left_out("t.jpg", read_metadata(source))
    exif = opened(carry(source, tmp_path / "t.jpg")).getexif()
    assert exif[BASE.Make] == "Maker"
    assert BASE.MakerNote not in exif.get_ifd(SUB)
    exif = make_exif()
    exif[BASE.Artist] = "a" * 70_000
    source = save(tmp_path, "png", exif=exif)
    assert "; EXIF of 70" in "; " + left_out("t.jpg", read_metadata(source)).partition(": ")[2]
    assert "exif" not in opened(carry(source, tmp_path / "t.jpg")).info


def test_xmp_iptc_and_comments_larger_than_a_segment(tmp_path):
    source = tmp_path / "a.png"
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", "x" * 70_000)
    large = photoshop(b"\x1c\x02\x78\x80\x04\0\1\x11\x70" + b"i" * 70_000)
    text.add_text("Raw profile type 8bim", f"\n8bim\n{len(large)}\n{large.hex()}\n", zip=True)
    text.add_text("Comment", "c" * 70_000)
    Image.fromarray(RGB).save(source, pnginfo=text)
    lost = left_out("t.jpg", read_metadata(source))
    assert all(part in lost for part in ("XMP of 70000", "IPTC of 70009", "comment of 70000"))
    image = opened(carry(source, tmp_path / "t.jpg"))
    assert "xmp" not in image.info
    assert "comment" not in image.info


def test_a_profile_of_many_segments(tmp_path):
    profile = PROFILE + bytes(200_000)
    Image.fromarray(RGB).save(tmp_path / "a.png", icc_profile=profile)
    image = opened(carry(tmp_path / "a.png", tmp_path / "t.jpg"))
    assert image.info["icc_profile"] == profile


def test_what_does_not_belong_to_the_result_is_told(tmp_path):
    image = Image.fromarray(RGB)
    inks = PROFILE[:16] + b"CMYK" + PROFILE[20:]
    image.convert("CMYK").save(tmp_path / "a.jpg", icc_profile=inks)
    assert "its profile, which is one of 'CMYK'" in left_out(
        "t.png", read_metadata(tmp_path / "a.jpg")
    )
    assert "icc_profile" not in opened(carry(tmp_path / "a.jpg", tmp_path / "t.jpg")).info
    image.save(tmp_path / "p.tif", save_all=True, append_images=[image])
    assert "further pages" in left_out("t.tif", read_metadata(tmp_path / "p.tif"))
    image.save(tmp_path / "f.gif", save_all=True, append_images=[image.rotate(90)])
    assert "further pictures" in left_out("t.png", read_metadata(tmp_path / "f.gif"))
    tifffile.imwrite(
        tmp_path / "s.tif", np.dstack([DEEP, DEEP[..., 0]]), photometric="rgb",
        extrasamples=["unspecified"], metadata=None,
    )  # fmt: skip
    assert "neither color nor alpha" in left_out("t.tif", read_metadata(tmp_path / "s.tif"))


def test_descriptions_of_how_pages_belong_together_are_not_kept(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", DEEP, photometric="rgb", metadata={"axes": "YXS"})
    with tifffile.TiffFile(carry(tmp_path / "a.tif", tmp_path / "t.tif")) as tiff:
        assert "ImageDescription" not in tiff.pages[0].tags


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of the damage
@pytest.mark.parametrize("cut", [0, 8, 9, 20, 60, 200])
@pytest.mark.parametrize("noise", [False, True])
def test_damaged_exif_costs_no_photograph(tmp_path, cut, noise):
    block = bytearray(thumbnailed())
    if noise:
        block[cut:] = RNG.integers(0, 256, len(block) - cut, np.uint8).tobytes()
    else:
        del block[cut:]
    source = tmp_path / "a.png"
    Image.fromarray(RGB).save(source, exif=bytes(block) or b"x")
    for kind in KINDS:
        path = carry(source, tmp_path / f"t.{kind}")
        assert opened(path).size in ((WIDTH, HEIGHT), (HEIGHT, WIDTH))


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.JPG", ".jpg"), ("a.tiff", ".tiff"), ("a.heic", ".jpg"), ("a.NEF", ".tif"),
     ("a.webp", ".png"), ("a", ".png")],
)  # fmt: skip
def test_what_other_formats_are_written_as(name, suffix):
    assert output_suffix(name) == suffix


def test_webp_and_avif(tmp_path):
    for kind in ("webp", "avif"):
        source = tmp_path / f"a.{kind}"
        try:
            Image.fromarray(RGB).save(source, exif=make_exif(), icc_profile=PROFILE, xmp=XMP)
        except (OSError, KeyError, ValueError):
            pytest.skip(f"this Pillow does not write {kind}")
        image = opened(carry(source, tmp_path / "t.png"))
        assert image.info["icc_profile"] == PROFILE
        assert image.getexif()[BASE.Make] == "Maker"
        assert b"<dc:title>Title</dc:title>" in xmp_of(image)


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="needs ExifTool")
@pytest.mark.parametrize("kind", KINDS)
def test_another_program_finds_the_same(tmp_path, kind):
    """All that ExifTool tells of a file of the same kind, but for where the pixels are stored."""

    def told(path):
        done = subprocess.run(
            ["exiftool", "-a", "-G1", "-s", "-n", str(path)], capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        return {
            line for line in done.stdout.splitlines()
            if not line.startswith(("[System]", "[ExifTool]"))
        }  # fmt: skip

    source = save(tmp_path, kind)
    before, after = told(source), told(carry(source, tmp_path / f"t.{kind}"))
    names = {line.split("]")[1].split(":")[0].strip() for line in before ^ after}
    storage = {"StripOffsets", "RowsPerStrip", "StripByteCounts", "SampleFormat"}
    assert names <= storage | {"YCbCrSubSampling", "PlanarConfiguration", "Thumbnails"}
