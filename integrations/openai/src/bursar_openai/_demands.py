"""What requests to OpenAI's API may cost: one class for each way of being billed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from bursar.sdk import Allowed, Demand, Reading, listed, text_of, whole, with_members

from ._surfaces import Where
from ._usage import CompletionReading, ResponseReading, hides_output

_CAPS: dict[str, tuple[str, ...]] = {
    "chat": ("max_completion_tokens", "max_tokens"),
    "compact": (),
    "completions": ("max_tokens",),
    "embeddings": (),
    "responses": ("max_output_tokens",),
}
_TIERS = frozenset({"auto", "default", "standard", "scale", "flex", "priority", "fast", "batch"})
# What is no input, or is counted by itself. All else is counted by its bytes.
_NO_INPUT = frozenset({
    "model", "messages", "input", "tools", "stream", "stream_options", "max_tokens", "max_completion_tokens",
    "max_output_tokens", "max_tool_calls", "n", "best_of", "logit_bias", "metadata", "prompt", "prediction",
})  # fmt: skip
_STORED_INPUT = ("previous_response_id", "conversation", "prompt")  # text that only the provider has
_OWN_TOOLS = ("function", "custom")
_RUN_BY_CALLER = ("apply_patch", "computer", "computer_use_preview", "local_shell")
_RUN_BY_PROVIDER = ("code_interpreter", "file_search", "web_search")  # priced by the run
_SEARCHING = re.compile(r"search|sonar")  # models that search by themselves, at a fee for each call
_BY_OTHERS = ("models", "plugins", "search_parameters")  # hosts choose another model, or run searches
_WAY_OUT = "; send the request within `with session.reserve(cost=...):`, which then pays for it"
_REJECTED = (400, 422)
_FORMATS = ("json_schema", "json_object")
_MOST_RUNS = (8, 4, 2, 1)  # that are asked for where the request does not bound its tools
_LEAST_CAP = 16  # of Responses

_hosts_without_usage: set[str] = set()  # they reject `stream_options`


class Free(Demand):
    """Nothing is billed; perhaps it tells of an answer that is."""

    def reading(self) -> Reading:
        return ResponseReading()


class Bounded(Demand):
    """A request whose worst case is known.

    Args:
        where: it goes.
        body: the JSON object that is sent.
        ask: arguments of `Session.reserve` beside those that all surfaces share.
        why_not: why it is not known after all, and the way out.
        unlowered: why it is not where the budget lowers nothing.
    """

    def __init__(
        self,
        where: Where,
        body: Mapping[str, Any],
        why_not: str | None = None,
        unlowered: str | None = None,
        **ask: Any,
    ) -> None:
        self._body = body
        self._where = where
        self._names = _CAPS[where.kind]
        self._caps = {name: whole(body[name]) for name in self._names if body.get(name) is not None}
        model, tier = body.get("model"), body.get("service_tier")
        if tier is not None and tier not in _TIERS:
            why_not = f"the service tier {tier!r:.40} has no known price"
        if model is None:
            why_not = "the request names no model"
        for name in () if body.keys().isdisjoint(_BY_OTHERS) else _BY_OTHERS:
            if body.get(name):
                why_not = f"nothing bounds what {name!r} may add to the request's cost{_WAY_OUT}"
        most = max([cap for cap in self._caps.values() if cap is not None], default=None)
        shared = {
            "model": model,
            "provider": where.provider,
            "tier": tier,
            "max_output_tokens": most,
            "cap_name": next(iter(self._caps), None) or self._new_cap(model),
            "formatted": formatted(body),
        }
        super().__init__({**shared, **ask}, why_not=why_not, unlowered=unlowered)

    def fit(self, options: Any, allowed: Allowed) -> Any:
        return with_members(options, self.members(allowed))

    def members(self, allowed: Allowed) -> dict[str, Any]:
        """What is to be changed in the body, so that its output is not above what is allowed."""
        cap = allowed.cap
        if cap is None or not self._names:
            return {}
        if not self._caps:
            return {self._new_cap(allowed.model or self._body.get("model")): cap} if allowed.needed else {}
        return {
            name: cap
            for name, given in self._caps.items()
            if (allowed.needed if given is None else given > cap)
        }

    def _new_cap(self, model: object) -> str:
        """The member that caps the output of a body without one; none for what takes no cap."""
        return self._where.new_cap(str(model)) if self._names else ""

    def rest(self) -> str:
        """All members that may be input, as the text that bounds them."""
        return text_of(self._body, without=_NO_INPUT)


class Streamed(Bounded):
    """Chat completions and completions, whose streams tell their usage only when asked."""

    def __init__(self, where: Where, body: Mapping[str, Any], choices: int, **ask: Any) -> None:
        super().__init__(where, body, **ask)
        self._choices = choices
        silent = body.get("stream") and "stream_options" not in body
        self._unasked = bool(silent) and where.host not in _hosts_without_usage

    def members(self, allowed: Allowed) -> dict[str, Any]:
        asked = {"stream_options": {"include_usage": True}} if self._unasked else {}
        return {**super().members(allowed), **asked}

    def reading(self) -> Reading:
        hidden = hides_output(self._body)
        return CompletionReading(choices=self._choices, hidden=hidden, unasked=self._unasked)

    def again(self, error: Exception) -> Demand | None:
        if not self._unasked or getattr(error, "status_code", None) not in _REJECTED:
            return None
        said = f"{error} {getattr(error, 'body', '')}"
        if "stream_options" not in said and "include_usage" not in said:
            return None
        _hosts_without_usage.add(self._where.host)
        return type(self)(self._where, self._body)  # type: ignore[call-arg]  # of the classes below


class Chat(Streamed):
    """``/chat/completions``."""

    def __init__(self, where: Where, body: Mapping[str, Any]) -> None:
        choices = whole(body.get("n")) or 1
        searches = body.get("web_search_options") is not None
        why_not = None
        if searches and not _SEARCHING.search(str(body.get("model"))):
            why_not = f"nothing bounds what 'web_search_options' may add to the request's cost{_WAY_OUT}"
        super().__init__(where, body, choices, n=choices, tools=listed(body.get("tools")), why_not=why_not)
        predicted = body.get("prediction")
        if predicted is not None:  # what of it is not used is output, and above the cap
            written = len(json.dumps(predicted, default=str))
            most = self.ask["max_output_tokens"]
            self.ask |= {"clamp": False, "max_output_tokens": most and most + written}
        if not searches:
            self.ask["messages"] = [*listed(body.get("messages")), self.rest()]


class Completions(Streamed):
    """``/completions``."""

    def __init__(self, where: Where, body: Mapping[str, Any]) -> None:
        prompts, tokens = texts_of(body.get("prompt"))
        each = max(whole(body.get("n")) or 1, whole(body.get("best_of")) or 1)
        several = max(1, len(prompts))
        choices = several * (whole(body.get("n")) or 1)
        super().__init__(where, body, choices, n=several * each, windows=several)
        self.ask |= tokens or {"messages": [*prompts, self.rest()]}


class Embeddings(Bounded):
    """``/embeddings``."""

    def __init__(self, where: Where, body: Mapping[str, Any]) -> None:
        given, tokens = texts_of(body.get("input"))
        super().__init__(where, body, windows=max(1, len(given)))
        self.ask |= tokens or {"messages": [*given, self.rest()]}

    def reading(self) -> Reading:
        return CompletionReading()


class Responses(Bounded):
    """``/responses``, where the provider may have input of its own, and run tools."""

    def __init__(self, where: Where, body: Mapping[str, Any]) -> None:
        tools = listed(body.get("tools"))
        kinds = {str(tool.get("type")) if isinstance(tool, Mapping) else "" for tool in tools}
        elsewhere = kinds.difference(_OWN_TOOLS, _RUN_BY_CALLER)
        calls = whole(body.get("max_tool_calls"))
        strange, unlowered = _unbounded_tools(elsewhere, calls)
        if body.get("max_tool_calls") is not None:
            strange, unlowered = strange or unlowered, None  # what is there is not raised
        super().__init__(where, body, strange, unlowered, clamp=_LEAST_CAP)
        self._runs: int | None = None
        if unlowered is not None:
            self.ask["alternatives"] = [
                {"runs": most, **self._runs_of(elsewhere, most)} for most in _MOST_RUNS
            ]
        if (elsewhere or body.get("prompt")) and calls is not None:  # a stored prompt may have tools
            self.ask |= self._runs_of(elsewhere, calls)
        if elsewhere or kinds & set(_RUN_BY_CALLER) or any(body.get(name) for name in _STORED_INPUT):
            return  # the context window bounds the input
        given = body.get("input")
        messages = [given] if isinstance(given, str) else listed(given)
        self.ask |= {"messages": [*messages, self.rest()], "tools": tools}

    def _runs_of(self, kinds: set[str], calls: int) -> dict[str, Any]:
        """What so many runs of tools of the provider's add to the request."""
        runs = {tool: calls for tool in _RUN_BY_PROVIDER if any(kind.startswith(tool) for kind in kinds)}
        turns = {} if self._caps else {"n": calls + 1}  # the model's own cap holds for each of its turns
        return {"windows": calls + 1, "requests": runs, **turns}

    def members(self, allowed: Allowed) -> dict[str, Any]:
        self._runs = allowed.runs
        bound = {} if allowed.runs is None else {"max_tool_calls": allowed.runs}
        return {**super().members(allowed), **bound}

    def reading(self) -> Reading:
        return ResponseReading(hidden=hides_output(self._body), most_runs=self._runs)


class Compact(Responses):
    """``/responses/compact``: takes the place of what was said before, at whatever length it likes."""

    def __init__(self, where: Where, body: Mapping[str, Any]) -> None:
        super().__init__(where, body)
        self.ask["clamp"] = False


def _unbounded_tools(kinds: set[str], calls: int | None) -> tuple[str | None, str | None]:
    """Why tools that run at the provider have no bound, and the way out; None: they have one.

    The second holds only where the budget puts no bound into the request.
    """
    strange = [kind for kind in sorted(kinds) if not kind.startswith(_RUN_BY_PROVIDER)]
    if strange:
        return f"nothing bounds beforehand what the tool {strange[0]!r:.60} costs{_WAY_OUT}", None
    if kinds and calls is None:
        return None, (
            f"the tool {min(kinds)!r:.60} may run at the provider without end; pass max_tool_calls=, or send"
            " the request within `with session.reserve(cost=...):`, which then pays for it"
        )
    return None, None


def formatted(body: Mapping[str, Any]) -> bool:
    """True when the answer is to be JSON, whose end a lower output cap would cut off."""
    if body.keys().isdisjoint(("response_format", "text")):
        return False
    text = body.get("text")
    wanted = body.get("response_format"), text.get("format") if isinstance(text, Mapping) else None
    return any(isinstance(one, Mapping) and one.get("type") in _FORMATS for one in wanted)


def texts_of(value: object) -> tuple[Sequence[Any], dict[str, Any]]:
    """The texts of a prompt or an input; where they are token ids already, how many."""
    given = listed(value)
    if given and all(type(one) is int for one in given):
        given = [given]
    if given and all(isinstance(one, list | tuple) and all(type(id) is int for id in one) for one in given):
        return given, {"input_tokens": sum(len(one) for one in given)}
    return given, {}
