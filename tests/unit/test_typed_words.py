"""What people type, and what they are told where it cannot be read."""

from __future__ import annotations

import logging
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any

import pytest

import bursar
from bursar import Budget, BudgetExceeded, BursarError, InvalidAmount, Limit
from bursar.store.memory import MemoryStore
from bursar.values.duration import to_seconds
from bursar.values.peer_names import OURS

HOW = "A limit is an amount with an optional unit and window, like '$5', '50k tokens/day' or '20 calls/1h'"


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("5 dollars", "$5/session"), ("1 dollar", "$1/session"), ("5 USD", "$5/session"), ("5USD", "$5/session"),
        ("USD 5", "$5/session"), ("5$", "$5/session"), ("5 $", "$5/session"), ("1,000.50$", "$1000.50/session"),
        ("$5 per day", "$5/day"), ("$5 a day", "$5/day"), ("$5 / day", "$5/day"), ("5 dollars an hour", "$5/hour"),
        ("USD 5 per month", "$5/month"), ("$5 per session", "$5/session"), ("20 calls per 15 minutes", "20 calls/15min"),
        ("$5/24 h", "$5/24h"), ("$5/24 hours", "$5/24h"), ("$5/1 hour", "$5/1h"), ("$5/90 seconds", "$5/90s"),
        ("$5/30 days", "$5/30d"), ("$1/min", "$1/1min"), ("$1/minute", "$1/1min"), ("$1/second", "$1/1s"),
        ("1 call", "1 call/session"), ("1 calls", "1 call/session"), ("1 token", "1 token/session"),
        ("20 requests", "20 calls/session"), ("1 request/day", "1 call/day"), ("1k token", "1k tokens/session"),
    ],
)  # fmt: skip
def test_what_people_type_is_read(typed: str, read: str) -> None:
    """Each way to write a limit is the limit that it says, and prints in the shortest words."""
    limit = Limit(typed)
    assert str(limit) == read
    assert limit == Limit(read) and limit.key == Limit(read).key


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("5k", "5k tokens"), ("5M", "5M tokens"), ("5K tokens", "5k tokens"), ("5m tokens", "5M tokens"),
        ("50tokens", "50 tokens"), ("50 tokns", "50 tokens"), ("20 cals/day", "20 calls/day"), ("$5k", "$5,000"), ("$2M/month", "$2,000,000/month"),
        ("€5", "$5"), ("5€/day", "$5/day"), ("£1,000/month", "$1,000/month"), ("5 bucks", "$5"), ("USD5", "$5"), ("usd 5", "$5"),
        ("$5/dy", "$5/day"), ("$5/Day", "$5/day"), ("$5/days", "$5/day"), ("$5 per weak", "$5/week"), ("$5/h", "$5/hour"), ("$5/d", "$5/day"),
        ("$5 daily", "$5/day"), ("$5/monthly", "$5/month"), ("$5/year", "$5/365d"), ("$5/24", "$5/24h"), ("$5/lifetime", "$5/total"), ("€5/dy", "$5/day"),
    ],
)  # fmt: skip
def test_what_could_mean_two_things_has_the_nearest_right_text(typed: str, near: str) -> None:
    """It is never read; the suggestion is a limit."""
    with pytest.raises(InvalidAmount) as error:
        Limit(typed)
    assert str(error.value) == f"{typed!r} is not a limit; did you mean {near!r}? {HOW}"
    Limit(near)


@pytest.mark.parametrize(
    "typed",
    ["", "-5", "-5 tokens", "tokens", "1.5 tokens", "five dollars", "$5 tokens", "5 cents", "50%", "$5/", "$5/fortnight", "$5/m", "$4,500,001/day", "$5/99999d", "$5/session/total", "€5-", "k", "5k bananas", "5 or 6", "five 5", "x" * 100],
)  # fmt: skip
def test_what_nobody_can_guess_has_no_suggestion(typed: str) -> None:
    """The message says what is wrong with it, and how a limit is written."""
    with pytest.raises(InvalidAmount) as error:
        Limit(typed)
    assert "did you mean" not in str(error.value) and str(error.value).endswith(HOW)


def test_spans_of_settings_are_read_in_the_same_words() -> None:
    """A lease or a cooldown may be so many minutes, too."""
    assert [to_seconds(text, "lease") for text in ("90 sec", "15 minutes", "24 hours", "1 day")] == [
        90, 900, 86_400, 86_400,
    ]  # fmt: skip


ELSE = (
    "write 'sqlite:///budget.db' or 'redis://localhost:6379/0' (also rediss://, unix://, redis+cluster://,"
    " redis+sentinel://), the URL of a plugin, a Store, or None"
)
SAID: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "peer's setting": (lambda: Budget(budget_usd=5), TypeError, 'Budget() has no budget_usd=; here that is Budget("$5")'),
    "misspelt setting": (lambda: Budget(soft_limits=0.8), TypeError, "Budget() has no soft_limits=; did you mean soft_limit=?"),
    "planned setting": (lambda: Budget(fallback={"at": 0.8}), TypeError, "Budget() has no fallback= yet: it is planned, and not available"),
    "setting of nothing": (lambda: Budget(qqq=1), TypeError, "Budget() has no qqq="),
    "init": (lambda: bursar.init(budget_usd=5), TypeError, 'Budget() has no budget_usd=; here that is Budget("$5")'),
    "peer's setting of a session": (lambda: Budget().session(max_cost_per_session_usd=1), TypeError, 'session() has no max_cost_per_session_usd=; here that is Budget("$1")'),
    "session by its name": (
        lambda: Budget().session("alice"), InvalidAmount,
        f"'alice' is not an amount of dollars; write it like '$5', '$0.05' or '$1,000.50' (at most nine decimals). {HOW}. Did you mean session(id='alice')?",
    ),
    "reserve(max_tokens=)": (lambda: Budget().session().reserve("gpt-4o", max_tokens=5), TypeError, "reserve() has no max_tokens=; here that is max_output_tokens="),
    "reserve(messages_=)": (lambda: Budget().session().reserve("gpt-4o", message="x"), TypeError, "reserve() has no message=; did you mean messages=?"),
    "peer's method": (lambda: Budget().session().get_total_spent(), AttributeError, "a Session has no 'get_total_spent'; here that is session.spent"),
    "misspelt attribute": (lambda: Budget().session().remaning, AttributeError, "a Session has no 'remaning'; did you mean remaining?"),
    "method of a session": (lambda: Budget().record, AttributeError, "a Budget has no 'record'; its sessions have: budget.session().record"),
    "peer's method of a budget": (lambda: Budget().all_summaries(), AttributeError, "a Budget has no 'all_summaries'; here that is budget.summary()"),
    "peer's name": (lambda: bursar.AgentBudget, AttributeError, "module 'bursar' has no 'AgentBudget'; here that is Budget(\"$5\")"),
    "misspelt name": (lambda: bursar.Bugdet, AttributeError, "module 'bursar' has no 'Bugdet'; did you mean Budget?"),
    "bare decorator": (lambda: bursar.budgeted(lambda: 1), InvalidAmount, "@budgeted takes its limit in parentheses: @budgeted('$0.10')"),
    "speed without a span": (lambda: Budget(max_velocity="$1"), ValueError, "max_velocity='$1' has no span of time; write it like '$1/min'"),
    "speed over a session": (lambda: Budget(max_velocity="$1/session"), ValueError, "max_velocity='$1/session' is not an amount over a span of time, like '$1/min'"),
    "store=sqlite": (lambda: Budget(store="sqlite"), ValueError, "store='sqlite' names no place; write 'sqlite:///budget.db'"),
    "store=redis": (lambda: Budget(store="redis"), ValueError, "store='redis' names no place; write 'redis://localhost:6379/0'"),
    **{
        f"store={url}": (
            lambda url=url: Budget(store=url), ValueError,
            f"store={shown!r} is opened by no plugin; {ELSE}",
        )
        for url, shown in (("postgres", "postgres"), ("postgres://u:hush@db", "postgres"), ("u:hush@db", "..."), ("budget.db", "..."))
    },
}  # fmt: skip


@pytest.mark.parametrize("case", SAID)
def test_a_wrong_word_is_answered(case: str) -> None:
    """Each is refused at once, with what to write instead, and no password of a URL."""
    act, kind, message = SAID[case]
    with pytest.raises(kind) as error:
        act()
    assert str(error.value) == message
    assert bursar.get_session() is None


@pytest.mark.parametrize("name", ["AgentBudget", "UsageMeter", "wrap_openai"])
def test_a_name_of_a_peer_cannot_be_imported_and_says_ours(name: str) -> None:
    """`from bursar import` alone would only say that it is not there; a module of ours is still imported so."""
    with pytest.raises(ImportError, match=f"'{name}'; here that is ") as error:
        exec(f"from bursar import {name}")
    assert OURS[name] in str(error.value)
    with pytest.raises(ImportError, match="cannot import name 'nonsense'"):
        exec("from bursar import nonsense")
    exec("from bursar import testing")
    assert not hasattr(bursar, name)


def test_a_protocol_that_is_not_there_is_plainly_not_there() -> None:
    """Python and frameworks look for many: no suggestion is made for them, and copies are made as before."""
    budget = Budget("$5")
    for thing in (budget, budget.session(), bursar):
        with pytest.raises(AttributeError, match="has no '__html__'$"):
            thing.__html__  # noqa: B018
    assert copy(budget).limits == budget.limits


def test_speed_is_read_in_the_same_words() -> None:
    """`per minute` is a span of a minute, `a day` one of 24 hours."""
    for typed, limit in (("$1 per minute", "$1/1min"), ("$5 a day", "$5/1d"), ("$1 / min", "$1/1min")):
        (breaker,) = {Budget(max_velocity=typed)._ledger.policy.terms.breaker}
        assert breaker is not None and breaker.velocity == Limit(limit)


@pytest.mark.parametrize("child_limits", ["$5/day", ["$5/day"], ("$5 per day",), Limit("$5/day")])
def test_one_limit_of_children_needs_no_sequence(child_limits: Any) -> None:
    """A text is one limit, and not its letters."""
    assert Budget(child_limits=child_limits).child("alice").session().remaining == 5


def test_a_closed_session_is_entered_again_or_says_so() -> None:
    """Outside of `with` nothing is held and nothing is booked; inside all is as before."""
    session = Budget("$5").session(id="run")
    session.track("paid", "$1")
    session.close()
    for use in (
        lambda: session.reserve(cost="$1"),
        lambda: session.track("x", "$1"),
        lambda: session.record("gpt-4o", 1_000_000, 0),
        lambda: session.part("node").reserve(cost="$1"),
    ):
        with pytest.raises(BursarError, match="'run' is closed; enter it again with `with session:`"):
            use()
    assert session.spent == 1
    with session:
        session.track("paid", "$1")
        session.reserve(cost="$1").settle(cost="$1")
    session.track("still open", "$1")
    assert session.spent == 4
    session.close()
    nameless = Budget("$5").session()
    nameless.close()
    with pytest.raises(BursarError, match="^this session is closed"):
        nameless.reserve(cost="$1")


class Lasting(MemoryStore):
    """Says that it outlives the process."""

    durability = "lasting"


RENEWS = (
    "'team' has $5 for each session, and a session without an id is a new one: each start of the program may spend"
    " $5 again. Write '$5/total' or '$5/day' for all sessions together, session(id=...) to go on with one, or"
    " '$5/session' if that is meant"
)


@pytest.mark.parametrize(
    ("limits", "settings", "told"),
    [
        (("$5",), {}, True),
        ((5, "50k tokens"), {}, True),
        (("$5/session",), {}, False),
        (("$5", "$20/day"), {}, False),
        (("$5", "$20/total"), {}, False),
        (("$5", "$20/24h"), {}, False),
        (("50k tokens",), {}, False),
        ((), {}, False),
        (("$5",), {"store": None}, False),
    ],
)
def test_a_limit_that_counts_anew_at_each_start_is_told_once(
    limits: tuple[Any, ...], settings: dict[str, Any], told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Only where the store outlives the program, no id and no other window bounds it, and `/session` is not written."""
    caplog.set_level(logging.WARNING, logger="bursar")
    budget = Budget(*limits, **{"name": "team", "store": Lasting(), **settings})
    budget.session(id="one")
    assert not caplog.messages
    for _ in range(3):
        budget.session()
        budget.child("alice").session()
    assert caplog.messages == [RENEWS] * told


def test_a_limit_of_children_bounds_their_sessions(caplog: pytest.LogCaptureFixture) -> None:
    """A child with a limit a day, of its own or by `child_limits=`, does not spend anew at each start."""
    caplog.set_level(logging.WARNING, logger="bursar")
    Budget("$5", store=Lasting(), child_limits="$5/day").child("alice").session()
    Budget("$5", store=Lasting()).child("alice", "$5/day").session()
    assert not caplog.messages
    Budget("$5", store=Lasting()).child("alice").session()
    assert len(caplog.messages) == 1


def test_a_file_of_sqlite_outlives_the_program(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What the warning says is so: the second start spends the five dollars again, with an id it does not."""
    caplog.set_level(logging.WARNING, logger="bursar")
    url = f"sqlite:///{tmp_path / 'budget.db'}"
    for _ in range(2):
        Budget("$5", store=url, soft_limit=None).session().track("all of it", "$5")
    assert len(caplog.messages) == 2 and Budget("$5", store=url).spent == 10
    Budget("$5", store=url).session(id="run").track("all of it", "$5")
    with pytest.raises(BudgetExceeded):
        Budget("$5", store=url).session(id="run").reserve(cost="$0.01")
