"""Outputs that are named, maps and masks of one's own, distances: what one does by hand."""

import numpy as np
import pytest
import tifffile
from helpers.cli_cases import PHOTO, names, photo, run
from PIL import ExifTags, Image

import skdefocus as sd
from skdefocus.datasets import sample_photographs
from skdefocus.io import read_image, read_map, write_map, write_scaled_png
from skdefocus.optics import distances_for_coc

SHARP = np.rint(sample_photographs(96)[1] * 255).astype(np.uint8)
#: Blurred on the right, as a map that somebody has drawn says.
SIGMA = np.where(np.arange(96) < 48, 0, 3).astype(np.float32) * np.ones((96, 1), np.float32)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photo(tmp_path, "a.png", SHARP)


# --- a file or a folder -------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["magnify", "sharpen", "fuse"])
def test_out_names_a_file(tmp_path, capsys, command):
    photos = ["a.png", "a.png"] if command == "fuse" else ["a.png"]
    code, out, err = run(command, *photos, "-o", "x.jpg", capsys=capsys)
    assert (code, err) == (0, "")
    assert "'x.jpg'" in out
    with Image.open("x.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (96, 96))
    assert names(tmp_path) == ["a.png", "x.jpg"]


@pytest.mark.parametrize("out", ["o", "o.v2", "o.jpg/", "there.jpg"])
@pytest.mark.parametrize("command", ["magnify", "fuse", "map"])
def test_out_names_a_folder(tmp_path, capsys, command, out):
    (tmp_path / "there.jpg").mkdir()
    photos = ["a.png", "a.png"] if command == "fuse" else ["a.png"]
    options = ["--no-picture"] if command == "map" else []
    assert run(command, *photos, "-o", out, *options, capsys=capsys)[0] == 0
    made = {
        "magnify": ["a_magnified.png"], "fuse": ["a_fused.png"],
        "map": ["a_sigma.png", "a_sigma.tif"],
    }  # fmt: skip
    assert names(tmp_path / out) == made[command]


@pytest.mark.parametrize("name", ["m.tif", "m.tiff", "m.npy", "m.png"])
def test_a_map_in_a_file(tmp_path, capsys, name):
    assert run("map", "a.png", "-o", name, capsys=capsys)[0] == 0
    np.testing.assert_allclose(read_map(name), sd.defocus_map(SHARP), atol=1e-3)
    assert names(tmp_path) == ["a.png", name]
    code, _, err = run("map", "a.png", "-o", name, capsys=capsys)
    assert (code, "--skip-existing keeps it, and --overwrite replaces it" in err) == (2, True)
    assert run("map", "a.png", "-o", name, "--skip-existing", capsys=capsys)[0] == 0


def test_a_rerun_names_both_ways_to_go_on(capsys):
    arguments = ["sharpen", "a.png", "-o", "o"]
    assert run(*arguments, capsys=capsys)[0] == 0
    code, _, err = run(*arguments, capsys=capsys)
    assert code == 1
    assert err == (
        "skdefocus: 'a.png': 'o/a_sharpened.png' exists; "
        "--skip-existing keeps it, and --overwrite replaces it\n"
    )


def test_the_demo_writes_to_a_folder_alone(tmp_path, capsys):
    code, _, err = run("demo", "-o", "x.png", capsys=capsys)
    assert (code, err) == (2, "skdefocus: 'x.png' must be a folder's name\n")
    assert names(tmp_path) == ["a.png"]


def test_effects_are_resumed(tmp_path, capsys):
    photo(tmp_path, "b.png")
    assert run("sharpen", "a.png", "-o", "o", capsys=capsys)[0] == 0
    (tmp_path / "o" / "a_sharpened.png").write_bytes(b"mine")
    # Workers may be those of another test, with its working directory: hence full paths.
    names = [str(tmp_path / name) for name in ("a.png", "b.png", "o")]
    arguments = ["sharpen", *names[:2], "-o", names[2], "--skip-existing", "--jobs", 2]
    code, out, err = run(*arguments, capsys=capsys)
    assert (code, err) == (0, "")
    assert f"1 written to {names[2]!r}; 1 existed already" in out
    assert (tmp_path / "o" / "a_sharpened.png").read_bytes() == b"mine"
    assert read_image("o/b_sharpened.png").shape == PHOTO.shape
    assert run("fuse", "a.png", "a.png", "-o", "f.png", capsys=capsys)[0] == 0
    before = (tmp_path / "f.png").read_bytes()
    arguments = ["fuse", "a.png", "a.png", "-o", "f.png"]
    assert "already" in run(*arguments, "--skip-existing", capsys=capsys)[1]
    assert run(*arguments, capsys=capsys)[0] == 2
    assert (tmp_path / "f.png").read_bytes() == before


# --- what is lost is told before the work -------------------------------------------------------


@pytest.mark.parametrize("command", ["magnify", "fuse"])
def test_what_a_format_cannot_hold_is_told_in_one_line(tmp_path, capsys, command):
    deep = SHARP.astype(np.uint16) * 257
    tifffile.imwrite("d.tif", np.dstack([deep] * 4), photometric="rgb", extrasamples=[2])
    photos = ["d.tif", "d.tif"] if command == "fuse" else ["d.tif"]
    code, _, err = run(command, *photos, "-o", "x.jpg", capsys=capsys)
    assert code == 0
    assert err == (
        "skdefocus: 'd.tif': left out in JPEG: more than 8 bits of the 16 per channel; alpha\n"
    )


@pytest.mark.parametrize("command", ["magnify", "sharpen", "fuse"])
@pytest.mark.parametrize("out", ["x.png", "x.tif"])
def test_sixteen_bits_of_color_in_png_and_tiff(tmp_path, capsys, command, out):
    deep = np.dstack([SHARP.astype(np.uint16) * 257 + 3] * 3)
    tifffile.imwrite("d.tif", deep, photometric="rgb")
    photos = ["d.tif", "d.tif"] if command == "fuse" else ["d.tif"]
    assert run(command, *photos, "-o", out, capsys=capsys)[::2] == (0, "")
    found = read_image(out)
    assert (found.dtype, found.shape) == (np.uint16, deep.shape)
    assert (found % 257 != 0).mean() > 0.5  # and not 8 bits in 16
    assert run("sharpen", out, "-o", "again", capsys=capsys)[::2] == (0, "")


# --- maps and masks -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["m.tif", "m.npy", "m.png"])
@pytest.mark.parametrize("command", ["magnify", "sharpen"])
def test_a_map_of_ones_own(capsys, command, name):
    (write_scaled_png if name.endswith("png") else write_map)(name, SIGMA)
    assert run(command, "a.png", "-o", "x.png", "--map", name, capsys=capsys)[::2] == (0, "")
    effect = {"magnify": sd.effects.magnify, "sharpen": sd.effects.sharpen}[command]
    np.testing.assert_allclose(read_image("x.png") / 255, effect(SHARP / 255, SIGMA), atol=0.003)


def test_a_folder_of_maps(tmp_path, capsys):
    photo(tmp_path, "b.png", SHARP[::-1].copy())
    assert run("map", "a.png", "b.png", "-o", "m", "--no-picture", capsys=capsys)[0] == 0
    arguments = ["magnify", "a.png", "b.png", "-o"]
    assert run(*arguments, "given", "--map", "m", capsys=capsys)[0] == 0
    assert run(*arguments, "made", capsys=capsys)[0] == 0
    for name in ("a_magnified.png", "b_magnified.png"):
        given, made = (read_image(f"{folder}/{name}").astype(int) for folder in ("given", "made"))
        assert np.abs(given - made).max() <= 1
    (tmp_path / "m" / "b_sigma.tif").unlink()
    (tmp_path / "m" / "b_sigma.png").unlink()
    code, out, err = run(*arguments, "third", "--map", "m", capsys=capsys)
    assert code == 1
    assert "'b.png': its map is not in 'm', where it may be called b_sigma.tif" in err
    assert "1 written" in out


@pytest.mark.parametrize("command", ["magnify", "sharpen"])
def test_where_a_mask_is_black_the_photograph_stays(capsys, command):
    soft = np.rint(np.asarray(sd.synthesis.blur(SHARP / 255, 1.0)) * 255).astype(np.uint8)
    Image.fromarray(soft).save("s.png")
    mask = np.zeros((96, 96), np.uint8)
    mask[:, 60:] = 255
    Image.fromarray(mask).save("mask.png")
    write_map("m.tif", np.full((96, 96), 3.0 if command == "magnify" else 1.0))
    arguments = [command, "s.png", "--map", "m.tif", "-o"]
    assert run(*arguments, "x.png", "--mask", "mask.png", capsys=capsys)[::2] == (0, "")
    found = read_image("x.png")
    np.testing.assert_array_equal(found[mask == 0], soft[mask == 0])
    assert np.abs(found[:, 70:].astype(int) - soft[:, 70:]).max() > 5


@pytest.mark.parametrize(
    ("option", "content", "word"),
    [
        ("--map", np.zeros((9, 8), np.float32), "the map 'x.tif' has 8 x 9 pixels"),
        ("--map", np.full((96, 96), np.nan, np.float32), "'x.tif': a map must hold no negative"),
        ("--map", -SIGMA, "'x.tif': a map must hold no negative"),
        ("--map", np.zeros((96, 96), np.uint16), "'x.tif': a map has one float per pixel"),
        ("--mask", np.zeros((9, 8), np.uint8), "the mask 'x.tif' has 8 x 9 pixels"),
        ("--mask", np.zeros((96, 96), np.int32), "'x.tif'"),
    ],
)
def test_maps_and_masks_that_do_not_fit(capsys, option, content, word):
    tifffile.imwrite("x.tif", content)
    code, _, err = run("magnify", "a.png", "-o", "y.png", option, "x.tif", capsys=capsys)
    assert code == 1
    assert len(err.splitlines()) == 1
    assert "'a.png'" in err
    assert word in err


def test_blades_and_a_network(capsys):
    write_map("m.tif", np.full((96, 96), 3.0))
    arguments = ["magnify", "a.png", "--map", "m.tif", "-o"]
    assert run(*arguments, "five.png", "--blades", 5, capsys=capsys)[0] == 0
    assert run(*arguments, "disc.png", capsys=capsys)[0] == 0
    expected = sd.effects.magnify(SHARP / 255, np.full((96, 96), 3.0), aperture="polygon", blades=5)
    np.testing.assert_allclose(read_image("five.png") / 255, expected, atol=0.003)
    assert (read_image("five.png") != read_image("disc.png")).any()
    code, _, err = run("magnify", "a.png", "-o", "x.png", "--model", "none.onnx", capsys=capsys)
    assert (code, "none.onnx" in err) == (2, True)


# --- the pictures of a map ----------------------------------------------------------------------


def test_the_picture_of_a_map_is_not_black(tmp_path, capsys):
    soft = np.rint(np.asarray(sd.synthesis.blur(SHARP / 255, 4.0)) * 255).astype(np.uint8)
    Image.fromarray(soft).save("s.png")
    assert run("map", "s.png", "-o", "m", "--no-picture", capsys=capsys)[0] == 0
    with Image.open("m/s_sigma.png") as image:
        scale = float(image.text["sigma_scale"])
        values = np.asarray(image)
    assert values.max() > 0.9 * 65535
    sigma = tifffile.imread("m/s_sigma.tif")
    np.testing.assert_allclose(values / scale, sigma, atol=0.51 / scale + 1e-6)
    assert run("map", "s.png", "-o", "f", "--no-picture", "--scale", 1000, capsys=capsys)[0] == 0
    with Image.open("f/s_sigma.png") as image:
        assert image.text["sigma_scale"] == "1000"


def test_a_colored_map_and_confidence(capsys):
    pytest.importorskip("matplotlib")
    options = ["--no-picture", "--color", "--confidence", "--step", 16]
    assert run("map", "a.png", "-o", "m", *options, capsys=capsys)[0] == 0
    with Image.open("m/a_sigma.png") as image:
        assert image.mode == "RGB"
        assert float(image.text["sigma_max"]) >= 1
    levels = sd.make_defocus_pipeline(step=16)[:-1].transform([SHARP])[0]
    confidence = tifffile.imread("m/a_confidence.tif")
    assert (confidence.dtype, confidence.shape) == (np.float32, (96, 96))
    np.testing.assert_allclose(confidence[8::16, 8::16], levels.confidence, atol=1e-5)


# --- distances ----------------------------------------------------------------------------------

LENS = {"focal_length": 50.0, "f_number": 2.0, "focus_distance": 2.0, "pixel_pitch": 4.0}


def with_exif(name, *, distance=True):
    exif = Image.Exif()
    sub = exif.get_ifd(ExifTags.IFD.Exif)
    sub[ExifTags.Base.FocalLength], sub[ExifTags.Base.FNumber] = 50.0, 2.0
    sub[ExifTags.Base.FocalPlaneXResolution] = 2500.0
    sub[ExifTags.Base.FocalPlaneResolutionUnit] = 3
    if distance:
        sub[ExifTags.Base.SubjectDistance] = 2.0
    Image.fromarray(SHARP).save(name, exif=exif)
    write_map("m.tif", SIGMA)


def test_depth(tmp_path, capsys):
    with_exif("p.jpg")
    code, out, err = run("depth", "p.jpg", "-o", "d", "--map", "m.tif", capsys=capsys)
    assert (code, err) == (0, "")
    assert "1 measured to 'd'" in out
    expected = distances_for_coc(4 * SIGMA, **LENS)
    for side in ("front", "behind"):
        found = tifffile.imread(f"d/p_{side}.tif")
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, getattr(expected, side), rtol=1e-5)
    assert (tifffile.imread("d/p_front.tif")[:, :48] == 2).all()


def test_depth_of_one_side_with_facts_that_are_given(capsys):
    options = ["--map", "m.tif", "--side", "behind", "--focus-distance", 3]
    with_exif("p.jpg", distance=False)
    assert run("depth", "p.jpg", "-o", "d.npy", *options, capsys=capsys)[0] == 0
    expected = distances_for_coc(4 * SIGMA, **LENS | {"focus_distance": 3}).behind
    np.testing.assert_allclose(np.load("d.npy"), expected, rtol=1e-5)


def test_facts_that_are_missing_are_named(capsys):
    with_exif("p.jpg", distance=False)
    code, _, err = run("depth", "p.jpg", "a.png", "-o", "d", capsys=capsys)
    assert code == 1
    first, second = err.splitlines()
    assert first.endswith("'p.jpg': its EXIF lacks focus_distance; give --focus-distance M")
    assert "'a.png'" in second
    assert "--focal-length MM --f-number N --pixel-pitch UM" in second


# --- messages -----------------------------------------------------------------------------------


def test_frames_that_do_not_belong_together_are_named(tmp_path, capsys):
    photo(tmp_path, "b.png", SHARP[:50])
    code, _, err = run("fuse", "a.png", "b.png", "-o", "f.png", capsys=capsys)
    assert code == 1
    assert "'b.png' is 96 x 50 pixels" in err
    assert "'a.png' 96 x 96" in err
    assert "X[" not in err


def test_octaves_decide_how_large_a_blur_can_be(tmp_path, capsys):
    blurred = sd.synthesis.blur(sample_photographs(400)[2], 20.0)
    photo(tmp_path, "soft.png", np.rint(blurred * 255).astype(np.uint8))
    largest = []
    for octaves in (0, 2):
        arguments = ["map", "soft.png", "-o", f"{octaves}.npy", "--octaves", octaves]
        assert run(*arguments, capsys=capsys)[0] == 0
        largest.append(np.load(f"{octaves}.npy").max())
    assert largest[0] <= 8.01 < 12 < largest[1]
    assert run("map", "a.png", "-o", "x.npy", "--octaves", 7, capsys=capsys)[0] == 2
