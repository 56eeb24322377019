"""The bound on the input of a request: never below what can be billed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import UnpriceableCall
from bursar.pricing.input_bound import input_bound

GPT = ("gpt-4o-2024-08-06", "gpt-4o")
CLAUDE = ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5")
UNKNOWN = ("my-model",)

PICTURE = {"type": "image_url", "image_url": {"url": "https://example.org/cat.png", "detail": "high"}}
CLAUDE_PICTURE = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
}
SPEECH = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a town",
        "parameters": {
            "type": "object",
            "properties": {"town": {"type": "string"}, "day": {"type": ["string", "null"]}},
            "required": ["town"],
        },
    },
}


class Model:
    """Like a model of Pydantic: iterates over its fields, and dumps itself."""

    def __init__(self, **fields: Any) -> None:
        self.fields = fields

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        yield from self.fields.items()

    def model_dump(self, *, exclude_none: bool = False) -> dict[str, Any]:
        return {name: value for name, value in self.fields.items() if value is not None or not exclude_none}


def user(content: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content}]


def tokens(messages: Any, tools: Any = None, names: tuple[str, ...] = GPT) -> int:
    bound = input_bound(names, messages, tools).tokens
    assert bound is not None
    return bound


text = st.text(max_size=60) | st.text(alphabet="aé漢😀\ud800\x00ﷺ", max_size=60)
part = st.fixed_dictionaries({"type": st.sampled_from(["text", "input_text", "output_text"]), "text": text})
tool_call = st.fixed_dictionaries(
    {
        "id": text,
        "type": st.just("function"),
        "function": st.fixed_dictionaries({"name": text, "arguments": text}),
    }
)
message = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["system", "user", "assistant", "tool"]),
        "content": text | st.lists(part, max_size=4),
    },
    optional={
        "name": text,
        "tool_calls": st.lists(tool_call, max_size=3),
        "tool_call_id": text,
        "refusal": st.none(),
    },
)


def billed(value: Any) -> int:
    """Every text of a message under the worst tokenizer there is: one token for each byte."""
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, dict):
        return sum(billed(part) for part in value.values())
    if isinstance(value, list):
        return sum(billed(part) for part in value)
    return 0


@given(st.lists(message, max_size=6))
def test_bound_holds_for_any_chat(messages: list[dict[str, Any]]) -> None:
    """No chat can be billed for more than its bound: a token a byte, three a message and three to begin the answer."""
    assert tokens(messages) >= sum(3 + billed(message) for message in messages) + 3


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
        max_leaves=20,
    )
)
def test_bound_holds_for_any_arguments(arguments: Any) -> None:
    """What a tool is called with counts in full, keys and numbers included, whatever its words look like."""
    called = [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": arguments}]}
    ]
    assert tokens(called, names=CLAUDE) >= billed_json(arguments)


def billed_json(value: Any) -> int:
    if isinstance(value, dict):
        return sum(billed(key) + billed_json(part) for key, part in value.items())
    if isinstance(value, list):
        return sum(map(billed_json, value))
    return billed(value) if isinstance(value, str) else len(json.dumps(value)) if value is not None else 0


@given(st.text(max_size=300))
def test_bound_holds_for_plain_text(prompt: str) -> None:
    """A prompt that is one text is bounded by its bytes, and by not much more."""
    size = len(prompt.encode("utf-8", "surrogatepass"))
    assert size + 6 <= tokens(prompt) <= size + 64


@given(st.lists(message, max_size=4), message)
def test_more_messages_never_cost_less(messages: list[dict[str, Any]], last: dict[str, Any]) -> None:
    """A longer chat has a larger bound."""
    assert tokens([*messages, last]) >= tokens(messages) + 3


@pytest.mark.parametrize("names", [GPT, CLAUDE, UNKNOWN])
def test_unknown_messages_have_no_bound(names: tuple[str, ...]) -> None:
    """Without messages only the context window bounds the input, and any of it may be written to a cache."""
    bound = input_bound(names, None, [WEATHER])
    assert (bound.tokens, bound.complete) == (0, False)
    assert bound.cache_writes is True


def test_messages_and_tools_may_be_generators() -> None:
    """Iterables are read once, and count as lists do."""
    chat = [*user("Where is it warm?"), *user([{"type": "text", "text": "and dry"}])]
    reads: list[str] = []

    def once(items: list[Any], what: str) -> Iterator[Any]:
        reads.append(what)
        yield from items

    assert tokens(once(chat, "messages"), once([WEATHER], "tools")) == tokens(chat, [WEATHER])
    assert reads == ["messages", "tools"]


def test_a_lone_message_or_tool_counts_in_full() -> None:
    """A dict where a list belongs is one message or tool, not the names of its fields."""
    assert tokens({"role": "user", "content": "x" * 5000}) == tokens(user("x" * 5000))
    assert tokens("hi", WEATHER) == tokens("hi", [WEATHER])


def test_objects_count_like_dicts() -> None:
    """Messages, parts and tools that are models of Pydantic have the bound of the dicts that they become."""
    said = Model(
        role="assistant", content=[Model(type="text", text="It is."), Model(**PICTURE)], refusal=None
    )
    as_dict = {"role": "assistant", "content": [{"type": "text", "text": "It is."}, PICTURE]}
    assert tokens([said]) == tokens([as_dict])
    assert tokens("hi", [Model(**WEATHER)]) == tokens("hi", [WEATHER])
    file = [Model(role="user", content=[Model(type="file", file={"file_id": "f"})])]
    assert input_bound(GPT, file).complete is False


@pytest.mark.parametrize(
    ("value", "least"),
    [
        (12345, 5),
        (True, 4),
        (1.5, 3),
        (b"abc", 3),
        pytest.param(object(), 10, id="object"),
        ([101, 102, 103], 3),
        (("a", "b"), 2),
        (None, 0),
    ],
    ids=repr,
)
def test_other_values_count(value: Any, least: int) -> None:
    """Numbers, bytes, token lists and unknown objects in a message count at least by their text."""
    assert tokens(user(value)) >= tokens(user("")) + least


@pytest.mark.parametrize(
    ("names", "picture", "most"),
    [
        (("gpt-4o",), PICTURE, 1_445),
        (GPT, PICTURE, 1_445),
        (("gpt-4o-mini",), PICTURE, 48_169),
        (("gpt-4.1-mini",), {"type": "input_image", "file_id": "f"}, 9_955),
        (CLAUDE, CLAUDE_PICTURE, 1_640),
    ],
)
def test_pictures_cost_what_their_model_publishes(
    names: tuple[str, ...], picture: dict[str, Any], most: int
) -> None:
    """Each picture adds the most that the model's family bills for one."""
    none, one, two = (tokens(user([picture] * count), names=names) for count in range(3))
    assert most <= one - none <= most + 10
    assert two - one == one - none


@pytest.mark.parametrize(
    "content",
    [
        [PICTURE],
        [SPEECH],
        [{"type": "file", "file": {"file_id": "f"}}],
        [{"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}}],
        [{"type": "tool_result", "tool_use_id": "1", "content": [PICTURE]}],
        [{"type": "of tomorrow"}],
    ],
)
def test_unknown_parts_have_no_bound(content: list[Any]) -> None:
    """A picture for a model without published sizes, a file or a kind of part not known here has no bound in bytes."""
    assert input_bound(UNKNOWN, user(content)).complete is False
    assert input_bound(UNKNOWN, user([{"type": "text", "text": "a bounded one"}])).complete is True


@pytest.mark.parametrize(
    "words", [{"type": "image"}, {"type": "dog"}, {"type": ["image"]}, {"type": {"a": 1}}, {"type": 5}]
)
def test_arguments_of_a_tool_are_text(words: dict[str, Any]) -> None:
    """A "type" among the arguments of a tool is a word of the tool's own and hides none of the text beside it."""
    arguments = {**words, "prompt": "x" * 5000}
    called = [
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "1", "name": "draw", "input": arguments}],
        }
    ]
    assert 5000 <= tokens(called, names=CLAUDE) < 5200


@pytest.mark.parametrize("kind", [["text"], {"a": 1}, 5, None])
def test_odd_type_of_a_part_is_text(kind: Any) -> None:
    """A part whose type is no word counts in full."""
    assert tokens(user([{"type": kind, "text": "x" * 500}])) >= 500


def test_audio_is_noticed() -> None:
    """Audio in the messages is told apart, because it has a price of its own."""
    assert input_bound(GPT, user([SPEECH])).audio is True
    assert input_bound(GPT, user([PICTURE])).audio is False


def test_sound_of_an_earlier_answer_is_not_counted_by_its_id() -> None:
    """An assistant's turn that refers to what it said is as long as that was; a member that is no reference is text."""
    said = input_bound(GPT, [{"role": "assistant", "audio": {"id": "audio_1"}}])
    assert said.complete is False and said.audio is True
    silent = input_bound(GPT, [{"role": "assistant", "content": "hi", "audio": None}])
    assert silent.complete is True and silent.audio is False


CACHED = {"cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize(
    ("names", "messages", "tools", "writes"),
    [
        (GPT, user("hi"), None, True),
        (UNKNOWN, user("hi"), None, True),
        (CLAUDE, user("hi"), None, False),
        (CLAUDE, user("cache_control"), None, False),
        (CLAUDE, user([{"type": "text", "text": "hi", **CACHED}]), None, True),
        (CLAUDE, user([{**CLAUDE_PICTURE, **CACHED}]), None, True),
        (CLAUDE, user([{"type": "document", "source": {}, **CACHED}]), None, True),
        (CLAUDE, user("hi"), [{"name": "f", "input_schema": {"type": "object"}}], False),
        (CLAUDE, user("hi"), [{"name": "f", "input_schema": {"type": "object"}, **CACHED}], True),
        (("anthropic.claude-3-opus-v1",), user("hi"), None, False),
    ],
)
def test_cache_writes(names: tuple[str, ...], messages: Any, tools: Any, writes: bool) -> None:
    """Claude bills a cache write only where the request asks for one, be it beside text, a picture, a file or a tool."""
    assert input_bound(names, messages, tools).cache_writes is writes


def test_tools_count_with_their_preamble() -> None:
    """Tools add at least their schema, what providers publish for having any (530 tokens), and little for each more."""
    none, one, two = (tokens("hi", [WEATHER] * count) for count in range(3))
    schema = billed_json(WEATHER)
    assert one - none >= schema + 530
    assert schema <= two - one < schema + 530
    assert tokens("hi", []) == tokens("hi", None) == none


@pytest.mark.parametrize(
    "kind",
    [
        "web_search",
        "web_search_20250305",
        "file_search",
        "code_interpreter",
        "mcp",
        "computer_use",
        ["function"],
        5,
    ],
)
def test_tool_of_the_provider_is_refused(kind: Any) -> None:
    """A tool that runs at the provider adds input without a bound; as a dict or an object, the error names it."""
    for tool in ({"type": kind}, Model(type=kind)):
        with pytest.raises(UnpriceableCall, match="runs at the provider") as caught:
            input_bound(GPT, user("hi"), [WEATHER, tool])
        assert caught.value.endpoint == str(kind)


@pytest.mark.parametrize(
    "tool",
    [
        WEATHER,
        {"type": "custom", "name": "f"},
        {"name": "f", "input_schema": {"type": "object"}},
        Model(name="f"),
        "f",
    ],
)
def test_tool_of_the_caller_is_bounded(tool: Any) -> None:
    """A tool that the caller runs is bounded by its schema."""
    assert input_bound(GPT, user("hi"), [tool]).tokens is not None


@pytest.mark.parametrize(
    "kind", ["bash_20250124", "text_editor_20250728", "computer_20250124", "memory_20250818"]
)
def test_tools_that_run_here_are_bounded(kind: str) -> None:
    """What a provider only defines, and the caller runs, adds at most what is published for it."""
    assert 735 < tokens("hi", [{"type": kind, "name": "t"}]) - tokens("hi") < 3_000


def test_schema_words_are_not_parts() -> None:
    """In the schema of a tool a type is a word of JSON schema, even one that names a kind of part, or a list of them."""
    odd = {
        "type": "function",
        "function": {"name": "f", "parameters": {"type": ["image", "file"], "type2": "image"}},
    }
    assert 0 < tokens("hi", [odd], names=UNKNOWN) < 1000


def test_keys_count_by_their_bytes() -> None:
    """The names of fields count by their bytes, not by their letters."""
    schema = {"name": "f", "input_schema": {"type": "object", "properties": {"température_消息" * 20: {}}}}
    assert tokens("hi", [schema]) - tokens("hi", [{"name": "f", "input_schema": {}}]) >= 20 * 20


def test_cyclic_messages_are_refused() -> None:
    """Messages that contain themselves, or are nested without end, are refused and never a `RecursionError`."""
    cycle: list[Any] = []
    cycle.append({"role": "user", "content": cycle})
    schema: dict[str, Any] = {}
    schema["properties"] = schema
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    for messages, tools in ((cycle, None), (user(deep), None), (user("hi"), [schema])):
        with pytest.raises(UnpriceableCall, match="nested"):
            input_bound(GPT, messages, tools)
    while isinstance(deep, list):  # taken apart by hand: the collector of some Pythons would recurse
        deep = deep[0]
