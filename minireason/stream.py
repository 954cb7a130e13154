"""The events of one reply, for whoever asked for it."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import TracebackType

from minireason.engine import sequence as engine
from minireason.engine.scheduler import Scheduler
from minireason.errors import EngineError, UsageError
from minireason.events import Done, Event, Reply
from minireason.generation import Generation

_STALL_S, _STALL_PAUSE_S = 2.0, 0.01


class Stream(Iterator[Event]):
    """The events of one reply, to be iterated once: ThinkingDelta, then AnswerDelta, then one Done.

    Asking for the next event runs the model until there is one. Closing (also by leaving a `with` block, or by
    dropping the stream) frees its place at once; `reply` then holds what there is.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        sequence: engine.Sequence,
        generation: Generation,
        on_prefill: Callable[[int, int], None] | None,
    ) -> None:
        self._scheduler, self._sequence, self._generation, self._on_prefill = (
            scheduler,
            sequence,
            generation,
            on_prefill,
        )
        self._iterated = False
        generation.sequence, generation.rewind = sequence, partial(scheduler.rewind, sequence)
        self._stalled_s = 0.0
        scheduler.add(sequence)

    def __iter__(self) -> Stream:
        if self._iterated:
            raise UsageError(
                "This stream has been iterated already; ask again for another reply, or read stream.reply."
            )
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
        if self._generation.error:
            self.close()
            self._generation.events.clear()  # the error is the end
            raise self._generation.error
        if self._generation.cancelled:
            self.close()
        elif self._scheduler.step():
            self._stalled_s = 0.0
            self._report_prefill()
        elif self._stalled_s > _STALL_S:
            raise EngineError(
                "Every place is held by another open stream; read or close those, or load with a larger n_seq_max."
            )
        else:  # perhaps another thread is about to read its stream
            time.sleep(_STALL_PAUSE_S)
            self._stalled_s += _STALL_PAUSE_S

    def _pop(self) -> Event:
        event = self._generation.events.popleft()
        if isinstance(event, Done):
            self.close()
            return Done(self.reply)
        return event

    def _report_prefill(self) -> None:
        if self._on_prefill and 0 < self._sequence.decoded < self._sequence.prompt_tokens:
            self._on_prefill(self._sequence.decoded, self._sequence.prompt_tokens)

    def watch_confidence(self) -> Sequence[float]:
        """Have the model's confidence in each token noted from now on (see `engine.confidence`), in what this returns."""
        self._sequence.confidences = noted = array("f")
        return noted

    def keep_prompt_only(self) -> None:
        """Let nothing but the prompt stay in the cache when this stream has ended, since nobody goes on from the reply."""
        self._sequence.passing = True

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
        """The whole reply, or as much as there was when the stream was closed; raises UsageError
        before that.

        Where a structured answer makes the code of its own schema fail, that is raised once, as
        UsageError.
        """
        self._generation.parse()
        if self._generation.reply is None:
            raise UsageError("This stream has not ended; iterate it to the end or close it first.")
        return self._generation.reply

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_sequence"):
            self._scheduler.defer(partial(self._scheduler.remove, self._sequence))
