"""A budget: limits, and the sessions that spend from them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from .account import child_account, root_account, session_account
from .clock import Clock
from .duration import Duration
from .handle import Handle
from .ids import new_id
from .limits import Limit, LimitLike
from .money import Money
from .policy import UnknownOutcome
from .report import build_report
from .session import Session
from .settings import Prices, Settings, UnknownModelPolicy, parse_limits
from .standing import standing
from .steps import Steps, awaitable, blocking
from .store.base import Store


class Budget(Handle):
    """Hard limits on what calls may cost: a call that may not fit is never sent.

    ``Budget("$5")`` lets each session spend $5; ``Budget("$5", "$100/total", "2M tokens/total")``
    holds several limits at once; ``Budget()`` only counts.

    Args:
        limits: limit texts, `Limit` objects, or plain numbers of dollars. A limit without
            a window holds for each session, one over ``total`` for all of them together.
        max_spend: another way to write the first limit.
        name: the account's name in the store.
        store: where balances live; None keeps them in memory.
        tier: price every call at this service tier: ``"batch"``, ``"flex"`` or ``"priority"``.
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
            the smallest useful cap (True: 16).
        lease: how long a hold lives without a settle; then it is booked at its worst case.
        clock: tells the time to a store in memory; for tests.

    Raises:
        InvalidAmount: a limit or a price is not one.
        ValueError: a setting has a value that it cannot have; the message names it.
    """

    def __init__(
        self,
        *limits: LimitLike,
        max_spend: LimitLike | None = None,
        name: str = "default",
        store: Store | None = None,
        tier: str | None = None,
        prices: Prices | None = None,
        aliases: Mapping[str, str] | None = None,
        tool_prices: Mapping[str, Money] | None = None,
        allow: Collection[str] = (),
        unknown_model: UnknownModelPolicy = "refuse",
        unknown_outcome: UnknownOutcome = "worst",
        clamp: bool | int = True,
        lease: Duration = "15min",
        clock: Clock | None = None,
    ) -> None:
        settings = Settings(
            limits=parse_limits(limits if max_spend is None else (max_spend, *limits)),
            name=name,
            store=store,
            tier=tier,
            prices=prices,
            aliases=aliases,
            tool_prices=tool_prices,
            allow=allow,
            unknown_model=unknown_model,
            unknown_outcome=unknown_outcome,
            clamp=clamp,
            lease=lease,
            clock=clock,
        )
        super().__init__(settings.ledger(), (root_account(settings.name, settings.limits),))
        self.name = settings.name

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The limits as they were declared here."""
        return self._path[-1].limits

    def session(
        self, *limits: LimitLike, id: str | None = None, session_id: str | None = None, **metadata: Any
    ) -> Session:
        """Open a session; the same id in the same store is the same session.

        Args:
            limits: limits of this session alone; those of the budget hold too.
            id: its name; a new one by default. `session_id` is accepted too.
            metadata: carried in its report.
        """
        name = id or session_id or f"sess_{new_id()}"
        account = session_account(self._path[-1], name, parse_limits(limits))
        return Session(self._ledger, (*self._path, account), metadata)

    def async_session(self, *limits: LimitLike, **options: Any) -> Session:
        """`session`, for readers who expect the name."""
        return self.session(*limits, **options)

    def child(self, name: str, *limits: LimitLike) -> Budget:
        """A budget below this one: a tenant, a team, a user. What it spends counts here too.

        Its sessions have the per-session limits of both.
        """
        child = object.__new__(Budget)
        account = child_account(self._path[-1], name, parse_limits(limits))
        Handle.__init__(child, self._ledger, (*self._path, account))
        child.name = name
        return child

    # -- where it stands --------------------------------------------------------------------

    def _report(self) -> Steps[dict[str, Any]]:
        """The cost report of all that was spent here; money in USD as float."""
        snapshot = yield from self._snapshot(whole_tree=True)
        return build_report(
            snapshot,
            standing(snapshot, self._path),
            events=(),
            terminated_by=None,
            durability=self._ledger.store.durability,
        )

    report, areport = blocking(_report), awaitable(_report)

    def _untrip(self, reason: str) -> Steps[None]:
        """Let the account go on after `trip`."""
        yield "untrip", self._path, reason

    untrip, auntrip = blocking(_untrip), awaitable(_untrip)

    def __repr__(self) -> str:
        return f"<Budget {self.name!r}: {', '.join(map(str, self.limits)) or 'no limit'}>"


def as_session(budget: LimitLike | Budget | Session) -> Session:
    """The session that an integration charges: the one given, or a new one of the budget or limit given."""
    if isinstance(budget, Session):
        return budget
    return (budget if isinstance(budget, Budget) else Budget(budget)).session()
