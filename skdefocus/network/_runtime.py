"""Loading and running of blur-level networks: the only file that uses ONNX Runtime."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np

from skdefocus._typing import Float32Array
from skdefocus.network._model_file import check_outline

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

FORMAT = "skdefocus-blur-levels-2"
SHIPPED = "blur_levels.onnx"
#: Limits of a sensible blur-level network; larger numbers are mistakes or bad intent.
MAX_BYTES = 200 * 2**20
MAX_SIDE = 1024
MAX_LEVELS = 1000
#: Largest logit or feature; beyond it, computations with them overflow.
MAX_ANSWER = 1e12
#: Sessions of this process that are in use.
_sessions: WeakSet[InferenceSession] = WeakSet()
#: How ONNX Runtime's arena grows: by what is asked for. By default it doubles, and a network on a
#: large tile then takes a third more memory.
ARENA = {"arena_extend_strategy": 1}
#: Run option: give the memory that is not in use back to the system afterwards.
SHRINK = ("memory.enable_memory_arena_shrinkage", "cpu:0")
#: Words in ONNX Runtime's errors when memory runs out; they have no class of their own.
NO_MEMORY = ("AllocateRaw", "bad_alloc", "bad allocation", "Failed to allocate memory")


@dataclass(frozen=True)
class ModelFacts:
    """Facts of a network, from its model file's metadata.

    Attributes
    ----------
    path : str
    digest : str
        SHA-256 of the file.
    sigmas : tuple of float
        σ of the levels in pixels, ascending.
    prior : tuple of float
        How common the levels were in training, summing to 1; uniform if the file does not say.
    patch_size, stride, multiple, reach : int
        In pixels: side of a patch, side of the cells that have one answer each, what height and
        width of an image must be multiples of, and how far beyond its cell an answer can depend
        on the image.
    metadata : dict
        All entries, as written at export.
    """

    path: str
    digest: str
    sigmas: tuple[float, ...]
    prior: tuple[float, ...]
    patch_size: int
    stride: int
    multiple: int
    reach: int
    metadata: dict[str, str]


def model_path(path: str | os.PathLike[str] | None) -> str:
    """Return the path of the given file, or of the network that ships with the package."""
    if path is None:
        return str(resources.files("skdefocus.network") / SHIPPED)
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"model must be a path or None, got {path!r}")
    return os.fsdecode(path)


def load_facts(path: str) -> ModelFacts:
    """Read and check a model file; its outline is checked before any of it runs.

    Raises
    ------
    ValueError
        If the file does not exist, is too large or not an ONNX model, needs other files or
        operators that are not part of ONNX, or lacks the metadata, input or outputs of a blur-level
        network. The message names the file.
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"model must be a readable ONNX file, got {path!r}: {error}") from None
    if not stat.S_ISREG(found.st_mode):  # opening a pipe could wait forever
        raise ValueError(f"model must be an ONNX file, {path!r} is not a regular file")
    return _load_facts(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=8)
def _load_facts(path: str, _mtime: int, _size: int) -> ModelFacts:
    """Read and check a model file of a given age and size."""
    digest = hashlib.sha256(_read(path)).hexdigest()
    session = _session(path, digest, 1, None, os.getpid())
    try:
        metadata = dict(session.get_modelmeta().custom_metadata_map)
        if metadata.get("format") != FORMAT:
            raise ValueError(
                f"metadata 'format' is {metadata.get('format')!r}, expected {FORMAT!r}"
            )
        sigmas = _sigmas(metadata)
        prior = _prior(metadata, len(sigmas))
        patch_size = _integer(metadata, "patch_size", 1, MAX_SIDE)
        stride = _integer(metadata, "stride", 1, patch_size)
        multiple = _integer(metadata, "multiple", stride, MAX_SIDE)
        if patch_size % stride or multiple % stride:
            raise ValueError(
                f"metadata 'patch_size' and 'multiple' must be multiples of the stride {stride}, "
                f"got {patch_size} and {multiple}"
            )
        reach = _integer(metadata, "reach", 0, MAX_SIDE)
        _check_signature(session)
        _check_answer(session, len(sigmas), multiple, stride)
    except (MemoryError, ValueError) as error:
        raise ValueError(f"model {path!r} is not a blur-level network: {error}") from None
    return ModelFacts(path, digest, sigmas, prior, patch_size, stride, multiple, reach, metadata)


def _read(path: str) -> bytes:
    """Read a model file of limited size."""
    try:
        with open(path, "rb") as file:
            # Python reserves as many bytes as asked for, so do not ask for more than needed.
            data = file.read(min(os.fstat(file.fileno()).st_size, MAX_BYTES) + 1)
    except OSError as error:
        raise ValueError(f"model must be a readable ONNX file, got {path!r}: {error}") from None
    if len(data) > MAX_BYTES:
        raise ValueError(f"model must have at most {MAX_BYTES} bytes, {path!r} has more")
    return data


def checked_bytes(path: str, digest: str) -> bytes:
    """Read a checked model file again; ValueError if it has changed since."""
    data = _read(path)
    if hashlib.sha256(data).hexdigest() != digest:
        raise ValueError(f"model {path!r} has changed since it was checked")
    return data


def _numbers(metadata: dict[str, str], key: str) -> list[float]:
    """Read a list of numbers from the metadata."""
    text = metadata.get(key, "")
    try:
        values = json.loads(text, parse_int=float)  # no integers too large for a float
    except (ValueError, RecursionError):
        values = None
    if not (isinstance(values, list) and all(type(value) is float for value in values)):
        raise ValueError(f"metadata {key!r} must be a list of numbers, got {text[:80]!r}")
    return values


def _sigmas(metadata: dict[str, str]) -> tuple[float, ...]:
    """Read the σ of the levels from the metadata."""
    values = _numbers(metadata, "sigmas")
    if not (
        2 <= len(values) <= MAX_LEVELS
        and values[0] >= 0
        and np.all(np.diff(values) > 0)
        and values[-1] <= MAX_SIDE
    ):
        raise ValueError(
            f"metadata 'sigmas' must hold 2 to {MAX_LEVELS} numbers that ascend from 0 or more "
            f"to at most {MAX_SIDE}, got {metadata['sigmas'][:80]!r}"
        )
    return tuple(values)


def _prior(metadata: dict[str, str], levels: int) -> tuple[float, ...]:
    """Read how common the levels were in training, or return a uniform distribution."""
    if "prior" not in metadata:
        return (1 / levels,) * levels
    values = _numbers(metadata, "prior")
    total = sum(values)
    if len(values) != levels or not min(values) > 0 or not abs(total - 1) < 1e-3:
        raise ValueError(
            f"metadata 'prior' must hold {levels} positive numbers that sum to 1, "
            f"got {metadata['prior'][:80]!r}"
        )
    return tuple(value / total for value in values)


def _integer(metadata: dict[str, str], key: str, low: int, high: int) -> int:
    """Read an integer in a range from the metadata."""
    text = metadata.get(key, "")
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise ValueError(
            f"metadata {key!r} must be a whole number from {low} to {high}, got {text[:80]!r}"
        )
    return value


def _check_signature(session: InferenceSession) -> None:
    """Check the names, types and shapes of the inputs and outputs."""
    inputs = [(i.name, i.type, len(i.shape)) for i in session.get_inputs()]
    if inputs != [("image", "tensor(float)", 4)]:
        raise ValueError(f"its inputs are {inputs}, expected one float 'image' (N, 1, H, W)")
    shape = session.get_inputs()[0].shape
    if shape[1] != 1 or any(isinstance(shape[i], int) for i in (0, 2, 3)):
        raise ValueError(f"'image' has shape {shape}, expected [N, 1, H, W] with N, H and W free")
    outputs = {o.name: (o.type, len(o.shape)) for o in session.get_outputs()}
    if outputs != dict.fromkeys(("logits", "features"), ("tensor(float)", 4)):
        raise ValueError(
            f"its outputs are {outputs}, expected float 'logits' and 'features' (N, C, rows, cols)"
        )


def _check_answer(session: InferenceSession, levels: int, multiple: int, stride: int) -> None:
    """Check on a small image that there is one answer per cell, as the metadata promise."""
    image = np.linspace(0, 1, 2 * multiple**2, dtype=np.float32).reshape(1, multiple, -1)
    for output, channels in (("logits", levels), ("features", None)):
        _answer(session, image, output, channels, stride)


def _answer(
    session: InferenceSession,
    images: Float32Array,
    output: str,
    channels: int | None,
    stride: int,
) -> Float32Array:
    """Compute one output for (N, H, W) images; ValueError if it breaks the metadata's promises."""
    try:
        found: Any = session.run([output], {"image": np.ascontiguousarray(images)[:, None]})[0]
    except Exception as error:  # ONNX Runtime has its own classes of errors
        if any(sign in str(error) for sign in NO_MEMORY):
            raise MemoryError(f"the network needs more memory for {images.shape}") from None
        raise ValueError(f"it does not run on an image: {_first_line(error)}") from None
    rows, columns = (n // stride for n in images.shape[1:])
    shape = np.shape(found)
    if len(shape) != 4 or shape != (len(images), channels or max(1, shape[1]), rows, columns):
        raise ValueError(
            f"images of shape {images.shape} in cells of {stride} pixels "
            f"give {output} of shape {shape}, expected "
            f"({len(images)}, {channels or 'features'}, {rows}, {columns})"
        )
    if not np.abs(found).max() <= MAX_ANSWER:  # also False for NaN
        raise ValueError(f"its {output} hold NaN, infinity or numbers beyond {MAX_ANSWER:g}")
    return found


def _first_line(error: Exception) -> str:
    """Return the first line of an error, or its class."""
    return (str(error).splitlines() or [type(error).__name__])[0]


@lru_cache(maxsize=8)
def _session(
    path: str, digest: str, n_threads: int, providers: tuple[str, ...] | None, _pid: int
) -> InferenceSession:
    """Load a checked model file for a process."""
    # The cache is keyed by process, because the threads of a session do not survive a fork. The
    # session is made from the bytes that were checked, so that a changed file cannot slip in.
    import onnxruntime

    data = checked_bytes(path, digest)
    try:
        check_outline(data)
    except ValueError as error:
        raise ValueError(
            f"model must be an ONNX file and self-contained, {path!r} is not: {error}"
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # failures are raised anyway
    options.add_session_config_entry("session.load_model_format", "ONNX")
    # Threads that spin while they wait take the cores from other work, and from each other.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if _arena() == os.getpid():
        options.add_session_config_entry("session.use_env_allocators", "1")
    try:
        session = onnxruntime.InferenceSession(
            data,
            options,
            enable_fallback=0,  # the fallback prints to stdout
            providers=list(providers or ("CPUExecutionProvider",)),
        )
    except Exception as error:
        raise ValueError(
            f"model must be an ONNX file that ONNX Runtime can run, {path!r} is not: "
            f"{_first_line(error)}"
        ) from None
    _sessions.add(session)
    return session


@lru_cache(maxsize=1)
def _arena() -> int:
    """Make the arena that the sessions of this process share; return the process.

    A forked child has sessions with arenas of their own: another thread of its parent may have
    locked this one.
    """
    import onnxruntime

    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    try:
        onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg(ARENA))
    except Exception:  # another package has made one; ONNX Runtime's errors are its own
        return -1
    return os.getpid()


def _keep_sessions() -> None:
    """Keep the sessions of the parent process in a forked child, until it ends.

    The destructor of a session waits for its threads, which a fork does not copy: the child would
    hang when it frees one, at the latest at its end.
    """
    import ctypes

    for session in list(_sessions):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep_sessions)


def run(
    facts: ModelFacts,
    images: Float32Array,
    output: str,
    n_threads: int,
    providers: tuple[str, ...] | None = None,
) -> Float32Array:
    """Run the network on gray images (N, H, W); return (N, H / stride, W / stride, channels).

    H and W must be multiples of the network's `multiple`.

    Raises
    ------
    ValueError
        If the network fails, or its answers are not finite or not as many as its metadata promise.
        The message names the file.
    MemoryError
        If there is not enough memory for `images`.
    """
    session = _session(facts.path, facts.digest, n_threads, providers, os.getpid())
    channels = len(facts.sigmas) if output == "logits" else None
    try:
        found = _answer(session, images, output, channels, facts.stride)
    except ValueError as error:
        raise ValueError(f"model {facts.path!r} gives unusable answers: {error}") from None
    return np.moveaxis(found, 1, -1)


def release_memory(
    facts: ModelFacts, n_threads: int, providers: tuple[str, ...] | None = None
) -> None:
    """Give the memory of former runs back to the system; the next run has to ask for it again.

    ONNX Runtime does so at the end of a run alone, so this runs the network on a tiny image.
    """
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry(*SHRINK)
    image = np.zeros((1, 1, facts.multiple, facts.multiple), np.float32)
    session = _session(facts.path, facts.digest, n_threads, providers, os.getpid())
    session.run(["logits"], {"image": image}, options)
