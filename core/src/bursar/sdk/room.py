"""How much output an error answer leaves to a request whose output cap is too large."""

from __future__ import annotations

import re
from collections.abc import Callable

_LONGEST = 4_000  # characters that are looked at
_N = r"([0-9][0-9,]{0,14})"
_WINDOW = rf"maximum context length is {_N} tokens"
# What providers say, and what is left by it.
_WORDINGS: tuple[tuple[str, Callable[..., int]], ...] = (
    (
        rf"{_WINDOW}.{{0,20}} you requested {_N} tokens \(.{{0,200}}?{_N} (?:in|for) the completion",
        lambda window, requested, output: window - (requested - output),
    ),  # OpenAI, and the many that copy it
    (
        rf"{_WINDOW} and your request has {_N} input tokens",
        lambda window, sent: window - sent,
    ),  # vLLM
    (
        rf"{_WINDOW}.{{0,20}} you requested {_N} output tokens and your prompt contains .{{0,20}}?{_N} input",
        lambda window, _, sent: window - sent,
    ),  # vLLM, later
    (
        rf"exceed context limit: {_N} \+ {_N} > {_N}",
        lambda sent, _, window: window - sent,
    ),  # Anthropic
    (
        rf"{_N} > {_N}, which is the maximum allowed number of output tokens",
        lambda _, most: most,
    ),  # Anthropic
    (
        rf"supports at most {_N} (?:completion|output) tokens",
        lambda most: most,
    ),  # OpenAI
    (
        rf"max_output_tokens.{{0,60}}Expected a value <= {_N}",
        lambda most: most,
    ),  # OpenAI's Responses
    (
        rf"valid range of max_tokens is \[1, {_N}\]",
        lambda most: most,
    ),  # DeepSeek
)
_READ = [(re.compile(wording, re.ASCII | re.DOTALL), left) for wording, left in _WORDINGS]


def room_left(error: BaseException) -> int | None:
    """The largest output cap that would be taken, in tokens; None where the error does not say.

    Nothing in the text is trusted: the caller must send no more than is held.
    """
    if getattr(error, "status_code", None) != 400:
        return None
    said = f"{error} {getattr(error, 'body', '')}"[:_LONGEST].replace("`", "")
    for wording, left in _READ:
        found = wording.search(said)
        if found is not None:
            room = left(*(int(number.replace(",", "")) for number in found.groups()))
            return room if room > 0 else None
    return None
