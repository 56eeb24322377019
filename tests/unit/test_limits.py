"""Limits: how they are written, what they count, how they are shown."""

from __future__ import annotations

import copy
import decimal
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import InvalidAmount
from bursar.values.call import Subject
from bursar.values.limits import Limit, as_limit

DATED = Subject("model", ("gpt-4o-2024-08-06", "gpt-4o"), "openai")
MINI = Subject("model", ("gpt-4o-mini",), "openai")
SEARCH = Subject("tool", (), None, "web_search")
MODEL_IN_TOOL = Subject("model", ("gpt-4o",), "openai", "web_search")


@pytest.mark.parametrize(
    ("text", "unit", "amount", "window"),
    [
        ("$5", "usd", 5_000_000_000, "session"),
        ("5", "usd", 5_000_000_000, "session"),
        (5, "usd", 5_000_000_000, "session"),
        (0.5, "usd", 500_000_000, "session"),
        (decimal.Decimal("0.05"), "usd", 50_000_000, "session"),
        ("$0", "usd", 0, "session"),
        ("$1,000.50/total", "usd", 1_000_500_000_000, "total"),
        (" $5 / total ", "usd", 5_000_000_000, "total"),
        ("$5/session", "usd", 5_000_000_000, "session"),
        ("50k tokens", "tokens", 50_000, "session"),
        ("2M tokens/total", "tokens", 2_000_000, "total"),
        ("1.5k tokens", "tokens", 1_500, "session"),
        ("0.000001M tokens", "tokens", 1, "session"),
        ("1,234,567 tokens", "tokens", 1_234_567, "session"),
        ("1234567890123456 tokens", "tokens", 1_234_567_890_123_456, "session"),
        ("4,500,000,000,000,000 tokens", "tokens", 4_500_000_000_000_000, "session"),
        ("0 tokens", "tokens", 0, "session"),
        ("20 calls", "calls", 20, "session"),
        ("20.0 calls", "calls", 20, "session"),
        ("20  calls / total", "calls", 20, "total"),
        ("$20/24h", "usd", 20_000_000_000, "24h"),
        ("$0.05 / 90s", "usd", 50_000_000, "90s"),
        ("2M tokens/day", "tokens", 2_000_000, "day"),
        ("20 calls/15min", "calls", 20, "15min"),
        ("$100/month", "usd", 100_000_000_000, "month"),
    ],
    ids=repr,
)
def test_text_is_read(text: str, unit: str, amount: int, window: str) -> None:
    """A limit text is its amount, unit and window, with dollars for each session as the default."""
    limit = Limit(text)
    assert (limit.unit, limit.amount, limit.window) == (unit, amount, window)


@pytest.mark.parametrize(
    "text",
    [
        "", "/", "/total", "$5/", "$5/fortnight", "$5/24", "$5/0h", "$5/1.5h", "$5/days", "$5/24 hs", "$5/hour/day", "$5/99999d", "$5/Total", "$5/session/total", "$5//total", "$5/\n",
        "tokens", "50 tokenss", "50ktokens", "50tokens", "k tokens", "-5 tokens", "1,00 tokens", "1.2.3 tokens",
        "1.5 tokens", "1.0000001M tokens", "0.0001k tokens", "5K tokens", "5m tokens", "5 Tokens", "$5 tokens",
        "5\ttokens", "٥ tokens", "99999999999999999 tokens", "4,500,000,000,000,001 tokens", "9999999999999M calls",
        "9" * 50_000 + " tokens", "five dollars", "$-5", "nan", "$4,500,001",
        None, True, -1, float("nan"), b"$5", [], Limit,
    ],
    ids=lambda text: repr(text)[:40],
)  # fmt: skip
def test_what_is_no_limit_is_refused(text: object) -> None:
    """A text that is not a limit raises `InvalidAmount` with a short message, and never a smaller or larger limit."""
    with pytest.raises(InvalidAmount) as caught:
        Limit(text)  # type: ignore[arg-type]
    assert len(str(caught.value)) < 400


def test_refusal_shows_how_to_write_it() -> None:
    """The message about a wrong text quotes it and gives examples."""
    with pytest.raises(InvalidAmount, match=r"'5 bucks'.*'50k tokens/day'"):
        Limit("5 bucks")


@pytest.mark.parametrize(("text", "amount"), [("123456 tokens", 123_456), ("1.234567M tokens", 1_234_567)])
def test_context_of_the_caller_changes_nothing(text: str, amount: int) -> None:
    """A decimal context of three digits does not round a limit."""
    with decimal.localcontext(decimal.Context(prec=3)):
        assert Limit(text).amount == amount


@pytest.mark.parametrize("selector", ["model", "tool", "provider"])
def test_selectors_are_names(selector: str) -> None:
    """A selector that is a name is kept; one that is empty, no text or unprintable is a `ValueError`."""
    assert getattr(Limit("$1", **{selector: "gpt-4o"}), selector) == "gpt-4o"
    for wrong in ("", 5, "a\nb", "x" * 201):
        with pytest.raises(ValueError, match=selector):
            Limit("$1", **{selector: wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("limit", "counted"),
    [
        (Limit("$1"), {DATED, MINI, SEARCH, MODEL_IN_TOOL}),
        (Limit("1k tokens"), {DATED, MINI, SEARCH, MODEL_IN_TOOL}),
        (Limit("5 calls"), {DATED, MINI, MODEL_IN_TOOL}),
        (Limit("$1", model="gpt-4o"), {DATED, MODEL_IN_TOOL}),
        (Limit("$1", model="gpt-4o-2024-08-06"), {DATED}),
        (Limit("5 calls", model="gpt-4o-mini"), {MINI}),
        (Limit("$1", provider="openai"), {DATED, MINI, MODEL_IN_TOOL}),
        (Limit("$1", provider="azure"), set()),
        (Limit("$1", tool="web_search"), {SEARCH, MODEL_IN_TOOL}),
        (Limit("5 calls", tool="web_search"), {SEARCH, MODEL_IN_TOOL}),
        (Limit("5 calls", tool="*"), {SEARCH, MODEL_IN_TOOL}),
        (Limit("5 calls", tool="other"), set()),
        (Limit("$1", tool="web_search", model="gpt-4o"), {MODEL_IN_TOOL}),
    ],
    ids=lambda value: str(value) if isinstance(value, Limit) else str(len(value)),
)
def test_limit_counts_what_it_selects(limit: Limit, counted: set[Subject]) -> None:
    """A limit counts the calls that all its selectors match; without a tool, ``calls`` are calls to models."""
    assert {subject for subject in (DATED, MINI, SEARCH, MODEL_IN_TOOL) if limit.covers(subject)} == counted


@pytest.mark.parametrize(
    ("limit", "selective"),
    [
        (Limit("$1/total"), False),
        (Limit("$1", model="m"), True),
        (Limit("$1", tool="t"), True),
        (Limit("$1", provider="p"), True),
    ],
)
def test_selective(limit: Limit, selective: bool) -> None:
    """A limit with any selector is selective, one without is not."""
    assert limit.selective is selective


def test_key_ignores_the_amount_only() -> None:
    """Limits that differ in the amount are the same limit; those that differ in anything else are not."""
    different = [
        Limit("$1"), Limit("$1/total"), Limit("$1/day"), Limit("$1/24h"), Limit("$1/hour"), Limit("$1/1h"), Limit("1 tokens"), Limit("1 calls"),
        Limit("$1", model="a"), Limit("$1", tool="a"), Limit("$1", provider="a"),
    ]  # fmt: skip
    assert len({limit.key for limit in different}) == len(different)
    assert Limit("$1", model="a").key == Limit("$2", model="a").key


@pytest.mark.parametrize(
    ("limit", "text", "code"),
    [
        (Limit(5), "$5/session", "Limit('$5/session')"),
        (Limit("$0.5/total"), "$0.50/total", "Limit('$0.50/total')"),
        (Limit("2000000 tokens"), "2M tokens/session", "Limit('2M tokens/session')"),
        (Limit("1500000 tokens"), "1500k tokens/session", "Limit('1500k tokens/session')"),
        (Limit("1234 tokens"), "1234 tokens/session", "Limit('1234 tokens/session')"),
        (Limit("0 calls"), "0 calls/session", "Limit('0 calls/session')"),
        (Limit("1 calls"), "1 call/session", "Limit('1 call/session')"),
        (
            Limit("$1", model="m", tool="t", provider="p"),
            "$1/session (model=m, tool=t, provider=p)",
            "Limit('$1/session', model='m', tool='t', provider='p')",
        ),
    ],
    ids=str,
)
def test_limit_is_shown(limit: Limit, text: str, code: str) -> None:
    """A limit prints as a user would write it, and its repr is the code that makes it."""
    assert str(limit) == text
    assert repr(limit) == code
    assert eval(code, {"Limit": Limit}) == limit


@pytest.mark.parametrize(
    ("limit", "amount", "text"),
    [
        (Limit("$1"), 1_500_000_000, "$1.50"),
        (Limit("$1"), -5_000_000, "-$0.005"),
        (Limit("1 tokens"), 1_200, "1,200 tokens"),
        (Limit("1 calls"), 3, "3 calls"),
        (Limit("5 calls"), 1, "1 call"),
        (Limit("5 calls"), -1, "-1 call"),
    ],
)
def test_amount_is_shown_in_its_unit(limit: Limit, amount: int, text: str) -> None:
    """An amount is shown in the unit of the limit."""
    assert limit.show(amount) == text


@given(
    st.integers(0, 4_500_000_000_000_000),
    st.sampled_from(["usd", "tokens", "calls"]),
    st.sampled_from(["session", "total", "hour", "day", "week", "month", "90s", "15min", "24h", "30d"]),
)
def test_text_of_a_limit_reads_back(amount: int, unit: str, window: str) -> None:
    """Every limit reads back from its own text, up to the largest there is."""
    dollars, nanos = divmod(amount, 10**9)
    written = f"{dollars}.{nanos:09d}" if unit == "usd" else f"{amount:,} {unit}"
    limit = Limit(f"{written}/{window}")
    assert limit.amount == amount
    assert Limit(str(limit)) == limit


def test_as_limit() -> None:
    """A limit passes as it is, a text or a number is read as one."""
    limit = Limit("$5")
    assert as_limit(limit) is limit
    assert as_limit("$5") == as_limit(5) == limit


def test_limit_is_a_value() -> None:
    """Equal limits are interchangeable, cannot be changed, and survive pickle and copy."""
    limit = Limit("$5", model="m")
    assert hash(limit) == hash(Limit(5, model="m"))
    assert pickle.loads(pickle.dumps(limit)) == copy.deepcopy(limit) == copy.copy(limit) == limit
    with pytest.raises(AttributeError):
        limit.amount = 10**15  # type: ignore[misc]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("$5/24h", "$5/1d"),
        ("$5/60s", "$5/1min"),
        ("$5/90min", "$5/5400s"),
        ("5k tokens/7d", "5000 tokens/168h"),
    ],
)
def test_a_span_is_as_long_as_it_is_however_written(one: str, other: str) -> None:
    """The same amount over the same time is the same limit; each still prints as it was written."""
    assert Limit(one) == Limit(other) and hash(Limit(one)) == hash(Limit(other))
    assert Limit(one).key == Limit(other).key and Limit(one).span_ms == Limit(other).span_ms
    assert str(Limit(one)).endswith(one.rpartition("/")[2])
    assert Limit(one) != Limit(f"4{other[1:]}")


@pytest.mark.parametrize(
    ("text", "span_ms", "tz", "windowed"),
    [
        ("$5", 0, "", False),
        ("$5/total", 0, "", False),
        ("$5/hour", 0, "UTC", True),
        ("$5/day", 0, "UTC", True),
        ("$5/week", 0, "UTC", True),
        ("$5/month", 0, "UTC", True),
        ("$5/1h", 3_600_000, "", True),
        ("$5/30d", 2_592_000_000, "", True),
    ],
)
def test_only_calendar_periods_have_a_zone(text: str, span_ms: int, tz: str, windowed: bool) -> None:
    """A day begins somewhere; 24 hours are the same everywhere."""
    limit = Limit(text)
    assert (limit.span_ms, limit.tz, limit.windowed) == (span_ms, tz, windowed)
    moved = limit.in_zone("Europe/Oslo")
    assert moved.tz == ("Europe/Oslo" if tz else "") and limit.tz == tz
    assert (moved == limit) is not tz.startswith("UTC")
    assert (moved.key, moved.amount, str(moved)) == (limit.key, limit.amount, str(limit))
    assert moved.in_zone("Europe/Oslo") is moved
