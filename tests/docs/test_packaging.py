"""What users see from outside: versions, names, and legal texts."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import bursar

ROOT = Path(__file__).parents[2]
HOMES = [ROOT / "core", *sorted(path.parent for path in ROOT.glob("integrations/*/pyproject.toml"))]
PACKAGES = {home: next(path.parent for path in home.glob("src/*/__init__.py")) for home in HOMES}
PUBLIC = [*PACKAGES.values(), *(ROOT / "core/src/bursar" / name for name in ("store", "testing"))]


def test_the_version_is_that_of_the_distribution() -> None:
    """`bursar.__version__` and the metadata cannot disagree."""
    assert bursar.__version__ == version("bursar")


def test_the_changelog_begins_with_this_version() -> None:
    """A release without a word about it is no release."""
    headings = re.findall(r"^## \[?([\d.]+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == version("bursar")


@pytest.mark.parametrize("home", HOMES, ids=lambda home: home.name)
@pytest.mark.parametrize("name", ["LICENSE", "NOTICE"])
def test_every_distribution_has_the_same_legal_texts(home: Path, name: str) -> None:
    """A build sees its own folder only, so each has a copy; to mend: `cp LICENSE NOTICE <folder>`."""
    assert (home / name).read_bytes() == (ROOT / name).read_bytes()


def test_the_core_shows_the_readme_of_the_project() -> None:
    """The page on the index is the page of the repository; to mend: `cp README.md core/`."""
    assert (ROOT / "core/README.md").read_bytes() == (ROOT / "README.md").read_bytes()


@pytest.mark.parametrize("package", PUBLIC, ids=lambda package: package.name)
def test_public_names_exist_and_are_sorted_within_their_groups(package: Path) -> None:
    """`__all__` reads like a table of contents: headings, and names in order below each."""
    written = re.search(
        r"^__all__(?:: list\[str\])? = \[(.*?)\]",
        (package / "__init__.py").read_text("utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    assert written
    groups = [re.findall(r'"(\w+)"', group) for group in re.split(r"^ +#.*$", written[1], flags=re.MULTILINE)]
    module = import_module(".".join(package.parts[package.parts.index("src") + 1 :]))
    assert [name for group in groups for name in group] == module.__all__
    assert len(set(module.__all__)) == len(module.__all__)
    assert [sorted(group) for group in groups] == groups
    assert all(getattr(module, name) is not None for name in module.__all__)


@pytest.mark.parametrize("home", HOMES, ids=lambda home: home.name)
def test_types_are_published(home: Path) -> None:
    """Type checkers read a package only if it says that they may."""
    assert (PACKAGES[home] / "py.typed").exists()


FRAMEWORKS = {"anthropic", "httpx", "langchain", "langchain_core", "langgraph", "openai", "pydantic"}
OPENED = """
import sys
import bursar
bursar.Budget("$1").session()
print(*(plugin.name for plugin in bursar.list_plugins()))
print(*sys.modules)
"""
ABSENT = """
import sys
sys.modules |= dict.fromkeys(["anthropic", "openai"])  # as if neither were installed
import bursar
with bursar.budgeted("$1")(lambda: bursar.get_session())():
    bursar.init("$1")
bursar.teardown()
try:
    bursar.wrap_client(object(), bursar.Budget("$1"))
except TypeError as error:
    print(error)
print(*(name for name in sys.modules if name.endswith("._adapter")))
"""


def _run(program: str) -> list[str]:
    return subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_opening_the_plugins_imports_no_framework() -> None:
    """A fresh interpreter has found the integrations by their entry points, and none of what they cover."""
    plugins, loaded = (set(line.split()) for line in _run(OPENED))
    assert {"anthropic", "langchain", "openai"} <= plugins
    assert {f"bursar_{plugin}.hooks" for plugin in ("anthropic", "langchain", "openai")} <= loaded
    assert not loaded & FRAMEWORKS


def test_the_hooks_of_an_absent_sdk_do_nothing() -> None:
    """`init`, `budgeted` and `wrap_client` work, and no adapter is imported, which would import the SDK."""
    assert _run(ABSENT) == ["no plugin covers a client of the type object", ""]
