"""One reply in the making: engine tokens in, events out."""

from __future__ import annotations

import math
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Protocol

from minireason.engine import sequence as engine
from minireason.engine.scheduler import Scheduler
from minireason.errors import EngineError, UsageError
from minireason.events import AnswerDelta, Done, Event, FinishReason, Reply, ThinkingDelta, ThinkingEnd, Timings, Usage
from minireason.reasoning import answer
from minireason.reasoning.budget import Budget, Cut
from minireason.reasoning.prompt import Prompt
from minireason.reasoning.text import StopStrings
from minireason.reasoning.think import Label, Span, State, ThinkMachine
from minireason.settings import MAX_TOKENS, Settings

BUFFERED_EVENTS = 256
"""A stream that nobody reads sits out once it holds this many events."""

_STALL_S, _STALL_PAUSE_S = 2.0, 0.01


class Vocabulary(Protocol):
    """What a reply needs of the model; see `engine.llama.Model`."""

    @property
    def eog(self) -> frozenset[int]: ...
    def piece(self, token: int) -> bytes: ...


class Generation:
    """The engine's sink for one sequence: labels each token's text, counts, and decides what goes in and when it is over."""

    def __init__(
        self, model: str, vocabulary: Vocabulary, prompt: Prompt, settings: Settings, machine: ThinkMachine, budget: Budget
    ) -> None:
        self.events: deque[Event] = deque()
        self.reply: Reply | None = None
        self.cancelled = False
        self.sequence: engine.Sequence | None = None
        self.rewind: Callable[[int], None] = lambda _tokens: None
        self.load_s = 0.0
        self._model, self._vocabulary, self._prompt, self._settings = model, vocabulary, prompt, settings
        self._machine, self._budget = machine, budget
        self._thinks = prompt.start is not State.ANSWER
        self._landed: ThinkingEnd | None = None
        self._reopened = False
        self._banned: int | None = None
        self._stops = StopStrings(settings.stop)
        self._parts: dict[Label, list[str]] = {Label.THINKING: [], Label.ANSWER: []}
        self._tokens = {Label.THINKING: 0, Label.ANSWER: 0}
        self._forced_tokens = 0
        self._started = time.perf_counter()
        self._times: dict[str, float] = {}

    @property
    def tokens(self) -> int:
        """Tokens generated so far, thinking and answer, forced ones too."""
        return sum(self._tokens.values())

    @property
    def full(self) -> bool:
        return len(self.events) >= BUFFERED_EVENTS

    @property
    def thinking_tokens(self) -> int:
        return self._tokens[Label.THINKING]

    def mask(self) -> Callable[[Any], None] | None:
        """What is done to the logits before the next token is drawn from them; see `engine.llama.SamplerChain`."""
        return self._ban if self._banned is not None else None

    def take(self, token: int) -> list[int]:
        """See `engine.sequence.Sink`."""
        self._mark("sampled")
        if self.cancelled:
            return self.finish("cancelled")
        return self._think(token) if self._machine.state is State.THINKING else self._answer(token)

    def finish_thinking(self) -> bool:
        """Let the thought land now; False if there is none under way that was not asked to already."""
        under_way = self._machine.state is State.THINKING and self.reply is None and not self._budget.asked
        self._budget.asked = True
        return under_way

    def out_of_room(self) -> None:
        """See `engine.sequence.Sink`."""
        self.finish("length")

    def _think(self, token: int) -> list[int]:
        """A token sampled while thinking: it goes in, or the thought ends before it."""
        closing = self._machine.closes(token)
        if closing and self._budget.refuses():
            return self._again(token)
        if closing:
            return self._accept(token)
        cut = Cut("unclosed") if token in self._vocabulary.eog else self._budget.cut(token, self._machine.whole)
        if cut:
            return self._land(cut)
        self._budget.feed(token)
        return self._accept(token)

    def _answer(self, token: int) -> list[int]:
        """A token sampled for the answer, or before it is known whether there will be a thought."""
        if token in self._vocabulary.eog:
            return self._reopen() or self.finish("stop")
        if self._machine.closes_again(token):
            return self._again(token)
        return self._accept(token)

    def _accept(self, token: int) -> list[int]:
        label = Label.ANSWER if self._machine.state is State.ANSWER else Label.THINKING
        self._tokens[label] += 1
        self._feed(token)
        if self._stops.stopped:
            return self.finish("stop")
        return [token] if self._room() > 0 else self.finish("length")

    def _land(self, cut: Cut) -> list[int]:
        """End the thought before its time: forget what a loop repeated, then force message and closing tag."""
        if cut.back and self.sequence:
            self.rewind(len(self.sequence.tokens) - cut.back)
            self._budget.took_back(cut.back)
        self._emit(self._machine.cut())
        self._landed = cut.end
        forced = self._force(self._budget.landing.ids(self._budget.after_line()))
        self._machine.forced = True
        return forced

    def _reopen(self) -> list[int]:
        """Where an answer ended without saying anything, open the final one for the model; once."""
        text = "".join(self._parts[Label.ANSWER])
        if self._reopened or not self._prompt.thinks or (text and not self._misses_box(text)):
            return []
        self._reopened = True
        self._machine.forced = True
        opening = self._budget.landing.reopening(after=bool(text))
        return self._force(opening) if self._room() > 2 * len(opening) else []

    def _misses_box(self, text: str) -> bool:
        return self._landed is not None and self._budget.landing.box and answer.final_answer(text) is None

    def _again(self, token: int) -> list[int]:
        """Have the next token drawn once more, but not as this one: the last one is taken back and put in again."""
        if not self.sequence:
            return self._accept(token)
        self._banned = token
        last = self.sequence.tokens[-1]
        self.rewind(len(self.sequence.tokens) - 1)
        return [last]

    def _ban(self, logits: Any) -> None:
        logits[self._banned], self._banned = -math.inf, None

    def _force(self, tokens: list[int]) -> list[int]:
        self._forced_tokens += len(tokens)
        for token in tokens:
            self._feed(token)
        return tokens

    def _room(self) -> int:
        """How many tokens may still come."""
        return (self._settings.max_tokens or MAX_TOKENS) - sum(self._tokens.values()) - self._forced_tokens

    def finish(self, reason: FinishReason) -> list[int]:
        """Let out what was held back, and make the reply; once only."""
        if self.reply is None:
            self._emit(self._machine.flush())
            if rest := self._stops.flush():
                self._show(Label.ANSWER, rest)
            self.reply = self._make_reply(reason)
            self.events.append(Done(self.reply))
        return []

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
        self._parts[label].append(text)
        self.events.append(ThinkingDelta(text) if label is Label.THINKING else AnswerDelta(text))

    def _mark(self, name: str) -> None:
        """Note when something happened first."""
        self._times.setdefault(name, time.perf_counter())

    def _make_reply(self, reason: FinishReason) -> Reply:
        text = "".join(self._parts[Label.ANSWER])
        return Reply(
            model=self._model,
            thinking="".join(self._parts[Label.THINKING]),
            answer=text,
            boxed=answer.boxed(text),
            finish_reason=reason,
            thinking_end=self._thinking_end(),
            seed=self._settings.seed or 0,
            usage=Usage(
                prompt_tokens=len(self._prompt.ids),
                cached_tokens=self.sequence.cached_tokens if self.sequence else 0,
                thinking_tokens=self._tokens[Label.THINKING],
                answer_tokens=self._tokens[Label.ANSWER],
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

        generated = self.tokens
        span = self._times.get("last", 0.0) - self._times.get("sampled", 0.0)
        return Timings(
            load_s=self.load_s,
            prefill_s=since_start("sampled") or 0.0,
            first_token_s=since_start("text"),
            first_answer_s=since_start("answer"),
            total_s=time.perf_counter() - self._started,
            tokens_per_s=(generated - 1) / span if generated > 1 and span > 0 else None,
        )


class Stream(Iterator[Event]):
    """The events of one reply, to be iterated once: ThinkingDelta, then AnswerDelta, then one Done.

    Asking for the next event runs the model until there is one. Closing (also by leaving a `with` block, or by
    dropping the stream) frees its place at once; `reply` then holds what there is.
    """

    def __init__(
        self, scheduler: Scheduler, sequence: engine.Sequence, generation: Generation, on_prefill: Callable[[int, int], None] | None
    ) -> None:
        self._scheduler, self._sequence, self._generation, self._on_prefill = scheduler, sequence, generation, on_prefill
        self._iterated = False
        generation.sequence, generation.rewind = sequence, partial(scheduler.rewind, sequence)
        self._stalled_s = 0.0
        scheduler.add(sequence)

    def __iter__(self) -> Stream:
        if self._iterated:
            raise UsageError("This stream has been iterated already; ask again for another reply, or read stream.reply.")
        self._iterated = True
        return self

    def __next__(self) -> Event:
        while not self._generation.events:
            if self._generation.reply:
                raise StopIteration
            self._advance()
        return self._pop()

    def poll(self) -> list[Event]:
        """The events that are there after at most one step of the model, perhaps none: for reading many streams in turn."""
        if not self._generation.events and not self._generation.reply:
            self._advance()
        return [self._pop() for _ in range(len(self._generation.events))]

    def _advance(self) -> None:
        if self._generation.cancelled:
            self.close()
        elif self._scheduler.step():
            self._stalled_s = 0.0
            self._report_prefill()
        elif self._stalled_s > _STALL_S:
            raise EngineError("Every place is held by another open stream; read or close those, or load with a larger n_seq_max.")
        else:  # perhaps another thread is about to read its stream
            time.sleep(_STALL_PAUSE_S)
            self._stalled_s += _STALL_PAUSE_S

    def _pop(self) -> Event:
        event = self._generation.events.popleft()
        if isinstance(event, Done):
            self.close()
        return event

    def _report_prefill(self) -> None:
        if self._on_prefill and 0 < self._sequence.decoded < self._sequence.prompt_tokens:
            self._on_prefill(self._sequence.decoded, self._sequence.prompt_tokens)

    def watch_confidence(self) -> Sequence[float]:
        """Have the model's confidence in each token noted from now on (see `engine.confidence`), in what this returns."""
        self._sequence.confidences = noted = array("f")
        return noted

    @property
    def tokens(self) -> int:
        """Tokens generated so far, forced ones too."""
        return self._generation.tokens

    def cancel(self) -> None:
        """Ask from any thread or a signal handler that the reply end here; iterating on gives what is left, then Done."""
        self._generation.cancelled = True

    def finish_thinking(self) -> bool:
        """Ask from any thread or a signal handler that the thought land here and the answer come; False if there is no
        thought under way, or it was asked before."""
        return self._generation.finish_thinking()

    def close(self) -> None:
        """End the reply if it has not ended, and free its place."""
        with self._scheduler.lock:
            self._scheduler.remove(self._sequence)
            self._generation.finish("cancelled")

    @property
    def thinking_tokens(self) -> int:
        """Tokens of thinking so far."""
        return self._generation.thinking_tokens

    @property
    def reply(self) -> Reply:
        """The whole reply, or as much as there was when the stream was closed; raises UsageError before that."""
        if self._generation.reply is None:
            raise UsageError("This stream has not ended; iterate it to the end or close it first.")
        return self._generation.reply

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_sequence"):
            self._scheduler.defer(partial(self._scheduler.remove, self._sequence))
