"""Replies and origins for tests of wires, and what a wire writes of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from minireason.events import AnswerDelta, Done, Reply, ThinkingDelta, Timings, Usage
from minireason.wire.call import Origin, Outcome, Wire

ORIGIN = Origin(id="id_1", request_id="req_1", created=1_700_000_000, model="tiny")

TEXTS = st.lists(st.text(min_size=1, max_size=8), max_size=6)
"""The pieces of a thought or an answer, with every character that there is."""

_REPLY = Reply(
    model="tiny",
    thinking="",
    answer="",
    boxed=None,
    finish_reason="stop",
    thinking_end="natural",
    seed=7,
    usage=Usage(
        prompt_tokens=20, cached_tokens=5, thinking_tokens=6, answer_tokens=3, forced_tokens=2
    ),
    timings=Timings(
        load_s=0.25,
        prefill_s=0.5,
        first_token_s=0.5,
        first_answer_s=1.0,
        total_s=2.0,
        tokens_per_s=6.0,
    ),
)


def reply(thinking: str = "", answer: str = "", **changes: Any) -> Reply:
    """A reply with these texts."""
    return replace(_REPLY, thinking=thinking, answer=answer, **changes)


def outcome(thoughts: Sequence[str] = (), answers: Sequence[str] = (), **changes: Any) -> Outcome:
    """What a call came to whose reply has these pieces."""
    return Outcome((reply("".join(thoughts), "".join(answers), **changes),))


def streamed(wire: Wire, thoughts: Sequence[str], answers: Sequence[str], **changes: Any) -> bytes:
    """All that a wire writes of a stream."""
    whole = outcome(thoughts, answers, **changes)
    events = [
        *(ThinkingDelta(text) for text in thoughts),
        *(AnswerDelta(text) for text in answers),
        Done(whole.replies[0]),
    ]
    parts: list[Iterable[bytes]] = [wire.begin()]
    parts += [wire.event(0, event) for event in events]
    parts.append(wire.end(whole))
    return b"".join(chunk for part in parts for chunk in part)
