"""The commands, in the hands of somebody who means no good: files, names, links, streams."""

import errno
import os
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from helpers.cli_cases import PHOTO, bad_files, names, photo, run
from PIL import Image

from skdefocus import optics
from skdefocus.cli import main
from skdefocus.io import read_image, read_map

#: Each command on one photograph, without its output.
BATCHES = {"map": ["--no-picture"], "magnify": [], "sharpen": []}
OUT = {"map": "_sigma.tif", "magnify": "_magnified.png", "sharpen": "_sharpened.png"}
TIMEOUT = 300


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photo(tmp_path, "a.png")


# --- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["magnify", "sharpen"])
def test_bad_files_stop_no_effect(tmp_path, capsys, command):
    bad = bad_files(tmp_path / "in")
    photos = [tmp_path / "in" / name for name in bad]
    arguments = ["--out", "o", "--max-pixels", 1_000_000]
    code, out, err = run(command, *photos, "a.png", *arguments, capsys=capsys)
    assert code == 1
    assert f"1 written to 'o'; {len(bad)} failed: " in out
    for line, (name, word) in zip(err.splitlines(), bad.items(), strict=True):
        assert name in line
        assert word in line
    assert names(tmp_path / "o") == [f"a{OUT[command]}"]


def test_bad_frames(tmp_path, capsys):
    for name, word in bad_files(tmp_path / "in").items():
        frames = ["a.png", tmp_path / "in" / name]
        for order in (frames, frames[::-1]):
            arguments = ["--out", "f.png", "--max-pixels", 1_000_000]
            code, out, err = run("fuse", *order, *arguments, capsys=capsys)
            *warning, line = err.splitlines()
            assert (code, out) == (1, ""), name
            assert warning == [w for w in warning if "left out in PNG: floats" in w][:1]
            assert name in line
            assert word in line
    assert names(tmp_path) == ["a.png", "in"]


def test_a_damaged_exif_block_is_no_reason_to_lose_a_photograph(tmp_path, capsys):
    block = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xff" * 200
    for name in ("b.jpg", "c.png"):
        Image.fromarray(PHOTO).save(name, exif=block)
        for command, options in BATCHES.items():
            code, _, err = run(command, name, "-o", f"o{name[0]}", *options, capsys=capsys)
            assert code == 0
            # A map says nothing of the photograph, so that nothing is lost.
            assert len(err.splitlines()) == (command != "map")
            assert command == "map" or "its EXIF, which is damaged" in err
    code, _, err = run("fuse", "b.jpg", "c.png", "-o", "f.png", capsys=capsys)
    assert code == 0
    assert "'b.jpg': left out in PNG: its EXIF, which is damaged" in err


def test_lens_facts_of_a_pipe_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(OSError, match=r"pipe.jpg.*not a regular file"):
        optics.read_lens_facts(tmp_path / "pipe.jpg")


# --- names -------------------------------------------------------------------------------------

ODD_NAMES = [b"new\nline", b"\x1b[31mred", b"not utf-8 \xff\xfe", b"x" * 240, b"%s {0} \\", b".b"]


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize("command", BATCHES)
def test_names_of_any_bytes(tmp_path, capsys, command, name):
    text = os.fsdecode(name) + ".png"
    os.rename("a.png", text)
    code, out, err = run(command, text, "-o", "o", *BATCHES[command], capsys=capsys)
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 1
    assert os.fsencode(os.path.splitext(text)[0] + OUT[command]) in os.listdir(b"o")
    code, _, err = run(command, text, "-o", "o", *BATCHES[command], capsys=capsys)
    assert code == 1  # is there
    assert len(err.splitlines()) == 1
    assert "\x1b" not in err


def test_names_of_any_bytes_to_fuse(tmp_path, capsys):
    for name in ("new\nline.png", "\x1b[31mred.png", os.fsdecode(b"\xff.png")):
        code, out, err = run("fuse", "a.png", "a.png", "-o", name, capsys=capsys)
        assert (code, err) == (0, "")
        assert out == f"wrote {name!r}\n"


def test_names_too_long_for_their_outputs(tmp_path, capsys):
    name = "x" * 250 + ".png"
    os.rename("a.png", name)
    for command, options in BATCHES.items():
        code, _, err = run(command, name, "-o", "o", *options, capsys=capsys)
        assert code == 1
        assert len(err.splitlines()) == 1
        assert "name too long" in err
        assert names(tmp_path / "o") == []


# --- outputs -----------------------------------------------------------------------------------


def test_links_that_lead_in_a_circle(tmp_path, capsys):
    os.symlink("circle", "circle")
    for command, options in BATCHES.items():
        code, _, err = run(command, "circle", "a.png", "-o", "o", *options, capsys=capsys)
        assert code == 1
        assert "symbolic links" in err or "must end in" in err
        assert len(err.splitlines()) == 1
        for folder in ("circle", "circle/o"):
            assert run(command, "a.png", "-o", folder, *options, capsys=capsys)[0] == 2
    code, _, err = run("fuse", "a.png", "circle", "-o", "f.png", capsys=capsys)
    assert code == 1
    assert "symbolic links" in err
    os.symlink("c.png", "c.png")
    assert run("fuse", "a.png", "a.png", "-o", "c.png", capsys=capsys)[0] == 2
    assert run("fuse", "a.png", "a.png", "-o", "c.png", "--overwrite", capsys=capsys)[0] == 0
    assert read_image("c.png").shape == PHOTO.shape


@pytest.mark.parametrize("spelling", ["a.png", "./a.png", "o/../a.png", "self/a.png", "link.png"])
def test_effects_never_replace_an_input(tmp_path, capsys, spelling):
    os.mkdir("o")
    os.symlink(".", "self")
    os.symlink("a.png", "link.png")
    before = (tmp_path / "a.png").read_bytes()
    arguments = ["a.png", "a.png", "-o", spelling, "--overwrite"]
    code, _, err = run("fuse", *arguments, capsys=capsys)
    assert code == 2
    assert "also an input" in err
    preview = ["-o", "o", "--preview", spelling, "--overwrite"]
    assert run("sharpen", "a.png", *preview, capsys=capsys)[0] == 2
    assert (tmp_path / "a.png").read_bytes() == before
    os.symlink("../a.png", "o/a_magnified.png")
    assert run("magnify", "a.png", "-o", "o", "--overwrite", capsys=capsys)[0] == 1
    assert (tmp_path / "a.png").read_bytes() == before


def test_an_output_that_is_another_name_of_an_input(tmp_path, capsys):
    """A hard link: the name gets the new file, the input stays what it is."""
    os.link("a.png", "f.png")
    before = (tmp_path / "a.png").read_bytes()
    assert run("fuse", "a.png", "a.png", "-o", "f.png", "--overwrite", capsys=capsys)[0] == 0
    assert (tmp_path / "a.png").read_bytes() == before
    assert not os.path.samefile("a.png", "f.png")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["fuse", "a.png", "a.png", "-o", "f.png", "--preview", "./f.png"], "another output"),
        (["fuse", "a.png", "a.png", "-o", "f.tif", "--depth", "f.tif"], "another output"),
        (["fuse", "a.png", "a.png", "-o", "f.png", "--depth", "d.xyz"], "must end in .tif"),
        (
            ["fuse", "a.png", "a.png", "-o", "f.png", "--depth", "none/d.tif"],
            "'none' is not a folder",
        ),
        (["fuse", "a.png", "a.png", "-o", "f.png", "--preview", "p.gif"], "must end in .png"),
        (["fuse", "a.png", "a.png", "-o", "f.bmp"], "or be a folder's name"),
        (["magnify", "a.png", "-o", "f.webp"], "or be a folder's name"),
        (["map", "a.png", "-o", "f.jpg"], "or be a folder's name"),
        (["fuse", "a.png", "a.png", "-o", ""], "must not be empty"),
        (["map", "a.png", "-o", ""], "must not be empty"),
        (["magnify", "a.png", "-o", ""], "must not be empty"),
        (["demo", "-o", "a.png"], "must be a folder's name"),
        (["map", "a.png", "-o", "a.png"], "also an input"),
        (["magnify", "a.png", "-o", "a.png"], "also an input"),
        (["magnify", "a.png", "-o", "none/f.png"], "'none' is not a folder"),
        (["sharpen", "a.png", "-o", "o.png", "--preview", "o.png/p"], "must end in .png"),
    ],
)
def test_what_cannot_be_written_is_said_before_any_work(tmp_path, capsys, arguments, word):
    os.mkdir("o.png")
    code, out, err = run(*arguments, capsys=capsys)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert word in err
    assert names(tmp_path) == ["a.png", "o.png"]
    assert names(tmp_path / "o.png") == []


def test_the_same_photograph_twice_is_mapped_once(tmp_path, capsys):
    code, out, err = run("map", "a.png", "a.png", "./a.png", "-o", "o", capsys=capsys)
    assert (code, err) == (0, "")
    assert "1 mapped" in out


def test_errors_that_nobody_thought_of_stop_no_batch(tmp_path, capsys, monkeypatch):
    def fails(*_):
        raise RuntimeError("out of cheese")

    monkeypatch.setattr("skdefocus.io.read_photograph", fails)
    for command in ("magnify", "sharpen"):
        code, out, err = run(command, "a.png", "-o", "o", capsys=capsys)
        assert code == 1
        assert "1 failed" in out
        assert err.splitlines() == ["skdefocus: 'a.png': RuntimeError: out of cheese"]
    assert run("fuse", "a.png", "a.png", "-o", "f.png", capsys=capsys)[0] == 1


# --- streams and surroundings ------------------------------------------------------------------


def start(*arguments, before=None, python=(), **options):
    return subprocess.run(
        [sys.executable, *python, "-m", "skdefocus", *arguments],
        preexec_fn=before, timeout=TIMEOUT, check=False, **options,
    )  # fmt: skip


@pytest.mark.parametrize(("closed", "jobs"), [((1,), "1"), ((0, 1, 2), "2")])
def test_closed_standard_streams(tmp_path, closed, jobs):
    """The files that are opened then have the streams' numbers."""
    photo(tmp_path, "b.png")

    def close():
        for stream in closed:
            os.close(stream)

    arguments = ["a.png", "none.png", "b.png", "-o", "o", "--no-picture", "--jobs", jobs]
    kept = {} if 2 in closed else {"stderr": subprocess.PIPE}
    done = start("map", *arguments, before=close, **kept)
    assert done.returncode == 1
    assert 2 in closed or done.stderr.splitlines() == [
        b"skdefocus: 'none.png': No such file or directory"
    ]
    assert names(tmp_path / "o") == sorted(
        f"{stem}_sigma.{suffix}" for stem in "ab" for suffix in ("png", "tif")
    )
    for stem in "ab":
        sigma = tifffile.imread(tmp_path / "o" / f"{stem}_sigma.tif")
        scaled = read_map(tmp_path / "o" / f"{stem}_sigma.png")
        np.testing.assert_allclose(scaled, sigma, atol=6e-4)


def test_where_nobody_can_be_told_the_rest_go_on(tmp_path, capsys, monkeypatch):
    class Full:
        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

        def isatty(self):
            return False

        def flush(self):
            pass

    monkeypatch.setattr(sys, "stderr", Full())
    assert main(["map", "none.png", "a.png", "-o", "o", "--no-picture"]) == 1
    assert len(names(tmp_path / "o")) == 2


def test_nobody_reads_the_output(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    done = start("info", stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def test_another_locale_no_home_and_warnings_as_errors(tmp_path):
    block = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xff" * 200
    name = os.fsdecode("σ ドア".encode() + b"\xff.jpg")
    Image.fromarray(PHOTO).save(name, format="JPEG", exif=block)
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "PYTHONPATH", "SYSTEMROOT")}
    env = kept | {"LC_ALL": "C", "PYTHONUTF8": "0", "HOME": str(tmp_path / "none")}
    arguments = ["map", name, "-o", "o", "--no-picture"]
    done = start(*arguments, python=("-W", "error", "-OO"), env=env, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"1 mapped to 'o'\n"
    assert b"Traceback" not in done.stderr
    assert len(names(tmp_path / "o")) == 2
