"""Which sequences there are, and which of them have a slot: admission and preemption.

`sequences` is the truth about the first and `Sequence.slot` about the second; `Slot.owner` follows
from both, see `recover`.
"""

from __future__ import annotations

from minireason.engine.cache import KVCache
from minireason.engine.sequence import Sequence, Slot, common_prefix
from minireason.errors import EngineError

WAIT_FOR_PREFIX_TOKENS = 32
"""A sequence waits for one whose prompt is being read and has a common prefix longer than this."""


class Admission:
    """The sequences that have not ended, in the order in which they came, and their slots."""

    def __init__(self, cache: KVCache) -> None:
        self._cache = cache
        self.sequences: list[Sequence] = []
        self._promised_n_ctx = cache.n_ctx

    def recover(self) -> None:
        """Make the owners of slots follow from the sequences."""
        for slot in self._cache.slots:
            slot.owner = None
        for sequence in self.sequences:
            if sequence.slot:
                sequence.slot.owner = sequence

    def remove(self, sequence: Sequence) -> None:
        """Take a sequence out; its slot is free, and its tokens stay cached."""
        if sequence in self.sequences:
            self.sequences.remove(sequence)
        if sequence.slot and not sequence.cache_reply:
            self._cache.trim(sequence.slot, sequence.prompt_tokens)
        self._release_slot(sequence)

    def end_at_limit(self, sequence: Sequence) -> None:
        """End a sequence that has no room to go on; one that could not even begin is told why."""
        if sequence.draws:
            sequence.handler.on_context_full()
        else:
            sequence.handler.on_error(_no_room(sequence, self._cache.n_ctx))
        self.remove(sequence)

    def admit(self, clock: int) -> None:
        """Give waiting sequences a slot, first come, first served.

        One that is paused goes on waiting.
        """
        for sequence in self._waiting():
            if len(sequence.tokens) >= self._cache.n_ctx:
                self.end_at_limit(sequence)
                continue
            tokens, scope = sequence.tokens, sequence.cache_scope
            kept = self._cache.worth_reusing(tokens, self._cache.match(tokens, scope)[1])
            if self._prefix_in_prefill(tokens, scope) > max(kept, WAIT_FOR_PREFIX_TOKENS):
                return
            if not self._preempt_or_grow(sequence):
                if sequence.prefill_only:
                    continue
                if self.owners():
                    return
                self.end_at_limit(sequence)
                continue
            slot = self._cache.place(self._cache.match(tokens, scope)[0], kept)
            slot.scope, slot.prompt_tokens = scope, sequence.prompt_tokens
            slot.last_used = clock
            sequence.cached_tokens = min(sequence.cached_tokens, len(slot.cached))
            sequence.handler.on_admit(sequence.cached_tokens)
            sequence.slot = slot  # from here on it is admitted, see `recover`
            slot.owner = sequence

    def _preempt_or_grow(self, sequence: Sequence) -> bool:
        """Have an idle slot with room for a sequence; if there is none, one for each that waits.

        What is read ahead of time gets no slot of its own, and gives its slot to who comes.
        """
        tokens = len(sequence.tokens)
        if not self._cache.idle():
            ahead = [owner for owner in self.owners() if owner.prefill_only]
            if sequence.prefill_only:
                return False
            if ahead:
                self._preempt(ahead[0])
        if self._cache.idle() and tokens <= self._cache.shape.slot_tokens:
            return True
        owners = self.owners()
        tokens = max(len(each.tokens) for each in [*owners, sequence])
        everybody = max(1, len(owners) + sum(not one.prefill_only for one in self._waiting()))
        return self._cache.grow(everybody, tokens) or self._cache.grow(len(owners) + 1, tokens)

    def owners(self) -> list[Sequence]:
        """The sequences that have a slot."""
        return [sequence for sequence in self.sequences if sequence.slot]

    def _waiting(self) -> list[Sequence]:
        return [
            sequence for sequence in self.sequences if sequence.slot is None and not sequence.paused
        ]

    def _prefix_in_prefill(self, tokens: list[int], scope: str) -> int:
        """The longest prefix shared with a prompt that is being read, soon there to be forked."""
        shared = [
            common_prefix(sequence.tokens, tokens)
            for sequence in self.sequences
            if sequence.slot
            and sequence.cache_scope == scope
            and not (sequence.paused or sequence.prefill_only)
            and sequence.decoded < sequence.prompt_tokens - 1
        ]
        return min(max(shared, default=0), len(tokens) - 1)

    def runnable(self) -> list[tuple[Slot, Sequence]]:
        """What can go on. A sequence that is through its prefill, or fills its context, ends."""
        live = []
        for slot in self._cache.slots:
            owner = slot.owner
            if owner is None:
                continue
            if len(owner.tokens) >= self._cache.n_ctx:
                self.end_at_limit(owner)
            elif owner.prefill_only and owner.decoded == len(owner.tokens) - 1:
                self.remove(owner)
            elif not owner.paused:
                live.append((slot, owner))
        return live

    def preempt_unread(self) -> bool:
        """Where all with a slot are paused, preempt one for one that waits; False if none does."""
        owned = [slot for slot in self._cache.slots if slot.owner]
        if not owned or all(sequence.prefill_only for sequence in self._waiting()):
            return False
        longest_unread = min(owned, key=lambda slot: slot.last_used)
        if longest_unread.owner:
            self._preempt(longest_unread.owner)
        return True

    def preempt_for_room(self) -> None:
        """Preempt a sequence where memory is short, or end the only one.

        Who is preempted is paused, and if all are read the shortest.
        """
        owners = self.owners()
        if len(owners) == 1:
            self.end_at_limit(owners[0])
            return
        self._preempt(min(owners, key=lambda owner: (not owner.paused, owner.decoded)))

    def _preempt(self, sequence: Sequence) -> None:
        """Take a sequence's slot, which stays cached; the sequence waits to be admitted again."""
        self._release_slot(sequence)

    def _release_slot(self, sequence: Sequence) -> None:
        slot, sequence.slot = sequence.slot, None
        if slot and slot.owner is sequence:
            slot.owner = None

    def announce_limit(self) -> None:
        """Tell every sequence if there is less room than was promised."""
        if self._cache.n_ctx < self._promised_n_ctx:
            for sequence in self.sequences:
                sequence.handler.on_context_limit(self._cache.n_ctx)
            self._promised_n_ctx = self._cache.n_ctx


def _no_room(sequence: Sequence, n_ctx: int) -> EngineError:
    count = len(sequence.tokens)
    if count >= n_ctx:
        return EngineError(
            f"There is no memory for a larger context: {n_ctx} tokens fit, and the prompt has "
            f"{count}. Close other programs and load again, or shorten the prompt."
        )
    return EngineError(
        f"There is no memory for a larger cache: the prompt of {count} tokens does not fit beside "
        f"what is in use. Close other streams or programs, or shorten the prompt."
    )
