"""How a chat completion is written, streamed and whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from minireason.events import AnswerDelta, Event, ThinkingDelta
from minireason.voting.solution import SolveEvent
from minireason.wire.call import Origin, Outcome
from minireason.wire.errors import ApiError
from minireason.wire.logprobs import ScoredDelta
from minireason.wire.openai.chunks import Chunks
from minireason.wire.openai.logprobs import of_chat
from minireason.wire.openai.shapes import (
    EVENT_STREAM,
    PING,
    compact,
    data_line,
    error_body,
    finish_reason,
    timings,
    whole_completion,
)
from minireason.wire.openai.thought import Deltas, message
from minireason.wire.policy import USUAL_FIELD, ReasoningField

SILENT_EVENTS = 64
"""So many events of which the client sees nothing are told it by a comment."""

KIND = "chat.completion"
"""The `object` of a whole one."""

EMPTY = '"delta":{}'
"""The field of the text in the last chunk of a choice."""


@dataclass(frozen=True, slots=True)
class ChatStyle:
    """How a client wants a chat completion written."""

    field: ReasoningField = USUAL_FIELD
    include_usage: bool = False


class ChatChunks(Chunks):
    """Writes the chunks of a chat completion."""

    def __init__(self, origin: Origin, style: ChatStyle) -> None:
        super().__init__(origin, f"{KIND}.chunk", include_usage=style.include_usage)

    def delta(self, index: int, delta: str, *, logprobs: str = "null", more: str = "") -> bytes:
        """A chunk of the choice `index`; all texts are JSON, see `Chunks.choice`."""
        return self.choice(index, f'"delta":{delta}', logprobs=logprobs, more=more)

    def first(self, index: int) -> bytes:
        """The first chunk of a choice."""
        return self.delta(index, '{"role":"assistant","content":""}')


class ChatWire:
    """A chat completion of one or several choices."""

    media_type = EVENT_STREAM

    def __init__(self, origin: Origin, choices: int, style: ChatStyle) -> None:
        self._origin, self._style = origin, style
        self._chunks = ChatChunks(origin, style)
        self._deltas = [Deltas(style.field) for _ in range(choices)]
        self._silent = 0

    def begin(self) -> Iterable[bytes]:
        """See `Wire.begin`: a chunk with the role for each choice."""
        return [self._chunks.first(index) for index in range(len(self._deltas))]

    def event(self, index: int, event: Event | SolveEvent) -> Iterable[bytes]:
        """See `Wire.event`."""
        deltas, logprobs = self._deltas[index], "null"
        match event:
            case ScoredDelta(text, tokens):
                delta, logprobs = deltas.answer(text), compact(of_chat(tokens))
            case ThinkingDelta(text):
                delta = deltas.thinking(text)
            case AnswerDelta(text):
                delta = deltas.answer(text)
            case _:
                delta = deltas.end()
        if delta:
            return (self._chunks.delta(index, delta, logprobs=logprobs),)
        self._silent += 1
        return () if self._silent % SILENT_EVENTS else (PING,)

    def ping(self) -> bytes:
        """See `Wire.ping`."""
        return PING

    def end(self, outcome: Outcome) -> Iterable[bytes]:
        """See `Wire.end`: the last chunk of each choice, and the usage."""
        yield from self._chunks.ends(outcome, EMPTY)
        yield from self._chunks.end(outcome, {"timings": timings(outcome.replies)})

    def fail(self, error: ApiError) -> Iterable[bytes]:
        """See `Wire.fail`."""
        return [data_line(error_body(error, self._origin.request_id))]

    def whole(self, outcome: Outcome) -> object:
        """See `Wire.whole`."""
        choices = [
            whole_choice(
                index,
                message(self._style.field, reply.thinking, reply.answer),
                finish_reason(reply),
            )
            for index, reply in enumerate(outcome.replies)
        ]
        for choice, tokens in zip(choices, outcome.logprobs, strict=False):
            choice["logprobs"] = of_chat(tokens)
        return whole_completion(self._origin, KIND, outcome, choices)


def whole_choice(index: int, told: dict[str, Any], finish: str) -> dict[str, Any]:
    """A choice of a whole completion."""
    return {"index": index, "message": told, "logprobs": None, "finish_reason": finish}
