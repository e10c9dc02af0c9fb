"""XMP that is larger than a segment of a JPEG."""

import json
import shutil
import subprocess
from xml.etree import ElementTree

import pytest
from helpers.photograph_files import carry, opened, segment, with_segments
from helpers.pictures import RGB
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from skdefocus.io import _xmp_extended, left_out, read_metadata

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
FIRST = b"http://ns.adobe.com/xap/1.0/\0"
ROOM = 65_533
NAMES = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
)


def packet(attributes, elements):
    return NAMES + attributes + b">\n  " + elements + b"</rdf:Description>\n</rdf:RDF></x:xmpmeta>"


LARGE = packet(
    b'xmp:Rating="4" dc:source="%s" xmp:Label="red"' % (b"s" * 90_000),
    b"<dc:description>%s</dc:description><dc:title>M\xc3\xbcller &amp; co</dc:title>"
    b"<tiff:Orientation>1</tiff:Orientation>" % (b"d" * 150_000),
)


def properties(xmp):
    """Names and contents of the properties in a packet or in what belongs to one."""
    found = []
    for description in ElementTree.fromstring(xmp).iter(f"{RDF}Description"):
        found += [(name, value) for name, value in description.items() if RDF not in name]
        found += [(node.tag, (node.text or "").strip()) for node in description]
    return sorted(pair for pair in found if "HasExtended" not in pair[0])


def with_xmp(path, xmp):
    """A PNG with XMP."""
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp.decode())
    Image.fromarray(RGB).save(path, pnginfo=text)
    return path


def test_it_is_divided_among_segments_of_a_jpeg_and_read_back(tmp_path):
    source = with_xmp(tmp_path / "a.png", LARGE)
    assert left_out("t.jpg", read_metadata(source)) == ""
    image = opened(carry(source, tmp_path / "t.jpg"))
    small = [data for name, data in image.applist if data.startswith(FIRST)]
    assert len(small) == 1
    # Programs that read the first segment alone find all that is short.
    names = {name.partition("}")[2] for name, _ in properties(small[0][len(FIRST) :])}
    assert names == {"Rating", "Label", "title", "Orientation"}
    carry(tmp_path / "t.jpg", tmp_path / "u.png")
    carry(tmp_path / "u.png", tmp_path / "v.jpg")
    for name in ("t.jpg", "u.png", "v.jpg"):
        found = read_metadata(tmp_path / name)
        assert found.problems == ()
        assert properties(found.xmp) == properties(LARGE)
        assert b"HasExtendedXMP" not in found.xmp


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="needs ExifTool")
def test_another_program_finds_all_of_it(tmp_path):
    def told(path):
        command = ["exiftool", "-j", "-G1", "-XMP:all", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)[0]

    source = with_xmp(tmp_path / "a.png", LARGE)
    before, after = told(source), told(carry(source, tmp_path / "t.jpg"))
    assert {key for key in before | after if before.get(key) != after.get(key)} == {
        "SourceFile", "XMP-xmpNote:HasExtendedXMP",
    }  # fmt: skip


@given(
    st.lists(st.integers(0, 40_000), max_size=6),
    st.lists(st.integers(0, 40_000), max_size=6),
    st.integers(2_000, ROOM),
)
def test_nothing_is_lost_and_every_segment_has_room(attributes, elements, room):
    xmp = packet(
        b" ".join(b'xmp:a%d="%s"' % (k, b"a" * n) for k, n in enumerate(attributes)),
        b"\n".join(b"<dc:e%d>%s</dc:e%d>" % (k, b"e" * n, k) for k, n in enumerate(elements)),
    )
    found = _xmp_extended.segments(xmp, room)
    assert len(found[0]) <= room
    assert max(map(len, found)) <= ROOM
    # In any order, and among other segments.
    joined = _xmp_extended.joined([b"Exif\0\0", *found[::-1], b"ICC"])
    assert properties(joined) == properties(xmp)
    if len(found) == 1 and len(FIRST) + len(xmp) <= room:
        assert joined == xmp


@pytest.mark.parametrize("damage", ["a part missing", "another digest", "not XML"])
def test_what_is_not_complete_is_told(tmp_path, damage):
    first, *rest = _xmp_extended.segments(LARGE, ROOM)
    if damage == "a part missing":
        rest = rest[:-1]
    elif damage == "another digest":
        rest = [part.replace(part[35:67], b"0" * 32, 1) for part in rest]
    else:
        rest = [part.replace(b"<", b"[") for part in rest]
    Image.fromarray(RGB).save(tmp_path / "a.jpg")
    with_segments(tmp_path / "a.jpg", *(segment(0xE1, part) for part in (first, *rest)))
    metadata = read_metadata(tmp_path / "a.jpg")
    assert "further XMP" in left_out("t.jpg", metadata)
    assert b"HasExtendedXMP" not in metadata.xmp
    assert b"Rating" in metadata.xmp


@pytest.mark.parametrize(
    "xmp",
    [
        b"x" * 70_000,
        b"<!DOCTYPE x [<!ENTITY a 'aaaa'>]>" + LARGE,
        LARGE.replace(b"</dc:title>", b""),
        b"<x>" * 30_000 + b"</x>" * 30_000,
        LARGE.decode().encode("utf-16"),
        packet(b'xmlns:a="%s"' % (b"a" * 70_000), b""),
    ],
    ids=["text", "entities", "not closed", "deep", "UTF-16", "a long name of a namespace"],
)
def test_what_cannot_be_divided_is_left_out(xmp):
    assert _xmp_extended.segments(xmp, ROOM) == []


def test_a_depth_map_in_further_segments_is_dropped(tmp_path):
    """Phones put it there; it belongs to the old pixels."""
    depth = (
        b'xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/" GDepth:Format="RangeInverse" '
        b'xmp:Rating="3" GDepth:Data="%s"' % (b"A" * 100_000)
    )
    Image.fromarray(RGB).save(tmp_path / "a.jpg")
    parts = _xmp_extended.segments(packet(depth, b""), ROOM)
    with_segments(tmp_path / "a.jpg", *(segment(0xE1, part) for part in parts))
    metadata = read_metadata(tmp_path / "a.jpg")
    assert b"GDepth:" not in metadata.xmp
    assert len(metadata.xmp) < 1_000
    assert "depth map" in left_out("t.png", metadata)
    assert properties(metadata.xmp) == [("{http://ns.adobe.com/xap/1.0/}Rating", "3")]
