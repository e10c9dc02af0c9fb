"""A folder of photographs, shared by the tests of this folder."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data
from sklearn.datasets import load_sample_image

from skdefocus import synthesis
from skdefocus.training.photographs import is_validation, read_gray


@pytest.fixture(scope="session")
def pictures():
    """Three sharp photographs, 8-bit, by name; one of them is in color."""
    return {
        "camera.png": data.camera(),
        "china.png": load_sample_image("china.jpg"),
        "gravel.png": data.gravel(),
    }


@pytest.fixture(scope="session")
def folder(tmp_path_factory, pictures):
    """The three sharp photographs, one that is soft, and one to hold out."""
    path = tmp_path_factory.mktemp("photographs")
    for name, image in pictures.items():
        Image.fromarray(image).save(path / name)
    soft = synthesis.blur(read_gray(path / "china.png"), 2.0)
    Image.fromarray(np.round(soft * 255).astype(np.uint8)).save(path / "smooth.png")
    held = next(n for i in itertools.count() if is_validation(Path(n := f"held{i}.png")))
    Image.fromarray(data.astronaut()[:, ::-1]).save(path / held)
    (path / "notes.txt").write_text("no photograph")
    return path


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """Where segments are kept, so that each photograph is segmented once."""
    return tmp_path_factory.mktemp("segments")
