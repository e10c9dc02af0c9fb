"""Another last layer in a model file, and a single output of it."""

import numpy as np
import onnxruntime
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdefocus import network
from skdefocus.network import _model_head, with_head
from skdefocus.network._model_file import check_outline
from skdefocus.network._model_head import with_output

SHIPPED = network.model_path(None)


def session_of(model):
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def answers(model, image):
    given = {"image": image, "patches": np.empty((0, 1, 32, 32), np.float32)}
    return session_of(model).run(["logits", "features"], given)


@pytest.fixture(scope="module")
def case():
    with open(SHIPPED, "rb") as file:
        model = file.read()
    rng = np.random.default_rng(0)
    image = rng.random((2, 1, 64, 96)).astype(np.float32)
    levels, channels = (a.shape[1] for a in answers(model, image))
    weights = rng.normal(size=(levels, channels)).astype(np.float32)
    bias = rng.normal(size=levels).astype(np.float32)
    return model, image, weights, bias


def test_logits_are_those_of_the_new_layer_and_features_stay(case):
    model, image, weights, bias = case
    made = with_head(model, weights, bias, {})
    check_outline(made)
    logits, features = answers(made, image)
    assert_array_equal(features, answers(model, image)[1])
    expected = np.einsum("lf,nfhw->nlhw", weights, features) + bias[:, None, None]
    assert_allclose(logits, expected, atol=1e-3)


def test_the_old_layer_is_gone_and_the_new_one_can_be_replaced(case):
    model, _, weights, bias = case
    made = with_head(model, weights, bias, {"head": "one"})
    assert abs(len(made) - len(model)) < 2000
    again = with_head(made, 2 * weights, bias, {"head": "two"})
    assert len(again) == len(made)
    assert with_head(again, weights, bias, {"head": "one"}) == made


def test_facts_are_added_to_the_metadata(case):
    model, _, weights, bias = case
    before = session_of(model).get_modelmeta().custom_metadata_map
    made = with_head(model, weights, bias, {"head": "σ of my camera", "network": "mine"})
    after = session_of(made).get_modelmeta().custom_metadata_map
    assert after == before | {"head": "σ of my camera", "network": "mine"}


def test_features_made_from_logits_are_refused(case):
    _, _, weights, bias = case
    field = _model_head._field

    def node(given, made):
        return field(1, field(1, given.encode()) + field(2, made.encode()) + field(4, b"Relu"))

    graph = node("image", "logits") + node("logits", "features")
    with pytest.raises(ValueError, match="no last layer to replace"):
        with_head(field(7, graph), weights, bias, {})


@pytest.mark.parametrize("output", ["logits", "features", "patch_logits", "patch_features"])
def test_a_single_output_is_as_in_the_full_model(case, output):
    model, image, _, _ = case
    patches = np.random.default_rng(1).random((3, 1, 32, 32), np.float32)
    single = with_output(model, output)
    check_outline(single)
    assert len(single) < 0.75 * len(model)
    session = session_of(single)
    given = {"patches": patches} if output.startswith("patch_") else {"image": image}
    assert [i.name for i in session.get_inputs()] == list(given)
    assert [o.name for o in session.get_outputs()] == [output]
    everything = {"image": image, "patches": patches}
    assert_allclose(
        session.run(None, given)[0], session_of(model).run([output], everything)[0], atol=1e-5
    )
