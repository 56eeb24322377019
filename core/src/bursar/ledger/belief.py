"""What is believed of the usage that an answer tells, beside what was sent and seen."""

from __future__ import annotations

from dataclasses import replace

from ..pricing.quote import Quote
from ..pricing.response import Answer
from ..values.usage import Usage


def believable(answer: Answer, asked: Quote, seen_tokens: int = 0) -> tuple[Usage | None, bool]:
    """The usage of an answer to book, and whether it is what the provider counted.

    Output that stands in the total alone is not above the cap that was sent.

    Args:
        answer: what was told.
        asked: what the call was held for.
        seen_tokens: the most output that the text which arrived can be.

    Returns:
        The usage, None where the hold is to be booked; and False where it is not what was told.
    """
    if asked.hour_cache:
        answer = answer.cached_for_an_hour()
    usage, whole = believed(answer.usage, asked, max(seen_tokens, answer.seen))
    if answer.beyond and usage is not None and usage.output_tokens > _most(asked) > 0:
        return None, False
    return usage, whole


def believed(usage: object, asked: Quote, seen_tokens: int = 0) -> tuple[Usage | None, bool]:
    """The usage to book of token counts that were told without an answer, and whether it is what was told.

    Counts that cannot be true are never believed downwards: output without any input is at least what
    was sent, no output beside text that was seen is that text.
    """
    if not isinstance(usage, Usage) or usage.flaw:
        return None, False
    sent, made = usage.input_tokens, usage.output_tokens
    if sent and made:  # as most are
        return usage, True
    whole = True
    if not sent and made and asked.call.input_tokens:
        usage, whole = replace(usage, input_tokens=asked.call.input_tokens), False
    if seen_tokens and not made:
        most = _most(asked)
        usage, whole = replace(usage, output_tokens=min(seen_tokens, most) if most else seen_tokens), False
    return usage, whole


def _most(asked: Quote) -> int:
    """The most output of all choices together."""
    return asked.call.n * asked.call.max_output_tokens
