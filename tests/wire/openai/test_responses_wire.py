"""How responses are written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.events import Reply
from minireason.wire.call import Origin, Outcome
from minireason.wire.errors import ApiError
from minireason.wire.openai.responses_wire import ResponseStyle, ResponseWire
from tests.wire.openai.reading import CUTS, REPLIES, events_of, json_of, reply, streamed

ORIGIN = Origin("resp_0a1b", "req-1", 1_700_000_000, "tiny", "")


def told(whole: Reply, cuts: list[int], style: ResponseStyle) -> list[dict[str, Any]]:
    """The events of a stream."""
    events = [(0, event) for event in events_of(whole, cuts)]
    return json_of(streamed(ResponseWire(ORIGIN, style), events, Outcome((whole,))))


@given(REPLIES, CUTS, st.booleans())
def test_a_stream_adds_up_to_the_whole_however_it_is_cut(
    whole: Reply, cuts: list[int], shows_thought: bool
) -> None:
    style = ResponseStyle(shows_thought=shows_thought)
    events = told(whole, cuts, style)
    response = ResponseWire(ORIGIN, style).whole(Outcome((whole,)))
    assert events[-1]["response"] == response
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    texts: dict[str, str] = {}
    for event in events:
        if event["type"].endswith("_text.delta"):
            texts[event["item_id"]] = texts.get(event["item_id"], "") + event["delta"]
        elif event["type"].endswith("_text.done"):
            assert event["text"] == texts.get(event["item_id"], "")
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == events[-1]["response"]["output"]
    assert {
        item["id"]: item["content"][0]["text"] for item in done if item["content"][0]["text"]
    } == texts


def test_the_events_of_a_thought_and_an_answer_come_in_openai_s_order() -> None:
    types = [event["type"] for event in told(reply("So", "2"), [], ResponseStyle())]
    assert types == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.reasoning_text.delta",
        "response.reasoning_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]


@pytest.mark.parametrize("answer", ["", "2"])
def test_a_reply_that_was_cut_off_is_incomplete(answer: str) -> None:
    cut = reply("So", answer, finish_reason="length")
    *_, last = told(cut, [], ResponseStyle())
    assert last["type"] == "response.incomplete"
    response = last["response"]
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert [item["type"] for item in response["output"]] == ["reasoning", "message"][
        : 1 + len(answer)
    ]
    assert response["output"][-1]["status"] == "incomplete"


def test_usage_says_what_was_counted() -> None:
    *_, last = told(reply("So", "2"), [], ResponseStyle())
    assert last["response"]["usage"] == {
        "input_tokens": 20,
        "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 15},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 29,
    }


def test_a_response_that_failed_says_so() -> None:
    wire = ResponseWire(ORIGIN, ResponseStyle())
    list(wire.begin())
    (failed,) = json_of(wire.fail(ApiError(500, "The engine failed.")))
    assert failed["type"] == "response.failed"
    assert failed["sequence_number"] == 2
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"] == {"code": "server_error", "message": "The engine failed."}
