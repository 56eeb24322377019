"""The table of docs/concurrency.md says what is tested, and nothing else."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from . import (
    test_after_fork,
    test_between_processes,
    test_between_tasks,
    test_between_threads,
    test_pickle_and_copy,
)

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "concurrency.md"
COLUMNS = (
    test_between_threads,
    test_between_tasks,
    test_after_fork,
    test_between_processes,
    test_pickle_and_copy,
)
OF_INTEGRATIONS = {"BudgetCallback": ROOT / "tests" / "integration" / "langchain" / "test_isolation.py"}


def claims() -> dict[str, list[bool]]:
    """For each object, by its first name in the row: which columns of the first table say something about it."""
    table = PAGE.read_text("utf-8").partition("\n\n|")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `([^`]+)`([^|]*)\|(.+)\|$", table, re.MULTILINE)
    return {name: [cell.strip() != "-" for cell in cells.split("|")] for name, _, cells in rows}


def test_every_claim_has_a_test_and_every_test_a_claim() -> None:
    """A row for each scenario, a scenario for each cell."""
    core = {name: cells for name, cells in claims().items() if name not in OF_INTEGRATIONS}
    assert all(len(cells) == len(COLUMNS) for cells in core.values())
    for number, column in enumerate(COLUMNS):
        assert set(column.SCENARIOS) == {name for name, cells in core.items() if cells[number]}


def test_every_claim_of_an_integration_has_a_test() -> None:
    """Those are functions, because they run beside their framework."""
    for name, path in OF_INTEGRATIONS.items():
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
        columns = [column.__name__.rpartition(".")[2].removeprefix("test_") for column in COLUMNS]
        wanted = {
            f"test_{words}_{column}" for column, says in zip(columns, claims()[name], strict=True) if says
        }
        tree = ast.parse(path.read_text("utf-8"))
        assert wanted and wanted <= {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
