"""THE loop: continuous batching of all sequences over one KV cache.

Each step has three parts: `_schedule` admits sequences to slots and plans a batch, `_run` decodes
it, `Postprocess` hands the sampled tokens to their handlers.

A prompt, a forced token and a sampled token are the same thing here: pending until decoded. In each
step a sequence either gives one token and samples after it, or gives a chunk of its pending tokens
and does not (chunked prefill). So the last token of a prompt is always decoded alone, and asking
again with the prompt in the cache computes the same thing as the first time.

**What holds after an interruption.** An error or a KeyboardInterrupt may come at any line, and a
second one while the first is mended. So nothing is undone where it happens. Each act makes its
change in an order that leaves the truth in one place:

- A list says which sequences there are, and `Sequence.slot` which of them have a slot; see
  `admission`.
- A slot's list of cached tokens never claims more than the cache holds; see `cache`.
- Every sampled token has a number. The sampler draws it once, the handler decides about it once,
  the sequence appends it once, each of them by this number: asked again, they say the same. So a
  step that was cut off is simply made again.

`_consistent` is False from before an act until after it. Whoever finds it False first makes the
rest follow from the truth.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Concatenate, ParamSpec, TypeVar

from minireason.engine.admission import Admission
from minireason.engine.base import ModelRunner
from minireason.engine.batch import Chunk, batch_of, plan_batch
from minireason.engine.cache import KVCache
from minireason.engine.lock import FairLock
from minireason.engine.postprocess import Postprocess
from minireason.engine.room import CacheRoom
from minireason.engine.sequence import Sequence, Slot
from minireason.engine.speculation import Speculation
from minireason.errors import ContextFull

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _exclusive(
    act: Callable[Concatenate[Scheduler, _P], _T],
) -> Callable[Concatenate[Scheduler, _P], _T]:
    """Run a method when it is the thread's turn, on a state that was made consistent first."""

    @functools.wraps(act)
    def exclusive(self: Scheduler, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return self.exclusively(act, self, *args, **kwargs)

    return exclusive


class Scheduler:
    """Runs all sequences over one runner; every method may be called from any thread.

    None of them may be called by a token handler, which gets UsageError; `drop`, `hasten` and
    `close` may be called at any time. `room` says how large the cache may become, which starts at
    the runner's size.
    """

    def __init__(self, runner: ModelRunner, room: CacheRoom) -> None:
        self._runner = runner
        self.cache = KVCache(runner, room)
        self.clock = 0
        """Steps so far."""
        self._admission = Admission(self.cache)
        self.speculation = Speculation(runner)
        self._postprocess = Postprocess(runner, self.cache, self._admission, self.speculation)
        self._dropped: deque[Sequence] = deque()
        self._reading: list[Sequence] = []
        """Whose prompts the batch that runs reads."""
        self._consistent = True
        self._lock = FairLock()

    @property
    def n_ctx(self) -> int:
        """The limit in tokens of one sequence; lower than asked for where there is no memory."""
        return self.cache.n_ctx

    def forked(self) -> None:
        """In a process that was forked: nobody of the parent's holds the lock here or waits."""
        self._lock = FairLock()

    def exclusively(self, act: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Call a function between two steps; raises UsageError in a token handler."""
        result: _T = self._lock.run(self._act, act, *args, **kwargs)
        return result

    def _act(self, act: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if not self._consistent:
            self._recover()
        self._consistent = False
        while self._dropped:
            self._admission.remove(self._dropped[0])
            self._dropped.popleft()
        result = act(*args, **kwargs)
        self._consistent = True
        return result

    def add(self, sequence: Sequence) -> None:
        """Queue a sequence; raises ContextFull if its tokens leave no room for another one.

        A prompt that is read ahead of time makes way at once.
        """
        reading = self._reading
        if reading and all(each.prefill_only for each in reading):
            self._runner.stop()
        self._add(sequence)

    @_exclusive
    def _add(self, sequence: Sequence) -> None:
        if len(sequence.tokens) >= self.n_ctx:
            self._consistent = True  # nothing was changed
            raise ContextFull(len(sequence.tokens), self.n_ctx)
        sequence.cached_tokens = self.cache.match(sequence.tokens, sequence.cache_scope)[1]
        self._admission.sequences.append(sequence)

    @_exclusive
    def remove(self, sequence: Sequence) -> None:
        """Take a sequence out; its slot is free and stays cached for whoever starts the same."""
        self._admission.remove(sequence)
        sequence.handler.on_removed()

    def drop(self, sequence: Sequence) -> None:
        """Take a sequence out before anything else is done, waiting for nothing.

        For finalizers, which may come in the middle of a step, in the same thread.
        """
        self._dropped.append(sequence)

    def hasten(self, sequence: Sequence) -> None:
        """End the batch that runs if it reads this sequence's prompt, which nobody waits for now.

        For any thread and for signal handlers; what is lost of the batch is read again.
        """
        if sequence in self._reading:
            self._runner.stop()

    @property
    def in_use_here(self) -> bool:
        """Whether this thread is in the middle of a step, where only `drop` and `close` go."""
        return self._lock.used_here

    def close(self) -> None:
        """Close the runner after the step that runs, or at once in a signal handler inside it."""
        if self.in_use_here:
            self._runner.close()
        else:
            self._lock.run(self._runner.close)

    @property
    def sequences(self) -> list[Sequence]:
        """All sequences that have not ended, in the order in which they came."""
        return self.exclusively(self._admission.sequences.copy)

    @_exclusive
    def cached(self, tokens: list[int], scope: str = "") -> int:
        """How many tokens of a prompt's prefix are cached; the last one always has to be read."""
        return self.cache.match(tokens, scope)[1]

    @_exclusive
    def reserve(self, tokens: int) -> None:
        """Have room for a sequence of so many tokens ahead of time, if nothing else runs."""
        if not self._admission.owners():
            self._grow(1, min(tokens, self.n_ctx))

    @_exclusive
    def release(self) -> None:
        """Give back memory that only sequences side by side needed, if none is there."""
        if not self._admission.sequences:
            self.cache.shrink()

    @_exclusive
    def step(self, reader: Sequence | None = None, seen: int = 0) -> bool:
        """Decode once for all sequences that can go on, and hand out a token for each that is read.

        False if none can go on. `reader` is the sequence for which the step is wanted: nothing is
        done if it has ended (False), or if it has more than the `seen` tokens once it is this
        thread's turn (True), since another's step has brought what this one was to bring.
        """
        if reader is not None:
            if reader not in self._admission.sequences:
                return False
            if reader.draws > seen:
                return True
        self.clock += 1
        plan = self._schedule()
        if self._run(plan):
            self._postprocess(plan, self.clock)
        return bool(plan)

    def _recover(self) -> None:
        """Make everything follow from the truth after an interruption."""
        self._reading = []
        self._admission.recover()
        self.cache.resync()
        self._admission.announce_limit()

    def _schedule(self) -> list[Chunk]:
        """Admit, preempt and grow, and plan the next batch; empty if nothing can go on."""
        self._admission.admit(self.clock)
        live = self._admission.runnable()
        while not live and self._admission.preempt_unread():
            self._admission.admit(self.clock)
            live = self._admission.runnable()
        live = self._with_room(live)
        self._grow_ahead(live)
        self.cache.close_gaps()
        owners = [owner for _, owner in live]
        plan = plan_batch(owners, self._runner.n_batch, self._admission.sequences.index)
        return self.speculation.draft(plan)

    def _run(self, plan: list[Chunk]) -> bool:
        """Decode the batch of a plan; False if there was none, or it was stopped."""
        if not plan:
            return False
        self._reading = [chunk.owner for chunk in plan if not chunk.output]
        decoded = self._runner.decode(batch_of(plan))
        self._reading = []
        if not decoded:
            for chunk in plan:
                self._runner.trim(chunk.slot.index, len(chunk.slot.cached))
        return decoded

    def _with_room(self, live: list[tuple[Slot, Sequence]]) -> list[tuple[Slot, Sequence]]:
        """Grow, preempt or end sequences until all that can go on have room for what they hold."""
        while live:
            tokens = max(len(owner.tokens) for _, owner in live)
            if self._grow(len(self._admission.owners()), tokens):
                break
            if tokens < self.n_ctx:
                self._admission.preempt_for_room()
            live = self._admission.runnable()
        return live

    def _grow_ahead(self, live: Iterable[tuple[Slot, Sequence]]) -> None:
        """Grow before a sequence would have to come to its end.

        Without memory for that it still can.
        """
        size = self.cache.shape.slot_tokens
        if size >= self.n_ctx:
            return
        wanted = [len(owner.tokens) + owner.handler.reserved_tokens(size) for _, owner in live]
        most = min(max(wanted, default=0), self.n_ctx)
        if most > size:
            self._grow(len(self._admission.owners()), most)

    def _grow(self, sequences: int, tokens: int) -> bool:
        """See `KVCache.grow`."""
        grown = self.cache.grow(sequences, tokens)
        self._admission.announce_limit()
        return grown
