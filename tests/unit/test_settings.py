"""The settings of a budget: what they accept, and what they make of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bursar.errors import InvalidAmount
from bursar.limits import Limit
from bursar.policy import Breaker, Policy, Terms
from bursar.settings import Settings, parse_limits
from bursar.store.memory import MemoryStore


class Clock:
    def now(self) -> float:
        return 1_700_000_000.0


def test_defaults() -> None:
    """Without settings calls are held for 15 minutes at their worst case, clamped to no less than 16 tokens, in memory."""
    ledger = Settings().ledger()
    assert ledger.policy == Policy(
        Terms(900_000, soft_ppm=(900_000,), breaker=Breaker(10, 60_000, None, None)), "worst", 16, None, {}
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


@pytest.mark.parametrize(("clamp", "smallest"), [(True, 16), (False, None), (0, None), (1, 1), (200, 200)])
def test_clamp(clamp: Any, smallest: int | None) -> None:
    """True is the usual smallest cap, a number is that one, False and zero never clamp."""
    assert Settings(clamp=clamp).ledger().policy.smallest_cap == smallest


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
        ("clamp", -1), ("clamp", "yes"), ("clamp", 1.5), ("clamp", None), pytest.param("clamp", -(10**5000), id="clamp-huge"),
        ("store", "mysql://localhost"), ("store", object()), ("store", MemoryStore),
        ("clock", 5), ("clock", object()), ("clock", Clock),
        ("tool_prices", [("search", 1)]), ("tool_prices", "search"),
        ("tool_prices", {"search": "cheap"}), ("tool_prices", {"search": -1}), ("tool_prices", {"search": True}),
        ("tool", {"": 1}), ("tool", {5: 1}),
        ("unknown_model", "guess"), ("aliases", {"a": 5}), ("prices", {"m": 5}),
    ],
)  # fmt: skip
def test_wrong_setting_is_named(setting: str, value: Any) -> None:
    """A setting that cannot be what it is raises a `ValueError` whose message has its name."""
    field = {"tool": "tool_prices"}.get(setting, setting)
    with pytest.raises(ValueError, match=setting if setting != "aliases" else "model"):
        Settings(**{field: value}).ledger()


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
