"""A conversation whose turns are awaited."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar, Unpack

from anyio import to_thread

from minireason.aio.driver import Driver
from minireason.aio.feed import Feed
from minireason.aio.mailbox import Mailbox
from minireason.aio.streams import AsyncReplyStream, OnPrefill, to_the_end
from minireason.closing import AsyncClosing
from minireason.conversation.history import Turn
from minireason.conversation.session import Session
from minireason.conversation.turn import TurnStream
from minireason.events import Event, Reply
from minireason.messages import Message
from minireason.settings import Changes

T = TypeVar("T")


class AsyncSession(AsyncClosing):
    """A `Session` for tasks; `AsyncReasoner.chat` makes one.

    One turn at a time is under way: whatever comes next but `turns` and `messages` ends it where
    it is. `session` is the conversation itself, for what is not here; between turns its properties
    may be read, and what it does belongs into a worker thread.
    """

    def __init__(self, session: Session, driver: Driver) -> None:
        self.session, self._driver = session, driver
        self._alone = threading.Lock()
        self._turn: Feed[Event] | None = None

    def __repr__(self) -> str:
        return f"<Async{repr(self.session)[1:]}"

    @property
    def turns(self) -> tuple[Turn, ...]:
        """See `Session.turns`."""
        return self.session.turns

    @property
    def messages(self) -> list[Message]:
        """See `Session.messages`."""
        return self.session.messages

    def stream(
        self,
        question: str,
        *,
        again: bool = False,
        on_prefill: OnPrefill | None = None,
        **changes: Unpack[Changes],
    ) -> AsyncTurnStream:
        """Ask the next question; see `Session.stream` and `AsyncReasoner.stream`."""

        def make(note: OnPrefill | None) -> TurnStream:
            return self.session.stream(question, again=again, on_prefill=note, **changes)

        return AsyncTurnStream(self, self._driver, make, on_prefill)

    async def send(
        self, question: str, *, again: bool = False, **changes: Unpack[Changes]
    ) -> Reply:
        """See `Session.send`."""
        return await self._whole(partial(self.session.stream, question, again=again, **changes))

    async def retry(self, **changes: Unpack[Changes]) -> Reply:
        """See `Session.retry`."""
        return await self._whole(partial(self.session.retry_stream, **changes))

    async def edit(self, question: str, **changes: Unpack[Changes]) -> Reply:
        """See `Session.edit`."""
        return await self._whole(partial(self.session.edit_stream, question, **changes))

    async def _whole(self, start: Callable[[], TurnStream]) -> Reply:
        turn = AsyncTurnStream(self, self._driver, lambda _: start(), only_end=True)
        async with turn:
            await to_the_end(turn)
            return turn.reply

    async def undo(self) -> str:
        """See `Session.undo`."""
        return await self._do(self.session.undo)

    async def clear(self) -> None:
        """See `Session.clear`."""
        await self._do(self.session.clear)

    async def save(self, path: Path | str) -> None:
        """See `Session.save`."""
        await self._do(partial(self.session.save, path))

    async def load(self, path: Path | str) -> tuple[str, ...]:
        """See `Session.load`."""
        return await self._do(partial(self.session.load, path))

    async def prefill(self) -> int:
        """See `Session.prefill`."""
        return await self._do(self.session.prefill)

    async def aclose(self) -> None:
        """See `Session.close`."""
        await self._do(self.session.close)

    async def _do(self, act: Callable[[], T]) -> T:
        """Call what changes the conversation; it is done also where its task is cancelled."""
        return await to_thread.run_sync(self._between_turns, act, abandon_on_cancel=True)

    def _between_turns(self, act: Callable[[], T]) -> T:
        """Call a function once the turn under way is over; in a worker thread."""
        with self._alone:
            if self._turn:
                self._turn.leave()
                self._turn.wait_closed()
                self._turn = None
            return act()

    def begin(self, open_turn: Callable[[], Feed[Event]]) -> Feed[Event]:
        """Begin a turn, which is under way from then on; in a worker thread."""

        def opened() -> Feed[Event]:
            self._turn = feed = open_turn()
            return feed

        return self._between_turns(opened)


class AsyncTurnStream(AsyncReplyStream[TurnStream]):
    """A stream that writes itself into its conversation; see `TurnStream` and `AsyncStream`."""

    def __init__(
        self,
        session: AsyncSession,
        driver: Driver,
        make: Callable[[OnPrefill | None], TurnStream],
        on_prefill: OnPrefill | None = None,
        *,
        only_end: bool = False,
    ) -> None:
        super().__init__(driver, make, on_prefill, only_end=only_end)
        self._session = session

    def _begin(self, mailbox: Mailbox[Event]) -> Feed[Event]:
        return self._session.begin(partial(super()._begin, mailbox))
