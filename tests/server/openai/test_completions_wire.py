"""How completions of raw texts are written."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from minireason.events import Reply
from minireason.server.openai.completions import CompletionStyle, CompletionWire
from minireason.wire.call import Call, Outcome
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


def wire(style: CompletionStyle) -> CompletionWire:
    return CompletionWire(ORIGIN, Call(model=None, prompt="1+1="), style)


@given(REPLIES, CUTS, st.sampled_from(["", "1+1="]))
def test_a_stream_adds_up_to_the_whole_however_it_is_cut(
    told: Reply, cuts: list[int], echo: str
) -> None:
    style, outcome = CompletionStyle(echo), Outcome((told,))
    events = [(0, event) for event in events_of(told, cuts)]
    chunks = json_of(streamed(wire(style), events, outcome))
    whole: Any = wire(style).whole(outcome)
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == whole["choices"][0]["text"]
    assert chunks[-1]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]


def test_a_stream_ends_with_the_usage_where_it_is_wanted() -> None:
    told = reply(answer="2")
    outcome = Outcome((told,))
    events = [(0, event) for event in events_of(told, [])]
    chunks = streamed(wire(CompletionStyle(include_usage=True)), events, outcome)
    assert data_of(chunks)[-1] == "[DONE]"
    *others, usage = json_of(chunks)
    assert all(chunk["usage"] is None for chunk in others)
    whole: Any = wire(CompletionStyle()).whole(outcome)
    assert (usage["choices"], usage["usage"]) == ([], whole["usage"])
    assert {chunk["object"] for chunk in (*others, usage)} == {"text_completion"}
