"""`Demand`: what one request may cost, as a package for an SDK reads it."""

from __future__ import annotations

import copy
import json
from collections.abc import Container, Mapping, Sequence
from typing import Any, NamedTuple

from ..ledger.hold import Hold
from .reading import Reading, UnboundedReading

_ENCODER = json.JSONEncoder(default=str)


class Allowed(NamedTuple):
    """How much output a request may ask for.

    Attributes:
        cap: the most output tokens of one choice that are held; None: the hold does not say.
        needed: True where a request without a cap of its own has to carry this one; False where its
            provider lets no answer grow above it.
        model: the model behind the name that is sent.
        runs: how often tools of the provider's may run, where the request does not say so.
    """

    cap: int | None = None
    needed: bool = True
    model: str | None = None
    runs: int | None = None

    @classmethod
    def by(cls, hold: Hold) -> Allowed:
        """What a hold pays for."""
        return cls(hold.max_output_tokens, hold.binding_cap is not None, hold.call.model, hold.runs)


class Demand:
    """A request through an SDK, before it is sent; an integration teaches it a provider's words.

    Args:
        ask: the arguments of `Session.reserve` for it.
        endpoint: a word of `Budget`'s ``allow=`` where no request like it has a bound.
        why_not: why this request has none, and the way out, where others like it have one.
        unlowered: why it has no bound where the budget lowers nothing, and the way out; elsewhere the request
            is given one (the `alternatives` of `ask`).
        surcharge: why it costs more than the price of its model, which then does not hold; a price
            that the user gave the model does.
        polled: the id of an answer made in the background that the request, free itself, asks after.

    A request that costs nothing has no `ask`, and no `endpoint`.
    """

    def __init__(
        self,
        ask: Mapping[str, Any] | None = None,
        *,
        endpoint: str | None = None,
        why_not: str | None = None,
        surcharge: str | None = None,
        unlowered: str | None = None,
        polled: str | None = None,
    ) -> None:
        self.ask = dict(ask or {})
        self.endpoint = endpoint
        self.why_not = why_not
        self.surcharge = surcharge
        self.unlowered = unlowered
        self.polled = polled

    @property
    def free(self) -> bool:
        """True when it costs nothing, whatever it asks for."""
        return not self.ask and self.endpoint is None

    def fit(self, options: Any, allowed: Allowed) -> Any:
        """The options to send: those given, or a copy whose output cap is not above what is allowed.

        What belongs to the caller is never changed.
        """
        return options

    def reading(self) -> Reading:
        """What reads its answer."""
        raise NotImplementedError

    def again(self, error: Exception) -> Demand | None:
        """The request in another form, to be sent once more after an error; None: the error stands."""
        return None


class Unbounded(Demand):
    """Nothing bounds what it costs, unless the user has given the model a price.

    Args:
        body: the JSON object, or the fields of the form, that is sent.
        provider: who bills, where known.
        endpoint: a word of `Budget`'s ``allow=``.
        files: True when files go with it, which the context window alone bounds.
    """

    def __init__(
        self, body: Mapping[str, Any], provider: str | None, endpoint: str | None, *, files: bool = False
    ) -> None:
        texts = [value for value in body.values() if isinstance(value, str)]
        pictures = (whole(body.get("n")) or 1) * (1 + (whole(body.get("partial_images")) or 0))
        ask = {
            "model": body.get("model"),
            "provider": provider,
            "messages": None if files else texts,
            "n": pictures,
            "clamp": False,
        }
        super().__init__(ask if ask["model"] else None, endpoint=endpoint or "other")

    def reading(self) -> Reading:
        return UnboundedReading()


def body_of(options: Any) -> dict[str, Any] | None:
    """The JSON object that will be sent, as a shallow copy; None where the body is none."""
    body, extra = options.json_data, options.extra_json
    if type(body) is dict and extra is None:  # as of most requests
        return body.copy()
    if not isinstance(body, Mapping | None) or not isinstance(extra, Mapping | None):
        return None
    return {**(body or {}), **(extra or {})}


def with_members(options: Any, members: Mapping[str, Any]) -> Any:
    """A copy of the options whose body has these members; the dicts of the caller stay as they are."""
    if not members:
        return options
    options = copy.copy(options)
    extra = dict(options.extra_json or {})
    extra.update((name, value) for name, value in members.items() if name in extra)
    options.json_data = {
        **(options.json_data or {}),
        **{name: value for name, value in members.items() if name not in extra},
    }
    options.extra_json = extra or options.extra_json
    return options


def text_of(body: Mapping[str, Any], without: Container[str]) -> str:
    """The members of a body that may be input, as the text that bounds them.

    Args:
        body: the JSON object that is sent.
        without: those that are no input, or are counted by themselves.
    """
    left = {name: value for name, value in body.items() if name not in without}
    return _ENCODER.encode(left) if left else "{}"


def whole(value: object) -> int | None:
    """A count as it may be written; None for what is none, such as -1 for "no limit"."""
    if isinstance(value, str | float) and not isinstance(value, bool):
        try:
            value = int(value)
        except (ValueError, OverflowError):
            return None
    return value if type(value) is int and value > 0 else None


def listed(value: object) -> Sequence[Any]:
    """What should be a list, as one."""
    return value if isinstance(value, list | tuple) else [] if value is None else [value]
