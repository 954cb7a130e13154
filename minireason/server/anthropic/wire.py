"""Anthropic's way of writing a reply: a message of content blocks, whole or as server-sent events.

https://platform.claude.com/docs/en/build-with-claude/streaming. The text of events is ASCII, for
some clients take U+2028 and its like for the end of a line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

from minireason.events import AnswerDelta, Event, Reply, ThinkingDelta
from minireason.voting.solution import SolveEvent
from minireason.wire.call import Origin, Outcome
from minireason.wire.errors import ApiError
from minireason.wire.ours import extra, output_tokens

Display: TypeAlias = Literal["shown", "omitted", "hidden"]
"""Whether a thought is in a block, has an empty block in its place, or none."""

PING = b'event: ping\ndata: {"type":"ping"}\n\n'

UNSEEN_DELTAS = 16
"""After so many pieces of a thought that is not shown the client gets a ping."""

_BLOCKS = {
    "thinking": {"type": "thinking", "thinking": "", "signature": ""},
    "text": {"type": "text", "text": ""},
}


class MessageWire:
    """Writes one message; a `Wire`.

    A block of text comes in every message, for many clients read the first without looking.
    """

    media_type = "text/event-stream"

    def __init__(self, origin: Origin, display: Display = "shown") -> None:
        self._origin, self._display = origin, display
        self._block: str | None = None
        """The block that is open."""
        self._blocks = self._unseen = 0
        self._before = b""
        """What each delta of the open block begins with."""

    def begin(self) -> Iterable[bytes]:
        """See `Wire.begin`; the tokens of the prompt are told at the end."""
        return _sse("message_start", message=self._message(None, [])), PING

    def event(self, index: int, event: Event | SolveEvent) -> Iterable[bytes]:
        """See `Wire.event`."""
        match event:
            case ThinkingDelta(text=text):
                return self._think(text)
            case AnswerDelta(text=text):
                return self._delta("text", text)
            case _:
                return ()

    def ping(self) -> bytes:
        """See `Wire.ping`."""
        return PING

    def end(self, outcome: Outcome) -> Iterable[bytes]:
        """See `Wire.end`."""
        reply = outcome.replies[0]
        yield from self._opened("text")
        yield from self._closed()
        ours = extra(self._origin, outcome)
        yield _sse("message_delta", delta=_stop(reply), usage=_usage(reply), minireason=ours)
        yield _sse("message_stop")

    def fail(self, error: ApiError) -> Iterable[bytes]:
        """See `Wire.fail`."""
        return (_event("error", error_body(error, self._origin.request_id)),)

    def whole(self, outcome: Outcome) -> dict[str, Any]:
        """See `Wire.whole`."""
        reply = outcome.replies[0]
        blocks: list[dict[str, Any]] = []
        if reply.thinking and self._display != "hidden":
            thinking = reply.thinking if self._display == "shown" else ""
            blocks.append({**_BLOCKS["thinking"], "thinking": thinking})
        blocks.append({**_BLOCKS["text"], "text": reply.answer})
        return {**self._message(reply, blocks), "minireason": extra(self._origin, outcome)}

    def _message(self, reply: Reply | None, blocks: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._origin.id,
            "type": "message",
            "role": "assistant",
            "model": self._origin.model,
            "content": blocks,
            **_stop(reply),
            "usage": _usage(reply),
        }

    def _think(self, text: str) -> Iterable[bytes]:
        if self._display == "shown":
            return self._delta("thinking", text)
        opened = self._opened("thinking") if self._display == "omitted" else []
        self._unseen += 1
        return [*opened, PING] if self._unseen % UNSEEN_DELTAS == 0 else opened

    def _delta(self, block: str, text: str) -> Iterable[bytes]:
        opened = self._opened(block)
        return *opened, self._before + json.dumps(text).encode() + b"}}\n\n"

    def _opened(self, block: str) -> list[bytes]:
        """What opens a block and closes the one before; nothing where it is open."""
        if block == self._block:
            return []
        closed = self._closed()
        start = _sse("content_block_start", index=self._blocks, content_block=_BLOCKS[block])
        self._block = block
        kind = f'"delta":{{"type":"{block}_delta","{block}":'
        data = f'{{"type":"content_block_delta","index":{self._blocks},{kind}'
        self._before = f"event: content_block_delta\ndata: {data}".encode()
        return [*closed, start]

    def _closed(self) -> list[bytes]:
        """What closes the block that is open."""
        if self._block is None:
            return []
        number, events = self._blocks, []
        if self._block == "thinking":
            signature = {"type": "signature_delta", "signature": ""}
            events.append(_sse("content_block_delta", index=number, delta=signature))
        events.append(_sse("content_block_stop", index=number))
        self._block, self._blocks = None, number + 1
        return events


def error_body(error: ApiError, request_id: str) -> dict[str, Any]:
    """An error in Anthropic's shape."""
    told = {"type": error.kind, "message": error.message}
    return {"type": "error", "error": told, "request_id": request_id}


def _stop(reply: Reply | None) -> dict[str, str | None]:
    """Why a reply ended; nothing is known of one that goes on."""
    if reply is None:
        return {"stop_reason": None, "stop_sequence": None}
    if reply.finish_reason == "length":
        return {"stop_reason": "max_tokens", "stop_sequence": None}
    reason = "end_turn" if reply.stop_text is None else "stop_sequence"
    return {"stop_reason": reason, "stop_sequence": reply.stop_text}


def _usage(reply: Reply | None) -> dict[str, Any]:
    """Counts of tokens: the prompt's parts add up to the prompt."""
    if reply is None:
        return {
            "input_tokens": 0,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 0,
        }
    usage = reply.usage
    return {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": output_tokens(reply),
        "output_tokens_details": {"thinking_tokens": output_tokens(reply) - usage.answer_tokens},
    }


def _sse(kind: str, **fields: Any) -> bytes:
    return _event(kind, {"type": kind, **fields})


def _event(kind: str, data: dict[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()
