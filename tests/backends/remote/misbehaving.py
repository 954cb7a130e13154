"""A server on loopback that answers what a test wrote, and notes what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

DONE = b"data: [DONE]\n\n"


class Stall:
    """Stands for silence until the client goes away."""


@dataclass
class Answer:
    """What one request gets; `parts` go out one after the other, then the connection is closed."""

    parts: Iterable[bytes | Stall] = ()
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = "text/event-stream"


Script: TypeAlias = Callable[[dict[str, Any]], Answer]


def chunk(*, finish: str | None = None, usage: dict[str, Any] | None = None, **delta: Any) -> bytes:
    """A chunk of a chat completion."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body: dict[str, Any] = {"id": "chatcmpl-1", "choices": [choice]}
    if usage:
        body["usage"] = usage
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def reply(*pieces: bytes, finish: str = "stop") -> Answer:
    """A whole reply of these chunks."""
    return Answer([*pieces, chunk(finish=finish), DONE])


def refused(status: int, message: str = "no", **headers: str) -> Answer:
    """An error in OpenAI's shape."""
    body = json.dumps({"error": {"message": message}}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer([body], status, named, "application/json")


class _Server(ThreadingHTTPServer):
    """Lets many clients knock at once."""

    request_queue_size = 256


class Misbehaving:
    """Answers chat completions by a script: one answer after the other, or a function of each body.

    `bodies` are what was asked, `keys` and `cookies` these headers of all requests; `gone` is set
    once a client went away in the middle of an answer.
    """

    def __init__(self, *answers: Answer | Script, owner: str = "", pages: Any = None) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.keys: list[str | None] = []
        self.cookies: list[str | None] = []
        self.gone = threading.Event()
        self.pages: dict[str, Answer] = {"/v1/models": models("m", owner=owner), **(pages or {})}
        self._answers: Iterator[Answer | Script] = iter(answers)
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.stopping = threading.Event()
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def answer(self, path: str, body: dict[str, Any] | None) -> Answer:
        """The answer to a request."""
        if body is None or not (path in self.pages or path.endswith("/completions")):
            return self.pages.get(path, refused(404))
        self.bodies.append(body)
        if path in self.pages:
            return self.pages[path]
        answer = next(self._answers, refused(400, "the script is at its end"))
        return answer if isinstance(answer, Answer) else answer(body)

    def stop(self) -> None:
        """End it."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(None)

            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                self._answer(json.loads(self.rfile.read(size)))

            def _answer(self, body: dict[str, Any] | None) -> None:
                owner.paths.append(self.path)
                owner.keys.append(self.headers["Authorization"])
                owner.cookies.append(self.headers["Cookie"])
                answer = owner.answer(self.path, body)
                self.close_connection = True
                try:
                    self.send_response(answer.status)
                    self.send_header("Content-Type", answer.kind)
                    for name, value in answer.headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    for part in answer.parts:
                        self._send(part)
                except ConnectionError:  # it went away while this was written
                    owner.gone.set()

            def _send(self, part: bytes | Stall) -> None:
                if isinstance(part, bytes):
                    self.wfile.write(part)
                    self.wfile.flush()
                    return
                self.connection.settimeout(0.02)
                while not owner.stopping.is_set():
                    try:
                        data = self.connection.recv(1)
                    except TimeoutError:
                        continue
                    except ConnectionError:
                        data = b""
                    if not data:
                        owner.gone.set()
                        return

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


def models(*names: str, owner: str = "", **facts: Any) -> Answer:
    """A list of models."""
    data = [{"id": name, "object": "model", "owned_by": owner, **facts} for name in names]
    return Answer([json.dumps({"object": "list", "data": data}).encode()], kind="application/json")


def page(body: Any) -> Answer:
    """A page of JSON."""
    return Answer([json.dumps(body).encode()], kind="application/json")
