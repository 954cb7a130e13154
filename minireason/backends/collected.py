"""The events of one reply and the `Reply` that they add up to."""

from __future__ import annotations

import itertools
import operator
import time
from collections.abc import Callable
from typing import Any

from minireason import answers
from minireason.errors import UsageError
from minireason.events import (
    AnswerDelta,
    Done,
    Event,
    FinishReason,
    Reply,
    ThinkingDelta,
    ThinkingEnd,
    Timings,
    Usage,
)
from minireason.reasoning.text import StopStrings
from minireason.reasoning.think import Label, Span
from minireason.settings import Settings


class Collected:
    """What came of one reply so far; `parse` makes the typed value of a structured answer."""

    def __init__(
        self, model: str, settings: Settings, seed: int, parse: Callable[[str], Any] | None
    ) -> None:
        self._reply: Reply | None = None
        self._model, self._seed, self._parse = model, seed, parse
        self._stops = StopStrings(settings.stop)
        self._choices = settings.choices
        self.answer_chars = 0
        """How many characters the answer has so far."""
        self._said: list[Event] = []
        self._unread = iter(self._said)
        self._began = time.perf_counter()
        self._first: dict[str, float] = {}

    @property
    def ended(self) -> bool:
        """Whether the reply is made, though not all events may have been read."""
        return self._reply is not None

    @property
    def reply(self) -> Reply:
        """The reply; raises UsageError before the end."""
        if self._reply is None:
            raise UsageError("This stream has not ended; iterate it to the end or close it first.")
        return self._reply

    @property
    def waiting(self) -> int:
        """How many events were not read yet."""
        return operator.length_hint(self._unread)

    def read(self) -> Event:
        """The next event; `waiting` is not 0."""
        return next(self._unread)

    def read_all(self) -> list[Event]:
        """All events that are there."""
        return list(itertools.islice(self._unread, self.waiting))

    def begin(self) -> None:
        """The request goes out now."""
        self._began = time.perf_counter()

    def add(self, span: Span) -> None:
        """Labelled text, the answer's up to the first stop string."""
        label, text = span
        if label is Label.ANSWER:
            self._show(AnswerDelta(self._stops.feed(text)))
        else:
            self._show(ThinkingDelta(text))

    @property
    def stopped(self) -> bool:
        """Whether a stop string has ended the answer."""
        return self._stops.stopped

    @property
    def thinking(self) -> str:
        """All thinking so far."""
        return self._text(ThinkingDelta)

    @property
    def answer(self) -> str:
        """The answer so far."""
        return self._text(AnswerDelta)

    def end(
        self,
        reason: FinishReason,
        thinking_end: ThinkingEnd | None,
        usage: Usage,
        timings: Timings | None = None,
    ) -> None:
        """Make the reply and the last event; `timings` are those until now if none are given."""
        self._show(AnswerDelta(self._stops.flush()))
        answer = self.answer
        reply = Reply(
            model=self._model,
            thinking=self.thinking,
            answer=answer,
            boxed=answers.boxed(answer),
            finish_reason=reason,
            thinking_end=thinking_end,
            seed=self._seed,
            usage=usage,
            timings=timings or self.timings(usage),
            parsed=self._parsed(answer) if reason == "stop" else None,
            stop_text=self._stops.matched,
        )
        self._said.append(Done(reply))
        self._reply = reply

    def timings(self, usage: Usage) -> Timings:
        """The times until now; its rate is that of the tokens that were sampled."""
        total = time.perf_counter() - self._began
        first = min(self._first.values(), default=None)
        sampled = usage.thinking_tokens + usage.answer_tokens
        span = total - (first or 0.0)
        rate = (sampled - 1) / span if first is not None and sampled > 1 and span > 0 else None
        return Timings(0.0, first or 0.0, first, self._first.get("answer"), total, rate)

    def drop_unread(self) -> None:
        """Give no more events."""
        self._unread = iter(())

    def _show(self, event: ThinkingDelta | AnswerDelta) -> None:
        if event.text:
            kind = "thinking" if isinstance(event, ThinkingDelta) else "answer"
            self._first.setdefault(kind, time.perf_counter() - self._began)
            self.answer_chars += len(event.text) if kind == "answer" else 0
            self._said.append(event)

    def _text(self, kind: type[ThinkingDelta | AnswerDelta]) -> str:
        return "".join(event.text for event in self._said if isinstance(event, kind))

    def _parsed(self, answer: str) -> Any:
        """The typed value of a structured answer, None where it does not fit."""
        if self._parse is None or (self._choices is not None and answer not in self._choices):
            return None
        try:
            return self._parse(answer)
        except ValueError:
            return None


def parsing(settings: Settings) -> Callable[[str], Any] | None:
    """What makes the typed value of a structured answer; None for a free one."""
    if not settings.structured:
        return None
    from minireason.reasoning.structured.grammar import constraint

    wanted = constraint(settings)
    return wanted.parse if wanted else None
