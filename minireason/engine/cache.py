"""What is in the KV cache: a list of tokens for each slot, and the rule that keeps the lists true.

**A list never claims more than the backend holds.** It shrinks before the backend forgets, and grows after the backend has
computed or copied. So whatever cuts an act off, an error or an interruption at any line, `resync` makes both the same again
by having the backend forget what no list claims. What is lost that way is read again; it is never taken for something else.
Growing moves everything into a larger cache. That is the backend's own affair: `settle` finishes it if it was cut off, and says
whether what the lists claim is still there.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Protocol

from minireason.engine.sequence import Slot, common_prefix
from minireason.errors import EngineError

WIDE_OVER_TOKENS = 256
"""Over fewer cached tokens it is not worth reading some again to have `Backend.wide_tokens` in a batch."""


class Backend(Protocol):
    """What the loop needs of llama.cpp; see `llama.Context`, and the scripted one in tests/engine.

    `confidence` and `sample` raise LogitsNotFinite. `sample` gives the token number `draw` of a sampler;
    asked again for the last one it gives the same and draws nothing. `settle` finishes what an interruption
    of `grow` left half done, and says whether what was in the cache is still there.

    `wide_tokens`: from so many tokens in a batch on, attention over a long prefix takes a faster way; 0: it never does.
    """

    n_ctx: int
    n_batch: int
    n_seq_max: int
    wide_tokens: int

    def decode(
        self, tokens: list[int], positions: list[int], slots: list[int], outputs: list[bool]
    ) -> bool: ...
    def sample(self, sampler: Any, row: int, draw: int) -> int: ...
    def confidence(self, row: int) -> float: ...
    def trim(self, slot: int, keep: int) -> None: ...
    def copy(self, source: int, target: int, count: int) -> None: ...
    def grow(self, n_ctx: int) -> bool: ...
    def clear(self) -> None: ...
    def settle(self) -> bool: ...


class Cache:
    """The slots of a backend's cache, and every change to what is in them."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.slots = [Slot(index) for index in range(backend.n_seq_max)]

    @property
    def used(self) -> int:
        """Tokens in all slots; what two of them share counts twice."""
        return sum(len(slot.cached) for slot in self.slots)

    def idle(self) -> list[Slot]:
        """The slots that no sequence uses."""
        return [slot for slot in self.slots if not slot.owner]

    def best_prefix(self, tokens: list[int]) -> tuple[Slot, int]:
        """The slot that shares the longest beginning, leaving at least the last token to be decoded."""
        shared = [
            (min(common_prefix(slot.cached, tokens), len(tokens) - 1), slot) for slot in self.slots
        ]
        kept, best = max(shared, key=lambda item: item[0])
        return best, kept

    def worth_keeping(self, tokens: list[int], kept: int) -> int:
        """How much of a cached beginning to use: to read some of it again is quicker where the rest is short."""
        rest = len(tokens) - 1 - kept
        wide = self._backend.wide_tokens
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
            self._backend.copy(best.index, slot.index, kept)
            slot.cached = best.cached[:kept]
        return slot

    def trim(self, slot: Slot, keep: int) -> None:
        """Forget a slot's tokens from index `keep` on."""
        if len(slot.cached) > keep:
            del slot.cached[keep:]
            self._backend.trim(slot.index, keep)

    def clear(self) -> None:
        """Forget all slots, and wipe their cells."""
        for slot in self.slots:
            slot.cached = []
        self._backend.clear()

    def forget_idle(self, before: int) -> None:
        """Empty the idle slots that were last used before this step."""
        for slot in self.slots:
            if not slot.owner and slot.last_used < before:
                self.trim(slot, 0)

    def resync(self) -> None:
        """Make the backend hold what the lists say, and of each sequence in use all but what it has to decode."""
        if not self._backend.settle():
            with suppress(EngineError):  # a closed model has nothing to wipe
                self.clear()
        for slot in self.slots:
            if slot.owner:
                tokens = slot.owner.tokens
                keep = min(common_prefix(slot.cached, tokens), len(tokens) - 1)
                del slot.cached[keep:]
            self._backend.trim(slot.index, len(slot.cached))
