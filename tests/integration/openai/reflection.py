"""Walks the installed SDK: calls each public method of each resource, and notes what it sends.

Nothing here knows a path or a resource by name: the SDK is asked what there is, and every method
is called with made-up arguments, on a client whose transport notes the requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import openai
import openai.resources
from openai._resource import AsyncAPIResource, SyncAPIResource

httpx: Any = importlib.import_module(
    openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]
)  # or its successor

_BYTES = ("file", "image", "mask", "video", "audio_sample", "recording", "data")
_USUAL = ("input", "model", "filename", "bytes", "poll_interval", "poll_interval_ms")
_ANSWER = {
    "id": "id_1", "object": "list", "status": "completed", "data": [], "usage": None, "choices": [], "output": [],
    "has_more": False, "bytes": 1, "part_size": 1, "url": "http://127.0.0.1/x", "output_parsed": None,
}  # fmt: skip


class Enough(BaseException):
    """More requests than any method has to make of its own accord."""


class Noting(httpx.BaseTransport, httpx.AsyncBaseTransport):  # type: ignore[misc]
    """Answers everything, and notes what it was."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def handle_request(self, request: Any) -> Any:
        if len(self.seen) == 6:
            raise Enough
        self.seen.append((request.method, request.url.path))
        return httpx.Response(200, json=_ANSWER)

    async def handle_async_request(self, request: Any) -> Any:
        return self.handle_request(request)


class Sent(NamedTuple):
    """What became of a call.

    Attributes:
        requests: HTTP methods and paths, in their order.
        error: what it raised, or None.
        socket: True where it opens no request, but a WebSocket.
    """

    requests: list[tuple[str, str]]
    error: BaseException | None
    socket: bool = False


def resources() -> Iterator[type]:
    """Every resource class of the installed SDK."""
    for module in pkgutil.walk_packages(openai.resources.__path__, "openai.resources."):
        importlib.import_module(module.name)
    found = [SyncAPIResource, AsyncAPIResource]
    for cls in found:
        found += cls.__subclasses__()
        yield cls


def methods() -> Iterator[tuple[type, str]]:
    """Every public method of every resource, by the class that has it."""
    for cls in resources():
        for name, method in vars(cls).items():
            if not name.startswith("_") and inspect.isfunction(method):
                yield cls, name


class Connecting(Exception):
    """A WebSocket would be opened now."""


class Walker:
    """Calls methods of resources, on one client of each kind that somebody may have covered.

    Used in a `with`, at whose end both are closed.
    """

    def __init__(self, cover: Callable[[Any], Any] = lambda client: client) -> None:
        self.transport = Noting()
        settings: dict[str, Any] = {"api_key": "none", "max_retries": 0, "base_url": "http://127.0.0.1/v1"}
        for name in ("admin_api_key", "webhook_secret"):
            if name in inspect.signature(openai.OpenAI).parameters:
                settings[name] = "none"
        here = {"transport": self.transport, "verify": False}
        self.client = cover(openai.OpenAI(http_client=httpx.Client(**here), **settings))
        self.aclient = cover(openai.AsyncOpenAI(http_client=httpx.AsyncClient(**here), **settings))
        self.loop = asyncio.new_event_loop()

    def __enter__(self) -> Walker:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.loop.run_until_complete(self.aclient.close())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def call(self, cls: type, name: str) -> Sent:
        """What becomes of a method that is called with made-up arguments."""
        self.transport.seen = []
        asynchronous = issubclass(cls, AsyncAPIResource)
        method = getattr(cls(self.aclient if asynchronous else self.client), name)
        error: BaseException | None = None
        for names in (frozenset(), _wanted):
            try:
                arguments = _arguments(method, names(error) if callable(names) else names)
                if asynchronous:
                    self.loop.run_until_complete(_awaited(method, arguments))
                else:
                    _taken(method, arguments)
            except Connecting:
                return Sent(self.transport.seen, None, socket=True)
            except (Exception, Enough) as failed:
                error = failed
            if error is None or not _wanted(error):
                break
        return Sent(self.transport.seen, error)


def _wanted(error: BaseException | None) -> frozenset[str]:
    """The arguments that one of several forms of a method needs: ``Expected either ('id' and 'path') or ...``."""
    first = re.match(r"Missing required arguments; Expected either \(?([^()]*)", str(error))
    return frozenset(re.findall(r"'(\w+)'", first[1])) if first else frozenset()


def _taken(method: Callable[..., Any], arguments: dict[str, Any]) -> None:
    answer = method(**arguments)
    if "ConnectionManager" in type(answer).__name__:
        try:
            answer.__enter__()
        except OSError as error:  # nobody listens
            raise Connecting from error
    if hasattr(answer, "__enter__"):
        with answer as opened, contextlib.suppress(TypeError):
            list(opened)


async def _awaited(method: Callable[..., Any], arguments: dict[str, Any]) -> None:
    answer = method(**arguments)
    if "ConnectionManager" in type(answer).__name__:
        try:
            await answer.__aenter__()
        except OSError as error:
            raise Connecting from error
    if inspect.isawaitable(answer):
        answer = await answer
    if hasattr(answer, "__aenter__"):
        async with answer as opened:
            with contextlib.suppress(TypeError):
                _ = [event async for event in opened]


def _arguments(method: Callable[..., Any], also: frozenset[str]) -> dict[str, Any]:
    """Something for each argument that has to be given, and for those that make a request a usual one."""
    return {
        name: _made_up(name, str(parameter.annotation))
        for name, parameter in inspect.signature(method).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and (parameter.default is parameter.empty or name in also or name in _USUAL)
    }


def _made_up(name: str, annotation: str) -> Any:
    if name in ("messages", "input") and "Iterable" in annotation:
        return [{"role": "user", "content": "sky"}]
    if name == "files":
        return [b"RIFF"]
    if name in ("bytes", "poll_interval_ms"):
        return 4
    if name == "poll_interval":
        return 0.001
    if name in _BYTES or "FileTypes" in annotation:
        return b"RIFF"
    if annotation.startswith(("Iterable", "List", "SequenceNotStr", "list")):
        return [{}]
    if annotation in ("int", "float"):
        return 1
    return {} if annotation.startswith(("Dict", "dict")) else "gpt-4o" if name == "model" else "word_1"
