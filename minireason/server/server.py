"""Running the app: a socket, uvicorn, and an end that lets replies come to theirs."""

from __future__ import annotations

import gc
import logging
import signal
import socket
from collections.abc import Callable
from types import FrameType

import anyio
import uvicorn
from starlette.applications import Starlette

from minireason.errors import BadSetting, UsageError
from minireason.server.access import is_loopback
from minireason.server.base import Server
from minireason.server.protocol import protocol_of
from minireason.server.settings import ServerSettings

_log = logging.getLogger("minireason.server")

_GC_OBJECTS = 2_000
"""Python looks for garbage after so many new objects."""

KEEP_ALIVE_S = 75
"""Seconds that a connection without a request stays open, as other servers have it."""

_AFTER_CANCEL_S = 10
"""Seconds after which a reply that was told to end is cut off."""

_LOOK_S = 0.1
_PATIENT = 2


def check(settings: ServerSettings) -> None:
    """Raise UsageError for a server that anybody could use, or whose users are not apart."""
    if not is_loopback(settings.host) and not settings.api_keys:
        raise BadSetting(
            "host",
            settings.host,
            "others can reach that, so they need a key; write one into a file and give "
            "--api-key-file PATH, or listen on 127.0.0.1 alone",
        )
    if settings.sessions and len(settings.api_keys) > 1:
        raise UsageError(
            "With --sessions everybody who has a key sees your sessions; leave it out, or have one "
            "key alone."
        )


def listen(settings: ServerSettings) -> socket.socket:
    """A socket bound to host and port, on which nobody listens yet; raises UsageError."""
    host, port = settings.host, settings.port
    try:
        ways = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = ways[0]
        own = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise BadSetting("host", host, f"is no address of this machine ({error})") from None
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows, where the other one shares ports
            own.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        own.bind(address)
    except OSError as error:
        own.close()
        raise UsageError(
            f"Port {port} of {host} cannot be had ({error.strerror or error}); end what has it, or "
            "take another with --port N (0: any that is free)."
        ) from None
    return own


def url_of(bound: socket.socket) -> str:
    """Where a browser finds what listens on a socket."""
    host, port = bound.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


class Running(uvicorn.Server):
    """uvicorn with our end: `stop` lets in no request any more, and replies go on for a while.

    After `settings.stop_after_s`, or at once when asked again, they end with what there is.
    `on_ready` is called once requests are answered.
    """

    def __init__(self, app: Starlette, on_ready: Callable[[], None] = lambda: None) -> None:
        self._server: Server = app.state.server
        self._on_ready = on_ready
        self._asked = 0
        settings = self._server.settings
        config = uvicorn.Config(
            app,
            http=protocol_of(settings),
            ws="none",
            lifespan="on",
            loop="auto",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=int(settings.stop_after_s) + _AFTER_CANCEL_S,
        )
        super().__init__(config)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See `uvicorn.Server`."""
        await super().startup(sockets)
        _collect_in_small_steps()
        self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """What a signal does: the process ends when all is done, and at the third one at once."""
        self.stop()
        if self._asked > _PATIENT:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)

    def stop(self) -> None:
        """Stop; asked again, at once. May be called from any thread."""
        self._asked += 1
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See `uvicorn.Server`."""
        self._server.stop()
        if running := len(self._server.running):
            seconds = self._server.settings.stop_after_s
            _log.info(
                "stopping; replies that run: %d, for %g s at most; a second signal ends them",
                running,
                seconds,
            )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._end_replies)
            await super().shutdown(sockets)
            tasks.cancel_scope.cancel()

    async def _end_replies(self) -> None:
        """Let replies go on for a while, then end those that run and those that still come."""
        settings = self._server.settings
        with anyio.move_on_after(settings.stop_after_s):
            while self._asked < 2:
                await anyio.sleep(_LOOK_S)
        if self._server.running:
            _log.info("ending replies where they are: %d", len(self._server.running))
        while True:
            self._server.end_replies()
            await anyio.sleep(_LOOK_S)


def _collect_in_small_steps() -> None:
    """Let the garbage collector look at little at a time, and leave out what is there for good.

    It holds up every stream meanwhile: for 40 ms with the 50,000 objects that are right for a start
    (see `cli.start`), and with all modules and schemas among them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_OBJECTS)


def run(app: Starlette, bound: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve until a signal says otherwise."""
    Running(app, on_ready).run(sockets=[bound])
