"""One call from its place in the line to its last byte."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from minireason.aio import AsyncReasoner, AsyncStream
from minireason.backends.base import StreamOptions
from minireason.server.base import Server
from minireason.server.call import Call, Origin, Wire
from minireason.server.errors import ApiError, api_error
from minireason.server.replies import Piece, Replies, open_replies

_log = logging.getLogger(__name__)

ErrorShape = Callable[[ApiError, Origin], object]
"""How an API writes an error: the JSON of its body."""


class Answer(Response):
    """The response to a call: it waits for a place, runs the model and writes what comes.

    A client that goes away ends it, and frees its slot within a step. `api` names the route in
    metrics and log, `prefix` begins the id of the reply.
    """

    def __init__(
        self,
        request: Request,
        call: Call,
        wire_of: Callable[[Origin], Wire],
        error_shape: ErrorShape,
        *,
        prefix: str,
    ) -> None:
        self._server: Server = request.app.state.server
        self._request, self._call = request, call
        self._wire_of, self._error_shape = wire_of, error_shape
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
        writer = _Writer(scope, receive, send, self._server.settings.write_timeout_s)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_watch, receive, tasks.cancel_scope)
            await self._answer(writer)
            tasks.cancel_scope.cancel()

    async def _answer(self, writer: _Writer) -> None:
        server, call, origin = self._server, self._call, self._origin
        try:
            async with (
                server.places.take(origin.owner, call.choices),
                server.models.use(call.model) as reasoner,
            ):
                await self._run(reasoner, writer)
        except Exception as error:
            told = api_error(error)
            if told.status >= 500:
                _log.error("request %s failed: %s", origin.request_id, error, exc_info=error)
            if not writer.begun:
                await writer.json(self._error_shape(told, origin), told.status, _headers(told))

    async def _run(self, reasoner: AsyncReasoner, writer: _Writer) -> None:
        call, origin = self._call, self._origin
        origin = Origin(origin.id, origin.request_id, origin.created, reasoner.name, origin.owner)
        wire = self._wire_of(origin)
        options = StreamOptions()
        opened: list[Replies] = []

        def make() -> Replies:
            opened.append(open_replies(reasoner.backend, call, options))
            return opened[0]

        async with reasoner.open(make) as stream:
            replies = opened[0]
            key = (origin.owner, origin.id)
            self._server.running[key] = replies
            try:
                if call.stream:
                    await self._stream(wire, stream, replies, writer)
                else:
                    await self._whole(wire, stream, replies, writer)
            finally:
                del self._server.running[key]

    async def _whole(
        self, wire: Wire, stream: AsyncStream[Piece], replies: Replies, writer: _Writer
    ) -> None:
        while await stream.next_events():
            pass
        await writer.json(wire.whole(replies.outcome))

    async def _stream(
        self, wire: Wire, stream: AsyncStream[Piece], replies: Replies, writer: _Writer
    ) -> None:
        await writer.begin(wire.media_type)
        await writer.write(wire.begin())
        try:
            async for pieces in _pieces(stream, self._server.settings.ping_s):
                if pieces:
                    chunks = [wire.event(piece.index, piece.event) for piece in pieces]
                    await writer.write(chunk for part in chunks for chunk in part)
                else:
                    await writer.write([wire.ping()])
            await writer.write(wire.end(replies.outcome))
        except Exception as error:
            await writer.write(wire.fail(api_error(error)))
            raise
        finally:
            await writer.end()


async def _pieces(stream: AsyncStream[Piece], ping_s: float) -> AsyncIterator[list[Piece]]:
    """What comes, all that is there at a time; an empty list after a silence of `ping_s`."""
    while True:
        pieces: list[Piece] = []
        with anyio.move_on_after(ping_s) as silence:
            pieces = await stream.next_events()
        if not pieces and not silence.cancelled_caught:
            return
        yield pieces


async def _watch(receive: Receive, answering: anyio.CancelScope) -> None:
    """Cancel the answer once its client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
    answering.cancel()


def _headers(error: ApiError) -> dict[str, str]:
    return {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}


class _Writer:
    """Writes a response; raises TimeoutError where the client takes nothing for too long."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, timeout_s: float) -> None:
        self._scope, self._receive, self._send, self._timeout_s = scope, receive, send, timeout_s
        self.begun = False

    async def json(
        self, body: object, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        """A whole response."""
        self.begun = True
        with anyio.fail_after(self._timeout_s):
            await JSONResponse(body, status, headers)(self._scope, self._receive, self._send)

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
            with anyio.fail_after(self._timeout_s):
                await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self) -> None:
        """The end of a stream."""
        with anyio.fail_after(self._timeout_s):
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
