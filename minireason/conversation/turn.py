"""One turn of a conversation while its reply comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from minireason.backends.base import ReplyStream
from minireason.backends.capabilities import KnowsWhenReady, MayEstimate
from minireason.closing import Closing
from minireason.conversation.history import Turn
from minireason.conversation.record import Record
from minireason.errors import UsageError
from minireason.events import AnswerDelta, Done, Event, Reply, ThinkingDelta

_T = TypeVar("_T")

SAVE_EVERY_S = 1.0
"""How often the part of a reply that is there is saved."""


class TurnStream(Iterator[Event], Closing):
    """A stream that writes itself into its conversation: first into the file, then the history.

    It is iterated once, as every stream. Closing it (also by leaving a `with` block, or by
    dropping it) ends the reply where it is, and what there is of an answer is kept. `on_end` is
    called once the turn is part of the history.
    """

    def __init__(
        self,
        record: Record,
        stream: ReplyStream,
        question: str,
        *,
        again: bool,
        on_end: Callable[[], None],
    ) -> None:
        self._record, self._stream, self._on_end = record, stream, on_end
        self._question, self._again = question, again
        self._unsaved = {"thinking": "", "answer": ""}
        self._ended = False
        self._saved_at = time.monotonic()
        self.begun = False

    def __iter__(self) -> TurnStream:
        iter(self._stream)
        return self

    def __next__(self) -> Event:
        event = self._ask(self._stream.__next__)
        self._note(event)
        return event

    def poll(self) -> list[Event]:
        """See `ReplyStream.poll`."""
        events = self._ask(self._stream.poll)
        for event in events:
            self._note(event)
        return events

    def _ask(self, act: Callable[[], _T]) -> _T:
        """What the stream gives; where it fails or is interrupted, what there is is kept."""
        self._begin()
        try:
            return act()
        except UsageError:
            if self._stream.ended:  # else it was asked in the middle of a step, and can be again
                self.close()
            raise
        except BaseException:
            self.close()
            raise

    def _note(self, event: Event) -> None:
        """Take an event into the conversation."""
        match event:
            case ThinkingDelta(text=piece):
                self._unsaved["thinking"] += piece
            case AnswerDelta(text=piece):
                self._unsaved["answer"] += piece
            case Done(reply=reply):
                self._end(reply)
        if time.monotonic() - self._saved_at > SAVE_EVERY_S:
            self.save()
            self._saved_at = time.monotonic()

    def _begin(self) -> None:
        """Note the question, once."""
        if self.begun or self._ended:
            return
        self.begun, self._saved_at = True, time.monotonic()
        self._record.begin({"asked": self._question, "again": self._again})

    def save(self) -> None:
        """Write what has come since the last time; a signal handler may call it."""
        part, self._unsaved = self._unsaved, {"thinking": "", "answer": ""}
        if not self._ended and any(part.values()):
            self._record.append(part)

    def _end(self, reply: Reply) -> None:
        if not self._ended:
            self._ended = True
            turn = Turn.of_reply(self._question, reply)
            self._record.do(turn.step(again=self._again))
            self._on_end()

    def cancel(self) -> None:
        """See `ReplyStream.cancel`."""
        self._stream.cancel()

    def finish_thinking(self) -> bool:
        """See `ReplyStream.finish_thinking`."""
        return self._stream.finish_thinking()

    def close(self) -> None:
        """End the reply here, if it has not ended; what there is of an answer is kept.

        Where the stream can only be dropped now, see `ReplyStream.close`, the record ends it later.
        """
        if self._ended:
            return
        self._stream.close()
        if self._stream.ended:
            self._end(self._stream.reply)
        elif self not in self._record.dropped:
            self.save()
            self._record.dropped.append(self)

    def __del__(self) -> None:
        """It may be called in the middle of another stream's step: so it waits for nothing here."""
        if getattr(self, "begun", False) and not self._ended:
            self._stream.drop()
            self._record.dropped.append(self)

    @property
    def ready(self) -> bool:
        """See `KnowsWhenReady.ready`; False where the stream does not know."""
        return isinstance(self._stream, KnowsWhenReady) and self._stream.ready

    @property
    def estimated(self) -> bool:
        """See `MayEstimate.estimated`; False where the stream never does."""
        return isinstance(self._stream, MayEstimate) and self._stream.estimated

    @property
    def ended(self) -> bool:
        """See `ReplyStream.ended`."""
        return self._stream.ended

    @property
    def tokens(self) -> int:
        """See `ReplyStream.tokens`."""
        return self._stream.tokens

    @property
    def thinking_tokens(self) -> int:
        """See `ReplyStream.thinking_tokens`."""
        return self._stream.thinking_tokens

    @property
    def reply(self) -> Reply:
        """See `ReplyStream.reply`."""
        return self._stream.reply
