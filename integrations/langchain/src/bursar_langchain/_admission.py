"""Where runs of LangChain get the money for their calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from langchain_core.messages import BaseMessage

from bursar import BudgetExceeded, BursarError, Hold, HoldClosed, UnknownModel

from ._attempt import attempt_of
from ._caps import Lowered, cap_name
from ._costs import Costs, name_of
from ._payers import Money, Payer, Payers
from ._refusal import as_refusal
from ._request import read_request
from ._run import Run
from ._runs import Runs, withdraw


class Admission:
    """Reserves for the calls of one handler.

    Args:
        payers: finds whose money it is.
        runs: remembers what was admitted.
        costs: counts it.
        tool_prices: USD for a run, by tool; beside those of the budget.
    """

    def __init__(self, payers: Payers, runs: Runs, costs: Costs, tool_prices: Mapping[str, Money]) -> None:
        self._payers = payers
        self._runs = runs
        self._costs = costs
        self._tool_prices: Mapping[str, str | float | Decimal] = dict(tool_prices)

    def admit_model(
        self,
        run: Run,
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
        run.request = replace(request, messages=None, tools=[])  # prompts are not kept
        run.batch = params if (more.get("batch_size") or 1) > 1 else None
        asked = {
            "model": request.model,
            "provider": request.provider,
            "messages": request.messages,
            "tools": request.tools,
            "max_output_tokens": request.max_output_tokens,
            "n": request.n * run.calls,
            "tier": request.tier,
        }
        if self._admit(
            run, name_of(serialized, more, request.model), metadata, asked, cap_name(request, params)
        ):
            run.cover = run.hold.cover()

    def admit_tool(self, run: Run, name: str, given: str, metadata: Mapping[str, Any] | None) -> None:
        """Reserve for the run of a tool.

        Raises:
            BursarError: the tool must not run.
        """
        self._admit(
            run, name, metadata, {"tool": name, "messages": [given], "cost": self._tool_prices.get(name)}
        )

    def _admit(
        self,
        run: Run,
        name: str,
        metadata: Mapping[str, Any] | None,
        asked: dict[str, Any],
        cap: str | None = None,
    ) -> bool:
        """Reserve for a run; False when this very hook was heard before.

        Args:
            cap: the argument that a caller may lower so that the call fits.
        """
        known = self._runs.known(run.id)
        if any(other.is_call_of(run) for other in known):
            return False
        payer = None
        try:
            payer = self._payers.payer(metadata)
            run.hold = self._hold(run, payer, {other.hold.id for other in known}, asked, cap)
            # Calls of one `generate()` share their metadata: it has no room for the cost of each.
            tally = self._costs.open(run.id, run.parent, name, metadata if run.batch is None else None)
            tally.pays(run.hold)
            self._runs.add(run)
        except BursarError as error:
            withdraw(run)
            refusal = as_refusal(error)
            if payer is not None and isinstance(refusal, BudgetExceeded):
                if (attempt := attempt_of(self._payers.payee)) is not None:
                    attempt.note(refusal, payer.session)
                if not isinstance(refusal, Lowered):
                    payer.session.surface(refusal)
            raise refusal from None
        except BaseException:  # a bug, or an interrupt: nothing was sent
            withdraw(run)
            run.withdraw()
            raise
        return True

    def _hold(self, run: Run, payer: Payer, taken: set[str], asked: dict[str, Any], cap: str | None) -> Hold:
        """A hold for a request that nobody can change any more, or only the middleware by asking anew."""
        key, attempt = f"langchain:{run.id}", attempt_of(self._payers.payee)
        if attempt is not None and attempt.least is not None and cap is not None:
            hold = self._reserve(payer, key, taken, {**asked, "clamp": True})
            granted, wanted = hold.binding_cap, asked["max_output_tokens"]
            if granted is None or (wanted is not None and granted >= wanted):
                return hold
            hold.release()
            attempt.lower(cap, granted)
        return self._reserve(payer, key, taken, {**asked, "clamp": False})

    def _reserve(self, payer: Payer, key: str, taken: set[str], asked: dict[str, Any]) -> Hold:
        """A hold of this run's own; two handlers of one session get the same one.

        Callers may choose run ids, and use one for several calls: each has its own hold.
        """
        count = 0
        while True:
            try:
                hold = payer.account.reserve(key=f"{key}:{count}" if count else key, **asked)
            except HoldClosed:
                count += 1  # the key was used for another call
                continue
            except UnknownModel:
                if asked.get("provider") != "openai":
                    raise
                asked["provider"] = None  # OpenAI's client, but not its model: the name says whose
                continue
            if hold.state == "reserved" and hold.id not in taken:
                return hold
            count += 1
