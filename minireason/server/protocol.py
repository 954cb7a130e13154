"""The HTTP protocol of uvicorn with the time limits that it lacks.

- The head of a request has to come within `read_timeout_s`, else the connection is closed. What a
  client still sends of a body that was refused has the same time.
- What was written has to be taken within `write_timeout_s`, else the connection is dropped, and its
  request ends as for any client that goes away.

The time for a body is the affair of `guard`, which can answer in the API's own shape.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

from minireason.server.settings import ServerSettings

UNSENT_BYTES = 128 * 2**10
"""What the system keeps for a client that reads slowly; more, and nobody knew how slow it is."""

_TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class _Alarm:
    """A call at a later time, unless it is stopped before."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_set(self) -> bool:
        """Whether it will call."""
        return self._timer is not None

    def set(
        self, loop: asyncio.AbstractEventLoop, after_s: float, act: Callable[[], object]
    ) -> None:
        """Call after so many seconds, unless it will do so already."""
        if self._timer is None:
            self._timer = loop.call_later(after_s, act)

    def stop(self) -> None:
        """Do not call."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class TimedProtocol(H11Protocol):
    """One connection. Its limits are those of the class, see `protocol_of`."""

    read_timeout_s = 30.0
    write_timeout_s = 60.0

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._reading, self._writing = _Alarm(), _Alarm()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a head."""
        transport = cast("asyncio.Transport", transport)
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # so that it tells when all is taken
        with suppress(OSError, AttributeError):
            own = transport.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNSENT_BYTES)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Note whether a head is whole, or a next one has begun."""
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._reading.stop()
        elif not self._reading.is_set and (before is None or before.response_complete):
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._reading.stop()
        self._writing.stop()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Begin to wait for the client to take what was written."""
        super().pause_writing()
        self._writing.set(self.loop, self.write_timeout_s, self.transport.abort)

    def resume_writing(self) -> None:
        """All was taken."""
        self._writing.stop()
        super().resume_writing()

    def _wait_for_head(self) -> None:
        self._reading.set(self.loop, self.read_timeout_s, self._read_too_long)

    def _read_too_long(self) -> None:
        self._reading.stop()
        if self.transport.is_closing():
            return
        if self.cycle is None:
            self.transport.write(_TOO_LATE)
        self.transport.close()


def protocol_of(settings: ServerSettings) -> type[TimedProtocol]:
    """The protocol with the limits of these settings."""

    class Limited(TimedProtocol):
        read_timeout_s = settings.read_timeout_s
        write_timeout_s = settings.write_timeout_s

    return Limited
