"""TIFF: what is read and how, by strips where it is large, and what is refused."""

import struct
from importlib.util import find_spec

import numpy as np
import pytest
import tifffile
from helpers.io_cases import refused
from numpy.testing import assert_array_equal
from PIL import Image

import skdefocus as sd
from skdefocus.io import ReadError, _read, _tiff, read_image

RNG = np.random.default_rng(0)


def lzw(data):
    """Compressed by not compressing: each byte is its own code, and the table never grows."""
    codes = [code for at in range(0, len(data), 200) for code in (256, *data[at : at + 200])]
    bits = "".join(f"{code:09b}" for code in (*codes, 257))
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")


def tiff(size, bits, data, order="<", photometric=1, compression=1, sample_format=1):
    """A TIFF of one strip and one sample, of any kind, which no library writes."""
    width, height = size
    tags = {
        256: width, 257: height, 258: bits, 259: compression, 262: photometric, 273: 8, 277: 1,
        278: height, 279: len(data), 339: sample_format,
    }  # fmt: skip
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8 + len(data))
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, tags[tag]) for tag in tags)
    return head + data + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


def written(folder, data):
    path = folder / "photo.tif"
    path.write_bytes(data)
    return path


# --- large TIFF ----------------------------------------------------------------------------------

LARGE = {
    "plain": {},
    "strips": {"rowsperstrip": 5},
    "big-endian": {"byteorder": ">"},
    "deflated strips": {"compression": "zlib", "rowsperstrip": 5},
    "deflated tiles": {"compression": "zlib", "tile": (16, 16), "predictor": True},
    "planes": {"planarconfig": "separate"},
}


@pytest.fixture
def large(monkeypatch):
    """What is done with large TIFF, done with small ones; photographs of many strips."""
    monkeypatch.setattr(_tiff, "LARGE", 1)
    monkeypatch.setattr(_read, "ROWS", 7)
    rng = np.random.default_rng(1)
    return [
        rng.integers(0, 256, (70, 50, 3), np.uint8),
        rng.integers(0, 256, (70, 50), np.uint8),
        rng.integers(0, 65536, (70, 50, 3), np.uint16),
        rng.random((70, 50)).astype(np.float32),
    ]


@pytest.mark.parametrize("kind", LARGE)
def test_large_tiff_by_strips_is_what_it_is_as_a_whole(tmp_path, large, kind):
    path = tmp_path / "photo.tif"
    for pixels in large:
        if pixels.ndim == 2 and kind == "planes":
            continue
        if pixels.dtype == np.float32 and "predictor" in LARGE[kind]:
            continue  # needs a package that is not required
        photometric = "rgb" if pixels.ndim == 3 else "minisblack"
        stored = np.moveaxis(pixels, -1, 0) if kind == "planes" else pixels
        tifffile.imwrite(path, stored, photometric=photometric, metadata=None, **LARGE[kind])
        for mapped in (True, False):
            found = read_image(path, mapped=mapped)
            assert found.dtype == pixels.dtype
            assert_array_equal(found, pixels)
        assert found.flags.writeable


def test_an_uncompressed_large_tiff_stays_in_the_file(tmp_path, large):
    path = tmp_path / "photo.tif"
    tifffile.imwrite(path, large[0], photometric="rgb")
    found = read_image(path, mapped=True)
    base = found
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    assert not found.flags.writeable
    kept = found.copy()
    del found, base  # the next opens the file anew
    upright = Image.open(path)
    upright.save(tmp_path / "turned.tif", tiffinfo={274: 6})
    assert_array_equal(read_image(tmp_path / "turned.tif", mapped=True), np.rot90(kept, -1))


def test_the_map_of_a_mapped_photograph_is_the_same(tmp_path, large):
    path = tmp_path / "photo.tif"
    for pixels in large:
        tifffile.imwrite(path, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack")
        mapped = sd.defocus_map(read_image(path, mapped=True))
        assert_array_equal(mapped, sd.defocus_map(pixels))


@pytest.mark.parametrize("kind", LARGE)
def test_a_large_tiff_that_is_cut_off(tmp_path, large, kind):
    path = tmp_path / "photo.tif"
    pixels = np.moveaxis(large[0], -1, 0) if kind == "planes" else large[0]
    tifffile.imwrite(path, pixels, photometric="rgb", metadata=None, **LARGE[kind])
    path.write_bytes(path.read_bytes()[: -len(path.read_bytes()) // 4])
    for mapped in (True, False):
        with pytest.raises(ReadError, match="cannot read"):
            read_image(path, mapped=mapped)


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 1.5])
def test_float_tiff_with_values_that_are_no_intensities(tmp_path, value):
    values = np.full((9, 9), 0.5, np.float32)
    values[4, 4] = value
    tifffile.imwrite(tmp_path / "photo.tif", values)
    refused(tmp_path / "photo.tif", "NaN or infinity|within \\[0, 1\\]")


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32, np.uint32])
def test_integers_of_other_kinds(tmp_path, kind):
    tifffile.imwrite(tmp_path / "photo.tif", np.zeros((9, 9), kind))
    refused(tmp_path / "photo.tif", "not read")


@pytest.mark.parametrize("bits", [10, 12, 14, 24])
def test_bits_that_no_camera_file_should_have(tmp_path, bits):
    """What has 12 bits must not come as 16 of which the upper four are black."""
    data = RNG.integers(0, 256, 8 * 8 * bits // 8, np.uint8).tobytes()
    refused(written(tmp_path, tiff((8, 8), bits, data)), f"in {bits} bits is not read.*8 or 16")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
def test_compressed_by_lzw(tmp_path, order, photometric, kind):
    """Read right or not at all: Pillow has its own ideas of some, and the other may be missing."""
    pixels = RNG.random((8, 9))
    if kind != "f4":
        pixels = np.round(pixels * np.iinfo(kind).max)
    stored = pixels.astype(order + kind)
    kinds = {"photometric": photometric, "sample_format": 3 if kind == "f4" else 1}
    data = tiff((9, 8), stored.itemsize * 8, lzw(stored.tobytes()), order, compression=5, **kinds)
    path = written(tmp_path, data)
    white = 1 if kind == "f4" else np.iinfo(kind).max
    mixed_up = kind != "u1" and (photometric == 0 or (kind == "f4" and order == ">"))
    if mixed_up and find_spec("imagecodecs") is None:
        refused(path, "without the package imagecodecs")
        return
    native = stored.astype(kind)
    assert_array_equal(read_image(path), native if photometric else white - native)
