"""URLs of files, and the folders that they are in."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from bursar import Budget, StoreUnavailable
from bursar.store.sqlite import folder, open_sqlite
from bursar.store.sqlite.url import Place, parse_url

HERE = Path.cwd()


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("sqlite:///budget.db", Place(HERE / "budget.db")),
        ("sqlite:////var/lib/agent/b.db", Place(Path("/var/lib/agent/b.db"))),
        ("sqlite:////a/b%20c%3F.db", Place(Path("/a/b c?.db"))),
        ("sqlite:////a/b.db?synchronous=normal", Place(Path("/a/b.db"), "normal")),
        ("sqlite:////a/b.db?synchronous=FULL&timeout=5s", Place(Path("/a/b.db"), "full", 5.0)),
        ("sqlite:////a/b.db?timeout=0.5&ledger=abc", Place(Path("/a/b.db"), timeout_s=0.5, ledger="abc")),
        ("sqlite:////a/b.db?spool=/a/s.jsonl", Place(Path("/a/b.db"), spool="/a/s.jsonl")),
    ],
)
def test_a_url_names_a_file(url: str, place: Place) -> None:
    """Relative, whole, with signs that a URL has to escape, with options."""
    assert parse_url(url) == place


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite://budget.db", "sqlite:///budget.db"),
        ("sqlite:////var/lib/", "names no file"),
        ("sqlite:////a/b.db#x", "names no file"),
        ("sqlite:///:memory:", "store=None"),
        ("sqlite:////a/b%00.db", "NUL"),
        ("sqlite:////a/b.db?mode=ro", "mode=; there are synchronous, timeout, ledger, spool"),
        ("sqlite:////a/b.db?synchronous=off", "neither full nor normal"),
        ("sqlite:////a/b.db?synchronous=", "neither full nor normal"),
        ("sqlite:////a/b.db?timeout=soon", "from 0.05 to 60 seconds"),
        ("sqlite:////a/b.db?timeout=0", "from 0.05 to 60 seconds"),
        ("sqlite:////a/b.db?timeout=nan", "from 0.05 to 60 seconds"),
        ("sqlite:////a/b.db?timeout=61", "from 0.05 to 60 seconds"),
        ("sqlite:////a/b.db?spool=", "without a file"),
    ],
)
def test_a_url_that_names_none_is_refused(url: str, says: str) -> None:
    """When the budget is made, with what to write instead."""
    with pytest.raises(ValueError, match=re.escape(says)):
        Budget("$1", store=url)


def mode(path: Path) -> int:
    """The rights of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_the_file_and_its_folder_are_private(tmp_path: Path) -> None:
    """Whatever the umask: folders that we make 0700, the file with its log, shared memory, lock and queue 0600."""
    before = os.umask(0)
    try:
        path = tmp_path / "a" / "b" / "budget.db"
        budget = Budget("$1", store=f"sqlite:///{path}")
        budget.session().reserve(cost="$0.1").settle(cost="$0.1")
    finally:
        os.umask(before)
    assert [mode(folder) for folder in (tmp_path / "a", tmp_path / "a" / "b")] == [0o700, 0o700]
    files = {file.name: mode(file) for file in path.parent.iterdir()}
    assert files == dict.fromkeys(
        ("budget.db", *(f"budget.db-{name}" for name in ("lock", "queue", "shm", "wal"))), 0o600
    )
    path.chmod(0o644)
    assert any("chmod 600" in warning for warning in budget.doctor()["warnings"])


@pytest.mark.parametrize("writable", [True, False])
def test_a_folder_of_everybody_is_refused(tmp_path: Path, writable: bool) -> None:
    """Somebody else could put another file in its place; the same folder without that right will do."""
    tmp_path.chmod(0o777 if writable else 0o755)
    budget = Budget("$1", store=f"sqlite:///{tmp_path}/budget.db")
    if writable:
        with pytest.raises(StoreUnavailable, match="everybody can write"):
            budget.session().reserve(cost="$0.1")
        assert list(tmp_path.iterdir()) == []
    else:
        budget.session().reserve(cost="$0.1").settle()


@pytest.mark.parametrize("mine", [True, False])
def test_a_link_of_somebody_else_is_refused(
    tmp_path: Path, mine: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could be turned to another file at any time; one's own link will do."""
    link = tmp_path / "budget.db"
    link.symlink_to(tmp_path / "really.db")
    owner = os.geteuid() or 12345
    os.chown(link, owner, -1, follow_symlinks=False)
    monkeypatch.setattr(folder.os, "geteuid", lambda: owner if mine else owner + 1)
    budget = Budget("$1", store=f"sqlite:///{link}")
    if mine:
        budget.session().reserve(cost="$0.1").settle()
        assert (tmp_path / "really.db").exists()
    else:
        with pytest.raises(StoreUnavailable, match="belongs to somebody else"):
            budget.session().reserve(cost="$0.1")


@pytest.mark.parametrize(
    ("kind", "point", "refused"),
    [
        ("nfs4", "the folder", True),
        ("fuse.sshfs", "its parent", True),
        ("ext4", "the folder", False),
        ("nfs4", "elsewhere", False),
        (None, "", False),
    ],
)
def test_a_file_system_of_another_machine_is_refused(
    tmp_path: Path, kind: str | None, point: str, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locks do not hold there; where the system does not tell, nobody is refused."""
    home = tmp_path / "with a space"
    points = {"the folder": home, "its parent": tmp_path, "elsewhere": tmp_path / "else"}
    mounts = tmp_path / "mounts"
    if kind:
        shown = str(points[point]).replace(" ", "\\040")
        mounts.write_text(f"/dev/root / ext4 rw 0 0\nserver:/x {shown} {kind} rw 0 0\n")
    monkeypatch.setattr(folder, "_MOUNTS", mounts)
    budget = Budget("$1", store=f"sqlite:///{home}/budget.db")
    if refused:
        with pytest.raises(StoreUnavailable, match=f"another machine \\({kind}\\)"):
            budget.session().reserve(cost="$0.1")
    else:
        budget.session().reserve(cost="$0.1").settle()


def test_an_old_sqlite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no strict tables, and would let a fraction of a nano-dollar in."""
    monkeypatch.setattr("sqlite3.sqlite_version_info", (3, 36, 0))
    with pytest.raises(ValueError, match="needs SQLite 3.37"):
        open_sqlite(f"sqlite:///{tmp_path}/budget.db")


def test_what_a_store_says_about_itself(tmp_path: Path) -> None:
    """Class, version, ledger; `normal` comes with a warning; its name has no secret, and it is not pickled."""
    for synchronous, warned in (("full", False), ("normal", True)):
        url = f"sqlite:///{tmp_path}/{synchronous}.db?synchronous={synchronous}"
        budget = Budget("$1", store=url)
        budget.session().reserve(cost="$0.1").settle()
        told = budget.doctor()
        assert (told["store"], told["durability"]) == ("sqlite", f"sqlite-{synchronous}")
        assert told["version"].startswith("3.") and told["ledger"] and told["undelivered"] == 0
        assert bool(told["warnings"]) is warned
        assert budget.report()["durability"] == f"sqlite-{synchronous}"
        assert repr(budget._ledger.store) == f"<SqliteStore '{tmp_path}/{synchronous}.db'>"


@pytest.mark.parametrize("folder_is_one", [True, False])
def test_a_folder_that_is_none_is_told(tmp_path: Path, folder_is_one: bool) -> None:
    """The system's own word for it, with the name of the file."""
    place = tmp_path / "place"
    place.mkdir() if folder_is_one else place.write_text("a text")
    budget = Budget("$1", store=f"sqlite:///{place}/budget.db")
    if folder_is_one:
        budget.session().reserve(cost="$0.1").settle()
    else:
        with pytest.raises(StoreUnavailable, match="place/budget.db' cannot be used"):
            budget.session().reserve(cost="$0.1")
