"""How chat completions are written."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.events import Reply, ThinkingDelta
from minireason.wire.call import Outcome
from minireason.wire.errors import ApiError
from minireason.wire.openai.chat_wire import ChatStyle, ChatWire
from minireason.wire.policy import ReasoningField
from tests.wire.openai.reading import (
    CUTS,
    ORIGIN,
    REPLIES,
    data_of,
    events_of,
    json_of,
    reply,
    streamed,
)

FIELDS: tuple[ReasoningField, ...] = get_args(ReasoningField)


def wire(style: ChatStyle, choices: int = 1) -> ChatWire:
    return ChatWire(ORIGIN, choices, style)


def merged(chunks: list[dict[str, Any]], index: int = 0) -> dict[str, str]:
    """The message that the deltas of a choice add up to, as clients do it."""
    told: dict[str, str] = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            if choice["index"] == index:
                for name, text in choice["delta"].items():
                    told[name] = told.get(name, "") + text
    return told


def whole(wire: ChatWire, replies: list[Reply]) -> Any:
    return wire.whole(Outcome(tuple(replies)))


@given(REPLIES, CUTS, st.sampled_from(FIELDS))
def test_a_stream_adds_up_to_the_whole_however_it_is_cut(
    told: Reply, cuts: list[int], field: ReasoningField
) -> None:
    style = ChatStyle(field)
    events = [(0, event) for event in events_of(told, cuts)]
    chunks = json_of(streamed(wire(style), events, Outcome((told,))))
    message = whole(wire(style), [told])["choices"][0]["message"]
    assert merged(chunks) == message
    assert chunks[-1]["choices"][0]["finish_reason"] == told.finish_reason


@given(st.lists(REPLIES, min_size=2, max_size=3), CUTS)
def test_choices_that_come_side_by_side_stay_apart(replies: list[Reply], cuts: list[int]) -> None:
    queues = [events_of(told, cuts) for told in replies]
    events = []
    while any(queues):
        events += [(index, queue.pop(0)) for index, queue in enumerate(queues) if queue]
    style, outcome = ChatStyle(), Outcome(tuple(replies))
    chunks = json_of(streamed(wire(style, len(replies)), events, outcome))
    choices = whole(wire(style, len(replies)), replies)["choices"]
    for index, choice in enumerate(choices):
        assert merged(chunks, index) == choice["message"]


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("both", {"content", "reasoning_content", "reasoning"}),
        ("content", {"content", "reasoning_content"}),
        ("reasoning", {"content", "reasoning"}),
        ("none", {"content"}),
        ("inline", {"content"}),
    ],
)
def test_the_thought_is_where_it_is_wanted(field: ReasoningField, names: set[str]) -> None:
    told = reply("So it is 2.", "2")
    message = whole(wire(ChatStyle(field)), [told])["choices"][0]["message"]
    assert message.keys() - {"role"} == names
    assert all(message[name] == "So it is 2." for name in names - {"content"})


def test_an_inline_thought_is_between_tags_on_lines_of_their_own() -> None:
    message = whole(wire(ChatStyle("inline")), [reply("So\n", "2")])["choices"][0]["message"]
    assert message["content"] == "<think>\nSo\n</think>\n\n2"


@pytest.mark.parametrize("field", FIELDS)
def test_without_a_thought_its_fields_are_missing(field: ReasoningField) -> None:
    told = reply(answer="2")
    style = ChatStyle(field)
    assert whole(wire(style), [told])["choices"][0]["message"] == {
        "role": "assistant",
        "content": "2",
    }
    events = [(0, event) for event in events_of(told, [])]
    for chunk in json_of(streamed(wire(style), events, Outcome((told,)))):
        assert not chunk["choices"][0]["delta"].keys() & {"reasoning", "reasoning_content"}


def test_a_stream_begins_with_the_role_and_ends_with_usage_and_a_mark() -> None:
    told = reply("So", "2")
    events = [(0, event) for event in events_of(told, [])]
    chunks = streamed(wire(ChatStyle(include_usage=True)), events, Outcome((told,)))
    assert data_of(chunks)[-1] == "[DONE]"
    first, *between, last, usage = json_of(chunks)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert last["choices"][0]["delta"] == {}
    assert all(chunk["usage"] is None for chunk in (first, *between, last))
    assert usage["choices"] == []
    assert usage["usage"] == whole(wire(ChatStyle()), [told])["usage"]
    assert last["timings"] == usage["timings"]
    heads = {(chunk["id"], chunk["created"], chunk["model"]) for chunk in json_of(chunks)}
    assert heads == {(ORIGIN.id, ORIGIN.created, ORIGIN.model)}


def test_usage_and_times_say_what_was_counted() -> None:
    told = whole(wire(ChatStyle()), [reply("So", "2")])
    assert told["usage"] == {
        "prompt_tokens": 20,
        "completion_tokens": 9,
        "total_tokens": 29,
        "completion_tokens_details": {"reasoning_tokens": 5},
        "prompt_tokens_details": {"cached_tokens": 5},
        "prompt_cache_hit_tokens": 5,
        "prompt_cache_miss_tokens": 15,
    }
    assert told["timings"] == {
        "cache_n": 5,
        "prompt_n": 15,
        "prompt_ms": 500.0,
        "prompt_per_token_ms": 33.333,
        "prompt_per_second": 30.0,
        "predicted_n": 9,
        "predicted_ms": 1000.0,
        "predicted_per_token_ms": 111.111,
        "predicted_per_second": 9.0,
    }
    assert told["minireason"] == {
        "request_id": "req-1",
        "thinking_end": "natural",
        "forced_tokens": 2,
        "seed": 7,
    }


def test_a_clamped_budget_is_told() -> None:
    outcome = Outcome((reply("So", "2"),), clamped_budget=100)
    *_, last = json_of(wire(ChatStyle()).end(outcome))
    assert last["minireason"]["thinking_budget"] == 100


def test_a_thought_that_is_left_out_keeps_the_stream_alive() -> None:
    hidden = wire(ChatStyle("none"))
    written = [chunk for _ in range(1000) for chunk in hidden.event(0, ThinkingDelta("so "))]
    assert 1 < len(written) < 100
    assert data_of(written) == []


def test_an_error_in_a_stream_is_its_last_event() -> None:
    error = ApiError(500, "The engine failed.", "engine_error")
    (told,) = json_of(wire(ChatStyle()).fail(error))
    assert told["error"] == {
        "message": "The engine failed.",
        "type": "api_error",
        "param": None,
        "code": "engine_error",
    }
