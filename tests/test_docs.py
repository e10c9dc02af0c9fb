"""What README and user guide show runs; every public name is documented, and listed."""

import importlib
import inspect
import pkgutil
import re
import shlex
from dataclasses import is_dataclass
from glob import glob
from pathlib import Path

import numpy as np
import pytest

import skdefocus as sd
from benchmarks import pages
from benchmarks.pages import snippets
from skdefocus import cli

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
#: Made by the build, or included from elsewhere.
MADE = {"_build", "api", "gallery", "examples"}
WRITTEN = [p for p in sorted(DOCS.rglob("*.md")) if not MADE & set(p.relative_to(DOCS).parts)]
PAGES = [ROOT / "README.md", *WRITTEN]
#: Beside the site.
NOTES = [
    *(ROOT / f"{name}.md" for name in ("CONTRIBUTING", "CHANGELOG", "CODE_OF_CONDUCT", "SECURITY")),
    ROOT / "benchmarks" / "README.md",
]
#: Pages of the site that hosts the repository, as seen from README.md.
FORGE = {"../../", "../../issues"}
RECORDS = sorted((DOCS / "design").glob("*s/*.md"))
STATUSES = {"proposed", "accepted", "superseded", "rejected"}
#: The sections of a record, by its folder.
SECTIONS = {
    "decisions": [
        "Context",
        "Decision",
        "Consequences",
        "What would change our mind",
        "Evidence",
    ],
    "experiments": ["Question", "Command", "Split", "Result", "Verdict"],
}


def label(page):
    return page.relative_to(ROOT).as_posix()


def search_is_worth_it(names):
    """Tuned beats default, and default a constant, by what the README says."""
    default, tuned, constant = pages.errors_of_search(names)
    assert tuned < default - 0.05 < constant
    return figures_are_those_stated("README.md", names)


def figures_are_those_stated(name, names):
    """The figures of a page are those that ``python -m benchmarks.pages`` would write."""
    stated = (ROOT / name).read_text("utf-8")
    found = pages.PAGES[name](stated, names)
    before, after = (re.findall(r"\d+\.\d\d", text) for text in (stated, found))
    assert pages.PAGES[name](found, names) == found
    np.testing.assert_allclose(np.float64(before), np.float64(after), atol=0.05)
    return True


#: What a page's names have to be after its snippets, beyond that these run.
RESULTS = {
    "README.md": lambda names: (
        np.shape(names["sigma"]) == (427, 640)
        and len(names["maps"]) == 2
        and search_is_worth_it(names)
    ),
    "docs/quickstart.md": lambda names: (
        np.shape(names["result"].image) == (256, 256)
        and 0 <= names["score"] <= 1
        and sd.metrics.psnr(names["result"].image, names["gravel"]) > 35
        and Path("photo_sigma.tif").stat().st_size > 4 * 427 * 640
    ),
    "docs/guide/fusion.md": lambda names: (
        sd.metrics.psnr(names["fused"], names["sharp"])
        > sd.metrics.psnr(names["stack"][0], names["sharp"]) + 5
    ),
    "docs/own_classifier.md": lambda names: (
        list(names["errors"]) == pages.ROW.findall((DOCS / "own_classifier.md").read_text("utf-8"))
        and figures_are_those_stated("docs/own_classifier.md", names)
    ),
    "docs/units.md": lambda names: (names["front"] <= 3).all() and (names["behind"] >= 3).all(),
}

#: The same for the tutorials.
TUTORIAL_RESULTS = {
    "holiday_folder": lambda names: (
        {p.name for p in Path("holiday").glob("*.jpg")} == {"flower_0.jpg", "temple_0.jpg"}
        and len(list(Path("holiday/soft").iterdir())) == 4
        and Path("contact_sheet.png").exists()
    ),
    "stack_to_print": lambda names: (
        names["ready"].size[0] == 591
        and np.mean(names["on_paper"] < 0.2) > 0.6
        and all(Path(name).exists() for name in ("print.jpg", "preview.png"))
    ),
}

#: Codes of numpydoc's validation that are not asked for, and why.
NOT_ASKED = {
    "SA01": "not everything has relatives",
    "ES01": "a summary often says it all",
    "EX01": "records and methods are shown in the examples of what makes them",
    "PR01": "checked below, without records",
    "PR03": "parameters of one kind are described together",
    "PR04": "shared parameters point to where they are described",
    "PR06": "types are in words, with shapes",
    "PR07": "the type says it all",
    "PR08": "descriptions continue the type: 'Of the window, in pixels'",
    "PR09": "descriptions may end with a parenthesis or a formula",
    "RT01": "checked below, without records",
    "RT03": "the type says it all",
    "RT04": "as PR08",
    "SA03": "as PR08",
    "SA04": "the name says it all",
    "SS05": "takes plurals for verbs",
    "YD01": "generators are described by what they yield to the caller",
}

#: What raises nothing of its own, or says where that is told.
NO_RAISES = {
    "skdefocus.cli._main.main",
    "skdefocus.features.DefocusFeatures.get_feature_names_out",
    "skdefocus.metrics._scorers.get_scorer_names",
    "skdefocus.pipeline._records.LevelGrid.rows",
}


def run_commands(text):
    """Run the lines of a shell snippet in this process; wildcards become the files that match."""
    for line in text.splitlines():
        program, *words = shlex.split(line, comments=True)
        assert program == "skdefocus"
        arguments = [found for word in words for found in sorted(glob(word)) or [word]]
        assert cli.main([*arguments, "--quiet"] if words[0] != "fuse" else arguments) == 0


TUTORIALS = sorted((DOCS / "tutorials").glob("*.md"))
#: Pages of which only the Python snippets run.
TAUGHT = [page for page in PAGES if snippets(page) and page not in TUTORIALS]


def modules():
    """Public modules of the package: all but the network's and the training's, for inner use."""
    found = [m.name for m in pkgutil.iter_modules(sd.__path__)]
    names = [n for n in found if not n.startswith("_") and n not in ("network", "training")]
    return [importlib.import_module(f"skdefocus.{name}") for name in names]


def public():
    """Public functions and classes, each once, by the name under which they were defined."""
    objects = {}
    for module in modules():
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isclass(thing) or inspect.isfunction(thing):
                objects[f"{thing.__module__}.{thing.__qualname__}"] = thing
    return objects


def public_methods():
    """What the public classes define beside attributes, by full name."""
    for name, thing in public().items():
        if inspect.isclass(thing):
            yield from (
                f"{name}.{part}"
                for part, value in vars(thing).items()
                if not part.startswith("_") and inspect.isfunction(value)
            )


@pytest.mark.parametrize("page", TAUGHT, ids=label)
def test_snippets_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = pages.run(page)
    if label(page) in RESULTS:
        assert RESULTS[label(page)](names)


def test_the_page_on_parameters_names_the_defaults():
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", (DOCS / "parameters.md").read_text(), re.M)
    parameters = sd.make_defocus_pipeline().get_params()
    assert len(rows) >= 7
    for name, stated in rows:
        value = parameters[name]
        assert stated.partition(",")[0].strip('`"') == (
            f"{value:g}" if value != str(value) else value
        )


def test_pages_that_teach_have_snippets():
    with_code = {label(page) for page in PAGES if snippets(page)}
    assert set(RESULTS) <= with_code
    assert {label(p) for p in (DOCS / "guide").glob("*.md")} - with_code == {"docs/guide/index.md"}


@pytest.mark.parametrize("page", [*PAGES, *NOTES], ids=label)
def test_files_that_it_names_are_there(page):
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", text):
        if link in FORGE:
            continue
        target = (page.parent / link).resolve()
        inside = target.relative_to(DOCS.resolve()) if DOCS.resolve() in target.parents else None
        if inside is not None and inside.parts[0] == "gallery":
            # Made by the build from an example, with pictures named after it.
            example = re.sub(r"^sphx_glr_|_\d{3}\.png$", "", inside.name)
            assert example == "index" or (DOCS / "examples" / f"{example}.py").exists(), link
        else:
            assert target.exists(), link


def test_the_readme_claims_no_more_than_its_table():
    text = (ROOT / "README.md").read_text("utf-8")
    assert "more accurate than blur-detector and classical methods" in text
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    titles, _, ours, *others = rows
    assert len(others) >= 3
    for title, mine, *theirs in list(zip(titles, ours, *others, strict=True))[1:-1]:
        values = [float(value) for value in theirs]
        best = float(mine) < min(values) if "error" in title else float(mine) > max(values)
        assert best, title


def test_contributing_names_files_that_are_there():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    rows = re.findall(r"^\| .+ \|$", text, re.MULTILINE)
    names = {name for row in rows for name in re.findall(r"`([\w/]+(?:/|\.py))`", row)}
    absent = {n for n in names if not (ROOT / n).exists() and not (ROOT / "skdefocus" / n).exists()}
    assert len(names) >= 25
    assert not absent


def test_contributing_is_short_and_finds_the_file_of_ten_tasks():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert len(text.splitlines()) <= 100
    (table,) = re.findall(r"^\| task \| file \|\n\|---\|---\|\n((?:\|.+\n)+)", text, re.MULTILINE)
    files = re.findall(r"^\| .+ \| `(skdefocus/(?:\w+/)?\w+\.py)` \|$", table, re.MULTILINE)
    assert len(files) == len(table.splitlines()) >= 10
    assert all((ROOT / file).is_file() for file in files)


def test_every_page_is_reached():
    trees = "\n".join(
        block
        for page in PAGES
        for block in re.findall(r"```{toctree}(.*?)```", page.read_text(), re.S)
    )
    listed = {Path(line.strip()).name for line in trees.splitlines()}
    pages = {page.stem for page in (DOCS).rglob("*.md") if page in PAGES} - {"index"}
    assert pages <= listed


@pytest.mark.parametrize("page", [page for page in TUTORIALS if snippets(page)], ids=label)
def test_tutorials_run_from_start_to_end(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    commands = snippets(page, "sh")
    for number, snippet in enumerate(snippets(page, "python|sh"), start=1):
        if snippet in commands:
            run_commands(snippet)
        else:
            exec(compile(snippet, f"{label(page)}, snippet {number}", "exec"), names)
    assert commands
    assert TUTORIAL_RESULTS[page.stem](names)


@pytest.mark.parametrize("record", RECORDS, ids=label)
def test_a_design_record_is_complete(record):
    text = record.read_text("utf-8")
    facts = dict(re.findall(r"^- \*\*(\w+):\*\* (.+)$", text, re.MULTILINE))
    assert text.startswith(f"# {record.name[:4]}: ")
    assert re.match(r"\d{4}-\d{2}-\d{2}\b", facts["Date"])
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS[record.parent.name]
    if record.parent.name == "decisions":
        assert facts["Status"] in STATUSES
    else:
        assert facts["Verdict"]
        assert facts["Network"]


@pytest.mark.parametrize("kind", SECTIONS)
def test_design_records_are_numbered_in_order(kind):
    numbers = [int(record.name[:4]) for record in RECORDS if record.parent.name == kind]
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_public_name_is_in_the_reference():
    listed = set(re.findall(r"^   ([A-Za-z_.]+)$", (DOCS / "api.md").read_text(), re.MULTILINE))
    short = {name.rpartition(".")[2] for name in listed}
    missing = {name.rpartition(".")[2] for name in public()} - short
    assert not missing
    for name in listed:
        thing = sd
        for part in name.split("."):
            if not hasattr(thing, part):
                importlib.import_module(f"skdefocus.{part}")
            thing = getattr(thing, part)
        assert thing.__doc__, name


@pytest.mark.parametrize("name", sorted(public()))
def test_numpydoc_finds_nothing(name):
    validate = pytest.importorskip("numpydoc.validate").validate
    thing = public()[name]
    # A private module is where it is written, the reference names the public one.
    errors = [e for e in validate(name)["errors"] if e[0] not in NOT_ASKED]
    record = is_dataclass(thing) or (inspect.isclass(thing) and issubclass(thing, tuple))
    if not record:
        errors += [e for e in validate(name)["errors"] if e[0] in ("PR01", "RT01")]
    assert not errors


def test_numpydoc_finds_nothing_in_methods():
    validate = pytest.importorskip("numpydoc.validate").validate
    asked = NOT_ASKED.keys() - {"PR01"}
    methods = list(public_methods())
    assert len(methods) >= 12
    found = {name: [e for e in validate(name)["errors"] if e[0] not in asked] for name in methods}
    assert not {name: errors for name, errors in found.items() if errors}


def test_functions_say_what_they_raise():
    functions = {name: f for name, f in public().items() if inspect.isfunction(f)}
    for name in public_methods():
        where, _, part = name.rpartition(".")
        functions[name] = vars(public()[where])[part]
    silent = {name for name, f in functions.items() if "\nRaises\n---" not in inspect.getdoc(f)}
    assert silent <= NO_RAISES


def test_examples_are_there_and_say_what_they_are():
    examples = sorted((DOCS / "examples").glob("*.py"))
    assert len(examples) >= 8
    for example in examples:
        assert example.name.startswith("plot_")
        assert re.match(r'"""\n.+\n=+\n\n.', example.read_text("utf-8")), example.name
        compile(example.read_text("utf-8"), example.name, "exec")


def code_of_tests():
    tests = Path(__file__).parent.rglob("test_*.py")
    return "".join(path.read_text(encoding="utf-8") for path in tests)


def test_every_test_that_the_documentation_names_is_there():
    named = set(re.findall(r"`(test_\w+)`", (DOCS / "reliability.md").read_text(encoding="utf-8")))
    code = code_of_tests()
    assert len(named) > 40
    assert not [name for name in named if f"def {name}(" not in code]


def test_every_row_of_the_documentation_has_its_test():
    code = code_of_tests()
    lines = (DOCS / "inputs.md").read_text(encoding="utf-8").splitlines()
    rows = [line.split("|")[-2] for line in lines if line.startswith("|")]
    rows = [row for row in rows if row.strip("- ") not in ("", "Test")]
    assert len(rows) > 40
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row)
        assert named, row
        assert all(f"def {name}(" in code for name in named), row
