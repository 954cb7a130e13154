"""One reply in the making: engine tokens in, events out."""

from __future__ import annotations

import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import Protocol

from minireason.engine import sequence as engine
from minireason.engine.scheduler import Scheduler
from minireason.errors import EngineError, UsageError
from minireason.events import AnswerDelta, Done, Event, FinishReason, Reply, ThinkingDelta, ThinkingEnd, Timings, Usage
from minireason.reasoning import answer
from minireason.reasoning.budget import Budget
from minireason.reasoning.prompt import Prompt
from minireason.reasoning.text import StopStrings
from minireason.reasoning.think import Label, Span, State, ThinkMachine
from minireason.settings import Settings

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
        self.load_s = 0.0
        self._model, self._vocabulary, self._prompt, self._settings = model, vocabulary, prompt, settings
        self._machine, self._budget = machine, budget
        self._thinks = prompt.start is not State.ANSWER
        self._stops = StopStrings(settings.stop)
        self._parts: dict[Label, list[str]] = {Label.THINKING: [], Label.ANSWER: []}
        self._tokens = {Label.THINKING: 0, Label.ANSWER: 0}
        self._started = time.perf_counter()
        self._times: dict[str, float] = {}

    @property
    def tokens(self) -> int:
        """Tokens generated so far, thinking and answer, forced ones too."""
        return sum(self._tokens.values())

    @property
    def full(self) -> bool:
        return len(self.events) >= BUFFERED_EVENTS

    def take(self, token: int) -> list[int]:
        """See `engine.sequence.Sink`."""
        self._mark("sampled")
        if self.cancelled:
            return self.finish("cancelled")
        if token in self._vocabulary.eog:
            return self.finish("stop")
        self._feed(token)
        forced = self._budget.forced(self._tokens[Label.THINKING]) if self._machine.state is State.THINKING else []
        for forced_token in forced:
            self._feed(forced_token)
            self._machine.forced = True
        if self._stops.stopped:
            return self.finish("stop")
        if self._settings.max_tokens is not None and self.tokens >= self._settings.max_tokens:
            return self.finish("length")
        return [token, *forced]

    def out_of_room(self) -> None:
        """See `engine.sequence.Sink`."""
        self.finish("length")

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
        label = Label.ANSWER if self._machine.state is State.ANSWER else Label.THINKING
        self._tokens[label] += 1
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
        if self._budget.spent:
            return "budget"
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
        self._stalled_s = 0.0
        generation.sequence = sequence
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

    def close(self) -> None:
        """End the reply if it has not ended, and free its place."""
        with self._scheduler.lock:
            self._scheduler.remove(self._sequence)
            self._generation.finish("cancelled")

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
