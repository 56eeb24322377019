"""Calls the hooks of plugins: asks before a call, tells after it; never within a step of the store.

What a failure means is decided here: a price or a usage that cannot be had is never $0, a question
whether to refuse that cannot be answered is a refusal, and who is only told can change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, Protocol, TypeVar

from ..errors import BursarError, CallVetoed, StoreError, UnknownModel
from ..pricing.input_bound import Estimate
from ..pricing.price import Price, Rates, rates_of
from ..pricing.quote import Quote
from ..reports.alert import Alert
from ..store.base import Store
from ..store.entry import Path
from ..values.charge import Charge
from ..values.usage import Usage
from .hook_call import HookFailed, Implementation, PluginInfo
from .refusals import Refusal, complete, veto

T = TypeVar("T")
V = TypeVar("V", Price, Usage, Estimate)

_UNREADABLE = Usage(-1, -1)  # not usable, so that the call is booked at its hold


class Source(Protocol):
    """Where implementations come from."""

    def implementations(self, hook: str) -> tuple[Implementation, ...]:
        """Those of a hook, in the order in which they are asked."""
        ...

    def listed(self) -> tuple[PluginInfo, ...]:
        """The plugins, for people."""
        ...


class _Found(dict[str, tuple[Implementation, ...]]):
    """The implementations of each hook, looked up when it is first needed."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def __missing__(self, hook: str) -> tuple[Implementation, ...]:
        self[hook] = found = self._source.implementations(hook)
        return found


class Hooks:
    """The hooks of a budget. A hook that nobody implements costs a look into a dict.

    Attributes:
        source: where the implementations come from.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self._found = _Found(source)

    def heard(self, hook: str) -> bool:
        """True when somebody implements it."""
        return bool(self._found[hook])

    # -- asked: the first answer counts ---------------------------------------------------------

    def price(self, model: str, provider: str | None, tier: str | None) -> Rates | None:
        """What a model without a registered price costs.

        Raises:
            UnknownModel: a plugin could not say, or said nonsense.
        """
        try:
            return self._ask("bursar_price", _rates, model=model, provider=provider, tier=tier)
        except HookFailed as failed:
            raise UnknownModel(
                f"no price is known for the model {model!r}: {failed}; give it one with register_model() or"
                " prices=",
                model=model,
            ) from failed.__cause__

    def estimated(self, asked: Quote) -> Quote:
        """The same at a plugin's estimate, where there is one and it can be used."""
        if asked.rates is None or not self._found["bursar_estimate"]:
            return asked
        try:
            expected = self._ask("bursar_estimate", lambda found: asked.at(_anew(Estimate, found)),
                                 call=replace(asked.call))  # fmt: skip
        except HookFailed:
            return asked
        return expected or asked

    def read_usage(self, response: object) -> Usage | None:
        """What a response used; numbers with a `flaw` where a plugin could not say, or said nonsense."""
        if not self._found["bursar_read_usage"]:
            return None
        try:
            return self._ask("bursar_read_usage", _usage, response=response)
        except HookFailed:
            return _UNREADABLE

    def before_reserve(self, asked: Quote, session: object, path: Path) -> None:
        """Let plugins refuse a call.

        Raises:
            CallVetoed: one did, or failed.
        """
        for implementation in self._found["bursar_before_reserve"]:
            try:
                implementation.ask({"call": replace(asked.call), "session": session}, lambda _: None)
            except CallVetoed as error:
                complete(error, asked, path)
                raise
            except HookFailed as failed:
                raise veto(str(failed), asked, path) from failed.__cause__

    def open_store(self, url: str) -> Store | None:
        """The store behind a URL.

        Raises:
            StoreError: a plugin failed to open it, or opened something else.
        """
        try:
            return self._ask("bursar_open_store", _store, url=url)
        except HookFailed as failed:
            raise StoreError(f"the store was not opened: {failed}") from failed.__cause__

    def wrap_client(self, client: object, session: object) -> Any:
        """The client under the budget of a session; None where no plugin covers it.

        Raises:
            BursarError: a plugin failed to.
        """
        try:
            return self._ask("bursar_wrap_client", lambda found: found, client=client, session=session)
        except HookFailed as failed:
            raise BursarError(f"the client was not covered: {failed}") from failed.__cause__

    def _ask(self, hook: str, read: Callable[[Any], T], **given: Any) -> T | None:
        for implementation in self._found[hook]:
            answer = implementation.ask(given, read)
            if answer is not None:
                return answer
        return None

    # -- told: each by itself, after the store has committed --------------------------------------

    def reserved(self, hold: object) -> None:
        """A hold exists."""
        if found := self._found["bursar_reserved"]:
            _tell(found, lambda: {"hold": hold})

    def settled(self, charge: Charge) -> None:
        """A charge is booked, or corrected."""
        if found := self._found["bursar_settled"]:
            _tell(found, lambda: {"charge": charge})

    def released(self, hold: object) -> None:
        """A hold was given back."""
        if found := self._found["bursar_released"]:
            _tell(found, lambda: {"hold": hold})

    def refused(self, refusal: Refusal) -> None:
        """A call is not made."""
        _tell(self._found["bursar_refused"], lambda: {"refusal": refusal})

    def alert(self, alert: Alert) -> None:
        """There is something to know."""
        _tell(self._found["bursar_alert"], lambda: {"alert": replace(alert, report=_own(dict(alert.report)))})

    def session_opened(self, session: object) -> None:
        """A session was made."""
        if found := self._found["bursar_session_opened"]:
            _tell(found, lambda: {"session": session})

    def session_closed(self, report: dict[str, Any]) -> None:
        """A session was closed; it had this report."""
        _tell(self._found["bursar_session_closed"], lambda: {"report": _own(report)})


def _tell(implementations: tuple[Implementation, ...], given: Callable[[], Mapping[str, Any]]) -> None:
    """Tell all, whatever happens in one; then let the user interrupt, who wanted to."""
    interrupt: KeyboardInterrupt | None = None
    for implementation in implementations:
        try:
            implementation.tell(given())
        except KeyboardInterrupt as error:
            interrupt = error
    if interrupt is not None:
        raise interrupt


def _anew(kind: type[V], found: object) -> V:
    """The value, checked again: nothing is so frozen that a plugin could not have changed it.

    Raises:
        TypeError: it is something else.
        ValueError: its numbers are nonsense.
    """
    if not isinstance(found, kind):
        raise TypeError(f"a {type(found).__name__} is no {kind.__name__}")
    return kind(**{field.name: getattr(found, field.name) for field in fields(kind)})


def _rates(found: object) -> Rates:
    return rates_of(_anew(Price, found))


def _usage(found: object) -> Usage:
    usage = _anew(Usage, found)
    if usage.flaw or not (usage.tokens or usage.requests):
        raise ValueError(usage.flaw or "no tokens at all")
    return usage


def _store(found: object) -> Store:
    if isinstance(found, type) or not isinstance(found, Store):
        raise TypeError(f"a {type(found).__name__} is no Store")
    return found


def _own(value: Any) -> Any:
    """A copy of dicts and lists, so that nobody changes what the next one is told."""
    if isinstance(value, dict):
        return {name: _own(part) for name, part in value.items()}
    return [_own(part) for part in value] if isinstance(value, list) else value
