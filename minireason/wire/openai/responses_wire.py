"""How a response of OpenAI's Responses API is written, streamed and whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from minireason.events import AnswerDelta, Event, Reply, ThinkingDelta, TokenLogprob
from minireason.voting.solution import SolveEvent
from minireason.wire.call import Origin, Outcome
from minireason.wire.errors import ApiError
from minireason.wire.logprobs import ScoredDelta
from minireason.wire.openai.logprobs import of_tokens
from minireason.wire.openai.shapes import (
    EVENT_STREAM,
    PING,
    compact,
    finish_reason,
    tally,
    timings,
)
from minireason.wire.ours import extra

SILENT_EVENTS = 64
"""So many events of which the client sees nothing are told it by a comment."""

Status: TypeAlias = Literal["in_progress", "completed", "incomplete", "failed"]


@dataclass(frozen=True, slots=True)
class ResponseStyle:
    """How a client wants a response written, and what of its request the response repeats."""

    asked: Mapping[str, Any] = field(default_factory=dict)
    shows_thought: bool = True


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of item: the type of the item, of its part, and the beginning of its events' names."""

    item: str
    part: str
    event: str
    prefix: str
    fields: Mapping[str, Any]


THOUGHT = Kind("reasoning", "reasoning_text", "response.reasoning_text", "rs_", {"summary": []})
MESSAGE = Kind("message", "output_text", "response.output_text", "msg_", {"role": "assistant"})

Tokens: TypeAlias = Sequence[TokenLogprob]


class OpenItem:
    """An item of the output while it is streamed."""

    def __init__(self, kind: Kind, origin: Origin, index: int) -> None:
        self.kind, self.texts, self.tokens = kind, list[str](), list[TokenLogprob]()
        self.place = {"item_id": _item_id(kind, origin), "output_index": index, "content_index": 0}
        fields = {"type": f"{kind.event}.delta", **self.place}
        self._head = f"event: {kind.event}.delta\ndata: {compact(fields)[:-1]}"

    def delta(self, text: str, tokens: Tokens, number: int) -> bytes:
        """The event of a piece of text."""
        self.texts.append(text)
        self.tokens += tokens
        more = ""
        if self.kind is MESSAGE:
            more = f',"logprobs":{compact(of_tokens(tokens))}' if tokens else ',"logprobs":[]'
        written = f'"delta":{compact(text)}{more},"sequence_number":{number}'
        return f"{self._head},{written}}}\n\n".encode()


class ResponseWire:
    """A response: at most one thought and one message."""

    media_type = EVENT_STREAM

    def __init__(self, origin: Origin, style: ResponseStyle) -> None:
        self._origin, self._style = origin, style
        self._number = self._silent = 0
        self._open: OpenItem | None = None
        self._output: list[dict[str, Any]] = []

    def begin(self) -> Iterable[bytes]:
        """See `Wire.begin`."""
        for name in ("created", "in_progress"):
            yield self._event(f"response.{name}", {"response": self._response("in_progress")})

    def event(self, index: int, event: Event | SolveEvent) -> Iterable[bytes]:
        """See `Wire.event`."""
        match event:
            case ThinkingDelta(text) if self._style.shows_thought:
                return self._piece(THOUGHT, text)
            case ScoredDelta(text, tokens):
                return self._piece(MESSAGE, text, tokens)
            case AnswerDelta(text):
                return self._piece(MESSAGE, text)
            case _:
                self._silent += 1
                return () if self._silent % SILENT_EVENTS else (PING,)

    def ping(self) -> bytes:
        """See `Wire.ping`."""
        return PING

    def end(self, outcome: Outcome) -> Iterable[bytes]:
        """See `Wire.end`."""
        reply = outcome.replies[0]
        status = _status(reply)
        opened = self._open is not None and self._open.kind is MESSAGE
        if _has_message(reply) and not opened:
            yield from self._close("completed")
            self._open = OpenItem(MESSAGE, self._origin, len(self._output))
            yield from self._begin(self._open)
        yield from self._close(status)
        whole = self._whole(outcome, self._output)
        yield self._event(f"response.{status}", {"response": whole})

    def fail(self, error: ApiError) -> Iterable[bytes]:
        """See `Wire.fail`."""
        code = "invalid_prompt" if error.status < 500 else "server_error"
        told = {"code": code, "message": error.message}
        response = {**self._response("failed"), "output": self._output, "error": told}
        yield self._event("response.failed", {"response": response})

    def whole(self, outcome: Outcome) -> object:
        """See `Wire.whole`."""
        reply = outcome.replies[0]
        has_message, output = _has_message(reply), []
        if reply.thinking and self._style.shows_thought:
            status = "completed" if has_message else _status(reply)
            output.append(_item(THOUGHT, self._origin, status, _part(THOUGHT, reply.thinking)))
        if has_message:
            tokens = outcome.logprobs[0] if outcome.logprobs else ()
            part = _part(MESSAGE, reply.answer, tokens)
            output.append(_item(MESSAGE, self._origin, _status(reply), part))
        return self._whole(outcome, output)

    def _piece(self, kind: Kind, text: str, tokens: Tokens = ()) -> Iterable[bytes]:
        item, opening = self._open, list[bytes]()
        if item is None or item.kind is not kind:
            opening += self._close("completed")
            item = self._open = OpenItem(kind, self._origin, len(self._output))
            opening += self._begin(item)
        self._number += 1
        return (*opening, item.delta(text, tokens, self._number - 1))

    def _begin(self, item: OpenItem) -> Iterator[bytes]:
        """Tell of an item that was opened, and of its one part."""
        kind = item.kind
        told = {"output_index": len(self._output), "item": _item(kind, self._origin, "in_progress")}
        yield self._event("response.output_item.added", told)
        yield self._event("response.content_part.added", {**item.place, "part": _part(kind, "")})

    def _close(self, status: Status) -> Iterator[bytes]:
        """Close the item that is open, if there is one."""
        item, self._open = self._open, None
        if item is None:
            return
        kind, text = item.kind, "".join(item.texts)
        whole = {**item.place, "text": text, **_logprobs(kind, item.tokens)}
        yield self._event(f"{kind.event}.done", whole)
        part = _part(kind, text, item.tokens)
        yield self._event("response.content_part.done", {**item.place, "part": part})
        told = _item(kind, self._origin, status, part)
        done = {"output_index": len(self._output), "item": told}
        self._output.append(told)
        yield self._event("response.output_item.done", done)

    def _event(self, name: str, fields: Mapping[str, Any]) -> bytes:
        told = {"type": name, "sequence_number": self._number, **fields}
        self._number += 1
        return f"event: {name}\ndata: {compact(told)}\n\n".encode()

    def _whole(self, outcome: Outcome, output: list[dict[str, Any]]) -> dict[str, Any]:
        reply = outcome.replies[0]
        status = _status(reply)
        cut = {"reason": "max_output_tokens"} if status == "incomplete" else None
        return {
            **self._response(status),
            "output": output,
            "incomplete_details": cut,
            "usage": _usage(outcome),
            "timings": timings([reply]),
            "minireason": extra(self._origin, outcome),
        }

    def _response(self, status: Status) -> dict[str, Any]:
        """A response without output."""
        asked = self._style.asked
        return {
            "id": self._origin.id,
            "object": "response",
            "created_at": self._origin.created,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": asked.get("instructions"),
            "max_output_tokens": asked.get("max_output_tokens"),
            "metadata": {},
            "model": self._origin.model,
            "output": [],
            "parallel_tool_calls": False,
            "previous_response_id": None,
            "reasoning": asked.get("reasoning") or {"effort": None, "summary": None},
            "store": False,
            "temperature": asked.get("temperature"),
            "text": asked.get("text") or {"format": {"type": "text"}},
            "tool_choice": "none",
            "tools": [],
            "top_p": asked.get("top_p"),
            "truncation": "disabled",
            "usage": None,
            "user": asked.get("user"),
        }


def _status(reply: Reply) -> Literal["completed", "incomplete"]:
    return "incomplete" if finish_reason(reply) == "length" else "completed"


def _has_message(reply: Reply) -> bool:
    """Whether there is a message: not where the reply was cut off inside its thought."""
    return bool(reply.answer) or _status(reply) == "completed"


def _item_id(kind: Kind, origin: Origin) -> str:
    return kind.prefix + origin.id.rpartition("_")[2]


def _item(kind: Kind, origin: Origin, status: Status, *parts: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": _item_id(kind, origin),
        "type": kind.item,
        "status": status,
        **kind.fields,
        "content": list(parts),
    }


def _part(kind: Kind, text: str, tokens: Tokens = ()) -> dict[str, Any]:
    annotations: dict[str, Any] = {"annotations": []} if kind is MESSAGE else {}
    return {"type": kind.part, "text": text, **annotations, **_logprobs(kind, tokens)}


def _logprobs(kind: Kind, tokens: Tokens) -> dict[str, Any]:
    """The log-probabilities that a message has, perhaps of no token, and a thought has not."""
    return {"logprobs": of_tokens(tokens)} if kind is MESSAGE else {}


def _usage(outcome: Outcome) -> dict[str, Any]:
    counts = tally(outcome)
    cached = counts.cached or 0
    return {
        "input_tokens": counts.prompt,
        "input_tokens_details": {
            "cached_tokens": cached,
            "cache_write_tokens": counts.prompt - cached,
        },
        "output_tokens": counts.completion,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning},
        "total_tokens": counts.prompt + counts.completion,
    }
