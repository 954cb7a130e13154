"""Places on a model: a bounded line for each, first come first served, with turns between keys."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from minireason.wire.errors import RETRY_AFTER_S, ApiError, stopping


@dataclass(slots=True, eq=False)
class _Waiter:
    """Somebody in the line, who wants so many places at once."""

    count: int
    called: anyio.Event = field(default_factory=anyio.Event)
    placed: bool = False


@dataclass(slots=True)
class _Line:
    """The places of one model, and who waits for them: a queue for each owner, in turn."""

    of: int
    taken: int = 0
    queues: dict[str, deque[_Waiter]] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(map(len, self.queues.values()))

    def waiting_of(self, owner: str) -> int:
        """How many of an owner's wait."""
        return len(self.queues.get(owner, ()))

    def call(self) -> None:
        """Give free places to the owner whose turn it is, and go on to the next owner.

        Whoever wants several is waited for, lest those that want one always slip in before.
        """
        while self.queues:
            owner = next(iter(self.queues))
            queue = self.queues[owner]
            if self.taken + queue[0].count > self.of:
                return
            waiter = queue.popleft()
            self.taken += waiter.count
            waiter.placed = True
            waiter.called.set()
            del self.queues[owner]
            if queue:
                self.queues[owner] = queue  # at the end, since it had its turn

    def leave(self, owner: str, waiter: _Waiter) -> None:
        """Take somebody out who does not wait any longer."""
        queue = self.queues[owner]
        queue.remove(waiter)
        if not queue:
            del self.queues[owner]
        self.call()  # whoever stood behind may want less


class FairPlaces:
    """See `base.Places`. `max_waiting` bounds the line of each owner, so that none fills it alone.

    `on_idle` is called with the name of a model on which nothing runs or waits any more, `on_busy`
    with that of one which somebody wants.
    """

    def __init__(
        self,
        *,
        max_waiting: int,
        max_wait_s: float,
        on_busy: Callable[[str], None] = lambda _model: None,
        on_idle: Callable[[str], None] = lambda _model: None,
    ) -> None:
        self._max_waiting, self._max_wait_s = max_waiting, max_wait_s
        self._on_busy, self._on_idle = on_busy, on_idle
        self._lines: dict[str, _Line] = {}
        self._closed = False

    @asynccontextmanager
    async def take(self, model: str, of: int, owner: str, count: int = 1) -> AsyncIterator[None]:
        """See `base.Places.take`; whoever wants more than there are gets all."""
        line = self._lines.setdefault(model, _Line(of))
        line.of, count = of, min(count, of)
        self._on_busy(model)
        try:
            await self._wait(line, owner, count)
            try:
                yield
            finally:
                line.taken -= count
                line.call()
        finally:
            if self.idle(model):
                self._on_idle(model)

    async def _wait(self, line: _Line, owner: str, count: int) -> None:
        """Return with the places taken, or raise with none."""
        if self._closed:
            raise stopping()
        if not line.queues and line.taken + count <= line.of:
            line.taken += count
            return
        if line.waiting_of(owner) >= self._max_waiting:
            raise _busy(f"{line.waiting} requests wait already")
        waiter = _Waiter(count)
        line.queues.setdefault(owner, deque()).append(waiter)
        try:
            with anyio.move_on_after(self._max_wait_s):
                await waiter.called.wait()
        except BaseException:
            if waiter.placed:
                line.taken -= count
                line.call()
            raise
        finally:
            if not waiter.placed and not self._closed:
                line.leave(owner, waiter)
        if not waiter.placed:
            raise stopping() if self._closed else _busy("it took too long to get a place")

    def idle(self, model: str) -> bool:
        """See `base.Places.idle`."""
        line = self._lines.get(model)
        return line is None or not (line.taken or line.queues)

    def counts(self) -> dict[str, tuple[int, int, int]]:
        """For each model the requests that wait, the places taken, and how many there are."""
        return {model: (line.waiting, line.taken, line.of) for model, line in self._lines.items()}

    def close(self) -> None:
        """See `base.Places.close`."""
        self._closed = True
        for line in self._lines.values():
            waiters = [waiter for queue in line.queues.values() for waiter in queue]
            line.queues.clear()
            for waiter in waiters:
                waiter.called.set()


def _busy(reason: str) -> ApiError:
    return ApiError(
        503,
        f"The server is busy: {reason}; try again in a moment.",
        "server_busy",
        retry_after_s=RETRY_AFTER_S,
    )
