"""Where a request goes next: told by what servers answered before, and never for longer than the timeout."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from redis import exceptions
from redis.crc import key_slot

from bursar import StoreUnavailable
from bursar.store.redis.exchange import Exchanges, Unanswered
from bursar.store.redis.refusals import code_of, failure
from bursar.store.redis.routes import Command
from bursar.store.redis.url import Node, parse_url

A, B, C = (Node("a", port) for port in (1, 2, 3))
KEY = "bursar:{default}:meta"
WORDS = ("GET", KEY)
_SLOT = key_slot(KEY.encode())
Answer = Any  # what a server says, or the error that redis-py makes of it


def play(
    url: str,
    answer: Callable[[Command], Answer],
    exchanges: Exchanges | None = None,
    now: list[float] | None = None,
) -> Any:
    """Carry out one request against servers that answer so; waiting takes time on this clock only."""
    exchange = (exchanges or Exchanges(parse_url(url), None)).send(WORDS, None, KEY)
    try:
        wanted = next(exchange)
        while True:
            if isinstance(wanted, float):
                if now is not None:
                    now[0] += wanted
                wanted = exchange.send(None)
                continue
            said = answer(wanted)
            wanted = exchange.throw(said) if isinstance(said, Exception) else exchange.send(said)
    except StopIteration as done:
        return done.value


class Servers:
    """Answers by node, in order; the last one for good. Remembers who was asked."""

    def __init__(self, **answers: list[Answer]) -> None:
        self.answers = answers
        self.asked: list[Command] = []

    def __call__(self, command: Command) -> Answer:
        self.asked.append(command)
        left = self.answers[f"{command.node.host}{command.node.port}"]
        return left.pop(0) if len(left) > 1 else left[0]

    def nodes(self) -> list[int]:
        """The ports, in order."""
        return [command.node.port for command in self.asked]


def moved(port: int, kind: str = "MOVED", host: str = "a") -> Exception:
    """Told so, in the words of servers and of any redis-py."""
    if kind == "text":
        return exceptions.ResponseError(f"MOVED {_SLOT} {host}:{port}")
    error = exceptions.MovedError if kind == "MOVED" else exceptions.AskError
    return error(f"{_SLOT} {host}:{port}")


@pytest.mark.parametrize("kind", ["MOVED", "text"])
@pytest.mark.parametrize("host", ["a", ""])
def test_a_cluster_is_believed_about_who_owns_a_slot(kind: str, host: str) -> None:
    """At once, also where it leaves out its own host; the next request goes straight there."""
    exchanges = Exchanges(parse_url("redis+cluster://a:1,a:2"), None)
    servers = Servers(a1=[moved(3, kind, host)], a3=["yes"])
    assert play("", servers, exchanges) == "yes" and servers.nodes() == [1, 3]
    assert play("", servers, exchanges) == "yes" and servers.nodes() == [1, 3, 3]


def test_a_slot_that_moves_is_asked_for_without_being_believed() -> None:
    """Only this request goes to the other one, with the word that it wants to hear."""
    exchanges = Exchanges(parse_url("redis+cluster://a:1"), None)
    for error in (moved(2, "ASK"), exceptions.ResponseError("ASK 77 a:2")):
        servers = Servers(a1=[error], a2=["yes"])
        assert play("", servers, exchanges) == "yes"
        assert servers.asked == [Command(A, WORDS), Command(B, WORDS, asking=True)]


def test_members_that_point_at_each_other_are_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not asked as fast as they answer, and no longer than the timeout."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    asked = []

    def answer(command: Command) -> Exception:
        now[0] += 0.05
        asked.append(command.node)
        return exceptions.MovedError(f"77 a:{3 - command.node.port}")

    with pytest.raises(StoreUnavailable, match="moves these keys"):
        play("redis+cluster://a:1,a:2?timeout=2", answer, now=now)
    assert 10 < len(asked) < 40 and now[0] < 2


@pytest.mark.parametrize("code", ["CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS"])
def test_what_a_cluster_may_get_over_is_tried_again(code: str) -> None:
    """At another member where the owner says so; it was not carried out."""
    kinds = {"CLUSTERDOWN": exceptions.ClusterDownError, "TRYAGAIN": exceptions.TryAgainError}
    error = kinds.get(code, exceptions.ResponseError)(f"{code} for now")
    servers = Servers(a1=[error], a2=["yes"])
    assert play("redis+cluster://a:1,a:2", servers) == "yes" and servers.nodes() == [1, 2]
    with pytest.raises(StoreUnavailable) as raised:
        play("redis+cluster://a:1?timeout=0.05", Servers(a1=[error]))
    assert not isinstance(raised.value, Unanswered)


def test_an_owner_that_is_gone_is_forgotten() -> None:
    """The others know who has taken over."""
    exchanges = Exchanges(parse_url("redis+cluster://a:1,a:2"), None)
    assert play("", Servers(a1=[moved(3)], a3=["yes"]), exchanges) == "yes"
    gone = exceptions.ConnectionError("Error 111 connecting to a:3.")
    servers = Servers(a3=[gone], a2=[moved(1)], a1=["yes"])
    exchanges.routes._owners = dict.fromkeys(range(16384), C)  # type: ignore[attr-defined]
    assert play("", servers, exchanges) == "yes" and servers.nodes() == [3, 2, 1]


def test_sentinels_are_asked_in_turn_and_the_one_that_answers_first_next_time() -> None:
    """One that is down, one that does not know, one that does; then only the master, until that fails."""
    gone = exceptions.ConnectionError("Error 111 connecting to a:1.")
    exchanges = Exchanges(parse_url("redis+sentinel://a:1,a:2,a:3/name"), None)
    master = Servers(a1=[gone], a2=[None], a3=[["m", "9"]], m9=["yes"])
    assert play("", master, exchanges) == "yes" and master.nodes() == [1, 2, 3, 9]
    assert play("", master, exchanges) == "yes" and master.nodes() == [1, 2, 3, 9, 9]
    stale = exceptions.ReadOnlyError("You can't write against a read only replica.")
    other = Servers(m9=[stale], a3=[["n", "8"]], n8=["yes"])
    assert play("", other, exchanges) == "yes" and other.nodes() == [9, 3, 8]


def test_what_was_answered_says_more_than_that_there_was_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is the last one of a server."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def answer(command: Command) -> Answer:
        now[0] += 0.3
        return ["m", "9"] if command.node.sentinel else exceptions.ResponseError("NOREPLICAS no good")

    with pytest.raises(StoreUnavailable, match="too few replicas"):
        play("redis+sentinel://a:1/name?timeout=2", answer, now=now)
    assert now[0] <= 2
    now[0] = 0.0

    def slow(command: Command) -> Answer:
        now[0] += 2
        return exceptions.TimeoutError("Timeout")

    with pytest.raises(StoreUnavailable, match="did not answer"):
        play("redis+sentinel://a:1,a:2/name?timeout=2", slow, now=now)


def test_one_server_is_not_replaced() -> None:
    """What it refuses is refused, and where it says the key is nobody is asked."""
    for error in (exceptions.ReadOnlyError("no"), moved(2)):
        servers = Servers(a1=[error])
        with pytest.raises(StoreUnavailable):
            play("redis://a:1", servers)
        assert servers.nodes() == [1]


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), "OOM", "memory"),
        (exceptions.ReadOnlyError("You can't write"), "READONLY", "replica"),
        (exceptions.MasterDownError("Link with MASTER is down"), "MASTERDOWN", "its master"),
        (exceptions.BusyLoadingError("Redis is loading"), "LOADING", "loading"),
        (exceptions.MovedError("77 a:1"), "MOVED", "redis+cluster://"),
        (exceptions.ResponseError("MOVED 77 a:1"), "MOVED", "redis+cluster://"),
        (exceptions.NoPermissionError("this user"), "NOPERM", "rights"),
        (exceptions.ResponseError("can't run this command or subcommand"), "NOPERM", "rights"),
        (exceptions.ResponseError("User a has no permissions to run the 'x' command"), "NOPERM", "rights"),
        (exceptions.ResponseError("@user_script: 9: -OOM command not allowed"), "OOM", "memory"),
        (exceptions.AuthenticationError("invalid username-password pair"), "", "password"),
        (exceptions.TimeoutError("Timeout reading"), "", "within 2 s"),
        (
            exceptions.ConnectionError("[SSL: CERTIFICATE_VERIFY_FAILED] nope"),
            "",
            "CERTIFICATE_VERIFY_FAILED",
        ),
        (exceptions.ConnectionError("certificate is not for this host"), "", "not trusted"),
        (exceptions.ConnectionError("Connection refused"), "", "cannot be reached"),
        (exceptions.ResponseError("I am a teapot"), "", "teapot"),
    ],
)
def test_each_refusal_has_its_words(error: Exception, code: str, said: str) -> None:
    """By the class of redis-py or by the text, in every version of a server."""
    assert code_of(error) == code
    assert said in str(failure(error, "redis://here", 2))
