"""The commands fuse, magnify and sharpen: outputs, what is kept of a file, errors."""

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

import skdefocus as sd
from skdefocus.cli import main
from skdefocus.datasets import sample_photographs
from skdefocus.io import read_photograph
from skdefocus.synthesis import blur

SHARP = sample_photographs(96)[1]
SOFT = np.asarray(blur(SHARP, 2.5))
LEFT = np.arange(96) < 48
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def save(path, image, **options):
    rgb = np.repeat(np.round(image * 255).astype(np.uint8)[..., None], 3, axis=2)
    Image.fromarray(rgb).save(path, **options)
    return str(path)


@pytest.fixture
def frames(tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    return [
        save(tmp_path / "a.png", np.where(LEFT, SHARP, SOFT), icc_profile=PROFILE, exif=exif),
        save(tmp_path / "b.png", np.where(LEFT, SOFT, SHARP)),
    ]


def run(*arguments, capsys):
    code = main([str(a) for a in arguments])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, said.out, said.err


def test_fuse(tmp_path, frames, capsys):
    out, depth, preview = (tmp_path / n for n in ("f.png", "d.npy", "p.png"))
    code, text, err = run(
        "fuse", *frames, "--out", out, "--depth", depth, "--preview", preview, capsys=capsys
    )
    assert (code, err) == (0, "")
    assert text.count("wrote") == 3
    with Image.open(out) as image:
        fused = np.asarray(image) / 255
        assert image.info["icc_profile"] == PROFILE
        assert image.getexif()[0x010F] == "A camera"
    assert sd.metrics.psnr(fused[..., 0], SHARP) > 35
    assert np.load(depth).shape == (96, 96)
    with Image.open(preview) as image:
        assert image.size == (3 * 96, 96)


def test_fuse_cuts_off_what_not_all_frames_reach(tmp_path, capsys):
    whole = sample_photographs(112)[1]
    first = save(tmp_path / "1.png", whole[8:104, 8:104])
    second = save(tmp_path / "2.png", whole[2:98, 12:108])  # 6 up, 4 to the right
    out, depth, preview = (tmp_path / n for n in ("f.png", "d.npy", "p.png"))
    options = ["--align", "translation", "--crop", "--depth", depth, "--preview", preview]
    assert run("fuse", first, second, "-o", out, *options, capsys=capsys)[0] == 0
    with Image.open(out) as image:
        assert image.size == pytest.approx((92, 90), abs=1)
        size = image.size
    assert np.load(depth).shape == size[::-1]
    with Image.open(preview) as image:
        assert image.size == (3 * size[0], size[1])


def test_sixteen_bits_are_kept(tmp_path, capsys):
    deep = np.round(np.stack([SHARP] * 3, axis=-1) * 65535).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", deep, photometric="rgb")
    name = tmp_path / "a.tif"
    assert run("sharpen", name, "--out", tmp_path / "o", capsys=capsys)[0] == 0
    found = tifffile.imread(tmp_path / "o" / "a_sharpened.tif")
    assert found.dtype == np.uint16
    assert found.shape == deep.shape
    assert np.unique(found).size > 1000
    assert run("fuse", name, name, "--out", tmp_path / "f.tif", capsys=capsys)[0] == 0
    assert np.abs(tifffile.imread(tmp_path / "f.tif").astype(int) - deep).max() <= 1
    code, _, err = run("fuse", name, name, "--out", tmp_path / "f.jpg", capsys=capsys)
    assert code == 0
    assert err.splitlines() == [
        f"skdefocus: {str(name)!r}: left out in JPEG: more than 8 bits of the 16 per channel"
    ]
    with Image.open(tmp_path / "f.jpg") as image:
        assert image.size == deep.shape[1::-1]


@pytest.mark.parametrize(("name", "suffix"), [("magnify", "magnified"), ("sharpen", "sharpened")])
def test_effects(tmp_path, frames, capsys, name, suffix):
    out = tmp_path / "out"
    bad = tmp_path / "bad.png"
    bad.write_text("no photograph")
    code, text, err = run(name, *frames, bad, "--out", out, capsys=capsys)
    assert code == 1
    assert "bad.png" in err
    assert "2 written" in text
    assert sorted(p.name for p in out.iterdir()) == [f"a_{suffix}.png", f"b_{suffix}.png"]
    with Image.open(out / f"a_{suffix}.png") as image:
        assert image.size == (96, 96)
        assert image.info["icc_profile"] == PROFILE


def test_turned_photographs_come_out_upright(tmp_path, capsys):
    exif = Image.Exif()
    exif[0x0112] = 6
    name = save(tmp_path / "a.jpg", SHARP[:64], exif=exif, quality=95)
    preview = tmp_path / "p.png"
    code = run("magnify", name, "-o", tmp_path / "o", "--preview", preview, capsys=capsys)[0]
    assert code == 0
    with Image.open(tmp_path / "o" / "a_magnified.jpg") as image:
        assert image.size == (64, 96)
        assert image.getexif()[0x0112] == 1
    with Image.open(preview) as image:
        assert image.size == (128, 96)


def test_large_photographs_keep_what_comes_along(tmp_path, monkeypatch):
    """Pillow's own limit made an end of profile and EXIF."""
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    name = save(tmp_path / "a.jpg", np.tile(SHARP, (8, 1)), icc_profile=PROFILE, exif=exif)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30_000)  # more than are copied at once
    found = read_photograph(name, 250_000_000)
    assert found.metadata.profile == PROFILE
    assert b"A camera" in found.metadata.exif


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["fuse", "a.png", "--out", "f.png"], "two or more"),
        (["fuse", "a.png", "b.png", "--out", "a.png"], "also an input"),
        (["fuse", "a.png", "b.png", "--out", "there.png"], "--overwrite"),
        (["fuse", "a.png", "b.png"], "--out"),
        (["magnify", "a.png", "--out", "o", "--strength", "0.5"], "--strength"),
        (["sharpen", "a.png", "--out", "o", "--amount", "-1"], "--amount"),
        (["sharpen", "a.png", "b.png", "--out", "o", "--preview", "p.png"], "--preview"),
        (["sharpen", "a.png", "b.png", "--out", "o.png"], "there are 2 photographs"),
        (["sharpen", "a.png", "--out", "o", "--map", "none.tif"], "'none.tif' does not exist"),
        (["sharpen", "a.png", "b.png", "--out", "o", "--map", "a.png"], "a folder with the maps"),
        (["sharpen", "a.png", "--out", "o", "--mask", "none.png"], "'none.png' is not a file"),
        (["magnify", "a.png", "--out", "o", "--blades", "2"], "--blades"),
        (["magnify", "a.png", "--out", "o", "--blades", "5", "--aperture", "disc"], "polygon"),
        (["magnify", "a.png", "--out", "o", "--overwrite", "--skip-existing"], "exclude"),
        (["depth", "a.png", "--out", "d.tif"], "--side"),
        (["map", "a.png", "--out", "m.tif", "--confidence"], "needs a folder"),
        (["map", "a.png", "--out", "m", "--color", "--scale", "3"], "not allowed with"),
    ],
)
def test_wrong_usage(tmp_path, frames, capsys, monkeypatch, arguments, word):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.png").write_bytes(b"mine")
    code, _, err = run(*arguments, capsys=capsys)
    assert code == 2
    assert len(err.splitlines()) == 1
    assert word in err
    assert (tmp_path / "there.png").read_bytes() == b"mine"


@pytest.mark.parametrize("out", ["f.bmp", "none/f.png"])
def test_outputs_that_cannot_be_written(tmp_path, frames, capsys, out):
    code, _, err = run("fuse", *frames, "--out", tmp_path / out, capsys=capsys)
    assert code == 2
    assert len(err.splitlines()) == 1
