"""Files out: that they hold what they should, and that nothing is half written or lost."""

import errno

import numpy as np
import pytest
import tifffile
from numpy.testing import assert_array_equal
from PIL import Image

from skdefocus.io import atomic_path, read_image, write_map, write_scaled_png

GREY = np.arange(12 * 17, dtype=np.uint8).reshape(12, 17)
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
    Image.fromarray(GREY).save(photo)
    link = tmp_path / "map.png"
    link.symlink_to(photo)
    with pytest.raises(FileExistsError):
        write_scaled_png(link, SIGMA)
    write_scaled_png(link, SIGMA, overwrite=True)
    assert not link.is_symlink()
    assert_array_equal(read_image(photo), GREY)
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
