"""What becomes of the tokens of one reply: labelled text, the end of its thought, and the reply itself."""

from __future__ import annotations

import itertools
import operator
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from minireason import answers
from minireason.engine.base import END, Mask, Step, Vocabulary, all_but
from minireason.engine.sequence import Sequence as EngineSequence
from minireason.errors import EngineError, UsageError
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
from minireason.reasoning.budget import Budget, Cut
from minireason.reasoning.prompt import Prompt
from minireason.reasoning.structured.constraint import Follower
from minireason.reasoning.text import StopStrings
from minireason.reasoning.think import Label, Span, State, ThinkMachine
from minireason.settings import MAX_TOKENS, Settings

BUFFERED_EVENTS = 256
"""A stream that nobody reads sits out once it holds this many events."""


_NOTHING, _ENDED = -1, -2
"""Numbers of what is no draw: nothing yet, and the end that comes from outside."""


class _Decided(NamedTuple):
    """What was decided last: about which draw, what it said, and from where on which events it brought."""

    number: int
    step: Step
    start: int
    events: list[Event]


class Generation:
    """The engine's token handler for one sequence: labels each token's text, counts, and decides what goes in and when it is over.

    A token is taken whole or not at all: what is so before it is noted (`_begin`), one assignment makes what
    was decided count (`_commit`), and only then events are seen (`_publish`). If an interruption comes before that assignment,
    the next call goes back to what was noted; if it comes later, the next call publishes again.
    """

    def __init__(
        self,
        model: str,
        vocabulary: Vocabulary,
        prompt: Prompt,
        settings: Settings,
        machine: ThinkMachine,
        budget: Budget,
    ) -> None:
        self.follower: Follower | None = None
        self.reply: Reply | None = None
        self.allowance: Callable[[], int] | None = None
        """How many tokens may still come by what several replies share; None: they share nothing."""
        self.error: EngineError | None = None
        self.cancelled = False
        self.sequence: EngineSequence | None = None
        self.load_s = 0.0
        self._model, self._vocabulary, self._prompt, self._settings = (
            model,
            vocabulary,
            prompt,
            settings,
        )
        self._machine, self._budget = machine, budget
        self._thinks = prompt.start is not State.ANSWER
        self._landed: ThinkingEnd | None = None
        self._reopened = self._parsed = False
        self._banned: int | None = None
        self._kept: dict[int, int] = {}
        self._stops = StopStrings(settings.stop)
        self._said: list[Event] = []
        self._unread = iter(self._said)
        self._fresh: list[Event] = []
        self.thinking_tokens = self._answer_tokens = self._forced_tokens = 0
        self._decided = _Decided(_NOTHING, END, 0, [])
        self._before: tuple[int, tuple[Any, ...]] | None = None
        self._started = time.perf_counter()
        self._times: dict[str, float] = {}

    @property
    def tokens(self) -> int:
        """Tokens generated so far, thinking and answer, forced ones too."""
        return self.thinking_tokens + self._answer_tokens + self._forced_tokens

    @property
    def unread(self) -> int:
        """How many events wait for whoever reads them."""
        return operator.length_hint(self._unread)  # of an iterator over a list it is exact

    def read(self) -> Event:
        """The next event, in one call, so that no interruption comes between taking and giving it; `unread` is not 0."""
        return next(self._unread)

    def read_all(self) -> list[Event]:
        """All events that are there."""
        return list(itertools.islice(self._unread, self.unread))

    @property
    def paused(self) -> bool:
        return self.unread >= BUFFERED_EVENTS

    def mask(self) -> Mask | None:
        """Which tokens may be sampled next; None: all."""
        if self._banned is not None:
            return all_but(self._banned, self._vocabulary.n_vocab)
        if self.follower and self._machine.state is State.ANSWER:
            return self.follower.mask()
        return None

    def on_token(self, token: int, draw: int) -> Step:
        """See `engine.base.TokenHandler`."""
        if self.reply:
            return END
        if self._decided.number != draw:
            self._begin(draw)
            self._mark("sampled")
            self._banned = None
            self._commit(draw, self._masked(self._step(token)))
        self._publish()
        return self._decided.step

    def _masked(self, step: Step) -> Step:
        mask = None if step.done else self.mask()
        return step if mask is None else replace(step, mask=mask)

    def _step(self, token: int) -> Step:
        if self.cancelled:
            return self._finish("cancelled")
        return self._think(token) if self._machine.state is State.THINKING else self._answer(token)

    def _begin(self, number: int) -> None:
        """Note what is so before something is decided, first going back to that if an interruption cut it off."""
        self._publish()
        self._roll_back()
        machine, budget, stops = self._machine.save(), self._budget.save(), self._stops.save()
        follower = self.follower.save() if self.follower else None
        counts = self.thinking_tokens, self._answer_tokens, self._forced_tokens
        flags = self._landed, self._reopened, self._banned
        self._before = number, (machine, budget, stops, follower, counts, flags)
        self._fresh = []

    def _roll_back(self) -> None:
        if self._before is None or self._before[0] == self._decided.number:
            return
        machine, budget, stops, follower, counts, flags = self._before[1]
        self._machine.restore(machine)
        self._budget.restore(budget)
        self._stops.restore(stops)
        if self.follower:
            self.follower.restore(follower)
        self.thinking_tokens, self._answer_tokens, self._forced_tokens = counts
        self._landed, self._reopened, self._banned = flags
        self._before = None

    def _commit(self, number: int, step: Step) -> None:
        self._decided = _Decided(number, step, len(self._said), self._fresh)

    def _publish(self) -> None:
        """Let what was decided be seen; twice is as good as once."""
        _, _, start, events = self._decided
        self._said[start:] = events
        if self.reply is None and events and isinstance(events[-1], Done):
            self.reply = events[-1].reply

    def finish_thinking(self) -> bool:
        """Let the thought land now; False if there is none under way that was not asked to already."""
        under_way = (
            self._machine.state is State.THINKING and self.reply is None and not self._budget.asked
        )
        self._budget.asked = True
        return under_way

    def reserved_tokens(self, n_ctx: int) -> int:
        """See `engine.base.TokenHandler`: what a thought needs to land and an answer to follow, as far as max_tokens allows."""
        if self._machine.state is not State.THINKING:
            return 0
        if n_ctx not in self._kept:
            room = n_ctx - len(self._prompt.ids)
            self._kept[n_ctx] = room - self._budget.landing.within(room)[1]
        return min(self._kept[n_ctx], self._room())

    def on_context_limit(self, n_ctx: int) -> None:
        """See `engine.base.TokenHandler`: the thought has to land sooner."""
        self._roll_back()
        self._budget.limited_to(
            min(n_ctx - len(self._prompt.ids), self._settings.max_tokens or MAX_TOKENS)
        )

    def on_context_full(self) -> None:
        """See `engine.base.TokenHandler`."""
        self.finish("length")

    def on_error(self, error: EngineError) -> None:
        """See `engine.base.TokenHandler`: the stream raises it to its reader, after the events that are
        there."""
        self.error = error

    def _think(self, token: int) -> Step:
        """A token sampled while thinking: it goes in, or the thought ends before it."""
        tag = self._machine.end_of_tag(self._vocabulary.piece(token))
        if tag or self._machine.closes(token):
            before = self._tag_tokens()
            if before is not None and self._budget.refuses(before):
                return self._refuse(token, before)
            return self._close(token, tag)
        cut = (
            Cut("unclosed")
            if token in self._vocabulary.eog
            else self._budget.cut(token, self._machine.whole)
        )
        if cut:
            return self._land(cut)
        self._budget.feed(token)
        return self._accept(token)

    def _tag_tokens(self) -> int | None:
        """How many of the last tokens are the beginning of a closing tag that is text; None if the first has other text in it."""
        beginning, tokens = b"", self.sequence.tokens if self.sequence else []
        held, count = self._machine.held.encode(), 0
        while len(beginning) < len(held) and count < len(tokens):
            count += 1
            beginning = self._vocabulary.piece(tokens[-count]) + beginning
        return count if beginning.strip() == held else None

    def _refuse(self, token: int, before: int) -> Step:
        """Take a closing tag back, of which so many tokens came before this one, and have another token drawn for its first."""
        first = self.sequence.tokens[-before] if self.sequence and before else token
        self._machine.drop_held()
        self._budget.took_back(before)
        return self._again(first, before)

    def _answer(self, token: int) -> Step:
        """A token sampled for the answer, or before it is known whether there will be a thought."""
        if self.follower and self._machine.state is State.ANSWER:
            return self._follow(self.follower, token)
        if token in self._vocabulary.eog:
            opening = self._reopen()
            return Step(opening) if opening else self._finish("stop")
        if self._machine.closes_again(token):
            return self._again(token)
        return self._accept(token)

    def _accept(self, token: int) -> Step:
        if self._machine.state is State.ANSWER:
            self._answer_tokens += 1
        else:
            self.thinking_tokens += 1
        self._feed(token)
        if self._stops.stopped:
            return self._finish("stop")
        return Step([token]) if self._room() > 0 else self._finish("length")

    def _follow(self, follower: Follower, token: int) -> Step:
        """A token of a structured answer, which ends where the constraint lets it and no sooner, and is shown as it is."""
        if token not in self._vocabulary.eog:
            self._answer_tokens += 1
            self._times["last"] = time.perf_counter()
            if text := follower.feed(token):
                self._show(Label.ANSWER, text)
            if not follower.over:
                return Step([token]) if self._room() > 0 else self._finish("length")
        return self._finish("stop" if follower.whole else "length")

    def _close(self, token: int, tag: str = "") -> Step:
        """The model's own closing tag. A structured answer begins after the blank line that it would write itself; where the tag is
        text, `tag` is the end of it that this token brings, perhaps with more behind it."""
        if not self.follower:
            return self._accept(token)
        if tag and tag.encode() != self._vocabulary.piece(token):
            return self._put_in([], self._budget.landing.after_tag(tag))
        taken = self._accept(token)
        if taken.done:
            return taken
        return self._put_in(taken.append, self._budget.landing.after_tag())

    def _put_in(self, before: Sequence[int], forced: list[int]) -> Step:
        """Forced tokens after some that count already, where there is room for them and an answer."""
        if self._room() <= len(forced):
            return self._finish("length")
        return Step([*before, *self._force(forced)])

    def _land(self, cut: Cut) -> Step:
        """End the thought before its time: forget what a loop repeated, then force message and closing tag."""
        drop = cut.back if self.sequence else 0
        if drop:
            self._budget.took_back(drop)
        landing = self._budget.landing.ids(self._budget.after_line())
        if len(landing) >= self._room():
            return self._finish("length")
        self._emit(self._machine.cut())
        self._landed = cut.end
        forced = self._force(landing)
        self._machine.forced = True
        return Step(forced, drop)

    def _reopen(self) -> list[int]:
        """Where an answer ended without saying anything, open the final one for the model; once."""
        text = self._text(AnswerDelta)
        if self._reopened or not self._prompt.thinks or (text and not self._misses_box(text)):
            return []
        self._reopened = True
        self._machine.forced = True
        opening = self._budget.landing.reopening(after=bool(text))
        return self._force(opening) if self._room() > 2 * len(opening) else []

    def _misses_box(self, text: str) -> bool:
        return (
            self._landed is not None
            and self._budget.landing.box
            and answers.outright_answer(text) is None
        )

    def _again(self, token: int, back: int = 0) -> Step:
        """Have a token drawn once more, the next one or one of the last, but not as this one: what stands before it is put in again."""
        if not self.sequence:
            return self._accept(token)
        self._banned = token
        return Step([self.sequence.tokens[-1 - back]], drop=back + 1)

    def _force(self, tokens: list[int]) -> list[int]:
        self._forced_tokens += len(tokens)
        for token in tokens:
            self._feed(token)
        return tokens

    def _room(self) -> int:
        """How many tokens may still come."""
        room = (self._settings.max_tokens or MAX_TOKENS) - self.tokens
        return room if self.allowance is None else min(room, self.allowance())

    def finish(self, reason: FinishReason) -> None:
        """End the reply here, if it has not ended."""
        self._publish()
        if self._decided.number != _ENDED and not self.reply:
            self._begin(_ENDED)
            self._commit(_ENDED, self._finish(reason))
        self._publish()

    def _finish(self, reason: FinishReason) -> Step:
        """Let out what was held back, and make the reply."""
        self._emit(self._machine.flush())
        if rest := self._stops.flush():
            self._show(Label.ANSWER, rest)
        self._fresh.append(Done(self._make_reply(reason)))
        return END

    def parse(self) -> None:
        """Put the typed value of a structured answer into the reply, once. The caller's own code
        makes it, which may fail, so it is called by the stream that asked, and never under the
        scheduler's lock. Raises UsageError."""
        if self.reply and self.follower and not self._parsed:
            if self.reply.finish_reason == "stop":
                try:
                    self.reply = replace(self.reply, parsed=self.follower.parsed())
                except UsageError:
                    self._parsed = True
                    raise
            self._parsed = True

    def _feed(self, token: int) -> None:
        self._times["last"] = time.perf_counter()
        self._emit(self._machine.feed(token, self._vocabulary.piece(token)))

    def _emit(self, spans: list[Span]) -> None:
        for label, text in spans:
            shown = self._stops.feed(text) if label is Label.ANSWER else text
            if shown:
                self._show(label, shown)

    def _show(self, label: Label, text: str) -> None:
        self._mark("text")
        if label is Label.ANSWER:
            self._mark("answer")
        self._fresh.append(ThinkingDelta(text) if label is Label.THINKING else AnswerDelta(text))

    def _text(self, kind: type[ThinkingDelta | AnswerDelta]) -> str:
        """All that was shown of one kind."""
        events = itertools.chain(self._said, self._fresh)
        return "".join(event.text for event in events if isinstance(event, kind))

    def _mark(self, name: str) -> None:
        """Note when something happened first."""
        self._times.setdefault(name, time.perf_counter())

    def _make_reply(self, reason: FinishReason) -> Reply:
        text = self._text(AnswerDelta)
        return Reply(
            model=self._model,
            thinking=self._text(ThinkingDelta),
            answer=text,
            boxed=answers.boxed(text),
            finish_reason=reason,
            thinking_end=self._thinking_end(),
            seed=self._settings.seed or 0,
            usage=Usage(
                prompt_tokens=len(self._prompt.ids),
                cached_tokens=self.sequence.cached_tokens if self.sequence else 0,
                thinking_tokens=self.thinking_tokens,
                answer_tokens=self._answer_tokens,
                forced_tokens=self._forced_tokens,
            ),
            timings=self._timings(),
        )

    def _thinking_end(self) -> ThinkingEnd | None:
        if not self._prompt.thinks:
            return None
        if not self._thinks:
            return "skipped"
        if self._machine.state is not State.ANSWER:
            return "unclosed"
        if self._landed:
            return self._landed
        return "natural" if self._machine.closed and self._machine.thought else "skipped"

    def _timings(self) -> Timings:
        def since_start(name: str) -> float | None:
            return self._times[name] - self._started if name in self._times else None

        sampled = self.thinking_tokens + self._answer_tokens
        span = self._times.get("last", 0.0) - self._times.get("sampled", 0.0)
        return Timings(
            load_s=self.load_s,
            prefill_s=since_start("sampled") or 0.0,
            first_token_s=since_start("text"),
            first_answer_s=since_start("answer"),
            total_s=time.perf_counter() - self._started,
            tokens_per_s=(sampled - 1) / span if sampled > 1 and span > 0 else None,
        )
