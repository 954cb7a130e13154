"""One call from its place in the line to its last byte."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeAlias

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from minireason.aio import AsyncEvents, AsyncReasoner
from minireason.backends.base import StreamOptions
from minireason.messages import Message
from minireason.server.base import Server
from minireason.server.replies import Piece, Replies, open_replies, places_of
from minireason.wire.call import Call, Origin, Outcome, Wire, WireOf
from minireason.wire.errors import ApiError, api_error

_log = logging.getLogger("minireason.server")

ErrorShape = Callable[[ApiError, Origin], object]
"""How an API writes an error: the JSON of its body."""

Stream: TypeAlias = AsyncEvents[Any, Piece]


class Answer(Response):
    """The response to a call: it waits for a place, runs the model and writes what comes.

    A client that goes away ends it, and frees its slot within a step. `prefix` begins the id of the
    reply.
    """

    def __init__(
        self,
        request: Request,
        call: Call,
        wire_of: WireOf,
        error_shape: ErrorShape,
        *,
        prefix: str,
    ) -> None:
        self._server: Server = request.app.state.server
        self._call, self._wire_of, self._error_shape = call, wire_of, error_shape
        self._origin = Origin(
            id=prefix + secrets.token_hex(12),
            request_id=request.state.request_id,
            created=int(time.time()),
            model=call.model or "",
            owner=request.state.owner,
        )
        self._began = time.perf_counter()
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and stop as soon as the client is gone."""
        writer = _Writer(scope, receive, send)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(writer.watch, tasks.cancel_scope)
            await self._answer(writer)
            tasks.cancel_scope.cancel()

    async def _answer(self, writer: _Writer) -> None:
        try:
            await self._take_and_run(writer)
        except Exception as error:  # whatever it is, the client is told, and the server goes on
            told = self._told(error)
            if writer.begun:
                raise  # the connection is closed in the middle, which tells the client
            body = self._error_shape(told, self._origin)
            await writer.json(body, told.status, _headers(told))

    async def _take_and_run(self, writer: _Writer) -> None:
        """Answer once there is a model and a place; both are free again afterwards."""
        server, call, owner = self._server, self._call, self._origin.owner
        async with server.models.use(call.model) as reasoner:
            of = reasoner.backend.max_parallel
            async with server.places.take(reasoner.name, of, owner, places_of(call, of)):
                outcome = await self._run(reasoner, writer)
            if outcome:
                self._note(reasoner, outcome)

    async def _run(self, reasoner: AsyncReasoner, writer: _Writer) -> Outcome | None:
        """Write the reply; None where it failed after it had begun."""
        call = self._call
        origin = self._origin = replace(self._origin, model=reasoner.name)
        wire, options = self._wire_of(origin), StreamOptions(cache_scope=origin.owner)

        def make() -> Replies:
            return open_replies(reasoner.backend, call, options)

        async with reasoner.open(make) as stream:
            key = (origin.owner, origin.id)
            self._server.running[key] = stream.source
            try:
                write = self._stream if call.stream else self._whole
                return await write(wire, stream, writer)
            finally:
                del self._server.running[key]

    async def _whole(self, wire: Wire, stream: Stream, writer: _Writer) -> Outcome:
        async for _ in self._pieces(stream):
            pass
        outcome: Outcome = stream.source.outcome
        await writer.json(wire.whole(outcome))
        return outcome

    async def _stream(self, wire: Wire, stream: Stream, writer: _Writer) -> Outcome | None:
        outcome: Outcome | None = None
        await writer.begin(wire.media_type)
        try:
            await writer.write(wire.begin())
            async for pieces in self._pieces(stream):
                await writer.write(_chunks(wire, pieces))
            outcome = stream.source.outcome
            last = list(wire.end(outcome))
        except Exception as error:  # once a stream has begun, it is told within
            last = list(wire.fail(self._told(error)))
        await writer.end(last)
        return outcome

    async def _pieces(self, stream: Stream) -> AsyncIterator[list[Piece]]:
        """What comes, all that is there at a time; an empty list after a silence of `ping_s`."""
        first = True
        while True:
            pieces: list[Piece] = []
            with anyio.move_on_after(self._server.settings.ping_s) as silence:
                pieces = await stream.next_events()
            if not pieces and not silence.cancelled_caught:
                return
            if pieces and first:
                first = False
                passed_s = time.perf_counter() - self._began
                self._server.metrics.first_token(self._origin.model, passed_s)
            yield pieces

    def _told(self, error: Exception) -> ApiError:
        """What the client is told of an error; the log has the rest."""
        told = api_error(error)
        if told.status >= 500 and not isinstance(error, ApiError):
            _log.error("request %s failed: %s", self._origin.request_id, error, exc_info=error)
        return told

    def _note(self, reasoner: AsyncReasoner, outcome: Outcome) -> None:
        """Count a reply, and have the conversation read ahead that it belongs to."""
        call, server = self._call, self._server
        server.metrics.reply(reasoner.name, outcome)
        said = conversation(call, outcome)
        if said:
            server.ahead.note(reasoner, said, self._origin.owner)
        if server.settings.log_prompts:
            asked = call.prompt if call.prompt is not None else call.messages
            told = [(reply.thinking, reply.answer) for reply in outcome.replies]
            _log.info("%s asked %r, told %r", self._origin.request_id, asked, told)


def conversation(call: Call, outcome: Outcome) -> list[Message]:
    """What the next turn will begin with; nothing where there is no such turn to expect."""
    if call.vote or call.prompt is not None or len(outcome.replies) != 1:
        return []
    answer = outcome.replies[0].answer
    if not answer.strip() or not call.messages or call.messages[-1]["role"] != "user":
        return []
    return [*call.messages, Message(role="assistant", content=answer)]


def _chunks(wire: Wire, pieces: Iterable[Piece]) -> Iterator[bytes]:
    """The bytes of what came; a ping where nothing did."""
    silent = True
    for piece in pieces:
        silent = False
        yield from wire.event(piece.index, piece.event)
    if silent:
        yield wire.ping()


def _headers(error: ApiError) -> dict[str, str]:
    return {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}


class _Writer:
    """Writes a response; how long a client may take over it is the affair of `protocol`."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self.begun = self.ended = False

    async def watch(self, answering: anyio.CancelScope) -> None:
        """Cancel the answer once its client is gone before the end."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not self.ended:
            answering.cancel()

    async def json(
        self, body: object, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        """A whole response."""
        response = JSONResponse(body, status, headers)
        self.begun = self.ended = True
        await response(self._scope, self._receive, self._send)

    async def begin(self, media_type: str) -> None:
        """The head of a stream."""
        self.begun = True
        headers = [
            (b"content-type", media_type.encode()),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def write(self, chunks: Iterable[bytes]) -> None:
        """The next bytes of a stream."""
        body = b"".join(chunks)
        if body:
            await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self, chunks: Iterable[bytes]) -> None:
        """The last bytes of a stream."""
        self.ended = True
        body = b"".join(chunks)
        await self._send({"type": "http.response.body", "body": body, "more_body": False})
