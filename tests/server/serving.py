"""A real server in a thread of its own, with whatever models a test gives it."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import httpx2

from minireason import Reasoner
from minireason.server.app import create_app
from minireason.server.base import Server
from minireason.server.models import ModelPool
from minireason.server.server import Running, listen, url_of
from minireason.server.settings import ServerSettings
from tests.server import plain

WAIT_S = 60.0
"""No test is right or wrong by how long something takes; after this it has failed."""


class Served:
    """A server that runs; `state` has its parts, `pool` its models."""

    def __init__(
        self,
        reasoners: Sequence[Reasoner],
        *,
        open_model: Callable[[str], Reasoner] | None = None,
        **settings: Any,
    ) -> None:
        asked = ServerSettings(**{"port": 0, "stop_after_s": 1.0, **settings})
        self._bound = listen(asked)
        self.url = url_of(self._bound)
        self.port: int = self._bound.getsockname()[1]
        self.pool = ModelPool(asked, reasoners, open_model)
        app = create_app(asked, self.pool)
        app.router.routes.append(plain.ROUTE)
        self.state: Server = app.state.server
        ready = threading.Event()
        self.running = Running(app, ready.set)
        self._thread = threading.Thread(
            target=lambda: self.running.run(sockets=[self._bound]), daemon=True
        )
        self._thread.start()
        assert ready.wait(WAIT_S), "it did not start"

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._thread.is_alive()

    def client(self, **options: Any) -> httpx2.Client:
        """A client of this server; to be closed."""
        options |= {"trust_env": False, "verify": False}  # certificates take 30 ms to read
        return httpx2.Client(base_url=self.url, timeout=WAIT_S, **options)

    def connect(self, receive_bytes: int | None = None) -> socket.socket:
        """A connection to it, with a small buffer for what it receives, if one is said."""
        own = socket.socket()
        own.settimeout(WAIT_S)
        if receive_bytes:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        own.connect(("127.0.0.1", self.port))
        return own

    def raw(self, data: bytes) -> bytes:
        """What comes back for these bytes until the server closes."""
        with self.connect() as own:
            own.sendall(data)
            return read_to_end(own)

    def begin_to_stop(self) -> None:
        """Stop it; wait only where a reply runs, whose end is told in the log."""
        self.running.stop()
        self.running.stop()
        if self.state.running:
            self.wait()

    def stop(self) -> None:
        """Stop it, and wait for its end."""
        self.begin_to_stop()
        self.wait()

    def wait(self) -> None:
        """Wait for its end."""
        self._thread.join(WAIT_S)
        assert not self.alive, "it did not end"


def read_to_end(own: socket.socket) -> bytes:
    """All that comes until the other side closes, or resets."""
    data = b""
    with suppress(ConnectionError):
        while chunk := own.recv(65536):
            data += chunk
    return data


def reply_on(own: socket.socket) -> tuple[int, bytes]:
    """The status and the body of the next response on a connection."""
    with http.client.HTTPResponse(own) as response:
        response.begin()
        return response.status, response.read()


def until(so: Callable[[], object], what: str = "it is so") -> None:
    """Wait until something is so."""
    ends = time.monotonic() + WAIT_S
    while not so():
        assert time.monotonic() < ends, f"not so: {what}"
        time.sleep(0.005)


def request(path: str, body: bytes = b"", **headers: str) -> bytes:
    """The bytes of a request, with the Host that a client would send."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    lines = {"Host": "localhost", "Content-Length": str(len(body)), **given}
    method = "POST" if body else "GET"
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body
