"""Pieces of a server's reply -> labelled text."""

from __future__ import annotations

from minireason.backends.remote.pieces import Piece
from minireason.reasoning.begun import Begun
from minireason.reasoning.think import Span, State, Tags, ThinkMachine

_NO_TAGS = Tags(open_id=-2, close_id=-3)
"""As of a vocabulary whose tags never come: all that is spelled is text."""


class Labels:
    """Says what is thinking and what is answer.

    A server that tells the thought apart is believed, and a tag within either is text; else the
    think machine takes the thought out of the text. After `land` all that comes is the answer,
    wherever the server has it. `begun` is what there is of the reply already; `opened` says that
    the text begins within the thought.
    """

    def __init__(self, begun: Begun | None = None, *, opened: bool = False) -> None:
        self._told = self._landed = False
        self._thought = ThinkMachine(State.THINKING, _NO_TAGS, begun=begun is not None)
        start = State.THINKING if opened and begun is None else _start(begun)
        self._text = ThinkMachine(start, Tags(), begun=begun is not None)

    @property
    def thinking(self) -> bool:
        """Whether a thought is under way."""
        if self._landed:
            return False
        return self._text.state is State.THINKING or (
            self._told and self._text.state is not State.ANSWER
        )

    @property
    def undecided(self) -> bool:
        """Whether it is not known yet if there will be a thought."""
        return not (self._landed or self._told) and self._text.state is State.BEFORE

    @property
    def answering(self) -> bool:
        """Whether the thought is over, so that all that comes is the answer."""
        return self._text.state is State.ANSWER

    def feed(self, piece: Piece) -> list[Span]:
        """The labelled text that a piece completes."""
        if self._landed:
            return self._text.feed(-1, piece.text.encode())
        spans: list[Span] = []
        if piece.thinking and self._text.state is not State.ANSWER:
            self._told = True
            spans += self._thought.feed(-1, piece.thinking.encode())
        if not piece.content:
            return spans
        if self._told and self._text.state is not State.ANSWER:
            self._text = ThinkMachine(State.ANSWER, Tags())
        return spans + self._text.feed(-1, piece.content.encode())

    def land(self) -> None:
        """The thought was ended for the model."""
        self._landed = True
        self._text = ThinkMachine(State.ANSWER, Tags())
        self._text.forced = True  # a closing tag that still comes is dropped

    def flush(self) -> list[Span]:
        """What was held back."""
        if self.thinking and self._told:
            return self._thought.flush()
        return self._text.flush()


def _start(begun: Begun | None) -> State:
    """Where a reply goes on."""
    if begun is None:
        return State.BEFORE
    return State.ANSWER if begun.answer else State.THINKING
