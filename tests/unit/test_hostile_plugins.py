"""Plugins that raise, exit, recurse, change what they get and come back: the money stays what it is.

The judge is the bill of a provider that shares no code with the ledger.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from bursar import Budget, BudgetExceeded, Charge, Hold, Session, hookimpl, list_plugins
from bursar.store.memory import MemoryStore
from bursar.testing import ScriptedProvider

from .agents import WAYS, Recorder, endless, work

CALL = {"input_tokens": 800, "max_output_tokens": 200}
TOLD = ("reserved", "settled", "released", "refused", "alert", "session_opened", "session_closed")
SECRET = "the prompt of the user"


def hostile(act: Callable[[Any], Any], *hooks: str) -> object:
    """A plugin that does the same in each of these hooks, before every other plugin."""
    arguments = {
        "reserved": "hold", "settled": "charge", "released": "hold", "refused": "refusal", "alert": "alert",
        "session_opened": "session", "session_closed": "report",
    }  # fmt: skip

    def method(argument: str) -> Callable[..., Any]:
        namespace: dict[str, Any] = {"act": act}
        exec(f"def hook(self, {argument}):\n    return act({argument})", namespace)
        return hookimpl(tryfirst=True)(namespace["hook"])

    return type("Hostile", (), {f"bursar_{hook}": method(arguments[hook]) for hook in hooks})()


def raising(error: type[BaseException]) -> Callable[[Any], Any]:
    def fail(_: Any) -> Any:
        raise error(SECRET)

    return fail


def spoiling(what: Any) -> None:
    """Changes whatever can be changed of what is nobody's but the reader's."""
    for name in ("cost", "usage", "estimated", "overrun", "id", "call"):
        if isinstance(what, Charge):
            setattr(what, name, None)


HOSTILE = [
    pytest.param(raising(ValueError), True, id="raises"),
    pytest.param(raising(SystemExit), True, id="exits"),
    pytest.param(raising(GeneratorExit), True, id="generator exit"),
    pytest.param(raising(StopIteration), True, id="stop iteration"),
    pytest.param(raising(asyncio.CancelledError), True, id="is cancelled"),
    pytest.param(raising(BudgetExceeded), True, id="refuses"),
    pytest.param(endless, True, id="recurses"),
    pytest.param(lambda _: object(), False, id="returns nonsense"),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("act", "fails"), HOSTILE)
@pytest.mark.parametrize("limit", ["$0.003", "$1"])
def test_an_observer_cannot_lose_a_charge(
    act: Callable[[Any], Any], fails: bool, way: str, limit: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it does in each hook: calls, bill and balance are those without it, and the next plugin hears all.

    Under the small limit two of four calls are made, and the third is refused; under the large one all are.
    """
    recorder, store = Recorder(), MemoryStore()
    budget = Budget(limit, plugins=[hostile(act, *TOLD), recorder], alerts="inline", store=store, clamp=False)
    with ScriptedProvider(output_tokens=100) as provider:
        session = budget.session()
        if limit == "$1":
            work(session, provider, 4, way=way)
        else:
            with pytest.raises(BudgetExceeded) as refusal:
                work(session, provider, 4, way=way)
            assert refusal.value.limit == "$0.003/session"  # ours, not the plugin's
        session.reserve(tool="search").release()
        session.close()
        made = 4 if limit == "$1" else 2
        assert provider.hits == made and session.spent == provider.bill
    assert session.reserved == 0 and store.audit("default") == ()
    assert len(recorder.of("settled")) == made and len(recorder.of("reserved")) == made + 1
    assert len(recorder.of("session_closed")) == len(recorder.of("released")) == 1
    assert len(recorder.of("refused")) == (0 if limit == "$1" else 1)

    called = {f"bursar_{name}": recorder.names.count(name) for name in set(recorder.names)}
    assert list_plugins(budget)[0].failures == (called if fails else {})
    told = [record for record in caplog.records if "'Hostile'" in record.getMessage()]
    assert len(told) == (len(called) if fails else 0)  # once for each hook
    assert SECRET not in caplog.text


def test_a_charge_cannot_be_changed_by_who_hears_of_it() -> None:
    """It is frozen, so that the caller and the next plugin see what was booked."""
    recorder = Recorder()
    session = Budget("$1", plugins=[hostile(spoiling, "settled"), recorder], alerts="inline").session()
    charge = session.reserve("gpt-4o", **CALL).settle(input_tokens=800, output_tokens=200)
    assert charge.cost == session.spent == Decimal("0.004")
    assert recorder.of("settled") == [charge]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "hook", ["settled", "refused", "released", "session_opened", "session_closed", "alert"]
)
def test_an_interrupt_goes_through_when_the_charge_is_safe(hook: str, way: str) -> None:
    """A Ctrl-C in an observer reaches the user, after the store has committed and the other plugins were told."""
    recorder, store = Recorder(), MemoryStore()
    budget = Budget(
        "$0.003",
        plugins=[hostile(raising(KeyboardInterrupt), hook), recorder],
        store=store,
        clamp=False,
        soft_limit=0.01,
        alerts="inline",
    )

    def everything(provider: ScriptedProvider) -> None:
        session = budget.session()
        session.reserve(tool="search").release()
        try:
            work(session, provider, 4, way=way)
        except BudgetExceeded:
            session.close()

    with ScriptedProvider(output_tokens=100) as provider:
        with pytest.raises(KeyboardInterrupt):
            everything(provider)
        assert budget.spent == provider.bill
        assert budget.reserved == 0 and store.audit("default") == ()
        assert recorder.names[-1] == hook
        assert provider.hits == {"settled": 1, "alert": 1, "refused": 2, "session_closed": 2}.get(hook, 0)
    assert list_plugins(budget)[0].failures == {}  # it is the user who stopped it


@pytest.mark.parametrize("way", WAYS)
def test_an_interrupt_after_a_reserve_gives_the_hold_back(way: str) -> None:
    """The caller never gets the hold, so that the call is not made: nothing stays reserved, and both are told."""
    recorder = Recorder()
    budget = Budget(
        "$1", plugins=[hostile(raising(KeyboardInterrupt), "reserved"), recorder], alerts="inline"
    )
    with ScriptedProvider() as provider:
        session = budget.session()
        with pytest.raises(KeyboardInterrupt):
            work(session, provider, 1, way=way)
        assert provider.hits == 0
    assert session.reserved == session.spent == 0
    assert recorder.names == ["session_opened", "reserved", "released"]


def test_interrupts_of_two_plugins_are_one() -> None:
    """All plugins are told before the first interrupt goes through."""
    first, second = (hostile(raising(KeyboardInterrupt), "settled") for _ in range(2))
    recorder = Recorder()
    session = Budget("$1", plugins=[first, second, recorder], alerts="inline").session()
    with pytest.raises(KeyboardInterrupt):
        session.record("gpt-4o", 800, 200)
    assert session.spent == Decimal("0.004") and len(recorder.of("settled")) == 1


class Paying:
    """Pays for something of its own whenever it hears of something."""

    def __init__(self) -> None:
        self.session: Session | None = None
        self.heard = 0

    def pay(self) -> None:
        self.heard += 1
        assert self.session is not None
        with self.session.reserve(tool="archive", cost="$0.01") as hold:
            hold.settle()

    @hookimpl
    def bursar_session_opened(self, session: Session) -> None:
        self.session = self.session or session

    @hookimpl
    def bursar_reserved(self, hold: Hold) -> None:
        self.pay()

    @hookimpl
    def bursar_settled(self, charge: Charge) -> None:
        self.pay()


def test_an_observer_may_come_back() -> None:
    """It may reserve and settle, is not told of that by the same hook again, and everybody else is told of all."""
    paying, recorder = Paying(), Recorder()
    session = Budget("$1", plugins=[paying, recorder], alerts="inline").session()
    session.reserve("gpt-4o", **CALL).settle(input_tokens=800, output_tokens=200)
    # the call is reserved -> 1 paid, whose settle -> 1 paid; the call is settled -> 1 paid, whose reserve -> 1 paid
    assert paying.heard == 4
    assert session.spent == Decimal("0.044") == sum(charge.cost for charge in recorder.of("settled"))
    assert session.reserved == 0


def test_what_a_finaliser_left_waits_for_a_plugin() -> None:
    """A plugin that reads a balance while it is told of a charge misses no other charge by it."""
    heard: list[tuple[Decimal, Decimal]] = []

    class Reading:
        """Reads the balance at each charge."""

        @hookimpl
        def bursar_settled(self, charge: Charge) -> None:
            if not heard:
                left.abandon()
            heard.append((charge.cost, session.spent))

    session = Budget("$1", plugins=[Reading()]).session()
    left = session.reserve("gpt-4o", **CALL)
    session.reserve("gpt-4o", **CALL).settle(input_tokens=800, output_tokens=100)
    assert len(heard) == 1
    assert session.spent == Decimal("0.007")
    assert heard == [(Decimal("0.003"), Decimal("0.003")), (Decimal("0.004"), Decimal("0.007"))]


def test_an_observer_that_hangs_keeps_no_other_thread_waiting() -> None:
    """It runs outside of every lock: while one thread is in it, another one makes its calls."""
    entered, go_on = threading.Event(), threading.Event()

    def wait(charge: Charge) -> None:
        if charge.call.tool == "slow":
            entered.set()
            assert go_on.wait(30)

    session = Budget("$1", plugins=[hostile(wait, "settled")]).session()
    slow = threading.Thread(target=lambda: session.reserve(tool="slow", cost="$0.01").settle())
    slow.start()
    try:
        assert entered.wait(30)
        with ScriptedProvider() as provider:
            work(session, provider, 3)
            assert provider.hits == 3 and session.spent == provider.bill + Decimal("0.01")
    finally:
        go_on.set()
        slow.join(30)
    assert not slow.is_alive()


def test_a_log_that_fails_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler of the user's that raises while a failure is logged does not reach the agent."""

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("disk full")

    handler = Broken()
    logging.getLogger("bursar").addHandler(handler)
    try:
        budget = Budget("$1", plugins=[hostile(raising(ValueError), "settled")])
        assert budget.session().record("gpt-4o", 800, 200).cost == Decimal("0.004")
    finally:
        logging.getLogger("bursar").removeHandler(handler)
    assert list_plugins(budget)[0].failures == {"bursar_settled": 1}


def test_failures_are_counted_by_every_thread() -> None:
    """No failure is lost to a race."""
    budget = Budget("$1", plugins=[hostile(raising(ValueError), "settled")])
    session = budget.session()
    threads = [
        threading.Thread(target=lambda: [session.track(None, "$0.00001") for _ in range(50)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list_plugins(session)[0].failures == {"bursar_settled": 400}
