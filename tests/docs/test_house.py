"""The rules of the house, as CONTRIBUTING.md and ARCHITECTURE.md state them."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKSHOP = (ROOT / "pyproject.toml").read_text("utf-8")
FRAMEWORKS = sorted(path.parent.name for path in ROOT.glob("integrations/*/pyproject.toml"))
TEST_FILES = sorted([*ROOT.glob("tests/**/test_*.py"), *ROOT.glob("tests/**/client_contract/*.py")])


def named(path: Path) -> str:
    """The path as the reader of a failure wants it."""
    return path.relative_to(ROOT).as_posix()


def functions(body: Iterable[ast.AST]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Those among these nodes."""
    return (node for node in body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


@lru_cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All that is written in a file."""
    return tuple(ast.walk(ast.parse(path.read_text("utf-8"))))


def test_every_test_says_what_it_proves() -> None:
    """A docstring on each test function."""
    silent = [
        f"{named(path)}::{test.name}"
        for path in TEST_FILES
        for test in functions(nodes(path))
        if test.name.startswith("test_") and not ast.get_docstring(test)
    ]
    assert not silent, "\n".join(silent)


def test_no_two_tests_of_a_scope_share_a_name() -> None:
    """The second would hide the first, and nobody would miss it."""
    hidden = [
        f"{named(path)}::{name}"
        for path in TEST_FILES
        for scope in nodes(path)
        if isinstance(scope, (ast.Module, ast.ClassDef))
        for name, times in Counter(node.name for node in functions(scope.body)).items()
        if times > 1 and name != "_"
    ]
    assert not hidden, "\n".join(hidden)


def test_a_missing_framework_fails() -> None:
    """A skip would turn a broken environment into a green run; what a version lacks is deselected, and named."""
    skips = [
        f"{named(path)}:{node.lineno}: {word}"
        for path in sorted(ROOT.glob("tests/integration/**/*.py"))
        for node in nodes(path)
        if (word := getattr(node, "attr", getattr(node, "id", ""))) in {"importorskip", "skip", "xfail"}
    ]
    assert not skips, "\n".join(skips)


def test_the_readme_and_the_ci_run_the_same_command() -> None:
    """Two commands in the README, one for the demo and one for every test; the CI runs the second, three sessions at a time."""
    tools = 'python3 -m venv .venv && .venv/bin/pip install -q "nox[uv]"'
    prefix = f"{tools} && .venv/bin/nox"
    readme = (ROOT / "README.md").read_text("utf-8")
    commands = [
        line.partition("#")[0].strip() for line in readme.splitlines() if line.startswith("python3 -m venv")
    ]
    assert commands == [f"{prefix} -s demo", prefix]
    run = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    assert f"{tools} && .venv/bin/python tools/all_sessions.py" in run


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_integration_is_known_everywhere(framework: str) -> None:
    """An extra, a workspace source, the linters, a number of tests, and the README."""
    package, distribution = f"bursar_{framework}", f"bursar-{framework}"
    contracts = WORKSHOP.partition("[tool.importlinter]")[2]
    optional = (ROOT / f"integrations/{framework}/pyproject.toml").read_text("utf-8").count("\nsdk = [")
    brings = "[sdk]" * optional
    assert f'{framework} = ["{distribution}{brings}>=' in (ROOT / "core/pyproject.toml").read_text("utf-8")
    assert f"{distribution} = {{ workspace = true }}" in WORKSHOP
    assert re.search(rf"^{framework} = \d+$", WORKSHOP, re.MULTILINE)
    assert contracts.count(f'"{package}"') == 5  # roots, and the four contracts that name it
    assert f"integrations/{framework}/README.md" in (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize(("room", "contract"), [("bursar", "floors"), ("bursar/store", "store")])
def test_the_floors_are_drawn_as_they_are_enforced(room: str, contract: str) -> None:
    """ARCHITECTURE.md has each room in the order in which the import linter has it, and none is left out."""
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    drawn = re.findall(r"^  (\w+) ", text.partition(f"\n{room}/\n")[2].partition("\n\n")[0], re.MULTILINE)
    rules = WORKSHOP.partition(f'id = "{contract}"')[2].partition("layers = [")[2].partition("]")[0]
    enforced = re.findall(r"\w+", rules)
    folder = ROOT / "core" / "src" / room
    present = {
        path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    present -= {"__init__"}
    assert sorted(drawn) == sorted(present)
    assert drawn == [name for name in enforced if name in present]


# Words that the code does not use: the field has a term for each.
LEFT = {
    "letter": "message", "mailbox": "outbox", "lane": "path", "desk": "backend, admission", "fuse": "breaker",
    "verdict": "swallowed", "standing": "balance", "turns": "turnstile", "spans": "windows", "sheet": "load",
    "latch": "lock", "shares": "division", "words": "encode", "answers": "decode", "seam": "patching",
    "paid": "deduplication", "charged": "deduplication", "raised": "refusals",
}  # fmt: skip


def test_no_name_is_one_of_the_words_that_left() -> None:
    """Modules, classes and functions of the modules of core and integrations, private ones included."""
    found = []
    for path in sorted((*ROOT.glob("core/src/**/*.py"), *ROOT.glob("integrations/*/src/**/*.py"))):
        kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        names = [node.name for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, kinds)]
        found += [
            f"{named(path)}: {name} is called {LEFT[word]}"
            for name in (path.stem, *names)
            if (word := name.strip("_").lower()) in LEFT
        ]
    assert found == []
