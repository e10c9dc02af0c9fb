"""The network that ships is a MobileNetV2, by the graph in its file."""

from helpers.onnx_graph import inverted_residuals, read_graph

from skdefocus import network

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
    assert blocks[: len(expected)] == expected
    assert blocks[len(expected) :] == [DECODER] * 3


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
    assert shortcuts == len(equal) == 11


def test_it_is_small():
    assert len(shipped()) <= 10e6
