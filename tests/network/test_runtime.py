"""Model files from strangers: what is accepted, and that the rest gets one clear ValueError.

The files are written by :mod:`helpers.model_files`.
"""

import json
import os
import pickle

import numpy as np
import pytest
from helpers.model_files import (
    CONCAT,
    DOUBLE,
    GRAPH,
    IMAGE,
    METADATA,
    OPSET,
    OUTPUTS,
    POOL,
    attribute,
    field,
    model,
    node,
    tensor,
    value_info,
)
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import skdefocus as sd
from skdefocus import network
from skdefocus.cli import main
from skdefocus.network._model_file import check_outline


def refused(tmp_path, data, why):
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=why) as caught:
        sd.BlurLevelClassifier(path).fit([])
    assert repr(str(path)) in str(caught.value)
    assert "\n" not in str(caught.value)


# --- what is accepted --------------------------------------------------------------------------


def test_a_small_model_by_hand(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(model())
    facts = network.load_facts(str(path))
    assert facts.sigmas == (0, 1, 2.5)
    assert (facts.patch_size, facts.stride, facts.multiple, facts.reach) == (16, 8, 16, 0)
    assert facts.prior == (1 / 3, 1 / 3, 1 / 3)
    assert facts.metadata == METADATA
    classifier = sd.BlurLevelClassifier(path)
    assert_allclose(classifier.predict_proba(np.zeros((4, 16, 16))), np.full((4, 3), 1 / 3))


def test_a_prior_is_read_and_made_to_sum_to_one(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(model(metadata={"prior": "[0.5, 0.3, 0.2004]"}))
    prior = network.load_facts(str(path)).prior
    assert_allclose(prior, np.array([0.5, 0.3, 0.2004]) / 1.0004)


def test_every_cell_has_its_answer(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(model())
    facts = network.load_facts(str(path))
    images = np.random.default_rng(0).random((2, 32, 48), np.float32)
    for output, channels in (("logits", 3), ("features", 1)):
        found = network.run(facts, images, output, 1)
        means = images.reshape(2, 4, 8, 6, 8).mean(axis=(2, 4))
        assert_allclose(found, np.repeat(means[..., None], channels, axis=-1), atol=1e-6)


def test_the_shipped_model_is_checked_like_any_other():
    path = network.model_path(None)
    with open(path, "rb") as file:
        check_outline(file.read())
    facts = network.load_facts(path)
    images = np.full((2, facts.multiple, 3 * facts.multiple), 0.5, np.float32)
    cells = facts.multiple // facts.stride
    found = network.run(facts, images, "logits", 1)
    assert found.shape == (2, cells, 3 * cells, len(facts.sigmas))
    assert sum(facts.prior) == pytest.approx(1)


def test_a_model_with_its_weights_inside(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(model(nodes=POOL + CONCAT + field(5, tensor())))
    assert network.load_facts(str(path)).patch_size == 16


# --- no model ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [b"", b"not a model", b"\x89PNG\r\n\x1a\n", b"\0" * 100, b"\xff" * 100, field(1, 8)],
    ids=["empty", "text", "png", "zeros", "ones", "no graph"],
)
def test_no_onnx(tmp_path, data):
    refused(tmp_path, data, "not an ONNX model")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_cut_off(tmp_path, share):
    data = model()
    refused(tmp_path, data[: int(len(data) * share)], "not an ONNX model|cut off|not a blur-level")


def test_two_graphs(tmp_path):
    refused(tmp_path, model(more=field(7, field(2, "second"))), "not an ONNX model")


def test_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(network._runtime, "MAX_BYTES", 100)
    refused(tmp_path, model(), "at most 100 bytes")


def test_missing_folder_and_pipe(tmp_path):
    for path in (tmp_path / "none.onnx", tmp_path):
        with pytest.raises(ValueError, match="model must be"):
            sd.BlurLevelClassifier(path).fit([])
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(ValueError, match="not a regular file"):
        sd.BlurLevelClassifier(tmp_path / "pipe.onnx").fit([])
    with pytest.raises(ValueError, match="model must be"):
        sd.BlurLevelClassifier("a\0b").fit([])
    with pytest.raises(TypeError, match="model must be a path or None, got 5"):
        sd.BlurLevelClassifier(5).fit([])


class Malice:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_nothing_is_unpickled(tmp_path):
    trace = tmp_path / "trace"
    refused(tmp_path, pickle.dumps(Malice(str(trace))), "not an ONNX model")
    assert not trace.exists()


# --- models that ask for more than arithmetic --------------------------------------------------

EXTERNAL = field(13, field(1, "location") + field(2, "../secret.bin")) + field(14, 1)


@pytest.mark.parametrize(
    "nodes",
    [
        field(5, tensor(EXTERNAL)),
        field(5, tensor(field(14, 1))),
        field(15, field(1, tensor(EXTERNAL))),
        node("Constant", [], "x", field(1, "value") + field(5, tensor(EXTERNAL)) + field(20, 4)),
        node("Constant", [], "x", field(22, field(2, tensor(EXTERNAL)))),
    ],
    ids=["weight", "location only", "sparse weight", "constant", "sparse constant"],
)
def test_external_data(tmp_path, nodes):
    (tmp_path / "secret.bin").write_bytes(b"1234")
    refused(tmp_path, model(nodes=POOL + CONCAT + nodes), "external data")


def test_operators_of_strangers(tmp_path):
    own = node("Spy", ["image"], "x", domain="example.org")
    refused(tmp_path, model(nodes=POOL + CONCAT + own), "'Spy' is of 'example.org'")
    theirs = OPSET + field(8, field(1, "com.microsoft") + field(2, 1))
    refused(tmp_path, model(opset=theirs), "operators of 'com.microsoft'")
    unknown = node("Spy", ["image"], "x")
    refused(tmp_path, model(nodes=POOL + CONCAT + unknown), "ONNX Runtime can run.*Spy")


def test_control_flow(tmp_path):
    branch = attribute("then_branch", 6, GRAPH, field(2, "graph"))
    refused(tmp_path, model(nodes=POOL + CONCAT + node("If", ["x"], "y", branch)), "control flow")


def test_functions(tmp_path):
    refused(tmp_path, model(more=field(25, field(1, "f"))), "functions")


@pytest.mark.parametrize(
    ("opset", "why"),
    [
        (b"", "not an ONNX model"),
        (field(8, field(2, 7)), "opset is 7, expected 11 or newer"),
        (field(8, field(2, 10_000)), "ONNX Runtime can run"),
    ],
)
def test_opset(tmp_path, opset, why):
    refused(tmp_path, model(opset=opset), why)


# --- models that are not blur-level networks ---------------------------------------------------


@pytest.mark.parametrize("key", METADATA)
def test_missing_metadata(tmp_path, key):
    refused(tmp_path, model(metadata={key: None}), f"not a blur-level network: metadata {key!r}")


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("format", "another-1"),
        *(("sigmas", text) for text in (
            "[1.0]", "[2, 1]", "[-1, 1]", "[0, NaN]", "[0, Infinity]", "[0, 1e9]", "[0, true]",
            "5", '"ab"', "{}", "rubbish", "[" * 100_000, "[0, 1" + "0" * 5000 + "]",
            json.dumps(list(range(5000))),
        )),
        *((key, text) for key in ("patch_size", "stride", "multiple", "reach") for text in (
            "", "1.5", "-1", "1000000000", "9" * 5000,
        )),
        *(("prior", text) for text in (
            "", "rubbish", "[0.5, 0.5]", "[0.5, 0.5, 0]", "[0.6, 0.6, -0.2]", "[2, 3, 5]",
            "[0.5, NaN, 0.5]", "[Infinity, 0.5, 0.5]",
        )),
        ("stride", "17"),
        ("stride", "0"),
        ("multiple", "7"),
    ],
)  # fmt: skip
def test_wrong_metadata(tmp_path, key, text):
    refused(tmp_path, model(metadata={key: text}), f"metadata {key!r}")


@pytest.mark.parametrize(("key", "text"), [("patch_size", "20"), ("multiple", "20")])
def test_lengths_that_are_no_whole_cells(tmp_path, key, text):
    refused(tmp_path, model(metadata={key: text}), "must be multiples of the stride 8")


@pytest.mark.parametrize(("key", "text"), [("sigmas", "[0, 1]"), ("stride", "4"), ("stride", "16")])
def test_metadata_that_do_not_fit_the_network(tmp_path, key, text):
    refused(tmp_path, model(metadata={key: text}), "not a blur-level network: images of shape")


ROOT = node("Identity", ["image"], "copy")


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({"image": value_info(11, "image", ("n", 1, 32, 32))}, "'image' has shape"),
        ({"image": value_info(11, "image", ("n", 3, "h", "w"))}, "'image' has shape"),
        ({"image": IMAGE + value_info(11, "mask")}, "its inputs are .*'mask'"),
        ({"outputs": value_info(12, "logits")}, "its outputs are"),
        ({"outputs": OUTPUTS + value_info(12, "copy"), "nodes": POOL + CONCAT + ROOT}, "outputs"),
        ({"image": value_info(11, "image", ("n", 1, "h", "w"), DOUBLE)}, "ONNX Runtime|inputs"),
        ({"nodes": CONCAT + POOL.replace(b"image", b"photo")}, "ONNX Runtime can run"),
    ],
)
def test_wrong_inputs_and_outputs(tmp_path, parts, why):
    refused(tmp_path, model(**parts), why)


def test_answers_that_are_not_finite(tmp_path):
    pool = POOL.replace(b"features", b"averages")
    nothing = node("Sub", ["averages", "averages"], "nothing")
    nodes = pool + nothing + node("Log", ["nothing"], "features") + CONCAT
    refused(tmp_path, model(nodes=nodes), "NaN, infinity")


def whole_numbers(name, *numbers):
    """A constant of the network: a vector of int64."""
    packed = np.array(numbers, "<i8").tobytes()
    value = field(1, len(numbers)) + field(2, 7) + field(9, packed)
    return node("Constant", [], name, attribute("value", 5, 4, value))


AVERAGES = CONCAT.replace(b"logits", b"thrice")


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        # -inf where a cell is black
        (POOL + AVERAGES + node("Log", ["thrice"], "logits"), "NaN, infinity"),
        # four columns of cells, however wide the image is
        (
            POOL + AVERAGES + whole_numbers("begin", 0) + whole_numbers("end", 4)
            + whole_numbers("axis", 3)
            + node("Slice", ["thrice", "begin", "end", "axis"], "logits"),
            r"logits of shape \(1, 3, \d+, 4\), expected",
        ),
        # runs on images of the size of the trial's only
        (
            POOL + AVERAGES + whole_numbers("shape", 1, 3, 2, 4)
            + node("Reshape", ["thrice", "shape"], "logits"),
            "does not run on an image",
        ),
    ],
    ids=["not finite", "other shape", "other size"],
)  # fmt: skip
def test_answers_that_the_trial_did_not_show(tmp_path, nodes, why):
    path = tmp_path / "model.onnx"
    path.write_bytes(model(nodes=nodes))
    network = sd.BlurLevelClassifier(path, n_threads=1).fit([])
    grids = sd.PatchExtractor(16, step=8).transform([np.zeros((40, 56))])
    with pytest.raises(ValueError, match=why) as caught:
        network.transform(grids)
    assert repr(str(path)) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_changes(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(model())
    before = network.load_facts(str(path))
    path.write_bytes(model(metadata={"sigmas": "[0, 1, 3.25]"}))
    after = network.load_facts(str(path))
    assert (before.sigmas[-1], after.sigmas[-1]) == (2.5, 3.25)
    image = np.zeros((1, 16, 16), np.float32)
    assert network.run(after, image, "logits", 1).shape == (1, 2, 2, 3)
    with pytest.raises(ValueError, match="has changed since it was checked"):
        network.run(before, image, "logits", 2)


@pytest.mark.parametrize("command", [["info"], ["map", "a.png", "--out", "maps"]])
def test_on_the_command_line_it_is_one_line(tmp_path, capsys, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    assert main([*command, "--model", "model.onnx"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert "not an ONNX model" in said.err
    assert not (tmp_path / "maps").exists()


# --- any bytes ---------------------------------------------------------------------------------


@given(st.binary(max_size=200))
def test_any_bytes(data):
    with pytest.raises(ValueError, match=r"^it"):
        check_outline(data)


@given(st.data())
def test_any_byte_changed(data):
    """Bytes that are wrong are refused or without meaning, but nothing else is raised."""
    changed = bytearray(model(nodes=POOL + CONCAT + field(5, tensor())))
    check_outline(bytes(changed))
    changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        result = check_outline(bytes(changed))
    except ValueError:
        result = None
    assert result is None


def test_external_data_anywhere_are_found_whatever_surrounds_them():
    for more in (b"", field(16, "unknown field"), field(99, 5)):
        with pytest.raises(ValueError, match="external data"):
            check_outline(model(nodes=POOL + more + field(5, more + tensor(EXTERNAL))))
