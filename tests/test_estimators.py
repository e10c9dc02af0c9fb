"""The tables of parameters, and the loop over samples."""

import pickle
from dataclasses import FrozenInstanceError, dataclass
from types import SimpleNamespace
from typing import Annotated

import numpy as np
import pytest

from skdefocus._estimators import (
    JOBS,
    Settings,
    choice,
    flag,
    in_threads,
    integer,
    optional,
    real,
    restack,
)


@dataclass(frozen=True)
class Example(Settings):
    size: Annotated[int, integer(1, 64)]
    step: Annotated[int, integer(1)]
    eps: Annotated[float, real(0, above=True)]
    mode: Annotated[str, choice("fast", "exact")] = "fast"
    color: Annotated[bool, flag] = True
    noise: Annotated[float | None, optional(real(0))] = None
    n_jobs: Annotated[int | None, JOBS] = None

    def __post_init__(self):
        super().__post_init__()
        if self.step > self.size:
            raise ValueError(f"step must be at most size, got {self.step}")


GOOD = {"size": 8, "step": 2, "eps": 0.5}


def test_values_become_plain_types():
    made = Example(np.int8(8), np.uint8(2), np.float32(0.5), color=np.bool_(False), noise=0)
    assert made == Example(8, 2, 0.5, color=False, noise=0.0)
    for value, kind in ((made.size, int), (made.eps, float), (made.color, bool)):
        assert type(value) is kind
    assert type(made.noise) is float


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"size": 0}, ValueError, "size must be from 1 to 64, got 0"),
        ({"size": 8.0}, TypeError, "size must be an integer, got 8.0"),
        ({"size": True}, TypeError, "size must be an integer"),
        ({"step": 9}, ValueError, "step must be at most size, got 9"),
        ({"eps": 0}, ValueError, "eps must be finite and > 0, got 0"),
        ({"eps": np.nan}, ValueError, "eps must be finite"),
        ({"mode": "slow"}, ValueError, "mode must be one of 'fast', 'exact', got 'slow'"),
        ({"mode": ["fast"]}, ValueError, "mode must be one of"),
        ({"color": 1}, TypeError, "color must be a bool, got 1"),
        ({"noise": -1}, ValueError, "noise must be finite and >= 0"),
        ({"noise": "1"}, TypeError, "noise must be a number, got '1'"),
        ({"n_jobs": 0}, ValueError, "n_jobs must be None or an integer other than 0"),
        ({"n_jobs": 1.5}, TypeError, "n_jobs must be an integer, got 1.5"),
    ],
)
def test_wrong_values_are_named(changed, error, message):
    with pytest.raises(error, match=message):
        Example(**{**GOOD, **changed})


def test_tables_read_an_estimator_and_are_frozen():
    estimator = SimpleNamespace(**GOOD, mode="exact", color=False, noise=0.1, n_jobs=-1)
    made = Example.of(estimator)
    assert made == Example(8, 2, 0.5, "exact", False, 0.1, -1)
    assert made == pickle.loads(pickle.dumps(made))
    with pytest.raises(FrozenInstanceError):
        made.size = 9
    estimator.size = "8"
    with pytest.raises(TypeError, match="size"):
        Example.of(estimator)


def test_results_are_stacked_only_where_the_samples_were():
    parts = [np.zeros((2, 3)), np.ones((2, 3))]
    assert restack(parts, True).shape == (2, 2, 3)
    assert restack(parts, False) is parts


@pytest.mark.parametrize("n_threads", [1, 3])
def test_work_in_threads_is_done_and_its_errors_are_raised(n_threads):
    done = []
    in_threads(n_threads, done.append, range(7))
    assert sorted(done) == list(range(7))
    in_threads(n_threads, done.append, [])
    with pytest.raises(ZeroDivisionError):
        in_threads(n_threads, lambda part: 1 // part, [1, 0, 2])
