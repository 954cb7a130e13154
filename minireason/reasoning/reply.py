"""The text, counts and times of one reply: what its reader gets, as events and as a `Reply`."""

from __future__ import annotations

import itertools
import operator
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from minireason.engine.drafting import DraftCount
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
    TokenLogprob,
    Usage,
)
from minireason.reasoning.logprobs import TellLogprob
from minireason.reasoning.prompt import Prompt
from minireason.reasoning.text import StopStrings
from minireason.reasoning.think import Label, Span, State
from minireason.settings import Settings


class Added(NamedTuple):
    """What one decision brings to the reader, and how much there was before it."""

    event_start: int
    events: list[Event]
    logprob_start: int
    logprobs: list[TokenLogprob]


NOTHING_ADDED = Added(0, [], 0, [])


class ReplyBuilder:
    """Collects one reply: labelled text becomes events, counts and times become a `Reply`.

    Events that were added are not seen until they are published: see `Controller`, which decides
    when. `parse` makes the typed value of a structured answer, and is None for a free one.
    `drafts` counts what the engine drafts. `tell_logprob` is None where nobody asks for it.
    """

    def __init__(
        self,
        model: str,
        prompt: Prompt,
        settings: Settings,
        *,
        load_s: float = 0.0,
        parse: Callable[[], Any] | None = None,
        drafts: DraftCount | None = None,
        tell_logprob: TellLogprob | None = None,
    ) -> None:
        self.drafts = drafts or DraftCount()
        self.reply: Reply | None = None
        self.cached_tokens = 0
        """How many of the prompt's tokens were in the cache and were used."""
        self.logprobs: list[TokenLogprob] = []
        """Those of the answer's sampled tokens, as far as they were published."""
        self.thinking_tokens = self.answer_tokens = self.forced_tokens = 0
        self._model, self._prompt_tokens = model, len(prompt.ids)
        self._seed, self._load_s, self._parse = settings.seed or 0, load_s, parse
        self._stops = StopStrings(settings.stop)
        self._events: list[Event] = []
        self._unread = iter(self._events)
        self._added: list[Event] = []
        self._tell_logprob = tell_logprob
        self._added_logprobs: list[TokenLogprob] = []
        self._undecided: tuple[TokenLogprob, ...] = ()
        self._answer_chars = 0
        self._started = time.perf_counter()
        self._times: dict[str, float] = {}

    @property
    def tokens(self) -> int:
        """Tokens generated so far, thinking and answer, forced ones too."""
        return self.thinking_tokens + self.answer_tokens + self.forced_tokens

    @property
    def unread(self) -> int:
        """How many events wait for whoever reads them."""
        return operator.length_hint(self._unread)  # of an iterator over a list it is exact

    def read(self) -> Event:
        """The next event; `unread` is not 0.

        It is one call, so that no interruption comes between taking the event and giving it.
        """
        return next(self._unread)

    def read_all(self) -> list[Event]:
        """All events that are there."""
        return list(itertools.islice(self._unread, self.unread))

    def begin(self) -> None:
        """Forget what was added and not published."""
        self._added, self._added_logprobs = [], []

    def save(self) -> tuple[Any, ...]:
        """What `restore` takes."""
        counts = self.thinking_tokens, self.answer_tokens, self.forced_tokens
        return counts, self._stops.save(), self._answer_chars, self._undecided

    def restore(self, saved: tuple[Any, ...]) -> None:
        """Go back to what was so when this was saved."""
        counts, stops, self._answer_chars, self._undecided = saved
        self.thinking_tokens, self.answer_tokens, self.forced_tokens = counts
        self._stops.restore(stops)

    def added(self) -> Added:
        """What was added since `begin`."""
        return Added(len(self._events), self._added, len(self.logprobs), self._added_logprobs)

    def publish(self, added: Added) -> None:
        """Let what was added be seen; twice is as good as once."""
        if self.reply is not None:
            return  # the last event is there, perhaps with its typed value
        events = added.events
        self.logprobs[added.logprob_start :] = added.logprobs
        self._events[added.event_start :] = events
        if events and isinstance(events[-1], Done):
            self.reply = events[-1].reply

    def note_sampled(self) -> None:
        """Note the time at which a token was sampled, if it is the first."""
        self._mark("sampled")

    def count(self, *, thinking: int = 0, answer: int = 0, forced: int = 0) -> None:
        """Count tokens that go into the sequence, or end it."""
        self._times["last"] = time.perf_counter()
        self.thinking_tokens += thinking
        self.answer_tokens += answer
        self.forced_tokens += forced

    def add(self, spans: Iterable[Span]) -> None:
        """Add labelled text, the answer's up to the first stop string."""
        for label, text in spans:
            shown = self._stops.feed(text) if label is Label.ANSWER else text
            if shown:
                self._show(label, shown)

    def add_structured(self, text: str) -> None:
        """Add text of a structured answer, which is shown as it is."""
        if text:
            self._show(Label.ANSWER, text)

    def note_logprob(self, token: int, state: State) -> None:
        """Note the log-probability of a sampled token, unless it has opened a thought.

        While it is not known whether there will be one, it waits.
        """
        if self._tell_logprob is None:
            return
        self._undecided += (self._tell_logprob(token, self._answer_chars),)
        if state is State.THINKING:
            self.drop_undecided()
        elif state is State.ANSWER:
            self._add_undecided()

    def drop_undecided(self) -> None:
        """Forget the tokens that turned out to belong to no answer."""
        self._undecided = ()

    def _add_undecided(self) -> None:
        self._added_logprobs += self._undecided
        self._undecided = ()

    @property
    def stopped(self) -> bool:
        """Whether a stop string has ended the answer."""
        return self._stops.stopped

    @property
    def answer(self) -> str:
        """The answer so far."""
        return self._text(AnswerDelta)

    def end(self, reason: FinishReason, thinking_end: ThinkingEnd | None) -> None:
        """Add what was held back, and the last event, which has the reply."""
        if rest := self._stops.flush():
            self._show(Label.ANSWER, rest)
        if self._answer_chars:
            self._add_undecided()
        self._added.append(Done(self.make(reason, thinking_end)))

    def make(self, reason: FinishReason, thinking_end: ThinkingEnd | None) -> Reply:
        """The reply as it is now."""
        from minireason.answers import boxed  # where a reply ends, and not before it begins

        text = self.answer
        return Reply(
            model=self._model,
            thinking=self._text(ThinkingDelta),
            answer=text,
            boxed=boxed(text),
            finish_reason=reason,
            thinking_end=thinking_end,
            seed=self._seed,
            usage=Usage(
                prompt_tokens=self._prompt_tokens,
                cached_tokens=self.cached_tokens,
                thinking_tokens=self.thinking_tokens,
                answer_tokens=self.answer_tokens,
                forced_tokens=self.forced_tokens,
                drafted_tokens=self.drafts.drafted,
                accepted_tokens=self.drafts.accepted,
            ),
            timings=self._timings(),
            stop_text=self._stops.matched,
        )

    def parse(self) -> None:
        """Put the typed value of a whole structured answer into reply and last event, once.

        Raises UsageError. The caller's own code makes it, which may fail, so it is called by the
        stream that asked, and never under the scheduler's lock.
        """
        if not self.reply or not self._parse:
            return
        if self.reply.finish_reason == "stop":
            try:
                reply = replace(self.reply, parsed=self._parse())
            except UsageError:
                self._parse = None
                raise
            self._events[-1] = Done(reply)
            self.reply = reply
        self._parse = None

    def _show(self, label: Label, text: str) -> None:
        self._mark("text")
        if label is Label.ANSWER:
            self._mark("answer")
            self._answer_chars += len(text)
        self._added.append(ThinkingDelta(text) if label is Label.THINKING else AnswerDelta(text))

    def _text(self, kind: type[ThinkingDelta | AnswerDelta]) -> str:
        """All text of one kind."""
        events = itertools.chain(self._events, self._added)
        return "".join(event.text for event in events if isinstance(event, kind))

    def _mark(self, name: str) -> None:
        """Note when something happened first."""
        self._times.setdefault(name, time.perf_counter())

    def _timings(self) -> Timings:
        def since_start(name: str) -> float | None:
            return self._times[name] - self._started if name in self._times else None

        sampled = self.thinking_tokens + self.answer_tokens
        span = self._times.get("last", 0.0) - self._times.get("sampled", 0.0)
        return Timings(
            load_s=self._load_s,
            prefill_s=since_start("sampled") or 0.0,
            first_token_s=since_start("text"),
            first_answer_s=since_start("answer"),
            total_s=time.perf_counter() - self._started,
            tokens_per_s=(sampled - 1) / span if sampled > 1 and span > 0 else None,
        )
