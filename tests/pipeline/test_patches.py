"""PatchExtractor and the grids it makes: geometry, borders, types, memory, errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from skimage import data

from skdefocus import PatchExtractor, PatchGrid

RNG = np.random.default_rng(0)
RGB8 = data.astronaut()[80:150, 180:275]
GRAY8 = data.camera()[100:161, 150:227]


def one(image, **parameters):
    (grid,) = PatchExtractor(**parameters).fit_transform([image])
    return grid


@st.composite
def geometries(draw, largest=45):
    size = draw(st.integers(1, 40))
    return (
        draw(st.integers(1, largest)),
        draw(st.integers(1, largest)),
        size,
        draw(st.integers(1, size)),
    )


def numbered(height, width):
    """An image of which every pixel has a value of its own."""
    values = (np.arange(height * width) + 0.5) / (height * width)
    return values.reshape(height, width).astype(np.float32)


def mirror(index, length):
    """Index into an axis that goes on symmetrically on both sides for ever."""
    index = np.mod(index, 2 * length)
    return np.where(index < length, index, 2 * length - 1 - index)


@given(geometries())
def test_patch_is_centred_on_its_cell_with_symmetric_borders(geometry):
    height, width, size, step = geometry
    image = numbered(height, width)
    grid = one(image, patch_size=size, step=step)
    rows, columns = -(-height // step), -(-width // step)
    assert grid.shape == (rows, columns)
    assert grid.patches.shape == (rows, columns, size, size)

    def begin(cell):
        # The cell's middle is (cell + 1/2) step; half a pixel is lost where it is between two.
        first = (cell + 0.5) * step - size / 2
        return int(np.ceil(first))

    for i in {0, rows // 2, rows - 1}:
        for j in {0, columns // 2, columns - 1}:
            y = mirror(begin(i) + np.arange(size), height)
            x = mirror(begin(j) + np.arange(size), width)
            assert_array_equal(grid.patches[i, j], image[np.ix_(y, x)])


@given(geometries())
def test_every_pixel_is_in_the_patch_of_its_cell(geometry):
    height, width, size, step = geometry
    image = numbered(height, width)
    patches = one(image, patch_size=size, step=step).patches
    assert_array_equal(np.unique(patches), image.ravel())
    y, x = height - 1, width // 2
    assert image[y, x] in patches[y // step, x // step]


@given(geometries())
def test_padding_is_no_longer_than_the_last_patch_needs(geometry):
    height, width, size, step = geometry
    grid = one(numbered(height, width), patch_size=size, step=step)
    rows, columns = grid.shape
    assert grid.padded.shape == ((rows - 1) * step + size, (columns - 1) * step + size)


def test_patches_are_read_only_views():
    grid = one(GRAY8, step=4)
    patches = grid.patches
    assert np.shares_memory(patches, grid.padded)
    assert patches.dtype == np.float32
    assert not patches.flags.writeable
    assert patches.nbytes > 30 * grid.padded.nbytes
    with pytest.raises(ValueError, match="read-only"):
        patches[0, 0] = 0


def test_neighbouring_patches_overlap_by_a_step():
    patches = one(GRAY8, step=8).patches
    assert_array_equal(patches[0, 0, 8:, :], patches[1, 0, :-8, :])
    assert_array_equal(patches[2, 1, :, 8:], patches[2, 2, :, :-8])


def test_default_patch_in_the_middle_is_the_image_itself():
    image = GRAY8 / np.float32(255)
    # Cell (5, 7) begins at (20, 28) and is 4 wide: its 32 pixels begin 14 earlier.
    assert_allclose(one(GRAY8).patches[5, 7], image[6:38, 14:46], atol=1e-7)


@pytest.mark.parametrize("size", [(1, 1), (20, 20), (1, 50), (33, 2)])
def test_images_smaller_than_a_patch(size):
    image = RNG.random(size, np.float32)
    grid = one(image)
    assert grid.shape == (-(-size[0] // 4), -(-size[1] // 4))
    assert_array_equal(np.unique(grid.patches), np.unique(image))


# Types


@pytest.mark.parametrize("image", [GRAY8, RGB8], ids=["gray", "rgb"])
def test_all_types_of_one_image_give_the_same_patches(image):
    real = image / 255
    expected = one(real).patches
    for same in (
        image,
        image.astype(np.uint16) * 257,
        real.astype(np.float32),
        real.astype(np.float16).astype(np.longdouble),
        real.tolist(),
    ):
        atol = 3e-4 if np.asarray(same).dtype == np.longdouble else 1e-6
        assert_allclose(one(same).patches, expected, rtol=0, atol=atol)


def test_bool_is_black_and_white():
    assert_array_equal(one(GRAY8 > 99).patches, one((GRAY8 > 99) * 1.0).patches)


def test_color_is_turned_to_luma_and_alpha_ignored():
    alpha = RNG.integers(0, 256, (*RGB8.shape[:2], 1), np.uint8)
    rgba = np.concatenate([RGB8, alpha], -1)
    grid = one(RGB8)
    assert grid.image.shape == RGB8.shape
    assert_array_equal(one(rgba).patches, grid.patches)
    assert_array_equal(one(rgba).image, grid.image)
    assert_allclose(one(RGB8 @ [0.299, 0.587, 0.114] / 255).patches, grid.patches, atol=1e-6)
    three = np.stack([GRAY8] * 3, -1)
    for gray in (three, GRAY8[..., None]):
        assert_allclose(one(gray).patches, one(GRAY8).patches, rtol=0, atol=1e-6)


def test_arrays_and_lists_differ_in_nothing_but_what_is_remembered():
    batch = np.stack([GRAY8, GRAY8[::-1]])
    from_array = PatchExtractor().fit_transform(batch)
    from_list = PatchExtractor().fit_transform(list(batch))
    from_objects = np.empty(2, object)
    from_objects[:] = list(batch)
    assert [g.stacked for g in from_array] == [True, True]
    for others in (from_list, PatchExtractor().transform(from_objects)):
        assert [g.stacked for g in others] == [False, False]
        for a, b in zip(from_array, others, strict=True):
            assert_array_equal(a.patches, b.patches)


def test_samples_of_different_sizes_stay_in_order():
    grids = PatchExtractor().transform((GRAY8, RGB8, np.zeros((5, 4))))
    assert [g.image.shape for g in grids] == [GRAY8.shape, RGB8.shape, (5, 4)]
    assert all(isinstance(g, PatchGrid) for g in grids)


# Memory


def test_layout_in_memory_changes_nothing_and_nothing_is_written():
    expected = one(RGB8).patches
    big = np.zeros((2 * RGB8.shape[0], *RGB8.shape[1:]), np.uint8)
    big[::2] = RGB8
    read_only = RGB8.copy()
    read_only.flags.writeable = False
    for same in (np.asfortranarray(RGB8), RGB8[::-1, ::-1].copy()[::-1, ::-1], big[::2], read_only):
        before = same.copy()
        assert_array_equal(one(same).patches, expected)
        assert_array_equal(same, before)


def test_float_input_is_neither_written_to_nor_aliased_by_the_patches():
    image = RNG.random((40, 50), np.float32)
    before = image.copy()
    grid = one(image)
    assert not np.shares_memory(grid.padded, image)
    assert_array_equal(image, before)
    patches = grid.patches
    image[:] = 0
    assert patches.max() > 0.9


# Errors


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ([], ValueError, "X is empty; at least one image"),
        (np.zeros((0, 8, 8)), ValueError, "X is empty"),
        ([GRAY8, np.zeros((0, 0))], ValueError, r"X\[1\] must hold at least one pixel"),
        ([np.zeros((0, 9, 3))], ValueError, r"X\[0\] must hold at least one pixel"),
        ([GRAY8, GRAY8, np.full((8, 8), np.nan)], ValueError, r"X\[2\] must be finite"),
        ([np.full((8, 8), np.inf)], ValueError, r"X\[0\] must be finite"),
        ([GRAY8.astype(float)], ValueError, r"X\[0\] must be within \[0, 1\] .* image / 255"),
        ([GRAY8 / -255], ValueError, r"X\[0\] must be within"),
        ([GRAY8.astype(int)], TypeError, r"X\[0\] must be bool, uint8, .* got dtype int64"),
        ([GRAY8 * 1j], TypeError, "got dtype complex128"),
        ([GRAY8.astype(str)], TypeError, r"X\[0\] must be bool"),
        ([np.zeros((8, 8, 5))], ValueError, r"X\[0\] must have shape .* got \(8, 8, 5\)"),
        ([np.zeros((8, 8, 2))], ValueError, "1, 3 or 4 channels"),
        ([np.zeros(8)], ValueError, r"X\[0\] must have shape"),
        ([np.zeros((2, 8, 8, 3))], ValueError, r"X\[0\] must have shape"),
        (GRAY8, ValueError, r"X must be a batch .* got one image of shape .* pass \[image\]"),
        (RGB8, ValueError, "X must be a batch"),
        (np.zeros((1, 2, 8, 8, 3)), ValueError, "X must have shape"),
        ("photo.jpg", TypeError, "X must be an array, got the name of a file"),
        (None, TypeError, "X must be an array .* got NoneType"),
        (iter([GRAY8]), TypeError, "X must be an array"),
        ({"a": GRAY8}, TypeError, "X must be an array .* got dict"),
    ],
)
def test_what_is_no_batch_of_images_is_refused_by_name(X, error, message):
    with pytest.raises(error, match=message):
        PatchExtractor().transform(X)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"step": 33}, ValueError, "step must be from 1 to 32, got 33"),
        ({"patch_size": 8, "step": 9}, ValueError, "step must be from 1 to 8, got 9"),
        ({"step": 0}, ValueError, "step must be >= 1, got 0"),
        ({"step": 4.0}, TypeError, "step must be an integer, got 4.0"),
        ({"step": True}, TypeError, "step must be an integer"),
        ({"step": None}, TypeError, "step must be an integer"),
        ({"patch_size": 0}, ValueError, "patch_size must be >= 1, got 0"),
        ({"patch_size": "32"}, TypeError, "patch_size must be an integer"),
    ],
)
def test_wrong_parameters_are_named_by_fit_and_by_transform(parameters, error, message):
    model = PatchExtractor(**parameters)
    for method in (model.fit, model.transform):
        with pytest.raises(error, match=message):
            method([GRAY8])


def test_numpy_integers_are_integers():
    grid = one(GRAY8, patch_size=np.int32(16), step=np.uint8(4))
    assert_array_equal(grid.patches, one(GRAY8, patch_size=16, step=4).patches)


def test_a_record_can_be_made_without_the_estimator():
    image = GRAY8 / np.float32(255)
    grid = PatchGrid(image, 32, 4)
    assert grid.padded is grid.padded
    assert_array_equal(grid.patches, one(image).patches)
