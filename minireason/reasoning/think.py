"""Tokens -> labelled spans: what is thinking and what is answer.

The machine goes before -> thinking -> answer and never back. Where the vocabulary has the tags as
tokens it looks at ids only, so a tag that the model spells out stays text; else it looks at the
text. White space next to a tag and at either end belongs to neither side.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from minireason.reasoning.text import Utf8, held_back

OPEN, CLOSE = "<think>", "</think>"


class Label(Enum):
    """Which side a span belongs to."""

    THINKING = auto()
    ANSWER = auto()


class State(Enum):
    """Where the machine is; BEFORE is for models that write the opening tag themselves."""

    BEFORE = auto()
    THINKING = auto()
    ANSWER = auto()


# A tag that is dropped or obeyed only while nothing but white space came: a model that opens
# itself, opens a thought that is open already, or closes one twice. Anywhere else it is text.
_LEADING = {State.BEFORE: OPEN, State.THINKING: OPEN, State.ANSWER: CLOSE}

Span = tuple[Label, str]


@dataclass(frozen=True, slots=True)
class Tags:
    """The ids of the two tags, None where the vocabulary does not have them."""

    open_id: int | None = None
    close_id: int | None = None


class ThinkMachine:
    """Feed it tokens, get spans of at least one character; `flush` once at the end.

    `closed` says that a thought was closed, `thought` that it holds any text. Set `forced` when the
    closing tag was not the model's own: one that still comes from the model, going on with its
    thought, is then dropped from the answer. With `begun` there is text of thought or answer
    already, so white space at the start is part of it.
    """

    def __init__(self, start: State, tags: Tags, *, begun: bool = False) -> None:
        self.state = start
        self.closed = self.forced = False
        self.thought = begun and start is State.THINKING
        self._by_id = (
            {tags.open_id: OPEN, tags.close_id: CLOSE} if tags.close_id is not None else {}
        )
        self._utf8 = Utf8()
        self._held = self._space = ""
        self._at_start = not begun

    def save(self) -> tuple[Any, ...]:
        """What `restore` takes."""
        flags = self.closed, self.thought, self.forced, self._at_start
        return self.state, self._held, self._space, flags, self._utf8.save()

    def restore(self, saved: tuple[Any, ...]) -> None:
        """Go back to what was so when this was saved."""
        self.state, self._held, self._space, flags, utf8 = saved
        self.closed, self.thought, self.forced, self._at_start = flags
        self._utf8.restore(utf8)

    def feed(self, token: int, piece: bytes) -> list[Span]:
        """The spans that this token completes."""
        tag = self._by_id.get(token)
        if tag and self._obeys(tag):
            self._utf8.flush()
            self._enter(tag)
            return []
        self._held += self._utf8.feed(piece)
        return self._scan()

    def closes(self, token: int) -> bool:
        """Whether this token would close the thought, where the vocabulary has the tag."""
        return self.state is State.THINKING and self._by_id.get(token) == CLOSE

    def end_of_tag(self, piece: bytes) -> str:
        """What of a token's text completes the closing tag, where the tags are text.

        "" if it completes none.
        """
        if self._by_id or self.state is not State.THINKING:
            return ""
        text = self._held + piece.decode("utf-8", "replace")
        return text[len(self._held) : text.index(CLOSE) + len(CLOSE)] if CLOSE in text else ""

    def closes_again(self, token: int) -> bool:
        """Whether this token would close once more a thought that was closed for the model."""
        return self.state is State.ANSWER and self.forced and self._by_id.get(token) == CLOSE

    @property
    def whole(self) -> bool:
        """Whether the tokens so far end with a character, and not within what may become a tag."""
        return self._utf8.whole and not self.held

    @property
    def held(self) -> str:
        """The beginning of a tag, where the tags are text, or nothing."""
        return self._held

    @property
    def unfinished_bytes(self) -> int:
        """How many of the last bytes are the beginning of a character or, as text, of a tag."""
        return len(self._held.encode()) + self._utf8.unfinished_bytes

    def drop_unfinished(self) -> None:
        """Forget the beginning of a character or of a tag: it was rewound."""
        self._held = ""
        self._utf8.flush()

    def cut(self) -> list[Span]:
        """Let out what was held back: what follows does not go on with what came.

        An unfinished character is dropped.
        """
        self._utf8.flush()
        return self.flush()

    def flush(self) -> list[Span]:
        """What was held back as the beginning of a tag.

        Unfinished characters and white space at the end are dropped.
        """
        text, self._held = self._held, ""
        if text and self.state is State.BEFORE:
            self.state = State.ANSWER
        return self._emit(text)

    def _obeys(self, tag: str) -> bool:
        if tag == CLOSE and (self.state is State.THINKING or self.forced):
            return True
        return self._at_start and tag == _LEADING[self.state]

    def _enter(self, tag: str) -> None:
        if tag == OPEN:
            self.state = State.THINKING
        elif self.state is State.THINKING:
            self.state, self.closed = State.ANSWER, True
        else:
            return  # one closing tag too many, dropped
        self._at_start, self._space = True, ""

    def _scan(self) -> list[Span]:
        spans: list[Span] = []
        while self._held and self._past_start():
            if self._obeys(CLOSE) and not self._by_id:
                text, tag, self._held = self._held.partition(CLOSE)
                if tag:
                    spans += self._emit(text)
                    self._enter(tag)
                    continue
                keep = len(text) - held_back(text, (CLOSE,))
                self._held = text[keep:]
                return spans + self._emit(text[:keep])
            text, self._held = self._held, ""
            spans += self._emit(text)
        return spans

    def _past_start(self) -> bool:
        """Deal with white space and tags at the start of a side.

        False while what is held may still become a tag.
        """
        while self._at_start:
            self._held = self._held.lstrip()
            tags = [] if self._by_id else [tag for tag in (OPEN, CLOSE) if self._obeys(tag)]
            tag = next((tag for tag in tags if self._held.startswith(tag)), None)
            if tag:
                self._held = self._held[len(tag) :]
                self._enter(tag)
            elif not self._held or any(tag.startswith(self._held) for tag in tags):
                return False
            else:
                self._at_start = False
                if self.state is State.BEFORE:
                    self.state = State.ANSWER
        return bool(self._held)

    def _emit(self, text: str) -> list[Span]:
        """A span of the text, with white space at its end kept back until more comes."""
        text = self._space + text
        shown = text.rstrip()
        self._space = text[len(shown) :]
        if not shown:
            return []
        label = Label.THINKING if self.state is State.THINKING else Label.ANSWER
        self.thought = self.thought or label is Label.THINKING
        return [(label, shown)]


class RawText(ThinkMachine):
    """All is answer, tags and white space too: what comes after a prompt without any template."""

    def __init__(self) -> None:
        super().__init__(State.ANSWER, Tags(), begun=True)

    def _emit(self, text: str) -> list[Span]:
        return [(Label.ANSWER, text)] if text else []


def without_thinking(content: str) -> str:
    """An earlier answer as it goes into the history.

    A thought at its beginning is dropped, which the template may have opened. A text that speaks of
    both tags further on is an answer.
    """
    text = content.strip()
    thought, closed, answer = text.partition(CLOSE)
    if thought.startswith(OPEN) or (closed and OPEN not in thought):
        return answer.strip()
    return text
