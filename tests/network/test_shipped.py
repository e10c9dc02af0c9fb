"""The networks that ship are MobileNetV2s, by the graph in their file."""

import numpy as np
import onnxruntime
from helpers.onnx_graph import inverted_residuals, read_graph

import skdefocus as sd
from skdefocus import network
from skdefocus.datasets import sample_photographs
from skdefocus.synthesis import blur

#: Expansion, channels, repeats and stride of the bottlenecks up to stride 16, by table 2 of
#: Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", CVPR 2018.
BOTTLENECKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1))
STEM = 32
#: Width and expansion of the three blocks of the decoder.
DECODER = (64, 128, 64, 1)


def shipped():
    with open(network.model_path(None), "rb") as file:
        return file.read()


def test_its_blocks_are_those_of_mobilenetv2():
    """Depthwise 3 × 3 filters between 1 × 1 expansions and linear projections."""
    inp, expected = STEM, []
    for expand, out, repeats, stride in BOTTLENECKS:
        for i in range(repeats):
            expected.append((inp, inp * expand, out, stride if i == 0 else 1))
            inp = out
    blocks = inverted_residuals(read_graph(shipped()))
    # The dense network, and the two encoders of the patch network.
    assert blocks == expected + [DECODER] * 3 + expected * 2


def test_blocks_of_equal_width_have_a_shortcut():
    nodes = read_graph(shipped())
    made = {n.output: n for n in nodes}
    shortcuts = 0
    for node in nodes:
        sides = [made.get(name) for name in node.inputs]
        if node.operator == "Add" and sides[1] and sides[1].operator == "Conv":
            project = sides[1]
            depthwise = made[made[project.inputs[0]].inputs[0]]
            if depthwise.operator == "Conv" and depthwise.depthwise:
                expand = made[made[depthwise.inputs[0]].inputs[0]]
                shortcuts += expand.inputs[0] == node.inputs[0]
    equal = [b for b in inverted_residuals(nodes) if b[0] == b[2] and b[3] == 1]
    assert shortcuts == len(equal) == 11 + 2 * 8


def test_patches_have_a_network_of_their_own_with_the_same_last_layer():
    nodes = read_graph(shipped())
    made = {n.output: n for n in nodes}

    def inputs_of(name):
        """Names of the inputs of the graph that a value depends on, and its last weights."""
        waiting, found, weights = [name], set(), None
        while waiting:
            node = made.get(value := waiting.pop())
            if node is None:
                found.add(value)
                continue
            if node.operator == "Conv" and weights is None:
                weights = node.inputs[1:]
            waiting += node.inputs
        return found & {"image", "patches"}, weights

    dense, patches = inputs_of("logits"), inputs_of("patch_logits")
    assert (dense[0], patches[0]) == ({"image"}, {"patches"})
    assert dense[1] == patches[1]


def test_patches_change_nothing_for_an_image():
    session = onnxruntime.InferenceSession(shipped(), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    image = rng.random((1, 1, 64, 96), np.float32)
    patches = rng.random((3, 1, 32, 32), np.float32)
    alone, together = (
        session.run(["logits", "features"], {"image": image, "patches": given})
        for given in (patches[:0], patches)
    )
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_it_is_small():
    assert len(shipped()) <= 10e6


def test_a_patch_blurred_beyond_the_range_is_not_called_sharp():
    classifier = sd.BlurLevelClassifier(n_threads=1)
    for photograph in sample_photographs(256):
        seen = blur(photograph, 16.0).clip(0, 1)
        patches = sd.PatchExtractor(step=32).transform([seen])[0].patches
        assert np.median(classifier.predict_sigma(patches.reshape(-1, 32, 32))) > 4
