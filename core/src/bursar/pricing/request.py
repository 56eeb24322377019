"""`CallRequest`: the checked arguments of a reserve."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from ..runtime.fast_init import new_tuple
from ..values.money import Money, shown, to_nanos
from ..values.names import check_name
from ..values.usage import MAX_TOKENS
from .book import check_tier


class _Arguments(NamedTuple):
    """The fields of a `CallRequest`; `checked` compares those from `tier` on at once: few calls give them."""

    model: str | None = None
    provider: str | None = None
    input_tokens: int | None = None
    messages: Iterable[Any] | str | None = None
    tools: Iterable[Any] | None = None
    max_output_tokens: int | None = None
    cost: Money | None = None
    clamp: bool | int = True
    formatted: bool = False
    cap_name: str = "max_tokens"
    sent: bool = False
    alternatives: Sequence[Mapping[str, Any]] = ()
    n: int = 1
    tool: str | None = None
    tier: str | None = None
    key: str | None = None
    floor: int = 0
    windows: int = 1
    stored_tokens: int = 0
    requests: Mapping[str, int] = MappingProxyType({})


class CallRequest(_Arguments):
    """The arguments of `Session.reserve`, checked.

    Attributes:
        floor: the output cap that is worth waiting for, in tokens; 0: the budget's own.
        formatted: True when the answer is to have a format, which a lower output cap may cut off.
        cap_name: what the request calls its output cap; empty where it takes none.
        alternatives: how often the provider's tools may run, the most wanted first: each with the arguments
            that go with it (`windows`, `n`, `requests`) beside its number of ``runs``.
        sent: True for a request that is sent as it is: a tier that the budget declares is no cheaper then.

    Raises:
        TypeError: there is nothing to pay for, or an iterator where it would be used up.
        ValueError: a name or a count is not one.
    """

    __slots__ = ()

    def __new__(cls, **arguments: Any) -> CallRequest:
        return checked(_Arguments(**arguments))

    @property
    def cost_nanos(self) -> int | None:
        """The explicit cost in nano-dollars.

        Raises:
            InvalidAmount: it is not an amount.
        """
        return None if self.cost is None else to_nanos(self.cost)


_USUAL = list(CallRequest._field_defaults.values())[CallRequest._fields.index("tier") :]


def checked(fields: tuple[Any, ...]) -> CallRequest:
    """The request, if each argument is what it has to be.

    Args:
        fields: all, in their order.
    """
    model, provider, input_tokens, messages, tools, cap, cost, _, _, _, _, _, n, tool, *rare = fields
    if model is not None:
        check_name("model", model)
    elif tool is None and cost is None:
        raise TypeError("reserve() needs a model, a tool= or a cost=")
    if provider is not None:
        check_name("provider", provider)
    if messages is not None:
        _check_items("messages", messages)
    if tools is not None:
        _check_items("tools", tools)
    if input_tokens is not None and (type(input_tokens) is not int or not 0 <= input_tokens <= MAX_TOKENS):
        _check_count("input_tokens", input_tokens, 0)
    if cap is not None and (type(cap) is not int or not 0 <= cap <= MAX_TOKENS):
        _check_count("max_output_tokens", cap, 0)
    if type(n) is not int or n != 1:
        _check_count("n", n, 1)
    if rare != _USUAL or tool is not None:
        _check_rare(tool, *rare)
    return new_tuple(CallRequest, fields)


def _check_rare(
    tool: str | None,
    tier: str | None,
    key: str | None,
    floor: int,
    windows: int,
    stored_tokens: int,
    requests: Mapping[str, int],
) -> None:
    if tool is not None:
        check_name("tool", tool)
    if key is not None:
        check_name("key", key)
    if tier is not None:
        check_tier(tier)
    _check_count("floor", floor, 0)
    _check_count("windows", windows, 1)
    _check_count("stored_tokens", stored_tokens, 0)
    for name, runs in requests.items():
        check_name("tool", name)
        _check_count(f"requests[{name!r}]", runs, 0)


def _check_count(setting: str, count: object, least: int) -> None:
    if type(count) is not int or not least <= count <= MAX_TOKENS:
        raise ValueError(f"{setting}={shown(count)} is not a whole number from {least} to {MAX_TOKENS:,}")


def _check_items(setting: str, items: object) -> None:
    if type(items) is not list and isinstance(items, Iterator):
        raise TypeError(f"{setting}= takes a list: an iterator would be used up before the call is sent")
