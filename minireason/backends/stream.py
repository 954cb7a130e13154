"""The events of one reply of llama.cpp, for whoever asked for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

from minireason.closing import Closing
from minireason.engine import sequence as engine
from minireason.engine.scheduler import Scheduler
from minireason.errors import EngineError, UsageError
from minireason.events import Event, Reply, TokenLogprob
from minireason.reasoning.controller import Controller

_log = logging.getLogger(__name__)


class Stream(Iterator[Event], Closing):
    """The events of one reply, to be iterated once: ThinkingDelta, then AnswerDelta, then one Done.

    Asking for the next event runs the model until there is one. Closing (also by leaving a `with`
    block, or by dropping the stream) frees its slot at once; `reply` then holds what there is.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        sequence: engine.Sequence,
        controller: Controller,
        on_prefill: Callable[[int, int], None] | None,
    ) -> None:
        self._scheduler, self._sequence = scheduler, sequence
        self._controller, self._builder = controller, controller.builder
        self._on_prefill = on_prefill
        self._iterated = self._closed = False
        scheduler.add(sequence)

    def __iter__(self) -> Stream:
        if self._iterated:
            raise UsageError(
                "This stream has been iterated already; ask again for another reply, "
                "or read stream.reply."
            )
        self._iterated = True
        return self

    def __next__(self) -> Event:
        while not self._builder.unread:
            if self._builder.reply:
                raise StopIteration
            self._advance()
        self._close_at_end()
        if self._builder.unread == 1:
            self._builder.parse()  # before the last event is taken, since it may fail
        return self._builder.read()

    def poll(self) -> list[Event]:
        """The events that are there after at most one step of the model, perhaps none.

        For reading many streams in turn.
        """
        if not self._ready():
            self._advance()
        self._close_at_end()
        self._builder.parse()
        self._sequence.note_read()
        return self._builder.read_all()

    @property
    def ready(self) -> bool:
        """See `KnowsWhenReady.ready`; other streams' steps bring events to this one too."""
        controller = self._controller
        return self._ready() or controller.cancelled or controller.error is not None

    def _ready(self) -> bool:
        """Whether there is something to tell without a step of the model."""
        return bool(self._builder.unread or self._builder.reply)

    def _advance(self) -> None:
        controller = self._controller
        if controller.error:
            self._remove()
            self._builder.read_all()  # the error is the end
            raise controller.error
        if controller.cancelled:
            self._remove()
            return
        sequence = self._sequence
        sequence.note_read()
        seen = sequence.draws
        if self._ready():
            return  # by a step of another thread
        if self._scheduler.step(sequence, seen):
            self._report_prefill()
        elif not (self._ready() or controller.error):
            raise EngineError("This stream has lost its place; close it and ask again.")

    def _close_at_end(self) -> None:
        if self._builder.reply and not self._closed:
            self._remove()

    def _report_prefill(self) -> None:
        if self._on_prefill and 0 < self._sequence.decoded < self._sequence.prompt_tokens:
            self._on_prefill(self._sequence.decoded, self._sequence.prompt_tokens)

    @property
    def ended(self) -> bool:
        """Whether the reply is whole or was ended, though not all events may have been read."""
        return self._builder.reply is not None

    @property
    def tokens(self) -> int:
        """Tokens generated so far, forced ones too."""
        return self._builder.tokens

    @property
    def thinking_tokens(self) -> int:
        """Tokens of thinking so far."""
        return self._builder.thinking_tokens

    @property
    def token_ids(self) -> Sequence[int]:
        """The ids of the prompt and of what followed it, as the model sees them."""
        return self._sequence.tokens

    @property
    def confidences(self) -> Sequence[float]:
        """The model's confidence in each sampled token (see `engine.confidence`), where watched."""
        noted = self._sequence.confidences
        return () if noted is None else noted

    @property
    def logprobs(self) -> Sequence[TokenLogprob]:
        """See `KnowsLogprobs.logprobs`."""
        return self._builder.logprobs

    @property
    def reply(self) -> Reply:
        """The whole reply, or as much as there was when the stream was closed.

        Raises UsageError before that. Where a structured answer makes the code of its own schema
        fail, that is raised once, as UsageError.
        """
        self._builder.parse()
        if self._builder.reply is None:
            raise UsageError("This stream has not ended; iterate it to the end or close it first.")
        return self._builder.reply

    def cancel(self) -> None:
        """Ask from any thread or a signal handler that the reply end here.

        Iterating on gives what is left, then Done.
        """
        self._controller.cancel()
        self._scheduler.hasten(self._sequence)

    def finish_thinking(self) -> bool:
        """Ask from any thread or a signal handler that the thought land here and the answer come.

        False if there is no thought under way, or it was asked before.
        """
        return self._controller.finish_thinking()

    def close(self) -> None:
        """End the reply if it has not ended, and free its slot.

        In the middle of a step of this thread, where a generator around it may be collected, it is
        dropped and has not `ended` before it is closed again.
        """
        if self._scheduler.in_use_here:
            self.cancel()
            self.drop()
        else:
            self._remove()

    def _remove(self) -> None:
        """Raises UsageError in the middle of a step of this thread."""
        self._scheduler.remove(self._sequence)  # which has the controller end the reply
        drafts = self._builder.drafts
        if drafts.drafted and not self._closed:
            _log.info("%d of %d drafted tokens accepted", drafts.accepted, drafts.drafted)
        self._closed = True

    def drop(self) -> None:
        """Free its slot before the model's next step, waiting for nothing: for finalizers."""
        self._scheduler.drop(self._sequence)

    def __del__(self) -> None:
        if hasattr(self, "_sequence"):
            self.drop()
