"""Losses against values worked out cell by cell."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from skdefocus.training.losses import LOSSES, cross_entropy, near_edges  # noqa: E402

LEVELS = 20


def random_case(seed, shape=(2, 5, 6)):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (shape[0], LEVELS, *shape[1:]))
    level = rng.uniform(0, LEVELS - 1, shape)
    level[rng.random(shape) < 0.3] = rng.integers(0, LEVELS)
    return logits, level


def cost(logits, level):
    """Of one cell: minus the logarithms of the two levels around, weighted."""
    log = logits - math.log(sum(math.exp(z) for z in logits))
    low = min(int(level), LEVELS - 2)
    return -((low + 1 - level) * log[low] + (level - low) * log[low + 1])


def naive(logits, level, edges):
    total = weights = 0.0
    n, rows, columns = level.shape
    for k in range(n):
        for i in range(rows):
            for j in range(columns):
                around = level[k, max(0, i - 2) : i + 3, max(0, j - 2) : j + 3]
                weight = 3.0 if edges and np.ptp(around) > 1 else 1.0
                total += weight * cost(logits[k, :, i, j], level[k, i, j])
                weights += weight
    return total / weights


@given(st.integers(0, 10**6), st.booleans())
def test_losses_are_what_a_loop_over_cells_gives(seed, edges):
    logits, level = random_case(seed)
    if seed % 3 == 0:  # some cells far from edges
        level[:, :, :3] = level[:, :1, :1]
    loss = near_edges if edges else cross_entropy
    found = loss(torch.tensor(logits), torch.tensor(level))
    assert float(found) == pytest.approx(naive(logits, level, edges), rel=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_even_answers_cost_the_logarithm_of_their_number(name):
    level = torch.full((1, 3, 3), 4.25)
    assert float(LOSSES[name](torch.zeros(1, LEVELS, 3, 3), level)) == pytest.approx(math.log(20))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("level", [0.0, 7.0, 7.4, 19.0])
def test_the_best_answer_has_the_true_level_as_its_mean(name, level):
    torch.manual_seed(0)
    logits = torch.zeros(1, LEVELS, 1, 1, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = LOSSES[name](logits, torch.full((1, 1, 1), level))
        loss.backward()
        return loss

    optimizer.step(closure)
    mean = (torch.softmax(logits.detach(), 1)[0, :, 0, 0] * torch.arange(LEVELS)).sum()
    assert float(mean) == pytest.approx(level, abs=0.02)
