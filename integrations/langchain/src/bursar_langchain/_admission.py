"""Where runs of LangChain get the money for their calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from langchain_core.messages import BaseMessage

from bursar import BudgetExceeded, BursarError, Hold
from bursar.integration import Admission as BaseAdmission
from bursar.integration import OpenCall, OpenCalls, Payer, reserve_once, withdraw

from ._attempt import Attempt, attempt_of
from ._caps import cap_name
from ._costs import Costs, name_of
from ._payers import Money, Payers
from ._refusal import LangChainRefusal
from ._request import read_request
from ._sdks import class_of, sdk_of

OnBudget: TypeAlias = Callable[[BudgetExceeded], object]
_PREFIX = "langchain"


@dataclass(slots=True, eq=False)
class Call(OpenCall):
    """A call of a model, or the run of a tool, between its start hook and its end hook.

    Attributes:
        root: the outermost run that it is in.
        text: True for a model that completes text: its start hook runs in a task of its own, which is over
            before the call is sent, and it may be asked with several prompts at once.
        hour_cache: True when the request asks for a cache of one hour.
        reports: the usage that parts of its stream told, each by itself.
    """

    root: object = None
    text: bool = False
    hour_cache: bool = False
    reports: list[Mapping[str, Any]] = field(default_factory=list)


class Admission(BaseAdmission):
    """Reserves for the calls of one handler, or promises to pay.

    Args:
        payers: finds whose money it is.
        calls: remembers what was admitted.
        costs: counts it.
        tool_prices: USD for a run, by tool; beside those of the budget.
        on_budget: asked about a refusal; True: try once more.
    """

    def __init__(
        self,
        payers: Payers,
        calls: OpenCalls,
        costs: Costs,
        tool_prices: Mapping[str, Money],
        on_budget: OnBudget | None = None,
    ) -> None:
        super().__init__(
            calls,
            costs,
            raise_as=LangChainRefusal,
            prefix=_PREFIX,
            on_refusal=self._tell_the_middleware,
            on_budget=on_budget,
        )
        self._payers = payers
        self._tool_prices = dict(tool_prices)

    def admit_model(
        self,
        call: Call,
        serialized: Mapping[str, Any] | None,
        inputs: Sequence[BaseMessage | str],
        metadata: Mapping[str, Any] | None,
        more: Mapping[str, Any],
    ) -> None:
        """Reserve for the call of a model, and cover the SDK below it.

        Raises:
            BursarError: the call must not be made.
        """
        params = more.get("invocation_params") or {}
        request = read_request(serialized, inputs, params, metadata or {})
        call.hidden, call.hour_cache, call.watched = request.hidden_output, request.hour_cache, not call.text
        call.batch = params if (more.get("batch_size") or 1) > 1 else None
        # Calls of one `generate()` share their metadata: it has no room for the cost of each.
        call.metadata = metadata if call.batch is None else None
        payer, asked = self._payer(call, metadata), request.asked(call.calls)
        attempt, cap = attempt_of(self._payers.payee), cap_name(request, params)
        lowers = None
        if attempt is not None and attempt.least is not None and cap is not None:
            lowers = self._lowered(call, payer, asked, attempt, cap)
        kind = class_of(serialized)
        self.admit(
            call,
            payer,
            asked,
            name=name_of(serialized, more, request.model),
            sdk=None if call.text else sdk_of(kind),
            kind=kind,
            text=inputs[0] if call.text and isinstance(inputs[0], str) else None,
            hold=lowers,
        )

    def admit_tool(self, call: Call, name: str, given: str, metadata: Mapping[str, Any] | None) -> None:
        """Reserve for the run of a tool.

        Raises:
            BursarError: the tool must not run.
        """
        call.metadata = metadata
        asked = {"tool": name, "messages": [given], "cost": self._tool_prices.get(name)}
        self.admit(call, self._payer(call, metadata), asked, name=name)

    def _payer(self, call: Call, metadata: Mapping[str, Any] | None) -> Payer:
        try:
            return self._payers.payer_of(metadata, call.root)
        except BursarError:
            withdraw(call)
            raise

    def _lowered(
        self, call: Call, payer: Payer, asked: Mapping[str, Any], attempt: Attempt, cap: str
    ) -> Callable[[set[str]], Hold]:
        """A hold for a request that the middleware may make anew with a lower output cap."""

        def hold(taken: set[str]) -> Hold:
            key = f"{_PREFIX}:{call.key}"
            found = reserve_once(payer, key, taken, {**asked, "clamp": True})
            granted, wanted = found.binding_cap, asked["max_output_tokens"]
            if granted is None or (wanted is not None and granted >= wanted):
                return found
            found.release()
            attempt.lower(cap, granted)
            return reserve_once(payer, key, taken, asked)

        return hold

    def _tell_the_middleware(self, refusal: BursarError, payer: Payer) -> None:
        """Whose refusal this is, if there is middleware around the call."""
        if (attempt := attempt_of(self._payers.payee)) is not None:
            attempt.note(refusal, payer.session)
