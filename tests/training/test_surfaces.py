"""Shapes, walls, lights and hidden parts of scenes: ranges, and what each is meant to look like."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skdefocus.training import surfaces

seeds = st.integers(0, 2**32 - 1)


def rng_of(seed):
    return np.random.default_rng(seed)


@given(seeds, st.floats(0.01, 10), st.floats(1, 100))
def test_log_uniform_lies_in_its_range(seed, low, factor):
    found = surfaces.log_uniform(rng_of(seed), low, low * factor)
    assert low * (1 - 1e-9) <= found <= low * factor * (1 + 1e-9)


@given(seeds, st.integers(2, 50))
def test_a_ramp_is_a_plane_from_0_to_1(seed, n):
    plane = surfaces.ramp(n, rng_of(seed))
    assert (plane.min(), plane.max()) == (0, 1)
    for axis in (0, 1):
        steps = np.diff(plane, axis=axis)
        assert_allclose(steps, steps.mean(), atol=1e-5)


@given(seeds, st.integers(8, 60), st.sampled_from([*surfaces.DRAWN, "blob", "soft"]))
def test_silhouettes_are_coverages(seed, n, kind):
    draw = {"blob": surfaces.blob, "soft": surfaces.soft_blob}.get(
        kind, lambda n, rng: surfaces._drawn(n, kind, rng)
    )
    alpha = draw(n, rng_of(seed))
    assert alpha.shape == (n, n)
    assert alpha.dtype == np.float32
    assert alpha.min() >= 0
    assert alpha.max() <= 1


def test_a_silhouette_is_thin_in_its_share():
    """Twigs, wires and letters are drawn if `thin` is 1; nothing of them if it is 0."""
    kinds = []
    drawn = surfaces._drawn

    def remember(n, kind, rng):
        kinds.append(kind)
        return drawn(n, kind, rng)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(surfaces, "_drawn", remember)
        for seed in range(20):
            surfaces.silhouette(24, 1.0, rng_of(seed))
        assert set(kinds) == set(surfaces.THIN)
        kinds.clear()
        for seed in range(20):
            surfaces.silhouette(24, 0.0, rng_of(seed))
        assert set(kinds) <= set(surfaces.SOLID)


# Foregrounds along outlines


def segments(seed, n=20, count=6):
    """Cells of nearest points: segments with gaps in their numbers."""
    points = rng_of(seed).uniform(0, n, (count, 2))
    at = np.stack(np.mgrid[:n, :n], -1)
    nearest = np.linalg.norm(at[:, :, None] - points, axis=-1).argmin(-1)
    return (nearest * 7 + 3).astype(np.uint16)


def touch_naively(local, count):
    found = [set() for _ in range(count)]
    n, m = local.shape
    for i in range(n):
        for j in range(m):
            for k, q in ((i + 1, j), (i, j + 1)):
                if k < n and q < m and local[i, j] != local[k, q]:
                    found[local[i, j]].add(int(local[k, q]))
                    found[local[k, q]].add(int(local[i, j]))
    return found


@given(seeds)
def test_neighbors_are_those_that_touch(seed):
    local = segments(seed) // 7
    assert surfaces.neighbors_of(local.astype(int), 6) == touch_naively(local, 6)


@given(seeds, st.integers(2, 9))
def test_an_outline_group_is_some_whole_segments_that_hang_together(seed, count):
    regions = segments(seed, count=count)
    group = surfaces.outline_group(regions, rng_of(seed))
    if group is None:
        return
    assert group.dtype == np.float32
    assert set(np.unique(group)) <= {0, 1}
    assert 0 < group.mean() <= 0.9
    present = [int(r) for r in np.unique(regions)]
    members = {r for r in present if group[regions == r].all()}
    assert group.sum() == np.isin(regions, list(members)).sum()  # no part of a segment
    local = np.searchsorted(present, regions)
    touching = touch_naively(local, len(present))
    index = {present.index(r) for r in members}
    reached = {min(index)}
    while more := {n for k in reached for n in touching[k]} & index - reached:
        reached |= more
    assert reached == index


def test_there_is_no_group_of_one_segment():
    assert surfaces.outline_group(np.full((8, 8), 5, np.uint16), rng_of(0)) is None


def test_outline_groups_fill_a_tenth_to_more_than_half():
    shares = [
        g.mean()
        for seed in range(60)
        if (g := surfaces.outline_group(segments(seed, 32, 40), rng_of(seed))) is not None
    ]
    assert len(shares) > 50
    assert min(shares) >= 0.1
    assert max(shares) <= 0.9
    assert 0.25 < np.mean(shares) < 0.5


# Hidden parts, walls, lights


@given(seeds)
def test_what_is_known_stays_and_the_rest_lies_within_its_range(seed):
    rng = rng_of(seed)
    image = rng.random((16, 16)).astype(np.float32)
    known = (rng.random((16, 16)) < rng.uniform(0.1, 0.9)).astype(np.float32)
    filled = surfaces.fill_hidden(image, known)
    assert_array_equal(filled[known == 1], image[known == 1])
    seen = np.append(image[known == 1], image.mean())
    assert filled.min() >= seen.min() - 1e-5
    assert filled.max() <= seen.max() + 1e-5


def test_a_hole_takes_the_tone_around_it():
    image = np.full((32, 32), 0.25, np.float32)
    known = np.ones_like(image)
    image[12:20, 12:20], known[12:20, 12:20] = 0.9, 0
    assert_allclose(surfaces.fill_hidden(image, known), 0.25, atol=0.05)


@given(seeds)
def test_a_wall_has_hardly_any_structure(seed):
    rng = rng_of(seed)
    image = rng.random((40, 40)).astype(np.float32)
    wall = surfaces.wall(image, rng)
    assert wall.dtype == np.float32
    assert wall.min() >= 0
    assert wall.max() <= 1
    assert np.abs(np.diff(wall, n=2, axis=0)).max() < 0.15  # of 2 or so in the photograph


@given(seeds)
def test_highlights_grow_and_the_rest_stays(seed):
    light = rng_of(seed).random((10, 10)).astype(np.float32)
    more = surfaces.expand_highlights(light, rng_of(seed))
    assert_array_equal(more[light < 0.6], light[light < 0.6])
    assert (more >= light).all()
    order = np.argsort(light, axis=None)
    assert (np.diff(more.ravel()[order]) >= 0).all()
    assert more.max() <= 1 + 10 + 1e-4


@given(seeds, st.integers(16, 64))
def test_lamps_are_few_small_bright_discs(seed, n):
    light = np.full((n, n), 0.5, np.float32)
    lit = surfaces.add_lamps(light, rng_of(seed))
    assert_array_equal(light, 0.5)  # not written to
    assert lit.min() >= 0.5 - 1e-6
    assert 0.5 < lit.max() <= 80 * (1 + 1e-6)
    lamps = lit > 0.51
    # Up to 24 discs of a radius up to 3.5 × 1.4 pixels, half a pixel of rim included.
    assert 0 < lamps.sum() <= 24 * np.pi * 6.4**2


def test_every_lamp_is_a_disc_in_its_place():
    """One lamp: the light that it adds, divided by its power, is about the area of its disc."""
    lit = surfaces.add_lamps(np.zeros((64, 64), np.float32), OneLamp())
    rows, columns = np.nonzero(lit > 0.5)
    power = lit.max()
    assert lit.sum() / power == pytest.approx(np.pi * 3**2, rel=0.05)
    assert rows.mean() == pytest.approx(20, abs=0.3)
    assert columns.mean() == pytest.approx(33, abs=0.3)


class OneLamp:
    """Draws a radius of 3, a power of 10, and one lamp at (20, 33)."""

    def __init__(self):
        self.values = iter([np.log(3.0), np.log(10.0), 1.0, (20.0, 33.0), 1.0])

    def uniform(self, *_):
        return next(self.values)

    def integers(self, *_):
        return 1
