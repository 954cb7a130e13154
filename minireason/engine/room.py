"""Pure arithmetic: how many slots of how many tokens a KV cache has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

GRANULE_TOKENS = 256
"""llama.cpp gives each slot room for a multiple of so many tokens."""

_LEAST_OUTPUTS = 16
"""Rows of logits of a batch at least, for the tokens of a draft in one slot."""


class CacheShape(NamedTuple):
    """A cache of `n_slots` slots for `slot_tokens` tokens each."""

    n_slots: int
    slot_tokens: int

    @property
    def tokens(self) -> int:
        """Tokens of all slots."""
        return self.n_slots * self.slot_tokens

    @property
    def padded_slot_tokens(self) -> int:
        """The tokens that llama.cpp makes room for in each slot."""
        return -(-self.slot_tokens // GRANULE_TOKENS) * GRANULE_TOKENS

    @property
    def n_outputs(self) -> int:
        """Rows of logits of a batch at most; few of them keep the compute buffer small."""
        return max(self.n_slots, _LEAST_OUTPUTS)


@dataclass(frozen=True, slots=True)
class CacheRoom:
    """What a cache may take of memory, in tokens.

    All slots together have at most `max_tokens`, one at most `n_ctx`; they begin with
    `start_tokens`. `spare_tokens` may be in memory beside that: saved states, for good or while
    the cache is moved into one of another shape.
    """

    n_ctx: int
    max_tokens: int
    start_tokens: int
    spare_tokens: int
    max_slots: int

    @property
    def total_tokens(self) -> int:
        """The most that may be in memory at a time."""
        return self.max_tokens + self.spare_tokens

    def slot_limit(self, n_slots: int) -> int:
        """The most tokens that each of so many slots can have."""
        if n_slots == 1:
            return min(self.n_ctx, self.max_tokens)
        each = self.max_tokens // n_slots // GRANULE_TOKENS * GRANULE_TOKENS
        return min(self.n_ctx, each)

    def shape(self, sequences: int, tokens: int) -> CacheShape | None:
        """A shape with room for so many sequences of at most so many tokens; None if there is none.

        Slots come in powers of two, as far as they fit. Their tokens double, since each time
        everything is moved; and where the next move could not be, they have all they can have.
        """
        if sequences > self.max_slots or tokens > self.slot_limit(sequences):
            return None
        n_slots = sequences
        while n_slots & (n_slots - 1) and tokens <= self.slot_limit(n_slots + 1):
            n_slots += 1
        n_slots = min(n_slots, self.max_slots)
        limit = self.slot_limit(n_slots)
        size = min(self.start_tokens, limit)
        while size < tokens:
            size = min(2 * size, limit)
        if n_slots * (size + min(2 * size, limit)) > self.total_tokens:
            size = limit
        return CacheShape(n_slots, size)
