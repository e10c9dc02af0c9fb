"""Cases of what reads, writes or draws: files, the command line, pictures."""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from helpers.fuzz_cases import case, optional, pick
from helpers.strategies import floats, maps, photograph_shapes, photographs, shapes
from hypothesis import strategies as st
from PIL import Image

from skdefocus import io, optics, plotting
from skdefocus.cli import main

FOLDER = Path(tempfile.mkdtemp())

# --- files ---------------------------------------------------------------------------------------


def file_name(draw, *suffixes):
    return FOLDER / f"{draw(st.integers(0, 99))}{pick(draw, *suffixes)}"


def written(draw, *suffixes):
    return {
        "path": file_name(draw, *suffixes), "sigma": draw(maps(draw(shapes))), "overwrite": True
    }  # fmt: skip


case(
    "io.write_map",
    io.write_map,
    lambda result, given: given["path"].stat().st_size,
    {"path": "a name, which any text is", "overwrite": "true or false"},
)(lambda draw: written(draw, ".npy", ".tif"))
case(
    "io.write_scaled_png",
    io.write_scaled_png,
    lambda result, given: given["path"].stat().st_size,
    {"path": "a name, which any text is", "overwrite": "true or false"},
)(lambda draw: written(draw, ".png") | {"scale": pick(draw, 1, 1000.0)})


@case(
    "io.read_image",
    io.read_image,
    lambda result, given: None,
    {
        "path": "a name: OSErrors of the system are ReadErrors that name it",
        "alpha": "true or false",
    },
)
def read(draw):
    path = file_name(draw, ".png", ".tif")
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(path)
    return {"path": path, "max_pixels": pick(draw, 20, 10**9), "alpha": pick(draw, False, True)}


@case(
    "io.read_map",
    io.read_map,
    lambda result, given: None,
    {"path": "a name: OSErrors of the system are ReadErrors that name it"},
)
def read_back(draw):
    path = file_name(draw, ".npy", ".tif")
    io.write_map(path, np.ones((4, 5)), overwrite=True)
    return {"path": path, "max_pixels": pick(draw, 20, 10**9)}


@case(
    "optics.read_lens_facts",
    optics.read_lens_facts,
    lambda result, given: None,
    {"path": "a name: OSErrors are passed on"},
)
def lens_facts(draw):
    return {"path": read(draw)["path"]}


def put(path, overwrite):
    with io.atomic_path(path, overwrite) as temporary:
        temporary.write_bytes(b"whole")


@case(
    "io.atomic_path",
    put,
    lambda result, given: given["path"].read_bytes() == b"whole",
    {"path": "a name: OSErrors are passed on", "overwrite": "true or false"},
)
def put_case(draw):
    return {"path": file_name(draw, ".txt"), "overwrite": True}


def command_line(argv):
    try:
        return main(argv)
    except SystemExit as end:  # argparse
        return end.code


WORDS = [
    "map", "fuse", "magnify", "sharpen", "depth", "info", "--out", "--help", "--version", "--model",
    "--step",    "--overwrite", "none.jpg", "", "--", "-1", "1e999", "\ud800", "a\0b", str(FOLDER),
]  # fmt: skip


@case(
    "cli.main",
    command_line,
    lambda result, given: [] if result in (0, 1, 2) else 1 / 0,
    {"argv": "a list of words"},
)
def words(draw):
    return {"argv": draw(st.lists(st.sampled_from(WORDS), max_size=5))}


# --- pictures ------------------------------------------------------------------------------------


def drawn(result, given):
    plt.close("all")
    assert result is not None


@case(
    "plotting.show_map",
    plotting.show_map,
    drawn,
    {"cmap": "matplotlib's to check", "colorbar": "true or false"},
)
def shown(draw):
    shape = draw(photograph_shapes)
    return {
        "sigma": draw(maps(shape[:2])), "image": optional(draw, photographs(shape)),
        "vmax": pick(draw, None, 3), "cmap": "gray", "colorbar": draw(st.booleans()),
        "alpha": pick(draw, None, 0.5),
    }  # fmt: skip


@case("plotting.overview", plotting.overview, drawn)
def seen(draw):
    shape = draw(photograph_shapes)
    return {
        "image": draw(photographs(shape)), "sigma": draw(maps(shape[:2])),
        "confidence": optional(draw, floats(shape[:2])),
    }  # fmt: skip


@case("plotting.compare", plotting.compare, drawn)
def compared(draw):
    shape = draw(photograph_shapes)
    return {
        "image": draw(photographs(shape)), "sigma": draw(maps(shape[:2])),
        "vmax": pick(draw, None, 3), "width": pick(draw, 160, 720),
    }  # fmt: skip


@case(
    "plotting.contact_sheet",
    plotting.contact_sheet,
    drawn,
    {"names": "texts", "figure": "matplotlib's to check"},
)
def on_a_sheet(draw):
    shape = draw(photograph_shapes)
    return {
        "images": [draw(photographs(shape))] * 2, "maps": [draw(maps(shape[:2]))] * 2,
        "names": pick(draw, None, ["a", "b"]), "scores": pick(draw, None, [0.5, 1.0]),
        "columns": pick(draw, None, 2), "vmax": pick(draw, None, 3), "figure": None,
    }  # fmt: skip
