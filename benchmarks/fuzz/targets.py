"""What is fuzzed, and what may come of it; imported in the fuzzing process only."""

from __future__ import annotations

import gc
import mmap
import resource
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["skdefocus", "PIL", "tifffile"]):
    import numpy as np
    import onnx

    import skdefocus as sd
    from skdefocus import io, network, optics

from benchmarks.fuzz import mutators, seeds

MAX_PIXELS = 1_000_000
SECONDS = 5.0
MEMORY = 2**30
#: Accepted networks that are changed further.
POOL = 512
IMAGE = np.linspace(0, 1, 40 * 56, dtype=np.float32).reshape(40, 56)


class Target:
    """One thing to fuzz: calls it, counts, and keeps what is not as promised."""

    name = ""
    max_len = 0

    def __init__(self, folder: Path) -> None:
        self.findings = folder / "findings"
        self.path = Path(tempfile.mkdtemp()) / "input"
        # Counts lie in a file, since a crash leaves no time to report them.
        with open(folder / "counts", "a+b") as file:
            file.truncate(COUNTS.size)
            self.counts = mmap.mmap(file.fileno(), COUNTS.size)
        self.memory = peak()

    def seeds(self) -> list[bytes]:
        raise NotImplementedError

    def mutate(self, data: bytes, max_size: int, seed: int) -> bytes:
        raise NotImplementedError

    def use(self) -> bool:
        """Read the file; True if it was accepted, False if refused as promised."""
        raise NotImplementedError

    def remember(self, data: bytes) -> None:
        """Called with what was accepted."""

    def __call__(self, data: bytes) -> None:
        """One input."""
        self.path.write_bytes(data)
        tried, accepted, refused = COUNTS.unpack(self.counts[:])
        start = time.perf_counter()
        try:
            if self.use():
                accepted += 1
                self.remember(data)
            else:
                refused += 1
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            frames = traceback.extract_tb(error.__traceback__)
            last = frames[-2 if isinstance(error, PromiseError) else -1]
            place = f"{type(error).__name__} {Path(last.filename).name}:{last.lineno}"
            self.keep(data, place, traceback.format_exc())
        self.counts[:] = COUNTS.pack(tried + 1, accepted, refused)
        if (seconds := time.perf_counter() - start) > SECONDS:
            self.keep(data, "slow", f"{seconds:.1f} s")
        if (now := peak()) > self.memory + MEMORY:
            self.keep(data, "memory", f"{(now - self.memory) / 2**20:.0f} MiB")
            self.memory = now
        if tried % 500 == 0:
            gc.collect()

    def check_message(self, error: Exception) -> None:
        """One line that names the file."""
        promised(repr(str(self.path)) in str(error), f"a message that names the file: {error}")
        promised("\n" not in str(error), f"a message of one line: {error}")

    def keep(self, data: bytes, what: str, text: str) -> None:
        """Save an input, once for each thing that can happen."""
        name = what.split()[0] + "-" + sha256(what.encode()).hexdigest()[:10]
        if not (self.findings / name).exists():
            (self.findings / name).write_bytes(data)
            (self.findings / f"{name}.txt").write_text(f"{what}\n{text}\n")


COUNTS = struct.Struct("<QQQ")


class PromiseError(Exception):
    """What the documentation promises did not hold."""


def promised(holds: object, what: str) -> None:
    """Raise if it does not hold."""
    if not holds:
        raise PromiseError(what)


class Files(Target):
    """The readers of photographs and of their EXIF block."""

    name = "files"
    max_len = 8192

    def seeds(self) -> list[bytes]:
        return list(seeds.files())

    def mutate(self, data: bytes, max_size: int, seed: int) -> bytes:
        return mutators.mutate_file(atheris.Mutate, data, max_size, seed)

    def use(self) -> bool:
        with suppress(OSError):
            optics.read_lens_facts(self.path)
        try:
            pixels = io.read_image(self.path, max_pixels=MAX_PIXELS)
        except io.ReadError as error:
            self.check_message(error)
            return False
        promised(pixels.shape[2:] in ((), (3,)), "gray or RGB")
        promised(0 < pixels.shape[0] * pixels.shape[1] <= MAX_PIXELS, "max_pixels holds")
        promised(pixels.dtype in (np.uint8, np.uint16, np.float32), "one of three dtypes")
        promised(pixels.flags.c_contiguous and pixels.flags.writeable, "an array of its own")
        low, high = pixels.min(), pixels.max()
        promised(pixels.dtype != np.float32 or 0 <= low <= high <= 1, "floats within [0, 1]")
        return True


class Models(Target):
    """The checks of a network given by path, and its use on one photograph."""

    name = "models"
    max_len = 65536

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.operators = [schema.name.encode() for schema in onnx.defs.get_all_schemas()]
        self.accepted: list[bytes] = []

    def seeds(self) -> list[bytes]:
        return list(seeds.models())

    def mutate(self, data: bytes, max_size: int, seed: int) -> bytes:
        # ONNX Runtime's coverage is not seen: without this, most of what is tried is broken anyway.
        if self.accepted and seed % 4:
            data = self.accepted[seed // 4 % len(self.accepted)]
        # atheris.Mutate is another function once the fuzzing has begun.
        return mutators.mutate_model(atheris.Mutate, self.operators, data, max_size, seed)

    def remember(self, data: bytes) -> None:
        if len(self.accepted) < POOL:
            self.accepted.append(data)
        else:
            self.accepted[zlib.crc32(data) % POOL] = data

    def use(self) -> bool:
        network._runtime._load_facts.cache_clear()
        network._runtime._session.cache_clear()
        try:
            facts = network.load_facts(str(self.path))
            extractor = sd.PatchExtractor(facts.patch_size, step=facts.stride)
            classifier = sd.BlurLevelClassifier(self.path, n_threads=1)
            (levels,) = classifier.transform(extractor.transform([IMAGE]))
            size = facts.patch_size
            alone = classifier.predict_proba(np.linspace(0, 1, 2 * size**2).reshape(2, size, size))
        except ValueError as error:
            self.check_message(error)
            return False
        shape = (*extractor.transform([IMAGE])[0].shape, len(levels.sigmas))
        promised(levels.proba.shape == shape, "an answer for every cell")
        for proba in (levels.proba, alone):
            promised(np.allclose(proba.sum(-1), 1, atol=1e-3), "probabilities")
        return True


def peak() -> int:
    """Most memory that the process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def fuzz(target: str, folder: Path, seconds: int, seed: int) -> None:
    """Fuzz one target in this process; ends the process."""
    warnings.simplefilter("ignore")  # damaged files make Pillow and tifffile warn
    one = {t.name: t for t in (Files, Models)}[target](folder)
    corpus = folder / "corpus"
    if not any(corpus.iterdir()):
        for data in one.seeds():
            (corpus / sha256(data).hexdigest()[:16]).write_bytes(data)
    limit = (peak() + MEMORY) // 2**20
    options = [
        f"-max_total_time={seconds}", f"-seed={seed}", f"-max_len={one.max_len}",
        f"-timeout={SECONDS:.0f}", f"-rss_limit_mb={limit}", "-print_final_stats=1",
        f"-artifact_prefix={one.findings}/", "-mutate_depth=2", str(corpus),
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options], one, custom_mutator=one.mutate)
    atheris.Fuzz()
