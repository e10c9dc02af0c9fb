"""PNG of kinds that Pillow does not read as they are meant: a transparent color, long texts."""

import struct
import zlib

import numpy as np
import pytest
from helpers.photograph_files import carry, opened
from helpers.pictures import PROFILE, RGB
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from skdefocus.io import left_out, read_image, read_metadata


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(path, depth, color, row, *chunks):
    """A PNG of one row of 8 pixels."""
    head = struct.pack(">IIBBBBB", 8, 1, depth, color, 0, 0, 0)
    packed = zlib.compress(b"\0" + row)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", packed), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))
    return path


# --- a transparent color ------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("value", [0, 1])
def test_a_transparent_gray_value_of_any_depth(tmp_path, depth, value):
    """All values of up to 3 bits, in order, of which one is transparent."""
    values = np.arange(8) % 2**depth
    bits = "".join(f"{v:0{depth}b}" for v in values)
    row = int(bits, 2).to_bytes(depth, "big")
    path = png(tmp_path / "a.png", depth, 0, row, (b"tRNS", struct.pack(">H", value)))
    found = read_image(path, alpha=True)
    most = 65535 if depth == 16 else 255
    assert found.dtype == (np.uint16 if depth == 16 else np.uint8)
    np.testing.assert_array_equal(found[0, :, 3], np.where(values == value, 0, most))
    scale = max(255 // (2**depth - 1), 1)
    np.testing.assert_array_equal(found[0, :, 0], values * scale)
    np.testing.assert_array_equal(read_image(path), values[None] * scale)
    assert read_metadata(path).alpha


@pytest.mark.parametrize("depth", [8, 16])
def test_a_transparent_color(tmp_path, depth):
    """It is a color as a whole: pixels that share a channel with it are opaque."""
    colors = np.array([[1, 2, 3], [1, 2, 4], [0, 2, 3], [1, 2, 3]] * 2)
    row = colors.astype(f">u{depth // 8}").tobytes()
    path = png(tmp_path / "a.png", depth, 2, row, (b"tRNS", struct.pack(">3H", 1, 2, 3)))
    found = read_image(path, alpha=True)
    np.testing.assert_array_equal(found[0, :, :3], colors)
    np.testing.assert_array_equal(found[0, :, 3] == 0, (colors == [1, 2, 3]).all(axis=1))
    assert found[0, 1, 3] == 2**depth - 1


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_the_alpha_of_a_palette(tmp_path, depth):
    indices = np.arange(8) % 2**depth
    row = int("".join(f"{k:0{depth}b}" for k in indices), 2).to_bytes(depth, "big")
    palette = bytes(range(3 * min(2**depth, 8)))
    path = png(tmp_path / "a.png", depth, 3, row, (b"PLTE", palette), (b"tRNS", b"\x80\x10"))
    found = read_image(path, alpha=True)[0]
    np.testing.assert_array_equal(found[:, 0], 3 * indices)
    expected = np.where(indices == 0, 128, np.where(indices == 1, 16, 255))
    np.testing.assert_array_equal(found[:, 3], expected)


# --- texts and profiles -------------------------------------------------------------------------


def of_size(size):
    """A profile of so many bytes."""
    return size.to_bytes(4, "big") + PROFILE[4:] + bytes(size - len(PROFILE))


def test_a_profile_of_20_megabytes(tmp_path):
    """Pillow refuses a file with a profile that is larger than 1 MiB when it is unpacked."""
    profile = of_size(20_000_000)
    Image.fromarray(RGB).save(tmp_path / "a.png", icc_profile=profile)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), RGB)
    metadata = read_metadata(tmp_path / "a.png")
    assert (metadata.profile, left_out("t.tif", metadata)) == (profile, "")
    assert left_out("t.jpg", metadata) == "left out in JPEG: a profile that is too large"
    target = carry(tmp_path / "a.png", tmp_path / "t.tif")
    assert opened(target).info["icc_profile"] == profile


@pytest.mark.parametrize("kind", ["bomb", "damaged"])
def test_a_profile_that_cannot_be_unpacked_costs_no_photograph(tmp_path, kind):
    packed = zlib.compress(of_size(2**26)) if kind == "bomb" else b"not packed"
    path = png(tmp_path / "a.png", 8, 0, bytes(range(8)), (b"iCCP", b"name\0\0" + packed))
    np.testing.assert_array_equal(read_image(path), [range(8)])
    told = left_out("t.png", read_metadata(path))
    assert told == f"left out in PNG: its profile, which is damaged or of {2**26} bytes or more"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("after", [False, True])
def test_long_texts_cost_no_photograph(tmp_path, packed, after):
    """Pillow refuses packed texts of more than 1 MiB, and texts of 64 MiB together."""
    text, size = PngInfo(), 2**21 if packed else 2**26
    text.add_text("Comment", "c" * size, zip=packed)
    text.add_text("Title", "short", zip=packed)
    path = tmp_path / "a.png"
    Image.fromarray(RGB).save(path, pnginfo=text)
    if after:
        whole = path.read_bytes()
        at = whole.index(b"IDAT") - 4
        path.write_bytes(whole[:33] + whole[at:-12] + whole[33:at] + whole[-12:])
    np.testing.assert_array_equal(read_image(path), RGB)
    metadata = read_metadata(path)
    assert (b"Title", b"short") in [text[:2] for text in metadata.texts]
    if packed:
        assert (b"Comment", b"c" * size) in [text[:2] for text in metadata.texts]
    else:
        assert left_out("t.png", metadata) == f"left out in PNG: a text of {2**26} bytes or more"
