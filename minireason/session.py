"""A conversation: its history, from turn to turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Unpack

from minireason.events import Done, Event, Message, Reply
from minireason.settings import Changes

if TYPE_CHECKING:
    from minireason.reasoner import Reasoner
    from minireason.stream import Stream


class Session:
    """Messages so far and a model to go on with; answers are kept, thinking is not."""

    def __init__(self, reasoner: Reasoner, *, system: str | None = None) -> None:
        self._reasoner = reasoner
        self._start = [Message(role="system", content=system)] if system else []
        self.messages: list[Message] = list(self._start)

    def stream(self, question: str, *, on_prefill: Callable[[int, int], None] | None = None, **changes: Unpack[Changes]) -> Turn:
        """Ask the next question; it and its answer join the history when the stream ends with an answer."""
        asked = Message(role="user", content=question)
        return Turn(self, asked, self._reasoner.stream([*self.messages, asked], on_prefill=on_prefill, **changes))

    def send(self, question: str, **changes: Unpack[Changes]) -> Reply:
        """Ask the next question and wait for the whole reply."""
        turn = self.stream(question, **changes)
        for _ in turn:
            pass
        return turn.reply

    def clear(self) -> None:
        """Forget everything but the system prompt."""
        self.messages = list(self._start)


class Turn:
    """A stream that writes itself into its session's history when it is done."""

    def __init__(self, session: Session, asked: Message, stream: Stream) -> None:
        self._session, self._asked, self._stream = session, asked, stream

    def __iter__(self) -> Iterator[Event]:
        for event in self._stream:
            if isinstance(event, Done) and event.reply.answer:
                self._session.messages += [self._asked, Message(role="assistant", content=event.reply.answer)]
            yield event

    def cancel(self) -> None:
        """See `Stream.cancel`."""
        self._stream.cancel()

    def finish_thinking(self) -> bool:
        """See `Stream.finish_thinking`."""
        return self._stream.finish_thinking()

    @property
    def reply(self) -> Reply:
        """See `Stream.reply`."""
        return self._stream.reply
