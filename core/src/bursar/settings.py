"""The settings of a budget: one validated, frozen value that is handed down."""

from __future__ import annotations

import inspect
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from .errors import InvalidAmount
from .ledger.hooks import Hooks
from .ledger.ledger import Ledger
from .plugins import Plugins
from .pricing.book import PriceBook, check_tier
from .pricing.price import Price
from .reports.alert import AlertKind
from .reports.alerts import Alerts
from .reports.listeners import AlertCallback, Delivery, Listeners, ReportCallback
from .runtime.clock import Clock, SystemClock
from .store.base import Store
from .store.memory import MemoryStore
from .store.undelivered import HasOutbox
from .store.urls import not_opened, open_store
from .store.views import MOST_DAYS
from .values.account import root_account
from .values.duration import Duration, to_seconds
from .values.endpoints import check_allow
from .values.limit_text import split_window
from .values.limits import Limit
from .values.money import Money, shown, to_nanos
from .values.names import check_name
from .values.policy import WHOLE_PPM, Breaker, Policy, Terms, UnknownOutcome
from .values.usage import MAX_TOKENS
from .values.window import zone

if TYPE_CHECKING:
    from .webhooks.signature import Secrets

Prices: TypeAlias = "Mapping[str, Price | tuple[Money, Money]] | str | os.PathLike[str]"
UnknownModelPolicy: TypeAlias = "str | Price | tuple[Money, Money]"

SoftLimit: TypeAlias = "float | Decimal | Sequence[float | Decimal] | None"

_SMALLEST_CAP = 16
_CLOCK = "clock= belongs to a store of the budget's own; give it to the store itself"
_SPANS = {
    "s": "1s",
    "min": "1min",
    "h": "1h",
    "hour": "1h",
    "d": "1d",
    "day": "1d",
    "week": "7d",
    "month": "30d",
}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings:
    """What `Budget` was told, checked. See `Budget` for the meaning of each field.

    Raises:
        TypeError: the store is of an older protocol.
        ValueError: a setting has a value that it cannot have; the message names it.
    """

    limits: tuple[Limit, ...] = ()
    name: str = "default"
    store: Store | str | None = None
    tz: str = "UTC"
    soft_limit: SoftLimit = 0.9
    finalization_reserve: Money = 0
    max_repeated_calls: int | None = 10
    loop_window: Duration = "60s"
    loop_action: Literal["refuse", "trip"] = "refuse"
    max_velocity: str | Limit | None = None
    cooldown: Duration | None = None
    hard_stop: bool = True
    tier: str | None = None
    history_days: int = 400
    prices: Prices | None = None
    aliases: Mapping[str, str] | None = None
    tool_prices: Mapping[str, Money] | None = None
    allow: Collection[str] = ()
    unknown_model: UnknownModelPolicy = "refuse"
    unknown_outcome: UnknownOutcome = "worst"
    clamp: bool | int | Literal["text"] = True
    max_share: float | Decimal = 0.125
    clamp_floor: int = 8_192
    wait: Duration = "60s"
    child_limits: tuple[Limit, ...] = ()
    lease: Duration = "15min"
    on_soft_limit: ReportCallback | None = None
    on_hard_limit: ReportCallback | None = None
    on_loop_detected: ReportCallback | None = None
    on_alert: AlertCallback | None = None
    alerts: Delivery = "thread"
    webhook_url: str | Sequence[str] | None = None
    webhook_secret: Secrets | None = None
    webhook_allow_private: bool = False
    webhook_proxy: str | None = None
    clock: Clock | None = None
    plugins: Iterable[object] = ()

    def __post_init__(self) -> None:
        check_name("name", self.name)
        check_tier(self.tier)
        check_allow(self.allow)
        zone(self.tz)
        soft_ppm(self.soft_limit)
        kept(self.finalization_reserve)
        share_ppm(self.max_share)
        wait_s(self.wait)
        floor: object = self.clamp_floor
        if type(floor) is not int or not 1 <= floor <= MAX_TOKENS:
            raise ValueError(f"clamp_floor={shown(floor)} is not a number of output tokens, like 8192")
        velocity(self.max_velocity)
        for setting in ("lease", "loop_window"):
            to_seconds(getattr(self, setting), setting)
        if self.cooldown is not None:
            to_seconds(self.cooldown, "cooldown")
        repeated: object = self.max_repeated_calls
        if repeated is not None and (type(repeated) is not int or repeated < 1):
            raise ValueError(f"max_repeated_calls={shown(repeated)} is not a number of calls, nor None")
        if self.loop_action not in ("refuse", "trip"):
            raise ValueError(f"loop_action={shown(self.loop_action)} is not 'refuse' or 'trip'")
        days: object = self.history_days
        if type(days) is not int or not 1 <= days <= MOST_DAYS:
            raise ValueError(f"history_days={shown(days)} is not a number of days, from 1 to {MOST_DAYS}")
        if type(self.hard_stop) is not bool:
            raise ValueError(f"hard_stop={shown(self.hard_stop)} is not True or False")
        for setting in ("on_soft_limit", "on_hard_limit", "on_loop_detected", "on_alert"):
            listener = getattr(self, setting)
            if listener is not None and not callable(listener):
                raise ValueError(f"{setting}={shown(listener)} cannot be called")
        if self.alerts not in get_args(Delivery):
            raise ValueError(f"alerts={shown(self.alerts)} is not 'thread' or 'inline'")
        if self.unknown_outcome not in get_args(UnknownOutcome):
            words = ", ".join(map(repr, get_args(UnknownOutcome)))
            raise ValueError(f"unknown_outcome={self.unknown_outcome!r:.60} is not one of {words}")
        clamp: object = self.clamp
        if clamp != "text" and (not isinstance(clamp, int) or clamp < 0):
            raise ValueError(
                f"clamp={shown(clamp)} is not True, False, 'text' or the smallest useful number of tokens"
            )
        if not isinstance(self.store, Store | str | None) or isinstance(self.store, type):
            raise ValueError(
                "store= takes None, for a store in memory, a URL, or an object with the verbs of a Store"
            )
        if self.clock is not None and (isinstance(self.clock, type) or not isinstance(self.clock, Clock)):
            raise ValueError("clock= takes an object with a method now(), like bursar.testing.ManualClock")
        if isinstance(self.store, Store) and self.clock is not None:
            raise ValueError(_CLOCK)
        if not isinstance(self.tool_prices, Mapping | None):
            raise ValueError("tool_prices= takes a mapping, like {'web_search': '$0.01'}")
        for tool, price in (self.tool_prices or {}).items():
            check_name("tool", tool)
            with naming(f"tool_prices[{tool!r}]"):
                to_nanos(price)

    def ledger(self) -> Ledger:
        """The mechanism that these settings describe."""
        clamp = _SMALLEST_CAP if self.clamp is True or self.clamp == "text" else int(self.clamp)
        hooks = Hooks(Plugins(self.plugins))
        store = self._store(hooks)
        ledger = Ledger(
            store,
            PriceBook(self.prices, self.aliases, self.unknown_model, hooks.price),
            Policy(
                terms=self._terms(),
                unknown_outcome=self.unknown_outcome,
                smallest_cap=clamp or None,
                tier=self.tier,
                tool_prices={tool: to_nanos(price) for tool, price in (self.tool_prices or {}).items()},
                tz=self.tz,
                allow=check_allow(self.allow),
                clamps_formats=self.clamp != "text",
                floor_cap=self.clamp_floor,
                wait_s=wait_s(self.wait),
            ),
            self.clock or SystemClock(),
            self._alerts(store, hooks),
            hooks,
        )
        if isinstance(store, HasOutbox):
            store.on_trouble(root_account(self.name, ()).key, ledger)
        return ledger

    def _store(self, hooks: Hooks) -> Store:
        if not isinstance(self.store, str):
            return MemoryStore(self.clock) if self.store is None else _able(self.store)
        store = open_store(self.store, self.clock)
        if store is not None:
            return store
        if self.clock is not None:
            raise ValueError(_CLOCK)
        store = hooks.open_store(self.store)
        if store is None:
            raise ValueError(not_opened(self.store))
        return _able(store)

    def _alerts(self, store: Store, hooks: Hooks) -> Alerts:
        by_kind = {
            AlertKind.SOFT_LIMIT: self.on_soft_limit,
            AlertKind.HARD_LIMIT: self.on_hard_limit,
            AlertKind.LOOP_DETECTED: self.on_loop_detected,
        }
        told = {kind: listener for kind, listener in by_kind.items() if listener is not None}
        hear_all = (hooks.alert,) if self.on_alert is None else (self.on_alert, hooks.alert)
        alerts = Alerts(Listeners(told, hear_all, self.alerts), lambda: store.durability)
        given = (self.webhook_url, self.webhook_secret, self.webhook_proxy)
        if self.webhook_allow_private is False and all(setting is None for setting in given):
            return alerts
        from .webhooks.deliveries import Deliveries  # most budgets have none
        from .webhooks.webhook import open_webhooks

        clock = self.clock or SystemClock()
        webhooks = open_webhooks(
            self.webhook_url,
            self.webhook_secret,
            allow_private=self.webhook_allow_private,
            proxy=self.webhook_proxy,
            dropped=lambda count, where: alerts.lost(count, where, clock.now()),
        )
        alerts.listen(Deliveries(webhooks, store, root_account(self.name, ()).key, alerts))
        return alerts

    def _terms(self) -> Terms:
        kept_ppm, kept_nanos = kept(self.finalization_reserve)
        rate = velocity(self.max_velocity)
        breaker = None
        if self.max_repeated_calls is not None or rate is not None:
            breaker = Breaker(
                max_repeated=self.max_repeated_calls,
                loop_ms=_ms(self.loop_window, "loop_window"),
                velocity=rate,
                cooldown_ms=None if self.cooldown is None else _ms(self.cooldown, "cooldown"),
                loop_trips=self.loop_action == "trip",
            )
        return Terms(
            lease_ms=_ms(self.lease, "lease"),
            enforce=self.hard_stop,
            kept_ppm=kept_ppm,
            kept_nanos=kept_nanos,
            soft_ppm=soft_ppm(self.soft_limit),
            breaker=breaker,
            share_ppm=share_ppm(self.max_share),
            tz=self.tz,
            history_days=self.history_days,
        )


def _able(store: Store) -> Store:
    """A store whose reserve takes all that it is told.

    Raises:
        TypeError: it is of an older protocol.
    """
    try:
        inspect.signature(store.reserve).bind("entry", "minimum", "terms", "floor", "ask")
    except TypeError:
        raise TypeError(
            f"the store {type(store).__name__} has a reserve without floor and ask:"
            " it has to be reserve(entry, minimum, terms, floor, ask), as bursar.store.Store says"
        ) from None
    return store


@contextmanager
def naming(setting: str) -> Iterator[None]:
    """Let an error about an amount name the setting that it is about."""
    try:
        yield
    except InvalidAmount as error:
        raise InvalidAmount(f"{setting}: {error}") from None


def soft_ppm(fractions: SoftLimit) -> tuple[int, ...]:
    """Fractions of a limit in millionths, ascending.

    Raises:
        ValueError: one is not above 0 and at most 1.
    """
    given: object = fractions
    if given is None:
        return ()
    found = set()
    for fraction in given if isinstance(given, list | tuple | set | frozenset) else (given,):
        ppm = _ppm(fraction)
        if ppm is None or not 0 < ppm <= WHOLE_PPM:
            raise ValueError(
                f"soft_limit={shown(fraction)} is not a fraction of a limit: above 0 and at most 1, like 0.9"
            )
        found.add(ppm)
    return tuple(sorted(found))


def share_ppm(fraction: float | Decimal) -> int:
    """The largest part of what a limit has left that one call may hold, in millionths.

    Raises:
        ValueError: it is not above 0 and at most 1.
    """
    ppm = _ppm(fraction)
    if ppm is None or not 0 < ppm <= WHOLE_PPM:
        raise ValueError(
            f"max_share={shown(fraction)} is not a part of what is left: above 0 and at most 1, like 0.125"
        )
    return ppm


def wait_s(wait: Duration) -> float:
    """How long a call waits for others, in seconds; 0: not at all.

    Raises:
        ValueError: it is no span of time.
    """
    return 0 if type(wait) in (int, float) and wait == 0 else to_seconds(wait, "wait")


def kept(reserve: Money) -> tuple[int, int]:
    """A finalization reserve: a fraction in millionths, or an amount in nano-dollars.

    Raises:
        ValueError: a number that is no fraction, or a text that is no amount.
    """
    if isinstance(reserve, str):
        with naming("finalization_reserve"):
            return 0, to_nanos(reserve)
    ppm = _ppm(reserve)
    if ppm is None or not 0 <= ppm < WHOLE_PPM:
        raise ValueError(
            f"finalization_reserve={shown(reserve)} is not a fraction from 0 to below 1,"
            " nor an amount like '$0.05'"
        )
    return ppm, 0


def velocity(rate: str | Limit | None) -> Limit | None:
    """A limit over a rolling span: ``"$1/min"`` is a dollar in any minute.

    Raises:
        ValueError: not one.
    """
    given: object = rate
    if given is None:
        return None
    if isinstance(given, str):
        amount, span = split_window(given)
        if span is None:
            raise ValueError(f"max_velocity={shown(rate)} has no span of time; write it like '$1/min'")
        with naming("max_velocity"):
            given = Limit(f"{amount}/{_SPANS.get(span.strip(' '), span)}")
    if not isinstance(given, Limit) or not given.span_ms:
        raise ValueError(f"max_velocity={shown(rate)} is not an amount over a span of time, like '$1/min'")
    return given


def _ppm(fraction: object) -> int | None:
    if isinstance(fraction, bool) or not isinstance(fraction, int | float | Decimal):
        return None
    try:
        number = float(fraction)  # the caller's own decimal context must not round it
    except (ValueError, OverflowError):
        return None
    return round(number * WHOLE_PPM) if -1 <= number <= 1 else None  # nor NaN


def _ms(span: Duration, setting: str) -> int:
    return max(1, int(to_seconds(span, setting) * 1000))
