"""What requests to Anthropic's API may cost: one class for each way of being billed."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

from bursar import UnpriceableCall
from bursar.sdk import Allowed, Demand, Reading, listed, text_of, whole

from ._surfaces import Where
from ._threads import threads
from ._usage import CompletionReading, MessageReading, hides_output

# What is no input, or is counted by itself. All else is counted by its bytes.
_NO_INPUT = frozenset({
    "model", "messages", "system", "tools", "prompt", "max_tokens", "max_tokens_to_sample", "stream",
    "thinking", "metadata", "cache_control", "service_tier", "speed", "inference_geo", "anthropic_version",
    "anthropic_beta", "temperature", "top_k", "top_p",
})  # fmt: skip
_STORED_INPUT = ("container", "context_management")  # text that only the provider has, or changes
_TIERS = (None, "auto", "standard", "standard_only")
_SPEEDS = (None, "standard", "fast")
_OWN_TOOLS = ("", "custom")
_RUN_BY_CALLER = re.compile(r"(?:bash|computer|memory|text_editor)_[0-9]{8}")
_TOOLSET_OF_CALLER = re.compile(r"(?:browser|computer)_toolset_[0-9]{8}")  # the provider has its schema
_RUN_BY_PROVIDER = re.compile(r"(web_search|web_fetch)_[0-9]{8}")
_MOST_RUNS = (8, 4, 2, 1)  # that are asked for where a tool does not say how often it may run
_WITH_A_FEE = ("web_search",)
_LEAST_ANSWER = 16  # tokens, after the thinking
_USEFUL_ANSWER = 4_096  # likewise; worth waiting for
_LONGER = 5  # the beta of a million tokens, for models whose window is 200,000
# Models of Vertex AI that cost the same in every region; the later ones cost more than globally.
_SAME_EVERYWHERE = re.compile(r"claude-(?:v?[12]\b|instant|3|(?:opus|sonnet)-4(?:-[01])?(?:@|$))")
_WAY_OUT = "send the request within `with session.reserve(cost=...):`, which then pays for it"


class Generation(Demand):
    """A request that a model answers.

    Args:
        where: it goes.
        body: the JSON object that is sent, as plain data.
        cap: the member that bounds the output.
        why_not: why its worst case is not known, and the way out.
        surcharge: why it costs more than the price of its model.
        unlowered: why its worst case is not known where the budget lowers nothing.
        ask: arguments of `Session.reserve` beside those that all surfaces share.
    """

    def __init__(
        self,
        where: Where,
        body: Mapping[str, Any],
        cap: str,
        why_not: str | None = None,
        surcharge: str | None = None,
        unlowered: str | None = None,
        **ask: Any,
    ) -> None:
        self.model = body.get("model") or where.model
        self._body = body
        self._cap = cap
        self._most = whole(body.get(cap))
        if self.model is None:
            why_not = "the request names no model"
        shared = {
            "model": self.model,
            "provider": where.provider,
            "max_output_tokens": self._most,
            "cap_name": cap,
            "formatted": formatted(body),
        }
        super().__init__({**shared, **ask}, why_not=why_not, surcharge=surcharge, unlowered=unlowered)

    def fit(self, options: Any, allowed: Allowed) -> Any:
        options = copy.copy(options)
        options.json_data, options.extra_json = {**self._body, **self.members(allowed)}, None
        return options

    def members(self, allowed: Allowed) -> dict[str, Any]:
        """What is to be changed in the body, so that its output is not above what is allowed."""
        cap = allowed.cap
        if cap is None or (not allowed.needed if self._most is None else self._most <= cap):
            return {}
        return {self._cap: cap}

    def rest(self) -> str:
        """All members that may be input, as the text that bounds them."""
        return text_of(self._body, without=_NO_INPUT)


class Messages(Generation):
    """``/v1/messages``, and what it is called at clouds.

    Args:
        where: it goes.
        body: the JSON object that is sent, as plain data.
        long: True when the context window of a million tokens was asked for.
    """

    def __init__(self, where: Where, body: Mapping[str, Any], *, long: bool) -> None:
        tools = [tool if isinstance(tool, Mapping) else {} for tool in listed(body.get("tools"))]
        runs = _runs(tools)
        self._smallest = _smallest_cap(body.get("thinking"))
        unlowered = _endless(tools)
        super().__init__(
            where, body, "max_tokens", _no_bound(body, tools), _surcharge(where, body), unlowered
        )
        self._tools = tools
        self._runs: int | None = None
        self.ask |= {"tier": body.get("speed"), **_terms(runs, long=long)}
        if unlowered is not None:
            self.ask["alternatives"] = [
                {"runs": most, **_terms(_runs(tools, most), long=long)} for most in _MOST_RUNS
            ]
        if self._smallest:
            self.ask["clamp"] = self._smallest
            self.ask["floor"] = _thinking_budget(body.get("thinking")) + _USEFUL_ANSWER
        toolset = any(_TOOLSET_OF_CALLER.fullmatch(_kind(tool)) for tool in tools)
        stored = _stored_tokens(body.get("thread"))
        if runs or toolset or stored is None or any(body.get(name) for name in _STORED_INPUT):
            return  # the context window bounds the input
        cached = [{"cache_control": "all"}] if body.get("cache_control") else []
        self.ask |= {
            "messages": [*listed(body.get("messages")), *listed(body.get("system")), self.rest(), *cached],
            "tools": tools,
            "stored_tokens": stored,
        }

    def members(self, allowed: Allowed) -> dict[str, Any]:
        lowered = super().members(allowed)
        self._runs = allowed.runs
        if lowered and allowed.cap is not None and allowed.cap < self._smallest:
            raise UnpriceableCall(
                f"this hold pays for {allowed.cap:,} tokens of output, and with its thinking budget the call"
                f" needs {self._smallest:,}; reserve more with max_output_tokens=, or lower the budget",
                endpoint=self.model,
            )
        if allowed.runs is not None:
            lowered["tools"] = [
                {**tool, "max_uses": allowed.runs} if _is_endless(tool) else tool for tool in self._tools
            ]
        return lowered

    def reading(self) -> Reading:
        hidden = hides_output(self.model, self._body.get("thinking"))
        anywhere = self.surcharge is None
        threaded = bool(self._body.get("thread"))
        return MessageReading(
            self._body, hidden=hidden, threaded=threaded, anywhere=anywhere, most_runs=self._runs
        )


class Completions(Generation):
    """``/v1/complete``, of the first models."""

    def __init__(self, where: Where, body: Mapping[str, Any]) -> None:
        super().__init__(where, body, "max_tokens_to_sample")
        self.ask["messages"] = [*listed(body.get("prompt")), self.rest()]

    def reading(self) -> Reading:
        return CompletionReading()


def _thinking_budget(thinking: object) -> int:
    """The tokens that a request lets the model think; 0 where it does not say."""
    if not isinstance(thinking, Mapping) or thinking.get("type") != "enabled":
        return 0
    return whole(thinking.get("budget_tokens")) or 0


def _smallest_cap(thinking: object) -> int:
    """The smallest cap that leaves a quarter of it to the answer, after the thinking; 0 without a budget."""
    budget = _thinking_budget(thinking)
    return max(-(-budget * 4 // 3), budget + _LEAST_ANSWER) if budget else 0


def formatted(body: Mapping[str, Any]) -> bool:
    """True when the answer is to be JSON, whose end a lower output cap would cut off."""
    config = body.get("output_config")
    return bool(body.get("output_format") or (isinstance(config, Mapping) and config.get("format")))


def _surcharge(where: Where, body: Mapping[str, Any]) -> str | None:
    """Why a request costs more than the price of its model, and the ways out; None: it does not."""
    place = body.get("inference_geo")
    if place in (None, "global"):
        model = str(body.get("model") or where.model)
        place = None if where.region in (None, "global") or _SAME_EVERYWHERE.search(model) else where.region
    if place is None:
        return None
    return (
        f"the surcharge of {place!r:.40} is not in the price table; give the model its price there with"
        f" prices=, or {_WAY_OUT}"
    )


def _stored_tokens(thread: object) -> int | None:
    """Input of a conversation that the provider keeps; None where it is not known how long that is."""
    if not thread or (isinstance(thread, Mapping) and thread.get("type") == "create"):
        return 0
    return threads.get(thread.get("previous_message_id")) if isinstance(thread, Mapping) else None


def _terms(runs: Mapping[str, int], *, long: bool) -> dict[str, Any]:
    """What runs of tools at the provider add to a request."""
    calls = sum(runs.values())
    return {
        "windows": (calls + 1) * (_LONGER if long else 1),
        "n": calls + 1,  # whether the cap holds for all turns or for each is not published
        "requests": {tool: uses for tool, uses in runs.items() if tool in _WITH_A_FEE},
    }


def _is_endless(tool: Mapping[str, Any]) -> bool:
    """True for a tool that may run at the provider as often as the model likes."""
    return _RUN_BY_PROVIDER.fullmatch(_kind(tool)) is not None and tool.get("max_uses") is None


def _without_end(kind: str) -> str:
    return f"the tool {kind!r:.60} may run at the provider without end; give it max_uses, or {_WAY_OUT}"


def _endless(tools: list[Mapping[str, Any]]) -> str | None:
    """Why a tool has no bound where the budget puts none into the request; None: all have one."""
    return next((_without_end(_kind(tool)) for tool in filter(_is_endless, tools)), None)


def _runs(tools: list[Mapping[str, Any]], most: int = 0) -> dict[str, int]:
    """How often tools may run at the provider, by name.

    Args:
        most: how often those may that do not say so.
    """
    runs: dict[str, int] = {}
    for tool in tools:
        ran = _RUN_BY_PROVIDER.fullmatch(_kind(tool))
        if ran is not None:
            uses = whole(tool.get("max_uses"))
            runs[ran[1]] = runs.get(ran[1], 0) + (most if uses is None else uses)
    return runs


def _no_bound(body: Mapping[str, Any], tools: list[Mapping[str, Any]]) -> str | None:
    """Why nothing bounds what a request costs, and the way out; None: it has a bound."""
    for tool in tools:
        kind = _kind(tool)
        if kind in _OWN_TOOLS or _RUN_BY_CALLER.fullmatch(kind) or _TOOLSET_OF_CALLER.fullmatch(kind):
            continue
        if not _RUN_BY_PROVIDER.fullmatch(kind):
            return f"nothing bounds beforehand what the tool {kind!r:.60} costs; {_WAY_OUT}"
        if whole(tool.get("max_uses")) is None and not _is_endless(tool):
            return _without_end(kind)
    edits = body.get("context_management")
    edits = edits.get("edits") if isinstance(edits, Mapping) else None
    compacts = [edit for edit in listed(edits) if "compact" in str(edit)]
    unbounded = {
        "mcp_servers": body.get("mcp_servers"),
        "fallbacks": body.get("fallbacks"),
        "compaction": body.get("compaction") or compacts,
    }
    for name, given in unbounded.items():
        if given:
            return f"nothing bounds beforehand what {name!r} adds to a request; {_WAY_OUT}"
    odd = {
        "service tier": (body.get("service_tier"), _TIERS),
        "speed": (body.get("speed"), _SPEEDS),
    }
    for name, (given, known) in odd.items():
        if given not in known:
            return f"the {name} {given!r:.40} has no known price; leave it out, or {_WAY_OUT}"
    return None


def _kind(tool: Mapping[str, Any]) -> str:
    return str(tool.get("type") or "")
