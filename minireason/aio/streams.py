"""What a task holds of a source that the driver reads: `async with`, then `async for`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, Self, TypeAlias, TypeVar

import anyio
from anyio import to_thread
from anyio.lowlevel import checkpoint

from minireason.aio.base import Cancels, ReplySource, Source
from minireason.aio.driver import Driver
from minireason.aio.feed import Feed
from minireason.aio.mailbox import Mailbox
from minireason.checks import checked, function
from minireason.closing import AsyncClosing
from minireason.errors import UsageError
from minireason.events import Event, Reply
from minireason.voting.solution import Solution, SolveEvent
from minireason.voting.solve import SolveStream

S = TypeVar("S", bound=Source[Any])
R = TypeVar("R", bound=ReplySource)
E = TypeVar("E")

OnPrefill: TypeAlias = Callable[[int, int], None]

_PATIENCE_S = 5.0
"""How long the end of a block waits for the step that runs; the source is closed after it."""


class AsyncEvents(AsyncClosing, Generic[S, E]):
    """The events of a source, to be iterated once within `async with`; what all streams share.

    Entering the block makes the source, in a worker thread, and the driver's thread reads it from
    then on: so far ahead of its task as a small buffer holds. Leaving the block, by cancellation
    too, ends it and frees its place between two steps of the model.
    """

    def __init__(
        self,
        driver: Driver,
        make: Callable[[OnPrefill | None], S],
        on_prefill: OnPrefill | None = None,
        *,
        only_end: bool = False,
    ) -> None:
        if on_prefill is not None:
            checked("on_prefill", on_prefill, function)
        self._driver, self._make, self._on_prefill = driver, make, on_prefill
        self._only_end = only_end
        self._mailbox: Mailbox[E] | None = None
        self._source: S | None = None
        self._feed: Feed[E] | None = None
        self._left = False

    async def __aenter__(self) -> Self:
        if self._mailbox:
            raise UsageError("This stream was opened already; ask again for another one.")
        mailbox = self._mailbox = Mailbox[E](only_end=self._only_end)
        try:
            await to_thread.run_sync(self._open, mailbox, abandon_on_cancel=True)
        except BaseException:
            self._leave()
            raise
        return self

    def _open(self, mailbox: Mailbox[E]) -> None:
        """Make the source and have the driver read it; in a worker thread."""
        self._feed = self._begin(mailbox)
        if self._left:  # its task was cancelled meanwhile
            self._feed.leave()

    def _begin(self, mailbox: Mailbox[E]) -> Feed[E]:
        self._source = self._make(mailbox.note_prefill if self._on_prefill else None)
        return self._driver.add(self._source, mailbox)

    def _leave(self) -> None:
        self._left = True
        if self._feed:
            self._feed.leave()

    def __del__(self) -> None:
        if getattr(self, "_feed", None):
            self._leave()

    async def aclose(self) -> None:
        """End it where it is, and wait until its place is free.

        What was not read yet can still be read.
        """
        if not self._feed:
            return
        self._leave()
        mailbox = self._feed.mailbox
        with anyio.move_on_after(_PATIENCE_S, shield=True):
            while not mailbox.closed:
                await mailbox.news(mailbox.is_closed)

    def __aiter__(self) -> Self:
        if isinstance(self.source, Iterator):
            iter(self.source)  # the second time it says what is wrong
        return self

    async def __anext__(self) -> E:
        event = (await self._news()).take()
        if event is None:
            raise StopAsyncIteration
        return event

    async def next_events(self) -> list[E]:
        """All events that are there, after waiting for one; none at the end.

        For servers: a task is woken once for several events.
        """
        return (await self._news()).take_all()

    async def _news(self) -> Feed[E]:
        """Wait for an event, an error or the end; tell meanwhile how far the prompt is read."""
        feed = self._opened()
        mailbox = feed.mailbox
        if mailbox.has_items():
            await checkpoint()
        while not mailbox.has_items():
            note = await mailbox.news(mailbox.has_items)
            if note and self._on_prefill:
                self._on_prefill(*note)
        return feed

    def _opened(self) -> Feed[E]:
        if self._feed is None:
            raise UsageError("This stream is not open; open it with `async with`.")
        return self._feed

    @property
    def source(self) -> S:
        """What is read: the stream, vote or turn of the synchronous face."""
        self._opened()
        assert self._source is not None
        return self._source

    @property
    def ended(self) -> bool:
        """Whether it is whole or was ended, though not all events may have been read."""
        return self.source.ended

    def cancel(self) -> None:
        """Ask that it end here; iterating on gives what is left, then the last event."""
        source = self.source
        if isinstance(source, Cancels):
            source.cancel()


class AsyncReplyStream(AsyncEvents[R, Event]):
    """What `AsyncStream` and the turn of a conversation share."""

    @property
    def reply(self) -> Reply:
        """See `ReplyStream.reply`."""
        return self.source.reply

    @property
    def tokens(self) -> int:
        """See `ReplyStream.tokens`."""
        return self.source.tokens

    @property
    def thinking_tokens(self) -> int:
        """See `ReplyStream.thinking_tokens`."""
        return self.source.thinking_tokens

    def finish_thinking(self) -> bool:
        """See `ReplyStream.finish_thinking`."""
        return self.source.finish_thinking()


class AsyncStream(AsyncReplyStream[ReplySource]):
    """The events of one reply: ThinkingDelta, then AnswerDelta, then one Done.

    `async with` starts it, `async for` reads it once. Leaving the block, by cancellation too, ends
    the reply and frees its slot before the model's next step. A reader that is slower than the
    model holds up its own stream alone.
    """


class AsyncSolveStream(AsyncEvents[SolveStream, SolveEvent]):
    """The events of one vote; the last is `Solved`. All else as for `AsyncStream`."""

    @property
    def solution(self) -> Solution:
        """See `SolveStream.solution`."""
        return self.source.solution


async def to_the_end(stream: AsyncEvents[Any, Any]) -> None:
    """Read a stream to its end."""
    while await stream.next_events():
        pass
