"""The KV cache: which tokens each slot holds, prefix caching, growth and eviction.

**A list never claims more than the runner holds.** It shrinks before the runner forgets, and grows
after the runner has computed or copied. So whatever cuts an act off, an error or an interruption at
any line, `resync` makes both the same again by having the runner forget what no list claims. What
is lost that way is read again; it is never taken for something else. Growing moves everything into
a larger cache. That is the runner's own affair: `finish_grow` ends it if it was cut off, and says
whether what the lists claim is still there.
"""

from __future__ import annotations

import logging
from contextlib import suppress

from minireason.engine.base import ModelRunner
from minireason.engine.sequence import Slot, common_prefix
from minireason.errors import EngineError
from minireason.settings import LAST_GROWTH

_log = logging.getLogger(__name__)

WIDE_OVER_TOKENS = 256
"""Over fewer cached tokens it is not worth reading some again to have `wide_tokens` in a batch."""

_GRANULE_TOKENS = 256


class KVCache:
    """The slots of a runner's cache, and every change to what is in them.

    `n_ctx` is the limit in tokens of one sequence, `max_tokens` that of all slots together. The
    cache starts at the runner's size and grows; where there is no memory, both limits are lowered.
    """

    def __init__(self, runner: ModelRunner, n_ctx: int, max_tokens: int) -> None:
        self._runner, self._max_tokens = runner, max_tokens
        self.n_ctx = min(n_ctx, max_tokens)
        self.slots = [Slot(index) for index in range(runner.n_seq_max)]

    @property
    def size(self) -> int:
        """The tokens that fit now."""
        return self._runner.n_ctx

    @property
    def used(self) -> int:
        """Tokens in all slots; what two of them share counts twice."""
        return sum(len(slot.cached) for slot in self.slots)

    @property
    def can_grow(self) -> bool:
        """Whether it may become larger, as far as is known."""
        return self.size < self._max_tokens

    def idle(self) -> list[Slot]:
        """The slots that no sequence uses."""
        return [slot for slot in self.slots if not slot.owner]

    def match(self, tokens: list[int]) -> tuple[Slot, int]:
        """Find the slot with the longest common prefix, and how many of its tokens to reuse.

        At least the last token is left to be decoded.
        """
        shared = [
            (min(common_prefix(slot.cached, tokens), len(tokens) - 1), slot) for slot in self.slots
        ]
        kept, best = max(shared, key=lambda item: item[0])
        return best, kept

    def worth_reusing(self, tokens: list[int], kept: int) -> int:
        """How much of a cached prefix to use: where the rest is short, reading more is quicker."""
        rest = len(tokens) - 1 - kept
        wide = self._runner.wide_tokens
        if wide // 3 < rest < wide and kept > WIDE_OVER_TOKENS:
            return kept - (wide - rest)
        return kept

    def place(self, best: Slot, kept: int) -> Slot:
        """Make an idle slot hold the first `kept` tokens of `best`.

        That is another slot with a copy, or `best` itself where little of a prompt is lost.
        """
        idle = self.idle()
        empty = [slot for slot in idle if not slot.cached]
        if not best.owner and (kept * 2 >= best.prompt_tokens or not empty):
            self.trim(best, kept)
            return best
        slot = empty[0] if empty else _oldest(idle)
        self.trim(slot, 0)
        if kept:
            self._runner.copy(best.index, slot.index, kept)
            slot.cached = best.cached[:kept]
        return slot

    def trim(self, slot: Slot, keep: int) -> None:
        """Forget a slot's tokens from index `keep` on."""
        if len(slot.cached) > keep:
            del slot.cached[keep:]
            self._runner.trim(slot.index, keep)

    def clear(self) -> None:
        """Forget all slots, and wipe their cells."""
        for slot in self.slots:
            slot.cached = []
        self._runner.clear()

    def evict(self) -> bool:
        """Empty the idle slot that was used longest ago; False if all are empty or in use."""
        cached = [slot for slot in self.idle() if slot.cached]
        if cached:
            self.trim(_oldest(cached), 0)
        return bool(cached)

    def evict_idle(self, before: int) -> None:
        """Empty the idle slots that were last used before this step."""
        for slot in self.idle():
            if slot.last_used < before:
                self.trim(slot, 0)

    def grow(self, wanted: int) -> None:
        """Make room for so many tokens more, or lower the limits where there is no memory."""
        total = self.used + wanted
        size = max(2 * self.size, -(-total // _GRANULE_TOKENS) * _GRANULE_TOKENS)
        if self.n_ctx // LAST_GROWTH < size <= self.n_ctx:
            size = self.n_ctx
        if not self._runner.grow(min(size, self._max_tokens)):
            self._max_tokens = self.size
            self.n_ctx = min(self.n_ctx, self._max_tokens)
        _log.debug("the KV cache holds %d tokens now, %d wanted", self.size, size)

    def resync(self) -> None:
        """Make the runner hold what the lists say, but not what a sequence has yet to decode."""
        self.n_ctx = min(self.n_ctx, self._max_tokens)
        if not self._runner.finish_grow():
            with suppress(EngineError):  # a closed model has nothing to wipe
                self.clear()
        for slot in self.slots:
            if slot.owner:
                tokens = slot.owner.tokens
                keep = min(common_prefix(slot.cached, tokens), len(tokens) - 1)
                del slot.cached[keep:]
            self._runner.trim(slot.index, len(slot.cached))


def _oldest(slots: list[Slot]) -> Slot:
    return min(slots, key=lambda slot: slot.last_used)
