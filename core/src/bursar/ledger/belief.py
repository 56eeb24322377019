"""What is believed of the usage that an answer tells, beside what was sent and seen."""

from __future__ import annotations

from dataclasses import replace

from ..pricing.quote import Quote
from ..pricing.response import Answer
from ..values.usage import Usage


def believable(answer: Answer, asked: Quote, seen_tokens: int = 0) -> tuple[Usage | None, bool]:
    """The usage to book, and whether it is what the provider counted; None where the hold is to be booked.

    Counts that cannot be true are never believed downwards: output without any input is at least what
    was sent, no output beside text that was seen is that text. Output that stands in the total alone
    is not above the cap that was sent.

    Args:
        answer: what was told.
        asked: what the call was held for.
        seen_tokens: the most output that the text which arrived can be.
    """
    if asked.hour_cache:
        answer = answer.cached_for_an_hour()
    usage = answer.usage
    if not isinstance(usage, Usage) or usage.flaw:
        return None, False
    call, most = asked.call, asked.call.n * asked.call.max_output_tokens
    if answer.beyond and most and usage.output_tokens > most:
        return None, False
    whole = True
    if not usage.input_tokens and usage.output_tokens and call.input_tokens:
        usage, whole = replace(usage, input_tokens=call.input_tokens), False
    seen = max(seen_tokens, answer.seen)
    if seen and not usage.output_tokens:
        usage, whole = replace(usage, output_tokens=min(seen, most) if most else seen), False
    return usage, whole
