"""Answers are read by a look into their dicts where that says the same as asking for each member."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any, ClassVar
from unittest.mock import MagicMock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from bursar.pricing import members as module
from bursar.pricing.members import NAMES, get, members
from bursar.pricing.response import read_answer
from bursar.pricing.text import text_bytes

from .test_answer import CHAT, MESSAGES, RESPONSES


class Model(BaseModel):
    """As the SDKs have them: what they do not know is kept."""

    model_config = ConfigDict(extra="allow")

    id: Any = None
    usage: Any = None


class Asked(Mapping[str, Any]):
    """A mapping that is no dict, so that each name is searched for; it notes them."""

    names: ClassVar[set[str]] = set()

    def __init__(self, found: dict[str, Any]) -> None:
        self._found = {name: as_asked(value) for name, value in found.items()}

    def __getitem__(self, name: str) -> Any:
        self.names.add(name)
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def as_asked(value: Any) -> Any:
    """The same with mappings for dicts."""
    if isinstance(value, list):
        return [as_asked(part) for part in value]
    return Asked(value) if isinstance(value, dict) else value


def as_model(value: Any) -> Any:
    """The same with models of Pydantic for dicts, made as the SDKs do it."""
    if isinstance(value, list):
        return [as_model(part) for part in value]
    if isinstance(value, dict):
        return Model.model_construct(**{name: as_model(part) for name, part in value.items()})
    return value


NUMBERS = st.one_of(
    st.integers(0, 9),
    st.integers(0, 9),
    st.sampled_from([None, True, False, -1, 10**11, 1.5, float("nan"), "7", "", []]),
)
USUAL = ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "total_tokens")
BESIDE = ("cache_read_input_tokens", "cache_creation_input_tokens")
LIFETIMES = st.dictionaries(
    st.sampled_from(["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"]), NUMBERS
)
PARTS = st.dictionaries(
    st.sampled_from(["cached_tokens", "cache_write_tokens", "audio_tokens", "reasoning_tokens", "cache_read",
                     "audio", "cache_creation", "reasoning"]), NUMBERS, max_size=3,
)  # fmt: skip
DETAILS = (
    "prompt_tokens_details",
    "completion_tokens_details",
    "input_tokens_details",
    "output_tokens_details",
)
RARE = sorted(NAMES - {*USUAL, *BESIDE, *DETAILS})
USAGES = st.builds(
    lambda *parts: {name: value for part in parts for name, value in part.items()},
    st.dictionaries(st.sampled_from(USUAL), NUMBERS, min_size=1),
    st.dictionaries(st.sampled_from(BESIDE), NUMBERS),
    st.dictionaries(st.sampled_from(DETAILS), st.one_of(PARTS, PARTS, NUMBERS, st.lists(PARTS, max_size=1))),
    st.dictionaries(st.just("cache_creation"), st.one_of(LIFETIMES, NUMBERS)),
    st.dictionaries(st.just("server_tool_use"), st.one_of(st.just({"web_search_requests": 2}), NUMBERS)),
    st.dictionaries(st.sampled_from(RARE), NUMBERS, max_size=1),
)
CHOICES = st.lists(
    st.dictionaries(st.sampled_from(["finish_reason", "text"]), st.sampled_from(["stop", "length"]))
)
ANSWERS = st.fixed_dictionaries(
    {"id": st.sampled_from(["a", "", None, 5]), "model": st.just("gpt-4o"), "usage": USAGES},
    optional={"choices": CHOICES, "created": NUMBERS, "stop_reason": st.sampled_from(["max_tokens", "end", None]),
              "service_tier": st.sampled_from(["flex", "odd", None]), "incomplete_details": st.just({"reason": "length"}),
              "output": st.just([{"type": "web_search_call"}])},
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(ANSWERS)
@example(CHAT)
@example(RESPONSES)
@example(MESSAGES)
@example({"usage": {**CHAT["usage"], "prompt_tokens_details": []}})
@example({"usage": {**CHAT["usage"], "completion_tokens_details": {"reasoning": 5}}})
@example({"usage": {**CHAT["usage"], "thoughtsTokenCount": 9}})
@example({"usage": {"input_tokens": 0, "output_tokens": 0, "cache_read_input_tokens": 7}})
def test_common_form_is_read_as_by_the_search(answer: dict[str, Any]) -> None:
    """A plain dict, and a model of Pydantic, says what a mapping does in which every name is searched for."""
    searched = repr(read_answer(as_asked(answer)))

    assert repr(read_answer(answer)) == searched
    assert repr(read_answer(as_model(answer))) == searched


def test_every_name_that_is_asked_for_is_known() -> None:
    """The reader asks for no name beside `NAMES`, in whatever words an answer counts."""
    Asked.names.clear()
    for name in sorted(NAMES):
        for value in (None, 0, 3, "AUDIO", [{}], {}):
            usage = {name: value}
            for answer in (
                {name: value},
                {"usage": usage},
                {"usage": {"input_tokens": 1, **usage}},
                {"usage": usage, "output": [{"type": "web_search_call"}]},
            ):
                read_answer(as_asked(answer))

    assert Asked.names <= NAMES


class Attributes:
    """As most objects are."""

    def __init__(self) -> None:
        self.usage = 1


class WithProperty(Attributes):
    """The class has a name of its own."""

    model = property(lambda self: "m")


class WithSlots:
    """There is no dict."""

    __slots__ = ("usage",)


class WithFallback(Attributes):
    """What is not there is made."""

    def __getattr__(self, name: str) -> Any:
        return name


class WithOwnLook(Attributes):
    """Every attribute is another."""

    def __getattribute__(self, name: str) -> Any:
        return name if name in NAMES else super().__getattribute__(name)


class WithOwnDict(Attributes):
    """What it calls its dict is none."""

    __dict__ = property(lambda self: {"usage": 2})  # type: ignore[assignment]


class ADict(dict[str, Any]):
    """Has members and attributes."""

    usage = 7


class OtherDict(dict[str, Any]):
    """Answers otherwise than its content."""

    def get(self, name: str, other: Any = None) -> Any:
        return 8


def with_other_dict() -> Attributes:
    """An object whose own dict is of a class that answers otherwise."""
    made = Attributes()
    made.__dict__ = OtherDict(usage=1)
    return made


class Middle(Model):
    """A model of Pydantic that makes what is not there."""

    def __getattr__(self, name: str) -> Any:
        return name


def with_odd_extras() -> Model:
    """A model whose extras were replaced by what is no dict."""
    made = Model()
    object.__setattr__(made, "__pydantic_extra__", ADict(model="m"))
    return made


@pytest.mark.parametrize(
    "holder",
    [
        None, 5, "text", {"usage": 1}, ADict(model="m"), Asked({"usage": 1}), SimpleNamespace(usage=1, model=None),
        Attributes(), WithProperty(), WithSlots(), WithFallback(), WithOwnLook(), WithOwnDict(), with_other_dict(),
        MagicMock(usage=1), MagicMock(spec=dict), Attributes, module, Model(), Model(model="m", usage=2),
        Model.model_construct(model="m"), Model.__new__(Model), Middle(), with_odd_extras(),
    ],
    ids=lambda holder: type(holder).__name__,
)  # fmt: skip
def test_members_says_what_asking_for_each_does(holder: object) -> None:
    """For every name, and every kind of object: plain, with properties, slots, fallbacks, lies, extras."""
    found = members(holder)

    for name in NAMES:
        expected = get(holder, name)
        said = get(found, name)
        assert said is expected or said == expected


def test_classes_are_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that makes classes without end does not keep all of them alive."""
    monkeypatch.setattr(module, "_CACHE_SIZE", 3)
    for number in range(10):
        assert members(type(f"Made{number}", (), {"__init__": Attributes.__init__})()) == {"usage": 1}

    assert len(module._classes) <= 3


TEXTS: Any = st.recursive(
    st.one_of(st.text(max_size=3), st.none(), st.integers(), st.booleans()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["content", "id", "role", "input", "text", "arguments"]), inner, max_size=3
        ),
    ),
)


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_text_of_a_dict_is_that_of_a_mapping(value: Any) -> None:
    """Text in a dict is counted at once, and as that in any mapping."""
    assert text_bytes(value) == text_bytes(as_asked(value))
