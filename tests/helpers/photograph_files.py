"""Photographs with metadata of all kinds, and what is found in them."""

import io

import numpy as np
from helpers.pictures import PROFILE, RGB
from PIL import ExifTags, Image, IptcImagePlugin, TiffImagePlugin
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import IFDRational

from skdefocus.io import (
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
