"""Model files written byte by byte: the package needs no ``onnx``, and neither do its tests."""

import numpy as np

from skdefocus import network

FLOAT, DOUBLE, INTS, GRAPH, INT = 1, 11, 7, 5, 2
METADATA = {
    "format": network.FORMAT,
    "sigmas": "[0.0, 1.0, 2.5]",
    "patch_size": "16",
    "stride": "8",
    "multiple": "16",
    "reach": "0",
}


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def field(number, value):
    """A protobuf field: an integer, or bytes, text or a message of bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def attribute(name, number, kind, *values):
    return field(1, name) + b"".join(field(number, v) for v in values) + field(20, kind)


def node(operator, inputs, output, *attributes, domain=""):
    parts = [field(1, name) for name in inputs]
    parts += [field(2, output), field(4, operator), *(field(5, a) for a in attributes)]
    return field(1, b"".join(parts) + field(7, domain))


def value_info(number, name, shape=("n", "c", "h", "w"), kind=FLOAT):
    dims = b"".join(field(1, field(1 if isinstance(d, int) else 2, d)) for d in shape)
    return field(number, field(1, name) + field(2, field(1, field(1, kind) + field(2, dims))))


def tensor(external=b""):
    """A weight of one number, or one that lies in another file."""
    where = external or field(9, np.float32(1).tobytes())
    return field(1, 1) + field(2, FLOAT) + field(8, "weight") + where


POOL = node(
    "AveragePool", ["image"], "features",
    attribute("kernel_shape", 8, INTS, 8, 8), attribute("strides", 8, INTS, 8, 8),
)  # fmt: skip
CONCAT = node("Concat", ["features"] * 3, "logits", attribute("axis", 3, INT, 1))
IMAGE = value_info(11, "image", ("n", 1, "h", "w"))
OUTPUTS = value_info(12, "logits") + value_info(12, "features")
#: A patch network: the mean of a patch, and three copies of it.
PATCH_POOL = node("GlobalAveragePool", ["patches"], "patch_features")
PATCH_CONCAT = node("Concat", ["patch_features"] * 3, "patch_logits", attribute("axis", 3, INT, 1))
PATCHES = value_info(11, "patches", ("m", 1, 16, 16))
PATCH_OUTPUTS = value_info(12, "patch_logits") + value_info(12, "patch_features")
OPSET = field(8, field(1, "") + field(2, 17))


def model(nodes=POOL + CONCAT, image=IMAGE, outputs=OUTPUTS, opset=OPSET, more=b"", metadata=None):
    """A blur-level network that averages: three levels, patches of 16, cells of 8."""
    graph = nodes + field(2, "graph") + image + outputs
    texts = {key: v for key, v in (METADATA | (metadata or {})).items() if v is not None}
    properties = b"".join(field(14, field(1, k) + field(2, v)) for k, v in texts.items())
    return field(1, 8) + field(7, graph) + opset + properties + more


def patch_model(nodes=PATCH_POOL + PATCH_CONCAT, patches=PATCHES, outputs=PATCH_OUTPUTS, **parts):
    """The same with a patch network."""
    return model(POOL + CONCAT + nodes, IMAGE + patches, OUTPUTS + outputs, **parts)
