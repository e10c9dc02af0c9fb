"""The convolutions of an ONNX file, read byte by byte: the package needs no ``onnx`` for it."""

from dataclasses import dataclass, field

from skdefocus.network import _model_file as file

NODE_INPUT, NODE_OUTPUT = 1, 2
TENSOR_DIMS, TENSOR_NAME = 1, 8
ATTRIBUTE_NAME, ATTRIBUTE_INT, ATTRIBUTE_INTS = 1, 3, 8


@dataclass
class Node:
    operator: str = ""
    inputs: list[str] = field(default_factory=list)
    output: str = ""
    numbers: dict[str, list[int]] = field(default_factory=dict)
    weights: tuple[int, ...] = ()

    @property
    def depthwise(self):
        return self.numbers.get("group") == [self.weights[0]] and self.weights[1] == 1

    @property
    def pointwise(self):
        return self.weights[2:] == (1, 1) and self.numbers.get("group") == [1]


def integers(value):
    """Repeated integers come one by one or packed."""
    if isinstance(value, int):
        return [value]
    found, at = [], 0
    while at < len(value):
        number, at = file.read_varint(value, at)
        found.append(number)
    return found


def read_graph(data):
    """All nodes in order; of convolutions also the shape of their weights."""
    graph = next(v for f, v in file._fields(memoryview(data)) if f == file.MODEL_GRAPH)
    nodes, shapes = [], {}
    for number, value in file._fields(graph):
        if number == file.GRAPH_NODE:
            nodes.append(_node(value))
        elif number == file.GRAPH_TENSOR:
            fields = list(file._fields(value))
            name = next(file.text(v) for f, v in fields if f == TENSOR_NAME)
            shapes[name] = tuple(n for f, v in fields if f == TENSOR_DIMS for n in integers(v))
    for node in nodes:
        if node.operator == "Conv":
            node.weights = shapes[node.inputs[1]]
    return nodes


def _node(message):
    node = Node()
    for number, value in file._fields(message):
        if number == NODE_INPUT:
            node.inputs.append(file.text(value))
        elif number == NODE_OUTPUT:
            node.output = file.text(value)
        elif number == file.NODE_OPERATOR:
            node.operator = file.text(value)
        elif number == file.NODE_ATTRIBUTE:
            fields = list(file._fields(value))
            name = next(file.text(v) for f, v in fields if f == ATTRIBUTE_NAME)
            kinds = (ATTRIBUTE_INT, ATTRIBUTE_INTS)
            node.numbers[name] = [n for f, v in fields if f in kinds for n in integers(v)]
    return node


def inverted_residuals(nodes):
    """Blocks of MobileNetV2 in a graph.

    Each is a 1 × 1 expansion and its ReLU (left out if the expansion is 1), a depthwise 3 × 3
    convolution and its ReLU, and a 1 × 1 projection without one.

    Returns
    -------
    list of (channels in, channels of the depthwise filters, channels out, stride)
    """
    made = {n.output: n for n in nodes}
    users = {}
    for node in nodes:
        for name in node.inputs:
            users.setdefault(name, []).append(node)
    blocks = []
    for node in nodes:
        if node.operator != "Conv" or not node.depthwise or node.weights[2:] != (3, 3):
            continue
        (after,) = users[node.output]
        assert after.operator in ("Relu", "Clip"), f"{after.operator} after depthwise filters"
        (project,) = users[after.output]
        assert project.operator == "Conv"
        assert project.pointwise
        kinds = {n.operator for n in users[project.output]}
        assert not kinds & {"Relu", "Clip", "Sigmoid"}, "the projection is not linear"
        hidden = node.weights[0]
        before = made[node.inputs[0]]
        assert before.operator in ("Relu", "Clip"), f"{before.operator} before depthwise filters"
        expand = made[before.inputs[0]]
        assert expand.operator == "Conv"
        inp = expand.weights[1] if expand.pointwise else hidden
        blocks.append((inp, hidden, project.weights[0], node.numbers["strides"][0]))
    return blocks
