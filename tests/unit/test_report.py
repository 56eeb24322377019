"""The cost report: its keys, its numbers, and that JSON takes it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from bursar import Budget, Charge, Usage
from bursar.reports.events import Event
from bursar.reports.report import build_report
from bursar.store.views import EMPTY_VIEW, AccountView, LimitView, Snapshot
from bursar.values.amounts import Amounts
from bursar.values.call import Call, Subject
from bursar.values.limits import Limit

KEYS = {
    "session_id", "kind", "budget", "total_spent", "reserved", "remaining", "breakdown", "limits", "overruns", "refusals", "would_refuse",
    "contended", "clamped", "truncated", "estimated", "saved", "duration_seconds", "terminated_by", "durability", "sessions", "children", "events",
}  # fmt: skip
GPT = Subject("model", ("gpt-4o-2024-08-06", "gpt-4o"), "openai")
GPT_AT_AZURE = Subject("model", ("gpt-4o-2024-08-06", "gpt-4o"), "azure")
MINI = Subject("model", ("gpt-4o-mini",))
SERP = Subject("tool", (), None, "serp_api")
UNNAMED = Subject("tool")

USED = replace(
    EMPTY_VIEW,
    key="default/@run-7",
    spent=Amounts(3_420_000_001, 5_300, 17),
    reserved=Amounts(250_000_000, 100, 1),
    subjects={
        GPT: (Amounts(2_500_000_000, 4_000, 5), Amounts(250_000_000, 100, 1)),
        GPT_AT_AZURE: (Amounts(300_000_000, 1_000, 2), Amounts()),
        MINI: (Amounts(320_000_001, 300, 1), Amounts()),
        SERP: (Amounts(50_000_000, 0, 5), Amounts()),
        UNNAMED: (Amounts(250_000_000, 0, 1), Amounts()),
    },
    tally={
        "input": 5_000, "output": 300, "cached_input": 1_000, "cache_write": 500, "reasoning": 200,
        "audio_input": 10, "audio_output": 20,
        "overruns": 2, "overrun_usd": 40_000_000, "refusals": 3, "contended": 5, "clamped": 4, "truncated": 2, "estimated": 1, "saved": 800_000_000,
    },
    limits=(
        LimitView(Limit("$5"), 3_420_000_001, 250_000_000),
        LimitView(Limit("$4/total"), 3_420_000_001, 250_000_000),
        LimitView(Limit("$1", model="gpt-4o"), 2_800_000_000, 250_000_000),
        LimitView(Limit("10k tokens"), 5_300, 100),
        LimitView(Limit("20 calls", tool="*"), 6, 0),
    ),
    opened_ms=1_700_000_000_000,
)  # fmt: skip


def report(*views: AccountView, others: tuple[AccountView, ...] = (), **options: Any) -> dict[str, Any]:
    snapshot = Snapshot(1_700_000_034_200, {view.key: view for view in (*views, *others)})
    return build_report(
        snapshot, views, **{"events": (), "terminated_by": None, "durability": "memory", **options}
    )


def test_report_in_full() -> None:
    """Every number of a used session stands where the documentation says, in dollars, tokens and calls."""
    assert report(replace(EMPTY_VIEW, key="default"), USED, terminated_by="budget_exhausted") == {
        "session_id": "run-7",
        "kind": "session",
        "budget": 4.0,
        "total_spent": 3.420000001,
        "reserved": 0.25,
        "remaining": 0.329999999,
        "breakdown": {
            "llm": {
                "total": 3.120000001,
                "calls": 8,
                "tokens": {
                    "input": 5_000,
                    "output": 300,
                    "cached_input": 1_000,
                    "cache_write": 500,
                    "reasoning": 200,
                    "audio_input": 10,
                    "audio_output": 20,
                },
                "by_model": {"gpt-4o-2024-08-06": 2.8, "gpt-4o-mini": 0.320000001},
            },
            "tools": {"total": 0.3, "calls": 6, "by_tool": {"serp_api": 0.05, "unnamed": 0.25}},
        },
        "limits": [
            {
                "limit": "$5/session",
                "spent": 3.420000001,
                "reserved": 0.25,
                "remaining": 1.329999999,
                "resets_at": None,
            },
            {
                "limit": "$4/total",
                "spent": 3.420000001,
                "reserved": 0.25,
                "remaining": 0.329999999,
                "resets_at": None,
            },
            {
                "limit": "$1/session (model=gpt-4o)",
                "spent": 2.8,
                "reserved": 0.25,
                "remaining": -2.05,
                "resets_at": None,
            },
            {
                "limit": "10k tokens/session",
                "spent": 5_300,
                "reserved": 100,
                "remaining": 4_600,
                "resets_at": None,
            },
            {
                "limit": "20 calls/session (tool=*)",
                "spent": 6,
                "reserved": 0,
                "remaining": 14,
                "resets_at": None,
            },
        ],
        "overruns": {"count": 2, "total": 0.04},
        "refusals": 3,
        "would_refuse": 0,
        "contended": 5,
        "clamped": 4,
        "truncated": 2,
        "estimated": 1,
        "saved": 0.8,
        "duration_seconds": 34.2,
        "terminated_by": "budget_exhausted",
        "durability": "memory",
        "sessions": 0,
        "children": [],
        "events": [],
    }


def test_report_of_nothing() -> None:
    """An account without use or limits reports zeros, and None for what it has not."""
    empty = report(replace(EMPTY_VIEW, key="default/@run", opened_ms=1_700_000_034_200))
    assert empty.keys() == KEYS
    assert (empty["budget"], empty["remaining"], empty["terminated_by"]) == (None, None, None)
    assert (empty["total_spent"], empty["reserved"], empty["duration_seconds"]) == (0.0, 0.0, 0.0)
    assert empty["breakdown"]["llm"]["by_model"] == empty["breakdown"]["tools"]["by_tool"] == {}
    assert set(empty["breakdown"]["llm"]["tokens"].values()) == {0}


@pytest.mark.parametrize(
    ("limits", "budget"),
    [
        ((), None),
        ((Limit("10k tokens"), Limit("5 calls")), None),
        ((Limit("$5", model="m"),), None),
        ((Limit("$5"), Limit("$4/total"), Limit("$1", tool="*")), 4.0),
        ((Limit("$0"),), 0.0),
    ],
)
def test_budget_is_the_own_plain_dollar_limit(limits: tuple[Limit, ...], budget: float | None) -> None:
    """``budget`` is the account's own smallest limit in dollars without a selector, whatever those above have."""
    root = replace(EMPTY_VIEW, key="a", limits=(LimitView(Limit("$0.01/total"), 0, 0),))
    leaf = replace(EMPTY_VIEW, key="a/@run", limits=tuple(LimitView(limit, 0, 0) for limit in limits))
    assert report(root, leaf)["budget"] == budget


def test_sessions_within_are_children() -> None:
    """Accounts right below one are reported inside it, theirs inside them."""
    inner, innermost = (
        replace(USED, key="default/@run-7/@inner"),
        replace(USED, key="default/@run-7/@inner/@most"),
    )
    found = report(
        USED,
        others=(inner, innermost),
        events=[Event("refusal", Call("c", "model"), "no")],
        terminated_by="tripped",
    )
    assert [child["session_id"] for child in found["children"]] == ["inner"]
    child = found["children"][0]
    assert [grandchild["session_id"] for grandchild in child["children"]] == ["most"]
    assert child.keys() == KEYS
    assert child["events"] == []
    assert child["terminated_by"] is None
    assert child["total_spent"] == 3.420000001


@pytest.mark.parametrize("name", ["a%2Fb", "a/b", "@run", "é 😀", '"<b>', "=1+1"])
def test_hostile_session_id_is_reported_as_given(name: str) -> None:
    """Whatever a session is called, the report has that name, and JSON brings it back."""
    found = Budget("$5").session(id=name).report()
    assert json.loads(json.dumps(found))["session_id"] == name


def test_clock_that_ran_backwards() -> None:
    """A session opened later than now took no time, and never a negative one."""
    assert report(replace(USED, opened_ms=1_800_000_000_000))["duration_seconds"] == 0


def test_events_are_plain() -> None:
    """Events keep their facts, with amounts as numbers that JSON takes."""
    call = Call("c1", "model", "gpt-4o")
    charge = Charge("c1", call, Decimal("0.0035"), Usage(800, 150), False, Decimal(0), Decimal(0), 12.5)
    given = replace(charge, usage=None)
    events = (
        Event("charge", call, charge, "settled"),
        Event("charge", call, given, "in_doubt"),
        Event("release", call, Decimal("0.25")),
        Event("refusal", call, "no more"),
        Event("clamp", replace(call, max_output_tokens=200), 5_000),
        Event("charge", call, replace(given, clamped=True, truncated=True), "settled"),
    )
    found = report(USED, events=iter(events))
    about = {"id": "c1", "model": "gpt-4o", "tool": None}
    booked = {"event": "charge", **about, "cost": 0.0035, "estimated": False, "at": 12.5}
    assert found["events"] == [
        {**booked, "state": "settled", "input_tokens": 800, "output_tokens": 150},
        {**booked, "state": "in_doubt"},
        {"event": "release", **about, "saved": 0.25},
        {"event": "refusal", **about, "message": "no more"},
        {"event": "clamp", **about, "wanted_output_tokens": 5_000, "max_output_tokens": 200},
        {**booked, "state": "settled", "clamped": True, "truncated": True},
    ]
    assert json.loads(json.dumps(found)) == found


def test_report_of_a_live_session() -> None:
    """A session that charged, clamped, released and refused reports all of it as JSON, with its metadata."""
    budget = Budget("$5", "100k tokens", prices={"m": ("1", "2")}, tool_prices={"search": "$0.25"})
    with budget.session(id="run", user="alice") as session:
        session.reserve("m", input_tokens=1000, max_output_tokens=100).settle(
            input_tokens=800, output_tokens=50
        )
        session.reserve(tool="search").settle(cost="0.25")
        session.reserve(cost=1).release()
        held = session.reserve(cost=1)
        with pytest.raises(Exception, match="was not made"):
            session.reserve(cost="4.5")
        found = json.loads(json.dumps(session.report()))
        held.release()
    assert found.keys() == KEYS | {"metadata"}
    assert found["metadata"] == {"user": "alice"}
    assert found["total_spent"] == 0.2509  # 800 * $1/M + 50 * $2/M + $0.25
    assert found["reserved"] == 1.0
    assert found["remaining"] == 3.7491
    assert found["breakdown"]["llm"]["by_model"] == {"m": 0.0009}
    assert found["breakdown"]["llm"]["tokens"]["input"] == 800
    assert found["breakdown"]["tools"]["by_tool"]["search"] == 0.25
    assert found["refusals"] == 1
    assert found["terminated_by"] == "budget_exhausted"
    assert [event["event"] for event in found["events"]] == ["charge", "charge", "release", "refusal"]
    json.dumps(budget.report())


class Odd:
    """Breaks when it is shown."""

    def __str__(self) -> str:
        raise RuntimeError("no")


class Secretive:
    """Would show a secret."""

    def __repr__(self) -> str:
        return "Secretive(key='hush')"


def test_metadata_never_breaks_json() -> None:
    """Whatever a session was given: numbers that JSON has not, objects, odd keys, what holds itself."""
    itself: dict[str, Any] = {}
    itself["again"] = [itself]
    session = Budget().session(
        nan=float("nan"), inf=[float("-inf"), 0.5], cost=Decimal("0.50"), at=date(2026, 1, 31), odd=Odd(), secret=Secretive(),
        keys={None: 1, 2: (3,), (4,): {5}, True: None}, huge=10**5000, big=2**64, itself=itself, user="alice", text="\ud800",
    )  # fmt: skip
    found = json.loads(json.dumps(session.report(), allow_nan=False))["metadata"]
    again = json.dumps(found.pop("itself"))
    assert again.count("again") == 10 and '"..."' in again
    assert found == {
        "nan": None, "inf": [None, 0.5], "cost": "0.50", "at": "2026-01-31", "odd": "<Odd>", "secret": "[redacted]",
        "keys": {"None": 1, "2": [3], "<tuple>": [5], "True": None}, "huge": "<int>", "big": 2**64, "user": "alice", "text": "\ud800",
    }  # fmt: skip
    assert session.metadata["cost"] == Decimal("0.50")
