"""Which piece of an answer the log-probability of a token belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from minireason.backends.base import ReplyStream
from minireason.backends.capabilities import KnowsLogprobs
from minireason.events import AnswerDelta, Event, TokenLogprob


@dataclass(frozen=True, slots=True)
class ScoredDelta(AnswerDelta):
    """A piece of the answer, with the tokens that brought it."""

    logprobs: tuple[TokenLogprob, ...]


def of_answer(stream: ReplyStream, answer: str) -> tuple[TokenLogprob, ...]:
    """The tokens of the whole answer of a stream that has ended; none where it tells none."""
    if not isinstance(stream, KnowsLogprobs):
        return ()
    scorer = Scorer(stream)
    for _ in scorer.scored([AnswerDelta(answer)] if answer else []):
        pass
    return scorer.told


class Scorer:
    """Gives each piece of one answer its tokens.

    A token whose text is held back belongs to the next piece. Those whose text never comes, of a
    stop string or of white space around an answer, belong to none.
    """

    def __init__(self, stream: KnowsLogprobs) -> None:
        self._stream = stream
        self._count = self._chars = self._first = 0
        self._begun = False

    @property
    def told(self) -> tuple[TokenLogprob, ...]:
        """The tokens of all pieces so far."""
        return tuple(self._stream.logprobs[self._first : self._count])

    def scored(self, events: Sequence[Event]) -> Iterator[Event]:
        """The events that a poll of the stream gave, with the tokens that are there since."""
        for event in events:
            if isinstance(event, AnswerDelta):
                yield ScoredDelta(event.text, self._take(len(event.text)))
            else:
                yield event

    def _take(self, characters: int) -> tuple[TokenLogprob, ...]:
        """The next tokens, up to the one that brought so many more characters."""
        self._chars += characters
        noted = self._stream.logprobs
        if not self._begun:
            self._skip_white_space(noted)
        begin = self._count
        while self._count < len(noted):
            self._count += 1
            if noted[self._count - 1].text_end >= self._chars:
                break
        return tuple(noted[begin : self._count])

    def _skip_white_space(self, noted: Sequence[TokenLogprob]) -> None:
        """Leave out the tokens before an answer's first character."""
        self._begun = True
        while self._count < len(noted) and not noted[self._count].text_end:
            if not noted[self._count].token.isspace():
                break
            self._count += 1
        self._first = self._count
