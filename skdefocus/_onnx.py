"""The one file that knows ONNX Runtime: loads a blur-level network and runs it."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

FORMAT = "skdefocus-blur-levels-1"
SHIPPED = "mobilenetv2.onnx"
MAX_BYTES = 200 * 2**20


@dataclass(frozen=True)
class ModelFacts:
    """What stands in a model file's metadata.

    Attributes
    ----------
    path : str
    digest : str
        SHA-256 of the file.
    sigmas : tuple of float
        σ of the levels in pixels, ascending.
    patch_size, stride, reach : int
        Side of a patch, distance of the windows in a dense pass, and how far beyond its patch
        an answer can depend on pixels, all in pixels.
    metadata : dict
        Everything as written at export.
    """

    path: str
    digest: str
    sigmas: tuple[float, ...]
    patch_size: int
    stride: int
    reach: int
    metadata: dict[str, str]


def model_path(path: str | os.PathLike[str] | None) -> str:
    """The given file, or the network that ships with the package."""
    if path is None:
        return str(resources.files("skdefocus") / "models" / SHIPPED)
    return os.fspath(path)


def load_facts(path: str) -> ModelFacts:
    """Read and check a model file.

    Raises
    ------
    ValueError
        If the file is not there, is no ONNX model, or lacks the metadata, input or outputs of a
        blur-level network.
    """
    try:
        stat = os.stat(path)
    except OSError as error:
        raise ValueError(f"model must be a readable ONNX file, got {path!r}: {error}") from None
    return _load_facts(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=8)
def _load_facts(path: str, _mtime: int, size: int) -> ModelFacts:
    if size > MAX_BYTES:
        raise ValueError(f"model must be at most {MAX_BYTES} bytes, {path!r} has {size}")
    session = _session(path, 1, None, os.getpid())
    metadata = dict(session.get_modelmeta().custom_metadata_map)
    problems = []
    if metadata.get("format") != FORMAT:
        problems.append(f"metadata 'format' is {metadata.get('format')!r}, expected {FORMAT!r}")
    inputs = [(i.name, i.type, len(i.shape)) for i in session.get_inputs()]
    if inputs != [("image", "tensor(float)", 4)]:
        problems.append(f"inputs are {inputs}, expected one float 'image' (N, 1, H, W)")
    outputs = {o.name: o.type for o in session.get_outputs()}
    if outputs != {"logits": "tensor(float)", "features": "tensor(float)"}:
        problems.append(f"outputs are {outputs}, expected float 'logits' and 'features'")
    try:
        sigmas = tuple(float(s) for s in json.loads(metadata["sigmas"]))
        numbers = [int(metadata[key]) for key in ("patch_size", "stride", "reach")]
        if len(sigmas) < 2 or sigmas[0] < 0 or not np.all(np.diff(sigmas) > 0):
            problems.append(f"'sigmas' must ascend from 0 or more, got {sigmas}")
        if min(numbers[:2]) < 1 or numbers[2] < 0:
            problems.append(f"patch_size, stride and reach must be positive, got {numbers}")
    except (KeyError, TypeError, ValueError) as error:
        problems.append(f"metadata 'sigmas', 'patch_size', 'stride' or 'reach' is wrong: {error!r}")
    if problems:
        raise ValueError(f"model {path!r} is no blur-level network: {'; '.join(problems)}")
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    patch_size, stride, reach = numbers
    return ModelFacts(path, digest, sigmas, patch_size, stride, reach, metadata)


@lru_cache(maxsize=8)
def _session(
    path: str, n_threads: int, providers: tuple[str, ...] | None, _pid: int
) -> InferenceSession:
    # Keyed by process: the threads of a session do not survive a fork.
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            path, options, providers=list(providers or ("CPUExecutionProvider",))
        )
    except Exception as error:  # ONNX Runtime raises classes of its own, by cause
        raise ValueError(
            f"model must be an ONNX file that ONNX Runtime can run, {path!r} is not: "
            f"{str(error).splitlines()[0]}"
        ) from None


def run(
    facts: ModelFacts,
    images: NDArray[np.float32],
    output: str,
    n_threads: int,
    providers: tuple[str, ...] | None = None,
) -> NDArray[np.float32]:
    """Run the network on (N, H, W) grey images; returns (N, rows, columns, channels)."""
    session = _session(facts.path, n_threads, providers, os.getpid())
    result: Any = session.run([output], {"image": np.ascontiguousarray(images)[:, None]})
    return np.moveaxis(result[0], 1, -1)
