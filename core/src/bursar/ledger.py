"""Moves paid calls through the store: reserve, then settle, release or doubt."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from .ask import Ask
from .call import Call
from .clock import Clock
from .errors import BursarError
from .hold import Hold
from .ids import new_id
from .log import logger
from .paid import Paid
from .policy import Policy
from .price import Rates
from .pricing import PriceBook
from .quote import quote
from .refusal import refusal
from .steps import Steps, arun, run
from .store.base import Entry, Granted, Path, Refused, Store

T = TypeVar("T")


@contextmanager
def _logged() -> Iterator[None]:
    """What a finaliser left behind must not fail the step that happens to come next."""
    try:
        yield
    except BursarError as error:
        logger.warning("an abandoned call could not be booked, and is when its lease ends: %s", error)


class Ledger:
    """One store, the prices and the policy of a budget; shared by all its sessions.

    Attributes:
        store: where the balances live.
        prices: what models cost.
        policy: what the budget has decided.
        clock: tells how long a session took; balances go by the store's own time.
        paid: the answers that were charged lately.
    """

    def __init__(self, store: Store, prices: PriceBook, policy: Policy, clock: Clock) -> None:
        self.store = store
        self.prices = prices
        self.policy = policy
        self.clock = clock
        self.paid = Paid()
        self._late: deque[Steps[Any]] = deque()

    def run(self, steps: Steps[T]) -> T:
        """Carry out steps, after those that finalisers left behind."""
        while self._late:
            with _logged():
                run(self._late.popleft(), self.store)
        return run(steps, self.store)

    async def arun(self, steps: Steps[T]) -> T:
        """The same without blocking the event loop."""
        while self._late:
            with _logged():
                await arun(self._late.popleft(), self.store)
        return await arun(steps, self.store)

    def later(self, steps: Steps[Any]) -> None:
        """Leave steps to be carried out before the next ones; touches no store and no lock."""
        self._late.append(steps)

    def reserve(self, path: Path, ask: Ask, events: deque[dict[str, Any]]) -> Steps[Hold]:
        """Set the worst case of a call aside.

        Args:
            path: the accounts it is charged to, from the root.
            ask: what the call is.
            events: where the outcomes of the hold are noted.

        Raises:
            BudgetExceeded: it does not fit; nothing was changed.
            UnknownModel: the model has no price.
            UnpriceableCall: the worst case has no bound.
        """
        id = new_id() if ask.key is None else f"{path[-1].key}:{ask.key}"
        asked = quote(ask, id, self.prices, self.policy)
        entry = Entry(id, path, asked.subject, asked.want)
        answer: Granted | Refused = yield "reserve", entry, asked.minimum, self.policy.lease_ms
        if isinstance(answer, Refused):
            error = refusal(answer, asked.call)
            events.append(
                {"event": "refusal", "id": id, "model": ask.model, "tool": ask.tool, "message": str(error)}
            )
            raise error
        cap = asked.cap(answer.amounts)
        call = (
            asked.call if cap == asked.call.max_output_tokens else replace(asked.call, max_output_tokens=cap)
        )
        return Hold(self, path, call, asked, answer, events)

    def answer_rates(
        self, call: Call, asked: Rates | None, model: str | None, tier: str | None
    ) -> Rates | None:
        """The rates of the model and tier that answered; those asked for where they are not known."""
        tier = self.policy.tier or tier or call.tier
        for name in (model, call.model):
            found = self.prices.find(name, call.provider, tier) if name is not None else None
            if found is not None:
                return found
        return asked
