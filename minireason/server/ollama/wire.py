"""Ollama's way of writing a reply: JSON lines, or one JSON object.

The text of lines is ASCII, for some clients take U+2028 and its like for the end of a line.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from minireason.events import AnswerDelta, Event, Reply, ThinkingDelta
from minireason.server.times import nanoseconds, rfc3339
from minireason.voting.solution import SolveEvent
from minireason.wire.call import Origin, Outcome
from minireason.wire.errors import ApiError
from minireason.wire.logprobs import ScoredDelta
from minireason.wire.openai.logprobs import of_tokens
from minireason.wire.ours import extra, output_tokens


class _LinesWire(ABC):
    """What /api/chat and /api/generate write alike; a `Wire`.

    `model` is the name that the request gave.
    """

    media_type = "application/x-ndjson"

    def __init__(self, origin: Origin, model: str | None) -> None:
        self._origin = origin
        self._head = {"model": model or origin.model, "created_at": rfc3339(origin.created)}
        head = json.dumps(self._head, separators=(",", ":"))[:-1]
        thinking, answer, after = self._around()
        self._thinking = f"{head},{thinking}".encode()
        self._answer = f"{head},{answer}".encode()
        self._closing = after
        self._after = f'{after},"done":false}}\n'.encode()

    def begin(self) -> Iterable[bytes]:
        """See `Wire.begin`."""
        return ()

    def event(self, index: int, event: Event | SolveEvent) -> Iterable[bytes]:
        """See `Wire.event`."""
        match event:
            case ThinkingDelta(text=text):
                return self._thinking, json.dumps(text).encode(), self._after
            case ScoredDelta(text=text, logprobs=tokens):
                after = (
                    f'{self._closing},"logprobs":{json.dumps(of_tokens(tokens))},"done":false}}\n'
                )
                return self._answer, json.dumps(text).encode(), after.encode()
            case AnswerDelta(text=text):
                return self._answer, json.dumps(text).encode(), self._after
            case _:
                return ()

    def ping(self) -> bytes:
        """See `Wire.ping`: a line of nothing breaks clients."""
        return b""

    def end(self, outcome: Outcome) -> Iterable[bytes]:
        """See `Wire.end`."""
        return (line({**self._head, **self._reply("", ""), **self._ended(outcome)}),)

    def fail(self, error: ApiError) -> Iterable[bytes]:
        """See `Wire.fail`."""
        return (line(error_body(error, "")),)

    def whole(self, outcome: Outcome) -> dict[str, Any]:
        """See `Wire.whole`."""
        reply = outcome.replies[0]
        texts = self._reply(reply.answer, reply.thinking)
        scores = {"logprobs": of_tokens(outcome.logprobs[0])} if outcome.logprobs else {}
        return {**self._head, **texts, **scores, **self._ended(outcome)}

    def without_reply(self, reason: str) -> dict[str, Any]:
        """What a request that only loads or unloads a model is answered."""
        return {**self._head, **self._reply("", ""), "done": True, "done_reason": reason}

    def _ended(self, outcome: Outcome) -> dict[str, Any]:
        """The last line of a reply but for its text."""
        reply = outcome.replies[0]
        return {
            "done": True,
            "done_reason": "length" if reply.finish_reason == "length" else "stop",
            **_counts(reply),
            "minireason": extra(self._origin, outcome),
        }

    @abstractmethod
    def _around(self) -> tuple[str, str, str]:
        """The JSON before a piece of thinking, before one of the answer, and after either."""

    @abstractmethod
    def _reply(self, answer: str, thinking: str) -> dict[str, Any]:
        """The fields of a reply's text."""


class ChatWire(_LinesWire):
    """Writes the reply of /api/chat."""

    def _around(self) -> tuple[str, str, str]:
        begun = '"message":{"role":"assistant","content":'
        return f'{begun}"","thinking":', begun, "}"

    def _reply(self, answer: str, thinking: str) -> dict[str, Any]:
        thought = {"thinking": thinking} if thinking else {}
        return {"message": {"role": "assistant", "content": answer, **thought}}


class GenerateWire(_LinesWire):
    """Writes the reply of /api/generate."""

    def _around(self) -> tuple[str, str, str]:
        return '"response":"","thinking":', '"response":', ""

    def _reply(self, answer: str, thinking: str) -> dict[str, Any]:
        return {"response": answer, **({"thinking": thinking} if thinking else {})}


def line(value: object) -> bytes:
    """A JSON line."""
    return json.dumps(value).encode() + b"\n"


def error_body(error: ApiError, request_id: str) -> dict[str, Any]:
    """An error in Ollama's shape, which has no place for the id of a request."""
    return {"error": error.message}


def _counts(reply: Reply) -> dict[str, int]:
    """Tokens and nanoseconds; the tokens of a reply include its thinking."""
    times = reply.timings
    return {
        "total_duration": nanoseconds(times.load_s + times.total_s),
        "load_duration": nanoseconds(times.load_s),
        "prompt_eval_count": reply.usage.prompt_tokens,
        "prompt_eval_duration": nanoseconds(times.prefill_s),
        "eval_count": output_tokens(reply),
        "eval_duration": nanoseconds(max(0.0, times.total_s - times.prefill_s)),
    }
