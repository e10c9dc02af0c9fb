"""Loading and running of blur-level networks: the only file that uses ONNX Runtime."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np
from numpy.typing import ArrayLike

from skdefocus._typing import Float32Array
from skdefocus.network._metadata import ModelFacts, read_facts
from skdefocus.network._model_file import check_outline
from skdefocus.network._model_head import with_output

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

SHIPPED = "blur_levels.onnx"
#: Limit of a sensible blur-level network's file; larger ones are mistakes or bad intent.
MAX_BYTES = 200 * 2**20
#: Type and names of the outputs, and what those of a patch network begin with.
FLOAT, OUTPUTS, PATCH = "tensor(float)", ("logits", "features"), "patch_"
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
        facts = read_facts(path, digest, metadata)
        facts = replace(facts, has_patch_network=_check_signature(session, facts.patch_size))
        _check_answers(session, facts)
    except (MemoryError, ValueError) as error:
        raise ValueError(f"model {path!r} is not a blur-level network: {error}") from None
    return facts


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


def _check_signature(session: InferenceSession, patch_size: int) -> bool:
    """Check the inputs and outputs; return whether there are those of a patch network."""
    inputs = [(i.name, i.type, len(i.shape)) for i in session.get_inputs()]
    expected = [(name, FLOAT, 4) for name in ("image", "patches")]
    if inputs not in (expected[:1], expected):
        raise ValueError(
            f"its inputs are {inputs}, expected float 'image' (N, 1, H, W), and after it float "
            "'patches' (M, 1, size, size) if there is a network for patches by themselves"
        )
    image, *patches = (i.shape for i in session.get_inputs())
    if image[1] != 1 or any(isinstance(image[i], int) for i in (0, 2, 3)):
        raise ValueError(f"'image' has shape {image}, expected [N, 1, H, W] with N, H and W free")
    if patches and (
        isinstance(patches[0][0], int) or patches[0][1:] != [1, patch_size, patch_size]
    ):
        raise ValueError(
            f"'patches' has shape {patches[0]}, expected [M, 1, {patch_size}, {patch_size}] with M "
            "free"
        )
    outputs = {o.name: (o.type, len(o.shape)) for o in session.get_outputs()}
    names = [prefix + name for prefix in ("", PATCH)[: len(inputs)] for name in OUTPUTS]
    if outputs != dict.fromkeys(names, (FLOAT, 4)):
        raise ValueError(f"its outputs are {outputs}, expected float {names} (N, C, rows, columns)")
    return bool(patches)


def _check_answers(session: InferenceSession, facts: ModelFacts) -> None:
    """Check on small inputs that there are as many answers as the metadata promise."""
    levels, side, size = len(facts.sigmas), facts.multiple, facts.patch_size
    image = np.linspace(0, 1, 2 * side**2, dtype=np.float32).reshape(1, side, -1)
    _answer(session, image, "logits", levels, facts.stride)
    features = _answer(session, image, "features", None, facts.stride)
    if facts.has_patch_network:
        patches = np.linspace(0, 1, 2 * size**2, dtype=np.float32).reshape(2, size, size)
        _patch_answer(session, patches, "logits", levels, side)
        # One re-fitted last layer serves both networks.
        _patch_answer(session, patches, "features", features.shape[1], side)


def _answer(
    session: InferenceSession,
    images: Float32Array,
    output: str,
    channels: int | None,
    stride: int,
) -> Float32Array:
    """Compute one output for (N, H, W) images; ValueError if it breaks the metadata's promises."""
    rows, columns = (n // stride for n in images.shape[1:])
    expected = (len(images), channels, rows, columns)
    asked = f"images of shape {images.shape} in cells of {stride} pixels"
    return _checked(session, _given(session, images), output, expected, asked)


def _given(session: InferenceSession, images: ArrayLike) -> dict[str, Float32Array]:
    """Make the inputs for (N, H, W) images."""
    _, *patches = session.get_inputs()
    # All outputs are computed, whichever is asked for: no patches, no work for a patch network.
    given = {i.name: np.empty((0, *i.shape[1:]), np.float32) for i in patches}
    return given | {"image": np.ascontiguousarray(images, np.float32)[:, None]}


def _patch_answer(
    session: InferenceSession,
    patches: Float32Array,
    output: str,
    channels: int | None,
    multiple: int,
) -> Float32Array:
    """Compute one output of the patch network for (N, size, size) patches, as `_answer` does."""
    # ONNX Runtime 1.18 fails without an image, so the other network gets the smallest one.
    image = np.zeros((1, 1, multiple, multiple), np.float32)
    given = {"image": image, "patches": np.ascontiguousarray(patches)[:, None]}
    given = {i.name: given[i.name] for i in session.get_inputs()}
    asked = f"patches of shape {patches.shape}"
    return _checked(session, given, PATCH + output, (len(patches), channels, 1, 1), asked)


def _checked(
    session: InferenceSession,
    given: dict[str, Float32Array],
    output: str,
    expected: tuple[int, int | None, int, int],
    asked: str,
) -> Float32Array:
    """Compute one output; ValueError if it has not the expected shape, or is not finite."""
    try:
        found: Any = session.run([output], given)[0]
    except Exception as error:  # ONNX Runtime has its own classes of errors
        if any(sign in str(error) for sign in NO_MEMORY):
            raise MemoryError(f"the network needs more memory for {asked}") from None
        kind = "patches" if output.startswith(PATCH) else "an image"
        raise ValueError(f"it does not run on {kind}: {_first_line(error)}") from None
    n, channels, rows, columns = expected
    shape = np.shape(found)
    if len(shape) != 4 or shape != (n, channels or max(1, shape[1]), rows, columns):
        raise ValueError(
            f"{asked} give {output} of shape {shape}, expected "
            f"({n}, {channels or 'features'}, {rows}, {columns})"
        )
    if not np.abs(found).max() <= MAX_ANSWER:  # also False for NaN
        raise ValueError(f"its {output} hold NaN, infinity or numbers beyond {MAX_ANSWER:g}")
    return found


def _first_line(error: Exception) -> str:
    """Return the first line of an error, or its class."""
    return (str(error).splitlines() or [type(error).__name__])[0]


@lru_cache(maxsize=16)
def _session(
    path: str,
    digest: str,
    n_threads: int,
    providers: tuple[str, ...] | None,
    _pid: int,
    output: str | None = None,
) -> InferenceSession:
    """Load a checked model file for a process; for a single output, only what that needs."""
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
    if output is not None:
        data = with_output(data, output)
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
    session = _session(facts.path, facts.digest, n_threads, providers, os.getpid(), output)
    with _naming(facts):
        found = _answer(session, images, output, _channels(facts, output), facts.stride)
    return np.moveaxis(found, 1, -1)


def run_patches(
    facts: ModelFacts,
    patches: Float32Array,
    output: str,
    n_threads: int,
    providers: tuple[str, ...] | None = None,
) -> Float32Array:
    """Run the patch network on gray patches (n, size, size); return (n, channels).

    The file must have one, see `ModelFacts.has_patch_network`. Errors are those of :func:`run`.
    """
    pid, single = os.getpid(), PATCH + output
    session = _session(facts.path, facts.digest, n_threads, providers, pid, single)
    with _naming(facts):
        found = _patch_answer(session, patches, output, _channels(facts, output), facts.multiple)
    return found[:, :, 0, 0]


def _channels(facts: ModelFacts, output: str) -> int | None:
    """Return the number of channels of an output, or None if the file decides."""
    return len(facts.sigmas) if output == "logits" else None


@contextmanager
def _naming(facts: ModelFacts) -> Iterator[None]:
    """Name the file in the errors of answers."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"model {facts.path!r} gives unusable answers: {error}") from None


def release_memory(
    facts: ModelFacts,
    n_threads: int,
    providers: tuple[str, ...] | None = None,
    output: str = "logits",
) -> None:
    """Give the memory of former runs for an output back; the next run has to ask for it again.

    ONNX Runtime does so at the end of a run alone, so this runs the network on a tiny image.
    """
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry(*SHRINK)
    session = _session(facts.path, facts.digest, n_threads, providers, os.getpid(), output)
    session.run([output], _given(session, np.zeros((1, facts.multiple, facts.multiple))), options)
