"""THE loop: continuous batching of all sequences over one KV cache.

Each step has three parts: `_schedule` admits sequences to slots and plans a batch, `_run` decodes
it, `_postprocess` hands the sampled tokens to their handlers.

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
from minireason.engine.quarantine import Quarantine
from minireason.engine.sequence import Draw, Sequence, Slot
from minireason.errors import ContextFull, LogitsNotFinite

EVICT_IDLE_STEPS = 2048
"""So many steps after its last use an idle slot is evicted. Every step attends past its tokens too,
and after about so many that has cost what reading them again would (1.5B shape on two AVX-512
cores: 6 microseconds a token and step against 10 ms): who evicts then pays little more than twice
what foresight would have (ski rental)."""

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

    None of them may be called by a token handler, which gets UsageError; `drop` and `close` may be
    called at any time. `n_ctx` is the limit in tokens of one sequence, `cache_tokens` (None: the
    same) that of the cache for all of them, which starts at the runner's size and grows.
    """

    def __init__(self, runner: ModelRunner, n_ctx: int, cache_tokens: int | None = None) -> None:
        self._runner = runner
        self.cache = KVCache(runner, n_ctx, cache_tokens or n_ctx)
        self.clock = 0
        """Steps so far."""
        self._admission = Admission(self.cache)
        self._dropped: deque[Sequence] = deque()
        self._quarantine = Quarantine()
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

    @_exclusive
    def add(self, sequence: Sequence) -> None:
        """Queue a sequence; raises ContextFull if its tokens leave no room for another one."""
        if len(sequence.tokens) >= self.n_ctx:
            self._consistent = True  # nothing was changed
            raise ContextFull(len(sequence.tokens), self.n_ctx)
        sequence.cached_tokens = self.cache.match(sequence.tokens)[1]
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
    def cached(self, tokens: list[int]) -> int:
        """How many tokens of a prompt's prefix are cached; the last one always has to be read."""
        return self.cache.match(tokens)[1]

    @_exclusive
    def reserve(self, wanted: int) -> None:
        """Grow the cache ahead of time if so many more tokens would not fit."""
        if self.cache.can_grow and self.cache.used + wanted > self.cache.size:
            self._grow(wanted)

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
            self._postprocess(plan)
        return bool(plan)

    def _recover(self) -> None:
        """Make everything follow from the truth after an interruption."""
        self._admission.recover()
        self.cache.resync()
        self._admission.announce_limit()

    def _schedule(self) -> list[Chunk]:
        """Admit, evict and preempt, and plan the next batch; it is empty if nothing can go on."""
        self._admission.admit(self.clock)
        self.cache.evict_idle(self.clock - EVICT_IDLE_STEPS)
        live = self._admission.runnable()
        while not live and self._admission.preempt_unread():
            self._admission.admit(self.clock)
            live = self._admission.runnable()
        live = self._quarantine.runnable(live)
        self._grow_ahead(live)
        return plan_batch(live, self._runner.n_batch, self._admission.sequences.index)

    def _run(self, plan: list[Chunk]) -> bool:
        """Decode the batch of a plan; False if there was none, or no room for it."""
        if not plan:
            return False
        tokens, positions, slots, outputs = batch_of(plan)
        decoded = self._runner.decode(tokens, positions, slots, outputs)
        if not decoded:
            self._evict_or_preempt(len(tokens))
        return decoded

    def _postprocess(self, plan: list[Chunk]) -> None:
        """Note what is cached now, and sample a token for each sequence that is through."""
        row, broken = -1, []
        for slot, owner, count, output in plan:
            row += count
            start = len(slot.cached)
            slot.cached += owner.tokens[start : start + count]
            slot.last_used = self.clock
            if not output:
                continue
            try:
                self._sample(slot, owner, row)
            except LogitsNotFinite as error:
                broken.append((owner, error))
            else:
                self._quarantine.release(owner)
        if broken:
            self._isolate(*broken[0])

    def _sample(self, slot: Slot, sequence: Sequence, row: int) -> None:
        """Draw the next token of a sequence and apply what its handler makes of it.

        Made again after an interruption, it comes to the same.
        """
        if sequence.drawn.number != sequence.draws:
            noted = sequence.confidences
            sequence.drawn = Draw(
                sequence.draws,
                len(sequence.tokens),
                0 if noted is None else len(noted),
                0.0 if noted is None else self._runner.confidence(row),
            )
        token = self._runner.sample(sequence.sampler, row, sequence.draws, sequence.mask)
        step = sequence.handler.on_token(token, sequence.draws)
        if not step.done:
            self.cache.trim(slot, sequence.drawn.tokens - step.drop)
        sequence.apply(step)
        if step.done:
            self._admission.remove(sequence)
        elif len(sequence.tokens) >= self.cache.n_ctx:
            self._admission.end_at_limit(sequence)

    def _evict_or_preempt(self, wanted: int) -> None:
        """After a decode found no room: grow, evict an idle slot, or preempt a sequence."""
        if self.cache.can_grow:
            self._grow(wanted)
        elif not self.cache.evict():
            self._admission.preempt_for_room()

    def _isolate(self, sequence: Sequence, error: LogitsNotFinite) -> None:
        """Fail a sequence without finite logits if it was alone, else read all again, one by one.

        See `quarantine`.
        """
        others = [slot for slot in self.cache.slots if slot.owner is not sequence]
        alone = self._quarantine.holds(sequence) or not any(slot.cached for slot in others)
        owners = [slot.owner for slot in self.cache.slots if slot.owner]
        self.cache.clear()
        if alone:
            sequence.handler.on_error(error)
            self._quarantine.release(sequence)
            self._admission.remove(sequence)
            return
        self._quarantine.begin(owner for owner in owners if not owner.prefill_only)
        for owner in owners:
            if owner.prefill_only:
                self._admission.remove(owner)  # it would give no token to know it by

    def _grow_ahead(self, live: Iterable[tuple[Slot, Sequence]]) -> None:
        """Grow before a sequence would have to come to its end, had it the cache to itself.

        Without memory for that it still can.
        """
        for slot, owner in live:
            if not self.cache.can_grow:
                return
            size = self.cache.size
            wanted = len(owner.tokens) + owner.handler.reserved_tokens(size)
            if wanted > size:
                self._grow(wanted - len(slot.cached))

    def _grow(self, wanted: int) -> None:
        self.cache.grow(wanted)
        self._admission.announce_limit()
