"""What the driver's thread does: it polls the feeds in turn and wakes their tasks.

Everything here belongs to that one thread, but for `add`, `ring` and `stop`, which put something
into its inbox: that wakes it where it sleeps, waits for nothing, and may come from a finalizer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from minireason.aio.base import Cancels
from minireason.aio.feed import Feed
from minireason.aio.mailbox import EventLoop, Mailbox, wake_all
from minireason.errors import EngineError

_STOP = object()


class Rounds:
    """Feeds that share one model.

    A step of the model is one for all of its streams. So a round polls one of those that have
    nothing yet, and after it all that have got something by that. Those that do not know whether
    they have are polled as well, once.
    """

    def __init__(self) -> None:
        self._feeds: list[Feed[Any]] = []
        self._inbox: SimpleQueue[object] = SimpleQueue()
        self._changed: list[Mailbox[Any]] = []
        self._stopping = False

    def add(self, feed: Feed[Any]) -> None:
        """Poll this one as well."""
        self._inbox.put(feed)

    def ring(self) -> None:
        """Look at the feeds again: one was left, or its task has made room."""
        self._inbox.put(None)

    def stop(self) -> None:
        """Let the thread end after the step that runs; its tasks get an EngineError."""
        self._stopping = True
        self._inbox.put(_STOP)
        for feed in self._feeds.copy():
            if isinstance(feed.source, Cancels):
                feed.source.cancel()  # so that a step ends that reads its prompt

    def run(self) -> None:
        """Go round until it is stopped."""
        try:
            while self._receive():
                self._round()
        finally:
            self.abandon(
                "The AsyncReasoner was closed while this stream was open; close streams first.",
                close=True,
            )

    def abandon(self, why: str, *, close: bool) -> None:
        """Raise an EngineError to every task; with `close` the sources are closed as well."""
        with suppress(Empty):
            while True:
                self._take_in(self._inbox.get_nowait())
        for feed in self._feeds.copy():
            self._fail(feed, EngineError(why))
            if close:
                self._close(feed)
            feed.close()
        if close:  # else the event loops are the parent's
            self._wake()

    def _receive(self) -> bool:
        """Take in what came, after waiting for it where there is nothing to do; False: stop."""
        while True:
            busy = any(feed.left or not feed.mailbox.full for feed in self._feeds)
            try:
                came = self._inbox.get(block=not busy)
            except Empty:
                return True
            if came is _STOP:
                return False
            self._take_in(came)

    def _take_in(self, came: object) -> None:
        if isinstance(came, Feed):
            self._feeds.append(came)

    def _round(self) -> None:
        for feed in self._feeds.copy():
            if feed.left:
                self._close(feed)
        wanted = [feed for feed in self._feeds if not feed.mailbox.full]
        if not self._read(feed for feed in wanted if feed.ready):
            self._step(feed for feed in wanted if feed.knows)
            self._read(feed for feed in wanted if feed.ready or not feed.knows)
        self._wake()

    def _step(self, waiting: Iterator[Feed[Any]]) -> None:
        """Poll one that has nothing to give yet."""
        for feed in waiting:
            self._feeds.remove(feed)
            self._feeds.append(feed)  # the next step is for another one
            self._poll(feed)
            return

    def _read(self, feeds: Iterator[Feed[Any]]) -> bool:
        """Poll each of these; whether there was one."""
        polled = False
        for feed in feeds:
            if not feed.mailbox.closed:
                self._poll(feed)
                polled = True
        return polled

    def _poll(self, feed: Feed[Any]) -> None:
        try:
            events = feed.source.poll()
        except BaseException as error:  # it is for whoever reads this source, and nobody else
            # The code of an answer's own schema may fail after the end: then more is to be read.
            over = feed.failed or not feed.source.ended
            self._fail(feed, error)
        else:
            if self._stopping:
                return  # it ended because of that
            feed.mailbox.put(events)
            over = feed.source.ended
        self._changed.append(feed.mailbox)
        if over:
            self._close(feed)

    def _fail(self, feed: Feed[Any], error: BaseException) -> None:
        feed.failed = True
        feed.mailbox.fail(error)

    def _close(self, feed: Feed[Any]) -> None:
        """Close a source; what it still has to say is for whoever reads on."""
        source, mailbox = feed.source, feed.mailbox
        try:
            source.close()
            while not feed.failed and source.ended and (events := source.poll()):
                mailbox.put(events)
        except BaseException as error:
            self._fail(feed, error)
        self._feeds.remove(feed)
        feed.close()
        self._changed.append(mailbox)

    def _wake(self) -> None:
        """Wake the tasks for which something came: one call for each event loop."""
        changed, self._changed = self._changed, []
        calls: dict[EventLoop, list[Mailbox[Any]]] = {}
        for mailbox in changed:
            if mailbox.wants_call():
                calls.setdefault(mailbox.loop, []).append(mailbox)
        for loop, mailboxes in calls.items():
            try:
                wake_all(loop, mailboxes)
            except RuntimeError:  # the loop has ended, and its tasks with it
                for feed in self._feeds:
                    feed.left = feed.left or feed.mailbox.loop is loop
