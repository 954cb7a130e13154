"""What is under way in a conversation: a turn, and the reading ahead after its end."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence

from minireason.backends.base import Backend
from minireason.conversation.read_ahead import ReadAhead
from minireason.conversation.record import Record
from minireason.conversation.turn import TurnStream
from minireason.errors import UsageError
from minireason.messages import Message


class UnderWay:
    """One turn at a time, or with `read_ahead` a thread that reads ahead.

    A turn that is dropped is gone at once: it is known here by a weak reference.
    """

    def __init__(self, record: Record, *, read_ahead: bool) -> None:
        self._record = record
        self._ahead = ReadAhead() if read_ahead else None
        self._turn: weakref.ref[TurnStream] | None = None

    def note(self, turn: TurnStream) -> None:
        """The turn that comes next."""
        self._turn = weakref.ref(turn)

    def settle(self) -> None:
        """End the turn that has begun, and the reading ahead.

        Raises UsageError in the middle of a step, where a turn cannot be ended.
        """
        self.end_turns()
        if self._record.dropped:
            raise UsageError(
                "The model is in the middle of a step in this thread, so the turn under way cannot "
                "be ended; call cancel() there, or wait until the step is over."
            )
        self.wait_for_read_ahead(stop=True)

    def end_turns(self) -> None:
        """End the turn that has begun, and those that were dropped."""
        self._record.end_dropped()
        turn = self._turn() if self._turn else None
        if turn and turn.begun:
            turn.close()

    def read_ahead(self, backend: Backend, messages: Callable[[], Sequence[Message]]) -> None:
        """Begin to read `messages` into the cache, if there are any turns and it is wanted."""
        if self._ahead and self._record.history.turns:
            self._ahead.start(backend, messages())

    def wait_for_read_ahead(self, *, stop: bool = False) -> None:
        """Wait until all is read ahead; with `stop` let it end at the next slice."""
        if self._ahead and stop:
            self._ahead.stop()
        elif self._ahead:
            self._ahead.wait()
