"""Changes of a model file, without the onnx package: another last layer, or a single output.

A model is one protobuf message. Apart from a few fields it is copied as it is. Parts that only the
old last layer needed are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from skdefocus._typing import Float32Array
from skdefocus.network._model_file import BYTES, GRAPH_NODE, GRAPH_TENSOR, MODEL_GRAPH, spans, text

# Field numbers in onnx.proto3, in addition to those of _model_file.
MODEL_METADATA = 14
ENTRY_KEY, ENTRY_VALUE = 1, 2
GRAPH_INPUT, GRAPH_OUTPUT, GRAPH_SHAPES = 11, 12, 13
VALUE_NAME = 1
NODE_INPUT, NODE_OUTPUT, NODE_NAME, NODE_TYPE = 1, 2, 3, 4
TENSOR_DIMS, TENSOR_TYPE, TENSOR_NAME, TENSOR_RAW = 1, 2, 8, 9
FLOAT = 1

#: Beginning of the names of a patch network's outputs and layer.
PATCH = "patch_"
#: Names of the new layer and of its tensors.
LAYER, WEIGHTS, BIAS = "head", "head.weights", "head.bias"


class Part(NamedTuple):
    """A node, tensor or input of a graph: the values it needs and makes."""

    needs: frozenset[str]
    makes: frozenset[str]


def with_head(
    model: bytes, weights: Float32Array, bias: Float32Array, facts: dict[str, str | None]
) -> bytes:
    """Replace the layer that turns ``features`` into ``logits``, of a patch network too.

    Parameters
    ----------
    model : bytes
        A model file, checked by :func:`skdefocus.network.load_facts`.
    weights : ndarray of shape (n_levels, n_features)
    bias : ndarray of shape (n_levels,)
        ``logits = weights @ features + bias`` in every cell, and for every patch.
    facts : dict of str to str or None
        Entries of the metadata to add or replace; None removes one.

    Returns
    -------
    bytes
        The new file.

    Raises
    ------
    ValueError
        If ``features`` are computed from ``logits``, so that there is no last layer to replace.
    """
    kept = []
    metadata: dict[str, str | None] = {}
    for field, value, raw in spans(memoryview(model)):
        if field == MODEL_METADATA and isinstance(value, memoryview):
            entry = {f: text(v) for f, v, _ in spans(value) if isinstance(v, memoryview)}
            metadata[entry.get(ENTRY_KEY, "")] = entry.get(ENTRY_VALUE, "")
        elif field == MODEL_GRAPH and isinstance(value, memoryview):
            kept.append(_field(MODEL_GRAPH, _with_layer(value, weights, bias)))
        else:
            kept.append(bytes(raw))
    for key, entry_text in (metadata | facts).items():
        if entry_text is not None:
            pair = _field(ENTRY_KEY, key.encode()) + _field(ENTRY_VALUE, entry_text.encode())
            kept.append(_field(MODEL_METADATA, pair))
    return b"".join(kept)


def with_output(model: bytes, output: str) -> bytes:
    """Reduce a model file to what one of its outputs needs.

    ONNX Runtime computes all outputs of a model, whichever is asked for.
    """
    kept = []
    for field, value, raw in spans(memoryview(model)):
        if field == MODEL_GRAPH and isinstance(value, memoryview):
            given = "patches" if output.startswith(PATCH) else "image"
            parts = _needed_parts(value, [output, given], {output})
            raw = memoryview(_field(MODEL_GRAPH, b"".join(parts)))
        kept.append(raw)
    return b"".join(kept)


def _with_layer(graph: memoryview, weights: Float32Array, bias: Float32Array) -> bytes:
    """Replace the last layer of a graph, and that of its patch network if it has one."""
    outputs = {_name(value) for field, value in _messages(graph) if field == GRAPH_OUTPUT}
    prefixes = ("", PATCH) if PATCH + "features" in outputs else ("",)
    layer = _tensor(WEIGHTS, weights[:, :, None, None]) + _tensor(BIAS, bias)
    nodes = b"".join(map(_node, prefixes))
    features = [prefix + "features" for prefix in prefixes]
    if _needed(_parts(graph), features) & {prefix + "logits" for prefix in prefixes}:
        raise ValueError("its features depend on its logits; it has no last layer to replace")
    return b"".join([*_needed_parts(graph, [*features, "image"], outputs), nodes, layer])


def _messages(graph: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield the numbers and messages of a graph's fields."""
    return ((field, value) for field, value, _ in spans(graph) if isinstance(value, memoryview))


def _name(declared: memoryview) -> str:
    """Read the name of a declared input or output."""
    return next((text(value) for field, value in _messages(declared) if field == VALUE_NAME), "")


def _parts(graph: memoryview) -> list[Part]:
    """Read what the nodes, tensors and inputs of a graph need and make."""
    kinds = (GRAPH_NODE, GRAPH_TENSOR, GRAPH_INPUT)
    return [_part(field, value) for field, value in _messages(graph) if field in kinds]


def _needed_parts(graph: memoryview, values: list[str], outputs: set[str]) -> Iterator[bytes]:
    """Yield what some values need of a graph, some of its declared outputs, and all else."""
    parts = _parts(graph)
    needed, at = _needed(parts, values), iter(parts)
    for field, value, raw in spans(graph):
        if not isinstance(value, memoryview):
            keep = True
        elif field in (GRAPH_NODE, GRAPH_TENSOR, GRAPH_INPUT):
            keep = bool(next(at).makes & needed)
        elif field == GRAPH_OUTPUT:
            keep = _name(value) in outputs
        else:
            keep = field != GRAPH_SHAPES  # those of inner values, which are inferred again
        if keep:
            yield bytes(raw)


def _part(field: int, message: memoryview) -> Part:
    """Read which values a node, tensor or input needs and makes."""
    needs, makes = set(), set()
    names = {GRAPH_NODE: NODE_OUTPUT, GRAPH_TENSOR: TENSOR_NAME, GRAPH_INPUT: VALUE_NAME}
    for number, value in _messages(message):
        if number == names[field]:
            makes.add(text(value))
        elif field == GRAPH_NODE and number == NODE_INPUT:
            needs.add(text(value))
    return Part(frozenset(needs), frozenset(makes))


def _needed(parts: Iterable[Part], values: list[str]) -> set[str]:
    """Return the names of some values and of all that they depend on."""
    makers = {name: part for part in parts if part.needs for name in part.makes}
    needed, waiting = set(values), list(values)
    while waiting:
        maker = makers.get(waiting.pop())
        new = maker.needs - needed if maker else frozenset()
        needed |= new
        waiting += new
    return needed


def _node(prefix: str) -> bytes:
    """Encode the new layer of one of the networks, a convolution of 1 × 1."""
    parts = [(NODE_INPUT, prefix + "features"), (NODE_INPUT, WEIGHTS), (NODE_INPUT, BIAS)]
    parts += [(NODE_OUTPUT, prefix + "logits"), (NODE_NAME, prefix + LAYER), (NODE_TYPE, "Conv")]
    return _field(GRAPH_NODE, b"".join(_field(number, value.encode()) for number, value in parts))


def _tensor(name: str, values: Float32Array) -> bytes:
    """Encode a tensor of floats as a part of a graph."""
    data = np.ascontiguousarray(values, "<f4").tobytes()
    dims = b"".join(map(encoded_varint, values.shape))
    kind = encoded_varint(TENSOR_TYPE << 3) + encoded_varint(FLOAT)
    named = _field(TENSOR_NAME, name.encode()) + _field(TENSOR_RAW, data)
    return _field(GRAPH_TENSOR, _field(TENSOR_DIMS, dims) + kind + named)


def _field(number: int, value: bytes) -> bytes:
    """Encode a field of bytes."""
    return encoded_varint(number << 3 | BYTES) + encoded_varint(len(value)) + value


def encoded_varint(value: int) -> bytes:
    """Encode an integer in variable length."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
