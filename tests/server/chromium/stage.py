"""A server that plays the API for the page: what it says is written by the test, step by step."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from minireason.server.page import routes

WAIT_S = 30
Chunk = dict[str, Any]


def think(text: str) -> Chunk:
    """A piece of the thought."""
    return {"choices": [{"delta": {"reasoning_content": text, "reasoning": text}}]}


def say(text: str) -> Chunk:
    """A piece of the answer."""
    return {"choices": [{"delta": {"content": text}}]}


def happens(event: str, /, **facts: Any) -> Chunk:
    """An event of a vote."""
    return {"choices": [{"delta": {}}], "minireason": {"event": {"type": event, **facts}}}


def ends(thinking: int = 0, answer: int = 0, finish: str = "stop", **extra: Any) -> list[Chunk]:
    """The last chunks of a reply: why it ended, and what it used."""
    usage = {
        "completion_tokens": thinking + answer,
        "completion_tokens_details": {"reasoning_tokens": thinking},
    }
    last = {"choices": [{"delta": {}, "finish_reason": finish}]}
    return [last, {"choices": [], "usage": usage, "timings": {}, "minireason": extra}]


def fails(message: str) -> Chunk:
    """An error in the middle of a stream."""
    return {"error": {"message": message, "type": "server_error"}}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer with a status that is no 200."""

    status: int
    message: str


CUT = "cut"
"""A step: the connection ends, without a last chunk."""

UNTIL_ANSWER_NOW = "until answer now"
"""A step: nothing more comes until the reader asks for the answer."""

Step = Chunk | str | threading.Event
Script = list[Step] | Refusal


@dataclass
class Stage:
    """What the server says, and what it was asked."""

    models: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {"id": "tiny", "minireason": {"thinks": True, "n_ctx": 2048, "loaded": True}},
            {"id": "plain", "minireason": {"thinks": False, "n_ctx": 2048, "loaded": False}},
        ]
    )
    key: str = ""
    sessions: dict[str, Any] | None = None
    scripts: deque[Script] = field(default_factory=deque)
    asked: list[dict[str, Any]] = field(default_factory=list)
    ended_now: list[str] = field(default_factory=list)
    abandoned: threading.Event = field(default_factory=threading.Event)
    """Set once a client went away in the middle of a reply."""

    def will(self, *steps: Step | list[Chunk] | Refusal) -> None:
        """Write what the next completion says: steps, or a refusal alone."""
        script: list[Step] = []
        for step in steps:
            if isinstance(step, Refusal):
                self.scripts.append(step)
                return
            if isinstance(step, list):
                script += step
            else:
                script.append(step)
        self.scripts.append(script)

    def app(self) -> Starlette:
        """The page, and the API under it."""
        chat = "/v1/chat/completions"
        return Starlette(
            routes=[
                *routes(),
                Route("/v1/models", self._models),
                Route(chat, self._chat, methods=["POST"]),
                Route(f"{chat}/control", self._control, methods=["POST"]),
                Route("/sessions", self._list),
                Route("/sessions/{name}", self._session, methods=["GET", "PUT", "DELETE"]),
            ]
        )

    def _refused(self, request: Request) -> Response | None:
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            return _error(Refusal(401, "This server needs an API key."))
        return None

    async def _models(self, request: Request) -> Response:
        return self._refused(request) or JSONResponse({"object": "list", "data": self.models})

    async def _chat(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        self.asked.append(await request.json())
        script = self.scripts.popleft()
        if isinstance(script, Refusal):
            return _error(script)
        reply_id = f"chatcmpl-{len(self.asked)}"
        stream = self._stream(request, reply_id, script)
        return StreamingResponse(stream, media_type="text/event-stream")

    async def _stream(
        self, request: Request, reply_id: str, script: list[Step]
    ) -> AsyncIterator[str]:
        yield ": the prompt is read\n\n"
        yield _event({"id": reply_id, "choices": [{"delta": {"role": "assistant"}}]})
        try:
            for step in script:
                if step == CUT:
                    return
                if isinstance(step, dict):
                    yield _event({"id": reply_id, "model": "tiny", **step})
                elif not await self._waited(request, reply_id, step):
                    self.abandoned.set()
                    return
        except asyncio.CancelledError:
            self.abandoned.set()
            raise
        yield "data: [DONE]\n\n"

    async def _waited(self, request: Request, reply_id: str, step: str | threading.Event) -> bool:
        """Wait for what a step waits for; gives whether the client is still there."""
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            done = reply_id in self.ended_now if isinstance(step, str) else step.is_set()
            if done:
                return True
            if await request.is_disconnected():
                return False
            await asyncio.sleep(0.01)
        raise TimeoutError("The test forgot to open a gate.")

    async def _control(self, request: Request) -> Response:
        body = await request.json()
        assert body["action"] == "reasoning_end"
        self.ended_now.append(body["id"])
        return JSONResponse({"success": True})

    async def _list(self, request: Request) -> Response:
        if self.sessions is None:
            return _error(Refusal(404, "This server keeps no sessions."))
        listed = [
            {"name": name, "title": body["title"], "updated": index}
            for index, (name, body) in enumerate(self.sessions.items(), 1)
        ]
        return JSONResponse({"sessions": listed})

    async def _session(self, request: Request) -> Response:
        assert self.sessions is not None
        name = request.path_params["name"]
        if request.method == "PUT":
            self.sessions[name] = await request.json()
        elif request.method == "DELETE":
            self.sessions.pop(name, None)
        elif name not in self.sessions:
            return _error(Refusal(404, "There is no such session."))
        return JSONResponse(self.sessions.get(name, {}))


def _event(chunk: Chunk) -> str:
    return f"data: {json.dumps(chunk)}\n\n"


def _error(refusal: Refusal) -> Response:
    return JSONResponse({"error": {"message": refusal.message}}, refusal.status)


@contextlib.contextmanager
def serving(app: Starlette) -> Iterator[str]:
    """Serve an app on a free port of loopback; gives its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, log_level="error", lifespan="off", timeout_graceful_shutdown=1, ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
