"""The settings of a budget: what they accept, and what they make of it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from bursar import Budget, hookimpl
from bursar.errors import InvalidAmount
from bursar.settings import Settings
from bursar.store.entry import PLAIN, Entry
from bursar.store.memory import MemoryStore
from bursar.values.amounts import Amounts
from bursar.values.limits import Limit, parse_limits
from bursar.values.policy import Breaker, Policy, Terms


class Clock:
    def now(self) -> float:
        return 1_700_000_000.0


def test_defaults() -> None:
    """Without settings calls are held for 15 minutes at their worst case, clamped to no less than 16 tokens, in memory."""
    ledger = Settings().ledger()
    assert ledger.policy == Policy(
        Terms(900_000, soft_ppm=(900_000,), breaker=Breaker(10, 60_000, None, None), share_ppm=125_000),
        "worst",
        16,
        None,
        {},
    )
    assert isinstance(ledger.store, MemoryStore)
    assert ledger.prices.find("my-model") is None
    assert ledger.clock.now() > 1_600_000_000


def test_settings_reach_the_ledger() -> None:
    """Each setting arrives where it is acted on."""
    clock = Clock()
    ledger = Settings(
        tier="batch", prices={"my-model": (5, 20)}, aliases={"mine": "my-model"}, tool_prices={"search": "$0.01"},
        unknown_outcome="observed", lease="90s", clock=clock,
    ).ledger()  # fmt: skip
    assert ledger.policy == Policy(ledger.policy.terms, "observed", 16, "batch", {"search": 10_000_000})
    assert ledger.policy.terms.lease_ms == 90_000
    assert ledger.clock is clock
    assert ledger.prices.canonical("mine") == "my-model"
    assert ledger.prices.rates("mine").output == 20_000_000  # pico-dollars a token
    assert ledger.store.read("nobody").now_ms == 1_700_000_000_000


def test_own_store_is_kept() -> None:
    """A store that is given is the one that is used."""
    store = MemoryStore()
    assert Settings(store=store).ledger().store is store


@pytest.mark.parametrize(
    ("clamp", "smallest"), [(True, 16), (False, None), (0, None), (1, 1), (200, 200), ("text", 16)]
)
def test_clamp(clamp: Any, smallest: int | None) -> None:
    """True and "text" are the usual smallest cap, a number is that one, False and zero never clamp."""
    policy = Settings(clamp=clamp).ledger().policy
    assert (policy.smallest_cap, policy.clamps_formats) == (smallest, clamp != "text")


@pytest.mark.parametrize(
    ("lease", "lease_ms"), [("24h", 86_400_000), (0.25, 250), (timedelta(seconds=2), 2_000), (0.000_001, 1)]
)
def test_lease(lease: Any, lease_ms: int) -> None:
    """A lease is milliseconds inside, and never none at all."""
    assert Settings(lease=lease).ledger().policy.terms.lease_ms == lease_ms


@pytest.mark.parametrize("word", ["worst", "observed", "release"])
def test_unknown_outcome(word: Any) -> None:
    """Each documented word is accepted."""
    assert Settings(unknown_outcome=word).ledger().policy.unknown_outcome == word


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("name", ""), ("name", None), ("name", "a\nb"),
        ("tier", "express"), ("tier", 5),
        ("lease", "soon"), ("lease", -1), ("lease", 0), ("lease", None), ("lease", True), ("lease", float("inf")),
        ("unknown_outcome", "best"), ("unknown_outcome", None), ("unknown_outcome", ["worst"]),
        ("clamp", -1), ("clamp", "yes"), ("clamp", "Text"), ("clamp", ["text"]), ("clamp", 1.5), ("clamp", None), pytest.param("clamp", -(10**5000), id="clamp-huge"),
        ("store", "mysql://localhost"), ("store", object()), ("store", MemoryStore),
        ("clock", 5), ("clock", object()), ("clock", Clock),
        ("tool_prices", [("search", 1)]), ("tool_prices", "search"),
        ("tool_prices", {"search": "cheap"}), ("tool_prices", {"search": -1}), ("tool_prices", {"search": True}),
        ("tool", {"": 1}), ("tool", {5: 1}),
        ("unknown_model", "guess"), ("aliases", {"a": 5}), ("prices", {"m": 5}),
        ("tz", "Mars/Olympus"), ("tz", ""), ("tz", None),
        ("soft_limit", 0), ("soft_limit", 1.01), ("soft_limit", -0.5), ("soft_limit", True), ("soft_limit", "0.9"),
        ("soft_limit", (0.5, 2)), ("soft_limit", float("nan")), ("soft_limit", 1e-9), ("soft_limit", Decimal("nan")),
        ("soft_limit", Decimal("snan")), pytest.param("soft_limit", 10**400, id="soft-huge"),
        ("finalization_reserve", 1), ("finalization_reserve", 1.5), ("finalization_reserve", -0.1), ("finalization_reserve", True),
        ("finalization_reserve", "5%"), ("finalization_reserve", "-$1"), ("finalization_reserve", None), ("finalization_reserve", float("nan")),
        ("max_repeated_calls", 0), ("max_repeated_calls", -1), ("max_repeated_calls", True), ("max_repeated_calls", 2.0), ("max_repeated_calls", "10"),
        ("loop_window", 0), ("loop_window", "soon"), ("loop_window", None), ("loop_window", timedelta(0)),
        ("max_velocity", "$1"), ("max_velocity", "$1/"), ("max_velocity", "$1/session"), ("max_velocity", "$1/total"), ("max_velocity", "fast/min"),
        ("max_velocity", 1), ("max_velocity", True), ("max_velocity", Limit("$1/day")), ("max_velocity", Limit("$1")),
        ("cooldown", 0), ("cooldown", -1), ("cooldown", "30"), ("cooldown", float("inf")),
        ("hard_stop", 0), ("hard_stop", None), ("hard_stop", "no"),
        ("on_soft_limit", 5), ("on_hard_limit", "print"), ("on_loop_detected", []), ("on_alert", False),
    ],
)  # fmt: skip
def test_wrong_setting_is_named(setting: str, value: Any) -> None:
    """A setting that cannot be what it is raises a `ValueError` whose message has its name."""
    field = {"tool": "tool_prices"}.get(setting, setting)
    with pytest.raises(ValueError, match=setting if setting != "aliases" else "model"):
        Settings(**{field: value}).ledger()


@pytest.mark.parametrize(
    ("soft_limit", "millionths"),
    [
        (0.9, (900_000,)),
        (1, (1_000_000,)),
        (Decimal("0.333333"), (333_333,)),
        ((0.8, 1.0, 0.8), (800_000, 1_000_000)),
        ([0.9, 0.5], (500_000, 900_000)),
        ({0.25}, (250_000,)),
        ((), ()),
        (None, ()),
    ],
)
def test_soft_limits(soft_limit: Any, millionths: tuple[int, ...]) -> None:
    """Fractions in ascending order, each once; none at all for None."""
    assert Settings(soft_limit=soft_limit).ledger().policy.terms.soft_ppm == millionths


@pytest.mark.parametrize(
    ("reserve", "kept"),
    [(0, 0), (0.05, 250_000_000), (Decimal("0.1"), 500_000_000), ("$0.05", 50_000_000), ("7", 7_000_000_000)],
)
def test_finalization_reserve(reserve: Any, kept: int) -> None:
    """A number is a fraction of the session's limit, here five dollars; a text is an amount."""
    terms = Settings(finalization_reserve=reserve).ledger().policy.terms
    assert terms.kept(5_000_000_000) == kept
    assert terms._replace(finalizing=True).kept(5_000_000_000) == 0


@pytest.mark.parametrize(
    ("rate", "limit"),
    [
        ("$1/min", Limit("$1/1min")),
        ("$1/s", Limit("$1/1s")),
        ("$1/h", Limit("$1/1h")),
        ("$1/hour", Limit("$1/1h")),
        ("$1/d", Limit("$1/24h")),
        ("$1/day", Limit("$1/24h")),
        ("$1/week", Limit("$1/7d")),
        ("$1/month", Limit("$1/30d")),
        ("50k tokens/10min", Limit("50k tokens/10min")),
        (Limit("20 calls/1min", tool="*"), Limit("20 calls/1min", tool="*")),
    ],
)
def test_velocity_is_always_rolling(rate: Any, limit: Limit) -> None:
    """Words that are calendar periods elsewhere are spans here; a limit over a span is taken as it is."""
    breaker = Settings(max_velocity=rate).ledger().policy.terms.breaker
    assert breaker is not None and breaker.velocity == limit


def test_without_loops_and_speed_there_is_no_breaker() -> None:
    """Nothing is remembered for a breaker that nothing could open."""
    assert Settings(max_repeated_calls=None).ledger().policy.terms.breaker is None


def test_wrong_tool_price_names_the_tool() -> None:
    """Of many tool prices the message names the wrong one."""
    with pytest.raises(InvalidAmount, match=r"tool_prices\['search'\]: 'cheap' is not an amount"):
        Settings(tool_prices={"fetch": "$1", "search": "cheap"})
    assert Settings(tool_prices={"fetch": "$1", "search": 0}).ledger().policy.tool_prices == {
        "fetch": 1_000_000_000,
        "search": 0,
    }


def test_clock_and_store_exclude_each_other() -> None:
    """A clock is for a store of the budget's own; beside another store it is refused, alone it is not."""
    with pytest.raises(ValueError, match="clock="):
        Settings(store=MemoryStore(), clock=Clock())
    with pytest.raises(ValueError, match="clock="):
        Settings(store="elsewhere://here", clock=Clock()).ledger()
    assert Settings(clock=Clock()).ledger().clock.now() == 1_700_000_000.0


def test_settings_cannot_be_changed() -> None:
    """Settings are one frozen value; in particular nobody raises a limit through them."""
    settings = Settings(limits=(Limit("$5"),))
    with pytest.raises(AttributeError):
        settings.limits = ()  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "parsed"),
    [
        ((), ()),
        (("$5",), (Limit("$5"),)),
        ((5, "$20/total"), (Limit("$5"), Limit("$20/total"))),
        (("$5", "$3", "$4"), (Limit("$3"),)),
        (("$3", 5), (Limit("$3"),)),
        ((Limit("$5", model="m"), "$3"), (Limit("$5", model="m"), Limit("$3"))),
        (("$5", "5 calls", "5 tokens"), (Limit("$5"), Limit("5 calls"), Limit("5 tokens"))),
    ],
)
def test_limits_are_parsed(given: tuple[Any, ...], parsed: tuple[Limit, ...]) -> None:
    """Limits keep their order; of two over the same thing the smaller one counts, whichever came first."""
    assert parse_limits(given) == parsed


@pytest.mark.parametrize("wrong", [None, "five", -1, True, ["$5"]])
def test_wrong_limit_is_refused(wrong: Any) -> None:
    """One wrong limit among good ones is `InvalidAmount`, never no limit."""
    with pytest.raises(InvalidAmount):
        parse_limits(("$5", wrong))


class OlderStore(MemoryStore):
    """Its reserve knows no floor."""

    def reserve(self, entry: Entry, minimum: Amounts, terms: Terms = PLAIN) -> Any:  # type: ignore[override]
        """As it was."""
        return super().reserve(entry, minimum, terms)


class OpensOlder:
    """A plugin that opens one."""

    @hookimpl
    def bursar_open_store(self, url: str) -> Any:
        """Whatever the URL is."""
        return OlderStore()


@pytest.mark.parametrize(
    "settings",
    [{"store": OlderStore()}, {"store": "old://", "plugins": [OpensOlder()]}],
    ids=["given", "opened"],
)
def test_a_store_whose_reserve_takes_no_floor_is_refused(settings: dict[str, Any]) -> None:
    """As a TypeError that says what is missing, when the budget is made; one that takes it is opened."""
    with pytest.raises(TypeError, match="OlderStore has a reserve without floor and ask"):
        Budget("$1", **settings)
    assert Budget("$1", store=MemoryStore()).session().remaining == 1


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("max_share", 0, "is not a part of what is left"),
        ("max_share", 1.5, "is not a part of what is left"),
        ("clamp_floor", 0, "is not a number of output tokens"),
        ("loop_action", "stop", "is not 'refuse' or 'trip'"),
        ("history_days", 0, "is not a number of days"),
    ],
)
def test_a_setting_of_the_wait_or_of_the_history_is_checked(setting: str, value: Any, message: str) -> None:
    """When the budget is made; the message names it."""
    with pytest.raises(ValueError, match=f"{setting}={value!r} {message}"):
        Budget("$1", **{setting: value})
