"""Safety check of an ONNX file before ONNX Runtime loads it.

While it loads a model, ONNX Runtime opens other files that the model names, runs control flow that
may never end, and loads registered operators. So the file is read here first: an ONNX file is one
protobuf message, and only its outline matters.
"""

from __future__ import annotations

from collections.abc import Iterator

#: Domains of the operators of the ONNX standard; all others are custom operators.
STANDARD = ("", "ai.onnx")
#: Oldest version of the operator set in which Clip, Pad and Resize mean the same as today. ONNX
#: Runtime itself checks that a version is not too new.
MIN_OPSET = 11
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

# Field numbers in onnx.proto3.
MODEL_GRAPH, MODEL_OPSET, MODEL_TRAINING, MODEL_FUNCTION = 7, 8, 20, 25
OPSET_DOMAIN, OPSET_VERSION = 1, 2
GRAPH_NODE, GRAPH_TENSOR, GRAPH_SPARSE = 1, 5, 15
NODE_OPERATOR, NODE_ATTRIBUTE, NODE_DOMAIN = 4, 5, 7
ATTRIBUTE_TENSORS, ATTRIBUTE_GRAPHS, ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
SPARSE_PARTS = (1, 2)
TENSOR_EXTERNAL, TENSOR_LOCATION = 13, 14


def check_outline(data: bytes) -> None:
    """Check that a model is self-contained and made of standard operators.

    Parameters
    ----------
    data : bytes
        The file.

    Raises
    ------
    ValueError
        If the file is not ONNX, or has external data, operators outside the ONNX standard,
        functions, control flow or a version of the operator set that is too old. The message
        tells which of these.
    """
    graphs = 0
    opset = None
    for field, value in _fields(memoryview(data)):
        if field == MODEL_GRAPH and isinstance(value, memoryview):
            graphs += 1
            _check_graph(value)
        elif field == MODEL_OPSET and isinstance(value, memoryview):
            domain, version = _opset(value)
            if domain not in STANDARD:
                raise ValueError(
                    f"it needs the operators of {domain!r}, which are not part of ONNX"
                )
            opset = version
        elif field in (MODEL_TRAINING, MODEL_FUNCTION):
            raise ValueError("it holds functions or training code; export the plain network")
    if graphs != 1 or opset is None:
        raise ValueError("it is not an ONNX model")
    if opset < MIN_OPSET:
        raise ValueError(f"its opset is {opset}, expected {MIN_OPSET} or newer")


def _opset(message: memoryview) -> tuple[str, int]:
    """Read the domain and the version of an operator set."""
    domain, version = "", 0
    for field, value in _fields(message):
        if field == OPSET_DOMAIN and isinstance(value, memoryview):
            domain = text(value)
        elif field == OPSET_VERSION and isinstance(value, int):
            version = value
    return domain, version


def _check_graph(message: memoryview) -> None:
    """Check the nodes and tensors of a graph."""
    for field, value in _fields(message):
        if not isinstance(value, memoryview):
            continue
        if field == GRAPH_NODE:
            _check_node(value)
        elif field == GRAPH_TENSOR:
            _check_tensor(value)
        elif field == GRAPH_SPARSE:
            _check_sparse(value)


def _check_node(message: memoryview) -> None:
    """Check that a node is a standard operator, and check its attributes."""
    operator, domain = "", ""
    for field, value in _fields(message):
        if not isinstance(value, memoryview):
            continue
        if field == NODE_OPERATOR:
            operator = text(value)
        elif field == NODE_DOMAIN:
            domain = text(value)
        elif field == NODE_ATTRIBUTE:
            _check_attribute(value)
    if domain not in STANDARD:
        raise ValueError(f"its operator {operator!r} is of {domain!r}, which is not part of ONNX")


def _check_attribute(message: memoryview) -> None:
    """Check that an attribute has no control flow, and check its tensors."""
    for field, value in _fields(message):
        if not isinstance(value, memoryview):
            continue
        if field in ATTRIBUTE_GRAPHS:
            raise ValueError("it holds control flow (If, Loop, Scan); only plain networks are run")
        if field in ATTRIBUTE_TENSORS:
            _check_tensor(value)
        elif field in ATTRIBUTE_SPARSE:
            _check_sparse(value)


def _check_sparse(message: memoryview) -> None:
    """Check the two tensors of a sparse one."""
    for field, value in _fields(message):
        if field in SPARSE_PARTS and isinstance(value, memoryview):
            _check_tensor(value)


def _check_tensor(message: memoryview) -> None:
    """Check that the values of a tensor are in this file."""
    for field, value in _fields(message):
        if field == TENSOR_EXTERNAL or (field == TENSOR_LOCATION and value != 0):
            raise ValueError("it keeps weights in other files (external data); save it as one file")


def text(value: memoryview) -> str:
    """Decode a string, whatever its bytes are."""
    return bytes(value).decode("utf-8", "backslashreplace")


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the numbers and values of a message's fields; ValueError if it is not a message."""
    for field, value, _ in spans(message):
        yield field, value


def spans(message: memoryview) -> Iterator[tuple[int, int | memoryview, memoryview]]:
    """Yield numbers, values and all bytes of a message's fields; ValueError if it is not one."""
    at, end = 0, len(message)
    while at < end:
        start = at
        tag, at = read_varint(message, at)
        field, kind = tag >> 3, tag & 7
        if not 0 < field < 2**29:
            raise ValueError("it is not an ONNX model")
        if kind == VARINT:
            number, at = read_varint(message, at)
            yield field, number, message[start:at]
            continue
        if kind == BYTES:
            size, at = read_varint(message, at)
        elif kind in (FIXED32, FIXED64):
            size = 4 if kind == FIXED32 else 8
        else:
            raise ValueError("it is not an ONNX model")
        if at + size > end:
            raise ValueError("it is not an ONNX model, or cut off")
        yield field, message[at : at + size], message[start : at + size]
        at += size


def read_varint(message: memoryview, at: int) -> tuple[int, int]:
    """Read an integer of variable length; return it and the position after it."""
    value = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError("it is not an ONNX model, or cut off")
