"""Paths that requests are sent to, and who bills."""

from __future__ import annotations

import pytest

from bursar.sdk import Paths, biller

PATHS = Paths(
    [
        ("things/*/look", "free", None),
        ("things/**", "unbounded", "other"),
        ("stock/**", "free", None),
        ("things", "free", None),
    ],
    free="free",
    unbounded="unbounded",
)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/things/5/look", "free"),
        ("v1/things/5", "unbounded"),
        ("/v1/things/", "unbounded"),
        ("/v1/stock", "free"),
        ("/v1/stock/a/b", "free"),
        ("/stock/things/a", "unbounded"),
        ("/v1/thing", None),
        ("/v1/stock/../things", None),
        ("", None),
    ],
)
def test_the_first_rule_that_fits_counts(path: str, kind: str | None) -> None:
    """Whatever stands before it; and what is paid for counts before what is free."""
    found = PATHS.find(path)
    assert (found and found[0]) == kind
    assert kind != "unbounded" or found == ("unbounded", "other")


@pytest.mark.parametrize("method", ["GET", "head", "Delete", "OPTIONS"])
def test_a_request_that_only_reads_is_free(method: str) -> None:
    """Wherever it goes, as no model runs."""
    assert PATHS.billed(method, "/v1/things/5") == ("free", None)


@pytest.mark.parametrize(
    ("path", "billed"), [("/v1/stock", ("free", None)), ("/v1/ore", ("unbounded", "other"))]
)
def test_a_request_to_an_unknown_path_is_unbounded(path: str, billed: tuple[str, str | None]) -> None:
    """What nobody has looked at may cost anything; what is known is billed as such."""
    assert PATHS.billed("POST", path) == billed


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("api.openai.com", "openai"),
        ("me:secret@api.Anthropic.com:443", "anthropic"),
        ("bedrock-runtime.us-east-1.amazonaws.com", "bedrock"),
        ("us-east5-aiplatform.googleapis.com", "vertex"),
        ("aiplatform.googleapis.com", "vertex"),
        ("notanthropic.com", None),
        ("127.0.0.1:80", None),
        ("", None),
    ],
)
def test_the_host_says_who_bills(host: str, provider: str | None) -> None:
    """By the end of its name, whatever the case, the port and the user."""
    assert biller(host) == provider
