"""Changes that keep a file's outer form, so that more than its first check is reached."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable

from skdefocus.network._model_file import BYTES, FIXED32, FIXED64, MODEL_GRAPH, VARINT, read_varint
from skdefocus.network._model_head import encoded_varint

PNG = b"\x89PNG\r\n\x1a\n"
#: What whole numbers of a model are set to.
NUMBERS = (0, 1, 2, 3, 8, 16, 255, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
DEPTH = 12

Change = Callable[[bytes, int], bytes]
Field = tuple[int, int, int | bytes]


def mutate_file(change: Change, data: bytes, max_size: int, seed: int) -> bytes:
    """Change a picture; a PNG mostly gets right checksums again."""
    data = change(data, max_size)
    return with_checksums(data) if data.startswith(PNG) and seed % 8 else data


def with_checksums(data: bytes) -> bytes:
    """Right checksums for the parts of a PNG, as far as its parts can be told."""
    out, at = bytearray(data), len(PNG)
    while at + 12 <= len(out):
        (size,) = struct.unpack_from(">I", out, at)
        end = at + 8 + size
        if end + 4 > len(out):
            break
        struct.pack_into(">I", out, end, zlib.crc32(out[at + 4 : end]))
        at = end + 4
    return bytes(out)


def mutate_model(
    change: Change, operators: list[bytes], data: bytes, max_size: int, seed: int
) -> bytes:
    """Change one to three fields of an ONNX file; the lengths around them stay right."""
    rng = random.Random(seed)
    if rng.random() < 0.2:
        return change(data, max_size)
    for _ in range(rng.randint(1, 3)):
        data = _mutate_message(data, rng, change, operators, 0)
    return data[:max_size]


def _mutate_message(
    data: bytes, rng: random.Random, change: Change, operators: list[bytes], depth: int
) -> bytes:
    fields = parse(data)
    if not fields:
        return change(data, len(data) + 64)
    i = rng.randrange(len(fields))
    if depth == 0 and rng.random() < 0.8:  # what a network does, rather than what it says of itself
        i = next((k for k, (number, *_) in enumerate(fields) if number == MODEL_GRAPH), i)
    number, kind, value = fields[i]
    if isinstance(value, bytes) and depth < DEPTH and rng.random() < 0.85 and parse(value):
        fields[i] = number, kind, _mutate_message(value, rng, change, operators, depth + 1)
        return pack(fields)
    what = rng.randrange(8)
    if what == 0:
        del fields[i]
    elif what == 1:
        fields.insert(rng.randrange(len(fields) + 1), fields[i])
    elif what == 2:
        fields[i] = rng.choice((number + 1, max(1, number - 1), rng.randint(1, 30))), kind, value
    elif isinstance(value, int):
        near = (value + rng.choice((-1, 1))) % 2**64
        fields[i] = number, kind, rng.choice((*NUMBERS, near, near, rng.randrange(2**16)))
    elif what == 3:
        fields[i] = number, kind, rng.choice(operators)
    elif what == 4:
        fields[i] = number, kind, rng.choice(fields)[2]
    else:
        fields[i] = number, kind, change(value, len(value) + 64)
    return pack(fields)


def parse(data: bytes) -> list[Field] | None:
    """Fields of a protobuf message as (number, kind, value), or None if it is none."""
    fields: list[Field] = []
    view, at = memoryview(data), 0
    try:
        while at < len(data):
            tag, at = read_varint(view, at)
            number, kind = tag >> 3, tag & 7
            if kind == VARINT:
                value, at = read_varint(view, at)
                fields.append((number, kind, value))
                continue
            size = {FIXED32: 4, FIXED64: 8}.get(kind, 0)
            if kind == BYTES:
                size, at = read_varint(view, at)
            if number == 0 or kind not in (BYTES, FIXED32, FIXED64) or at + size > len(data):
                return None
            fields.append((number, kind, data[at : at + size]))
            at += size
    except ValueError:
        return None
    return fields


def pack(fields: list[Field]) -> bytes:
    """Bytes of the fields; the value decides how it is stored."""
    out = bytearray()
    for number, kind, value in fields:
        if isinstance(value, int):
            out += encoded_varint(number << 3) + encoded_varint(value)
        elif len(value) == {FIXED32: 4, FIXED64: 8}.get(kind):
            out += encoded_varint(number << 3 | kind) + value
        else:
            out += encoded_varint(number << 3 | BYTES) + encoded_varint(len(value)) + value
    return bytes(out)
