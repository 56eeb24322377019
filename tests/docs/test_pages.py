"""Every Python block of every page runs as it is printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from sybil import Document, Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

ROOT = Path(__file__).parents[2]
READMES = [ROOT / "README.md", *sorted(ROOT.glob("integrations/*/README.md"))]
PAGES = [*READMES, *sorted(ROOT.glob("docs/**/*.md"))]
READER = Sybil([PythonCodeBlockParser(), SkipParser()], path=str(ROOT))


def read(page: Path) -> Document:
    """The page, cut into its blocks."""
    return READER.parse(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From top to bottom, in one namespace, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for example in read(page).examples():
        example.evaluate()


@pytest.mark.parametrize("page", READMES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_readme_shows_code(page: Path) -> None:
    """So that the test above has something to run where it matters most."""
    assert list(read(page).examples())
