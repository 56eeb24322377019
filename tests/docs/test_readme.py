"""What people see first, here and on the index of packages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECTS = [ROOT / "core", *sorted(path.parent for path in ROOT.glob("integrations/*/pyproject.toml"))]
READMES = [ROOT / "README.md", *(home / "README.md" for home in PROJECTS)]
FIRST_SCREEN = 54  # lines of the source, comments included


def urls(home: Path) -> dict[str, str]:
    """The addresses of a distribution."""
    table = (
        (home / "pyproject.toml").read_text("utf-8").partition("\n[project.urls]\n")[2].partition("\n[")[0]
    )
    return dict(re.findall(r'^(\w+) = "(.*)"$', table, re.MULTILINE))


def anchors(page: Path) -> set[str]:
    """What a link into a page may end with."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_first_screen_shows_what_to_type() -> None:
    """Two lines, the line of LangChain, that nothing is on PyPI, and what it was tested on."""
    screen = "\n".join((ROOT / "README.md").read_text("utf-8").splitlines()[:FIRST_SCREEN])
    for words in (
        "import bursar\n",
        'bursar.init("$',
        'BudgetCallback("$',
        "Nothing is on PyPI yet",
        "Tested on Linux",
    ):
        assert words in screen


@pytest.mark.parametrize("home", PROJECTS, ids=lambda home: home.name)
def test_every_distribution_says_where_it_lives(home: Path) -> None:
    """The same addresses, of one repository."""
    found = urls(home)
    assert found == urls(ROOT / "core") and set(found) == {"Homepage", "Documentation", "Changelog", "Issues"}
    assert all(address.startswith(found["Homepage"]) for address in found.values())


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_of_a_readme_work_on_the_index(readme: Path) -> None:
    """They are whole, or lead to a heading of the page; what they name in the repository is there."""
    here = f"{urls(ROOT / 'core')['Homepage']}/blob/main/"
    for link in re.findall(r"\]\(([^)]+)\)", readme.read_text("utf-8")):
        path, _, anchor = link.removeprefix(here).partition("#")
        if link.startswith(here):
            assert (ROOT / path).is_file(), link
        elif path:
            assert link.startswith("https://"), link
            continue
        if anchor:
            assert anchor in anchors(ROOT / path if path else readme), link


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/*.md")), ids=lambda page: page.name)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    """To a file beside it, and to a heading that it has."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"https?:|mailto:", link):
            path, _, anchor = link.partition("#")
            assert (page.parent / path).exists(), link
            if anchor:
                assert anchor in anchors(page.parent / path if path else page), link
