"""Memory and disk that are full: one line each, and no half file."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.fault_cases import HANG, PHOTOS, save
from PIL import Image

import skdefocus as sd
from skdefocus import network
from skdefocus.io import write_map

OUT_OF_MEMORY = """
import resource, sys
import numpy as np
import skdefocus as sd
from skdefocus.cli import main

sd.defocus_map(np.zeros((40, 40)))
import joblib, tqdm, skdefocus.cli._batch
tqdm.tqdm.monitor_interval = 0
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + int(sys.argv[1]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs RLIMIT_AS and /proc")
def test_a_photograph_too_large_for_the_memory(tmp_path):
    small, large, last = save(tmp_path / "in", 3)
    Image.fromarray(np.tile(PHOTOS[0], (25, 25))).convert("RGB").save(large)
    command = ["map", small, large, last, "--out", str(tmp_path / "m"), "--no-picture"]
    # Threads each reserve memory of their own.
    child = subprocess.run(
        [sys.executable, "-c", OUT_OF_MEMORY, "64", *command],
        capture_output=True, text=True, timeout=HANG, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
             "LOKY_MAX_CPU_COUNT": "1"},
    )  # fmt: skip
    assert child.returncode == 1
    assert len(child.stderr.splitlines()) == 1
    assert child.stderr.startswith(f"skdefocus: {large!r}: not enough memory")
    assert sorted(os.listdir(tmp_path / "m")) == [
        f"{i}_sigma.{suffix}" for i in ("00", "02") for suffix in ("png", "tif")
    ]


def test_a_network_that_needs_too_much_memory_says_so(monkeypatch):
    class Session:
        def get_inputs(self):
            return [None]

        def run(self, *_):
            raise RuntimeError("... BFCArena::AllocateRawInternal ... Failed to allocate memory")

    monkeypatch.setattr(network._runtime, "_session", lambda *_: Session())
    with pytest.raises(MemoryError, match="network"):
        sd.defocus_map(PHOTOS[0])


FULL_DISK = """
import os, subprocess, sys
import tifffile
from skdefocus.cli import main
from skdefocus.io import read_image

disk = sys.argv[1]
for size, *arguments in (line.split("|") for line in sys.argv[2:]):
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], check=True)
    code = main(arguments)
    for folder, _, names in os.walk(disk):
        for name in names:
            # Maps may go beyond 1, which no photograph may.
            read = tifffile.imread if name.endswith("_sigma.tif") else read_image
            read(os.path.join(folder, name))
    print("END", code, *sorted(n for f in os.walk(disk) for n in f[1] + f[2]), flush=True)
    print("END", file=sys.stderr, flush=True)
    subprocess.run(["umount", disk], check=True)
"""


def namespace_works(tmp_path):
    command = ["unshare", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", tmp_path]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def test_a_disk_that_is_really_full(tmp_path):
    if not namespace_works(tmp_path):
        pytest.skip("this system lets no user mount a small disk of his own")
    photos, disk = save(tmp_path / "in", 9), tmp_path / "disk"
    disk.mkdir()
    maps, flat = str(disk / "maps"), str(disk)
    lines = [
        ["64k", "map", *photos, "--out", maps, "--no-picture"],
        ["64k", "map", *photos, "--out", maps, "--no-picture", "--jobs", "2"],
        ["100k", "demo", "--out", maps],
        ["12k", "sharpen", *photos, "--out", flat],
        ["12k", "fuse", *photos[:2], "--out", f"{flat}/f.tif", "--preview", f"{flat}/p.tif"],
    ]
    child = subprocess.run(
        ["unshare", "--map-root-user", "--mount", sys.executable, "-c", FULL_DISK, flat,
         *map("|".join, lines)],
        capture_output=True, text=True, timeout=HANG, check=True,
    )  # fmt: skip
    assert "Traceback" not in child.stderr
    ends = [line.split() for line in child.stdout.splitlines() if line.startswith("END")]
    said = [part.splitlines() for part in child.stderr.split("END\n")]
    assert len(ends) == len(lines)
    for (_, code, *names), complaints in zip(ends, said, strict=False):
        assert code == "1"
        assert "No space left" in complaints[0]
        assert not [name for name in names if name.startswith(".")]
    for i in (0, 1, 3):  # further photographs are not tried
        assert len(said[i]) == 2
        assert "photographs not done: nothing more can be written" in said[i][1]
        assert len(ends[i]) > 3
    assert ends[2][2:] == ["maps"]
    assert ends[4][2:] == ["f.tif"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_standard_output_that_is_full():
    with open("/dev/full", "w") as full:
        child = subprocess.run(
            [sys.executable, "-m", "skdefocus", "info"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert child.returncode == 1
    assert child.stderr.splitlines() == ["skdefocus: No space left on device"]


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    target, sizes = tmp_path / "map.npy", []

    def sync(file):
        assert not target.exists()
        sizes.append(os.fstat(file).st_size)

    monkeypatch.setattr(os, "fsync", sync)
    write_map(target, np.ones((3, 3)))
    assert sizes == [target.stat().st_size]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EINVAL])
def test_a_disk_that_says_late_that_it_is_full(tmp_path, monkeypatch, number):
    def fail(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    if number == errno.EINVAL:  # a file system that knows no fsync
        write_map(tmp_path / "map.npy", np.ones((3, 3)))
        assert os.listdir(tmp_path) == ["map.npy"]
        return
    with pytest.raises(OSError, match="No space left") as caught:
        write_map(tmp_path / "map.npy", np.ones((3, 3)))
    assert caught.value.errno == number
    assert os.listdir(tmp_path) == []
