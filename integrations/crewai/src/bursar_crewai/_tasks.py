"""Limits of tasks. An agent may work on several tasks, and a task may be worked on by several agents.

So what a task spends is no part of what one agent spends: it is counted beside the session, in its store.
"""

from __future__ import annotations

from collections.abc import Mapping

from bursar import Budget, Hold, InvalidAmount, Session
from bursar.integration import Limits, OpenCall, beside

from ._breakdown import clean


class Tasks:
    """The accounts of the tasks that have limits.

    Args:
        limits: by the name of a task.
        session: that pays.

    Raises:
        InvalidAmount: a limit is not one.
        ValueError: it is no mapping of names to limits.
    """

    def __init__(self, limits: Limits | None, session: Session) -> None:
        given: object = {} if limits is None else limits
        if not isinstance(given, Mapping):
            raise ValueError("tasks= takes a mapping of names to limits, like {'write': '$1'}")
        whole = beside(session, "tasks") if given else session
        self._accounts = {clean(name): _account(whole, clean(name), own) for name, own in given.items()}
        self._beside: dict[object, list[tuple[Hold, Hold]]] = {}

    def pay(self, task: str | None, call: OpenCall) -> None:
        """Let a task pay for a call, too: at once, or when the SDK holds what is promised.

        Raises:
            BursarError: the call must not be made.
        """
        account = self._accounts.get(task) if task is not None else None
        if account is None:
            return

        def reserve(hold: Hold) -> None:
            made = hold.call
            own = account.reserve(
                made.model,
                input_tokens=made.input_tokens,
                max_output_tokens=made.max_output_tokens,
                n=made.n,
                tool=made.tool,
                cost=hold.amount,
                clamp=False,
            )
            self._beside.setdefault(call.key, []).append((hold, own))

        if call.promise is not None:
            call.promise.listeners.append(reserve)
        elif call.hold is not None:
            reserve(call.hold)

    def settle(self, call: OpenCall) -> None:
        """The call is over: what its agent paid is what the task has spent."""
        for hold, own in self._beside.pop(call.key, ()):
            if hold.charge is not None:
                own.settle(cost=hold.charge.cost, usage=hold.charge.usage)
            elif hold.state == "released":
                own.release()
            else:
                own.settle_unknown()


def _account(whole: Session, name: str, own: object) -> Session:
    limits = own if isinstance(own, list | tuple) else (own,)
    try:
        Budget(*limits)
    except InvalidAmount as error:
        raise InvalidAmount(f"tasks[{name!r}]: {error}") from None
    return whole.part(name, *limits)
