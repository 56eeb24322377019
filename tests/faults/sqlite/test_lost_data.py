"""A file that lost data admits nothing until somebody accepts the loss."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from bursar import Budget, LedgerRolledBack
from bursar.store.sqlite import open_sqlite

from ...files import file_url
from .test_refusals import store_of, until


def spend(budget: Budget, cost: str = "$0.10") -> None:
    """One call."""
    with budget.session("$5").reserve(cost=cost) as hold:
        hold.settle(cost=cost)


def backup(path: Path) -> Path:
    """A copy of the file as it is now, made as the documentation says."""
    copy = path.with_suffix(".backup")
    copy.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def nothing(path: Path, older: Path) -> None:
    """All is well."""


def deleted(path: Path, older: Path) -> None:
    """The file is gone, while processes have it open."""
    for file in path.parent.glob(f"{path.name}*"):
        if file.suffix != ".backup":
            file.unlink()


def deleted_alone(path: Path, older: Path) -> None:
    """Its log was left."""
    path.unlink()


def emptied(path: Path, older: Path) -> None:
    """Nothing is left of it but its name."""
    os.truncate(path, 0)


def moved_in(path: Path, older: Path) -> None:
    """A backup of yesterday takes its place."""
    shutil.move(older, path)


def restored(path: Path, older: Path) -> None:
    """A backup of yesterday is written back into it, by SQLite itself."""
    with closing(sqlite3.connect(older)) as source, closing(sqlite3.connect(path)) as target:
        source.backup(target)


def exchanged(path: Path, older: Path) -> None:
    """It is the ledger of somebody else, who has done more."""
    other = path.with_name("other.db")
    budget = Budget("$5/total", store=file_url(other))
    for _ in range(9):
        spend(budget)
    store_of(budget)._file._drop()
    shutil.move(other, path)


LOSSES: list[Callable[[Path, Path], None]] = [
    nothing, deleted, deleted_alone, emptied, moved_in, restored, exchanged,
]  # fmt: skip


@pytest.mark.parametrize("lose", LOSSES, ids=lambda lose: lose.__name__)
def test_lost_data_is_found_out_before_the_next_call(
    lose: Callable[[Path, Path], None], tmp_path: Path
) -> None:
    """By every process that has seen more; it goes on when somebody has looked at the bill."""
    path = tmp_path / "budget.db"
    budgets = [Budget("$5/total", store=file_url(path)) for _ in range(2)]
    spend(budgets[0])
    older = backup(path)
    for budget in budgets:
        spend(budget)
        spend(budget)
    before = budgets[1].spent
    lose(path, older)
    lost = lose is not nothing
    for budget in budgets:
        if lost:
            with pytest.raises(LedgerRolledBack, match="acknowledge_rollback"):
                budget.session("$5").reserve(cost="$0.10")
            with pytest.raises(LedgerRolledBack):
                _ = budget.spent
            assert any("lost data" in warning for warning in budget.doctor()["warnings"])
        else:
            spend(budget)
    if lost:
        budgets[0].acknowledge_rollback("checked the bill")
        assert budgets[0].spent < before or lose is exchanged
        for budget in budgets:
            spend(budget)
            assert budget.audit() == ()
    else:
        assert float(budgets[0].spent) == 0.7


def test_what_was_to_be_booked_waits_for_the_acknowledgement(tmp_path: Path) -> None:
    """A settle after the loss lands in the ledger that was accepted."""
    path = tmp_path / "budget.db"
    budget = Budget("$5/total", store=file_url(path))
    hold = budget.session("$5").reserve(cost="$0.50")
    deleted(path, path)
    hold.settle(cost="$0.30")
    assert store_of(budget).undelivered == 1
    budget.acknowledge_rollback("the disk was exchanged")
    until(lambda: store_of(budget).undelivered == 0)
    assert float(budget.spent) == 0.3


def test_a_pinned_ledger_is_no_other(tmp_path: Path) -> None:
    """A process that starts afterwards refuses an empty file, too; without the pin it takes it for a new one."""
    path = tmp_path / "budget.db"
    spend(Budget("$5/total", store=file_url(path)))
    id = open_sqlite(file_url(path)).ledger_id("default")
    assert id and open_sqlite(file_url(path)).facts("default").ledger == id
    spend(Budget("$5/total", store=file_url(path, ledger=id)))
    with pytest.raises(LedgerRolledBack, match=r"\?ledger="):
        spend(Budget("$5/total", store=file_url(path, ledger="another")))
    for file in tmp_path.iterdir():
        file.unlink()
    with pytest.raises(LedgerRolledBack, match="gone"):
        spend(Budget("$5/total", store=file_url(path, ledger=id)))
    pinned = Budget("$5/total", store=file_url(path, ledger=id))
    pinned.acknowledge_rollback("a new disk")
    spend(pinned)
    assert store_of(pinned).ledger_id("default") == id
    assert open_sqlite(file_url(tmp_path / "new.db")).ledger_id("default") == ""


def test_a_file_may_move_while_nobody_is_looking(tmp_path: Path) -> None:
    """The same ledger under another inode is the same ledger."""
    path = tmp_path / "budget.db"
    budget = Budget("$5/total", store=file_url(path))
    spend(budget)
    older = backup(path)
    store_of(budget)._file._drop()
    shutil.move(older, path)
    spend(budget)
    assert float(budget.spent) == 0.2 and budget.audit() == ()


def test_a_file_that_nobody_wrote_to_may_go(tmp_path: Path) -> None:
    """There was nothing to lose: it is made again."""
    path = tmp_path / "budget.db"
    budget = Budget("$5/total", store=file_url(path))
    assert budget.spent == 0
    deleted(path, path)
    spend(budget)
    assert float(budget.spent) == 0.1


def test_another_ledger_is_no_continuation(tmp_path: Path) -> None:
    """Though it has more steps, and came while no program had the file open."""
    path, other = tmp_path / "budget.db", tmp_path / "other.db"
    budget, stranger = (Budget("$5/total", store=file_url(file)) for file in (path, other))
    spend(budget)
    for _ in range(9):
        spend(stranger)
    for each in (budget, stranger):
        store_of(each)._file._drop()
    shutil.move(other, path)
    with pytest.raises(LedgerRolledBack, match="another ledger than before"):
        spend(budget)


def test_a_folder_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    """Nothing appears in the place of the ledger before somebody has accepted that it is lost."""
    path = tmp_path / "folder" / "budget.db"
    budget = Budget("$5/total", store=file_url(path))
    spend(budget)
    store_of(budget)._file._drop()
    store_of(budget)._file._turnstile.renew()
    shutil.rmtree(path.parent)
    with pytest.raises(LedgerRolledBack, match="gone"):
        spend(budget)
    assert not path.parent.exists()
    budget.acknowledge_rollback("a new disk")
    spend(budget)
    assert float(budget.spent) == 0.1
