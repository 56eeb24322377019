"""A complete adapter of the framework in miniature; docs/adapters.md explains it line by line."""

from __future__ import annotations

from typing import Any

from tests.toy.framework import Call, Handler, Stop

from bursar.integration import (
    Admission,
    Costs,
    OpenCall,
    OpenCalls,
    Payee,
    Payers,
    Result,
    Runs,
    fails_closed,
    never_breaks,
    read_answer,
    read_params,
)


class Refusal(Stop):
    """Mixed into every error of the budget: the framework lets it through."""


class BudgetHandler(Payee, Handler):
    """Keeps agents within a budget."""

    places = "agents"
    sdk: str | None = "openai"  # sends the requests of the framework's client; None: nobody that is covered

    def __init__(self, budget: Any, *, agents: Any = None, tool_prices: Any = None) -> None:
        self.payers = Payers(budget, {"agents": agents})
        self.costs = Costs()
        self._prices = dict(tool_prices or {})
        self._runs = Runs()
        self._calls = OpenCalls()
        self._admission = Admission(self._calls, self.costs, raise_as=Refusal, prefix="toy")

    @never_breaks
    def run_started(self, run: int, agent: str) -> None:
        self._runs.start(run)
        self.costs.open(run, None, agent)

    @fails_closed(Refusal)
    def before_model(self, call: Call) -> None:
        self._admission.admit(*self._model(call), name=call.agent, sdk=self.sdk)

    @fails_closed(Refusal)
    async def abefore_model(self, call: Call) -> None:
        await self._admission.aadmit(*self._model(call), name=call.agent, sdk=self.sdk)

    @never_breaks
    def streaming(self, call: Call) -> None:
        self._calls.uncover(call.id)

    @never_breaks
    def after_model(self, call: Call, answer: dict[str, Any]) -> None:
        if (taken := self._calls.take(call.id)) is not None:
            read = read_answer(answer)
            taken.settle(Result(read.usage, read.model, read.tier, finished=True))
        self.costs.close(call.id)

    @never_breaks
    def model_failed(self, call: Call, error: BaseException) -> None:
        if (taken := self._calls.take(call.id)) is not None:
            taken.fail(error)
        self.costs.close(call.id)

    @fails_closed(Refusal)
    def before_tool(self, call: Call) -> None:
        tool = OpenCall(call.id, (call,), call.run, is_tool=True)
        asked = {"tool": call.tool, "messages": [call.asked], "cost": self._prices.get(call.tool)}
        self._admission.admit(tool, self.payers.payer([call.agent]), asked, name=str(call.tool))

    @never_breaks
    def after_tool(self, call: Call) -> None:
        if (taken := self._calls.take(call.id)) is not None:
            taken.pay()
        self.costs.close(call.id)

    @never_breaks
    def run_ended(self, run: int, error: BaseException | None) -> None:
        self._calls.sweep(run, error)
        self.costs.close(run)
        self._runs.end(run, error)

    def _model(self, call: Call) -> tuple[Any, Any, Any]:
        read = read_params(call.asked)
        opened = OpenCall(call.id, (call,), call.run, hidden=read.hidden_output)
        return opened, self.payers.payer([call.agent]), read.asked()
