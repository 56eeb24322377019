"""The hooks of an integration import its SDK when somebody has a client, and not before."""

from __future__ import annotations

import pytest

from bursar import Budget, list_plugins, unwrap_client, wrap_client
from bursar.sdk import ClientHooks

from .sdk import Client

MINIATURE = Client.__module__  # is an SDK, and has the patching that covers it
HOOKS = ("bursar_patch", "bursar_unpatch", "bursar_wrap_client")


def test_a_client_of_the_sdk_is_wrapped_and_others_are_left() -> None:
    """By the patching of the adapter, through the hook of a budget's own plugin."""
    session = Budget("$1", plugins=[ClientHooks(MINIATURE, adapter=MINIATURE)]).session()
    client = Client()
    assert wrap_client(client, session) is client and type(client) is not Client
    assert unwrap_client(client) is client and type(client) is Client
    with pytest.raises(TypeError, match="object"):
        wrap_client(object(), session)
    assert sorted(list_plugins(session)[0].hooks) == list(HOOKS)


def test_the_process_is_covered_and_restored() -> None:
    """`bursar_patch` names the SDK that it covers; `bursar_unpatch` undoes it."""
    hooks, bare = ClientHooks(MINIATURE, adapter=MINIATURE), Client.request
    assert hooks.bursar_patch() == MINIATURE
    assert Client.request is not bare
    hooks.bursar_unpatch()
    assert Client.request is bare


def test_an_sdk_that_is_not_there_is_not_imported() -> None:
    """Not installed it is not covered; installed and not imported nobody can have a client of it."""
    missing = ClientHooks("no_such_sdk", adapter="no_such_adapter")
    assert missing.bursar_patch() is None
    missing.bursar_unpatch()
    assert missing.bursar_wrap_client(Client(), Budget("$1").session()) is None
    client = type("Client", (), {"__module__": "no_such_sdk._client"})()
    with pytest.raises(ModuleNotFoundError, match="no_such_adapter"):
        missing.bursar_wrap_client(client, Budget("$1").session())
