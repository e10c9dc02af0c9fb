"""Small files of every kind that the readers know, to begin from; made here, always the same."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
import onnx
import tifffile
from onnx import TensorProto, helper
from PIL import ExifTags, Image

from skdefocus import network

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (12, 17), np.uint8)
RGB = RNG.integers(0, 256, (12, 17, 3), np.uint8)
DEEP_RGB = RNG.integers(0, 65536, (12, 17, 3), np.uint16)
#: Format and options of Pillow, and the modes to write in it.
PILLOW: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("PNG", {}, ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
    ("JPEG", {}, ("L", "RGB", "CMYK")),
    ("JPEG", {"progressive": True}, ("RGB",)),
    ("WEBP", {}, ("RGB", "RGBA")),
    ("WEBP", {"lossless": True}, ("RGB",)),
    ("AVIF", {}, ("RGB",)),
    ("JPEG2000", {}, ("L", "RGB", "RGBA")),
    ("JPEG2000", {"no_jp2": True}, ("RGB",)),
    ("GIF", {}, ("L", "P")),
    ("BMP", {}, ("1", "L", "P", "RGB")),
    ("PPM", {}, ("1", "L", "RGB", "I;16", "F")),
    ("TIFF", {}, ("1", "L", "LA", "P", "RGB", "CMYK", "F")),
    *(("TIFF", {"compression": c}, ("L", "RGB")) for c in ("packbits", "tiff_lzw", "jpeg")),
    ("TIFF", {"compression": "group4"}, ("1",)),
]
TIFF: list[dict[str, Any]] = [
    {"photometric": "rgb"},
    {"photometric": "rgb", "byteorder": ">"},
    {"photometric": "rgb", "compression": "zlib", "predictor": True},
    {"photometric": "rgb", "tile": (16, 16)},
    {"photometric": "rgb", "bigtiff": True},
    {"photometric": "rgb", "planarconfig": "separate", "rowsperstrip": 4},
]


def files() -> Iterator[bytes]:
    """One file of every kind that is read."""
    for kind, options, modes in PILLOW:
        for mode in modes:
            yield _pillow(kind, mode, **options)
    frames = [Image.fromarray(GRAY), Image.fromarray(255 - GRAY)]
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        yield _saved(frames[0], kind, save_all=True, append_images=frames[1:])
    for kind in ("JPEG", "PNG", "TIFF", "WEBP"):
        yield _saved(Image.fromarray(RGB), kind, exif=_exif())
    for options in TIFF:
        pixels = DEEP_RGB if "planarconfig" not in options else np.moveaxis(DEEP_RGB, -1, 0)
        yield _tiff(np.ascontiguousarray(pixels), **options)
    for dtype in (np.float16, np.float32, np.float64, np.uint16, np.int16, np.uint32):
        values = GRAY / 255 if np.dtype(dtype).kind == "f" else GRAY
        yield _tiff(values.astype(dtype), photometric="minisblack")


def _pillow(kind: str, mode: str, **options: Any) -> bytes:
    if mode == "I;16":
        image = Image.fromarray(DEEP_RGB[..., 0])
    elif mode == "F":
        image = Image.fromarray((GRAY / 255).astype(np.float32))
    elif mode in ("LA", "RGBA"):
        image = Image.fromarray(np.dstack([RGB, GRAY])).convert(mode)
    else:
        image = Image.fromarray(RGB).convert(mode)
    return _saved(image, kind, **options)


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _tiff(pixels: np.ndarray, **options: Any) -> bytes:
    buffer = BytesIO()
    tifffile.imwrite(buffer, pixels, metadata=None, **options)
    return buffer.getvalue()


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    said = exif.get_ifd(ExifTags.IFD.Exif)
    said[ExifTags.Base.FocalLength] = 50.0
    said[ExifTags.Base.FNumber] = 2.0
    said[ExifTags.Base.SubjectDistance] = 1.5
    said[ExifTags.Base.FocalPlaneXResolution] = 4000.0
    return exif


def models() -> Iterator[bytes]:
    """Blur-level networks of a few operators, and files that ask for what is not granted."""
    node = helper.make_node
    pool = node("AveragePool", ["image"], ["features"], kernel_shape=[8, 8], strides=[8, 8])
    concat = node("Concat", ["features"] * 3, ["logits"], axis=1)
    yield _model([pool, concat])
    mean = node("GlobalAveragePool", ["patches"], ["patch_features"])
    yield _model(
        [pool, concat, mean, node("Concat", ["patch_features"] * 3, ["patch_logits"], axis=1)]
    )
    weight = RNG.normal(size=(3, 1, 8, 8)).astype(np.float32)
    conv = node("Conv", ["image", "weight"], ["features"], strides=[8, 8])
    yield _model([conv, node("Softmax", ["features"], ["logits"], axis=1)], weight=weight)
    yield _model(
        [
            node("Clip", ["image", "low", "high"], ["clipped"]),
            node("Pad", ["clipped", "pads"], ["padded"], mode="reflect"),
            node("Resize", ["padded", "", "scales"], ["resized"], mode="linear"),
            node("AveragePool", ["resized"], ["features"], kernel_shape=[5, 5], strides=[4, 4]),
            node("Tile", ["features", "repeats"], ["logits"]),
        ],
        low=np.float32(0),
        high=np.float32(1),
        pads=np.array([0, 0, 1, 1, 0, 0, 1, 1]),
        scales=np.array([1, 1, 0.5, 0.5], np.float32),
        repeats=np.array([1, 3, 1, 1]),
    )
    yield _model(
        [
            pool,
            node("Shape", ["features"], ["shape"]),
            node("Mul", ["shape", "thrice"], ["wanted"]),
            node("Expand", ["one", "wanted"], ["ones"]),
            node("ReduceMean", ["features"], ["mean"], axes=[2, 3], keepdims=1),
            node("Mul", ["ones", "mean"], ["logits"]),
        ],
        thrice=np.array([1, 3, 1, 1]),
        one=np.float32(1),
    )
    outside = helper.make_tensor("weight", TensorProto.FLOAT, [1], [1.0])
    outside.ClearField("float_data")
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="weights.bin")
    yield _model([pool, concat, node("Constant", [], ["unused"], value=outside)])
    branch = helper.make_graph([pool], "branch", [], [_value("features")])
    yield _model([node("If", ["weight"], ["features"], then_branch=branch, else_branch=branch)])
    yield _model([node("Concat", ["image"] * 3, ["logits"], axis=1, domain="com.microsoft")])
    yield _first_layers()


def _value(name: str, channels: Any = "c") -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", channels, "h", "w"])


def _model(nodes: list[onnx.NodeProto], **weights: Any) -> bytes:
    tensors = [onnx.numpy_helper.from_array(np.asarray(w), name) for name, w in weights.items()]
    inputs, outputs = [_value("image", 1)], [_value("logits"), _value("features")]
    if any("patches" in node.input for node in nodes):
        shape = ["m", 1, 16, 16]
        inputs.append(helper.make_tensor_value_info("patches", TensorProto.FLOAT, shape))
        outputs += [_value("patch_logits"), _value("patch_features")]
    return _packed(helper.make_graph(nodes, "graph", inputs, outputs, tensors), 16)


def _packed(graph: onnx.GraphProto, patch_size: int) -> bytes:
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    facts = {
        "format": network.FORMAT,
        "sigmas": "[0.0, 1.0, 2.5]",
        "prior": "[0.5, 0.3, 0.2]",
        "stride": "8",
        "multiple": "16",
        "reach": "0",
    }
    helper.set_model_props(model, facts | {"patch_size": str(patch_size)})
    return model.SerializeToString()


def _first_layers() -> bytes:
    """The shipped network up to its second convolution, averaged to three levels."""
    graph = onnx.load(network.model_path(None)).graph
    ends = [i for i, node in enumerate(graph.node) if node.op_type == "Conv"]
    nodes = list(graph.node[: ends[1] + 1])
    used = {name for node in nodes for name in node.input}
    weights = [tensor for tensor in graph.initializer if tensor.name in used]
    last = nodes[-1].output[0]
    nodes += [
        helper.make_node("ReduceMean", [last], ["mean"], axes=[1], keepdims=1),
        helper.make_node(
            "AveragePool", ["mean"], ["features"], kernel_shape=[4, 4], strides=[4, 4]
        ),
        helper.make_node("Concat", ["features"] * 3, ["logits"], axis=1),
    ]
    outputs = [_value("logits"), _value("features")]
    return _packed(helper.make_graph(nodes, "graph", [_value("image", 1)], outputs, weights), 32)
