"""σ, circles of confusion and distances: round trips, known lenses, EXIF and errors."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from skdefocus import optics
from skdefocus.synthesis import psf

LENS = {"focal_length": 50.0, "f_number": 2.0, "focus_distance": 2.0, "pixel_pitch": 4.0}
lenses = st.fixed_dictionaries(
    {
        "focal_length": st.floats(4, 600),
        "f_number": st.floats(0.9, 32),
        "focus_distance": st.one_of(st.floats(0.7, 200), st.just(math.inf)),
        "pixel_pitch": st.floats(0.8, 12),
    }
)


@given(st.floats(0, 1e6))
def test_sigma_to_coc_and_back(sigma):
    assert optics.coc_to_sigma(optics.sigma_to_coc(sigma)) == pytest.approx(sigma)


def test_a_disc_has_a_quarter_of_its_diameter_as_sigma():
    grid = np.linspace(-1, 1, 2001)
    inside = grid[:, None] ** 2 + grid**2 <= 1
    second_moment = (grid**2 * inside).sum() / inside.sum()
    assert optics.coc_to_sigma(2.0) == pytest.approx(math.sqrt(second_moment), rel=1e-3)


def test_the_disc_of_the_synthesis_is_as_wide_as_optics_says():
    sigma = 6.0
    kernel = psf(sigma, "disc")
    across = np.count_nonzero(kernel[len(kernel) // 2] > kernel.max() / 2)
    assert across == pytest.approx(optics.sigma_to_coc(sigma), abs=1.5)


@given(lenses, st.floats(0.3, 500))
def test_a_distance_is_one_of_the_two_that_its_blur_may_come_from(lens, distance):
    coc = optics.coc_at_distance(distance, **lens)
    front, behind = optics.distances_for_coc(coc, **lens)
    assert front <= lens["focus_distance"] * (1 + 1e-9)
    assert behind >= lens["focus_distance"] * (1 - 1e-9)
    expected = front if distance < lens["focus_distance"] else behind
    # Precision is that of inverse distances, since a blur is a difference of them.
    assert 1 / expected == pytest.approx(1 / distance, rel=1e-6, abs=1e-9)


@given(lenses, st.one_of(st.just(0.0), st.floats(1e-9, 200)))
def test_both_distances_have_the_given_blur(lens, coc):
    front, behind = optics.distances_for_coc(coc, **lens)
    assert optics.coc_at_distance(front, **lens) == pytest.approx(coc, rel=1e-6, abs=1e-6)
    found = optics.coc_at_distance(behind, **lens)
    if math.isinf(behind):
        assert found <= coc * (1 + 1e-9) + 1e-9
    else:
        assert found == pytest.approx(coc, rel=1e-6, abs=1e-6)


@given(lenses, st.floats(0.1, 20))
def test_focused_at_the_hyperfocal_distance_all_from_half_of_it_is_sharp(lens, max_coc):
    rest = {k: v for k, v in lens.items() if k != "focus_distance"}
    distance = optics.hyperfocal_distance(max_coc, **rest)
    near, far = optics.depth_of_field(max_coc, focus_distance=distance, **rest)
    assert near == pytest.approx(distance / 2)
    assert far > 1e6 * distance
    assert optics.coc_at_distance(math.inf, focus_distance=distance, **rest) == pytest.approx(
        max_coc
    )


def test_a_lens_by_the_textbook():
    # Image distances 1/(1/f − 1/s), similar triangles behind an aperture of f/N.
    f, aperture = 50.0, 25.0
    image_at = [1 / (1 / f - 1 / d) for d in (2000.0, 5000.0)]
    coc = aperture * abs(image_at[1] - image_at[0]) / image_at[1] / 4e-3
    assert optics.coc_at_distance(5.0, **LENS) == pytest.approx(coc)


@given(st.floats(1.1, 4))
def test_a_wider_aperture_multiplies_the_blur(ratio):
    wide = optics.coc_at_distance(5.0, **{**LENS, "f_number": LENS["f_number"] / ratio})
    assert wide == pytest.approx(ratio * optics.coc_at_distance(5.0, **LENS))


def test_maps_keep_their_shape_and_are_not_written_to():
    sigma = np.linspace(0, 8, 12, dtype=np.float32).reshape(3, 4)
    sigma.setflags(write=False)
    front, behind = optics.distances_for_coc(optics.sigma_to_coc(sigma), **LENS)
    assert front.shape == behind.shape == (3, 4)
    assert_allclose([front[0, 0], behind[0, 0]], 2)
    assert (np.diff(front.ravel()) < 0).all()
    assert (np.diff(behind.ravel()) > 0).all()


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"focal_length": 0}, ValueError, "focal_length"),
        ({"focal_length": "50"}, TypeError, "focal_length"),
        ({"f_number": -2}, ValueError, "f_number"),
        ({"pixel_pitch": math.nan}, ValueError, "pixel_pitch"),
        ({"focus_distance": 0.05}, ValueError, "focal length"),
        ({"focus_distance": None}, TypeError, "focus_distance"),
        ({"focus_distance": math.nan}, ValueError, "focus_distance"),
    ],
)
def test_wrong_lenses(change, error, text):
    for call in (optics.coc_at_distance, optics.distances_for_coc, optics.depth_of_field):
        with pytest.raises(error, match=text):
            call(1.0, **{**LENS, **change})


def test_wrong_values():
    for function, name in [
        (optics.sigma_to_coc, "sigma"),
        (optics.coc_to_sigma, "coc"),
        (lambda x: optics.distances_for_coc(x, **LENS), "coc"),
        (lambda x: optics.coc_at_distance(x, **LENS), "distance"),
    ]:
        with pytest.raises(ValueError, match=f"{name} must be .* got -1"):
            function([1.0, -1.0])
        with pytest.raises(ValueError, match=f"{name} must be .* got nan"):
            function([1.0, math.nan])
    with pytest.raises(ValueError, match="max_coc"):
        optics.depth_of_field(0, **LENS)


def write_photo(path, tags):
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif).update(tags)
    Image.new("L", (8, 8)).save(path, exif=exif)
    return path


def test_exif(tmp_path):
    said = ExifTags.Base
    tags = {
        said.FocalLength: IFDRational(50),
        said.FNumber: IFDRational(28, 10),
        said.SubjectDistance: IFDRational(5, 2),
        said.FocalPlaneXResolution: IFDRational(2500),
        said.FocalPlaneResolutionUnit: 3,
    }
    facts = optics.read_lens_facts(write_photo(tmp_path / "a.jpg", tags))
    assert facts == pytest.approx((50, 2.8, 2.5, 4))


@pytest.mark.parametrize(
    ("distance", "expected"), [((0xFFFFFFFF, 1), math.inf), ((0, 1), None), ((0, 0), None)]
)
def test_infinite_and_invalid_exif_distances(tmp_path, distance, expected):
    tags = {ExifTags.Base.SubjectDistance: IFDRational(*distance)}
    facts = optics.read_lens_facts(write_photo(tmp_path / "a.jpg", tags))
    assert facts.focus_distance == expected


def test_warning_filters_are_not_changed(tmp_path, monkeypatch):
    """Filters belong to the process: a thread could restore those that another one has set."""
    seen, opens = [], Image.open

    def spy(*args, **options):
        seen.append(list(warnings.filters))
        return opens(*args, **options)

    path = write_photo(tmp_path / "a.jpg", {})
    monkeypatch.setattr(Image, "open", spy)
    optics.read_lens_facts(path)
    assert seen
    assert all(filters == list(warnings.filters) for filters in seen)


def test_files_without_facts(tmp_path):
    assert optics.read_lens_facts(write_photo(tmp_path / "a.jpg", {})) == (None,) * 4
    (tmp_path / "text.jpg").write_text("no picture")
    for name in ("text.jpg", "none.jpg"):
        with pytest.raises(OSError, match=name):
            optics.read_lens_facts(tmp_path / name)


@pytest.mark.parametrize(
    "data",
    [
        b"P5 12x 17 255\n",  # invalid numbers
        b"P5 " + b"1" * 30 + b" 17 255\n",
        b"P5 99999 99999 255\n",  # more pixels than Pillow opens
        b"II*\0\xff\xff\xff\xff",  # a directory beyond the end of the file
        b"\0\0\0\x18ftypavif\0\0\0\0avifmif1",  # no picture inside
    ],
)
def test_damaged_files_raise_an_error_with_their_name(tmp_path, data):
    path = tmp_path / "damaged.jpg"
    path.write_bytes(data)
    with pytest.raises(OSError, match=r"damaged.jpg") as caught:
        optics.read_lens_facts(path)
    assert "\n" not in str(caught.value)


def test_a_damaged_exif_block_gives_no_facts(tmp_path):
    """Pillow raises SyntaxError here."""
    path = tmp_path / "a.png"
    Image.new("L", (8, 8)).save(path, exif=b"Exif\0\0\xff\xff\xff\xff\0\0\0\x08")
    assert optics.read_lens_facts(path) == (None,) * 4
