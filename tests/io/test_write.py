"""Files out: that they hold what they should, and that nothing is half written or lost."""

import errno

import numpy as np
import pytest
import tifffile
from numpy.testing import assert_array_equal
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from skdefocus.io import (
    ReadError,
    atomic_path,
    read_image,
    read_map,
    write_map,
    write_scaled_png,
)

GRAY = np.arange(12 * 17, dtype=np.uint8).reshape(12, 17)
SIGMA = np.random.default_rng(0).uniform(0, 8, (7, 9)).astype(np.float32)


@pytest.mark.parametrize("name", ["map.tif", "map.TIFF", "map.npy"])
def test_maps_survive(tmp_path, name):
    write_map(tmp_path / name, SIGMA)
    found = np.load(tmp_path / name) if name.endswith("npy") else tifffile.imread(tmp_path / name)
    assert found.dtype == np.float32
    assert_array_equal(found, SIGMA)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_scaled_png_states_its_scale(tmp_path):
    path = tmp_path / "map.png"
    write_scaled_png(path, SIGMA, scale=2000)
    with Image.open(path) as image:
        assert image.text["sigma_scale"] == "2000"
        values = np.asarray(image)
    assert values.dtype == np.uint16
    np.testing.assert_allclose(values / 2000, SIGMA, atol=0.5 / 2000 + 1e-6)


@pytest.mark.parametrize(
    ("sigma", "options", "message"),
    [
        (SIGMA, {"scale": 10_000}, "within 0 to 65535"),
        (SIGMA - 10, {}, "within 0 to 65535"),
        (np.full((2, 2), np.nan), {}, "within 0 to 65535"),
        (SIGMA, {"scale": 0}, "scale must be"),
        (0 * SIGMA, {"scale": 1e300}, "scale must be at most"),
        (np.zeros((2, 2, 3)), {}, "sigma must have shape"),
        (np.zeros((0, 2)), {}, "sigma must have shape"),
        (np.full((2, 2), "a"), {}, "sigma must hold real numbers"),
    ],
)
def test_maps_that_do_not_fit(tmp_path, sigma, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        write_scaled_png(tmp_path / "map.png", sigma, **options)
    assert not list(tmp_path.iterdir())


def test_unknown_suffix(tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.tif"):
        write_map(tmp_path / "map.exr", SIGMA)


def test_nothing_is_replaced_without_being_asked(tmp_path):
    path = tmp_path / "map.npy"
    write_map(path, SIGMA)
    with pytest.raises(FileExistsError, match="overwrite"):
        write_map(path, SIGMA + 1)
    assert_array_equal(np.load(path), SIGMA)
    write_map(path, SIGMA + 1, overwrite=True)
    assert_array_equal(np.load(path), SIGMA + 1)
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(IsADirectoryError):
        write_map(tmp_path / "folder.npy", SIGMA, overwrite=True)


def test_a_failure_leaves_no_half_file_and_the_old_one(tmp_path):
    path = tmp_path / "map.npy"
    write_map(path, SIGMA)

    def interrupted():
        with atomic_path(path, overwrite=True) as temporary:
            temporary.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        interrupted()
    assert [p.name for p in tmp_path.iterdir()] == ["map.npy"]
    assert_array_equal(np.load(path), SIGMA)


@pytest.mark.parametrize("name", ["map.tif", "map.npy", "map.png"])
def test_a_disk_that_is_full(tmp_path, name):
    """A limit of the system stands in for the disk; the decoders see the same short writes."""
    resource = pytest.importorskip("resource")
    noise = np.random.default_rng(0).random((300, 300))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            (write_scaled_png if name.endswith("png") else write_map)(tmp_path / name, noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == errno.EFBIG  # what tells the command line whether to go on
    assert not list(tmp_path.iterdir())


def test_a_link_is_replaced_and_not_what_it_points_to(tmp_path):
    photo = tmp_path / "photo.png"
    Image.fromarray(GRAY).save(photo)
    link = tmp_path / "map.png"
    link.symlink_to(photo)
    with pytest.raises(FileExistsError):
        write_scaled_png(link, SIGMA)
    write_scaled_png(link, SIGMA, overwrite=True)
    assert not link.is_symlink()
    assert_array_equal(read_image(photo), GRAY)
    dangling = tmp_path / "dangling.npy"
    dangling.symlink_to(tmp_path / "none.npy")
    with pytest.raises(FileExistsError):
        write_map(dangling, SIGMA)
    assert not (tmp_path / "none.npy").exists()


def test_of_two_writers_one_wins(tmp_path):
    path = tmp_path / "map.txt"

    def second():
        with atomic_path(path) as late:
            late.write_text("late")
            with atomic_path(path) as fast:
                fast.write_text("fast")

    with pytest.raises(FileExistsError):
        second()
    assert path.read_text() == "fast"
    assert [p.name for p in tmp_path.iterdir()] == ["map.txt"]


@pytest.mark.parametrize("name", ["none/map.npy", "x" * 252 + ".npy"])
def test_errors_name_the_file_that_was_asked_for(tmp_path, name):
    """And not the temporary one beside it."""
    with pytest.raises(OSError, match=r"No such file|too long") as caught:
        write_map(tmp_path / name, SIGMA)
    assert caught.value.filename == str(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


# --- and in again -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["map.tif", "map.npy", "map.png"])
def test_maps_are_read_back(tmp_path, name):
    writer = write_scaled_png if name.endswith("png") else write_map
    writer(tmp_path / name, SIGMA)
    found = read_map(tmp_path / name)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, SIGMA, atol=6e-4 if name.endswith("png") else 0)
    (tmp_path / name).rename(tmp_path / "other")  # the content counts
    assert_array_equal(read_map(tmp_path / "other"), found)


@pytest.mark.parametrize("options", [{"byteorder": ">"}, {"compression": "zlib"}])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_maps_that_another_program_has_saved(tmp_path, options, dtype):
    tifffile.imwrite(tmp_path / "a.tif", SIGMA.astype(dtype), **options)
    assert_array_equal(read_map(tmp_path / "a.tif"), SIGMA)
    np.save(tmp_path / "a.npy", np.asfortranarray(SIGMA.astype(dtype)))
    assert_array_equal(read_map(tmp_path / "a.npy"), SIGMA)
    Image.fromarray(SIGMA).save(tmp_path / "p.tif", compression="tiff_lzw")
    assert_array_equal(read_map(tmp_path / "p.tif"), SIGMA)


def save_wrong(folder):
    """Files that are no maps, and a word of what is said of them."""
    Image.fromarray(GRAY).save(folder / "photo.png")
    info = PngInfo()
    info.add_text("sigma_scale", "1000")
    Image.fromarray(GRAY).save(folder / "eight.png", pnginfo=info)
    np.save(folder / "negative.npy", -SIGMA)
    np.save(folder / "nan.npy", SIGMA * np.nan)
    np.save(folder / "integers.npy", GRAY)
    np.save(folder / "planes.npy", np.stack([SIGMA, SIGMA]))
    np.save(folder / "pickle.npy", np.array([[{}]], object), allow_pickle=True)
    np.save(folder / "large.npy", np.zeros((20, 20)))
    (folder / "cut.npy").write_bytes((folder / "negative.npy").read_bytes()[:150])
    tifffile.imwrite(folder / "color.tif", np.zeros((9, 9, 3), np.float32), photometric="rgb")
    (folder / "text.tif").write_text("no map")
    return {
        "photo.png": "does not say its scale", "eight.png": "have become 8",
        "negative.npy": "no negative", "nan.npy": "NaN", "integers.npy": "one float per pixel",
        "planes.npy": "one float per pixel", "pickle.npy": "one float per pixel",
        "large.npy": "max_pixels", "cut.npy": "cut off", "color.tif": "one float per pixel",
        "text.tif": "not a picture", "none.npy": "No such file",
    }  # fmt: skip


def test_what_is_no_map_is_refused_by_name(tmp_path):
    for name, word in save_wrong(tmp_path).items():
        with pytest.raises(ReadError, match=word) as caught:
            read_map(tmp_path / name, max_pixels=300)
        assert name in str(caught.value), name
        assert "\n" not in str(caught.value), name


@pytest.mark.parametrize(("high", "scale"), [(8.0, "8100"), (0.01, "65000"), (70.0, "930")])
def test_a_scale_by_which_a_map_is_not_black(tmp_path, high, scale):
    write_scaled_png(tmp_path / "a.png", np.linspace(0, high, 20).reshape(4, 5), scale=None)
    with Image.open(tmp_path / "a.png") as image:
        assert image.text["sigma_scale"] == scale
        assert np.asarray(image).max() == round(high * float(scale))
