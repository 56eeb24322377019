"""A budget: limits, and the sessions that spend from them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

from .coverage import cover_entered
from .errors import InvalidAmount, LedgerRolledBack, StoreError
from .handle import Handle
from .ledger import verbs
from .ledger.reading import read_budget, read_history, read_path
from .ledger.steps import Steps, awaitable, blocking
from .redaction import redacted
from .reports.alert import Alert
from .reports.balance import account_views, by_parent
from .reports.diagnosis import diagnosis, silent
from .reports.forecast import build_forecast
from .reports.history import build_history
from .reports.listeners import AlertCallback, Delivery, ReportCallback
from .reports.renewal import renewal
from .reports.report import build_report, summary, tree
from .runtime.clock import Clock
from .runtime.ids import new_id
from .runtime.log import logger
from .runtime.sharing import in_turns
from .session import Session
from .settings import Prices, Settings, SoftLimit, UnknownModelPolicy
from .store.base import HasHistory, Store
from .store.facts import HasFacts
from .store.undelivered import HasOutbox
from .store.views import MOST_DAYS, Finding
from .values.account import (
    child_account,
    name_of,
    root_account,
    root_key,
    session_account,
    shown_key,
)
from .values.charge import Charge
from .values.duration import Duration
from .values.limits import Limit, LimitLike, parse_limits
from .values.money import Money, shown, to_signed_nanos, to_usd
from .values.peer_names import OURS, unknown_setting
from .values.policy import UnknownOutcome

if TYPE_CHECKING:
    from .webhooks.signature import Secrets

F = TypeVar("F", bound=Callable[[Alert], object])


class Budget(Handle):
    """Hard limits on what calls may cost: a call that may not fit is never sent.

    ``Budget("$5")`` lets each session spend $5; ``Budget("$5", "$100/total", "2M tokens/total")``
    holds several limits at once; ``Budget()`` only counts.

    Args:
        limits: limit texts, `Limit` objects, or plain numbers of dollars. A limit without
            a window holds for each session, one over ``total`` for all of them together.
        max_spend: another way to write the first limit.
        name: the account's name in the store; ``"default"`` by default.
        store: where balances live; None keeps them in memory.
        tz: the time zone of calendar limits.
        soft_limit: the fractions of a limit that are announced when they are reached; None: none.
        finalization_reserve: the part of each session's own USD limit that only
            `Session.finalize` may spend: a fraction, or an amount as text.
        max_repeated_calls: how often a call may be made with the same input within `loop_window`
            before the session is stopped; None: no end.
        loop_window: a duration; `loop_window_seconds` is accepted too.
        loop_action: ``"refuse"``: a call that is repeated too often is refused, others go on; the session
            stops where such a call is refused `max_repeated_calls` times in a row within the window.
            ``"trip"``: the session stops at once.
        max_velocity: an amount over a span (``"$1/min"``): a call that would pass it stops the session.
        cooldown: after a loop or too much speed, one call at a time is tried again after this
            long; None: never.
        hard_stop: False refuses nothing, and counts what it would have refused (the kill switch still acts).
        tier: price every call at this service tier: ``"batch"``, ``"flex"`` or ``"priority"``.
        history_days: how many days `history` goes back at most, up to 400.
        prices: own prices by model, ``(input, output)`` in USD per million tokens or a
            `Price`; or the path of a JSON file with them.
        aliases: other names for models, such as those of Azure deployments.
        tool_prices: USD for a run, by tool.
        allow: endpoints that covered clients may use although nothing bounds what they cost:
            ``"agents"``, ``"audio"``, ``"batches"``, ``"containers"``, ``"evals"``, ``"fine_tuning"``,
            ``"images"``, ``"realtime"``, ``"stores"``, ``"videos"``, ``"other"``.
        unknown_model: what a model without a price costs: ``"refuse"``, ``"free"``, or a price.
        unknown_outcome: what a call costs whose cost cannot be known: ``"worst"`` (the
            hold), ``"observed"`` (what was seen of it, at least the input), ``"release"``.
        clamp: lower a call's output cap to what is left instead of refusing it; an int is
            the smallest useful cap (True: 16); ``"text"`` leaves calls with a response format alone.
        max_share: the largest part of what a limit has left that one call may hold where its output cap can
            be lowered: a half while nothing else is in flight; never less than `clamp_floor` tokens of
            output cost. 1: no bound.
        clamp_floor: the output cap, in tokens, that is worth waiting for: no call is lowered below it by
            what others only hold.
        wait: how long a call that only calls in flight keep from fitting waits without progress: the time
            starts anew whenever one of them ends, at most for `lease` in all. 0: not at all. Where a
            web server ends a request after some time, less than that.
        lease: how long a hold lives without a settle; then it is booked at its worst case.
        on_soft_limit: called with the report when a fraction of `soft_limit` is reached, once a period.
        on_hard_limit: called with the report when a limit refuses, once a period.
        on_loop_detected: called with the report when a repeated call stops a session.
        on_alert: called with every `Alert`; see `Budget.on_alert`.
        alerts: ``"thread"``: no call waits for a listener; ``"inline"``: the call that causes an alert does.
        webhook_url: where every alert is posted to as JSON: one URL or several; see docs/alerts.md.
        webhook_secret: signs each delivery: one text, or two while one replaces the other.
        webhook_allow_private: post to private addresses, too, such as those of this machine.
        webhook_proxy: the URL of a proxy of HTTP that connects in our place.
        clock: tells the time to a store in memory; for tests.
        plugins: plugins of this budget only, asked before the installed ones: see docs/hooks.md.

    Raises:
        InvalidAmount: a limit or a price is not one.
        TypeError: there is no such setting; the message has the nearest, or ours for that of a peer.
        ValueError: a setting has a value that it cannot have; the message names it.
    """

    def __init__(
        self,
        *limits: LimitLike,
        max_spend: LimitLike | None = None,
        name: str | None = None,
        store: Store | str | None = None,
        tz: str = "UTC",
        soft_limit: SoftLimit = 0.9,
        finalization_reserve: Money = 0,
        max_repeated_calls: int | None = 10,
        loop_window: Duration = "60s",
        loop_window_seconds: Duration | None = None,
        loop_action: Literal["refuse", "trip"] = "refuse",
        max_velocity: str | Limit | None = None,
        cooldown: Duration | None = None,
        hard_stop: bool = True,
        tier: str | None = None,
        history_days: int = 400,
        prices: Prices | None = None,
        aliases: Mapping[str, str] | None = None,
        tool_prices: Mapping[str, Money] | None = None,
        allow: Collection[str] = (),
        unknown_model: UnknownModelPolicy = "refuse",
        unknown_outcome: UnknownOutcome = "worst",
        clamp: bool | int | Literal["text"] = True,
        max_share: float | Decimal = 0.125,
        clamp_floor: int = 8_192,
        wait: Duration = "60s",
        child_limits: LimitLike | Iterable[LimitLike] = (),
        lease: Duration = "15min",
        on_soft_limit: ReportCallback | None = None,
        on_hard_limit: ReportCallback | None = None,
        on_loop_detected: ReportCallback | None = None,
        on_alert: AlertCallback | None = None,
        alerts: Delivery = "thread",
        webhook_url: str | Sequence[str] | None = None,
        webhook_secret: Secrets | None = None,
        webhook_allow_private: bool = False,
        webhook_proxy: str | None = None,
        clock: Clock | None = None,
        plugins: Iterable[object] = (),
        **unknown: NoReturn,
    ) -> None:
        for setting in unknown:
            raise unknown_setting("Budget()", setting, signature(Budget).parameters)
        settings = Settings(
            limits=parse_limits(limits if max_spend is None else (max_spend, *limits), tz),
            name="default" if name is None else name,
            store=store,
            tz=tz,
            soft_limit=soft_limit,
            finalization_reserve=finalization_reserve,
            max_repeated_calls=max_repeated_calls,
            loop_window=loop_window if loop_window_seconds is None else loop_window_seconds,
            loop_action=loop_action,
            max_velocity=max_velocity,
            cooldown=cooldown,
            hard_stop=hard_stop,
            tier=tier,
            history_days=history_days,
            prices=prices,
            aliases=aliases,
            tool_prices=tool_prices,
            allow=allow,
            unknown_model=unknown_model,
            unknown_outcome=unknown_outcome,
            clamp=clamp,
            max_share=max_share,
            clamp_floor=clamp_floor,
            wait=wait,
            child_limits=parse_limits(child_limits, tz),
            lease=lease,
            on_soft_limit=on_soft_limit,
            on_hard_limit=on_hard_limit,
            on_loop_detected=on_loop_detected,
            on_alert=on_alert,
            alerts=alerts,
            webhook_url=webhook_url,
            webhook_secret=webhook_secret,
            webhook_allow_private=webhook_allow_private,
            webhook_proxy=webhook_proxy,
            clock=clock,
            plugins=plugins,
        )
        super().__init__(settings.ledger(), (root_account(settings.name, settings.limits),))
        self.name = settings.name
        self._child_limits = settings.child_limits

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The limits as they were declared here."""
        return self._path[-1].limits

    def session(
        self,
        *limits: LimitLike,
        id: str | None = None,
        session_id: str | None = None,
        swallow: bool = False,
        cover: bool = True,
        **metadata: Any,
    ) -> Session:
        """Open a session; the same id in the same store is the same session.

        Args:
            limits: limits of this session alone; those of the budget hold too.
            id: its name; a new one by default. `session_id` is accepted too.
            swallow: do not raise, at the end of ``with session:``, a refusal that a framework swallowed.
            cover: False leaves the SDKs alone: wrapped clients charge, and what is said, as by `record`.
            metadata: carried in its report.

        Raises:
            InvalidAmount: a limit is not one.
            TypeError: a name of a peer's setting, which metadata would hide.
            ValueError: the id is not a name.
        """
        for name in OURS.keys() & metadata:
            raise unknown_setting("session()", name, ())
        given = id or session_id
        try:
            own = self._parse(limits)
        except InvalidAmount as error:
            raise InvalidAmount(f"{error}. Did you mean session(id='alice')?") from None
        if given is None and not self._ledger.renewal_told and self._ledger.store.durability != "memory":
            warning = renewal(self._path)
            if warning is not None:
                self._ledger.renewal_told = True
                logger.warning("%s", warning)
        account = session_account(self._path[-1], given or f"sess_{new_id()}", own)
        path = (*self._path, account)
        return Session(
            self._ledger,
            path,
            metadata,
            swallow=swallow,
            named=given is not None,
            budget=self,
            cover=cover_entered if cover else None,
        )

    def async_session(self, *limits: LimitLike, **options: Any) -> Session:
        """`session`, for readers who expect the name."""
        return self.session(*limits, **options)

    def child(self, name: str, *limits: LimitLike) -> Budget:
        """A budget below this one: a tenant, a team, a user. What it spends counts here too.

        Its sessions have the per-session limits of both.
        """
        return self._below(name, self._parse(limits))

    def _below(self, name: str, limits: tuple[Limit, ...] = ()) -> Budget:
        child = object.__new__(Budget)
        account = child_account(self._path[-1], name, limits, self._child_limits)
        Handle.__init__(child, self._ledger, (*self._path, account))
        child.name, child._child_limits = name, self._child_limits
        return child

    def _parse(self, limits: tuple[LimitLike, ...]) -> tuple[Limit, ...]:
        return parse_limits(limits, self._ledger.policy.tz)

    # -- its alerts ---------------------------------------------------------------------------

    def on_alert(self, listener: F) -> F:
        """Call `listener` with every `Alert` of this budget, its children and its sessions; a decorator.

        What it raises is logged, and reaches nobody.

        Raises:
            ValueError: it cannot be called.
        """
        if not callable(listener):
            raise ValueError(f"on_alert={shown(listener)} cannot be called")
        self._ledger.alerts.listen(listener)
        return listener

    # -- where it stands --------------------------------------------------------------------

    def _report(self) -> Steps[dict[str, Any]]:
        """The cost report of all that was spent here; money in USD as float.

        Its children are the budgets below and the newest 1,000 sessions; `sessions` counts all.
        """
        snapshot = yield from read_budget(self._path)
        return build_report(
            snapshot,
            account_views(snapshot, self._path),
            events=(),
            terminated_by=None,
            durability=self._ledger.store.durability,
        )

    report, areport = blocking(_report), awaitable(_report)

    def _children(self) -> Steps[list[Budget]]:
        """The budgets right below this one, as the store has them."""
        snapshot = yield from verbs.read(self._path[-1].key)
        below = by_parent(snapshot).get(self._path[-1].key, ())
        return [self._below(name_of(view.key)) for view in in_turns(below)]

    def _summary(self) -> Steps[dict[str, dict[str, Any]]]:
        """The figures of this budget and of those right below it, by name.

        ``{"alice": {"spent", "reserved", "remaining", "tokens", "calls"}}``; money in USD as float,
        `remaining` None without a limit in USD.
        """
        snapshot = yield from verbs.read(self._path[-1].key)
        return summary(snapshot, account_views(snapshot, self._path))

    def _tree(self) -> Steps[dict[str, dict[str, Any]]]:
        """The same for all budgets below, each under ``"children"`` of the one above it."""
        snapshot = yield from verbs.read(self._path[-1].key)
        return tree(snapshot, account_views(snapshot, self._path))

    def _history(self, days: int = 30, tz: str | None = None) -> Steps[dict[str, Any]]:
        """What was spent here day by day, sessions and budgets below included.

        ``{"tz", "since", "days": [{"day": "2026-03-29", "spent", "calls", "tokens": {...}, "by_model": {...},
        "by_tool": {...}, "by_child": {...}, "estimated", "in_doubt", "overruns", "refusals", "would_refuse",
        "contended", "clamped", "truncated", "alerts"}, ...]}``; the oldest day first, today last; money in
        USD as float. Nothing is known before `since`. A charge counts on the day on which it was booked
        first, also where it was corrected later. A day names 50 models and 50 tools; the others are
        ``"other"``.

        Args:
            days: how many, from 1 to 400; what is older than `history_days` is forgotten.
            tz: whose days: the budget's own time zone by default, or ``"UTC"``.

        Raises:
            ValueError: one of them cannot be had.
            StoreError: the store keeps no history.
        """
        own, given = self._ledger.policy.tz, shown(days)
        if type(days) is not int or not 1 <= days <= MOST_DAYS:
            raise ValueError(f"days={given} is not a number of days, from 1 to {MOST_DAYS}")
        if tz not in (None, own, "UTC"):
            raise ValueError(f"tz={shown(tz)} is neither the time zone of the budget ({own!r}) nor 'UTC'")
        if not isinstance(self._ledger.store, HasHistory):
            raise StoreError("this store keeps no history")
        view = yield from read_history(self._path[-1].key, days, tz or own)
        return build_history(view, self._path[-1].key, days, tz or own)

    def _forecast(self) -> Steps[dict[str, Any] | None]:
        """Which limit, of this budget or of one above it, is used up first if spending goes on as it does.

        ``{"account", "limit", "spent", "per_hour", "used_up_at", "text"}``: `text` is a line for people
        (``"$20/day is used up at 16:40 at this rate"``), `used_up_at` a moment as ISO 8601 in the time zone
        of the budget, `spent` and `per_hour` are USD as float, or counts. The rate is that of today, in the
        first hour of a day that of yesterday and today. None where nothing is to be said: no limit over a
        window is used up before it renews, or within 400 days, or nothing was spent, or not for a minute.

        Raises:
            StoreError: the store keeps no history.
        """
        if not isinstance(self._ledger.store, HasHistory):
            raise StoreError("this store keeps no history")
        snapshot = yield from read_path(self._path)
        keys, tz = tuple(account.key for account in self._path), self._ledger.policy.tz
        view = yield from verbs.history(root_key(keys[0]), keys, 2, tz)
        return build_forecast(view, account_views(snapshot, self._path), self._ledger.prices.subject, tz)

    history, ahistory = blocking(_history), awaitable(_history)
    forecast, aforecast = blocking(_forecast), awaitable(_forecast)
    children, achildren = blocking(_children), awaitable(_children)
    summary, asummary = blocking(_summary), awaitable(_summary)
    tree, atree = blocking(_tree), awaitable(_tree)

    # -- for operators ------------------------------------------------------------------------

    def _correct(self, amount: Money, reason: str) -> Steps[Charge]:
        """Book a difference to the provider's bill; a negative amount gives money back.

        Args:
            amount: USD; text may begin with a minus.
            reason: for the log.

        Raises:
            InvalidAmount: it is not an amount.
        """
        nanos = to_signed_nanos(amount)
        logger.info("%s is corrected by $%s: %s", shown_key(self._path[-1].key), to_usd(nanos), reason)
        return (yield from self._ledger.correct(self._path, nanos))

    def _acknowledge_rollback(self, reason: str) -> Steps[None]:
        """Accept that the store lost data, and admit calls again: its balances hold from here.

        Args:
            reason: for the journal.
        """
        yield from verbs.acknowledge(self._path[0].key, reason)

    def _audit(self) -> Steps[tuple[Finding, ...]]:
        """What does not add up in the whole tree: balances against their records. Empty when clean."""
        return (yield from verbs.audit(root_key(self._path[0].key)))

    def _doctor(self) -> Steps[dict[str, Any]]:
        """What the store keeps of a crash, and what should be changed about it, for people and for JSON.

        ``{"store", "version", "durability", "eviction", "ledger", "layout", "sessions", "bytes", "host",
        "clock_skew_seconds", "tolerated_skew_seconds", "undelivered", "unknown": [...],
        "warnings": [...]}``: `ledger` is the id that ``?ledger=`` pins, `undelivered` counts the bookings
        that wait, `unknown` names what the store does not say.

        Raises:
            StoreUnavailable: the store cannot be reached.
        """
        store = self._ledger.store
        facts = silent(store.durability)
        if isinstance(store, HasFacts):
            facts = yield from verbs.facts(self._path[0].key)
        try:
            budgets = (yield from verbs.read(root_key(self._path[0].key))).accounts
        except LedgerRolledBack:  # which is among its warnings
            sessions = None
        else:
            sessions = sum(view.sessions for view in budgets.values())
        return diagnosis(facts, store.undelivered if isinstance(store, HasOutbox) else 0, sessions)

    doctor, adoctor = blocking(_doctor), awaitable(_doctor)
    correct, acorrect = blocking(_correct), awaitable(_correct)
    acknowledge_rollback, aacknowledge_rollback = (
        blocking(_acknowledge_rollback),
        awaitable(_acknowledge_rollback),
    )
    audit, aaudit = blocking(_audit), awaitable(_audit)

    if not TYPE_CHECKING:  # pragma: no branch - a checker knows which names there are

        def __getattr__(self, name: str) -> Any:
            if not name.startswith("_") and hasattr(Session, name):
                raise AttributeError(f"a Budget has no {name!r}; its sessions have: budget.session().{name}")
            super().__getattr__(name)

    def __repr__(self) -> str:
        limits = ", ".join(map(str, self.limits)) or "no limit"
        return str(redacted(f"<Budget {self.name!r}: {limits}>"))


def as_session(budget: LimitLike | Budget | Session) -> Session:
    """The session that an integration charges: the one given, or a new one of the budget or limit given."""
    if isinstance(budget, Session):
        return budget
    return (budget if isinstance(budget, Budget) else Budget(budget)).session()
