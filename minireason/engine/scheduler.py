"""THE loop: admit sequences to slots, decode every live one in one batch, hand the sampled tokens out.

A prompt, a forced token and a sampled token are the same thing here: pending until decoded. In each step a sequence
either gives one token and samples after it, or gives a slice of its pending tokens and does not. So the last token of
a prompt is always decoded alone, and asking again with the prompt in the cache computes the same thing as the first time.

**What holds after an interruption.** An error or a KeyboardInterrupt may come at any line, and a second one while the first is
mended. So nothing is undone where it happens. Each act makes its change in an order that leaves the truth in one place:

- `_sequences` says which sequences there are, and `Sequence.slot` which of them have a place; `Slot.owner` follows from both.
- A slot's list of cached tokens never claims more than the cache holds; see `cache`.
- Every sampled token has a number. The sampler draws it once, the handler takes it once, the sequence appends it once, each of
  them by this number: asked again, they say the same. So a step that was cut off is simply made again.

`_consistent` is False from before an act until after it. Whoever finds it False first makes the rest follow from the truth.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable

from minireason.engine.base import ModelRunner
from minireason.engine.batch import batch, shares
from minireason.engine.cache import KVCache
from minireason.engine.lock import FairLock, Turn
from minireason.engine.quarantine import Quarantine
from minireason.engine.sequence import Draw, Sequence, Slot, common_prefix
from minireason.errors import ContextFull, EngineError, LogitsNotFinite
from minireason.settings import LAST_GROWTH

_log = logging.getLogger(__name__)

WAIT_FOR_PREFIX_TOKENS = 32
"""A sequence waits for another one that is reading a prompt with more than this in common."""

EVICT_IDLE_STEPS = 2048
"""So many steps after its last use an idle slot is forgotten. Every step attends past its tokens too, and after about so many that
has cost what reading them again would (1.5B shape on two AVX-512 cores: 6 microseconds a token and step against 10 ms): who forgets
then pays little more than twice what foresight would have (ski rental)."""


class Scheduler:
    """Runs all sequences over one runner; every method may be called from any thread.

    `n_ctx` is the limit in tokens of one sequence, `cache_tokens` (None: the same) that of the cache for all of them,
    which starts at the runner's size and grows.
    """

    def __init__(self, runner: ModelRunner, n_ctx: int, cache_tokens: int | None = None) -> None:
        self._runner, self.n_ctx = runner, n_ctx
        self.cache_tokens = cache_tokens or n_ctx
        self.cache = KVCache(runner)
        self.clock = 0
        """Steps so far."""
        self._promised_n_ctx = n_ctx
        self._sequences: list[Sequence] = []
        self._dropped: deque[Sequence] = deque()
        self._cache_crowded = False
        self._quarantine = Quarantine()
        self._consistent = True
        self._lock = FairLock()

    @property
    def lock(self) -> Turn:
        """A turn at everything here, to be used in a `with` statement; whoever came before goes first."""
        return self._lock.turn()

    def forked(self) -> None:
        """In a process that was forked: nobody of the parent's holds the lock here, or waits for it."""
        self._lock = FairLock()

    def add(self, sequence: Sequence) -> None:
        """Queue a sequence; raises ContextFull if its tokens leave no room for another one."""
        with self.lock:
            self._settle()
            if len(sequence.tokens) >= self.n_ctx:
                raise ContextFull(len(sequence.tokens), self.n_ctx)
            sequence.cached_tokens = self.cache.match(sequence.tokens)[1]
            self._sequences.append(sequence)

    def remove(self, sequence: Sequence) -> None:
        """Take a sequence out; its slot is free at once and keeps its tokens for whoever starts the same."""
        with self.lock:
            self._settle()
            self._consistent = False
            self._remove(sequence)
            self._consistent = True

    def drop(self, sequence: Sequence) -> None:
        """Take it out before anything else is done: for finalizers, which may come in the middle of a step, in the same thread."""
        self._dropped.append(sequence)

    @property
    def sequences(self) -> list[Sequence]:
        """All sequences that have not ended, in the order in which they came."""
        with self.lock:
            self._settle()
            return list(self._sequences)

    def cached(self, tokens: list[int]) -> int:
        """How many tokens of a prompt's beginning need not be read; the last one always has to be."""
        with self.lock:
            self._settle()
            return self.cache.match(tokens)[1]

    def reserve(self, wanted: int) -> None:
        """Grow the cache now, as far as it can, if so many more tokens would not fit: whoever brings them need not wait for that."""
        with self.lock:
            self._settle()
            if self.cache.used + wanted > self._runner.n_ctx < self.cache_tokens:
                self._consistent = False
                self._grow(wanted)
                self._consistent = True

    def step(self, unless: Callable[[], bool] = lambda: False) -> bool:
        """One decode for all sequences that can go on, and one token for each that is through; False if none can.

        Nothing is done if `unless` is true once it is this thread's turn: another's step has brought what it was to bring.
        """
        with self.lock:
            self._settle()
            if unless():
                return True
            self._consistent = False
            self.clock += 1
            stepped = self._step()
            self._consistent = True
            return stepped

    def _step(self) -> bool:
        self._admit()
        self.cache.evict_idle(self.clock - EVICT_IDLE_STEPS)
        live = self._runnable()
        while not live and self._preempt_unread():
            self._admit()
            live = self._runnable()
        if not live:
            return False
        self._decode(self._quarantine.runnable(live))
        return True

    def _settle(self) -> None:
        """Before anything else: mend what an interruption left half done, and take out what was dropped."""
        if not self._consistent:
            self._recover()
            self._consistent = True
        while self._dropped:
            self._consistent = False
            self._remove(self._dropped[0])
            self._dropped.popleft()
            self._consistent = True

    def _recover(self) -> None:
        for slot in self.cache.slots:
            slot.owner = None
        for sequence in self._sequences:
            if sequence.slot:
                sequence.slot.owner = sequence
        self.cache.resync()
        self._announce_limit()

    def _remove(self, sequence: Sequence) -> None:
        if sequence in self._sequences:
            self._sequences.remove(sequence)
        if sequence.slot and not sequence.cache_reply:
            self.cache.trim(sequence.slot, sequence.prompt_tokens)
        self._preempt(sequence)
        self._cache_crowded = False

    def _preempt(self, sequence: Sequence) -> None:
        """Let go of a sequence's slot, which keeps its tokens; if it is still among the open ones, it waits."""
        slot, sequence.slot = sequence.slot, None
        if slot and slot.owner is sequence:
            slot.owner = None

    def _admit(self) -> None:
        """Give waiting sequences a slot, those that came first going first. One that nobody reads goes on waiting."""
        if self._cache_crowded:
            return
        for sequence in self._waiting():
            idle = self.cache.idle()
            if not idle:
                return
            if len(sequence.tokens) >= self.n_ctx:
                self._end_at_limit(sequence)
                continue
            best, kept = self.cache.match(sequence.tokens)
            kept = self.cache.worth_reusing(sequence.tokens, kept)
            if self._prefix_in_prefill(sequence.tokens) > max(kept, WAIT_FOR_PREFIX_TOKENS):
                return
            slot = self.cache.place(best, kept)
            slot.prompt_tokens = sequence.prompt_tokens
            slot.last_used = self.clock
            sequence.cached_tokens = min(sequence.cached_tokens, kept)
            sequence.handler.on_admit(sequence.cached_tokens)
            sequence.slot = slot  # from here on it has its place, see `_recover`
            slot.owner = sequence

    def _waiting(self) -> list[Sequence]:
        return [
            sequence
            for sequence in self._sequences
            if sequence.slot is None and not sequence.handler.paused
        ]

    def _prefix_in_prefill(self, tokens: list[int]) -> int:
        """The longest beginning shared with a prompt that is being read right now, which is soon there to be copied."""
        shared = [
            common_prefix(sequence.tokens, tokens)
            for sequence in self._sequences
            if sequence.slot
            and not sequence.handler.paused
            and sequence.decoded < sequence.prompt_tokens - 1
        ]
        return min(max(shared, default=0), len(tokens) - 1)

    def _runnable(self) -> list[tuple[Slot, Sequence]]:
        """What can go on. A sequence that was only to be read, or has filled its context, ends here."""
        live = []
        for slot in self.cache.slots:
            owner = slot.owner
            if owner is None:
                continue
            if len(owner.tokens) >= self.n_ctx:
                self._end_at_limit(owner)
            elif owner.prefill_only and owner.decoded == len(owner.tokens) - 1:
                self._remove(owner)
            elif not owner.handler.paused:
                live.append((slot, owner))
        return live

    def _preempt_unread(self) -> bool:
        """Where those with a slot are all unread, let one of them wait in the place of one that is read; False if there is none."""
        if not any(not sequence.prefill_only for sequence in self._waiting()):
            return False
        if self._cache_crowded:
            self._cache_crowded = False  # the cache's room is found when it is needed
            return True
        unread = [slot for slot in self.cache.slots if slot.owner]
        if not unread:
            return False
        longest_unread = min(unread, key=lambda slot: slot.last_used)
        if longest_unread.owner:
            self._preempt(longest_unread.owner)
        return True

    def _decode(self, live: list[tuple[Slot, Sequence]]) -> None:
        self._grow_ahead(live)
        plan = shares(live, self._runner.n_batch, self._sequences.index)
        tokens, positions, slots, outputs = batch(plan)
        if not self._runner.decode(tokens, positions, slots, outputs):
            self._evict_or_preempt(len(tokens))
            return
        row, broken = -1, []
        for slot, owner, count, output in plan:
            row += count
            start = len(slot.cached)
            slot.cached += owner.tokens[start : start + count]
            slot.last_used = self.clock
            if not output:
                continue
            try:
                self._extend(slot, owner, row)
            except LogitsNotFinite as error:
                broken.append((owner, error))
            else:
                self._quarantine.release(owner)
        if broken:
            self._isolate(*broken[0])

    def _isolate(self, sequence: Sequence, error: LogitsNotFinite) -> None:
        """A sequence without finite logits has failed if it was alone; else all are read again, each alone: see `quarantine`."""
        others = [slot for slot in self.cache.slots if slot.owner is not sequence]
        alone = self._quarantine.holds(sequence) or not any(slot.cached for slot in others)
        owners = [slot.owner for slot in self.cache.slots if slot.owner]
        self.cache.clear()
        if alone:
            sequence.handler.on_error(error)
            self._quarantine.release(sequence)
            self._remove(sequence)
            return
        self._quarantine.begin(owner for owner in owners if not owner.prefill_only)
        for owner in owners:
            if owner.prefill_only:
                self._remove(owner)  # it would give no token to know it by

    def _extend(self, slot: Slot, sequence: Sequence, row: int) -> None:
        """Draw the next token of a sequence and let it follow; made again after an interruption, it comes to the same."""
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
            self._remove(sequence)
        elif len(sequence.tokens) >= self.n_ctx:
            self._end_at_limit(sequence)

    def _end_at_limit(self, sequence: Sequence) -> None:
        """End a sequence that has no room to go on; one that had none even to begin is told why."""
        if sequence.draws:
            sequence.handler.on_context_full()
        else:
            sequence.handler.on_error(_no_room(sequence, self.n_ctx))
        self._remove(sequence)

    def _grow_ahead(self, live: Iterable[tuple[Slot, Sequence]]) -> None:
        """Grow before a sequence, had it the cache to itself, would have to come to its end: if there is no memory, it still can."""
        for slot, owner in live:
            size = self._runner.n_ctx
            if size >= self.cache_tokens:
                return
            wanted = len(owner.tokens) + owner.handler.reserved_tokens(size)
            if wanted > size:
                self._grow(wanted - len(slot.cached))

    def _evict_or_preempt(self, wanted: int) -> None:
        """After a decode found no room: grow, or forget an idle slot, or let a sequence wait, or end the only one.

        The one to wait is one that nobody reads, and if all are read the shortest.
        """
        idle = [slot for slot in self.cache.idle() if slot.cached]
        owners = [slot.owner for slot in self.cache.slots if slot.owner]
        if self._runner.n_ctx < self.cache_tokens:
            self._grow(wanted)
        elif idle:
            self.cache.trim(min(idle, key=lambda slot: slot.last_used), 0)
        elif len(owners) > 1:
            self._preempt(min(owners, key=lambda owner: (not owner.handler.paused, owner.decoded)))
            # The rest wait until another one ends, or they would send each other back for ever.
            self._cache_crowded = True
        else:
            self._end_at_limit(owners[0])

    def _grow(self, wanted: int) -> None:
        """Make the cache larger, or let the limits be what it holds where there is no memory for that."""
        total = self.cache.used + wanted
        size = max(2 * self._runner.n_ctx, -(-total // 256) * 256)
        if size <= self.n_ctx:
            size = size if size <= self.n_ctx // LAST_GROWTH else self.n_ctx
        if not self._runner.grow(min(size, self.cache_tokens)):
            self.cache_tokens = self._runner.n_ctx
        self._announce_limit()
        _log.debug("the KV cache holds %d tokens now, %d wanted", self._runner.n_ctx, size)

    def _announce_limit(self) -> None:
        """Tell every sequence if there is less room than was promised."""
        self.n_ctx = min(self.n_ctx, self.cache_tokens)
        if self.n_ctx < self._promised_n_ctx:
            for sequence in self._sequences:
                sequence.handler.on_context_limit(self.n_ctx)
            self._promised_n_ctx = self.n_ctx


def _no_room(sequence: Sequence, n_ctx: int) -> EngineError:
    if len(sequence.tokens) >= n_ctx:
        return EngineError(
            f"There is no memory for a larger context: {n_ctx} tokens fit, and the prompt has "
            f"{len(sequence.tokens)}. Close other programs and load again, or shorten the prompt."
        )
    return EngineError(
        f"There is no memory for a larger cache: the prompt of {len(sequence.tokens)} tokens does not fit "
        f"beside what is in use. Close other streams or programs, or shorten the prompt."
    )
