"""The package follows its rules of size, structure and naming: see docs/design/rules.md."""

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[1] / "skdefocus"

#: Limits of the rules.
MAX_LINES, MAX_PARAMETERS, MAX_UNDOCUMENTED, MAX_FORMAT_SKIPS = 40, 7, 7, 5

#: What `broken` looks at, in all of the package.
RULES = (
    *("length", "parameters", "documented", "opening", "aliases"),
    *("checks", "names", "spelling", "arrays", "formatting"),
)

#: First words of a docstring that neither name a thing nor tell what to do.
QUESTIONS = {"What", "How", "Whether", "Where", "Which", "When", "Why"}

#: Names without a handle: docs/design/rules.md, "Names and words".
VAGUE = {
    *("each", "say", "place", "there", "missing", "beside", "whole", "moves"),
    *("crew", "even", "rough", "held", "belief", "settled"),
}

#: British spelling in identifiers, which codespell does not split at underscores.
BRITISH = re.compile(
    r"grey|colour|neighbour|behaviour|favour|centre|metre|[a-z]{3}(is(e[ds]?|ing|ation))(?=_|$)"
)
#: Words with the same endings in American spelling.
AMERICAN = re.compile(r"noise|wise|rise|raise|precise|exercise|promise|otherwise|premise|advise")


class Function(NamedTuple):
    """A function or method of the package."""

    room: str
    location: str
    node: ast.FunctionDef
    owner: str | None
    lines: int

    @property
    def parameters(self) -> int:
        """Number of parameters other than self and cls."""
        given = self.node.args
        every = [*given.posonlyargs, *given.args, *given.kwonlyargs]
        return sum(p.arg not in ("self", "cls") for p in every)


@cache
def modules() -> dict[Path, ast.Module]:
    """Parsed modules of the package."""
    return {path: ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def room(path: Path) -> str:
    """First folder or module below the package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def code_lines(path: Path) -> set[int]:
    """Numbers of the lines with code, neither blank nor only a comment."""
    ignored = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    source = io.StringIO(path.read_text("utf-8"))
    tokens = [t for t in tokenize.generate_tokens(source.readline) if t.type not in ignored]
    return {n for t in tokens for n in range(t.start[0], t.end[0] + 1)}


def functions_of(path: Path, tree: ast.Module) -> Iterator[Function]:
    """Functions of a module, including methods and nested functions."""
    lines = code_lines(path)
    owners = {
        child: node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for child in node.body
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            docstring = node.body[0] if ast.get_docstring(node, clean=False) else None
            skipped = range(docstring.lineno, docstring.end_lineno + 1) if docstring else ()
            own = lines & set(range(node.lineno, node.end_lineno + 1)) - set(skipped)
            location = f"{path.relative_to(PACKAGE.parent)}:{node.lineno} {node.name}"
            yield Function(room(path), location, node, owners.get(node), len(own))


@cache
def functions() -> list[Function]:
    """All functions of the package."""
    return [function for item in modules().items() for function in functions_of(*item)]


@cache
def public_names() -> set[str]:
    """Names in any ``__all__``."""
    return {
        element.value
        for tree in modules().values()
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        for element in node.value.elts
    }


def is_public(function: Function) -> bool:
    """Tell whether users call a function, directly or as a method of a public class."""
    if function.owner is not None:
        name = function.node.name
        return function.owner in public_names() and (name == "__init__" or name[0] != "_")
    return function.node.name in public_names()


def is_check(function: Function) -> bool:
    """Tell whether a function, other than a method, is a check by its name."""
    return function.owner is None and function.node.name.lstrip("_").startswith("check_")


def docstrings() -> Iterator[tuple[str, str, str]]:
    """Room, location and first line of every docstring."""
    for path, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = ast.get_docstring(node)
                if text:
                    name = getattr(node, "name", "")
                    where = f"{path.relative_to(PACKAGE.parent)} {name}"
                    yield room(path), where, text.splitlines()[0]


def aliases() -> Iterator[tuple[Path, str, str]]:
    """Module, name and type of every alias of a type at the top of a module."""
    generic = {"NDArray", "Literal", "Callable", "Sequence", "Iterator", "tuple", "list", "dict"}
    for path, tree in modules().items():
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                value = node.value
                union = isinstance(value, ast.BinOp) and isinstance(value.op, ast.BitOr)
                subscript = isinstance(value, ast.Subscript) and ast.unparse(value.value) in generic
                if (union and node.targets[0].id[0].isupper()) or subscript:
                    yield path, node.targets[0].id, ast.unparse(value)


def identifiers() -> Iterator[tuple[Path, str]]:
    """Names that modules define: functions, classes, parameters, variables and attributes."""
    for path, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield path, node.name
            elif isinstance(node, ast.arg):
                yield path, node.arg
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield path, node.id
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                yield path, node.attr


def british(name: str) -> bool:
    """Tell whether a name has a British spelling in it."""
    return bool(BRITISH.search(AMERICAN.sub("", name.lower())))


@cache
def broken() -> dict[str, list[tuple[str, str]]]:
    """Rooms and locations that break each rule."""
    names = Counter(name for _, name, _ in aliases())
    types = Counter(kind for _, _, kind in aliases())
    checks = Counter(f.node.name for f in functions() if is_check(f))
    array_types = {kind for path, _, kind in aliases() if room(path) == "_typing"}
    array_types = {kind for kind in array_types if kind.startswith("NDArray")}
    rules = {
        "length": [(f.room, f.location) for f in functions() if f.lines > MAX_LINES],
        "parameters": [
            (f.room, f.location)
            for f in functions()
            if f.parameters > MAX_PARAMETERS and not is_public(f)
        ],
        "documented": [
            (f.room, f.location)
            for f in functions()
            if f.lines > MAX_UNDOCUMENTED
            and f.node.name != "__init__"
            and not ast.get_docstring(f.node)
        ],
        "opening": [
            (where, f"{location}: {line}")
            for where, location, line in docstrings()
            if line.split()[0] in QUESTIONS
        ],
        "aliases": [
            (room(path), f"{path.name} {name}")
            for path, name, kind in aliases()
            if room(path) != "_typing" and (names[name] > 1 or types[kind] > 1)
        ],
        "checks": [
            (f.room, f.location) for f in functions() if is_check(f) and checks[f.node.name] > 1
        ],
        "names": [(room(path), name) for path, name in identifiers() if name.lower() in VAGUE],
        "spelling": [(room(path), name) for path, name in identifiers() if british(name)],
    }
    rules["arrays"] = [
        (room(path), f"{path.name}:{node.lineno} {ast.unparse(node)}")
        for path, tree in modules().items()
        if room(path) != "_typing"
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript) and ast.unparse(node) in array_types
    ]
    skips = [
        (room(path), f"{path.name}:{number}")
        for path in modules()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if re.search(r"#\s*fmt:", line)
    ]
    rules["formatting"] = skips if len(skips) > MAX_FORMAT_SKIPS else []
    return rules


@pytest.mark.parametrize("rule", RULES)
def test_rooms_follow_the_rule(rule):
    assert not broken()[rule]


def test_every_rule_is_checked():
    assert broken().keys() == set(RULES)


def test_tests_mirror_the_package():
    tests = PACKAGE.parent / "tests"
    packages = {path.parent.name.lstrip("_") for path in PACKAGE.glob("*/__init__.py")}
    assert {path.parent.name for path in tests.glob("*/test_*.py")} == packages
    modules = {path.stem.lstrip("_") for path in PACKAGE.glob("*.py") if "__" not in path.stem}
    assert modules - {"typing", "version"} <= {
        path.stem.removeprefix("test_") for path in tests.glob("*.py")
    }


def test_a_british_name_is_found():
    assert british("grey_level")
    assert british("color_centre")
    assert british("normalise")
    assert british("regularisation")
    assert not british("noise_level")
    assert not british("raise_error")
    assert not british("gray_center")
