"""Workflows, forms, recipe, container file and citation are valid, and agree with the package."""

import json
import re
import tomllib
from pathlib import Path

import pytest

import skdefocus as sd

yaml = pytest.importorskip("yaml", reason="the extra test has pyyaml")

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml"))
#: Elements of an issue form.
ELEMENTS = {"markdown", "textarea", "input", "dropdown", "checkboxes", "upload"}
#: Distributions that have another name as a conda package.
CONDA_NAMES = {"matplotlib": "matplotlib-base"}


def load(path):
    """Parse a YAML file."""
    return yaml.safe_load(path.read_text("utf-8"))


def label(path):
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def project():
    """Table `project` of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.fixture(scope="module")
def recipe():
    return load(ROOT / "recipe" / "recipe.yaml")


def test_the_version_is_written_in_the_package_and_followed_by_the_rest(project, recipe):
    assert project["dynamic"] == ["version"]
    assert load(ROOT / "CITATION.cff")["version"] == sd.__version__
    assert recipe["context"]["version"] == sd.__version__
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert newest
    assert newest[1] == sd.__version__
    switcher = (ROOT / "docs" / "_static" / "switcher.json").read_text("utf-8")
    assert sd.__version__ in [entry["version"] for entry in json.loads(switcher)]


def test_the_recipe_has_the_dependencies_of_the_package(project, recipe):
    dependencies = [*project["dependencies"], *project["optional-dependencies"]["plot"]]
    expected = {f"python {project['requires-python'].replace('3.11', '${{ python_min }}')}"}
    for dependency in dependencies:
        name, minimum = dependency.split(">=")
        expected.add(f"{CONDA_NAMES.get(name, name)} >={minimum}")
    assert set(recipe["requirements"]["run"]) == expected
    assert recipe["context"]["python_min"] == project["requires-python"].removeprefix(">=")
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]["requires"]
    assert {name.replace(">=", " >=") for name in build} <= set(recipe["requirements"]["host"])
    entry_points = [f"{name} = {path}" for name, path in project["scripts"].items()]
    assert recipe["build"]["python"]["entry_points"] == entry_points


def test_the_container_installs_extras_that_exist(project):
    text = (ROOT / "Containerfile").read_text("utf-8")
    extras = re.search(r"^ARG EXTRAS=(\S+)$", text, re.MULTILINE)
    assert extras
    assert set(extras[1].split(",")) <= project["optional-dependencies"].keys()
    (entry_point,) = re.findall(r'^ENTRYPOINT \["(\w+)"\]$', text, re.MULTILINE)
    assert entry_point in project["scripts"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=label)
def test_workflows_have_jobs_with_limits_and_few_permissions(path):
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        if "uses" in job:
            assert (ROOT / job["uses"]).exists()
        else:
            assert job["timeout-minutes"] <= 60
            assert job["steps"]
        needed = job.get("needs", [])
        assert set([needed] if isinstance(needed, str) else needed) <= workflow["jobs"].keys()


def test_the_release_publishes_what_was_checked_and_without_a_token():
    path = GITHUB / "workflows" / "release.yml"
    publish = load(path)["jobs"]["publish"]
    assert publish["needs"] == ["package", "version"]
    assert publish["permissions"] == {"id-token": "write"}
    assert not re.search(r"secrets\.|password|https?://", path.read_text("utf-8"))


@pytest.mark.parametrize("path", FORMS, ids=label)
def test_issue_forms_have_what_the_host_requires(path):
    form = load(path)
    assert form["name"]
    assert form["description"]
    ids = [element["id"] for element in form["body"] if "id" in element]
    assert len(ids) == len(set(ids))
    for element in form["body"]:
        assert element["type"] in ELEMENTS
        markdown = element["type"] == "markdown"
        assert element["attributes"]["value" if markdown else "label"]
    assert any(element["type"] != "markdown" for element in form["body"])


def test_pre_commit_runs_commands_of_the_extra_for_tests(project):
    (hooks,) = [
        repository["hooks"] for repository in load(ROOT / ".pre-commit-config.yaml")["repos"]
    ]
    packages = {"lint-imports": "import-linter"}
    tests = {re.split("[><=]", name)[0] for name in project["optional-dependencies"]["test"]}
    commands = {hook["entry"].split()[0] for hook in hooks}
    assert {packages.get(command, command) for command in commands} <= tests
    assert len(hooks) >= 4
