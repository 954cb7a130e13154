"""Events on their way from the driver's thread to a task in its event loop.

The driver puts, the task takes, and neither waits for a lock: a deque is changed by one act. The
task says that it waits and then looks whether something came; the driver puts something there and
then looks whether the task waits. So one of them always sees what the other did.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

import anyio
from anyio.lowlevel import current_token

E = TypeVar("E")

EventLoop: TypeAlias = Any
"""The loop of asyncio, or the token of a run of trio."""

FULL = 64
"""A stream sits out after so many events that its task has not taken."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What the source raised, in its place among the events."""

    error: BaseException


class Mailbox(Generic[E]):
    """What one source has said to one task; made in the task's event loop.

    With `only_end` the events are not wanted, and the task is woken once, by an error or the end.
    """

    def __init__(self, *, only_end: bool = False) -> None:
        self.loop: EventLoop = current_token().native_token
        self.closed = False
        """Whether nothing is put there any more, and the source's place is free."""
        self._only_end = only_end
        self._items: deque[E | Failure] = deque()
        self._prefilled: deque[tuple[int, int]] = deque(maxlen=1)
        self._awaited: anyio.Event | None = None
        self._called = False

    # What the driver does.

    @property
    def full(self) -> bool:
        """Whether its task has to take events before there is room for more."""
        return len(self._items) >= FULL

    def put(self, events: Iterable[E]) -> None:
        """Add events."""
        if not self._only_end:
            self._items.extend(events)

    def fail(self, error: BaseException) -> None:
        """Add an error, which the task gets raised."""
        self._items.append(Failure(error))

    def note_prefill(self, read: int, prompt: int) -> None:
        """Note how many tokens of the prompt are read; the last note is the one that is told."""
        self._prefilled.append((read, prompt))

    def wants_call(self) -> bool:
        """Whether its task has to be woken; True once for each wait."""
        if self._awaited is None or self._called or not (self._prefilled or self.has_items()):
            return False
        self._called = True
        return True

    # What is done in the event loop.

    @property
    def has_room_for_one(self) -> bool:
        """Whether it was full just now."""
        return len(self._items) == FULL - 1

    def wake(self) -> None:
        """Wake whoever waits."""
        self._called = False
        event, self._awaited = self._awaited, None
        if event is not None:
            event.set()

    def has_items(self) -> bool:
        """Whether there is an event, an error or the end."""
        return bool(self._items) or self.closed

    def is_closed(self) -> bool:
        """See `closed`."""
        return self.closed

    async def news(self, wanted: Callable[[], bool]) -> tuple[int, int] | None:
        """Wait until there is a note of `note_prefill`, or until this is so: the note or None."""
        while not (self._prefilled or wanted()):
            self._awaited = awaited = self._awaited or anyio.Event()
            if not (self._prefilled or wanted()):
                await awaited.wait()
        return self._prefilled.popleft() if self._prefilled else None

    def take(self) -> E | None:
        """The next event, None where there is none; raises an error that is in its place."""
        if not self._items:
            return None
        item = self._items.popleft()
        if isinstance(item, Failure):
            raise item.error
        return item

    def take_all(self) -> list[E]:
        """All events up to an error; that is raised where it comes first."""
        events: list[E] = []
        while self._items:
            if isinstance(self._items[0], Failure) and events:
                break
            event = self.take()
            if event is not None:
                events.append(event)
        return events


def wake_all(loop: EventLoop, mailboxes: list[Mailbox[Any]]) -> None:
    """Have tasks of one loop woken there soon; raises RuntimeError where it has ended."""
    soon = getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon
    soon(_wake, mailboxes)


def _wake(mailboxes: list[Mailbox[Any]]) -> None:
    for mailbox in mailboxes:
        mailbox.wake()
