"""What a URL of a Redis says, and what it must not give away."""

from __future__ import annotations

import sys

import pytest

from bursar import Budget, StoreError
from bursar.errors import InvalidAmount
from bursar.store.redis import RedisStore, open_redis
from bursar.store.redis.encode import amount, limit_text, parse_limit, parse_subject, subject_text
from bursar.store.redis.requests import Requests
from bursar.store.redis.url import Node, parse_url
from bursar.store.rollback import Seen
from bursar.store.urls import open_store
from bursar.testing import ManualClock
from bursar.values.call import Subject
from bursar.values.limits import Limit

SECRET = "hunter2-is-a-canary"


FILE = __file__  # one that exists


@pytest.mark.parametrize(
    ("url", "shown", "timeout_s"),
    [
        ("redis://", "redis://localhost:6379/0", 2),
        (f"redis://user:{SECRET}@db:7000/3?timeout=0.5", "redis://db:7000/3", 0.5),
        (f"rediss://:{SECRET}@db?timeout=5s&ledger=abc&ca={FILE}", "rediss://db:6379/0", 5),
        (f"redis://user:{SECRET}@[::1]:7000", "redis://[::1]:7000/0", 2),
        (f"unix://user:{SECRET}@/run/redis.sock?db=2&prefix=a b", "unix:///run/redis.sock", 2),
        (f"redis+cluster://:{SECRET}@a:1,b,[::1]:3", "redis+cluster://a:1,b:6379,[::1]:3/", 2),
        (f"redis+sentinel://:{SECRET}@a:1,b/name", "redis+sentinel://a:1,b:26379/name/0", 2),
        (f"rediss+sentinel://u:{SECRET}@a/my%20name/3", "rediss+sentinel://a:26379/my name/3", 2),
    ],
)
def test_a_url_names_a_place(url: str, shown: str, timeout_s: float) -> None:
    """Hosts, database, time and pin are read; the password is in no text of it."""
    place = parse_url(url)
    assert (place.where, place.timeout_s) == (shown, timeout_s)
    assert SECRET not in f"{place!r} {open_redis(url)!r}"
    assert place.options["password"] == (SECRET if SECRET in url else None)


def test_a_url_says_what_its_options_are() -> None:
    """Each goes where it belongs."""
    place = parse_url(f"rediss://db/1?ledger=abc&ca={FILE}&cert={FILE}&key={FILE}&prefix=a:{{b}}&spool=/s/p")
    assert (place.ledger, place.prefix, place.options["db"]) == ("abc", "a%3A%7Bb%7D", 1)
    assert [place.options[f"ssl_{name}"] for name in ("ca_certs", "certfile", "keyfile")] == [FILE] * 3
    assert (place.options["ssl_cert_reqs"], place.options["ssl_check_hostname"]) == ("required", True)
    assert (place.spool, place.tls, place.kind) == ("/s/p", True, "")
    unix = parse_url("unix:///s?db=2")
    assert (unix.nodes, unix.options) == ((Node("/s", 0),), {"username": None, "password": None, "db": 2})
    watched = parse_url(
        f"redis+sentinel://u:{SECRET}1@a:1,b:2/name/3?sentinel_user=w&sentinel_password={SECRET}2"
    )
    assert watched.nodes == (Node("a", 1, sentinel=True), Node("b", 2, sentinel=True))
    assert (watched.service, watched.kind) == ("name", "sentinel")
    assert watched.options == {"username": "u", "password": f"{SECRET}1", "db": 3}
    assert watched.sentinel_options == {"username": "w", "password": f"{SECRET}2"}


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://host", "not one of redis, rediss, unix"),
        ("redis+clutser://host", "not one of redis, rediss, unix"),
        ("redis://host:port", "not a URL"),
        ("redis://[::1", "not a URL"),
        ("redis://host:70000", "not a URL"),
        ("redis://host/zero", "not a number"),
        ("redis://host/٣", "not a number"),
        ("redis://host/0/1", "more than a database"),
        ("unix://", "no socket"),
        ("redis://host?spool=", "without a file"),
        ("redis://host?spool=/a/folder/", "without a file"),
        ("redis://host?tiemout=2", "no option"),
        ("redis://host?timeout=0", "timeout"),
        ("redis://host?timeout=never", "timeout"),
        ("redis://host?timeout=nan", "timeout"),
        ("redis://host?ca=/ca.pem", "only rediss://"),
        ("rediss://host?ca=/no/such/file", "is no file"),
        ("redis://host?prefix=", "prefix"),
        ("redis://host#0", "URL"),
        ("redis://a,b", r"several hosts; write redis\+cluster://"),
        ("redis+cluster://a,", "no name"),
        ("redis+cluster://a/1", "none but 0"),
        ("redis+sentinel://a", "no master"),
        ("redis+cluster://a?sentinel_user=u", "only redis"),
    ],
)
def test_a_url_that_names_none_is_refused(url: str, why: str) -> None:
    """With a word about what is wrong, and without the password."""
    url = url.replace("://", f"://u:{SECRET}@", 1)
    with pytest.raises(ValueError, match=why) as error:
        parse_url(url)
    assert SECRET not in str(error.value)


def test_settings_open_the_url_and_hand_the_clock_on() -> None:
    """No connection is made before the store is first asked."""
    budget = Budget("$1", store="redis://127.0.0.1:1", clock=ManualClock(1000))
    store = budget._ledger.store
    assert isinstance(store, RedisStore) and store._exchanges.now_ms() == 1_000_000
    assert open_store("house://db", None) is None


def test_a_missing_client_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the extra to install."""
    for module in [name for name in sys.modules if name.startswith("bursar.store.redis")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ValueError, match=r"pip install 'bursar\[redis\]'"):
        Budget("$1", store="redis://127.0.0.1:1")


@pytest.mark.parametrize(
    "limit",
    [
        Limit("$4500000/total"),
        Limit("$0"),
        Limit("2.5M tokens/90s", model="a;b|c d", provider="é,="),
        Limit("7 calls/month", tool="*").in_zone("Europe/Oslo"),
        Limit("0.000000001/24h", tool="\ud7ff\U0001f600%2A"),
    ],
    ids=str,
)
def test_a_limit_is_stored_and_read_back(limit: Limit) -> None:
    """With everything that makes it this limit, in signs that separate nothing else."""
    text = limit_text(limit)
    assert parse_limit(text) == limit and str(parse_limit(text)) == str(limit)
    assert text.isascii() and not set(text) & set(" |\n\t{}*")


@pytest.mark.parametrize(
    "subject",
    [Subject("model", ("gpt,4;o", "b"), "p|q"), Subject("tool", (), None, "*"), Subject("correction")],
)
def test_a_subject_is_stored_and_read_back(subject: Subject) -> None:
    """Likewise."""
    assert parse_subject(subject_text(subject)) == subject


@pytest.mark.parametrize("wrong", [2**52 + 1, -(2**52) - 1, True, 1.0, None])
def test_an_amount_is_a_whole_number_that_a_script_compares_exactly(wrong: object) -> None:
    """Nothing else is sent."""
    with pytest.raises(InvalidAmount):
        amount(wrong)  # type: ignore[arg-type]
    assert amount(2**52) == "4503599627370496"


def test_what_was_seen_only_grows() -> None:
    """Answers to several threads arrive in any order; an accepted loss begins anew."""
    known = Seen("a", 5, 0)
    assert known.after(Seen("a", 4, 0)) == known and known.after(Seen("a", 6, 0)).seq == 6
    assert known.after(Seen("b", 1, 9)) == Seen("b", 1, 9) and Seen().after(known) == known


@pytest.mark.parametrize("verb", ["sessions", "holds", "read", "history"])
def test_a_page_that_is_an_error_is_raised(verb: str) -> None:
    """What the script answers in place of a page is no page."""
    more = (("default",), 30) if verb == "history" else ()
    request = getattr(Requests("bursar", lambda: 0), verb)("default", *more)
    with pytest.raises(StoreError):
        request.read(["unfit", "x"], 0)
