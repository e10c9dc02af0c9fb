"""The wheel holds the package alone and runs from an empty folder; the sdist can be tested."""

import os
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import tifffile

import skdefocus as sd

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "skdefocus"

NAME = f"skdefocus-{sd.__version__}"
#: Limits in bytes; the network is the largest file in both.
LARGEST_WHEEL, LARGEST_SDIST = 10_000_000, 12_000_000

# Not find_spec: setuptools takes a search for pip for a run of pip, and leaves distutils alone.
INSTALLED = {distribution.name for distribution in metadata.distributions()}
pytestmark = pytest.mark.skipif(
    not {"build", "hatchling", "pip"} <= INSTALLED,
    reason="build, hatchling and pip make and install the distributions: the extra test has them",
)


def run(*command, **options):
    """Run Python, and show what it printed if it fails."""
    done = subprocess.run(
        [sys.executable, *map(str, command)], capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder with the sdist and the wheel that is made from it."""
    folder = tmp_path_factory.mktemp("dist")
    run("-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def wheel(built):
    return built / f"{NAME}-py3-none-any.whl"


@pytest.fixture(scope="module")
def sdist(built):
    return built / f"{NAME}.tar.gz"


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Folder with the installed wheel and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    options = ("--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check")
    run("-m", "pip", "install", *options, "--target", folder, wheel)
    return folder


def files_of_the_package():
    """Files of the package in this checkout, as a wheel names them."""
    files = (path for path in PACKAGE.rglob("*") if path.is_file())
    return {p.relative_to(ROOT).as_posix() for p in files if "__pycache__" not in p.parts}


def test_the_wheel_holds_the_files_of_the_package_and_its_metadata(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    metadata = {name for name in names if name.startswith(f"{NAME}.dist-info/")}
    assert names - metadata == files_of_the_package()
    network = {f"skdefocus/network/{name}" for name in ("blur_levels.onnx", "MODEL_CARD.md")}
    assert network | {"skdefocus/py.typed"} <= names
    assert f"{NAME}.dist-info/licenses/LICENSE" in metadata


def test_the_wheel_is_small(wheel):
    assert wheel.stat().st_size < LARGEST_WHEEL


def test_the_sdist_is_small_and_can_be_tested(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.removeprefix(f"{NAME}/") for name in archive.getnames()}
    assert sdist.stat().st_size < LARGEST_SDIST
    assert files_of_the_package() <= names
    tests = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.py")}
    assert tests <= names
    assert not {name for name in names if name.endswith((".pt", ".pth", ".pyc"))}


def test_the_demo_runs_from_the_wheel_alone(installed, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(installed), "MPLBACKEND": "agg"}
    options = {"cwd": tmp_path, "env": environment}
    found = run("-c", "import skdefocus; print(skdefocus.__file__)", **options)
    assert Path(found.strip()).resolve() == (installed / "skdefocus" / "__init__.py").resolve()
    assert "median σ" in run("-X", "utf8", "-m", "skdefocus", "demo", **options, encoding="utf-8")
    made = {path.name for path in (tmp_path / "skdefocus-demo").iterdir()}
    assert made == {"flower_overview.png", "flower_sigma.png", "flower_sigma.tif"}
    assert tifffile.imread(tmp_path / "skdefocus-demo" / "flower_sigma.tif").shape == (427, 640)
