"""What the tests of the command line share: photographs, bad files, a call of it."""

import os
from contextlib import contextmanager

import numpy as np
import pytest
import tifffile
from PIL import Image

from skdefocus.cli import main

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (40, 56, 3), np.uint8)
NOBODY = 65534


def photo(folder, name="photo.png", pixels=PHOTO):
    folder.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(folder / name, format="PNG")
    return str(folder / name)


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def run(*arguments, capsys=None):
    code = main([str(a) for a in arguments])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, said.out, said.err


def bad_files(folder):
    """Every kind of file that is refused, by name, and a word of its message."""
    folder.mkdir()
    noise = RNG.integers(0, 256, (64, 64, 3), np.uint8)
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("no photograph")
    Image.fromarray(noise).save(folder / "cut.jpg")
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:2000])
    Image.fromarray(noise).save(folder / "corrupt.png")
    whole = bytearray((folder / "corrupt.png").read_bytes())
    whole[1000] ^= 0xFF
    (folder / "corrupt.png").write_bytes(whole)
    tifffile.imwrite(folder / "nan.tif", np.full((9, 9), np.nan, np.float32))
    tifffile.imwrite(folder / "signed.tif", np.zeros((9, 9), np.int8))
    (folder / "raw.nef").write_bytes(b"II*\0")
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    (folder / "link.png").symlink_to("none.png")
    (folder / "circle.png").symlink_to("circle.png")
    Image.new("1", (3000, 1000)).save(folder / "large.png")
    return {
        "empty.png": "empty", "text.jpg": "not a picture", "cut.jpg": "cut off",
        "corrupt.png": "damaged", "nan.tif": "NaN", "signed.tif": "int8", "raw.nef": "raw",
        "folder.png": "folder", "pipe.png": "not a regular file", "link.png": "No such file",
        "circle.png": "symbolic links", "large.png": "max_pixels", "none.png": "No such file",
    }  # fmt: skip


@contextmanager
def without_rights(folder):
    """Let permissions count, for root as well; in `folder`, as those above it may be closed."""
    before = os.getcwd()
    os.chdir(folder)
    is_root = os.geteuid() == 0
    try:
        if is_root:
            try:
                os.seteuid(NOBODY)
            except OSError:
                pytest.skip("this root may not become another user")
        yield
    finally:
        if is_root:
            os.seteuid(0)
        os.chdir(before)
