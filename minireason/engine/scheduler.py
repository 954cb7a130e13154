"""THE loop: admit sequences to slots, decode every live one in one batch, hand the sampled tokens out.

A prompt, a forced token and a sampled token are the same thing here: pending until decoded. In each step a sequence
either gives one token and samples after it, or gives a slice of its pending tokens and does not. So the last token of
a prompt is always decoded alone, and asking again with the prompt in the cache computes the same thing as the first time.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from minireason.engine.quarantine import Quarantine
from minireason.engine.sequence import Sequence, Slot, common_prefix
from minireason.errors import ContextFull, LogitsNotFinite
from minireason.settings import LAST_GROWTH

_log = logging.getLogger(__name__)

WORTH_WAITING_TOKENS = 32
"""A sequence waits for another one that is reading a prompt with more than this in common."""

IDLE_STEPS = 2048
"""So many steps after its last use an idle slot is forgotten. Every step attends past its tokens too, and after about so many that
has cost what reading them again would (1.5B shape on two AVX-512 cores: 6 microseconds a token and step against 10 ms): who forgets
then pays little more than twice what foresight would have (ski rental)."""

WIDE_OVER_TOKENS = 256
"""Over fewer cached tokens it is not worth reading some again to have `Backend.wide_tokens` in a batch."""


class Backend(Protocol):
    """What the loop needs of llama.cpp; see `llama.Context`, and the scripted one in tests/engine.

    `confidence` and `sample` raise LogitsNotFinite.

    `wide_tokens`: from so many tokens in a batch on, attention over a long prefix takes a faster way; 0: it never does.
    """

    n_ctx: int
    n_batch: int
    n_seq_max: int
    wide_tokens: int

    def decode(
        self, tokens: list[int], positions: list[int], slots: list[int], outputs: list[bool]
    ) -> bool: ...
    def sample(self, sampler: Any, row: int) -> int: ...
    def confidence(self, row: int) -> float: ...
    def trim(self, slot: int, keep: int) -> None: ...
    def copy(self, source: int, target: int, count: int) -> None: ...
    def grow(self, n_ctx: int) -> bool: ...
    def clear(self) -> None: ...


class Scheduler:
    """Runs all sequences over one backend; every method may be called from any thread.

    `n_ctx` is the limit in tokens of one sequence, `cache_tokens` (None: the same) that of the cache for all of them,
    which starts at the backend's size and grows.
    """

    def __init__(self, backend: Backend, n_ctx: int, cache_tokens: int | None = None) -> None:
        self._backend, self.n_ctx = backend, n_ctx
        self.cache_tokens = cache_tokens or n_ctx
        self._slots = [Slot(index) for index in range(backend.n_seq_max)]
        self._waiting: deque[Sequence] = deque()
        self._deferred: deque[Callable[[], None]] = deque()
        self._clock = 0
        self._crowded = False
        self._quarantine = Quarantine()
        self.lock = threading.RLock()

    def add(self, sequence: Sequence) -> None:
        """Queue a sequence; raises ContextFull if its tokens leave no room for another one."""
        if len(sequence.tokens) >= self.n_ctx:
            raise ContextFull(len(sequence.tokens), self.n_ctx)
        with self.lock:
            self._waiting.append(sequence)

    def remove(self, sequence: Sequence) -> None:
        """Take a sequence out; its slot is free at once and keeps its tokens for whoever starts the same."""
        with self.lock:
            if sequence in self._waiting:
                self._waiting.remove(sequence)
            if sequence.slot:
                if sequence.passing:
                    self._trim(sequence.slot, sequence.prompt_tokens)
                sequence.slot.owner, sequence.slot = None, None
            self._crowded = False

    @property
    def sequences(self) -> list[Sequence]:
        """All sequences that have not ended."""
        with self.lock:
            return [*self._waiting, *(slot.owner for slot in self._slots if slot.owner)]

    def cached(self, tokens: list[int]) -> int:
        """How many tokens of a prompt's beginning need not be read; the last one always has to be."""
        with self.lock:
            return self._best_prefix(tokens)[1]

    def defer(self, act: Callable[[], None]) -> None:
        """Run this before the next step: for finalizers, which may come in the middle of one, in the same thread."""
        self._deferred.append(act)

    def rewind(self, sequence: Sequence, keep: int) -> None:
        """Drop a sequence's tokens from index `keep` on (at least 1); it goes on from there."""
        with self.lock:
            gone = len(sequence.tokens) - max(1, keep)
            del sequence.tokens[max(1, keep) :]
            if sequence.confidences and gone > 0:
                del sequence.confidences[-gone:]
            if sequence.slot:
                self._trim(sequence.slot, len(sequence.tokens) - 1)

    def step(self) -> bool:
        """One decode for all sequences that can go on, and one token for each that is through; False if none can."""
        with self.lock:
            self._clock += 1
            while self._deferred:
                self._deferred.popleft()()
            self._admit()
            for slot in self._slots:
                if not slot.owner and self._clock - slot.last_used > IDLE_STEPS:
                    self._trim(slot, 0)
                if (
                    slot.owner
                    and slot.owner.only_read
                    and slot.owner.decoded == len(slot.owner.tokens) - 1
                ):
                    self.remove(slot.owner)  # it was to be read, and is
            live = [slot for slot in self._slots if slot.owner and not slot.owner.sink.full]
            if not live:
                return False
            live = self._quarantine.runnable(live)
            try:
                self._decode(live)
            except BaseException:
                self._resync()
                raise
            return True

    def _decode(self, live: list[Slot]) -> None:
        self._keep_room(live)
        plan = self._shares(live)
        tokens: list[int] = []
        positions: list[int] = []
        slots: list[int] = []
        outputs: list[bool] = []
        for slot, owner, count, output in plan:
            start = len(slot.cached)
            tokens += owner.tokens[start : start + count]
            positions += range(start, start + count)
            slots += [slot.index] * count
            outputs += [output] * count
        if not self._backend.decode(tokens, positions, slots, outputs):
            self._make_room(len(tokens))
            return
        row, broken = -1, []
        for slot, owner, count, output in plan:
            row += count
            slot.cached += owner.tokens[len(slot.cached) : len(slot.cached) + count]
            slot.last_used = self._clock
            if not output:
                continue
            try:
                if owner.confidences is not None:
                    owner.confidences.append(self._backend.confidence(row))
                self._extend(owner, self._backend.sample(owner.sampler, row))
            except LogitsNotFinite as error:
                broken.append((owner, error))
            else:
                self._quarantine.release(owner)
        if broken:
            self._isolate(*broken[0])

    def _isolate(self, sequence: Sequence, error: LogitsNotFinite) -> None:
        """A sequence without finite logits has failed if it was alone; else all are read again,
        each alone: see `quarantine`."""
        others = [slot for slot in self._slots if slot.owner is not sequence]
        if self._quarantine.holds(sequence) or not any(slot.cached for slot in others):
            self._quarantine.release(sequence)
            self.remove(sequence)
            sequence.sink.failed(error)
        else:
            owners = [slot.owner for slot in self._slots if slot.owner]
            for owner in owners:
                if owner.only_read:
                    self.remove(owner)  # it would give no token to know it by
            self._quarantine.begin(owner for owner in owners if not owner.only_read)
        self._backend.clear()
        for slot in self._slots:
            slot.cached.clear()

    def _shares(self, live: list[Slot]) -> list[tuple[Slot, Sequence, int, bool]]:
        """(slot, owner, tokens to decode, sample after): single tokens first, then slices of what is left of the batch."""
        room = self._backend.n_batch
        plan = []
        pending = sorted(
            (
                (len(slot.owner.tokens) - len(slot.cached), slot, slot.owner)
                for slot in live
                if slot.owner
            ),
            key=lambda item: item[0],
        )
        for count, slot, owner in pending:
            slices = (
                -(-(count - 1) // room) if room else 0
            )  # of one size: attention over a small batch is the slowest
            share = 1 if count == 1 else -(-(count - 1) // max(1, slices))
            if room:
                plan.append((slot, owner, share, count == 1))
                room -= share
        return plan

    def _extend(self, sequence: Sequence, token: int) -> None:
        taken = sequence.sink.take(token)
        if not taken:
            self.remove(sequence)
            return
        sequence.tokens += taken
        if len(sequence.tokens) >= self.n_ctx:
            self.remove(sequence)
            sequence.sink.out_of_room()

    def _admit(self) -> None:
        while self._waiting and not self._crowded:
            sequence = self._waiting[0]
            idle = [slot for slot in self._slots if not slot.owner]
            if not idle:
                return
            best, kept = self._best_prefix(sequence.tokens)
            rest = len(sequence.tokens) - 1 - kept
            wide = self._backend.wide_tokens
            if wide // 3 < rest < wide and kept > WIDE_OVER_TOKENS:
                kept -= wide - rest  # to read some again is quicker
            if self._coming(sequence.tokens) > max(kept, WORTH_WAITING_TOKENS):
                return
            self._waiting.popleft()
            sequence.slot = slot = self._place(idle, best, kept)
            slot.owner, slot.prompt_tokens = sequence, sequence.prompt_tokens
            slot.last_used = self._clock
            sequence.cached_tokens = max(sequence.cached_tokens, min(kept, sequence.prompt_tokens))

    def _best_prefix(self, tokens: list[int]) -> tuple[Slot, int]:
        """The slot that shares the longest beginning, leaving at least the last token to be decoded."""
        shared = [
            (min(common_prefix(slot.cached, tokens), len(tokens) - 1), slot) for slot in self._slots
        ]
        kept, best = max(shared, key=lambda item: item[0])
        return best, kept

    def _coming(self, tokens: list[int]) -> int:
        """The longest beginning shared with a prompt that is being read right now, which is soon there to be copied."""
        going = [
            (slot, slot.owner) for slot in self._slots if slot.owner and not slot.owner.sink.full
        ]
        shared = [
            common_prefix(owner.tokens, tokens)
            for slot, owner in going
            if len(slot.cached) < owner.prompt_tokens - 1
        ]
        return min(max(shared, default=0), len(tokens) - 1)

    def _place(self, idle: list[Slot], best: Slot, kept: int) -> Slot:
        """An idle slot that holds the first `kept` tokens of `best`: another with a copy, or itself where little of a prompt is lost."""
        empty = [slot for slot in idle if not slot.cached]
        if not best.owner and (kept * 2 >= best.prompt_tokens or not empty):
            self._trim(best, kept)
            return best
        slot = empty[0] if empty else min(idle, key=lambda slot: slot.last_used)
        self._trim(slot, 0)
        if kept:
            self._backend.copy(best.index, slot.index, kept)
            slot.cached = best.cached[:kept]
        return slot

    def _trim(self, slot: Slot, keep: int) -> None:
        if len(slot.cached) > keep:
            self._backend.trim(slot.index, keep)
            del slot.cached[keep:]

    def reserve(self, wanted: int) -> None:
        """Grow the cache now, as far as it can, if so many more tokens would not fit: whoever brings them need not wait for that."""
        with self.lock:
            used = sum(len(slot.cached) for slot in self._slots)
            if used + wanted > self._backend.n_ctx < self.cache_tokens:
                self._grow(wanted)

    def _keep_room(self, live: list[Slot]) -> None:
        """Grow before a sequence, had it the cache to itself, would have to come to its end: if there is no memory, it still can."""
        for slot in live:
            size = self._backend.n_ctx
            if (
                slot.owner
                and size < self.cache_tokens
                and (wanted := len(slot.owner.tokens) + slot.owner.sink.keeps(size)) > size
            ):
                self._grow(wanted - len(slot.cached))

    def _make_room(self, wanted: int) -> None:
        """After a decode found no room: grow, or forget an idle slot, or let the shortest sequence wait, or end the only one."""
        idle = [slot for slot in self._slots if not slot.owner and slot.cached]
        live = sorted(
            (slot for slot in self._slots if slot.owner), key=lambda slot: len(slot.cached)
        )
        if self._backend.n_ctx < self.cache_tokens:
            self._grow(wanted)
        elif idle:
            self._trim(min(idle, key=lambda slot: slot.last_used), 0)
        elif live[0].owner:
            sequence = live[0].owner
            self.remove(sequence)
            if len(live) > 1:
                self._waiting.appendleft(sequence)
                self._crowded = (
                    True  # until another one ends, or they would send each other back for ever
                )
            else:
                sequence.sink.out_of_room()

    def _grow(self, wanted: int) -> None:
        """Make the cache larger, or let the limits be what it holds where there is no memory for that."""
        total = sum(len(slot.cached) for slot in self._slots) + wanted
        size = max(2 * self._backend.n_ctx, -(-total // 256) * 256)
        if size <= self.n_ctx:
            size = size if size <= self.n_ctx // LAST_GROWTH else self.n_ctx
        if not self._backend.grow(min(size, self.cache_tokens)):
            self.cache_tokens = self._backend.n_ctx
            self.n_ctx = min(self.n_ctx, self.cache_tokens)
            for sequence in self.sequences:
                sequence.sink.limited_to(self.n_ctx)
        _log.debug("the KV cache holds %d tokens now, %d wanted", self._backend.n_ctx, size)

    def _resync(self) -> None:
        """After an interruption or a failed decode: make the cache hold what our token lists say, with a token left to decode."""
        for slot in self._slots:
            if slot.owner:
                del slot.cached[len(slot.owner.tokens) - 1 :]
            self._backend.trim(slot.index, len(slot.cached))
