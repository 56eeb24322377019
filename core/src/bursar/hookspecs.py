"""The hooks: what a plugin may do, when it is called, and what happens when it fails.

A plugin is a module, or an object, with functions of these names, marked by `hookimpl`. A
function takes the arguments that it needs, by these names. Each is called by itself, in the
thread of the call that it is about, and outside of every lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pluggy import HookimplMarker, HookspecMarker

if TYPE_CHECKING:
    from .ledger.hold import Hold
    from .ledger.refusals import Refusal
    from .pricing.input_bound import Estimate
    from .pricing.price import Price
    from .reports.alert import Alert
    from .session import Session
    from .store.base import Store
    from .values.call import Call
    from .values.charge import Charge
    from .values.usage import Usage

hookimpl = HookimplMarker("bursar")
"""Marks a function as the implementation of the hook of its name: ``@bursar.hookimpl``."""

_hookspec = HookspecMarker("bursar")

# -- asked before a call: the first answer that is not None counts ---------------------------------


@_hookspec(firstresult=True)
def bursar_price(model: str, provider: str | None, tier: str | None) -> Price | None:
    """Called before a call to a model that has no registered price is held, and when it is settled.

    Args:
        model: the name without a price, aliases resolved.
        provider: who bills, where known.
        tier: ``"batch"``, ``"flex"``, ``"priority"``, ``"fast"``; None is the standard tier.

    Returns:
        The price, or None to leave the model to others, and in the end to `unknown_model`.

    Raises:
        Exception: then the model is an `UnknownModel` and is not called; so it is after
            anything returned that is no `Price`.
    """


@_hookspec(firstresult=True)
def bursar_estimate(call: Call) -> Estimate | None:
    """Called before a call that is priced by its tokens is reserved.

    Args:
        call: at its worst case.

    Returns:
        What to hold instead of the worst case, or None to leave that to others. The call can
        then cost more than its hold, and its budget be overrun by the difference.

    Raises:
        Exception: then the worst case is held; so it is after anything returned that is no
            `Estimate`, or one of nothing for a call that costs something.
    """


@_hookspec(firstresult=True)
def bursar_read_usage(response: Any) -> Usage | None:
    """Called before a response is settled.

    Args:
        response: what `settle` was given.

    Returns:
        The tokens that it used, or None to leave the response to others, and in the end to
        `read_answer`.

    Raises:
        Exception: then the call is booked at its hold and marked `estimated`; so it is after
            anything returned that is no `Usage`, or one without a token.
    """


@_hookspec
def bursar_before_reserve(call: Call, session: Session) -> None:
    """Called before a call is reserved.

    Args:
        call: at its worst case.
        session: what it would be charged to.

    Raises:
        CallVetoed: then the call is refused with this error, and nothing is reserved.
        Exception: then the call is refused with a `CallVetoed` caused by it.
    """


# -- asked when something is set up ------------------------------------------------------------------


@_hookspec(firstresult=True)
def bursar_open_store(url: str) -> Store | None:
    """Called before a budget is made whose `store` is a URL.

    Args:
        url: as it was given; it may hold a password.

    Returns:
        The store, or None to leave the URL to others.

    Raises:
        Exception: then the budget is not made, and fails with a `StoreError` caused by it; so
            it does after anything returned that is no `Store`.
    """


@_hookspec(firstresult=True)
def bursar_wrap_client(client: Any, session: Session) -> Any:
    """Called before `wrap_client` returns.

    Args:
        client: a client of some SDK.
        session: what its calls are to be charged to.

    Returns:
        The client under the budget, with a method ``__bursar_unwrap__`` that returns it as it
        was; or None to leave it to others.

    Raises:
        BursarError | TypeError: then `wrap_client` raises it.
        Exception: then `wrap_client` raises a `BursarError` caused by it.
    """


@_hookspec
def bursar_patch() -> str | None:
    """Called before `init` returns, or a session is entered: cover each client of the plugin's SDK.

    It is called again when OpenAI's or Anthropic's SDK was imported, and so has to do nothing where its SDK
    is covered. It should import no SDK: one that the program has not imported has no clients yet.

    Returns:
        The name of the SDK (``"openai"``) that is covered now, or will be when it is asked again after its
        import; None: it is not installed.

    Raises:
        Exception: then `init`, or the import of the SDK under it, fails with a `BursarError` caused by it.
    """


@_hookspec
def bursar_unpatch() -> None:
    """Called before `teardown` returns: the SDK is to be as it was.

    Raises:
        Exception: then it is logged and counted, and `teardown` goes on.
    """


# -- told afterwards: the store has committed, and nothing that is raised here goes any further --------


@_hookspec
def bursar_reserved(hold: Hold) -> None:
    """Called after a call was reserved, before it is sent.

    Args:
        hold: the caller's own; to be looked at only.

    Raises:
        Exception: then it is logged and counted, and the call goes on.
    """


@_hookspec
def bursar_settled(charge: Charge) -> None:
    """Called after a charge was booked; again when it is corrected, with the same `charge.id`.

    Args:
        charge: what the call cost, as known so far.

    Raises:
        Exception: then it is logged and counted, and the charge stays.
    """


@_hookspec
def bursar_released(hold: Hold) -> None:
    """Called after a hold was given back: its call was never sent, or cost nothing.

    Args:
        hold: the caller's own; to be looked at only.

    Raises:
        Exception: then it is logged and counted, and the hold stays released.
    """


@_hookspec
def bursar_refused(refusal: Refusal) -> None:
    """Called after a call was refused, by a limit or by a veto.

    Args:
        refusal: the call, and the error that its caller gets.

    Raises:
        Exception: then it is logged and counted, and the call stays refused.
    """


@_hookspec
def bursar_alert(alert: Alert) -> None:
    """Called after a limit, a loop, a velocity, an overrun or the store gave reason to.

    Args:
        alert: what happened, with the report of its account.

    Raises:
        Exception: then it is logged and counted.
    """


@_hookspec
def bursar_session_opened(session: Session) -> None:
    """Called after a session was made, or made again by its id.

    Args:
        session: not used yet.

    Raises:
        Exception: then it is logged and counted, and the session is open.
    """


@_hookspec
def bursar_session_closed(report: dict[str, Any]) -> None:
    """Called after a session was closed, or the outermost ``with session:`` has ended.

    Args:
        report: its report, a copy for each plugin.

    Raises:
        Exception: then it is logged and counted, and the session is closed.
    """
