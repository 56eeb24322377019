"""Where runs of LangChain get the money for their calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeAlias

from langchain_core.messages import BaseMessage

from bursar import BudgetExceeded, BursarError, Hold, HoldClosed, UnknownModel
from bursar.integration import book_unclaimed, cover_later, cover_text, note_saved, promise_of_another

from ._attempt import attempt_of
from ._caps import Lowered, cap_name
from ._costs import Costs, Tally, name_of
from ._payers import Money, Payer, Payers
from ._refusal import LangChainRefusal, as_refusal
from ._request import read_request
from ._run import Run
from ._runs import Runs, withdraw
from ._sdks import came_around, class_of, is_sent_by_covered_sdk
from ._usage import Result

OnBudget: TypeAlias = Callable[[BudgetExceeded], object]


class Admission:
    """Reserves for the calls of one handler.

    Args:
        payers: finds whose money it is.
        runs: remembers what was admitted.
        costs: counts it.
        tool_prices: USD for a run, by tool; beside those of the budget.
        on_budget: asked about a refusal; True: try once more.
    """

    def __init__(
        self,
        payers: Payers,
        runs: Runs,
        costs: Costs,
        tool_prices: Mapping[str, Money],
        on_budget: OnBudget | None = None,
    ) -> None:
        self._on_budget = on_budget
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
        name, cap = name_of(serialized, more, request.model), cap_name(request, params)
        kind = None if run.text else class_of(serialized)
        if self._admit(run, name, metadata, asked, cap, kind) and run.hold is not None:
            one_text = run.text and isinstance(inputs[0], str)
            run.cover = cover_text(run.hold, str(inputs[0])) if one_text else run.hold.cover()

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
        kind: tuple[str, ...] | None = None,
    ) -> bool:
        """Reserve for a run, or promise to pay; False when this very hook was heard before.

        Args:
            cap: the argument that a caller may lower so that the call fits.
            kind: the class of the model, where a covered SDK may be the one to reserve.
        """
        known = self._runs.known(run.id)
        if any(other.is_call_of(run) for other in known):
            return False
        payer = None
        try:
            payer = self._payers.payer(metadata, run.root or run.id)
            # Calls of one `generate()` share their metadata: it has no room for the cost of each.
            told = metadata if run.batch is None else None
            if kind is not None and self._may_promise(kind, cap):
                self._promise(run, payer, asked, kind, self._costs.open(run.id, run.parent, name, told))
            else:
                taken = {other.hold.id for other in known if other.hold is not None}
                run.hold = self._hold(run, payer, taken, asked, cap)
                self._costs.open(run.id, run.parent, name, told).pays(run.hold)
            self._runs.add(run)
        except BursarError as error:
            withdraw(run)
            refusal = as_refusal(error)
            if payer is not None:
                self._note(refusal, payer)
                if isinstance(refusal, BudgetExceeded) and not isinstance(refusal, Lowered):
                    payer.session.surface(refusal)
            raise refusal from None
        except BaseException:  # a bug, or an interrupt: nothing was sent
            withdraw(run)
            run.withdraw()
            raise
        return True

    def _may_promise(self, kind: tuple[str, ...], cap: str | None) -> bool:
        """True where the covered SDK reserves; not where the middleware lowers the cap by itself."""
        attempt = attempt_of(self._payers.payee)
        lowers = attempt is not None and attempt.least is not None and cap is not None
        return not lowers and is_sent_by_covered_sdk(kind)

    def _promise(
        self, run: Run, payer: Payer, asked: dict[str, Any], kind: tuple[str, ...], tally: Tally
    ) -> None:
        """Say that the payer pays for what the SDK sends; it reserves, and books."""
        call = "langchain", run.id, tuple(map(id, run.given or ()))
        if (other := promise_of_another(payer.account, call)) is not None:
            other.listeners.append(lambda hold: self._hold_beside(run, payer, asked, hold, tally))
            return

        def reserved(hold: Hold) -> None:
            run.hold = hold
            tally.pays(hold)

        def refused(refusal: BursarError) -> bool:
            if self._may_ask_again(refusal):
                return True
            self._note(refusal, payer)
            return False

        def book(result: Result) -> None:
            if result.cached:
                note_saved(payer.account, asked, result.usage)
                return
            came_around(kind)
            try:
                book_unclaimed(payer.account, asked, result.usage, model=result.model, tier=result.tier)
            except BudgetExceeded as refusal:  # it is booked; the next call is refused
                self._note(refusal, payer)

        run.booking = book
        run.promise = cover_later(
            payer.account,
            raise_as=LangChainRefusal,
            on_hold=reserved,
            on_refusal=refused,
            call=call,
            texts=_texts(asked["messages"]),
        )

    def _hold_beside(self, run: Run, payer: Payer, asked: dict[str, Any], hold: Hold, tally: Tally) -> None:
        """Another account has reserved for the same call: reserve here for what it is about to send.

        Raises:
            BursarError: the call must not be made.
        """
        if run.hold is not None:
            return  # a retry of the SDK's, which no handler sees
        sent = {**asked, "messages": None, "input_tokens": hold.call.input_tokens, "clamp": False}
        sent["max_output_tokens"] = hold.max_output_tokens
        try:
            run.hold = self._reserve(payer, f"langchain:{run.id}", set(), sent)
        except BursarError as error:
            refusal = as_refusal(error)
            self._note(refusal, payer)
            raise refusal from None
        tally.pays(run.hold)

    def _note(self, refusal: BursarError, payer: Payer) -> None:
        """Tell the middleware around the call, if there is one, whose refusal this is."""
        attempt = attempt_of(self._payers.payee)
        if attempt is not None and isinstance(refusal, BudgetExceeded):
            attempt.note(refusal, payer.session)

    def _may_ask_again(self, refusal: BursarError) -> bool:
        """True where somebody raised a limit for the call."""
        if self._on_budget is None or not isinstance(refusal, BudgetExceeded):
            return False
        return self._on_budget(refusal) is True

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
        count, asked_person = 0, False
        while True:
            try:
                hold = payer.account.reserve(key=f"{key}:{count}" if count else key, **asked)
            except HoldClosed:
                count += 1  # the key was used for another call
                continue
            except BudgetExceeded as refusal:
                if asked_person or not self._may_ask_again(as_refusal(refusal)):
                    raise
                asked_person = True
                continue
            except UnknownModel:
                if asked.get("provider") != "openai":
                    raise
                asked["provider"] = None  # OpenAI's client, but not its model: the name says whose
                continue
            if hold.state == "reserved" and hold.id not in taken:
                return hold
            count += 1


def _texts(messages: Sequence[Any] | None) -> list[str]:
    """The texts of the messages, as the request has them, too."""
    contents = [item.get("content") if isinstance(item, Mapping) else item for item in messages or ()]
    return [content for content in contents if isinstance(content, str) and content]
