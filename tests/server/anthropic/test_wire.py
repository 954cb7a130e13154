from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.server.anthropic.wire import UNSEEN_DELTAS, Display, MessageWire, error_body
from minireason.wire.call import Outcome
from minireason.wire.errors import ApiError
from tests.server.written import ORIGIN, TEXTS, outcome, reply, streamed

DISPLAYS: list[Display] = ["shown", "omitted", "hidden"]


def events_of(written: bytes) -> list[dict[str, Any]]:
    """The data of server-sent events, whose names are their types."""
    events = []
    for block in written.decode("ascii").removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events


def added_up(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The message that events come to, as a client adds them up."""
    message: dict[str, Any] = {}
    for event in events:
        match event["type"]:
            case "message_start":
                assert not message
                message = event["message"]
            case "content_block_start":
                assert event["index"] == len(message["content"])
                message["content"].append({**event["content_block"], "is_open": True})
            case "content_block_delta":
                block, delta = message["content"][event["index"]], event["delta"]
                assert block["is_open"]
                field = delta["type"].removesuffix("_delta")
                block[field] += delta[field]
            case "content_block_stop":
                assert message["content"][event["index"]].pop("is_open")
            case "message_delta":
                message |= event["delta"]
                message |= {"usage": event["usage"], "minireason": event["minireason"]}
            case kind:
                assert kind in ("ping", "message_stop")
    assert not any("is_open" in block for block in message["content"])
    return message


@given(TEXTS, TEXTS, st.sampled_from(DISPLAYS))
def test_a_stream_adds_up_to_the_whole(
    thoughts: list[str], answers: list[str], display: Display
) -> None:
    events = events_of(streamed(MessageWire(ORIGIN, display), thoughts, answers))
    assert events[-1]["type"] == "message_stop"
    assert added_up(events) == MessageWire(ORIGIN, display).whole(outcome(thoughts, answers))


@given(TEXTS, TEXTS, st.sampled_from(DISPLAYS))
def test_the_blocks_say_what_was_said(
    thoughts: list[str], answers: list[str], display: Display
) -> None:
    message = MessageWire(ORIGIN, display).whole(outcome(thoughts, answers))
    *thinking, text = message["content"]
    assert text == {"type": "text", "text": "".join(answers)}
    if display == "hidden" or not thoughts:
        assert thinking == []
    else:
        shown = "".join(thoughts) if display == "shown" else ""
        assert thinking == [{"type": "thinking", "thinking": shown, "signature": ""}]


def test_a_thinking_block_ends_with_its_signature() -> None:
    events = events_of(streamed(MessageWire(ORIGIN), ["hm"], ["yes"]))
    kinds = [event["type"] for event in events if event["type"] != "ping"]
    deltas = [event["delta"]["type"] for event in events if event["type"] == "content_block_delta"]
    assert kinds == [
        "message_start",
        *("content_block_start", "content_block_delta", "content_block_delta"),
        "content_block_stop",
        *("content_block_start", "content_block_delta", "content_block_stop"),
        "message_delta",
        "message_stop",
    ]
    assert deltas == ["thinking_delta", "signature_delta", "text_delta"]


def test_a_long_thought_that_is_not_shown_sends_pings() -> None:
    thoughts = ["hm"] * (3 * UNSEEN_DELTAS)
    events = events_of(streamed(MessageWire(ORIGIN, "hidden"), thoughts, ["yes"]))
    pings = [event for event in events if event["type"] == "ping"]
    assert len(pings) == 4
    assert "hm" not in json.dumps(events)


@pytest.mark.parametrize(
    ("changes", "reason", "sequence"),
    [
        ({}, "end_turn", None),
        ({"stop_text": "END"}, "stop_sequence", "END"),
        ({"finish_reason": "length"}, "max_tokens", None),
        ({"finish_reason": "cancelled"}, "end_turn", None),
    ],
)
def test_the_stop_reason(changes: dict[str, Any], reason: str, sequence: str | None) -> None:
    message = MessageWire(ORIGIN).whole(outcome(["hm"], ["yes"], **changes))
    assert (message["stop_reason"], message["stop_sequence"]) == (reason, sequence)


def test_the_parts_of_the_prompt_add_up() -> None:
    usage = MessageWire(ORIGIN).whole(outcome(["hm"], ["yes"]))["usage"]
    assert usage == {
        "input_tokens": 15,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 5,
        "output_tokens": 11,
        "output_tokens_details": {"thinking_tokens": 8},
    }


def test_a_clamped_budget_is_told() -> None:
    clamped = Outcome((reply("hm", "yes"),), clamped_budget=99)
    told = MessageWire(ORIGIN).whole(clamped)["minireason"]
    assert told["thinking_budget"] == 99
    assert told["thinking_end"] == "natural"
    assert "thinking_budget" not in MessageWire(ORIGIN).whole(outcome())["minireason"]


def test_errors() -> None:
    error = ApiError(503, "Too many wait.", retry_after_s=5)
    body = error_body(error, "req_1")
    assert body == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Too many wait."},
        "request_id": "req_1",
    }
    assert events_of(b"".join(MessageWire(ORIGIN).fail(error))) == [body]
