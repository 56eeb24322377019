"""`wrap_client`, `unwrap_client` and stores by URL: what a plugin opens and covers."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from bursar import (
    Budget,
    BursarError,
    Session,
    StoreError,
    StoreUnavailable,
    hookimpl,
    list_plugins,
    unwrap_client,
    wrap_client,
)
from bursar.store.memory import MemoryStore
from bursar.testing import ScriptedProvider

from .agents import Recorder, send

SECRET = "sk-secret"


class Client:
    """A client of an SDK that nobody has heard of, over real HTTP."""

    def __init__(self, provider: ScriptedProvider) -> None:
        self.provider = provider

    def ask(self, max_tokens: int = 100) -> dict[str, Any]:
        return send(self.provider, "gpt-4o", max_tokens)


class Covered(Client):
    """The same under a budget."""

    def __init__(self, plain: Client, session: Session) -> None:
        super().__init__(plain.provider)
        self.plain, self.session = plain, session

    def ask(self, max_tokens: int = 100) -> dict[str, Any]:
        with self.session.reserve("gpt-4o", input_tokens=100, max_output_tokens=max_tokens) as hold:
            answer = super().ask(hold.max_output_tokens or 0)
            hold.settle(answer)
        return answer

    def __bursar_unwrap__(self) -> Client:
        return self.plain


class Covering:
    """A plugin for that SDK."""

    @hookimpl
    def bursar_wrap_client(self, client: Any, session: Session) -> Client | None:
        return Covered(client, session) if isinstance(client, Client) else None


class Failing:
    """A plugin that does something else."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act = act

    @hookimpl
    def bursar_wrap_client(self, client: Any, session: Session) -> Any:
        return self.act()

    @hookimpl
    def bursar_open_store(self, url: str) -> Any:
        return self.act()


def raising(error: BaseException) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail


def test_bursar_wrap_client_covers_one_client() -> None:
    """The client that comes back charges its session, and no other one does; unwrapped it is itself again."""
    with ScriptedProvider() as provider:
        session, plain = Budget("$1", plugins=[Covering()]).session(), Client(provider)
        client = wrap_client(plain, session)
        client.ask()
        client.ask()
        assert session.spent == provider.bill and provider.hits == 2
        assert unwrap_client(client) is plain
        plain.ask()
        assert session.spent < provider.bill and provider.hits == 3


@pytest.mark.parametrize("limit", [1, "$1", "budget"])
def test_wrap_client_takes_what_integrations_take(limit: Any) -> None:
    """A budget makes a session of its own; a bare limit has the installed plugins only."""
    recorder = Recorder()
    with ScriptedProvider() as provider:
        if limit != "budget":
            with pytest.raises(TypeError, match="no plugin covers"):
                wrap_client(Client(provider), limit)
            return
        budget = Budget("$1", plugins=[Covering(), recorder], alerts="inline")
        wrap_client(Client(provider), budget).ask()
        assert budget.spent == provider.bill > 0
    assert len(recorder.of("session_opened")) == 1


def alien(module: str) -> Any:
    """A client whose class says that it comes from there; of a class of the user's own."""
    base = type("Client", (), {"__module__": module, "__repr__": lambda _: SECRET})
    return type("MyClient", (base,), {"__module__": "my.code"})()


@pytest.mark.parametrize(
    ("client", "says"),
    [
        (alien("openai._client"), "pip install bursar-openai"),
        (alien("anthropic"), "pip install bursar-anthropic"),
        (alien("openai_but_not"), "no plugin covers a client of the type MyClient"),
        (object(), "no plugin covers a client of the type object"),
        (None, "no plugin covers a client of the type NoneType"),
    ],
)
def test_a_client_that_no_plugin_covers_is_a_type_error(client: Any, says: str) -> None:
    """It says what to install where there is something, and does not pass an uncovered client for a covered one."""
    session = Budget("$1", plugins=[Covering()]).session()
    with pytest.raises(TypeError) as error:
        wrap_client(client, session)
    assert says in str(error.value) and SECRET not in str(error.value)
    assert ("pip install" in str(error.value)) == ("pip install" in says)


def test_a_bursar_wrap_client_that_fails_is_an_error() -> None:
    """Whatever it raises: the client is not passed for covered. An error of ours goes through as it is."""
    ours = BursarError("no realtime, please")
    for act, says, counted in [
        (raising(KeyError(SECRET)), "the client was not covered: the plugin 'Failing' failed", 1),
        (raising(SystemExit()), "SystemExit", 1),
        (raising(ours), "no realtime, please", 0),
    ]:
        budget = Budget("$1", plugins=[Failing(act)])
        with pytest.raises(BursarError) as error:
            wrap_client(object(), budget.session())
        assert says in str(error.value) and SECRET not in str(error.value)
        assert sum(list_plugins(budget)[0].failures.values()) == counted


@pytest.mark.parametrize("client", [object(), None, Budget("$1"), type("C", (), {"__bursar_unwrap__": 5})()])
def test_what_was_not_wrapped_cannot_be_unwrapped(client: Any) -> None:
    """A `TypeError`, and not the client as if it were plain now."""
    with pytest.raises(TypeError, match="not wrapped"):
        unwrap_client(client)


# -- stores by URL --------------------------------------------------------------------------------------


class Opening:
    """A plugin that opens a store of its own scheme."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.urls: list[str] = []

    @hookimpl
    def bursar_open_store(self, url: str) -> MemoryStore | None:
        self.urls.append(url)
        return self.store if url.startswith("house://") else None


def test_bursar_open_store_opens_a_url() -> None:
    """The budget keeps its balances there, and two budgets of one URL share them."""
    plugin = Opening()
    first, second = (Budget("$1", store="house://u:p@db/1", plugins=[plugin]) for _ in range(2))
    with ScriptedProvider() as provider:
        Covered(Client(provider), first.session()).ask()
        assert second.spent == provider.bill > 0
    assert plugin.urls == ["house://u:p@db/1"] * 2 and plugin.store.audit("default") == ()


@pytest.mark.parametrize("url", [f"mysql://user:{SECRET}@host", ""])
def test_a_url_that_no_plugin_opens_is_refused(url: str) -> None:
    """By its scheme: the rest of it may be a password. Without a URL the balances are in memory."""
    with pytest.raises(ValueError, match="store=.* is opened by no plugin") as error:
        Budget("$1", store=url, plugins=[Opening()])
    assert SECRET not in str(error.value)
    assert Budget("$1", plugins=[Opening()]).spent == Decimal(0)


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (raising(OSError(SECRET)), StoreError),
        (raising(StoreUnavailable("down for a minute")), StoreUnavailable),
        (lambda: "a store", StoreError),
        (lambda: MemoryStore, StoreError),
    ],
)
def test_a_bursar_open_store_that_fails_makes_no_budget(
    act: Callable[[], Any], kind: type[StoreError]
) -> None:
    """Whatever it raises or returns: there are no balances in memory instead."""
    with pytest.raises(kind) as error:
        Budget("$1", store="house://db", plugins=[Failing(act)])
    assert type(error.value) is kind and SECRET not in str(error.value)


# -- patching ------------------------------------------------------------------------------------------


def test_bursar_patch_and_bursar_unpatch_are_hooks() -> None:
    """A plugin that covers a whole SDK is one with these two."""

    class Patching:
        """Covers an SDK."""

        @hookimpl
        def bursar_patch(self) -> None: ...

        @hookimpl
        def bursar_unpatch(self) -> None: ...

    budget = Budget("$1", plugins=[Patching()])
    assert list_plugins(budget)[0].hooks == ("bursar_patch", "bursar_unpatch")
