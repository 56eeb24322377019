"""No setting is a dead knob: each one changes something that users can see."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import Context
from dataclasses import MISSING, fields
from decimal import Decimal
from threading import Timer
from typing import Any

import pytest

from bursar import (
    Alert,
    Budget,
    BudgetExceeded,
    Call,
    CallVetoed,
    LoopDetected,
    Session,
    Tripped,
    UnknownModel,
    UnpriceableCall,
    VelocityExceeded,
    hookimpl,
)
from bursar.sdk.request import allow_or_refuse
from bursar.settings import Settings
from bursar.store.memory import MemoryStore
from bursar.testing import ManualClock
from bursar.values.limits import Limit

from .hooked import Received, receiver

START_S = 1_767_223_800  # 2025-12-31T23:30:00Z
SCENES: dict[str, tuple[Callable[..., object], list[tuple[Any, object]]]] = {}

# gpt-4o costs $2.50 and $10 a million tokens: 800 in and 200 out are $0.004.
CALL: dict[str, int] = {"input_tokens": 800, "max_output_tokens": 200}
LONG: dict[str, Any] = {"input_tokens": 0, "max_output_tokens": 100_000}  # of a dollar


def scene(setting: str, *cases: tuple[Any, object]) -> Callable[[Callable[..., object]], None]:
    """What is seen for some values of a setting, by a scenario that takes it as a keyword."""

    def register(scenario: Callable[..., object]) -> None:
        SCENES[setting] = scenario, list(cases)

    return register


def refused(session: Session, error: type[BudgetExceeded] = BudgetExceeded, **asked: Any) -> bool:
    """True when such a call is refused, with this very error; it is paid for where it is not."""
    try:
        hold = session.reserve(**asked)
    except BudgetExceeded as refusal:
        assert type(refusal) is error
        return True
    hold.settle(cost=hold.amount)
    return False


@scene("limits", ((), 6), (("$5",), 5), (("$5", "$3/total"), 3), (("4 calls",), 4))
def _(limits: tuple[str, ...]) -> object:
    """How many calls of a dollar are admitted, of six."""
    session = Budget(*limits).session()
    ask = {"model": "gpt-4o", "cost": 1}
    return sum(not refused(session, **ask) for _ in range(6))


@scene("name", ("default", "default"), ("team", "team"))
def _(name: str) -> object:
    """Who refuses."""
    with pytest.raises(BudgetExceeded) as refusal:
        Budget("$0/total", name=name).session().reserve(cost=1)
    return refusal.value.account


@scene("store", (None, Decimal(0)), ("one for both", Decimal("0.5")))
def _(store: str | None) -> object:
    """What another budget with the same setting has seen."""
    given = None if store is None else MemoryStore()
    Budget(store=given).session().track("done", "$0.50")
    return Budget(store=given).spent


@scene("tz", ("UTC", "2026-01-01T00:00:00+00:00"), ("Asia/Tokyo", "2026-01-02T00:00:00+09:00"))
def _(tz: str) -> object:
    """When today ends."""
    budget = Budget("$1/day", tz=tz, clock=ManualClock(START_S))
    return budget.report()["limits"][0]["resets_at"]


@scene("soft_limit", (0.9, [0.9]), (0.5, [0.5]), ((0.3, 1), [0.3, 1.0]), (None, []))
def _(soft_limit: Any) -> object:
    """How much is spent when somebody is told."""
    told: list[Alert] = []
    session = Budget("$1", soft_limit=soft_limit, on_alert=told.append, alerts="inline").session()
    for _ in range(10):
        session.reserve(cost="$0.10").settle(cost="$0.10")
    return [alert.fraction for alert in told]


@scene(
    "finalization_reserve",
    (0, ["1", "0"]),
    (0.25, ["0.75", "0.25"]),
    ("$0.25", ["0.75", "0.25"]),
)
def _(finalization_reserve: Any) -> object:
    """What can be spent before the end, and then."""
    session = Budget("$1", finalization_reserve=finalization_reserve).session()

    def spend() -> str:
        spent = session.spent
        while not refused(session, cost="$0.05"):
            pass
        return str(session.spent - spent)

    before = spend()
    with session.finalize():
        return [before, spend()]


def repeated(every_s: float = 0, **settings: Any) -> int:
    """How often the same call is admitted, of twenty."""
    clock = ManualClock(START_S)
    session = Budget(clock=clock, **settings).session()
    for count in range(20):
        if refused(session, LoopDetected, model="gpt-4o", messages="Why?", max_output_tokens=1):
            return count
        clock.advance(every_s)
    return 20


@scene("max_repeated_calls", (10, 10), (3, 3), (None, 20))
def _(max_repeated_calls: int | None) -> object:
    """In a row."""
    return repeated(max_repeated_calls=max_repeated_calls)


@scene("loop_window", ("60s", 20), ("2min", 10), (120, 10))
def _(loop_window: Any) -> object:
    """Every ten seconds."""
    return repeated(every_s=10, loop_window=loop_window)


@scene("loop_action", ("refuse", [False, "loop_detected"]), ("trip", [True, "loop_detected"]))
def _(loop_action: Any) -> object:
    """Whether other calls of the session are refused after a loop, and why it ended."""
    session = Budget(loop_action=loop_action, max_repeated_calls=3).session()
    ask = {"model": "gpt-4o", "input_tokens": 1, "max_output_tokens": 1}
    for _ in range(3):
        session.reserve(**ask, messages="again")
    assert refused(session, LoopDetected, **ask, messages="again")
    ended = session.terminated_by
    return [refused(session, Tripped, **ask), ended]


@scene("max_velocity", (None, 20), ("$0.05/min", 5), (Limit("3 calls/10s"), 3))
def _(max_velocity: Any) -> object:
    """How many calls of a cent are admitted within a second, of twenty."""
    session = Budget(max_velocity=max_velocity, clock=ManualClock(START_S)).session()
    ask = {"model": "gpt-4o", "cost": "$0.01"}
    return next((count for count in range(20) if refused(session, VelocityExceeded, **ask)), 20)


@scene("cooldown", (None, None), ("30s", 30.0))
def _(cooldown: Any) -> object:
    """How long an open breaker stays so, and that it does."""
    clock = ManualClock(START_S)
    session = Budget(max_velocity="$1/min", cooldown=cooldown, clock=clock).session()
    assert refused(session, VelocityExceeded, cost=2)
    with pytest.raises(Tripped) as refusal:
        session.reserve(cost=0)
    clock.advance(30)
    assert refused(session, Tripped, cost=0) is (cooldown is None)
    return refusal.value.retry_after


@scene("hard_stop", (True, [1, 0, "1"]), (False, [0, 1, "3"]))
def _(hard_stop: bool) -> object:
    """What is refused, what is only counted as such, and what is spent."""
    session = Budget("$1", hard_stop=hard_stop).session()
    refused(session, cost=1)
    refused(session, cost=2)
    report = session.report()
    return [report["refusals"], report["would_refuse"], str(session.spent)]


@scene("tier", (None, "0.004"), ("batch", "0.002"))
def _(tier: str | None) -> object:
    """What a call is held at; batches cost half."""
    return str(Budget(tier=tier).session().reserve("gpt-4o", **CALL).amount)


@scene("prices", (None, "0.004"), ({"gpt-4o": (5, 20)}, "0.008"))
def _(prices: Any) -> object:
    """What a call is held at."""
    return str(Budget(prices=prices).session().reserve("gpt-4o", **CALL).amount)


@scene("aliases", (None, "unknown"), ({"my-azure": "gpt-4o"}, "0.004"))
def _(aliases: Any) -> object:
    """What a call to a deployment is held at."""
    try:
        return str(Budget(aliases=aliases).session().reserve("my-azure", **CALL).amount)
    except UnknownModel:
        return "unknown"


@scene("tool_prices", (None, "0"), ({"search": "$0.01"}, "0.01"))
def _(tool_prices: Any) -> object:
    """What a run is held at."""
    return str(Budget(tool_prices=tool_prices).session().reserve(tool="search").amount)


@scene("unknown_model", ("refuse", "unknown"), ("free", "0"), ((5, 20), "0.008"))
def _(unknown_model: Any) -> object:
    """What a call to a model that nobody knows is held at."""
    try:
        return str(Budget(unknown_model=unknown_model).session().reserve("gpt-99", **CALL).amount)
    except UnknownModel:
        return "unknown"


@scene("unknown_outcome", ("worst", "0.004"), ("observed", "0.002"), ("release", "0"))
def _(unknown_outcome: Any) -> object:
    """What a call without an answer costs; its input alone would be $0.002."""
    session = Budget(unknown_outcome=unknown_outcome).session()
    session.reserve("gpt-4o", **CALL).settle_unknown()
    return str(session.spent)


@scene("clamp", (True, 20), (False, "refused"), (20, 20), (21, "refused"), ("text", 20))
def _(clamp: Any) -> object:
    """The output cap of a call of which only twenty tokens of output fit."""
    session = Budget("$0.0022", clamp=clamp).session()
    try:
        return session.reserve("gpt-4o", **CALL).max_output_tokens
    except BudgetExceeded:
        return "refused"


@scene("max_share", (0.125, 50_000), (0.75, 75_000), (1, 100_000))
def _(max_share: Any) -> object:
    """The output cap of a lone call that could use up a dollar."""
    return Budget("$1", max_share=max_share).session().reserve("gpt-4o", **LONG).max_output_tokens


@scene("clamp_floor", (8_192, 8_192), (20_000, 20_000))
def _(clamp_floor: int) -> object:
    """The output cap of a call beside another one."""
    session = Budget("$1", clamp_floor=clamp_floor).session()
    session.reserve(cost="$0.50").keep()
    return session.reserve("gpt-4o", **LONG).max_output_tokens


@scene("wait", ("60s", "served"), (0, "refused"))
def _(wait: Any) -> object:
    """What becomes of a call that another one keeps out until it has waited for it."""
    session = Budget("$1", wait=wait).session()
    hold = Context().run(session.reserve, cost=1)
    Timer(0.05, hold.release).start()
    return "refused" if refused(session, cost=1) else "served"


@scene("child_limits", ((), [False, True]), (("$1/total",), [True, True]))
def _(child_limits: Any) -> object:
    """Whether a child without limits, and one with its own, are refused two dollars."""
    budget = Budget(child_limits=child_limits)
    children = budget.child("anybody"), budget.child("alice", "$1.50/total")
    return [refused(child.session(), cost=2) for child in children]


@scene("history_days", (400, [1, 2]), (1, [2]))
def _(history_days: int) -> object:
    """What is left of a charge of yesterday, and one of today."""
    clock = ManualClock(START_S)
    budget = Budget(history_days=history_days, clock=clock)
    budget.session().track(None, "$1", "search")
    clock.advance(86_400)
    budget.session().track(None, "$2", "search")
    return [day["spent"] for day in budget.history()["days"] if day["spent"]]


@scene("lease", ("15min", "0"), ("30s", "0.5"))
def _(lease: Any) -> object:
    """What is booked of a hold after a minute."""
    clock = ManualClock(START_S)
    session = Budget(lease=lease, clock=clock).session()
    session.reserve(cost="$0.50").keep()
    clock.advance(60)
    return str(session.spent)


def heard(setting: str, listener: Callable[[Any], object] | None) -> None:
    """Reach a soft limit, pass a hard one, and loop, with a listener to one of them."""
    session = Budget("$1", max_repeated_calls=1, alerts="inline", **{setting: listener}).session()
    session.reserve(cost="$0.90").settle(cost="$0.90")
    refused(session, cost=1)
    for _ in range(2):
        refused(session, LoopDetected, tool="search", messages=["the same"])


def kinds(setting: str) -> Callable[..., object]:
    """What a listener was told, by its reports."""

    def scenario(**given: Any) -> object:
        told: list[dict[str, Any]] = []
        heard(setting, told.append if given[setting] else None)
        return [(report["total_spent"], report["refusals"]) for report in told]

    return scenario


scene("on_soft_limit", (None, []), ("listen", [(0.9, 0)]))(kinds("on_soft_limit"))
scene("on_hard_limit", (None, []), ("listen", [(0.9, 1)]))(kinds("on_hard_limit"))
scene("on_loop_detected", (None, []), ("listen", [(0.9, 2)]))(kinds("on_loop_detected"))


@scene("on_alert", (None, []), ("listen", ["soft_limit", "hard_limit", "loop_detected"]))
def _(on_alert: Any) -> object:
    """What a listener to everything is told."""
    told: list[Alert] = []
    heard("on_alert", told.append if on_alert else None)
    return [alert.kind.value for alert in told]


@scene("alerts", ("thread", "bursar-alerts"), ("inline", "MainThread"))
def _(alerts: Any) -> object:
    """Which thread tells a listener."""
    told, done = list[str](), threading.Event()

    def listen(alert: Alert) -> None:
        told.append(threading.current_thread().name)
        done.set()

    session = Budget("$1", on_alert=listen, alerts=alerts).session()
    session.reserve(cost="$0.90").settle(cost="$0.90")
    assert done.wait(30)
    return told[0]


def posted(**settings: Any) -> tuple[int, list[Received]]:
    """The connections and requests that a webhook makes of one alert, and of what it makes of it."""
    with receiver() as here:
        given = {"webhook_url": here.url, "webhook_allow_private": True} | settings
        if given.get("webhook_proxy"):
            given["webhook_proxy"] = f"http://127.0.0.1:{here.port}"
        session = Budget("$1", **given).session()
        session.reserve(cost="$0.90").settle(cost="$0.90")
        time.sleep(0.05) if None in given.values() or not given["webhook_allow_private"] else here.wait()
        return here.connections, here.received


@scene("webhook_url", (None, 0), ("given", 1))
def _(webhook_url: Any) -> object:
    """How many connections there are."""
    return posted()[0] if webhook_url else posted(webhook_url=None, webhook_allow_private=False)[0]


@scene("webhook_secret", (None, False), ("hush", True))
def _(webhook_secret: Any) -> object:
    """Whether a delivery is signed."""
    return (
        "webhook-signature"
        in posted(**{"webhook_secret": webhook_secret} if webhook_secret else {})[1][0].headers
    )


@scene("webhook_allow_private", (False, 0), (True, 1))
def _(webhook_allow_private: Any) -> object:
    """How many connections there are to this machine."""
    return posted(webhook_allow_private=webhook_allow_private)[0]


@scene("webhook_proxy", (None, False), ("given", True))
def _(webhook_proxy: Any) -> object:
    """Whether the first line has the whole URL, as a proxy gets it."""
    given = {"webhook_proxy": webhook_proxy} if webhook_proxy else {}
    return "http://" in posted(**given)[1][0].line


@scene("plugins", ((), 1), ("a veto", 0))
def _(plugins: Any) -> object:
    """How many calls a rule of the budget's own admits."""

    class NoSearches:
        @hookimpl
        def bursar_before_reserve(self, call: Call) -> None:
            if call.tool == "search":
                raise ValueError("not today")

    session = Budget(plugins=(NoSearches(),) if plugins else ()).session()
    return int(not refused(session, CallVetoed, tool="search"))


@scene("allow", ((), False), (("audio",), True))
def _(allow: tuple[str, ...]) -> object:
    """Whether something that nothing bounds beforehand may be sent."""
    try:
        allow_or_refuse(Budget(allow=allow).session(), "audio")
    except UnpriceableCall:
        return False
    return True


@scene("clock", (None, True), (ManualClock(START_S), False))
def _(clock: Any) -> object:
    """Whether a charge is of today."""
    charge = Budget(clock=clock).session().record("gpt-4o", 1, 1)
    return charge.at > START_S


@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
def test_every_setting_acts(field: Any) -> None:
    """Each has a scenario here, in which its default and other values are seen to differ."""
    assert field.name in SCENES, f"write a scene for {field.name}="
    scenario, cases = SCENES[field.name]
    assert field.default is not MISSING and any(value == field.default for value, _ in cases)
    for value, expected in cases:
        assert scenario(**{field.name: value}) == expected, value
    assert any(expected != cases[0][1] for _, expected in cases[1:])


def test_every_argument_of_a_budget_is_a_setting() -> None:
    """So that the walk above misses none; and nothing of the walk is left over."""
    settings = {field.name for field in fields(Settings)}
    taken = set(Budget.__init__.__kwdefaults__) | {"limits"}
    elsewhere = {"max_spend", "loop_window_seconds"}  # other words for `limits` and `loop_window`
    assert taken == settings | elsewhere
    assert settings == SCENES.keys()


def test_other_words_for_settings() -> None:
    """`max_spend` is a limit among the others, `loop_window_seconds` the loop window."""
    assert Budget("$5", max_spend="$3").session().remaining == 3
    assert Budget(max_spend=2).session().remaining == 2
    assert repeated(every_s=10, loop_window_seconds=120) == 10
