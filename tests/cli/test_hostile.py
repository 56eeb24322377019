"""Names that were made to do harm come out harmless, whatever the output."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

from bursar import Budget

from .commands import Run

EVIL = (
    "<script>alert(1)</script>", "[bold red]x[/]", '=HYPERLINK("http://x","y")', "+1+1", "-1+1", "@SUM(A1)",
    "a\u202eb\u2066c", 'quote"back\\slash{x="1"}', "zero\u200bwidth\ufeff", ":smile: [link=http://x]y[/link]",
)  # fmt: skip


@pytest.fixture
def store(empty: str) -> str:
    """A budget for each of them, and a model, a tool and a session of that name."""
    for name in EVIL:
        budget = Budget(name=name, store=empty, prices={name: (1, 1)})
        session = budget.child(name).session(id=name)
        session.record(name, 1_000_000, 0)
        session.track(None, "$0.25", name)
        budget.trip(name)
    return empty


@pytest.mark.parametrize("coloured", [False, True], ids=["pipe", "terminal"])
def test_text_has_nothing_that_a_terminal_obeys(
    run: Run, store: str, monkeypatch: pytest.MonkeyPatch, coloured: bool
) -> None:
    """No control characters, no marks that turn the text round, no markup that is carried out."""
    if coloured:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLUMNS", "400")
    commands = ("status", "who --most 100", "tree", "holds", "audit", "top --interval 0.1 --times 1")
    of_one = ("report --account", "status --account", "history --by child --account")
    for command in (*commands, *of_one):
        words = [*command.split(" "), *([EVIL[1]] if command.endswith("--account") else [])]
        out = run(*words, "--store", store).out
        shown = re.sub(r"\r|\x1b\[(?:[0-9;]*[mAKJH]|\?25[lh])", "", out)  # those of rich itself
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ufeff]", shown)
        if command in ("status", "tree"):
            assert "[bold red]x[/]" in shown and ":smile: [link=http://x]y[/link]" in shown


def test_a_mistake_has_nothing_that_a_terminal_obeys(run: Run, store: str) -> None:
    """The name that was typed, and those that are close to it."""
    done = run("status", "--store", store, "--account", "a\x1b[31m\u202eb")
    assert not re.search("[\x1b\u202a-\u202e\u2066]", done.err) and done.err.count("\n") == 1


def test_json_is_plain_ascii(run: Run, store: str) -> None:
    """And the names are whole again when it is read."""
    done = run("status", "--json", "--store", store)
    assert done.out.isascii()
    assert sorted(one["session_id"] for one in done.json["accounts"]) == sorted(EVIL)


def test_csv_has_no_formulas(run: Run, store: str) -> None:
    """A spreadsheet shows every cell, and computes none."""
    rows = list(csv.reader(io.StringIO(run("export", "--store", store).out)))
    assert len({len(row) for row in rows}) == 1
    cells = [cell for row in rows for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    assert "'+1+1" in cells


def test_prometheus_labels_are_closed(run: Run, store: str) -> None:
    """Every line is a comment or a sample that the format allows."""
    text = run("status", "--format", "prometheus", "--store", store).out
    sample = r'\w+\{\w+="(?:[^"\\\n]|\\\\|\\")*"(?:,\w+="(?:[^"\\\n]|\\\\|\\")*")*\} -?[0-9.]+'
    assert all(re.fullmatch(f"#.*|{sample}", line) for line in text.splitlines())


def test_html_runs_nothing(run: Run, store: str, tmp_path: Path) -> None:
    """Names are text in it."""
    for number, name in enumerate(EVIL):
        page = tmp_path / f"{number}.html"
        assert run("report", "--store", store, "--account", name, "--html", page).status in (0, 2)
    pages = "".join(page.read_text("utf-8") for page in tmp_path.iterdir())
    assert "&lt;script&gt;" in pages and "<script" not in pages and "\u202e" not in pages
