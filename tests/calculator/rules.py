"""Why the two calculators may differ: every difference has one of these names, or the test fails."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from fractions import Fraction

from bursar import Usage

from .sides import BOOK, Model, corrected, my_nanos, outdated, their_nanos

RULES = {
    "equal": "to the nano-dollar, rounded up: a price to a pico-dollar a token, a call to a nano-dollar",
    "refused": "a class of tokens without a price of its own is not taken for plain ones: the hold is booked",
    "conditional": "of several prices, by the hour or announced, the dearest counts at once",
    "search fee": "a hosted search has a fee that the other source alone knows, or knows to be dearer",
    "call fee": "each call has a fee that the other source alone knows",
    "uncounted": "images, video and citations are counted as what they are part of, which is priced as the dearest",
    "second source": "of two sources, the one that says more counts for each class of tokens",
    "newer": "the other source says so for more than 60 days longer than theirs, as the row tells",
    "corrected": "tools/price_corrections.json replaces the price, with a source and a date",
    "CHEAPER": "no rule allows this: what is billed may be more than what is booked",
}
_UNCOUNTED = {
    "input_image_mtok", "input_video_mtok", "output_image_mtok", "output_video_mtok", "output_citation_mtok",
    "output_reasoning_mtok", "cache_image_read_mtok",
}  # fmt: skip
_DUST = Fraction(1, 10**6)  # of a nano-dollar: some of their prices were once doubles


def compared(model: Model, usage: Usage, at: datetime) -> tuple[str, Fraction]:
    """The rule that explains the difference, and how much dearer bursar is: 1 is equal."""
    mine, theirs = my_nanos(model, usage), their_nanos(model, usage, at)
    if mine is None:
        return "refused", Fraction(1)
    ratio = mine / theirs if theirs else Fraction(1)
    if mine < theirs - _DUST:
        return ("corrected" if corrected(model) else "newer" if outdated(model) else "CHEAPER"), ratio
    if mine <= _rounded(theirs, usage):
        return "equal", ratio
    return _dearer(model, usage, mine, at), ratio


def _dearer(model: Model, usage: Usage, mine: int, at: datetime) -> str:
    if isinstance(model.theirs.prices, list):
        return "conditional"
    if usage.requests:
        plain = replace(usage, requests={})
        without = my_nanos(model, plain)
        if without is not None and without <= _rounded(their_nanos(model, plain, at), usage):
            return "search fee"
    fee = BOOK.rates(model.name, model.provider, model.tier).call_fee
    if fee and mine - fee <= _rounded(their_nanos(model, usage, at), usage):
        return "call fee"
    if vars(model.theirs.prices).keys() & _UNCOUNTED:
        return "uncounted"
    return "corrected" if corrected(model) else "second source"


def _rounded(theirs: Fraction, usage: Usage) -> Fraction:
    """The most that rounding up makes of it: a pico-dollar a token, then a nano-dollar."""
    return theirs + Fraction(usage.tokens, 1000) + 1
