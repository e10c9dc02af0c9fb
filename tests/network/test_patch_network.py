"""Model files with a second network, for patches by themselves."""

import numpy as np
import onnxruntime
import pytest
from helpers.model_files import (
    CONCAT,
    DOUBLE,
    OUTPUTS,
    PATCH_CONCAT,
    PATCH_OUTPUTS,
    PATCH_POOL,
    POOL,
    model,
    node,
    patch_model,
    value_info,
)
from numpy.testing import assert_allclose, assert_array_equal

import skdefocus as sd
from skdefocus import network
from skdefocus.network import with_head

PATCH = np.random.default_rng(0).random((5, 16, 16), np.float32)


@pytest.fixture
def write(tmp_path):
    def file(data):
        path = tmp_path / "model.onnx"
        path.write_bytes(data)
        return path

    return file


def test_patches_go_through_it(write):
    path = write(patch_model())
    facts = network.load_facts(str(path))
    assert facts.has_patch_network
    means = PATCH.mean(axis=(1, 2))
    for output, channels in (("logits", 3), ("features", 1)):
        found = network.run_patches(facts, PATCH, output, 1)
        assert_allclose(found, np.repeat(means[:, None], channels, axis=1), atol=1e-6)
    classifier = sd.BlurLevelClassifier(path, batch_size=2, n_threads=1)
    assert_allclose(classifier.predict_proba(PATCH), np.full((5, 3), 1 / 3))


def test_images_are_answered_as_without_it(write):
    image = np.random.default_rng(0).random((2, 32, 48), np.float32)
    answers = []
    for data in (model(), patch_model()):
        facts = network.load_facts(str(write(data)))
        network.release_memory(facts, 1)
        answers.append(network.run(facts, image, "logits", 1))
    assert_array_equal(*answers)


def test_a_file_without_it_shows_patches_in_mirrored_surroundings(write):
    facts = network.load_facts(str(write(model())))
    assert not facts.has_patch_network
    found = sd.BlurLevelClassifier(write(model())).fit(PATCH, np.arange(5) % 2)
    assert_array_equal(found.label_counts_, [3, 2, 0])
    twice = sd.BlurLevelClassifier(write(patch_model())).fit(PATCH, np.arange(5) % 2)
    assert_array_equal(twice.label_counts_, [3, 2, 0])
    assert not np.array_equal(found.head_[0], twice.head_[0])


FEATURES = value_info(12, "patch_features")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (patch_model(patches=value_info(11, "patches", (4, 1, 16, 16))), "'patches' has shape"),
        (patch_model(patches=value_info(11, "patches", ("m", 1, 8, 8))), "'patches' has shape"),
        (patch_model(patches=value_info(11, "patches", ("m", 1, "h", "w"))), "'patches' has"),
        (
            patch_model(patches=value_info(11, "patches", ("m", 1, 16, 16), DOUBLE)),
            "its inputs are|ONNX Runtime",
        ),
        (patch_model(outputs=FEATURES), "its outputs are"),
        (
            model(POOL + CONCAT + PATCH_POOL + PATCH_CONCAT, outputs=OUTPUTS + PATCH_OUTPUTS),
            "ONNX Runtime",
        ),
        (
            patch_model(PATCH_POOL + node("Identity", ["patch_features"], "patch_logits")),
            r"patches of shape \(2, 16, 16\) give patch_logits of shape \(2, 1, 1, 1\)",
        ),
        (
            patch_model(node("Identity", ["patches"], "patch_features") + PATCH_CONCAT),
            r"expected \(2, 3, 1, 1\)",
        ),
        (
            patch_model(
                PATCH_POOL.replace(b"patch_features", b"positive_means")
                + node("Log", ["positive_means"], "negative_means")
                + node("Log", ["negative_means"], "patch_features")
                + PATCH_CONCAT
            ),
            "NaN, infinity",
        ),
        (patch_model(metadata={"patch_size": "8"}), "'patches' has shape"),
    ],
)
def test_a_patch_network_that_does_not_fit(write, data, why):
    path = write(data)
    with pytest.raises(ValueError, match=why) as caught:
        network.load_facts(str(path))
    assert repr(str(path)) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_layer_is_replaced_for_both():
    weights, bias = np.float32([[1], [2], [-3]]), np.float32([0, 1, 2])
    made = with_head(patch_model(), weights, bias, {})
    session = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).random((1, 1, 16, 32), np.float32)
    answers = session.run(
        ["logits", "features", "patch_logits", "patch_features"],
        {"image": image, "patches": PATCH[:, None]},
    )
    for logits, features in (answers[:2], answers[2:]):
        expected = np.einsum("lf,nfhw->nlhw", weights, features) + bias[:, None, None]
        assert_allclose(logits, expected, atol=1e-5)
    again = with_head(made, 2 * weights, bias, {})
    assert len(again) == len(made)
    assert with_head(again, weights, bias, {}) == made


def test_features_of_patches_that_are_made_from_logits_are_refused():
    nodes = node("GlobalAveragePool", ["patches"], "patch_logits")
    nodes += node("Identity", ["patch_logits"], "patch_features")
    with pytest.raises(ValueError, match="no last layer to replace"):
        with_head(patch_model(nodes), np.ones((3, 1), np.float32), np.ones(3, np.float32), {})


def test_its_errors_name_the_file(write):
    """Black patches have a logarithm of minus infinity, which the check did not show."""
    pool = PATCH_POOL.replace(b"patch_features", b"positive_means")
    path = write(
        patch_model(pool + node("Log", ["positive_means"], "patch_features") + PATCH_CONCAT)
    )
    with pytest.raises(ValueError, match="NaN, infinity") as caught:
        sd.BlurLevelClassifier(path).predict_proba(np.zeros((2, 16, 16)))
    assert repr(str(path)) in str(caught.value)
