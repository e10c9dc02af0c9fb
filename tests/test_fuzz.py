"""Every public function with whatever can be given to it.

Either it returns what it promises, or it raises a TypeError or ValueError that names the parameter.
It raises nothing else, warns of nothing, and never writes to what it was given.
``SKDEFOCUS_FUZZ_EXAMPLES=500`` tries that many inputs for each function, instead of a few.
"""

import copy
import importlib
import inspect
import os
import pkgutil
import re
import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from helpers import (
    fuzz_estimators,  # noqa: F401 - these three register their cases
    fuzz_files,  # noqa: F401
    fuzz_functions,  # noqa: F401
)
from helpers.fuzz_cases import CASES, LONG
from helpers.strategies import bad_arrays, small_values, values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import skdefocus

mpl.use("agg")
EXAMPLES = int(os.environ.get("SKDEFOCUS_FUZZ_EXAMPLES", "6"))
few = settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
#: Public, but no functions: tuples and records that hold what they are given, errors, types.
RECORDS = {
    "FusionResult", "LevelGrid", "PatchGrid", "datasets.SceneKind", "io.ReadError",
    "optics.Distances", "optics.LensFacts", "plotting.MapComparison", "synthesis.Layer",
    "synthesis.Scene",
}  # fmt: skip
#: Does not return until somebody stops it.
ENDLESS = {"app.serve"}
each_case = pytest.mark.parametrize("name", CASES)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Some values are names of files and folders."""
    monkeypatch.chdir(tmp_path)


def public_names():
    """Names as they are imported, the shortest for each object."""
    found = {}
    found_names = [m.name for m in pkgutil.iter_modules(skdefocus.__path__)]
    modules = [n for n in found_names if n[0] != "_" and n != "network"]
    for module in ["", *modules]:
        room = importlib.import_module(f"skdefocus.{module}".rstrip("."))
        for name in getattr(room, "__all__", ()):
            thing = getattr(room, name)
            if callable(thing) or inspect.isclass(thing):
                found.setdefault(id(thing), f"{module}.{name}".lstrip("."))
    return set(found.values())


def test_every_public_name_has_a_case():
    covered = {name for name in CASES if name != "BlurLevelClassifier.predict_proba"}
    assert covered | {n for n in RECORDS | ENDLESS if n in public_names()} == public_names()


def same(a, b):
    """Whether nothing of it has changed."""
    if isinstance(a, np.ndarray):
        if a.dtype == object:
            return a.shape == b.shape and all(map(same, a.flat, b.flat))
        return a.dtype == b.dtype and a.tobytes() == b.tobytes()
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return True


def plain(value):
    """Arrays in the order, type and layout that need no thought."""
    if isinstance(value, np.ndarray):
        return np.array(value, value.dtype.newbyteorder("="), order="C", subok=False)
    return [plain(v) for v in value] if isinstance(value, list) else value


def parts(result):
    """The arrays and numbers in a result."""
    if isinstance(result, list | tuple):
        return [part for item in result for part in parts(item)]
    if hasattr(result, "__dataclass_fields__"):
        return [part for key in result.__dataclass_fields__ for part in parts(getattr(result, key))]
    return [np.asarray(result)] if isinstance(result, np.ndarray | float) else []


@each_case
@few
@given(data=st.data())
def test_good_input(name, data):
    case = CASES[name]
    arguments = case.arguments(data.draw)
    before = copy.deepcopy({k: v for k, v in arguments.items() if not isinstance(v, Path)})
    result = case.call(**arguments)
    case.check(result, arguments)
    assert all(same(arguments[key], before[key]) for key in before)
    again = case.call(**{key: plain(value) for key, value in arguments.items()})
    for a, b in zip(parts(result), parts(again), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)


@each_case
@few
@given(data=st.data())
def test_any_value_for_one_parameter(name, data):
    case = CASES[name]
    arguments = case.arguments(data.draw)
    names = sorted(set(arguments) - set(case.foreign))
    if not names:
        pytest.skip("no parameter that is its own to check")
    spoilt = data.draw(st.sampled_from(names), "parameter")
    numbers = small_values if spoilt in LONG else values
    is_array = isinstance(arguments[spoilt], np.ndarray | list)
    wild = st.one_of(bad_arrays, bad_arrays, numbers) if is_array else numbers
    arguments[spoilt] = data.draw(wild, "value")
    note = {k: v for k, v in arguments.items() if isinstance(v, np.ndarray | list | tuple)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy 1 copies no masked float16 without one
        before = copy.deepcopy({k: v for k, v in note.items() if not has_iterators(v)})
    message = None
    try:
        result = case.call(**arguments)
    except (TypeError, ValueError) as error:
        message = str(error)
    if message is None:
        case.check(result, arguments)
    else:
        # Of two arrays that do not fit each other, either may be the wrong one.
        named = arguments if re.search("shape|size|height|per image", message) else [spoilt]
        pattern = rf"\b({'|'.join(named)})\b"
        assert re.search(pattern, message), f"{message!r} names no {spoilt!r}"
    assert all(same(arguments[key], before[key]) for key in before)


def has_iterators(value):
    return isinstance(value, list | tuple) and any(hasattr(v, "__next__") for v in value)
