"""Read what the wires write, and make what they are given."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from minireason.events import AnswerDelta, Done, Event, Reply, ThinkingDelta, Timings, Usage
from minireason.wire.call import Origin, Outcome, Wire

ORIGIN = Origin("chatcmpl-0a1b", "req-1", 1_700_000_000, "tiny", "")


def data_of(chunks: Iterable[bytes]) -> list[str]:
    """The data of each event of a stream that keeps to the rules of server-sent events."""
    whole = b"".join(chunks)
    assert whole.isascii()
    assert not whole or whole.endswith(b"\n\n")
    told = []
    for block in whole.decode().split("\n\n")[:-1]:
        lines = [line for line in block.split("\n") if not line.startswith(":")]
        data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
        names = [line for line in lines if line.startswith("event: ")]
        assert len(lines) == len(data) + len(names)
        assert len(data) <= 1
        told += data
    return told


def json_of(chunks: Iterable[bytes]) -> list[dict[str, Any]]:
    """The events of a stream as JSON, without the mark at its end."""
    return [json.loads(data) for data in data_of(chunks) if data != "[DONE]"]


def streamed(wire: Wire, events: Iterable[tuple[int, Event]], outcome: Outcome) -> list[bytes]:
    """All that a wire writes of a stream."""
    chunks = list(wire.begin())
    for index, event in events:
        chunks += wire.event(index, event)
    return [*chunks, *wire.end(outcome)]


def reply(thinking: str = "", answer: str = "", **changes: Any) -> Reply:
    """A reply of these texts."""
    fields: dict[str, Any] = {
        "model": "tiny",
        "thinking": thinking,
        "answer": answer,
        "boxed": None,
        "finish_reason": "stop",
        "thinking_end": "natural" if thinking else "skipped",
        "seed": 7,
        "usage": Usage(20, 5, 3, 4, 2),
        "timings": Timings(0.0, 0.5, 0.5, 0.6, 1.5, 10.0),
    }
    return Reply(**{**fields, **changes})


def events_of(whole: Reply, cuts: list[int]) -> list[Event]:
    """The events of a reply, its texts cut at these places."""
    thinking = [ThinkingDelta(text) for text in pieces(whole.thinking, cuts)]
    answer = [AnswerDelta(text) for text in pieces(whole.answer, cuts)]
    return [*thinking, *answer, Done(whole)]


def pieces(text: str, cuts: list[int]) -> list[str]:
    """A text cut at these places, none of the pieces empty."""
    places = sorted({cut % len(text) for cut in cuts}) if text else []
    ends = zip([0, *places], [*places, len(text)], strict=True)
    return [text[begin:end] for begin, end in ends if begin < end]


CUTS = st.lists(st.integers(0, 200), max_size=8)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=40) | st.sampled_from(
    ["", "a\n", "<think>\n</think>", 'data: {"x": 1}\n\n', "\u2028\u0085\r\n", "\U0001f600"]
)
REPLIES = st.builds(reply, TEXTS, TEXTS, finish_reason=st.sampled_from(["stop", "length"]))
