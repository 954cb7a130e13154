"""A small API of our own on a server: for tests of all that is below an API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from minireason.events import AnswerDelta, Done, Event, ThinkingDelta
from minireason.server.answering import Answer
from minireason.settings import Changes
from minireason.voting.solution import SolveEvent
from minireason.wire.call import Call, Origin, Outcome
from minireason.wire.errors import ApiError

PATH = "/plain"


class PlainWire:
    """One line an event; `fails` names the method that raises."""

    media_type = "text/plain"

    def __init__(self, origin: Origin, fails: str = "") -> None:
        self._origin, self._fails = origin, fails

    def _may_fail(self, name: str) -> None:
        if name == self._fails:
            raise RuntimeError(f"the wire fails in {name}")

    def begin(self) -> Iterator[bytes]:
        self._may_fail("begin")
        yield f"begin {self._origin.id} {self._origin.model}\n".encode()

    def event(self, index: int, event: Event | SolveEvent) -> Iterator[bytes]:
        self._may_fail("event")
        match event:
            case ThinkingDelta(text) | AnswerDelta(text):
                yield f"{index} {type(event).__name__} {text}\n".encode()
            case Done(reply):
                yield f"{index} done {reply.finish_reason}\n".encode()
            case _:
                yield f"{type(event).__name__}\n".encode()

    def ping(self) -> bytes:
        return b"ping\n"

    def end(self, outcome: Outcome) -> Iterator[bytes]:
        self._may_fail("end")
        yield b"end\n"

    def fail(self, error: ApiError) -> Iterator[bytes]:
        self._may_fail("fail")
        if self._fails == "both":
            raise RuntimeError("not even that")
        yield f"error {error.status} {error.message}\n".encode()

    def whole(self, outcome: Outcome) -> object:
        self._may_fail("whole")
        return {
            "id": self._origin.id,
            "model": self._origin.model,
            "answers": [reply.answer for reply in outcome.replies],
            "finish": [reply.finish_reason for reply in outcome.replies],
            "cached": [reply.usage.cached_tokens for reply in outcome.replies],
        }


def body(question: str = "1 + 1?", **more: Any) -> dict[str, Any]:
    """A request: `stream`, `n`, `model`, `fails` and `changes` to the settings."""
    return {"question": question, **more}


async def _answer(request: Request) -> Response:
    asked = await request.json()
    messages = asked.get("messages") or [{"role": "user", "content": asked["question"]}]
    call = Call(
        model=asked.get("model"),
        messages=messages,
        changes=Changes(**asked.get("changes", {})),
        choices=asked.get("n", 1),
        vote=asked.get("vote"),
        stream=asked.get("stream", False),
    )
    fails = asked.get("fails", "")
    return Answer(
        request,
        call,
        lambda origin: PlainWire(origin, fails),
        lambda error, origin: {"error": error.message, "model": origin.model},
        prefix="plain-",
    )


ROUTE = Route(PATH, _answer, methods=["POST"])
