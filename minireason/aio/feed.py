"""A source that the driver reads for one task."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from minireason.aio.base import Cancels, Source
from minireason.aio.mailbox import Mailbox
from minireason.backends.capabilities import KnowsWhenReady

E = TypeVar("E")


class Feed(Generic[E]):
    """A source and the mailbox of its task; `ring` has the driver look at its feeds again."""

    def __init__(self, source: Source[E], mailbox: Mailbox[E], ring: Callable[[], None]) -> None:
        self.source, self.mailbox = source, mailbox
        self.left = False
        """Whether its task wants no more: then the driver closes the source between two steps."""
        self.failed = False
        """Whether the source raised something."""
        self._ring = ring
        self._knows = source if isinstance(source, KnowsWhenReady) else None
        self._closed = threading.Event()

    @property
    def knows(self) -> bool:
        """Whether the source tells when polling it costs no step of the model."""
        return self._knows is not None

    @property
    def ready(self) -> bool:
        """Whether it has told that this is so now."""
        return self._knows is not None and self._knows.ready

    def leave(self) -> None:
        """Want no more; from any thread or a finalizer, and waiting for nothing."""
        if self.left or self.mailbox.closed:
            return
        self.left = True
        if isinstance(self.source, Cancels):
            self.source.cancel()  # so that a step ends that reads its prompt
        self._ring()

    def close(self) -> None:
        """Note that the source is closed; the driver's last act."""
        self.mailbox.closed = True
        self._closed.set()

    def wait_closed(self) -> None:
        """Wait until the source is closed; for worker threads."""
        self._closed.wait()

    def take(self) -> E | None:
        """See `Mailbox.take`."""
        try:
            return self.mailbox.take()
        finally:
            # Looked at afterwards: the driver may have filled it meanwhile, and gone to sleep.
            if self.mailbox.has_room_for_one:
                self._ring()

    def take_all(self) -> list[E]:
        """See `Mailbox.take_all`."""
        try:
            return self.mailbox.take_all()
        finally:
            self._ring()
