"""What looks like a secret is taken out of texts, of what JSON holds, and of log records; other texts stay."""

from __future__ import annotations

import io
import logging
import traceback
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import pytest

from bursar import Budget, BudgetExceeded, BursarError, redaction
from bursar.redaction import redacted
from bursar.runtime.log import logger

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("redis://:p@ss@host:6379/0", "redis://:[redacted]@host:6379/0"),
        ("redis://me:hunter22@host/0", "redis://me:[redacted]@host/0"),
        ("https://ghp_0123456789@github.com/x", "https://[redacted]@github.com/x"),
        ("https://example.com/?key=abc&page=2", "https://example.com/?key=[redacted]&page=2"),
        ("OPENAI_API_KEY=abc", "OPENAI_API_KEY=[redacted]"),
        ("{'api_key': 'abc', 'n': 1}", "{'api_key': '[redacted]', 'n': 1}"),
        ("Authorization: Bearer abc", "Authorization: Bearer [redacted]"),
        ("sent Basic dXNlcjpwYXNz", "sent Basic [redacted]"),
        ("x-api-key: abc", "x-api-key: [redacted]"),
        ("password=hunter22;db=1", "password=[redacted];db=1"),
        ("no sk-ant-api03-0123456789abcdef!", "no [redacted]!"),
        ("AIzaSyA0123456789abcdefghijk", "[redacted]"),
        ("AKIAIOSFODNN7EXAMPLE", "[redacted]"),
        (JWT, "[redacted]"),
    ],
)
def test_a_secret_is_taken_out(text: str, left: str) -> None:
    """By its place, by its name or by its form; what stands around it is left, and a second time changes nothing."""
    assert redacted(text) == left
    assert redacted(left) == left


@pytest.mark.parametrize(
    "text",
    [
        "with max_tokens=71,000 it would fit; 5 tokens: 3",
        "skeleton-service-worker-pool and ghostwriter-agent-number-7",
        "sqlite:////home/a@b/budget.db",
        "https://example.com:8080/a@b?page=2",
        "the secret of a token bucket",
        "gpt-4o-mini-2024-07-18",
        "sess_0123456789abcdef-7",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    """Names, counts and addresses of everyday."""
    assert redacted(text) == text


def test_what_json_holds_is_cleaned() -> None:
    """Texts in lists and dicts, and what has the name of a secret; two keys stay two."""
    one, two = "sk-0123456789abcdefgh", "sk-abcdefgh0123456789"
    given: dict[Any, Any] = {
        "list": (one, 1, None, True, float("nan")),
        "Password": "x",
        "token": 3,
        one: 1,
        two: 2,
    }
    assert redacted(given) == {
        "list": ["[redacted]", 1, None, True, None],
        "Password": "[redacted]",
        "token": 3,
        "[redacted]": 1,
        "[redacted] 4": 2,
    }


def test_what_json_cannot_hold_is_cleaned_as_its_text() -> None:
    """Such as an address that is an object: it says no more than its text does."""
    address = PurePosixPath("/var/sk-ant-api03-0123456789abcdef/x")
    assert redacted({"where": address, "spent": Decimal("0.5")}) == {
        "where": "/var/[redacted]/x",
        "spent": "0.5",
    }


def test_short_texts_without_secrets_are_known_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few of them, and never one that has a secret in it."""
    known: set[str] = set()
    monkeypatch.setattr(redaction, "_clean", known)
    monkeypatch.setattr(redaction, "_MOST", 2)
    for text in ("one", "two", "two", "password=hush", "x" * 65):
        redacted(text)
    assert known == {"one", "two"}
    redacted("three")
    assert known == {"three"}


def test_a_log_record_has_no_secret() -> None:
    """Neither in its text nor in the traceback of somebody else's exception."""
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    try:
        try:
            raise ValueError("api_key=hush")
        except ValueError:
            logger.exception("no answer from %s", "https://me:hush@example.com")
    finally:
        logger.removeHandler(handler)
    assert said.getvalue().startswith("no answer from https://me:[redacted]@example.com\nTraceback")
    assert "ValueError: api_key=[redacted]" in said.getvalue() and "hush" not in said.getvalue()


def test_an_error_has_no_secret() -> None:
    """Nor has what is printed of it, whoever wrote its message."""
    error = BursarError("no access with token=hush")
    assert "hush" not in "".join(traceback.format_exception(error)) and str(error).endswith(
        "token=[redacted]"
    )
    for name in ("token=hush\n", "token=hush " + "x" * 200):
        with pytest.raises(ValueError, match="redacted") as wrong:
            Budget("$1", name=name)
        assert "hush" not in str(wrong.value)
    session = Budget("$1").session(id="sk-0123456789abcdefgh")
    with pytest.raises(BudgetExceeded) as refused:
        session.reserve(cost="$2")
    assert "0123456789" not in f"{refused.value}{session!r}{session.report()}"
    assert session.id == "sk-0123456789abcdefgh"  # the program's own name stays what it is
