"""What every request passes first, and what is noted of it: its id, its limits, a line of the log.

Who may use the server is said by `access`.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable

import anyio
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from minireason.server.access import Access, is_preflight, preflight_headers
from minireason.server.base import Server
from minireason.server.settings import ServerSettings
from minireason.server.shapes import error_response
from minireason.wire.errors import ApiError, api_error, stopping

_log = logging.getLogger("minireason.server")

GONE = 499
"""What the log says of a request whose client went away before there was a response."""

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SHOWN_OF_A_PATH = 200
_MOST_DIGITS = 18


class Guard:
    """Pure ASGI middleware around all others; `is_public` says which paths need no key."""

    def __init__(self, app: ASGIApp, *, server: Server, is_public: Callable[[str], bool]) -> None:
        self._app, self._server, self._is_public = app, server, is_public
        self._access = Access(server.settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or say why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        state = scope.setdefault("state", {})
        state["request_id"], state["owner"] = _request_id(headers), ""
        noted = _Noted(send, state["request_id"], self._access.cors(headers))
        try:
            refusal = self._refusal(scope, headers)
            if refusal:
                await refusal(scope, receive, noted.send)
            else:
                body = _Body(receive, self._server.settings)
                await self._app(scope, body.receive, noted.send)
        except Exception as error:  # the outermost place: nothing goes past it without an answer
            if noted.status is not None:
                raise
            _log.error("request %s failed: %s", state["request_id"], error, exc_info=error)
            response = error_response(scope["path"], api_error(error), state["request_id"])
            await response(scope, receive, noted.send)
        finally:
            self._note(scope, noted)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """What to answer instead of the app, if anything; notes whose request it is."""
        method, path, state = scope["method"], scope["path"], scope["state"]
        try:
            self._access.check_host(headers)
            self._access.check_origin(method, headers)
            if is_preflight(method, headers):
                response = Response(status_code=204)
                response.raw_headers += preflight_headers(headers)
                return response
            if not self._is_public(path):
                state["owner"] = self._access.owner(headers)
            if self._server.stopping:
                raise stopping()
            _check_length(headers, self._server.settings.max_body_bytes)
        except ApiError as error:
            return error_response(path, error, state["request_id"])
        return None

    def _note(self, scope: Scope, noted: _Noted) -> None:
        seconds, status = time.perf_counter() - noted.began, noted.status or GONE
        route = scope.get("route")
        api = route.path if isinstance(route, Route) else "other"
        self._server.metrics.request(api, status, seconds)
        path = scope["raw_path"].decode("latin-1")[:_SHOWN_OF_A_PATH]
        state = scope["state"]
        named = " ".join(filter(None, (state["request_id"], state["owner"])))
        _log.info("%s %s %d %.3fs %s", scope["method"], path, status, seconds, named)


class _Noted:
    """The response of a request on its way; it gets the id, and what CORS wants."""

    def __init__(self, send: Send, request_id: str, cors: list[tuple[bytes, bytes]]) -> None:
        self._send, self.began = send, time.perf_counter()
        named = request_id.encode()
        self._headers = [(b"x-request-id", named), (b"request-id", named), *cors]
        """Anthropic's clients look for it by its second name."""
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        """Send on."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": [*message.get("headers", ()), *self._headers]}
        await self._send(message)


class _Body:
    """The body of a request, within its limits of bytes and seconds."""

    def __init__(self, receive: Receive, settings: ServerSettings) -> None:
        self._receive, self._most_bytes = receive, settings.max_body_bytes
        self._timeout_s = settings.read_timeout_s
        self._ends_at = time.monotonic() + settings.read_timeout_s
        self._bytes = 0
        self._whole = False

    async def receive(self) -> Message:
        """The next message; raises ApiError 413 or 408. After the body it waits without limit."""
        if self._whole:
            return await self._receive()
        try:
            with anyio.fail_after(max(0.0, self._ends_at - time.monotonic())):
                message = await self._receive()
        except TimeoutError:
            raise ApiError(
                408,
                f"The body did not come within {self._timeout_s:g} seconds; send it faster.",
                "body_too_slow",
            ) from None
        self._bytes += len(message.get("body", b""))
        if self._bytes > self._most_bytes:
            raise _too_large(self._most_bytes)
        self._whole = not message.get("more_body", False)
        return message


def _check_length(headers: Headers, most_bytes: int) -> None:
    length = headers.get("content-length", "0")
    if length.isdecimal() and (len(length) > _MOST_DIGITS or int(length) > most_bytes):
        raise _too_large(most_bytes)


def _too_large(most_bytes: int) -> ApiError:
    problem = f"The body is larger than {most_bytes / 2**20:g} MiB; send less."
    return ApiError(413, problem, "body_too_large")


def _request_id(headers: Headers) -> str:
    """The client's own id, if it is a short word that harms no log, or a new one."""
    own = headers.get("x-request-id", "")
    return own if _ID.fullmatch(own) else f"req_{secrets.token_hex(8)}"
