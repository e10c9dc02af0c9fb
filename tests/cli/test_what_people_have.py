"""Files as people have them, through every command, and read again by other programs."""

import shutil
import subprocess

import numpy as np
import pytest
import tifffile
from helpers.cli_cases import run
from helpers.io_cases import WHITE, write_dng
from helpers.pictures import PROFILE
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from skdefocus.datasets import sample_photographs
from skdefocus.io import read_image
from skdefocus.synthesis import to_linear

WIDTH, HEIGHT = 96, 64
RGB = np.rint(np.dstack([sample_photographs(96)[k][:HEIGHT] for k in range(3)]) * 255)
RGB = RGB.astype(np.uint8)
BASE = ExifTags.Base
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><dc:title>Title</dc:title></x:xmpmeta>"
NOTE = b"\x1c\x02\x78\x00\x09A caption"
EFFECTS = {"magnify": "_magnified", "sharpen": "_sharpened", "fuse": "_fused"}


def make_exif(orientation):
    exif = Image.Exif()
    exif[BASE.Make], exif[BASE.Orientation] = "Maker", orientation
    exif[BASE.Copyright] = "(c) someone"
    exif.get_ifd(ExifTags.IFD.Exif)[BASE.FocalLength] = 6.8
    exif.get_ifd(ExifTags.IFD.GPSInfo)[1] = "N"
    return exif


def phone(path):
    """A portrait of a phone: HEIC, turned, with a profile."""
    pillow_heif = pytest.importorskip("pillow_heif")
    file = pillow_heif.from_pillow(Image.fromarray(RGB))
    file.info.update(exif=make_exif(6).tobytes(), icc_profile=PROFILE, xmp=XMP)
    file.save(path, quality=95)


def scan(path):
    """A scan: TIFF of 16 bits and 600 dpi, with a profile, XMP and IPTC."""
    tifffile.imwrite(
        path, RGB * np.uint16(257) + 5, photometric="rgb", resolution=(600, 600),
        resolutionunit="INCH", metadata=None, description="A scan",
        software="Scanner", compression="zlib",
        extratags=[(700, 1, len(XMP), XMP, True), (33723, 7, len(NOTE), NOTE, True),
                   (33432, 2, None, "(c) someone", True),
                   (34675, 7, len(PROFILE), PROFILE, True)],
    )  # fmt: skip


def drawing(path):
    """A PNG with alpha, gamma, chromaticities and texts."""
    info = PngInfo()
    info.add(b"gAMA", (100_000).to_bytes(4, "big"))
    info.add(b"cHRM", b"".join(v.to_bytes(4, "big") for v in (31270, 32900, 64000, 33000) * 2))
    info.add_text("Author", "Someone")
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[:, :20] = 0
    Image.fromarray(np.dstack([RGB, alpha])).save(path, pnginfo=info, dpi=(144, 144))


def raw(path):
    """A raw file, in the open format DNG."""
    pytest.importorskip("rawpy")
    linear = to_linear(RGB / 255)
    values = linear[..., 1].copy()
    values[::2, ::2], values[1::2, 1::2] = linear[::2, ::2, 0], linear[1::2, 1::2, 2]
    write_dng(path, np.rint(values * WHITE).astype(np.uint16))


FILES = {
    "phone.heic": (phone, ".jpg"), "scan.tif": (scan, ".tif"), "drawing.png": (drawing, ".png"),
    "raw.dng": (raw, ".tif"),
}  # fmt: skip


@pytest.fixture(params=FILES)
def processed(request, tmp_path, monkeypatch, capsys):
    """A file, and what every command has made of it."""
    monkeypatch.chdir(tmp_path)
    name = request.param
    make, suffix = FILES[name]
    make(name)
    assert run("map", name, "-o", "m", "--no-picture", "--step", 16, capsys=capsys)[::2] == (0, "")
    stem = name.partition(".")[0]
    found = {}
    for command, ending in EFFECTS.items():
        more = [name] if command == "fuse" else ["--map", "m"]
        assert run(command, name, *more, "-o", "o", capsys=capsys)[::2] == (0, "")
        found[command] = f"o/{stem}{ending}{suffix}"
    return name, found


def test_every_command_keeps_the_picture_and_what_came_with_it(processed):
    name, found = processed
    original = read_image(name, alpha=True)
    sigma = tifffile.imread(f"m/{name.partition('.')[0]}_sigma.tif")
    assert sigma.shape == original.shape[:2]
    top = np.iinfo(original.dtype).max
    for command, path in found.items():
        if path.endswith(".tif"):
            pixels = tifffile.imread(path)
        else:
            with Image.open(path) as image:
                pixels = np.asarray(image)
        assert (pixels.shape, pixels.dtype) == (original.shape, original.dtype)
        if command == "fuse":  # of a photograph with itself
            seen = original[..., -1] > 0 if original.shape[2] == 4 else np.s_[:]
            error = np.abs(pixels[seen].astype(float) - original[seen])
            assert np.percentile(error, 99) <= top * (12 if path.endswith("jpg") else 1) / 255
        check = {"phone.heic": check_phone, "scan.tif": check_scan}.get(name)
        check = check or {"drawing.png": check_drawing, "raw.dng": check_raw}[name]
        check(path)


def check_phone(path):
    with Image.open(path) as image:
        exif = image.getexif()
        assert image.size == (HEIGHT, WIDTH)
        assert (exif[BASE.Make], exif[BASE.Orientation]) == ("Maker", 1)
        assert exif[BASE.Copyright] == "(c) someone"
        assert exif.get_ifd(ExifTags.IFD.GPSInfo)[1] == "N"
        assert image.info["icc_profile"] == PROFILE
        assert image.info["xmp"] == XMP


def check_scan(path):
    with Image.open(path) as image:
        assert image.info["dpi"] == (600, 600)
        assert image.info["icc_profile"] == PROFILE
        assert (image.tag_v2[700], image.tag_v2[33723]) == (XMP, NOTE)
        assert image.tag_v2[33432] == "(c) someone"
        assert (image.tag_v2[270], image.tag_v2[305]) == ("A scan", "Scanner")
        assert image.tag_v2[259] == 8  # still compressed


def check_drawing(path):
    with Image.open(path) as image:
        assert (np.asarray(image)[:, :20, 3] == 0).all()
        assert image.info["gamma"] == 1
        assert image.info["chromaticity"][:2] == (0.3127, 0.329)
        assert image.text["Author"] == "Someone"
        assert image.info["dpi"] == pytest.approx((144, 144), rel=1e-3)


def check_raw(path):
    with tifffile.TiffFile(path) as tiff:
        tags = tiff.pages[0].tags
        assert (tags["Make"].value, tags["BitsPerSample"].value) == ("Maker", (16, 16, 16))
        assert not any(tag.code in range(50706, 51000) for tag in tags)


#: Names of ExifTool's tags that may differ, by the file: see the table of docs/inputs.md.
STORAGE = {
    *("StripOffsets", "StripByteCounts", "RowsPerStrip", "SampleFormat", "Orientation"),
    *("PlanarConfiguration", "FileType", "FileTypeExtension", "MIMEType", "Predictor"),
}
DIFFER = {
    "scan.tif": STORAGE,
    "drawing.png": set(),
    "raw.dng": STORAGE
    | {"BitsPerSample", "PhotometricInterpretation", "SamplesPerPixel", "SubfileType", "Megapixels"}
    | {"CFAPattern", "CFARepeatPatternDim", "CFAPattern2", "DNGVersion", "UniqueCameraModel"}
    | {"BlackLevel", "WhiteLevel", "ColorMatrix1", "AsShotNeutral", "CalibrationIlluminant1"},
}


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="needs ExifTool")
def test_another_program_finds_only_the_differences_of_the_table(processed):
    name, found = processed
    if name not in DIFFER:
        pytest.skip("another format, whose own tags all differ")
    before = told(name)
    for path in found.values():
        assert {line[0] for line in before ^ told(path)} <= DIFFER[name]


def told(path):
    """Names and values of all tags that ExifTool finds, except those of the file system."""
    done = subprocess.run(
        ["exiftool", "-a", "-G1", "-s", "-n", path], capture_output=True, text=True, check=True
    )
    lines = [line.partition("]") for line in done.stdout.splitlines()]
    split = [(group, *rest.partition(":")[::2]) for group, _, rest in lines]
    skipped = ("[System", "[ExifTool")
    return {(tag.strip(), value.strip()) for group, tag, value in split if group not in skipped}
