"""A store that nobody uses any more closes its connections, without a warning about what was left open."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
from typing import Any

import pytest

from bursar.store.redis import RedisStore, open_redis

from ...garbage import Witness
from ...servers import shared_url


def opened() -> tuple[RedisStore, Any]:
    """A store that has spoken with its server, and the connection that it did that over."""
    store = open_redis(shared_url())
    store.read("default")
    (client,) = store._clients._blocking.values()
    (connection,) = client.connection_pool._available_connections
    return store, connection


def test_dropped_store_disconnects_before_the_garbage_collector_finds_its_socket() -> None:
    """In a ring of garbage, too, where anything may come first."""
    witness = Witness()
    store, connection = opened()
    saw = witness.of(store, connection._sock.fileno)
    del store, connection, witness
    gc.collect()
    assert saw == [-1]


def test_dropped_store_is_disconnected_by_the_loop_that_it_was_used_in() -> None:
    """The loop goes on, and no connection of the store is left in it."""

    async def use() -> None:
        store = open_redis(shared_url())
        await store.acall("read", "default")
        (clients,) = store._clients._by_loop.values()
        (client,) = clients.values()
        (connection,) = client.connection_pool._available_connections
        transport = connection._writer.transport
        store.itself = store  # type: ignore[attr-defined]
        del store, clients, client, connection
        gc.collect()
        await asyncio.sleep(0)  # the loop hears of it
        await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()}, timeout=30)
        assert transport.is_closing()

    asyncio.run(use())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_store_dropped_in_a_forked_child_goes_on_in_its_parent() -> None:
    """The child closes its copy of the socket, and does not end the connection."""
    store, connection = opened()
    descriptor = connection._sock.fileno()
    child = os.fork()
    if not child:
        del store, connection
        gc.collect()
        try:
            os.fstat(descriptor)
        except OSError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    store.read("default")
    assert connection._sock.fileno() == descriptor


@pytest.mark.parametrize("last", ["", "store.itself = store", "import sys; sys.modules['kept'] = store"])
def test_store_that_is_open_at_exit_warns_of_nothing(last: str) -> None:
    """Whatever still refers to it, the interpreter ends without a word."""
    program = f"""
from bursar.store.redis import open_redis
store = open_redis({shared_url()!r})
store.read("default")
{last}
"""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
