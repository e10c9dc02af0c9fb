"""Batches to be disturbed: photographs, processes, and whether their outputs are whole."""

import os
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
import tifffile
from numpy.testing import assert_allclose
from PIL import Image

import skdefocus as sd
from skdefocus.datasets import sample_photographs
from skdefocus.io import read_map

PHOTOS = [np.round(255 * p[40:80, 40:96]).astype(np.uint8) for p in sample_photographs(128)]
#: Guards against a hang; nothing takes nearly as long.
HANG = 120


def save(folder, count):
    """Make so many photographs; their names."""
    folder.mkdir()
    paths = [folder / f"{i:02}.png" for i in range(count)]
    for i, path in enumerate(paths):
        Image.fromarray(PHOTOS[i % len(PHOTOS)]).save(path)
    return list(map(str, paths))


def map_command(photos, out, *options):
    # A shell's background jobs, and so perhaps these tests, are started with SIGINT ignored.
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from skdefocus.cli import main; sys.exit(main())"
    )
    return [
        sys.executable, "-c", code, "map", *photos, "--out", str(out), "--no-picture", *options
    ]  # fmt: skip


def start(command):
    # A group of its own, for signals that reach all processes, as Ctrl-C in a terminal does.
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def end(process):
    out, err = process.communicate(timeout=HANG)
    assert "Traceback" not in err, err
    return process.returncode, out.splitlines(), err.splitlines()


def wait_for_outputs(process, out, count):
    while len(list(out.glob("*.tif"))) < count:
        assert process.poll() is None
        time.sleep(0.01)


def workers(process):
    """Process ids of the workers that joblib started for a process."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            if parent == process.pid and b"LokyProcess" in (stat.parent / "cmdline").read_bytes():
                found.append(int(stat.parent.name))
        except OSError:  # ended meanwhile
            continue
    return found


def check_outputs(out, photos):
    """Both files of each of these photographs and nothing else, whole and right."""
    stems = [Path(photo).stem for photo in photos]
    assert sorted(os.listdir(out)) == sorted(
        f"{stem}_sigma.{suffix}" for stem in stems for suffix in ("tif", "png")
    )
    for i, stem in enumerate(stems):
        check_map(out / f"{stem}_sigma.tif", i)
        scaled = read_map(out / f"{stem}_sigma.png")
        assert_allclose(scaled, tifffile.imread(out / f"{stem}_sigma.tif"), atol=6e-4)


def check_map(path, i):
    assert_allclose(tifffile.imread(path), expected(i % len(PHOTOS)), atol=1e-5)


@cache
def expected(i):
    return sd.defocus_map(PHOTOS[i])
