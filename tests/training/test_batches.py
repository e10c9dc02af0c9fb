"""Batches: crops stay with their levels through cuts and turns, and the thread tells what fails."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

torch = pytest.importorskip("torch")

from skdefocus.training import batches  # noqa: E402
from skdefocus.training.batches import Feeder, Pool, Shape, tensors, turned  # noqa: E402
from skdefocus.training.dataset import SHARD, record_type, shard_path  # noqa: E402
from skdefocus.training.scenes import CELL, TENTHS  # noqa: E402

SIZE = 32


def coded(number):
    """A shard whose pixels are the levels of their cells, so that they can be told to fit."""
    shard = np.empty(SHARD, record_type(SIZE))
    rng = np.random.default_rng(number)
    shard["level"] = rng.integers(0, 191, shard["level"].shape)
    shard["crop"] = shard["level"].repeat(CELL, 1).repeat(CELL, 2)
    return shard


@pytest.fixture
def pool(tmp_path):
    for number in range(3):
        np.save(shard_path(tmp_path, number), coded(number))
    np.save(shard_path(tmp_path, 3), coded(3)[:0])
    made = Pool(tmp_path, 64)
    made.look()
    return made


def test_a_pool_keeps_the_latest_and_counts_all(pool, tmp_path):
    assert len(pool) == 64
    assert pool.seen == 96
    assert_array_equal(pool.shards[-1], coded(2))
    np.save(shard_path(tmp_path, 7), coded(7))
    pool.look()
    assert (len(pool), pool.seen) == (64, 128)
    assert_array_equal(pool.shards[-1], coded(7))
    assert_array_equal(pool.shards[0], coded(2))


@pytest.mark.parametrize("size", [SIZE, 16, 8])
def test_crops_are_cut_and_turned_together_with_their_levels(pool, size):
    crops, levels = pool.batch(Shape(50, size), np.random.default_rng(0))
    assert crops.shape == (50, size, size)
    assert levels.shape == (50, size // CELL, size // CELL)
    assert_array_equal(crops, levels.repeat(CELL, 1).repeat(CELL, 2))
    assert len({c.tobytes() for c in crops}) > 40


def test_crops_that_are_alone_get_mirrored_surroundings(pool):
    crops, levels = pool.batch(Shape(5, 16, alone=True), np.random.default_rng(0))
    assert crops.shape == (5, 48, 48)
    assert levels.shape == (5, 48 // CELL, 48 // CELL)
    inside, _ = pool.batch(Shape(5, 16), np.random.default_rng(0))
    assert_array_equal(crops[:, 16:32, 16:32], inside)
    assert_array_equal(crops[:, :16, 16:32], inside[:, ::-1])
    assert_array_equal(crops[:, 16:32, 32:], inside[:, :, ::-1])
    assert_array_equal(crops, levels.repeat(CELL, 1).repeat(CELL, 2))


def test_all_flips_and_turns_occur_and_are_the_eight_of_a_square():
    x = np.arange(9).reshape(3, 3)
    found = {turned(x, k).tobytes() for k in range(8)}
    rotations = [np.rot90(x, k) for k in range(4)]
    assert found == {r.tobytes() for r in rotations} | {r.T.tobytes() for r in rotations}


def test_tensors_are_gray_values_and_levels():
    crops = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16)
    levels = torch.tensor([[[0, 5], [100, 190]]], dtype=torch.uint8)
    x, y = tensors(crops, levels, torch.device("cpu"))
    assert x.shape == (1, 1, 16, 16)
    assert (x.min(), x.max()) == (0, 1)
    assert torch.allclose(y * TENTHS, levels.float())


def test_a_feeder_gives_the_batches_of_its_generator_in_order(pool):
    shapes = [Shape(2, 16), Shape(3, 8), Shape(1, 32), Shape(2, 16)]
    rng = np.random.default_rng(5)
    expected = [pool.batch(shape, rng) for shape in shapes]
    with Feeder(pool, lambda n: shapes[n % 4], np.random.default_rng(5), False) as feeder:
        for crops, levels in expected:
            found = feeder.next()
            assert_array_equal(found[0].numpy(), crops)
            assert_array_equal(found[1].numpy(), levels)
    assert not feeder.thread.is_alive()


def test_a_feeder_takes_up_new_shards(pool, tmp_path, monkeypatch):
    monkeypatch.setattr(batches, "LOOK", 0.0)
    np.save(shard_path(tmp_path, 9), coded(9))
    with Feeder(pool, lambda _: Shape(1, 8), np.random.default_rng(0), False) as feeder:
        for _ in range(batches.READY + 2):
            feeder.next()
    assert pool.seen == 128


def test_what_fails_in_the_thread_is_raised_where_batches_are_asked_for(pool):
    def shape_of(number):
        if number == 2:
            raise ValueError("no more")
        return Shape(1, 8)

    with Feeder(pool, shape_of, np.random.default_rng(0), False) as feeder:
        feeder.next()
        feeder.next()
        with pytest.raises(ValueError, match="no more"):
            feeder.next()
