"""The training set: the same bytes from the same seed, whoever makes them and how often."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skdefocus.training import dataset
from skdefocus.training.dataset import SHARD, Makers, Recipe, make_shard, record_type, split
from skdefocus.training.levels import N_LEVELS
from skdefocus.training.scenes import CELL, TENTHS, Conditions


@pytest.fixture(scope="module")
def recipe(folder):
    return Recipe(split(folder)[0], size=32, seed=7)


@pytest.fixture
def target(tmp_path, cache):
    """A folder for shards, where the photographs are segmented already."""
    for file in cache.glob("*.npz"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def test_photographs_are_split_by_their_names(folder):
    learn, held = split(folder)
    assert [p.name for p in learn] == ["camera.png", "china.png", "gravel.png", "smooth.png"]
    assert len(held) == 1


@pytest.mark.parametrize("keep", ["", "camera.png"])
def test_photographs_to_learn_from_and_to_hold_out_are_both_needed(folder, tmp_path, keep):
    if keep:
        (tmp_path / keep).write_bytes((folder / keep).read_bytes())
    with pytest.raises(SystemExit, match="photographs to learn from"):
        split(tmp_path)


@pytest.mark.parametrize("size", [32, 64])
def test_a_record_is_a_crop_and_the_levels_of_its_cells(recipe, cache, size):
    shard = make_shard(Recipe(recipe.images, size, 7), 0, cache)
    assert shard.dtype == record_type(size)
    assert shard.shape == (SHARD,)
    assert shard["crop"].shape[1:] == (size, size)
    assert shard["level"].shape[1:] == (size // CELL, size // CELL)
    assert shard["level"].max() <= (N_LEVELS - 1) * TENTHS
    assert len(np.unique(shard["level"])) > 20


def test_a_shard_depends_on_seed_and_number_alone(recipe, cache):
    first = make_shard(recipe, 1, cache)
    assert_array_equal(make_shard(recipe, 1, cache), first)
    assert (make_shard(recipe, 5, cache)["crop"] != first["crop"]).any()
    other = make_shard(Recipe(recipe.images, 32, 8), 1, cache)
    assert not len(other) or (other["crop"] != first["crop"]).any()


def test_every_photograph_has_its_turn_and_a_soft_one_gives_nothing(recipe, cache):
    """Of four shards, each of another photograph, one is empty."""
    lengths = sorted(len(make_shard(recipe, n, cache)) for n in range(4))
    assert lengths == [0, SHARD, SHARD, SHARD]


def test_any_processes_make_the_same_shards_and_what_is_there_stays(recipe, cache, target):
    dataset.prepare(recipe, target)
    there = dataset.shard_path(target, 1)
    np.save(there, np.empty(0))
    with Makers(recipe, target, 4, jobs=2) as makers:
        makers.wait()
        assert not makers.working
    assert np.load(there).shape == (0,)
    for number in (0, 2, 3):
        made = np.load(dataset.shard_path(target, number))
        assert_array_equal(made, make_shard(recipe, number, cache))
    assert not list(target.glob("*.part"))
    again = Makers(recipe, target, 4, jobs=2)
    assert again.workers == []  # nothing is left to do
    assert len(list(dataset.read_shards(target))) == 4


def test_a_shard_that_is_cut_off_does_not_count(recipe, target, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "save", fail)
    with pytest.raises(KeyboardInterrupt):
        dataset.write_shard(recipe, target, 0)
    assert not dataset.shard_path(target, 0).exists()


def test_a_failed_process_is_told(recipe, target):
    makers = Makers(recipe, target, 1, jobs=1)

    class Failed:
        exitcode = 1

    makers.workers = [Failed()]
    with pytest.raises(RuntimeError, match="has failed"):
        makers.check()


def test_a_folder_is_of_one_recipe(recipe, tmp_path):
    dataset.prepare(recipe, tmp_path)
    dataset.prepare(recipe, tmp_path)
    facts = json.loads((tmp_path / "recipe.json").read_text())
    assert facts["photographs"] == [p.name for p in recipe.images]
    assert facts["conditions"] == asdict(Conditions())
    with pytest.raises(SystemExit, match="another recipe"):
        dataset.prepare(Recipe(recipe.images, 32, 8), tmp_path)


def test_the_digest_tells_recipes_apart(recipe):
    digests = {
        r.digest
        for r in (
            recipe,
            Recipe(recipe.images, 64, 7),
            Recipe(recipe.images, 32, 8),
            Recipe(recipe.images[1:], 32, 7),
            Recipe(recipe.images, 32, 7, dataset.plain(Conditions())),
        )
    }
    assert len(digests) == 5
    assert Recipe(recipe.images, 32, 7).digest == recipe.digest


def test_plain_patches_have_one_blur_each(recipe, cache):
    shard = make_shard(Recipe(recipe.images, 32, 7, dataset.plain(Conditions())), 0, cache)
    level = shard["level"].reshape(SHARD, -1)
    assert_array_equal(level, level[:, :1] * np.ones_like(level))
    assert len(np.unique(level)) > 10


def test_windows_lie_within_the_photographs(recipe, cache):
    """Also those whose random place would reach over the border."""
    maker = dataset.SceneMaker(32, Conditions(), np.random.default_rng(0))
    own = dataset._views(recipe.images[0], maker.window, cache)
    pick = dataset.picker(own, [own], maker)
    for other in (False, True) * 40:
        image, regions = pick(other)
        assert image.shape == regions.shape == (maker.window, maker.window)
