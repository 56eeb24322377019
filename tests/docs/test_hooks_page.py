"""docs/hooks.md, the specs and the tests tell of the same hooks."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pluggy import PluginManager

from bursar import hookspecs

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "hooks.md").read_text("utf-8")
SECTIONS = re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]
ALL = [name for name in vars(hookspecs) if name.startswith("bursar_")]


def arguments(hook: str) -> list[str]:
    """What the spec says that the hook is called with."""
    return list(inspect.signature(getattr(hookspecs, hook)).parameters)


def section(hook: str) -> str:
    """What the page says of a hook."""
    (found,) = [part.partition("\n## ")[0] for part in SECTIONS if part.startswith(f"{hook}(")]
    return found


def written_tests() -> Iterator[str]:
    """The names of all tests of the core."""
    for path in ROOT.glob("tests/unit/test_*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_"):
                yield node.name


def test_the_page_has_every_hook_with_its_arguments() -> None:
    """One heading for each, exactly as it is called, in the order of the specs; and none for anything else."""
    headings = [part.partition("\n")[0] for part in SECTIONS]
    assert headings == [f"{hook}({', '.join(arguments(hook))})" for hook in ALL]


@pytest.mark.parametrize("hook", ALL)
def test_the_page_tells_when_a_hook_is_called_with_what(hook: str) -> None:
    """In the words that begin its docstring: before or after what; and a row for each argument, in order."""
    text = section(hook)
    when = re.search(r"^Called (before|after)", text, re.MULTILINE)
    said = re.match(r"Called (before|after)", getattr(hookspecs, hook).__doc__)
    assert when and said and when[1] == said[1]
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == arguments(hook)


@pytest.mark.parametrize("hook", ALL)
def test_the_page_tells_what_happens_when_a_hook_fails(hook: str) -> None:
    """For each by itself where it is asked; once for all that are told."""
    told = PAGE.partition("\n## Told afterwards\n")[2]
    assert "None of them can change anything by failing" in told
    assert "When it fails" in section(hook) or f"### {hook}(" in told
    assert re.search(r"Raises:\n\s+\w[\w |]*: then ", getattr(hookspecs, hook).__doc__)


@pytest.mark.parametrize("hook", ALL)
def test_every_hook_is_tested(hook: str) -> None:
    """There is a test with its name."""
    assert any(re.search(rf"{hook}(?![a-z])", test) for test in written_tests())


def test_every_spec_is_one_for_pluggy() -> None:
    """Every function of the module is marked; those that are asked for an answer give the first one."""
    manager = PluginManager("bursar")
    manager.add_hookspecs(hookspecs)
    specs = {name: caller.spec for name, caller in vars(manager.hook).items()}
    assert sorted(specs) == sorted(ALL)
    answering = [
        name for name in ALL if inspect.signature(getattr(hookspecs, name)).return_annotation != "None"
    ]
    answering.remove("bursar_patch")  # every SDK is to be covered, not only the first one
    assert [name for name in ALL if specs[name].opts["firstresult"]] == answering
