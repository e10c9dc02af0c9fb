"""The command line: outputs, exit codes, one line per problem, and that nothing is lost."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
import tifffile
from helpers.cli_cases import PHOTO, RNG, bad_files, names, photo, run, without_rights
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

import skdefocus as sd
from skdefocus import io
from skdefocus.cli import _batch
from skdefocus.cli._map import PARAMETERS

pytest.importorskip("matplotlib")

COMMANDS = ("demo", "map", "fuse", "magnify", "sharpen", "info")


# --- the commands ------------------------------------------------------------------------------


def test_demo(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, out, err = run("demo", capsys=capsys)
    folder = tmp_path / "skdefocus-demo"
    assert code == 0
    assert err == ""
    assert names(folder) == ["flower_overview.png", "flower_sigma.png", "flower_sigma.tif"]
    assert tifffile.imread(folder / "flower_sigma.tif").shape == (427, 640)
    lines = out.splitlines()
    assert sum(line.startswith("wrote ") for line in lines) == 3
    subject, background = (float(line.split()[-2]) for line in lines[-2:])
    assert subject < background
    assert run("demo", capsys=capsys)[0] == 0  # again


def test_map_writes_all_three_and_the_same_map_as_python(tmp_path, capsys):
    name = photo(tmp_path)
    code, out, err = run("map", name, "--out", tmp_path / "maps", capsys=capsys)
    assert (code, err) == (0, "")
    assert "1 mapped" in out
    maps = tmp_path / "maps"
    assert names(maps) == ["photo_overview.png", "photo_sigma.png", "photo_sigma.tif"]
    sigma = tifffile.imread(maps / "photo_sigma.tif")
    assert sigma.dtype == np.float32
    assert_allclose(sigma, sd.defocus_map(PHOTO), atol=1e-4)
    with Image.open(maps / "photo_sigma.png") as image:
        scale = float(image.text["sigma_scale"])
        assert_allclose(np.asarray(image) / scale, sigma, atol=1e-3)


def test_map_options(tmp_path, capsys):
    arguments = ["--format", "npy", "--no-picture", "--step", 16, "--radius", 4, "--eps", 0.01]
    name = photo(tmp_path)
    assert run("map", name, "-o", tmp_path / "m", *arguments, "--quiet", capsys=capsys) == (
        0, "", "",
    )  # fmt: skip
    assert names(tmp_path / "m") == ["photo_sigma.npy", "photo_sigma.png"]
    expected = sd.make_defocus_pipeline(step=16, radius=4, eps=0.01).transform([PHOTO])[0]
    assert_allclose(np.load(tmp_path / "m" / "photo_sigma.npy"), expected, atol=1e-4)


def test_info(capsys):
    code, out, _ = run("info", capsys=capsys)
    assert code == 0
    for word in (sd.__version__, "onnxruntime", "levels", "training"):
        assert word in out


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *([c, "--help"] for c in COMMANDS)]
)
def test_help(arguments, capsys):
    code, out, err = run(*arguments, capsys=capsys)
    assert (code, err) == (0, "")
    assert "skdefocus" in out


def test_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "skdefocus", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"skdefocus {sd.__version__}"


def test_help_and_import_need_no_heavy_module():
    code = (
        "import sys, json, skdefocus; from skdefocus.cli import main; main(['map', '--help']); "
        "print(json.dumps([m for m in ('onnxruntime', 'matplotlib', 'imageio') "
        "if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []


# --- wrong usage -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "COMMAND"),
        (["maps"], "invalid choice"),
        (["map", "--out", "d"], "PHOTO"),
        (["map", "a.png"], "--out"),
        (["map", "a.png", "--out", "d", "--step", "0"], "--step"),
        (["map", "a.png", "--out", "d", "--step", "5"], "step"),
        (["map", "a.png", "--out", "d", "--eps", "nan"], "--eps"),
        (["map", "a.png", "--out", "d", "--eps", "0"], "eps"),
        (["map", "a.png", "--out", "d", "--jobs", "0"], "--jobs"),
        (["map", "a.png", "--out", "d", "--overwrite", "--skip-existing"], "exclude"),
        (["map", "a.png", "--out", "d", "--model", "none.onnx"], "model"),
        (["map", "a.png", "--out", __file__], "not a folder"),
        (["info", "--model", __file__], "model"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(arguments, word, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments, capsys=capsys)
    assert code == 2
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("skdefocus: ")
    assert word in err


# --- bad files ---------------------------------------------------------------------------------


def test_bad_files_do_not_stop_the_rest(tmp_path, capsys):
    bad = bad_files(tmp_path / "in")
    first, last = photo(tmp_path / "in", "a.png"), photo(tmp_path / "in", "z.png")
    code, out, err = run(
        "map", first, *(tmp_path / "in" / name for name in bad), last, "--out", tmp_path / "maps",
        "--no-picture", "--max-pixels", 1_000_000, capsys=capsys,
    )  # fmt: skip
    assert code == 1
    lines = err.splitlines()
    assert len(lines) == len(bad)
    for line, (name, word) in zip(lines, bad.items(), strict=True):
        assert line.startswith("skdefocus: ")
        assert name in line
        assert word in line
    summary = out.splitlines()[-1]
    assert "2 mapped" in summary
    assert f"{len(bad)} failed" in summary
    assert all(name in summary for name in bad)
    assert names(tmp_path / "maps") == [
        "a_sigma.png", "a_sigma.tif", "z_sigma.png", "z_sigma.tif",
    ]  # fmt: skip


def test_odd_files_are_mapped(tmp_path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    image = Image.fromarray(PHOTO)
    for mode in ("1", "P", "LA", "RGBA", "I;16"):
        image.convert("L" if mode == "I;16" else mode).convert(mode).save(
            folder / f"{mode.replace(';', '')}.png"
        )
    image.convert("CMYK").save(folder / "cmyk.jpg")
    image.save(folder / "film.gif", save_all=True, append_images=[image.rotate(180)])
    image.save(folder / "pages.tif", save_all=True, append_images=[image])
    Image.new("L", (50, 1)).save(folder / "thin.png")
    (folder / "link.jpg").symlink_to("cmyk.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(folder / "turned.jpg", exif=exif)
    many = sorted(folder.iterdir())
    code, out, err = run("map", *many, "--out", tmp_path / "m", "--no-picture", capsys=capsys)
    assert (code, err) == (0, "")
    assert f"{len(many)} mapped" in out
    assert tifffile.imread(tmp_path / "m" / "turned_sigma.tif").shape == (56, 40)
    for path in (tmp_path / "m").glob("*.tif"):
        sigma = tifffile.imread(path)
        assert np.isfinite(sigma).all()
        assert sigma.min() >= 0


def test_parallel_is_the_same(tmp_path, capsys):
    many = [photo(tmp_path / "in", f"{i}.png", np.roll(PHOTO, i, 0)) for i in range(4)]
    for jobs in (1, 2):
        out = tmp_path / f"maps{jobs}"
        assert run("map", *many, "--out", out, "--no-picture", "-j", jobs, capsys=capsys)[0] == 0
    for i in range(4):
        one, two = (tifffile.imread(tmp_path / f"maps{j}" / f"{i}_sigma.tif") for j in (1, 2))
        assert_allclose(one, two, atol=1e-5)


def test_names_with_dashes_spaces_and_letters(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photo(tmp_path, "-dash.png")
    photo(tmp_path, "ドア σ.png")
    arguments = ["map", "--out", "maps", "--no-picture", "--", "-dash.png", "ドア σ.png"]
    assert run(*arguments, capsys=capsys)[0] == 0
    assert len(names(tmp_path / "maps")) == 4


# --- outputs -----------------------------------------------------------------------------------


def test_overwrite_and_skip_existing(tmp_path, capsys):
    name, out = photo(tmp_path), tmp_path / "maps"
    arguments = ["map", name, "--out", out, "--no-picture"]
    assert run(*arguments, capsys=capsys)[0] == 0
    target = out / "photo_sigma.tif"
    target.write_bytes(b"mine")
    code, _, err = run(*arguments, capsys=capsys)
    assert code == 1
    assert "--overwrite" in err
    code, text, _ = run(*arguments, "--skip-existing", capsys=capsys)
    assert code == 0
    assert "1 existed already" in text
    assert target.read_bytes() == b"mine"
    (out / "photo_sigma.png").unlink()
    assert run(*arguments, "--skip-existing", capsys=capsys)[0] == 0
    assert target.read_bytes() == b"mine"
    assert (out / "photo_sigma.png").exists()
    assert run(*arguments, "--overwrite", capsys=capsys)[0] == 0
    assert tifffile.imread(target).shape == PHOTO.shape[:2]


def test_an_output_never_replaces_an_input(tmp_path, capsys):
    name = photo(tmp_path, "a.png")
    other = photo(tmp_path, "a_sigma.png")
    before = (tmp_path / "a_sigma.png").read_bytes()
    code, _, err = run(
        "map", name, other, "--out", tmp_path, "--overwrite", "--no-picture", capsys=capsys
    )
    assert code == 1
    assert "also an input" in err
    assert (tmp_path / "a_sigma.png").read_bytes() == before


def test_two_photographs_of_one_name(tmp_path, capsys):
    one, two = photo(tmp_path / "one"), photo(tmp_path / "two")
    code, _, err = run("map", one, two, "--out", tmp_path / "m", "--no-picture", capsys=capsys)
    assert code == 1
    assert "another --out" in err


def test_an_output_never_replaces_an_input_through_a_link(tmp_path, capsys):
    name = photo(tmp_path, "a.png")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "a_sigma.png").symlink_to(name)
    before = (tmp_path / "a.png").read_bytes()
    arguments = ["map", name, "--out", tmp_path / "m", "--overwrite", "--no-picture"]
    code, _, err = run(*arguments, capsys=capsys)
    assert code == 1
    assert "also an input" in err
    assert (tmp_path / "a.png").read_bytes() == before


@pytest.mark.parametrize("writer", ["write_map", "write_scaled_png"])
def test_a_full_disk_stops_with_one_line_and_leaves_nothing_half(
    tmp_path, capsys, monkeypatch, writer
):
    def full(path, sigma, **options):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(io, writer, full)
    many = [photo(tmp_path / "in", f"{i}.png") for i in range(3)]
    code, out, err = run("map", *many, "--out", tmp_path / "m", "--no-picture", capsys=capsys)
    assert code == 1
    first, second = err.splitlines()
    assert "No space left" in first
    assert "2 photographs not done" in second
    assert "0.png" in out
    assert names(tmp_path / "m") == []


@pytest.mark.parametrize("form", ["tiff", "npy"])
def test_files_that_cannot_be_written_to_their_end(tmp_path, capsys, form):
    resource = pytest.importorskip("resource")
    large = photo(tmp_path, "large.png", RNG.integers(0, 256, (120, 120), np.uint8))
    small = photo(tmp_path, "small.png", PHOTO[:20, :20])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        code, _, err = run(
            "map", large, small, "--out", tmp_path / "m", "--format", form, "--no-picture",
            capsys=capsys,
        )  # fmt: skip
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert code == 1
    assert len(err.splitlines()) == 1
    assert "File too large" in err
    suffix = {"tiff": "tif"}.get(form, form)
    assert names(tmp_path / "m") == sorted(["small_sigma.png", f"small_sigma.{suffix}"])


def test_missing_rights(tmp_path, capsys):
    name = photo(tmp_path)
    # All that is imported late is imported now: the other user may not be able to.
    assert run("map", name, "--out", tmp_path / "a", "--no-picture", capsys=capsys)[0] == 0
    assert run("magnify", name, "--out", tmp_path / "b", capsys=capsys)[0] == 0
    assert run("fuse", name, name, "--out", tmp_path / "c.png", capsys=capsys)[0] == 0
    (tmp_path / "m").mkdir()
    (tmp_path / "m").chmod(0o555)
    tmp_path.chmod(0o755)
    for command, *photos in (
        ["map", "photo.png", "--out", "m", "--no-picture"],
        ["map", "photo.png", "--out", "m/new", "--no-picture"],
        ["magnify", "photo.png", "--out", "m"],
        ["fuse", "photo.png", "photo.png", "--out", "m/f.png"],
    ):
        with without_rights(tmp_path):
            code, _, err = run(command, *photos, capsys=capsys)
        assert code == (1 if command == "fuse" else 2)
        assert len(err.splitlines()) == 1
        assert "'m" in err
        assert "Permission denied" in err
    assert names(tmp_path / "m") == []


def test_interrupted_batch_leaves_whole_files_and_can_be_resumed(tmp_path):
    many = [photo(tmp_path / "in", f"{i:03}.png") for i in range(50)]
    out = tmp_path / "maps"
    command = [sys.executable, "-m", "skdefocus", "map", *many, "--out", str(out), "--no-picture"]
    # A shell's background jobs, and so perhaps these tests, are started with SIGINT ignored.
    listen = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=listen)
    while not list(out.glob("*.png")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    done = names(out)
    assert 0 < len(done) < 100
    assert all(name.endswith(("_sigma.tif", "_sigma.png")) for name in done)
    for path in out.glob("*.tif"):
        assert tifffile.imread(path).shape == PHOTO.shape[:2]
    resumed = subprocess.run([*command, "--skip-existing", "--quiet"], check=False)
    assert resumed.returncode == 0
    assert len(names(out)) == 100


def test_progress_is_for_terminals_only(tmp_path, capsys, monkeypatch):
    arguments = ["map", photo(tmp_path), "--no-picture", "--out"]
    assert run(*arguments, tmp_path / "a", capsys=capsys)[2] == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert "photo" in run(*arguments, tmp_path / "b", capsys=capsys)[2]


def test_workers_that_fail_are_reported(tmp_path, capsys, monkeypatch):
    def dies(*_):
        raise RuntimeError("no process can be started")

    monkeypatch.setattr(_batch, "run", dies)
    code, _, err = run("map", photo(tmp_path), "--out", tmp_path / "m", capsys=capsys)
    assert code == 1
    assert "1 photographs not done: the workers failed" in err
    assert_array_equal(names(tmp_path / "m"), [])


def test_help_states_the_defaults_of_the_pipeline(capsys):
    text = " ".join(run("map", "--help", capsys=capsys)[1].split())
    parameters = sd.make_defocus_pipeline().get_params()
    for option, name in PARAMETERS.items():
        help_text = text[text.rindex(f"--{option} ") :]
        assert f"(default: {parameters[name]:g})" in help_text[: help_text.index(")") + 1], option
