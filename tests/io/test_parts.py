"""Parts of files that need a reader of their own, and what describes parts that are not kept."""

import io
import struct

import numpy as np
import pytest
import tifffile
from helpers.pictures import PROFILE, RGB
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from skdefocus.io import (
    _boxes,
    left_out,
    output_suffix,
    read_image,
    read_metadata,
    read_photograph,
    write_photograph,
)

DEEP = np.random.default_rng(5).integers(0, 65536, (32, 48, 3), np.uint16)
XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0"


def carry(source, target, cut=None):
    like = read_photograph(source, 10**9)
    like = like if cut is None else like.cut(cut)
    values = like.pixels / np.float32(np.iinfo(like.pixels.dtype).max)
    write_photograph(target, values.astype(np.float32), like, overwrite=True)
    return target


def with_xmp(path, xmp, head=XMP_HEAD, orientation=1):
    """A JPEG by Pillow with a packet of XMP."""
    exif = Image.Exif()
    exif[274] = orientation
    buffer = io.BytesIO()
    pixels = np.zeros((32, 48, 3), np.uint8)
    pixels[4:10, 32:44] = 255  # where the region below is
    Image.fromarray(pixels).save(buffer, "JPEG", exif=exif)
    data, packet = buffer.getvalue(), head + xmp
    segment = b"\xff\xe1" + (len(packet) + 2).to_bytes(2, "big") + packet
    path.write_bytes(data[:2] + segment + data[2:])
    return path


def xmp_of(path):
    with Image.open(path) as image:
        return image.info.get("xmp", b"")


# --- XMP ----------------------------------------------------------------------------------------


def test_xmp_below_a_head_that_is_not_quite_right(tmp_path):
    """Some programs write other bytes for "http", and ExifTool reads them as well."""
    source = with_xmp(tmp_path / "a.jpg", b"<x:xmpmeta>title</x:xmpmeta>", b"XMP\0" + XMP_HEAD[4:])
    assert xmp_of(carry(source, tmp_path / "t.jpg")) == b"<x:xmpmeta>title</x:xmpmeta>"


#: The white patch of `with_xmp`: its center, width and height in shares of the picture.
AREAS = {
    "attributes": b'<mwg-rs:Area stArea:x="%g" stArea:y="%g" stArea:w="%g" stArea:h="%g"/>',
    "elements": b'<mwg-rs:Area rdf:parseType="Resource"><stArea:x>%g</stArea:x><stArea:y>%g'
    b"</stArea:y><stArea:w>%g</stArea:w><stArea:h>%g</stArea:h></mwg-rs:Area>",
}


def shares(xmp, names):
    """Numbers by name, as attributes or elements."""
    found = []
    for name in names:
        rest = xmp.partition(name)[2].lstrip(b'=">')
        found.append(float(rest.replace(b"<", b'"').partition(b'"')[0]))
    return found


@pytest.mark.parametrize("form", AREAS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_regions_turn_with_the_picture(tmp_path, form, orientation):
    area = AREAS[form] % (38 / 48, 7 / 32, 12 / 48, 6 / 32)
    rectangle = b'MPReg:Rectangle="%g, %g, %g, %g"' % (32 / 48, 4 / 32, 12 / 48, 6 / 32)
    size = b'<mwg-rs:AppliedToDimensions stDim:w="48" stDim:h="32" stDim:unit="pixel"/>'
    xmp = b"<x><mwg-rs:Regions>" + size + area + b"</mwg-rs:Regions>" + rectangle + b"</x>"
    path = carry(with_xmp(tmp_path / "a.jpg", xmp, orientation=orientation), tmp_path / "t.jpg")
    found = xmp_of(path)
    pixels = read_image(path)
    height, width = pixels.shape[:2]
    x, y, w, h = shares(found, (b"stArea:x", b"stArea:y", b"stArea:w", b"stArea:h"))
    numbers = found.partition(b'Rectangle="')[2].partition(b'"')[0].split(b",")
    left, top, *sides = (float(number) for number in numbers)
    np.testing.assert_allclose([left + w / 2, top + h / 2, *sides], [x, y, w, h], atol=1e-6)
    rows, columns = np.nonzero(pixels[..., 0] > 128)
    edges = [columns.min() / width, (columns.max() + 1) / width]
    np.testing.assert_allclose([x - w / 2, x + w / 2], edges, atol=0.01)
    edges = [rows.min() / height, (rows.max() + 1) / height]
    np.testing.assert_allclose([y - h / 2, y + h / 2], edges, atol=0.01)
    assert shares(found, (b"stDim:w", b"stDim:h")) == [width, height]


def test_regions_of_a_picture_that_is_cut_are_dropped(tmp_path):
    xmp = b"<x><mwg-rs:Regions><mwg-rs:Area/></mwg-rs:Regions><dc:title>t</dc:title></x>"
    source = with_xmp(tmp_path / "a.jpg", xmp)
    path = carry(source, tmp_path / "t.jpg", (slice(2, 30), slice(48)))
    assert xmp_of(path) == b"<x><dc:title>t</dc:title></x>"


@pytest.mark.parametrize(
    "stale",
    [
        b'<d hdrgm:Version="1.0"/>',
        b"<d><Container:Directory><rdf:Seq><rdf:li/></rdf:Seq></Container:Directory></d>",
        b"<d GCamera:MotionPhoto='1' GCamera:MicroVideoOffset='100'/>",
        b"<d><GCamera:MicroVideo>1</GCamera:MicroVideo></d>",
        b'<d xmpNote:HasExtendedXMP="0123456789ABCDEF0123456789ABCDEF"/>',
    ],
)
def test_xmp_tells_nothing_of_parts_that_are_not_kept(tmp_path, stale):
    """A program would look for a video behind the picture, or for a gain map."""
    source = with_xmp(tmp_path / "a.jpg", b"<x><dc:title>t</dc:title>" + stale + b"</x>")
    lost = left_out("t.jpg", read_metadata(source))
    assert lost == "left out in JPEG: a gain map, depth map, sound, video or further XMP"
    found = xmp_of(carry(source, tmp_path / "t.jpg"))
    assert found in (b"<x><dc:title>t</dc:title><d/></x>", b"<x><dc:title>t</dc:title><d></d></x>")


# --- PNG and TIFF -------------------------------------------------------------------------------


def test_texts_of_png_keep_their_language(tmp_path):
    info = PngInfo()
    info.add_itxt("Title", "Ovi", lang="fi", tkey="Otsikko")
    info.add_itxt("Author", "José", zip=True)
    Image.fromarray(RGB).save(tmp_path / "a.png", pnginfo=info)
    with Image.open(carry(tmp_path / "a.png", tmp_path / "t.png")) as image:
        title = image.text["Title"]
        assert (title, title.lang, title.tkey) == ("Ovi", "fi", "Otsikko")
        assert image.text["Author"] == "José"


def test_chunks_that_describe_stored_values_are_dropped(tmp_path):
    info = PngInfo()
    info.add(b"sBIT", b"\5\6\5")
    info.add(b"tIME", b"\x07\xd0\1\1\0\0\0")
    info.add(b"bKGD", bytes(6))
    Image.fromarray(RGB).save(tmp_path / "a.png", pnginfo=info)
    data = carry(tmp_path / "a.png", tmp_path / "t.png").read_bytes()
    assert not any(kind in data for kind in (b"sBIT", b"tIME", b"bKGD"))
    assert left_out("t.png", read_metadata(tmp_path / "a.png")) == ""


def test_layers_of_photoshop_are_dropped_and_told(tmp_path):
    """Photoshop would show them, and so the picture as it was."""
    layers = b"Adobe Photoshop Document Data Block\0" + bytes(100)
    tifffile.imwrite(
        tmp_path / "a.tif", RGB, photometric="rgb", metadata=None,
        extratags=[(37724, 7, len(layers), layers, True)],
    )  # fmt: skip
    assert left_out("t.tif", read_metadata(tmp_path / "a.tif")) == (
        "left out in TIFF: layers of Photoshop"
    )
    with tifffile.TiffFile(carry(tmp_path / "a.tif", tmp_path / "t.tif")) as tiff:
        assert 37724 not in tiff.pages[0].tags


def test_exif_of_bigtiff_behind_a_pointer_of_64_bits(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, RGB, photometric="rgb", metadata=None, bigtiff=True, byteorder="<",
        extratags=[(34664, 16, 1, 0, True)],
    )  # fmt: skip
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        at = tiff.pages[0].tags[34664].offset
    data += bytes(len(data) % 2)
    data[at : at + 4] = struct.pack("<HH", 34665, 18)  # which tifffile does not write
    data[at + 12 : at + 20] = len(data).to_bytes(8, "little")
    text = b"camera\0\0"
    path.write_bytes(data + struct.pack("<QHHQ8sQ", 1, 0xA434, 2, 8, text, 0))
    with Image.open(carry(path, tmp_path / "t.jpg")) as image:
        assert image.getexif().get_ifd(34665)[0xA434].rstrip("\0") == "camera"


# --- other formats ------------------------------------------------------------------------------


def box(kind, content):
    return struct.pack(">I4s", len(content) + 8, kind) + content


def jp2(path):
    """A JPEG 2000 by Pillow, with a profile, EXIF and XMP in boxes of their own."""
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, "JPEG2000")
    data = buffer.getvalue()
    at = data.index(b"jp2h") - 4
    end = at + int.from_bytes(data[at : at + 4], "big")
    head = data[at + 8 : end]
    color = head.index(b"colr") - 4
    rest = head[color + int.from_bytes(head[color : color + 4], "big") :]
    head = head[:color] + box(b"colr", b"\2\0\0" + PROFILE) + rest
    exif = Image.Exif()
    exif[271] = "Maker"
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    xmp = bytes.fromhex("be7acfcb97a942e89c71999491e3afac") + b"<x>title</x>"
    parts = [box(b"jp2h", head), box(b"uuid", b"JpgTiffExif->JP2" + block), box(b"uuid", xmp)]
    path.write_bytes(data[:at] + b"".join(parts) + data[end:])
    return path


@pytest.mark.parametrize("kind", ["png", "jpg", "tif"])
def test_jpeg_2000(tmp_path, kind):
    with Image.open(carry(jp2(tmp_path / "a.jp2"), tmp_path / f"t.{kind}")) as image:
        assert image.info["icc_profile"] == PROFILE
        assert image.getexif()[271] == "Maker"
    assert b"<x>title</x>" in (tmp_path / f"t.{kind}").read_bytes()


def test_bits_that_are_not_read_are_told(tmp_path):
    """Pillow reads color in JPEG 2000 and AVIF with 8 bits."""
    path = jp2(tmp_path / "a.jp2")
    data = bytearray(path.read_bytes())
    data[data.index(b"ihdr") + 4 + 10] = 15
    path.write_bytes(data)
    lost = left_out("t.png", read_metadata(path))
    assert lost == "left out in PNG: more than 8 bits of the 16 per channel"
    inner = box(b"colr", b"nclx" + struct.pack(">HHHB", 9, 16, 9, 128))
    inner += box(b"pixi", bytes(4) + b"\3\x0a\x0a\x0a")
    meta = box(b"meta", bytes(4) + box(b"iprp", box(b"ipco", inner)))
    color, bits = _boxes.read_avif(io.BytesIO(box(b"ftyp", b"avif") + meta))
    assert (color, bits) == (((b"cICP", b"\x09\x10\0\1"),), 10)


def test_color_codes_of_avif(tmp_path):
    source = tmp_path / "a.avif"
    try:
        Image.fromarray(RGB).save(source)
    except (OSError, KeyError, ValueError):
        pytest.skip("this Pillow does not write AVIF")
    data = source.read_bytes()
    if b"nclx" not in data:
        pytest.skip("this Pillow writes no codes of color")
    assert output_suffix(source) == ".jpg"
    at = data.index(b"nclx") + 4
    source.write_bytes(data[:at] + struct.pack(">HH", 12, 13) + data[at + 4 :])  # Display P3
    assert b"cICP\x0c\x0d\0\1" in carry(source, tmp_path / "t.png").read_bytes()
    assert "the color space" in left_out("t.jpg", read_metadata(source))
    assert output_suffix(source) == ".png"


@pytest.mark.parametrize("white", [65535, 1023])
def test_pnm_of_more_than_8_bits_in_color(tmp_path, white):
    values = np.minimum(DEEP, white)
    path = tmp_path / "a.ppm"
    path.write_bytes(b"P6 48 32 %d\n" % white + values.astype(">u2").tobytes())
    pixels = read_image(path)
    assert pixels.dtype == np.uint16
    np.testing.assert_allclose(pixels / 65535, values / white, atol=1e-5)
    assert read_metadata(path).bits == 16
    np.testing.assert_array_equal(read_image(carry(path, tmp_path / "t.png")), pixels)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="cut off"):
        read_image(path)


def test_gif_and_bmp(tmp_path):
    image = Image.fromarray(RGB)
    image.save(tmp_path / "a.gif", comment=b"a comment")
    with Image.open(carry(tmp_path / "a.gif", tmp_path / "t.png")) as found:
        assert found.text["Comment"] == "a comment"
    image.save(tmp_path / "a.bmp", dpi=(300, 200))
    with Image.open(carry(tmp_path / "a.bmp", tmp_path / "u.png")) as found:
        assert found.info["dpi"] == pytest.approx((300, 200), rel=1e-3)


@pytest.mark.parametrize("kind", ["deep", "alpha", "plain"])
def test_heic_becomes_a_png_if_a_jpeg_could_not_hold_it(tmp_path, kind):
    pillow_heif = pytest.importorskip("pillow_heif")
    if kind == "deep":
        file = pillow_heif.from_bytes("RGB;16", (48, 32), DEEP.tobytes())
    else:
        pixels = RGB if kind == "plain" else np.dstack([RGB, RGB[..., 0]])
        file = pillow_heif.from_pillow(Image.fromarray(pixels))
    file.save(tmp_path / "a.heic")
    suffix = output_suffix(tmp_path / "a.heic")
    assert suffix == (".jpg" if kind == "plain" else ".png")
    assert left_out(f"t{suffix}", read_metadata(tmp_path / "a.heic")) == ""
