"""The KV cache: which tokens each slot holds, prefix caching, growth and parked prompts.

Each slot is a cache of its own, so a sequence attends past its own tokens only. There are as many
slots as sequences need, one for a chat, and all are of one size; when they have to be more or
larger, everything moves into a cache of another shape. What no sequence uses any more stays in its
slot for whoever starts the same. When the slot is needed, it is parked: saved in memory outside the
cache, to be brought back. Prefixes are shared within a scope only, so that what one user waits for
tells nothing of another's prompts.

**A list never claims more than the runner holds.** It shrinks before the runner forgets, and grows
after the runner has computed or restored. So whatever cuts an act off, an error or an interruption
at any line, `resync` makes both the same again by having the runner forget what no list claims.
What is lost that way is read again; it is never taken for something else. A move is the runner's
own affair: `finish_resize` ends it if it was cut off, and says whether what the lists claim is
still there.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from typing import TypeAlias

from minireason.engine.base import ModelRunner, SavedState
from minireason.engine.parking import PARK_TOKENS, Parked, Parking, begins
from minireason.engine.room import CacheRoom, CacheShape
from minireason.engine.sequence import Sequence, Slot, common_prefix
from minireason.errors import EngineError

_log = logging.getLogger(__name__)

WIDE_OVER_TOKENS = 256
"""Over fewer cached tokens it is not worth reading some again to have `wide_tokens` in a batch."""

_LESS = 0.75
"""Where there is no memory for a cache, so much of it is the most that is tried from then on."""

Source: TypeAlias = Slot | Parked
"""Where a prefix of a prompt may be."""


class KVCache:
    """The slots of a runner's cache, and every change to what is in them.

    `room` says how large it may become; where there is less memory, its limits are lowered.
    """

    def __init__(self, runner: ModelRunner, room: CacheRoom) -> None:
        self._runner, self._room = runner, room
        self.slots = [Slot(index) for index in range(runner.n_slots)]
        self._parking = Parking()

    @property
    def n_ctx(self) -> int:
        """The limit in tokens of one sequence."""
        return self._room.slot_limit(1)

    @property
    def shape(self) -> CacheShape:
        """The slots there are, and the tokens of each."""
        return CacheShape(self._runner.n_slots, self._runner.slot_tokens)

    @property
    def parked_tokens(self) -> int:
        """Tokens outside the cache."""
        return self._parking.tokens

    def idle(self) -> list[Slot]:
        """The slots that no sequence uses."""
        return [slot for slot in self.slots if not slot.owner]

    def match(self, tokens: list[int], scope: str = "") -> tuple[Source | None, int]:
        """Find the longest common prefix of a scope, and how many of its tokens to reuse.

        At least the last token is left to be decoded.
        """
        best: Source | None = None
        kept = 0
        for source in self._sources(scope):
            shared = min(common_prefix(source.cached, tokens), len(tokens) - 1)
            if best is None or shared > kept:
                best, kept = source, shared
        return best, kept

    def _sources(self, scope: str) -> list[Source]:
        """Everything that holds tokens of a scope."""
        sources: list[Source] = [*self.slots, *self._parking.prompts]
        return [source for source in sources if source.scope == scope]

    def worth_reusing(self, tokens: list[int], kept: int) -> int:
        """How much of a cached prefix to use: where the rest is short, reading more is quicker."""
        rest = len(tokens) - 1 - kept
        wide = self._runner.wide_tokens
        if wide // 3 < rest < wide and kept > WIDE_OVER_TOKENS:
            return kept - (wide - rest)
        return kept

    def place(self, source: Source | None, kept: int) -> Slot:
        """Make an idle slot hold the first `kept` tokens of a source, or nothing.

        What the source has beyond is kept where it is, unless little of a prompt is lost.
        """
        slot = self.idle()[0]
        if source is None:
            return self._emptied(slot)
        moves = kept * 2 >= source.prompt_tokens and not source.owner
        if source is slot:
            if not moves:
                self._park(slot)
            self.trim(slot, kept)
            return slot
        if not kept or len(source.cached) > self.shape.slot_tokens:
            return self._emptied(slot)
        state = source.state if isinstance(source, Parked) else self._runner.save(source.index)
        self._park(slot)  # which may forget the source, but not its state
        self._put(slot, source, state)
        self.trim(slot, kept)
        if moves:
            self._forget(source)
        return slot

    def _emptied(self, slot: Slot) -> Slot:
        """An idle slot, once what it holds is parked."""
        self._park(slot)
        self.trim(slot, 0)
        return slot

    def _put(self, slot: Slot, source: Source, state: SavedState) -> None:
        """Let an idle slot hold what was saved of a source."""
        self.trim(slot, 0)
        if source.cached:
            self._runner.restore(slot.index, state)
        slot.scope = source.scope
        slot.cached = source.cached.copy()
        slot.prompt_tokens = source.prompt_tokens

    def _forget(self, source: Source) -> None:
        if isinstance(source, Slot):
            self.trim(source, 0)
        else:
            self._parking.forget(source)

    def _park(self, slot: Slot) -> None:
        """Save what an idle slot holds, unless that is short or the beginning of something else.

        Where memory does not suffice, what was parked first makes room.
        """
        tokens = slot.cached
        if len(tokens) < PARK_TOKENS or self._holds(tokens, slot):
            return
        free = self._room.total_tokens - self.shape.tokens
        if self._parking.evict(len(tokens), free):
            state = self._runner.save(slot.index)
            self._parking.add(Parked(tokens.copy(), slot.prompt_tokens, slot.scope, state))

    def _holds(self, tokens: list[int], but: Slot) -> bool:
        """Whether something else than a slot, of its scope, begins with these tokens."""
        sources = [source for source in self._sources(but.scope) if source is not but]
        return any(begins(source.cached, tokens) for source in sources)

    def trim(self, slot: Slot, keep: int) -> None:
        """Forget a slot's tokens from index `keep` on."""
        if len(slot.cached) > keep:
            del slot.cached[keep:]
            self._runner.trim(slot.index, keep)

    def drop_unclaimed(self, slot: Slot) -> None:
        """Forget what a slot holds beyond its list, which is what was drafted in vain."""
        self._runner.trim(slot.index, len(slot.cached))

    def grow(self, sequences: int, tokens: int) -> bool:
        """Let so many sequences have a slot for so many tokens; False without memory for that.

        Where a system has less memory than was promised, the limits are lowered.
        """
        if sequences <= len(self.slots) and tokens <= self.shape.slot_tokens:
            return True
        shape = self._room.shape(sequences, tokens)
        while shape and not self._resize(shape):
            smaller = self._room.shape(sequences, tokens)
            shape = smaller if smaller and smaller.tokens < shape.tokens else None
        return shape is not None

    def shrink(self) -> None:
        """Give back the memory of all slots but one, where no sequence uses any."""
        shape = self._room.shape(1, 0)
        if shape and len(self.slots) > 1 and not any(slot.owner for slot in self.slots):
            for slot in self.slots:
                self._park(slot)
                self.trim(slot, 0)
            self._resize(shape)

    def _resize(self, shape: CacheShape) -> bool:
        self._pack(shape)
        self._evict_for_move(shape)
        moved = self._runner.resize(*shape)
        if not moved:
            less = max(self.shape.tokens, int(_LESS * shape.tokens))
            self._room = replace(self._room, max_tokens=less)
        self._sync_slots()
        _log.debug("the KV cache has %d slots of %d tokens now, %s wanted", *self.shape, shape)
        return moved

    def _evict_for_move(self, shape: CacheShape) -> None:
        """Evict what does not fit into memory twice while it is moved."""
        free = self._room.total_tokens - max(shape.tokens, self.shape.tokens)
        self._parking.evict(self._used, free)
        shortest_first = sorted(self.slots, key=lambda slot: (bool(slot.owner), len(slot.cached)))
        for slot in shortest_first:
            if self._used > free:
                self.trim(slot, 0)

    @property
    def _used(self) -> int:
        return sum(len(slot.cached) for slot in self.slots)

    def close_gaps(self) -> None:
        """Move sequences until those that have a slot are neighbours.

        llama.cpp computes neighbours in one micro-batch, and others one after another.
        """
        owned = self._owned()
        while owned and owned[-1] - owned[0] >= len(owned):
            self._move_last_into(owned, range(owned[0], owned[-1]))
            owned = self._owned()

    def _pack(self, shape: CacheShape) -> None:
        """Leave in the slots that go along what sequences use, and what idle slots can hold."""
        owned = self._owned()
        while owned and owned[-1] >= len(owned):
            self._move_last_into(owned, range(owned[-1]))
            owned = self._owned()
        for slot in self.idle():
            if slot.index >= shape.n_slots or len(slot.cached) > shape.slot_tokens:
                self._park(slot)
                self.trim(slot, 0)

    def _owned(self) -> list[int]:
        """The indices of the slots that sequences use."""
        return [slot.index for slot in self.slots if slot.owner]

    def _move_last_into(self, owned: list[int], places: range) -> None:
        """Let the last sequence go on in the first of these places that is free."""
        gap = next(index for index in places if index not in owned)
        self._move(self.slots[owned[-1]], self.slots[gap])

    def _move(self, source: Slot, target: Slot) -> None:
        """Let the sequence of one slot go on in an idle one."""
        owner = source.owner
        self._park(target)
        self._put(target, source, self._runner.save(source.index))
        target.last_used = source.last_used
        if owner:
            owner.slot = target  # from here on it is there, see `admission`
        target.owner, source.owner = owner, None
        self.trim(source, 0)

    def wipe(self, slot: Slot) -> None:
        """Forget a slot, and overwrite the cells that it had; all others keep theirs."""
        self.trim(slot, 0)
        self._resize(self.shape)

    def clear(self) -> None:
        """Forget all slots, and wipe their cells."""
        for slot in self.slots:
            slot.cached = []
        self._runner.clear()

    def resync(self) -> None:
        """Make the runner hold what the lists say, but not what a sequence has yet to decode."""
        if not self._runner.finish_resize():
            with suppress(EngineError):  # a closed model has nothing to wipe
                self.clear()
        self._sync_slots()
        for slot in self.slots:
            if slot.owner:
                del slot.cached[decoded_tokens(slot, slot.owner) :]
            self._runner.trim(slot.index, len(slot.cached))

    def _sync_slots(self) -> None:
        """Have as many slots as the runner has."""
        count = self._runner.n_slots
        del self.slots[count:]
        self.slots += [Slot(index) for index in range(len(self.slots), count)]


def decoded_tokens(slot: Slot, sequence: Sequence) -> int:
    """How many of a sequence's tokens its slot holds; the last one is always still to decode."""
    tokens = sequence.tokens
    return min(common_prefix(slot.cached, tokens), len(tokens) - 1)
