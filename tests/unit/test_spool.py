"""Letters on disk: private, whole or not at all, shared by processes, and emptied when delivered."""

from __future__ import annotations

import errno
import fcntl
import json
import multiprocessing
import os
import stat
import sys
from pathlib import Path

import pytest

from bursar.store.entry import Entry
from bursar.store.outbox import spool as spool_module
from bursar.store.outbox.messages import Message
from bursar.store.outbox.spool import Spool
from bursar.values.account import root_account
from bursar.values.amounts import Amounts
from bursar.values.call import Subject


def message(id: str) -> Message:
    """A booking."""
    return Message("book", (Entry(id, (root_account("default", ()),), Subject("model"), Amounts(1, 0, 1)),))


def ids(spool: Spool) -> list[str]:
    """The bookings that are left."""
    return [found.arguments[0].id for found in spool.left()]


def test_what_is_kept_is_left_for_the_next_process(tmp_path: Path) -> None:
    """In order, until it is struck; the file and its folder are its owner's alone; then it is empty."""
    path = tmp_path / "new" / "spool.jsonl"
    spool = Spool(str(path), "s")
    messages = [message(id) for id in "abc"]
    for kept in messages:
        spool.keep(kept)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert ids(Spool(str(path), "s")) == ["a", "b", "c"]
    spool.strike(messages[1])
    assert ids(spool) == ["a", "c"] and spool.struck() == {messages[1].nonce}
    spool.tidy()
    assert len(path.read_text().splitlines()) == 2 and ids(spool) == ["a", "c"]
    spool.tidy()
    for kept in (messages[0], messages[2]):
        spool.strike(kept)
    spool.tidy()
    assert path.read_text() == "" and ids(spool) == []


def test_letters_for_another_store_stay_where_they_are(tmp_path: Path) -> None:
    """They are not delivered here, and not thrown away."""
    path = str(tmp_path / "spool")
    one, other = Spool(path, "one"), Spool(path, "other")
    mine = message("mine")
    one.keep(mine)
    other.keep(message("theirs"))
    one.strike(mine)
    one.tidy()
    assert (ids(one), ids(other)) == ([], ["theirs"])


def test_a_line_that_was_not_finished_is_cut_off_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its process had promised nothing yet; what comes next begins on a line of its own."""
    path = tmp_path / "spool"
    spool = Spool(str(path), "s")
    spool.keep(message("a"))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    spool.keep(message("b"))
    assert ids(spool) == ["a", "b"] and "is not whole" in caplog.text
    path.write_bytes(whole[:10])
    assert ids(spool) == [] and path.read_bytes() == b""


def test_a_line_that_cannot_be_read_is_told_and_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Perhaps a newer version can: the others are delivered meanwhile."""
    path = tmp_path / "spool"
    spool = Spool(str(path), "s")
    good = message("a")
    spool.keep(good)
    lines = [
        "nonsense",
        "[1]",
        '"x"',
        json.dumps({"store": "s", "mark": "m", "verb": "new", "arguments": []}),
        "\udcff",
    ]
    path.write_bytes(
        path.read_bytes() + "".join(f"{line}\n" for line in lines).encode(errors="surrogateescape")
    )
    assert ids(spool) == ["a"] and caplog.text.count("cannot be read") == 5
    spool.strike(good)
    spool.tidy()
    assert len(path.read_text(errors="replace").splitlines()) == 5 and ids(spool) == []


@pytest.mark.parametrize("what", ["link", "folder", "fifo", "others", "below a file"])
def test_what_is_not_a_file_of_its_own_is_refused(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link could lead anywhere, and the file of somebody else is his."""
    path = tmp_path / "spool"
    if what == "link":
        (tmp_path / "target").write_text("precious")
        path.symlink_to(tmp_path / "target")
    elif what == "folder":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "others":
        path.write_text("")
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    else:
        path.write_text("")
        path /= "spool"
    with pytest.raises(ValueError, match=r"\?spool="):
        Spool(str(path), "s")
    if what == "link":
        assert (tmp_path / "target").read_text() == "precious"


def test_a_file_that_others_may_read_is_closed_to_them(tmp_path: Path) -> None:
    """Names of customers are in it."""
    path = tmp_path / "spool"
    path.touch(0o644)
    Spool(str(path), "s")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_full_disk_leaves_no_half_of_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of the system, or of a write that was cut short; the file is as before."""
    path = tmp_path / "spool"
    spool = Spool(str(path), "s")
    spool.keep(message("a"))
    before = path.read_bytes()
    write = os.write

    def full(file: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    for broken in (full, lambda file, data: write(file, data[:5])):
        monkeypatch.setattr(os, "write", broken)
        with pytest.raises(OSError, match="full|space"):
            spool.keep(message("b"))
        assert path.read_bytes() == before
    monkeypatch.setattr(os, "write", write)
    kept = message("c")
    spool.keep(kept)
    spool.strike(kept)

    def fails(file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="Input"):
        spool.tidy()
    monkeypatch.undo()
    assert ids(spool) == ["a"] and [found.name for found in tmp_path.iterdir()] == ["spool"]


def test_a_file_that_is_removed_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also between its opening and its locking, as when another process replaces it."""
    path = tmp_path / "spool"
    spool = Spool(str(path), "s")
    path.unlink()
    spool.keep(message("a"))
    lock, moments = spool._lock, iter([lambda: path.replace(tmp_path / "old"), path.unlink])

    def late(file: int) -> None:
        lock(file)
        next(moments, lambda: None)()

    monkeypatch.setattr(spool, "_lock", late)
    spool.keep(message("b"))
    assert ids(spool) == ["b"]


def test_a_spool_that_somebody_else_holds_is_not_waited_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped process must not stop all others."""
    monkeypatch.setattr(spool_module, "_PATIENCE_S", 0.05)
    path = tmp_path / "spool"
    spool = Spool(str(path), "s")
    with path.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError, match="another process"):
            spool.keep(message("a"))
    spool.keep(message("b"))
    assert ids(spool) == ["b"]


def _write(path: str, name: str) -> None:
    spool = Spool(path, "s")
    for number in range(40):
        kept = message(f"{name}{number}")
        spool.keep(kept)
        if number % 2:
            spool.strike(kept)
            spool.tidy()


def test_many_processes_share_a_file(tmp_path: Path) -> None:
    """Nothing is torn or lost while others write, strike and tidy."""
    path = str(tmp_path / "spool")
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write, args=(path, name)) for name in "xyz"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert sorted(ids(Spool(path, "s"))) == sorted(
        f"{name}{number}" for name in "xyz" for number in range(0, 40, 2)
    )


def test_a_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than a file that processes tear apart."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(ValueError, match="fcntl"):
        Spool(str(tmp_path / "spool"), "s")
