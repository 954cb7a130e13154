"""What an idle model does: it reads conversations ahead, so that their next turn begins at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anyio
import anyio.to_thread

from minireason.aio import AsyncReasoner
from minireason.conversation import read_ahead
from minireason.messages import Message

_log = logging.getLogger("minireason.server")

MOST_NOTED = 8
"""So many conversations wait to be read, the newest first; older ones are forgotten."""


@dataclass(frozen=True, slots=True, eq=False)
class _Noted:
    """A conversation to be read, with the reply and without its thought."""

    reasoner: AsyncReasoner
    messages: tuple[Message, ...]
    scope: str
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def model(self) -> str:
        """The model that it was held with."""
        return self.reasoner.name

    def begins(self, other: _Noted) -> bool:
        """Whether this is the earlier part of another one."""
        same = (self.model, self.scope) == (other.model, other.scope)
        return same and other.messages[: len(self.messages)] == self.messages

    def again(self) -> _Noted:
        """The same, to be read once more."""
        return _Noted(self.reasoner, self.messages, self.scope)

    def read(self) -> None:
        """Read it in this thread, until done or stopped."""
        backend, stopped = self.reasoner.backend, self.stop.is_set
        read_ahead.read(backend, self.messages, stopped, cache_scope=self.scope)


class IdleReader:
    """See `base.ReadAheads`. One conversation at a time is read, in a thread of its own.

    `idle` says whether nobody wants a model.
    """

    def __init__(self, idle: Callable[[str], bool]) -> None:
        self._idle = idle
        self._noted: list[_Noted] = []
        self._current: _Noted | None = None
        self._forgotten: set[str] = set()
        """The models whose thread `forget` waits for."""
        self._woken, self._left = anyio.Event(), anyio.Event()
        self._closed = False

    def note(self, reasoner: AsyncReasoner, messages: Sequence[Message], cache_scope: str) -> None:
        """See `base.ReadAheads.note`."""
        new = _Noted(reasoner, tuple(messages), cache_scope)
        others = [noted for noted in self._noted if not noted.begins(new)]
        self._noted = [new, *others][:MOST_NOTED]
        self._woken.set()

    def interrupt(self, model: str) -> None:
        """See `base.ReadAheads.interrupt`."""
        if self._current and self._current.model == model:
            self._current.stop.set()

    def resume(self, _model: str) -> None:
        """Look again for something to read, since a model has become idle."""
        self._woken.set()

    async def forget(self, model: str) -> None:
        """See `base.ReadAheads.forget`."""
        self._noted = [noted for noted in self._noted if noted.model != model]
        self._forgotten.add(model)
        try:
            while self._current and self._current.model == model:
                self._current.stop.set()
                await self._left.wait()
        finally:
            self._forgotten.discard(model)

    async def run(self) -> None:
        """See `base.ReadAheads.run`."""
        while True:
            await self._woken.wait()
            self._woken = anyio.Event()
            while noted := self._next():
                await self._read(noted)

    def close(self) -> None:
        """See `base.ReadAheads.close`."""
        self._closed, self._noted = True, []
        if self._current:
            self._current.stop.set()

    def _next(self) -> _Noted | None:
        """The newest conversation whose model is idle; it is not noted any more."""
        for noted in self._noted:
            if self._idle(noted.model):
                self._noted.remove(noted)
                return noted
        return None

    async def _read(self, noted: _Noted) -> None:
        self._current = noted
        try:
            await anyio.to_thread.run_sync(noted.read)
        except Exception:  # what was not read ahead is read when it is asked for
            _log.exception("reading ahead on %s failed", noted.model)
        finally:
            self._current = None
            left, self._left = self._left, anyio.Event()
            left.set()
        dropped = self._closed or noted.model in self._forgotten
        superseded = any(noted.begins(other) for other in self._noted)
        if noted.stop.is_set() and not superseded and not dropped:
            self._noted.append(noted.again())
