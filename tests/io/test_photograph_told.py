"""Metadata that a result cannot hold are told, and damaged ones cost no photograph."""

import shutil
import subprocess

import numpy as np
import pytest
import tifffile
from helpers.photograph_files import (
    BASE,
    DEEP,
    HEIGHT,
    KINDS,
    RNG,
    SUB,
    WIDTH,
    XMP,
    carry,
    make_exif,
    opened,
    photoshop,
    save,
    thumbnailed,
    xmp_of,
)
from helpers.pictures import PROFILE, RGB
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from skdefocus.io import (
    left_out,
    output_suffix,
    read_metadata,
)


def test_exif_that_is_larger_than_a_segment(tmp_path):
    """A maker note goes first; what else is in EXIF stays."""
    source = save(tmp_path, "png", exif=make_exif(note=b"m" * 70_000))
    assert "the maker note in EXIF of 70" in left_out("t.jpg", read_metadata(source))
    exif = opened(carry(source, tmp_path / "t.jpg")).getexif()
    assert exif[BASE.Make] == "Maker"
    assert BASE.MakerNote not in exif.get_ifd(SUB)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_the_largest_values_of_exif_go_until_it_fits(tmp_path, suffix):
    exif = make_exif(note=b"m" * 100)
    exif[BASE.Artist], exif[BASE.Software] = "a" * 70_000, "s" * 60_000
    exif.get_ifd(SUB)[BASE.UserComment] = b"ASCII\0\0\0" + b"c" * 66_000
    source = save(tmp_path, suffix, exif=exif)
    lost = left_out("t.jpg", read_metadata(source))
    assert "Artist, UserComment in EXIF of 196" in lost
    kept = opened(carry(source, tmp_path / "t.jpg")).getexif()
    assert (kept[BASE.Make], len(kept[BASE.Software])) == ("Maker", 60_000)
    assert not {BASE.Artist, BASE.UserComment} & {*kept, *kept.get_ifd(SUB)}


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
