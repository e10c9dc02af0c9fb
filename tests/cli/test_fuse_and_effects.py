"""The commands fuse, magnify and sharpen: outputs, what is kept of a file, errors."""

import re

import numpy as np
import pytest
import tifffile
from helpers.pictures import PROFILE
from PIL import Image
from sklearn.datasets import load_sample_image

import skdefocus as sd
from skdefocus.cli import main
from skdefocus.datasets import sample_photographs
from skdefocus.io import read_photograph
from skdefocus.synthesis import blur

SHARP = sample_photographs(96)[1]
SOFT = np.asarray(blur(SHARP, 2.5))
LEFT = np.arange(96) < 48


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
        assert image.size == (4 * 96, 96)
        colors = np.asarray(image)[48, 3 * 96 :]
    assert colors[5].tolist() == [0, 0, 255]  # the first frame
    assert colors[90].tolist() == [255, 0, 0]


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
        assert image.size == (4 * size[0], size[1])


def large(where, sharp="china.jpg"):
    """A frame of 288 × 192 pixels, sharp where it is told."""
    scene = load_sample_image(sharp)[:192, :288] / 255
    return np.round(np.where(where[..., None], scene, blur(scene, 3.0)) * 255).astype(np.uint8)


HALF = np.broadcast_to(np.arange(288) < 144, (192, 288))


@pytest.mark.parametrize(("odd", "orientation"), [(0, 3), (1, 3), (2, 3), (1, 6), (2, 8), (1, 4)])
@pytest.mark.parametrize("align", ["none", "affine"])
def test_orientation_of_a_stack_is_judged_together(tmp_path, capsys, odd, orientation, align):
    """A camera that looks down may write another one into one of its files."""
    names = []
    for k, where in enumerate((HALF, ~HALF, np.zeros_like(HALF))):
        exif = Image.Exif()
        exif[0x0112] = orientation if k == odd else 1
        names.append(str(tmp_path / f"{k}.png"))
        Image.fromarray(large(where)).save(names[-1], exif=exif)
    code, _, err = run("fuse", *names, "-o", tmp_path / "f.png", "--align", align, capsys=capsys)
    assert code == 0
    assert err.count("\n") == 1
    assert f"{odd}.png': its EXIF orientation, {orientation}, is ignored" in err
    fused = read_photograph(tmp_path / "f.png", 10**6).pixels
    assert sd.metrics.psnr(fused, large(np.ones_like(HALF))) > 35


@pytest.mark.parametrize("orientation", [3, 6])
def test_orientation_of_a_stack_of_tiff_is_judged_together(tmp_path, capsys, orientation):
    """A TIFF states its orientation in a tag of its own, not in a block of EXIF."""
    names = []
    for k, where in enumerate((HALF, ~HALF)):
        names.append(str(tmp_path / f"{k}.tif"))
        tags = {0x0112: orientation if k else 1}
        Image.fromarray(large(where)).save(names[-1], tiffinfo=tags)
    code, _, err = run("fuse", *names, "-o", tmp_path / "f.png", capsys=capsys)
    assert code == 0
    assert f"1.tif': its EXIF orientation, {orientation}, is ignored" in err
    fused = read_photograph(tmp_path / "f.png", 10**6).pixels
    assert sd.metrics.psnr(fused, large(np.ones_like(HALF))) > 35


def test_a_stack_of_which_all_are_turned(tmp_path, capsys):
    names = []
    for k, where in enumerate((HALF, ~HALF)):
        exif = Image.Exif()
        exif[0x0112] = 6
        names.append(str(tmp_path / f"{k}.jpg"))
        Image.fromarray(large(where)).save(names[-1], exif=exif, quality=95)
    assert run("fuse", *names, "-o", tmp_path / "f.png", capsys=capsys)[::2] == (0, "")
    fused = read_photograph(tmp_path / "f.png", 10**6).pixels
    assert fused.shape == (288, 192, 3)


def test_frames_that_are_left_out_are_named(tmp_path, capsys):
    whole = np.ones_like(HALF)
    frames = {
        "a": large(HALF), "flower": large(whole, "flower.jpg"), "b": large(~HALF),
        "dark": large(HALF) // 30,
    }  # fmt: skip
    names = [str(tmp_path / f"{name}.png") for name in frames]
    for name, frame in zip(names, frames.values(), strict=True):
        Image.fromarray(frame).save(name)
    out = tmp_path / "f.png"
    code, _, err = run("fuse", *names, "-o", out, capsys=capsys)
    assert code == 0
    assert re.findall(r"(\w+)\.png' is left out: ", err) == ["flower", "dark"]
    assert sd.metrics.psnr(read_photograph(out, 10**6).pixels, large(whole)) > 35
    again = run("fuse", *names, "-o", out, "--overwrite", "--keep-all", capsys=capsys)
    assert (again[0], "left out" in again[2]) == (0, False)
    code, _, err = run("fuse", *names[:2], "-o", out, "--overwrite", capsys=capsys)
    assert code == 1
    assert "flower.png' does not belong to the stack" in err
    assert "leave it out" in err


def test_what_the_output_cannot_hold_is_that_of_the_reference(tmp_path, capsys):
    large_exif = Image.Exif()
    large_exif[0x010E] = "x" * 70_000  # more than a JPEG can hold
    frames = [
        save(tmp_path / "a.png", np.where(LEFT, SHARP, SOFT), exif=large_exif),
        save(tmp_path / "b.png", np.where(LEFT, SOFT, SHARP)),
    ]
    out = tmp_path / "f.jpg"
    code, _, err = run("fuse", *frames, "-o", out, capsys=capsys)
    assert code == 0
    assert "a.png': left out in JPEG: " in err
    again = run("fuse", *frames, "-o", out, "--overwrite", "--reference", frames[1], capsys=capsys)
    assert (again[0], "left out" in again[2]) == (0, False)


def test_matched_exposures_are_told(tmp_path, capsys):
    names = [str(tmp_path / name) for name in ("a.png", "b.png")]
    Image.fromarray(large(HALF)).save(names[0])
    Image.fromarray((0.8 * large(~HALF)).astype(np.uint8)).save(names[1])
    out, sharp = tmp_path / "f.png", large(np.ones_like(HALF))
    quality = {}
    for option, reference in (("", "a"), ("--no-match-exposure", "a"), ("--match-exposure", "b")):
        more = [option] if option else []
        more += ["--reference", tmp_path / f"{reference}.png", "--overwrite"]
        code, _, err = run("fuse", *names, "-o", out, *more, capsys=capsys)
        assert code == 0
        assert err.count("exposure of 1 of 2 frames was scaled") == (
            option != "--no-match-exposure"
        )
        truth = sharp if reference == "a" else 0.8 * sharp
        fused = read_photograph(out, 10**6).pixels
        quality[option] = sd.metrics.psnr(fused / 255, truth / 255)
    assert quality[""] > quality["--no-match-exposure"] + 6
    assert quality["--match-exposure"] > quality["--no-match-exposure"] + 6
    code, _, err = run(
        "fuse", *names, "-o", out, "--overwrite", "--reference", "c.png", capsys=capsys
    )
    assert code == 1
    assert "--reference must be one of the frames, got 'c.png'" in err


def test_what_no_frame_covers_is_transparent(tmp_path, capsys):
    names = [str(tmp_path / name) for name in ("a.png", "b.png")]
    for name, where, first in zip(names, (HALF, ~HALF), (20, 60), strict=True):
        alpha = np.full((192, 288), 255, np.uint8)
        alpha[:first] = 0
        Image.fromarray(np.dstack([np.where(alpha[..., None] > 0, large(where), 0), alpha])).save(
            name
        )
    assert run("fuse", *names, "-o", tmp_path / "f.png", capsys=capsys)[::2] == (0, "")
    with Image.open(tmp_path / "f.png") as image:
        assert image.mode == "RGBA"
        found = np.asarray(image)
    assert np.all(found[:20, :, 3] == 0)
    assert np.all(found[20:, :, 3] == 255)
    assert np.array_equal(found[20:40, :, :3], large(HALF)[20:40])


def test_small_things_are_kept_as_told(tmp_path, capsys):
    """A dot of 5 × 5 pixels, in focus in a frame that is soft elsewhere."""
    scene = load_sample_image("china.jpg")[:192, :288] / 255
    far, near = scene.copy(), np.asarray(blur(scene, 3.0)).copy()
    near[40:45, 40:45] = (0.1, 0.1, 0.1)
    far = 0.0 + blur(np.where(near == 0.1, 0.1, far), 2.0) * (near == 0.1) + far * (near != 0.1)
    names = [str(tmp_path / name) for name in ("a.png", "b.png")]
    for name, frame in zip(names, (far, near), strict=True):
        Image.fromarray(np.round(np.clip(frame, 0, 1) * 255).astype(np.uint8)).save(name)
    dots = {}
    for area in (0, 2000):
        out = tmp_path / f"{area}.png"
        assert run("fuse", *names, "-o", out, "--min-area", area, capsys=capsys)[0] == 0
        dots[area] = read_photograph(out, 10**6).pixels[41:44, 41:44].mean() / 255
    assert dots[0] == pytest.approx(0.1, abs=0.03)
    assert dots[2000] > dots[0] + 0.05


def test_a_slab_is_fused_alone(tmp_path, frames, capsys):
    third = save(tmp_path / "c.png", SHARP)
    out, only = tmp_path / "f.png", tmp_path / "g.png"
    code = run("fuse", third, *frames, "-o", out, "--slab", 2, 3, capsys=capsys)[0]
    assert code == 0
    assert run("fuse", *frames, "-o", only, capsys=capsys)[0] == 0
    assert np.array_equal(*(read_photograph(p, 10**6).pixels for p in (out, only)))
    for wrong in ((0, 1), (2, 2), (2, 4)):
        more = ["--overwrite", "--slab", *wrong]
        assert run("fuse", third, *frames, "-o", out, *more, capsys=capsys)[0] == 2


def test_a_frame_is_preferred_where_a_mask_is_white(tmp_path, frames, capsys):
    mask = np.zeros((96, 96), np.uint8)
    mask[20:40, 60:64] = 255  # where the second frame is the sharp one
    Image.fromarray(mask).save(tmp_path / "mask.png")
    out = tmp_path / "f.png"
    prefer = ["--prefer", frames[0], tmp_path / "mask.png", "--overwrite"]
    assert run("fuse", *frames, "-o", out, *prefer, capsys=capsys)[0] == 0
    fused, first = (read_photograph(p, 10**6).pixels for p in (out, frames[0]))
    assert np.array_equal(fused[20:40, 60:64], first[20:40, 60:64])
    assert not np.array_equal(fused[44:60, 60:64], first[44:60, 60:64])
    for prefer, word in (
        (["c.png", tmp_path / "mask.png"], "--prefer must name one of the frames"),
        ([frames[0], tmp_path / "none.png"], "none.png' is not a file"),
    ):
        code, _, err = run(
            "fuse", *frames, "-o", out, "--overwrite", "--prefer", *prefer, capsys=capsys
        )
        assert code == 2
        assert word in err
    Image.fromarray(mask[:50]).save(tmp_path / "small.png")
    prefer = ["--prefer", frames[0], tmp_path / "small.png", "--overwrite"]
    code, _, err = run("fuse", *frames, "-o", out, *prefer, capsys=capsys)
    assert code == 1
    assert "must be bool or float of shape (96, 96)" in err


def test_distances_come_from_exif(tmp_path, frames, capsys):
    names = []
    for name, distance in zip(frames, (0.5, 1.0), strict=True):
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9206] = distance
        names.append(name.replace(".png", ".jpg"))
        Image.open(name).save(names[-1], quality=98, exif=exif)
    out, file = tmp_path / "f.png", tmp_path / "d.npy"
    assert run("fuse", *names, "-o", out, "--distance", file, capsys=capsys)[0] == 0
    found = np.load(file)
    assert np.median(found[:, :30]) == pytest.approx(0.5, abs=0.02)
    assert np.median(found[:, -30:]) == pytest.approx(1.0, abs=0.04)
    code, _, err = run("fuse", *frames, "-o", out, "--distance", file, "--overwrite", capsys=capsys)
    assert code == 1
    assert "a.png': its EXIF does not tell the focus distance" in err


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
