"""What is in the KV cache: a list of tokens for each slot, and the rule that keeps the lists true.

**A list never claims more than the runner holds.** It shrinks before the runner forgets, and grows after the runner has
computed or copied. So whatever cuts an act off, an error or an interruption at any line, `resync` makes both the same again
by having the runner forget what no list claims. What is lost that way is read again; it is never taken for something else.
Growing moves everything into a larger cache. That is the runner's own affair: `settle` finishes it if it was cut off, and says
whether what the lists claim is still there.
"""

from __future__ import annotations

from contextlib import suppress

from minireason.engine.base import ModelRunner
from minireason.engine.sequence import Slot, common_prefix
from minireason.errors import EngineError

WIDE_OVER_TOKENS = 256
"""Over fewer cached tokens it is not worth reading some again to have `ModelRunner.wide_tokens` in a batch."""


class KVCache:
    """The slots of a runner's cache, and every change to what is in them."""

    def __init__(self, runner: ModelRunner) -> None:
        self._runner = runner
        self.slots = [Slot(index) for index in range(runner.n_seq_max)]

    @property
    def used(self) -> int:
        """Tokens in all slots; what two of them share counts twice."""
        return sum(len(slot.cached) for slot in self.slots)

    def idle(self) -> list[Slot]:
        """The slots that no sequence uses."""
        return [slot for slot in self.slots if not slot.owner]

    def match(self, tokens: list[int]) -> tuple[Slot, int]:
        """The slot that shares the longest beginning, leaving at least the last token to be decoded."""
        shared = [
            (min(common_prefix(slot.cached, tokens), len(tokens) - 1), slot) for slot in self.slots
        ]
        kept, best = max(shared, key=lambda item: item[0])
        return best, kept

    def worth_reusing(self, tokens: list[int], kept: int) -> int:
        """How much of a cached beginning to use: to read some of it again is quicker where the rest is short."""
        rest = len(tokens) - 1 - kept
        wide = self._runner.wide_tokens
        if wide // 3 < rest < wide and kept > WIDE_OVER_TOKENS:
            return kept - (wide - rest)
        return kept

    def place(self, best: Slot, kept: int) -> Slot:
        """An idle slot that holds the first `kept` tokens of `best`: another with a copy, or itself where little of a prompt is lost."""
        idle = self.idle()
        empty = [slot for slot in idle if not slot.cached]
        if not best.owner and (kept * 2 >= best.prompt_tokens or not empty):
            self.trim(best, kept)
            return best
        slot = empty[0] if empty else min(idle, key=lambda slot: slot.last_used)
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

    def evict_idle(self, before: int) -> None:
        """Empty the idle slots that were last used before this step."""
        for slot in self.slots:
            if not slot.owner and slot.last_used < before:
                self.trim(slot, 0)

    def resync(self) -> None:
        """Make the runner hold what the lists say, and of each sequence in use all but what it has to decode."""
        if not self._runner.settle():
            with suppress(EngineError):  # a closed model has nothing to wipe
                self.clear()
        for slot in self.slots:
            if slot.owner:
                tokens = slot.owner.tokens
                keep = min(common_prefix(slot.cached, tokens), len(tokens) - 1)
                del slot.cached[keep:]
            self._runner.trim(slot.index, len(slot.cached))
