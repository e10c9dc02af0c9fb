"""Memory of the network, whose sessions share an arena, and threads that its import starts."""

import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skdefocus import network
from skdefocus.network import _runtime

#: Prints the bytes of memory per pixel that the shipped network takes, and those that stay.
MEASURE = """
import numpy as np
from skdefocus import network

def memory(line):
    with open("/proc/self/status") as file:
        return next(int(text.split()[1]) * 1024 for text in file if text.startswith(line))

facts = network.load_facts(network.model_path(None))
image = np.random.default_rng(0).random((1, 1136, 1136), np.float32)
network.run(facts, image[:, :64, :64], "logits", 1)
before = memory("VmRSS:")
network.run(facts, image, "logits", 1)
peak = memory("VmHWM:")
network.release_memory(facts, 1)
print((peak - before) / image.size, (memory("VmRSS:") - before) / image.size)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_run_takes_little_memory_and_gives_it_back():
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True)
    peak, kept = map(float, done.stdout.split())
    assert peak < 230  # an arena that doubles takes 360
    assert kept < 140


def test_a_process_without_an_arena_of_its_own_works_too(monkeypatch):
    import onnxruntime

    def refuse(*arguments):
        raise RuntimeError("it is registered already")

    monkeypatch.setattr(onnxruntime, "create_and_register_allocator", refuse)
    assert _runtime._arena.__wrapped__() != os.getpid()
    monkeypatch.setattr(_runtime, "_arena", lambda: -1)
    facts = network.load_facts(network.model_path(None))
    image = np.random.default_rng(0).random((1, 64, 64), np.float32)
    session = _runtime._session.__wrapped__(facts.path, facts.digest, 1, None, os.getpid())
    found = _runtime._answer(session, image, "logits", len(facts.sigmas), facts.stride)
    assert_allclose(np.moveaxis(found, 1, -1), network.run(facts, image, "logits", 1), atol=1e-4)


#: Prints the number of threads that the import of ONNX Runtime starts.
IMPORT = """
import os
import skdefocus

before = len(os.listdir("/proc/self/task"))
import onnxruntime
print(len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="counts threads in /proc")
def test_onnx_runtime_reports_to_nobody(tmp_path):
    """From 1.29 on it does at import by default, from a thread, and keeps a file at home."""
    environment = {name: os.environ[name] for name in os.environ if not name.startswith("ORT_")}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-c", IMPORT]
    assert subprocess.check_output(command, env=environment, text=True) == "0\n"
    assert os.listdir(tmp_path) == []
