"""Letters to a store that is down: delivered in order, given up after a day, and told to who listens."""

from __future__ import annotations

import errno
import gc
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bursar import HoldClosed, LedgerRolledBack, StoreUnavailable
from bursar.store.entry import Entry
from bursar.store.outbox import outbox as mailbox_module
from bursar.store.outbox.messages import Message
from bursar.store.outbox.outbox import Outbox, Trouble
from bursar.store.outbox.spool import Spool
from bursar.store.results import Booked, Mark, StalePeriod
from bursar.values.account import root_account
from bursar.values.amounts import NOTHING, Amounts
from bursar.values.call import Subject


def message(id: str, root: str = "default") -> Message:
    """A booking."""
    return Message("book", (Entry(id, (root_account(root, ()),), Subject("model"), Amounts(1, 0, 1)),))


def booked(*marks: Mark) -> Booked:
    """What a store answers."""
    return Booked(NOTHING, 0, False, None, 0, marks)


def until(true: Callable[[], object]) -> None:
    """Wait for the thread of a mailbox."""
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Office:
    """A store that takes letters, or raises what it is told to; and who listens to a mailbox."""

    def __init__(self) -> None:
        self.fails: Exception | None = StoreUnavailable("down")
        self.answers: dict[str, Any] = {}
        self.got: list[str] = []
        self.heard: list[Trouble] = []
        self.belated: list[tuple[Entry, Booked]] = []

    def __call__(self, message: Message) -> Any:
        id = message.arguments[0].id
        answer = self.answers.get(id)
        if isinstance(answer, list):
            answer = answer.pop(0)
        error = answer if isinstance(answer, Exception) else self.fails
        if error is not None:
            raise error
        self.got.append(id)
        return answer or booked()

    def trouble(self, trouble: Trouble) -> None:
        self.heard.append(trouble)

    def late(self, entry: Entry, booked: Booked) -> None:
        self.belated.append((entry, booked))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that does not let the tests wait."""
    monkeypatch.setattr(mailbox_module, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(mailbox_module, "_LAST_PAUSE_S", 0.02)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch, quick: None) -> None:
    """A thread that does nothing during a test."""
    monkeypatch.setattr(mailbox_module, "_FIRST_PAUSE_S", 60)


def test_an_outage_is_told_when_it_begins_and_when_it_is_over() -> None:
    """Once each, whatever the number of tries; to those who listen to this tree, and to nobody else."""
    office, other = Office(), Office()
    outbox = Outbox(office)
    outbox.listen("default", office)
    outbox.listen("another", other)
    assert outbox.put(message("a")) and outbox.put(message("b"))
    until(lambda: office.heard)
    time.sleep(0.1)
    (trouble,) = office.heard
    assert trouble == Trouble("wait", "default", trouble.count, "down") and len(outbox) == 2
    assert 1 <= trouble.count <= 2  # the first may have been tried before the second came
    office.fails = None
    until(lambda: len(office.heard) == 2)
    assert office.heard[1] == Trouble("landed", "default", 2, "the store is back")
    assert office.got == ["a", "b"] and other.heard == [] and len(outbox) == 0
    until(lambda: outbox._deliverer is None)
    office.fails = LedgerRolledBack("lost")
    outbox.put(message("c"))
    until(lambda: len(office.heard) == 3)
    office.fails = None
    until(lambda: len(office.heard) == 4)
    assert [trouble.what for trouble in office.heard] == ["wait", "landed"] * 2


def test_what_lands_at_the_first_try_is_no_trouble() -> None:
    """A cancelled task writes a letter, too, and nobody has to hear of it."""
    office = Office()
    office.fails = None
    outbox = Outbox(office)
    outbox.listen("default", office)
    outbox.put(message("a"))
    until(lambda: outbox._deliverer is None)
    assert office.got == ["a"] and office.heard == []


def test_each_tree_has_its_own_queue(slow: None) -> None:
    """One whose data was lost does not hold up the others."""
    office = Office()
    office.fails, office.answers = None, {"a": LedgerRolledBack("lost")}
    outbox = Outbox(office)
    outbox.put(message("a", "lost"))
    outbox.put(message("b", "fine"))
    outbox.deliver("fine")
    with pytest.raises(LedgerRolledBack):
        outbox.deliver("lost")
    outbox.deliver("never heard of")
    assert office.got == ["b"] and len(outbox) == 1


def test_what_is_refused_or_too_old_is_lost_and_told(
    slow: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In one alert for as many in a row as there are; the next one is delivered all the same."""
    office = Office()
    office.fails, office.answers = None, {"b": HoldClosed("settled already"), "c": HoldClosed("again")}
    outbox = Outbox(office)
    outbox.listen("default", office)
    old = replace(message("a"), age_s=90_000.0)
    monkeypatch.setattr(mailbox_module, "_FIRST_PAUSE_S", 0.01)
    messages = [old, message("b"), message("c"), message("d")]
    for each in messages:
        outbox.put(each)
    until(lambda: outbox._deliverer is None)
    assert [(trouble.what, trouble.count) for trouble in office.heard] == [("given_up", 1), ("refused", 2)]
    assert "for a day" in office.heard[0].why and office.heard[1].why == "book: settled already"
    assert office.got == ["d"] and caplog.text.count("a late book is") == 3


def test_what_a_late_booking_reached_is_told() -> None:
    """A fraction of a limit is announced once, so it must not be lost on the way."""
    office = Office()
    office.fails = None
    reached = booked(Mark("default", None, 900_000, 1))  # type: ignore[arg-type]
    office.answers = {"a": reached}
    outbox = Outbox(office)
    outbox.listen("default", office)
    outbox.put(message("a"))
    until(lambda: office.belated)
    ((entry, answer),) = office.belated
    assert entry.id == "a" and answer is reached


def test_a_listener_that_fails_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """The others hear of it, and one that is gone is not kept alive."""
    office, broken = Office(), Office()
    broken.trouble = broken.late = 5  # type: ignore[assignment,method-assign]
    outbox = Outbox(office)
    gone = Office()
    for listener in (broken, gone, office):
        outbox.listen("default", listener)
    del gone, listener
    gc.collect()
    assert len(outbox._listeners) == 2
    outbox.put(message("a"))
    until(lambda: office.heard)
    assert "could not be sent" in caplog.text
    office.fails = None
    until(lambda: outbox._deliverer is None)


def test_a_calendar_of_yesterday_is_made_anew(slow: None) -> None:
    """A charge without a hold that waited over midnight counts in the day in which it lands."""
    office = Office()
    office.fails, office.answers = None, {"a": [StalePeriod(1_700_000_000_000, ("UTC",)), booked()]}
    outbox = Outbox(office)
    outbox.put(message("a"))
    outbox.deliver("default")
    assert office.got == ["a", "a"] and len(outbox) == 0


def test_a_verb_does_not_deliver_for_longer_than_it_may_take(slow: None) -> None:
    """The rest is for the thread."""
    office = Office()
    office.fails = None
    outbox = Outbox(office)
    outbox.put(message("a"))
    outbox.deliver("default", within_s=0.0)
    assert office.got == []
    outbox.deliver("default", within_s=5.0)
    assert office.got == ["a"]


def test_one_delivers_at_a_time(slow: None) -> None:
    """A verb that finds somebody else at it goes on."""
    entered, leave = threading.Event(), threading.Event()

    def send(message: Message) -> Booked:
        entered.set()
        leave.wait(5)
        return booked()

    outbox = Outbox(send)
    outbox.put(message("a"))
    thread = threading.Thread(target=outbox.deliver, args=("default",))
    thread.start()
    entered.wait(5)
    outbox.deliver("default")
    assert len(outbox) == 1
    leave.set()
    thread.join()
    assert len(outbox) == 0


def test_an_error_that_nobody_expected_does_not_end_the_thread() -> None:
    """The letter waits like any other."""
    office = Office()
    office.fails = ZeroDivisionError("a defect")
    outbox = Outbox(office)
    outbox.put(message("a"))
    time.sleep(0.1)
    office.fails = None
    until(lambda: office.got == ["a"])


def test_too_many_are_refused(monkeypatch: pytest.MonkeyPatch, slow: None, tmp_path: Path) -> None:
    """Also where an earlier process left more than there is room for."""
    monkeypatch.setattr(mailbox_module, "_MOST", 2)
    spool = Spool(str(tmp_path / "spool"), "s")
    outbox = Outbox(Office(), spool)
    assert [outbox.put(message(id)) for id in "abc"] == [True, True, False]
    spool.keep(message("d"))
    assert len(Outbox(Office(), spool)) == 2 and len(spool.left()) == 3


def test_the_next_process_delivers_what_is_on_disk(slow: None, tmp_path: Path) -> None:
    """In order and once; what is delivered is not there for a third one."""
    path = str(tmp_path / "spool")
    first, second = Office(), Office()
    ended = Outbox(first, Spool(path, "s"))
    for id in "abc":
        ended.put(message(id))
    second.fails = None
    outbox = Outbox(second, Spool(path, "s"))
    assert len(outbox) == 3
    outbox.deliver("default")
    assert second.got == ["a", "b", "c"] and (tmp_path / "spool").read_text() == ""
    assert len(Outbox(Office(), Spool(path, "s"))) == 0


def test_what_its_own_process_delivered_meanwhile_is_not_delivered_again(slow: None, tmp_path: Path) -> None:
    """It had not ended, after all."""
    path = str(tmp_path / "spool")
    one, two = Office(), Office()
    alive = Outbox(one, Spool(path, "s"))
    alive.put(message("a", "x"))
    alive.put(message("b", "y"))
    late = Outbox(two, Spool(path, "s"))
    one.fails = two.fails = None
    alive.deliver("x")
    late.deliver("x")
    late.deliver("y")
    assert (one.got, two.got) == (["a"], ["b"]) and len(late) == 0


def test_a_spool_that_fails_keeps_nobody_from_working(
    slow: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The booking waits in memory, as it would without a spool."""

    def fails(*_: object) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    spool = Spool(str(tmp_path / "spool"), "s")
    office = Office()
    office.fails = None
    spool.keep(message("z"))
    for name in ("keep", "strike", "struck"):
        monkeypatch.setattr(spool, name, fails)
    outbox = Outbox(office, spool)
    assert outbox.put(message("a"))
    outbox.deliver("default")
    assert office.got == ["z", "a"] and "in memory only" in caplog.text and caplog.text.count("No space") == 3


def test_a_forked_child_leaves_the_letters_to_its_parent(slow: None) -> None:
    """It begins with none."""
    outbox = Outbox(Office())
    outbox.put(message("a"))
    outbox.renew()
    assert len(outbox) == 0
